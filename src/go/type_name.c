#include "go/type.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/type_cache.h"

/* internal/abi/type.go. */
enum { TFLAG_UNCOMMON = 1, TFLAG_EXTRA_STAR = 2 };

/* Longer than any name that compilers make: literal struct types and instances of generics reach
 * some KB. What claims more is no name. */
enum { NAME_MAX_BYTES = 1 << 16 };

/* [types, etypes) of the largest programs is some 20 MB. */
enum { TYPES_MAX_BYTES = 1 << 30 };

enum { TYPE_SLOTS = 1024 };

/* Strings by address: open addressing, linear probing. A NULL string is a name that cannot be read:
 * asked once. */
struct strings {
	struct string_slot {
		uint64_t addr; /* 0: free */
		char *s;
	} * slots;
	size_t count, cap; /* cap: a power of two, or 0 */
};

struct name_entry {
	uint64_t hash, addr;
};

struct type_cache {
	struct type types[TYPE_SLOTS];
	struct strings names; /* by address of the abi.Name */
	struct strings type_names; /* by address of the descriptor */
	struct bytes all; /* [types, etypes) */
	uint8_t *copy;
	bool all_tried;
	struct name_entry *index; /* by hash of the type's name */
	size_t index_count;
	bool index_made;
};

static struct type_cache *cache_of(struct runtime *rt)
{
	if (!rt->types)
		rt->types = calloc(1, sizeof(*rt->types));
	return rt->types;
}

static void strings_done(struct strings *strings)
{
	for (size_t i = 0; i < strings->cap; i++)
		free(strings->slots[i].s);
	free(strings->slots);
}

void type_cache_free(struct type_cache *cache)
{
	if (!cache)
		return;
	strings_done(&cache->names);
	strings_done(&cache->type_names);
	free(cache->copy);
	free(cache->index);
	free(cache);
}

/* Fibonacci hashing: addresses differ in their middle bits. */
static size_t spread(uint64_t addr)
{
	return (size_t)(addr * 0x9e3779b97f4a7c15u >> 32);
}

static struct string_slot *strings_find(const struct strings *strings, uint64_t addr)
{
	if (!strings->cap)
		return NULL;
	size_t i = spread(addr);
	for (;; i++) {
		struct string_slot *slot = &strings->slots[i & (strings->cap - 1)];
		if (slot->addr == addr || slot->addr == 0)
			return slot;
	}
}

/* Keeps s, which the table then owns, as the string of addr; frees it where memory is out. */
static const char *strings_add(struct strings *strings, uint64_t addr, char *s)
{
	if (strings->count >= strings->cap / 2) {
		struct strings grown = {.cap = strings->cap ? strings->cap * 2 : 64};
		grown.slots = calloc(grown.cap, sizeof(*grown.slots));
		if (!grown.slots) {
			free(s);
			return NULL;
		}
		for (size_t i = 0; i < strings->cap; i++) {
			if (strings->slots[i].addr)
				*strings_find(&grown, strings->slots[i].addr) = strings->slots[i];
		}
		grown.count = strings->count;
		free(strings->slots);
		*strings = grown;
	}
	struct string_slot *slot = strings_find(strings, addr);
	*slot = (struct string_slot){addr, s};
	strings->count++;
	return s;
}

struct type *type_cache_slot(struct runtime *rt, uint64_t addr)
{
	struct type_cache *cache = cache_of(rt);
	return cache ? &cache->types[spread(addr) % TYPE_SLOTS] : NULL;
}

bool type_cache_types(struct runtime *rt, struct bytes *ret)
{
	struct type_cache *cache = cache_of(rt);
	if (!cache)
		return false;
	uint64_t start = rt->module.types, n = rt->module.etypes - start;
	if (!cache->all_tried && n <= TYPES_MAX_BYTES) {
		const void *view = memory_view(rt->target->memory, start, n);
		if (!view) {
			cache->copy = malloc(n ? n : 1);
			if (cache->copy &&
			    memory_read(rt->target->memory, start, cache->copy, n, NULL) == OK)
				view = cache->copy;
		}
		if (view)
			cache->all = bytes_of(view, n);
		cache->all_tried = true;
	}
	*ret = cache->all;
	return cache->all.pos != NULL;
}

/* Reads the abi.Name at addr: a byte of flags, a uvarint length, and that many bytes. The string is
 * the caller's; NULL where it cannot be read. */
static char *read_name(struct runtime *rt, uint64_t addr)
{
	struct memory *memory = rt->target->memory;
	uint64_t pos = addr + 1, n = 0;
	uint8_t c;
	for (unsigned shift = 0;; shift += 7) {
		if (shift > 14 || memory_read_u8(memory, pos++, &c, NULL) != OK)
			return NULL;
		n |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80))
			break;
	}
	if (n == 0 || n > NAME_MAX_BYTES)
		return NULL;
	AUTO_FREE char *s = malloc(n + 1);
	if (!s || memory_read(memory, pos, s, n, NULL) != OK || memchr(s, 0, n))
		return NULL;
	s[n] = 0;
	return TAKE(s);
}

const char *type_name_at(struct runtime *rt, uint64_t addr)
{
	struct type_cache *cache = cache_of(rt);
	if (!cache || addr == 0)
		return NULL;
	const struct string_slot *slot = strings_find(&cache->names, addr);
	if (slot && slot->addr)
		return slot->s;
	return strings_add(&cache->names, addr, read_name(rt, addr));
}

static bool in_module(const struct runtime *rt, uint64_t addr)
{
	return addr >= rt->module.types && addr < rt->module.etypes;
}

/* The name of a descriptor that the compiler made; the caller's. */
static char *read_type_name(struct runtime *rt, const struct type *type)
{
	uint64_t at = rt->module.types + (uint64_t)(int64_t)type->str;
	if (!in_module(rt, at))
		return NULL;
	char *s = read_name(rt, at);
	if (s && type->tflag & TFLAG_EXTRA_STAR && s[0] == '*')
		memmove(s, s + 1, strlen(s));
	return s;
}

/* The name of a descriptor that reflect made (MapOf, SliceOf, ...), put together from its parts as
 * reflect does: its own is in a table of reflect's. Structs and funcs have none here. The caller's. */
static char *compose_type_name(struct runtime *rt, const struct type *made)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	struct type type = *made;
	for (int depth = 0; depth < TYPE_DEPTH_MAX; depth++) {
		if (in_module(rt, type.addr)) {
			AUTO_FREE char *s = read_type_name(rt, &type);
			if (!s)
				return NULL;
			text_append(&text, s);
			return text_take(&text);
		}
		struct type key;
		AUTO_FREE char *key_name = NULL;
		switch (type.kind) {
		case KIND_POINTER:
			text_append(&text, "*");
			break;
		case KIND_SLICE:
			text_append(&text, "[]");
			break;
		case KIND_CHAN:
			text_append(&text, "chan ");
			break;
		case KIND_ARRAY:
			text_printf(&text, "[%lu]", (unsigned long)type.len);
			break;
		case KIND_MAP:
			if (!in_module(rt, type.key) || type_read(rt, type.key, &key, NULL) != OK)
				return NULL;
			key_name = read_type_name(rt, &key);
			if (!key_name)
				return NULL;
			text_printf(&text, "map[%s]", key_name);
			break;
		default:
			return NULL;
		}
		if (type_read(rt, type.elem, &type, NULL) != OK)
			return NULL;
	}
	return NULL;
}

const char *type_name(struct runtime *rt, uint64_t addr)
{
	struct type_cache *cache = cache_of(rt);
	struct type type;
	if (!cache || addr == 0)
		return NULL;
	const struct string_slot *slot = strings_find(&cache->type_names, addr);
	if (slot && slot->addr)
		return slot->s;
	char *s = NULL;
	if (type_read(rt, addr, &type, NULL) == OK)
		s = in_module(rt, addr) ? read_type_name(rt, &type) : compose_type_name(rt, &type);
	return strings_add(&cache->type_names, addr, s);
}

/* Where abi.UncommonType stands behind a descriptor (internal/abi/type.go, Uncommon). */
static uint64_t uncommon_offset(const struct runtime *rt, enum kind kind)
{
	switch (kind) {
	case KIND_STRUCT:
	case KIND_INTERFACE:
		return 80;
	case KIND_ARRAY:
		return 72;
	case KIND_CHAN:
		return 64;
	case KIND_POINTER:
	case KIND_SLICE:
	case KIND_FUNC:
		return 56;
	case KIND_MAP:
		return rt->swiss ? rt->layout.swiss_maptype.size : rt->layout.old_maptype.size;
	default:
		return 48;
	}
}

const char *type_package(struct runtime *rt, uint64_t addr)
{
	struct type type;
	uint32_t offset;
	if (!in_module(rt, addr) || type_read(rt, addr, &type, NULL) != OK || !type.named ||
	    !(type.tflag & TFLAG_UNCOMMON) ||
	    memory_read_u32(rt->target->memory, addr + uncommon_offset(rt, type.kind), &offset,
			    NULL) != OK)
		return NULL;
	uint64_t at = rt->module.types + (uint64_t)(int64_t)(int32_t)offset;
	return offset != 0 && in_module(rt, at) ? type_name_at(rt, at) : NULL;
}

/* FNV-1a. */
static uint64_t hash_name(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3u;
	return h;
}

static int compare_entries(const void *a, const void *b)
{
	const struct name_entry *x = a, *y = b;
	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* The name of a plausible descriptor, in place: hashing all names must not copy them. */
static bool name_in_place(struct runtime *rt, uint64_t addr, struct bytes *ret)
{
	struct bytes b;
	struct type type;
	uint64_t n;
	if (!type_cache_types(rt, &b) || type_read(rt, addr, &type, NULL) != OK || type.str < 0 ||
	    !bytes_skip(&b, (uint64_t)type.str + 1) || !bytes_uvarint(&b, &n) || n > bytes_left(&b))
		return false;
	*ret = bytes_of(b.pos, n);
	if (type.tflag & TFLAG_EXTRA_STAR && n > 0 && ret->pos[0] == '*')
		ret->pos++;
	return true;
}

static void make_index(struct runtime *rt, struct type_cache *cache)
{
	size_t cap = 0;
	cache->index_made = true;
	for (uint64_t addr = 0; type_next(rt, addr, KIND_INVALID, &addr);) {
		struct bytes name;
		if (!name_in_place(rt, addr, &name))
			continue;
		struct name_entry entry = {hash_name((const char *)name.pos, bytes_left(&name)),
					   addr};
		if (!ARRAY_PUSH(cache->index, cache->index_count, cap, entry))
			break;
	}
	if (cache->index_count)
		qsort(cache->index, cache->index_count, sizeof(*cache->index), compare_entries);
}

bool type_by_name(struct runtime *rt, const char *name, uint64_t *ret)
{
	struct type_cache *cache = cache_of(rt);
	if (!cache)
		return false;
	if (!cache->index_made)
		make_index(rt, cache);
	size_t n = strlen(name), lo = 0, hi = cache->index_count;
	uint64_t hash = hash_name(name, n);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (cache->index[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < cache->index_count && cache->index[lo].hash == hash; lo++) {
		struct bytes found;
		if (name_in_place(rt, cache->index[lo].addr, &found) && bytes_left(&found) == n &&
		    memcmp(found.pos, name, n) == 0) {
			*ret = cache->index[lo].addr;
			return true;
		}
	}
	return false;
}
