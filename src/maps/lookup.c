#include "maps/lookup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "go/format.h"
#include "maps/entry.h"
#include "maps/hash.h"
#include "maps/internal.h"
#include "maps/libgomap.h"

/* Longest key that is looked up: a map stores larger ones by pointer, and hashes what it points to. */
enum { KEY_SIZE_MAX = 1 << 16 };

/* The key that is looked for. */
struct wanted {
	enum kind kind;
	uint8_t scalar[8]; /* numbers and bools */
	struct text string; /* strings: the bytes themselves */
	uint64_t slot; /* others: the slot that holds it */
};

struct finder {
	struct runtime *rt;
	const struct map *map;
	struct wanted wanted;
	struct lookup *lookup;
	uint8_t container[CONTAINER_SIZE_MAX];
};

void lookup_done(struct lookup *lookup)
{
	free(lookup->steps);
	*lookup = (struct lookup){0};
}

/* A number in text as the bytes of a key of this type; false when it is none or does not fit. */
static bool parse_scalar(const struct type *type, const char *text, uint8_t ret[8])
{
	char *end = NULL;
	uint64_t bits;
	unsigned size = (unsigned)type->size;
	errno = 0;
	switch (type->kind) {
	case KIND_BOOL:
		bits = strcmp(text, "true") == 0;
		if (!bits && strcmp(text, "false") != 0)
			return false;
		break;
	case KIND_INT ... KIND_INT64: {
		long long value = strtoll(text, &end, 0);
		bits = (uint64_t)value;
		if (size < 8 && (value < -(INT64_C(1) << (size * 8 - 1)) ||
				 value >= INT64_C(1) << (size * 8 - 1)))
			return false;
		break;
	}
	case KIND_FLOAT32: {
		float value = strtof(text, &end);
		memcpy(ret, &value, sizeof(value));
		return end != text && !*end;
	}
	case KIND_FLOAT64: {
		double value = strtod(text, &end);
		memcpy(ret, &value, sizeof(value));
		return end != text && !*end;
	}
	default:
		if (strchr(text, '-'))
			return false;
		bits = strtoull(text, &end, 0);
		if (size < 8 && bits >> size * 8)
			return false;
		break;
	}
	memcpy(ret, &bits, 8);
	return !errno && (!end || (end != text && !*end));
}

static bool is_scalar(enum kind kind)
{
	return kind >= KIND_BOOL && kind <= KIND_FLOAT64;
}

/* Whether the key at addr reads as text. */
static bool key_reads(struct finder *f, uint64_t addr, const char *text, struct text *scratch)
{
	text_clear(scratch);
	return map_key_text(f->rt, f->map, addr, NULL, scratch) && strcmp(scratch->s, text) == 0;
}

/* The entry whose key reads as text, by a walk over all. */
static enum status find_by_text(struct finder *f, const char *text, struct map_entry *ret,
				struct error *err)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text scratch = TEXT_INIT;
	if (map_walk_new(f->rt, f->map, &walk, err) != OK)
		return FAILED;
	while (map_walk_next(walk, ret)) {
		if (key_reads(f, ret->key, text, &scratch))
			return OK;
	}
	return error_set(
		err, ERROR_NOT_FOUND,
		"no key of the map reads %.100s, and keys of this type cannot be made from "
		"text",
		text);
}

/* The string that text, quoted or not, stands for. */
static enum status take_string(struct wanted *w, const char *text, struct error *err)
{
	if (!format_unquote(&w->string, text))
		text_append(&w->string, text);
	return w->string.failed ? error_nomem(err) : OK;
}

static enum status not_a_key(struct finder *f, const char *text, struct error *err)
{
	const char *name = map_type_name(f->rt, f->map);
	return error_set(err, ERROR_FORMAT, "%.100s is no key of %.100s", text,
			 name ? name : "this map");
}

static enum status hash_wanted_go(struct finder *f, const char *text, struct error *err)
{
	AUTO_HASHER struct hasher *hasher = NULL;
	const struct hash_plan *plan;
	struct wanted *w = &f->wanted;
	const struct map_type *t = &f->map->type;
	uint64_t seed = f->map->design == MAP_HMAP ? f->map->hash0 : f->map->seed;
	struct type key;
	if (type_read(f->rt, t->type.key, &key, err) != OK ||
	    hasher_new(f->rt, &hasher, err) != OK || hasher_plan(hasher, t, &plan, err) != OK)
		return FAILED;
	w->kind = key.kind;
	if (key.kind == KIND_STRING) {
		if (take_string(w, text, err) != OK)
			return FAILED;
		f->lookup->hash = memhash(hasher_keys(hasher), w->string.s, w->string.len, seed);
		return OK;
	}
	AUTO_FREE uint8_t *bytes = malloc(KEY_SIZE_MAX);
	if (!bytes)
		return error_nomem(err);
	if (is_scalar(key.kind)) {
		if (!parse_scalar(&key, text, w->scalar))
			return not_a_key(f, text, err);
		memcpy(bytes, w->scalar, 8);
	} else {
		struct map_entry entry;
		if (key.size > KEY_SIZE_MAX)
			return error_set(err, ERROR_UNSUPPORTED, "keys of %" PRIu64 " bytes",
					 key.size);
		if (find_by_text(f, text, &entry, err) != OK ||
		    memory_read(f->rt->target->memory, entry.key, bytes, key.size, err) != OK)
			return FAILED;
		w->slot = entry.slot;
	}
	if (hash_key(hasher, plan, bytes, seed, &f->lookup->hash) != HASH_OK)
		return error_set(err, ERROR_UNSUPPORTED, "no hash can be computed for %.100s",
				 text);
	return OK;
}

static enum status hash_wanted_library(struct finder *f, const char *text, struct error *err)
{
	const struct libgomap *library = f->map->library;
	struct wanted *w = &f->wanted;
	struct type key = {0};
	if (libgomap_key_kind(library, text, &key, err) != OK)
		return error_prefix(err, "no lookup");
	w->kind = key.kind;
	if (key.kind == KIND_STRING) {
		if (take_string(w, text, err) != OK)
			return FAILED;
		f->lookup->hash = libgomap_hash_bytes(library, w->string.s, w->string.len);
		return OK;
	}
	if (!parse_scalar(&key, text, w->scalar))
		return not_a_key(f, text, err);
	(void)libgomap_hash_key(library, w->scalar, &f->lookup->hash); /* key_kind has seen to it */
	return OK;
}

static enum status hash_wanted(struct finder *f, const char *text, struct error *err)
{
	return f->map->library ? hash_wanted_library(f, text, err) : hash_wanted_go(f, text, err);
}

/* Whether the key at addr, of the slot at slot, is the one. */
static bool key_is_wanted(struct finder *f, uint64_t addr, uint64_t slot)
{
	struct memory *memory = f->rt->target->memory;
	const struct wanted *w = &f->wanted;
	uint8_t b[16];
	if (w->kind == KIND_STRING) {
		if (memory_read(memory, addr, b, 16, NULL) != OK ||
		    load_u64(b + 8) != w->string.len)
			return false;
		AUTO_FREE char *s = malloc(w->string.len + 1);
		return s && memory_read(memory, load_u64(b), s, w->string.len, NULL) == OK &&
		       memcmp(s, w->string.s, w->string.len) == 0;
	}
	if (!is_scalar(w->kind))
		return slot == w->slot;
	uint64_t size = f->map->type.key_size;
	if (size > 8 || memory_read(memory, addr, b, size, NULL) != OK)
		return false;
	float x, y;
	double u, v;
	switch (w->kind) { /* +0 and -0 are the same key, a NaN is none */
	case KIND_FLOAT32:
		memcpy(&x, b, sizeof(x));
		memcpy(&y, w->scalar, sizeof(y));
		return x == y;
	case KIND_FLOAT64:
		memcpy(&u, b, sizeof(u));
		memcpy(&v, w->scalar, sizeof(v));
		return u == v;
	default:
		return memcmp(b, w->scalar, size) == 0;
	}
}

/* Reads the container at addr and looks at its slots; adds the step. */
static enum status visit(struct finder *f, uint64_t addr, uint64_t number, unsigned chain,
			 struct error *err)
{
	struct lookup *l = f->lookup;
	const struct map *map = f->map;
	if (l->count == LOOKUP_STEPS_MAX)
		return error_at(err, ERROR_LIMIT, addr, "the lookup does not end");
	if (memory_read(f->rt->target->memory, addr, f->container, map_container_size(map), err) !=
	    OK)
		return error_prefix(err, "the lookup goes to 0x%" PRIx64, addr);
	struct lookup_step *step = &l->steps[l->count++];
	*step = (struct lookup_step){.addr = addr, .number = number, .chain = chain, .slot = -1};
	memcpy(step->tags, f->container, MAP_SLOTS);
	for (unsigned i = 0; i < MAP_SLOTS && !step->ends && !l->found; i++) {
		uint8_t tag = f->container[i];
		uint64_t key, elem;
		if (map->design == MAP_HMAP && tag == TOPHASH_EMPTY_REST)
			step->ends = true;
		if (tag != l->tag || !map_slot_full(map, f->container, i))
			continue;
		step->match |= (uint8_t)(1 << i);
		map_slot_offsets(map, i, &key, &elem);
		struct map_entry e = {
			.key = map->type.indirect_key ? load_u64(f->container + key) : addr + key,
			.elem = map->type.indirect_elem ? load_u64(f->container + elem)
							: addr + elem,
			.slot = addr + key,
			.container = addr,
			.index = i,
			.tag = tag,
			.bucket = number,
			.chain = chain,
			.old = l->in_old,
		};
		if (key_is_wanted(f, e.key, e.slot)) {
			step->slot = (int8_t)i;
			l->found = true;
			l->entry = e;
		}
	}
	if (map->design == MAP_SWISS && !l->found)
		for (unsigned i = 0; i < MAP_SLOTS; i++)
			step->ends |= f->container[i] == CTRL_EMPTY;
	return OK;
}

static enum status follow_hmap(struct finder *f, struct error *err)
{
	const struct map *map = f->map;
	struct lookup *l = f->lookup;
	uint64_t size = map->type.bucket_size, array = map->buckets;
	bool moved;
	if (!array || map->b >= 47)
		return OK;
	l->start = l->hash & ((UINT64_C(1) << map->b) - 1);
	if (map->growing) {
		uint64_t old = l->hash & (hmap_old_count(map) - 1);
		if (hmap_has_moved(f->rt, map, old, &moved, err) != OK)
			return FAILED;
		if (!moved) {
			l->in_old = true;
			l->start = old;
			array = map->old_buckets;
		}
	}
	uint64_t addr = array + l->start * size;
	for (unsigned chain = 0; addr && !l->found; chain++) {
		if (visit(f, addr, l->start, chain, err) != OK)
			return FAILED;
		if (l->steps[l->count - 1].ends)
			break;
		addr = load_u64(f->container + size - 8);
	}
	return OK;
}

static enum status follow_swiss(struct finder *f, struct error *err)
{
	const struct map *map = f->map;
	struct lookup *l = f->lookup;
	struct swiss_table table;
	if (!map->dir_ptr)
		return OK;
	if (!map->dir_len) {
		l->groups = 1;
		return visit(f, map->dir_ptr, 0, 0, err);
	}
	l->directory_index = map->dir_len == 1 ? 0 : l->hash >> (map->global_shift & 63);
	if (l->directory_index >= map->dir_len)
		return error_at(err, ERROR_FORMAT, map->addr,
				"the hash leads to entry %" PRIu64 " of a directory of %" PRIu64,
				l->directory_index, map->dir_len);
	if (memory_read_u64(f->rt->target->memory, map->dir_ptr + 8 * l->directory_index, &l->table,
			    err) != OK ||
	    swiss_table_read(f->rt, l->table, &table, err) != OK)
		return error_prefix(err, "the directory's entry %" PRIu64, l->directory_index);
	if (table.mask & (table.mask + 1) || table.mask >= TABLE_GROUPS_MAX)
		return error_at(err, ERROR_FORMAT, l->table, "a table of %" PRIu64 " groups",
				table.mask + 1);
	l->groups = table.mask + 1;
	l->start = (l->hash >> 7) & table.mask;
	uint64_t at = l->start;
	for (uint64_t step = 1; step <= l->groups && !l->found; step++) {
		if (visit(f, table.groups + at * map->type.group_size, at, 0, err) != OK)
			return FAILED;
		if (l->steps[l->count - 1].ends)
			break;
		at = (at + step) & table.mask;
	}
	return OK;
}

enum status map_lookup(struct runtime *rt, const struct map *map, const char *key,
		       struct lookup *ret, struct error *err)
{
	AUTO_FREE struct finder *f = calloc(1, sizeof(*f));
	struct lookup lookup = {.steps = calloc(LOOKUP_STEPS_MAX, sizeof(*lookup.steps))};
	if (!f || !lookup.steps) {
		lookup_done(&lookup);
		return error_nomem(err);
	}
	f->rt = rt;
	f->map = map;
	f->lookup = &lookup;
	f->wanted.string = (struct text)TEXT_INIT;
	enum status status = hash_wanted(f, key, err);
	if (status == OK) {
		lookup.tag = map_tag(map, lookup.hash);
		status = map->design == MAP_HMAP ? follow_hmap(f, err) : follow_swiss(f, err);
	}
	text_done(&f->wanted.string);
	if (status == OK)
		*ret = lookup;
	else
		lookup_done(&lookup);
	return status;
}
