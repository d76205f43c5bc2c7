#include "go/pointers.h"

#include <inttypes.h>
#include <string.h>

#include "go/type.h"

/* internal/abi/type.go: TFlagGCMaskOnDemand from 1.24 on; in 1.22 and 1.23 this bit said that the bitmap
 * is not a program (TFlagUnrolledBitmap), which the kind says too. */
enum { TFLAG_GC_MASK_ON_DEMAND = 16 };

/* Parts of a value that are looked at: one holds at least one pointer word, and structs nest. */
enum { PARTS_MAX = 16 * POINTER_WORDS_MAX };

const char *pointer_source_name(enum pointer_source source)
{
	static const char *const names[] = {
		[POINTERS_STORED] = "GCData",
		[POINTERS_ON_DEMAND] = "mask built at run time",
		[POINTERS_FIELDS] = "fields of the type",
	};
	return names[source];
}

/* A value with parts, half done. */
struct level {
	struct type type; /* struct: its own; array: of the elements */
	uint64_t offset; /* of the value in the whole */
	uint64_t next, count;
	bool is_array;
};

struct walk {
	struct runtime *rt;
	struct pointer_mask *mask;
	struct level levels[TYPE_DEPTH_MAX];
	int depth;
};

static enum status set_word(struct walk *w, const struct type *type, uint64_t offset, unsigned i,
			    struct error *err)
{
	uint64_t word = offset / 8 + i;
	if (offset % 8 || word >= w->mask->words)
		return error_at(err, ERROR_FORMAT, type->addr,
				"a pointer at offset %" PRIu64 ", where its type has none", offset);
	w->mask->bits[word / 8] |= (uint8_t)(1 << word % 8);
	return OK;
}

/* Marks what a value of this type at offset has, or enters it where it has parts. */
static enum status place(struct walk *w, const struct type *type, uint64_t offset,
			 struct error *err)
{
	if (!type->ptr_bytes)
		return OK;
	switch (type->kind) {
	case KIND_CHAN:
	case KIND_FUNC:
	case KIND_MAP:
	case KIND_POINTER:
	case KIND_UNSAFE_POINTER:
	case KIND_STRING:
	case KIND_SLICE:
		return set_word(w, type, offset, 0, err);
	case KIND_INTERFACE:
		/* Not the first: itabs and types are never on the heap, or held otherwise
		 * (cmd/compile/internal/typebits). */
		return set_word(w, type, offset, 1, err);
	case KIND_ARRAY:
	case KIND_STRUCT:
		break;
	default:
		return error_at(err, ERROR_FORMAT, type->addr, "pointers in a type of kind %s",
				kind_name(type->kind));
	}
	if (w->depth == TYPE_DEPTH_MAX)
		return error_at(err, ERROR_LIMIT, type->addr, "types nested more than %d deep",
				TYPE_DEPTH_MAX);
	struct level *level = &w->levels[w->depth];
	*level = (struct level){.offset = offset, .count = type->len, .type = *type};
	if (type->kind == KIND_ARRAY) {
		level->is_array = true;
		if (type_read(w->rt, type->elem, &level->type, err) != OK)
			return FAILED;
	}
	w->depth++;
	return OK;
}

static enum status step(struct walk *w, struct error *err)
{
	struct level *level = &w->levels[w->depth - 1];
	if (level->next == level->count) {
		w->depth--;
		return OK;
	}
	uint64_t i = level->next++;
	if (level->is_array) {
		struct type elem = level->type;
		return place(w, &elem, level->offset + i * elem.size, err);
	}
	struct field field;
	struct type type;
	if (type_field(w->rt, &level->type, i, &field, err) != OK ||
	    type_read(w->rt, field.type, &type, err) != OK)
		return FAILED;
	return place(w, &type, level->offset + field.offset, err);
}

/* An empty mask of the size that the type has. */
static enum status start(const struct type *type, struct pointer_mask *ret, struct error *err)
{
	if (type->ptr_bytes > POINTER_WORDS_MAX * 8)
		return error_at(err, ERROR_LIMIT, type->addr,
				"a type of %" PRIu64 " bytes of pointers", type->ptr_bytes);
	*ret = (struct pointer_mask){.words = type->ptr_bytes / 8};
	return OK;
}

enum status pointer_mask_of_fields(struct runtime *rt, uint64_t addr, struct pointer_mask *ret,
				   struct error *err)
{
	struct type type;
	struct pointer_mask mask;
	struct walk w = {.rt = rt, .mask = &mask};
	if (type_read(rt, addr, &type, err) != OK || start(&type, &mask, err) != OK)
		return FAILED;
	mask.source = POINTERS_FIELDS;
	if (place(&w, &type, 0, err) != OK)
		return FAILED;
	for (int parts = 0; w.depth > 0; parts++) {
		if (parts == PARTS_MAX)
			return error_at(err, ERROR_LIMIT, addr, "a type of more than %d parts",
					PARTS_MAX);
		if (step(&w, err) != OK)
			return FAILED;
	}
	*ret = mask;
	return OK;
}

enum status pointer_mask_read(struct runtime *rt, uint64_t addr, struct pointer_mask *ret,
			      struct error *err)
{
	struct type type;
	struct pointer_mask mask;
	uint64_t bitmap;
	if (type_read(rt, addr, &type, err) != OK || start(&type, &mask, err) != OK)
		return FAILED;
	bitmap = type.gc_data;
	mask.source = POINTERS_STORED;
	if (rt->version.minor >= 24 && type.tflag & TFLAG_GC_MASK_ON_DEMAND) {
		mask.source = POINTERS_ON_DEMAND;
		/* nil until the first value of the type is allocated; while it is built, the address
		 * of a byte among the variables (runtime/type.go, inProgress) */
		if (memory_read_u64(rt->target->memory, type.gc_data, &bitmap, NULL) != OK ||
		    (bitmap >= rt->module.noptrdata && bitmap < rt->module.enoptrbss))
			bitmap = 0;
	} else if (type.gc_prog) {
		bitmap = 0;
	}
	if (!mask.words || (bitmap && memory_read(rt->target->memory, bitmap, mask.bits,
						  (mask.words + 7) / 8, NULL) == OK)) {
		mask.addr = bitmap;
		*ret = mask;
		return OK;
	}
	return pointer_mask_of_fields(rt, addr, ret, err);
}
