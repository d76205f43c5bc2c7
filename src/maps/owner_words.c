#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/type.h"
#include "maps/owner_internal.h"
#include "maps/writers.h"

/* Struct types with such a map; a program has a handful. */
enum { HOLDERS_MAX = 1024 };
/* Words of a stack that are looked at, innermost first, and bytes of an object that lead on. */
enum { WORDS_MAX = 8192, OBJECT_WORDS = 16 };
/* Parts of one struct type. */
enum { PARTS_MAX = 256 };

/* A named struct type with the map at offset. */
struct holder {
	uint64_t type;
	uint64_t offset;
};

struct holders {
	struct holder *list;
	size_t count, cap;
};

static void holders_done(struct holders *holders)
{
	free(holders->list);
}

/* Adds the places in one struct type, its own and those in structs inside of it. */
static void add_holders(struct runtime *rt, uint64_t type, uint64_t map_type,
			struct holders *holders)
{
	struct {
		uint64_t type, offset;
	} parts[PARTS_MAX] = {{type, 0}};
	size_t count = 1;
	for (unsigned i = 0; count && i < PARTS_MAX; i++) {
		uint64_t at = parts[--count].offset;
		struct type t;
		struct field f;
		if (type_read(rt, parts[count].type, &t, NULL) != OK)
			continue;
		if (t.kind == KIND_MAP && map_types_alike(rt, t.addr, map_type)) {
			struct holder holder = {type, at};
			/* Memory gone: an owner less to be told. */
			if (holders->count < HOLDERS_MAX)
				(void)ARRAY_PUSH(holders->list, holders->count, holders->cap,
						 holder);
		}
		if (t.kind != KIND_STRUCT)
			continue;
		for (uint64_t k = 0; k < t.len && count < PARTS_MAX; k++) {
			if (type_field(rt, &t, k, &f, NULL) != OK)
				break;
			parts[count].type = f.type;
			parts[count++].offset = at + f.offset;
		}
	}
}

static bool is_closure_or_shape(const char *name)
{
	return !name || strncmp(name, "struct {", 8) == 0 || strstr(name, "go.shape.");
}

static void find_holders(struct runtime *rt, uint64_t map_type, struct holders *ret)
{
	uint64_t type;
	for (uint64_t at = 0; type_next(rt, at, KIND_STRUCT, &type); at = type)
		if (!is_closure_or_shape(type_name(rt, type)))
			add_holders(rt, type, map_type, ret);
}

static char *holder_name(struct runtime *rt, const struct holder *holder, struct member *ret)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	if (!member_find(rt, (struct shape_ref){.type = holder->type}, holder->offset, ret) ||
	    !owner_field_name(rt, ret->within, ret->path, &name))
		return NULL;
	return text_take(&name);
}

struct fit {
	const struct holder *holder;
	uint64_t object;
	bool ambiguous;
};

/* Takes the object at addr for each of the structs in turn. Of objects that overlap, the one that
 * starts first is meant: a pointer into it may look like one to a smaller struct. */
static void try_object(struct runtime *rt, const struct holders *holders, uint64_t map,
		       int64_t offset, uint64_t addr, struct fit *fit)
{
	for (size_t i = 0; i < holders->count; i++) {
		const struct holder *h = &holders->list[i];
		uint64_t word;
		if ((offset >= 0 && h->offset != (uint64_t)offset) ||
		    memory_read_u64(rt->target->memory, addr + h->offset, &word, NULL) != OK ||
		    word != map)
			continue;
		if (!fit->holder || addr < fit->object)
			*fit = (struct fit){h, addr, false};
		else if (addr == fit->object && h->type != fit->holder->type)
			fit->ambiguous = true;
	}
}

static bool may_be_pointer(uint64_t word)
{
	return word >= 4096 && word % 8 == 0 && word >> 48 == 0;
}

/* Tries what the words of one frame point to, and then what those objects point to: closures. */
static void try_frame(struct runtime *rt, const struct frame *frame, const struct holders *holders,
		      uint64_t map, int64_t offset, struct fit *fit)
{
	uint64_t from = frame->sp, to = frame->cfa;
	if (!from || to <= from || to - from > WORDS_MAX * 8)
		return;
	size_t count = (size_t)(to - from) / 8;
	AUTO_FREE uint64_t *words = calloc(count + 1, 8);
	if (!words || memory_read(rt->target->memory, from, words, count * 8, NULL) != OK)
		return;
	for (size_t i = 0; i < count; i++)
		if (may_be_pointer(words[i]))
			try_object(rt, holders, map, offset, words[i], fit);
	for (size_t i = 0; i < count && !fit->holder; i++) {
		uint64_t object[OBJECT_WORDS];
		if (!may_be_pointer(words[i]) ||
		    memory_read(rt->target->memory, words[i], object, sizeof(object), NULL) != OK)
			continue;
		for (size_t k = 0; k < OBJECT_WORDS; k++)
			if (may_be_pointer(object[k]))
				try_object(rt, holders, map, offset, object[k], fit);
	}
}

bool owner_by_words(struct runtime *rt, const struct frames *frames, uint64_t map, uint64_t type,
		    int64_t offset, struct map_owner *ret)
{
	__attribute__((cleanup(holders_done))) struct holders holders = {0};
	struct map_owner owner = {.certainty = OWNER_FITS};
	struct fit fit = {0};
	struct member member;
	find_holders(rt, type, &holders);
	if (!holders.count)
		return false;
	for (size_t i = 0; i < frames->count && !fit.holder; i++)
		try_frame(rt, &frames->list[i], &holders, map, offset, &fit);
	if (fit.holder && !fit.ambiguous) {
		owner.name = holder_name(rt, fit.holder, &member);
		owner.how = strdup("a word of its frames leads to such a struct with this map");
		owner.type = member.ref.type;
		owner.holder = fit.object + fit.holder->offset;
		owner.object = fit.object + member.within_offset;
		owner.object_type = member.within;
	}
	if (!owner.name) {
		map_owner_done(&owner);
		return false;
	}
	*ret = owner;
	return true;
}
