#include "maps/map.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "maps/internal.h"

/* Addresses of user space end here on both machines (amd64 with 4 levels of pages, Go's own limit:
 * runtime/malloc.go, heapAddrBits). */
enum { ADDRESS_BITS = 48 };

/* A walk that stays below this many bytes is not held against the size of the target's memory. */
static const uint64_t BUDGET_UNASKED = 64 << 20;

/* Bytes that the target's memory has in all. */
static uint64_t memory_total(struct memory *memory)
{
	struct memory_range r;
	uint64_t total = 0;
	for (uint64_t a = 0; memory_range_at(memory, a, &r); a = r.end)
		total += r.end - r.start;
	return total;
}

/* Whether the 8 slots of size bytes each, stride apart from off on, lie inside a container. */
static bool slots_fit(uint64_t off, uint64_t stride, uint64_t size, uint64_t container)
{
	return off >= MAP_SLOTS && off <= container && stride <= container && size <= container &&
	       off + (MAP_SLOTS - 1) * stride + size <= container;
}

bool map_type_fits(const struct runtime *rt, const struct map_type *t, struct error *err)
{
	if (t->slot_key_size != (t->indirect_key ? 8 : t->key_size) ||
	    t->slot_elem_size != (t->indirect_elem ? 8 : t->elem_size))
		return error_at(err, ERROR_FORMAT, t->type.addr,
				"map type: its slots do not fit its key and element types") == OK;
	if (rt->swiss) {
		if (t->group_size <= CONTAINER_SIZE_MAX &&
		    slots_fit(t->keys_off, t->key_stride, t->slot_key_size, t->group_size) &&
		    slots_fit(t->elems_off, t->elem_stride, t->slot_elem_size, t->group_size))
			return true;
		return error_at(err, ERROR_FORMAT, t->type.addr,
				"map type: a group of %" PRIu64 " bytes cannot hold its slots",
				t->group_size) == OK;
	}
	if (t->bucket_size <= CONTAINER_SIZE_MAX && t->slot_key_size <= CONTAINER_SIZE_MAX &&
	    t->slot_elem_size <= CONTAINER_SIZE_MAX &&
	    MAP_SLOTS * (1 + t->slot_key_size + t->slot_elem_size) + 8 <= t->bucket_size)
		return true;
	return error_at(err, ERROR_FORMAT, t->type.addr,
			"map type: a bucket of %" PRIu64 " bytes cannot hold its slots",
			t->bucket_size) == OK;
}

static void read_hmap(const struct layout *layout, const uint8_t *h, struct map *map)
{
	map->count = load_u64(h + layout->hmap.count);
	map->flag = h[layout->hmap.flags];
	map->writing = map->flag & HMAP_WRITING;
	map->b = h[layout->hmap.b];
	map->noverflow = load_u16(h + layout->hmap.noverflow);
	map->hash0 = load_u32(h + layout->hmap.hash0);
	map->buckets = load_u64(h + layout->hmap.buckets);
	map->old_buckets = load_u64(h + layout->hmap.oldbuckets);
	map->nevacuate = load_u64(h + layout->hmap.nevacuate);
	map->extra = load_u64(h + layout->hmap.extra);
	map->growing = map->old_buckets != 0;
	if (layout->hmap.clear_seq != LAYOUT_NONE)
		map->clear_seq = load_u64(h + layout->hmap.clear_seq);
}

static void read_swiss(const struct layout *layout, const uint8_t *h, struct map *map)
{
	map->count = load_u64(h + layout->map.used);
	map->seed = load_u64(h + layout->map.seed);
	map->dir_ptr = load_u64(h + layout->map.dir_ptr);
	map->dir_len = load_u64(h + layout->map.dir_len);
	map->global_depth = h[layout->map.global_depth];
	map->global_shift = h[layout->map.global_shift];
	map->flag = h[layout->map.writing];
	map->writing = map->flag != 0;
	map->clear_seq = load_u64(h + layout->map.clear_seq);
	/* Before 1.25 there was no such field, and tombstones were always possible. */
	map->tombstone_possible = layout->map.tombstone_possible == LAYOUT_NONE ||
				  h[layout->map.tombstone_possible];
}

static enum status read_header(struct runtime *rt, const struct map_type *type, uint64_t addr,
			       struct map *ret, struct error *err)
{
	struct map map = {
		.addr = addr,
		.design = rt->swiss ? MAP_SWISS : MAP_HMAP,
		.type = *type,
	};
	/* hmap is 48 or 56 bytes, Map is 48; a layout from DWARF may say anything. */
	uint8_t header[256];
	uint16_t size = rt->swiss ? rt->layout.map.size : rt->layout.hmap.size;
	if (size < 48 || size > sizeof(header))
		return error_set(err, ERROR_UNSUPPORTED, "a map header of %u bytes", size);
	if (memory_read(rt->target->memory, addr, header, size, err) != OK)
		return error_prefix(err, "map header 0x%" PRIx64, addr);
	if (rt->swiss)
		read_swiss(&rt->layout, header, &map);
	else
		read_hmap(&rt->layout, header, &map);
	*ret = map;
	return OK;
}

enum status map_open(struct runtime *rt, uint64_t type, uint64_t addr, struct map *ret,
		     struct error *err)
{
	struct map_type t = {0};
	if (!type)
		return read_header(rt, &t, addr, ret, err);
	if (type_read_map(rt, type, &t, err) != OK)
		return error_prefix(err, "map type 0x%" PRIx64, type);
	return map_open_as(rt, &t, addr, ret, err);
}

enum status map_open_as(struct runtime *rt, const struct map_type *type, uint64_t addr,
			struct map *ret, struct error *err)
{
	if (!map_type_fits(rt, type, err))
		return FAILED;
	return read_header(rt, type, addr, ret, err);
}

/*
 * What no interleaving of racing writers can bring about.
 *
 * Racing writers lose each other's updates of count and of the flag byte, grow a map twice, and leave
 * the fields of one growth standing beside those of another. But each field is written whole (Go's
 * stores of words and bytes do not tear), only with values that one of them computed, so alignment, the
 * set of possible flag bits, and what is written before a map or an entry becomes visible hold for ever.
 */

/* A word that must be a pointer to heap or stack memory, and cannot be one. */
static const char *bad_pointer(struct runtime *rt, uint64_t p)
{
	const struct module *m = &rt->module;
	if (p & 7)
		return "not aligned to 8 bytes";
	if (p >> (ADDRESS_BITS - 1))
		return "no address of user space";
	if (m->noptrdata < m->enoptrbss && p >= m->noptrdata && p < m->enoptrbss)
		return "in the program's global data, where no map lies";
	enum origin origin = memory_origin(rt->target->memory, p);
	if (origin == ORIGIN_FILE)
		return "in the executable's read-only bytes";
	/* Only a whole core or a process shows that there is no such memory. */
	if (origin == ORIGIN_NONE && !rt->target->truncated &&
	    rt->target->kind != TARGET_EXECUTABLE)
		return "no memory of the program";
	return NULL;
}

/* Racing decrements take a count below 0, one at a time. More entries than memory has bytes cannot
 * be: each entry has at least its tag. */
static bool bad_count(struct runtime *rt, uint64_t count)
{
	int64_t n = (int64_t)count;
	if (n < 0)
		return n < -(INT64_C(1) << 32);
	if (n < 1 << 20 || rt->target->truncated || rt->target->kind == TARGET_EXECUTABLE)
		return n >> (ADDRESS_BITS - 1);
	return count > memory_total(rt->target->memory);
}

static bool hmap_contradiction(struct runtime *rt, const struct map *map, char text[200])
{
	enum { KNOWN = HMAP_ITERATOR | HMAP_OLD_ITERATOR | HMAP_WRITING | HMAP_SAME_SIZE_GROW };
	const char *why;
	if (map->flag & ~KNOWN)
		snprintf(text, 200, "flags is 0x%02x: bits that Go does not know are set",
			 map->flag);
	else if (map->b >= ADDRESS_BITS || map->type.bucket_size >> (ADDRESS_BITS - map->b))
		snprintf(text, 200,
			 "B is %u: 2^%u buckets of %" PRIu64
			 " bytes each are more than an address space holds",
			 map->b, map->b, map->type.bucket_size);
	else if (bad_count(rt, map->count))
		snprintf(text, 200, "count is %" PRId64 ": more than memory can hold",
			 (int64_t)map->count);
	else if (!map->buckets && map->b)
		snprintf(text, 200, "buckets is nil although B is %u", map->b);
	else if (!map->buckets && map->count)
		snprintf(text, 200, "buckets is nil although count is %" PRId64,
			 (int64_t)map->count);
	else if (!map->buckets && map->old_buckets)
		snprintf(text, 200, "oldbuckets is 0x%" PRIx64 " although buckets is nil",
			 map->old_buckets);
	else if (map->nevacuate >> ADDRESS_BITS)
		snprintf(text, 200, "nevacuate is %" PRIu64 ": no map has so many buckets",
			 map->nevacuate);
	else if (map->buckets && (why = bad_pointer(rt, map->buckets)))
		snprintf(text, 200, "buckets is 0x%" PRIx64 ": %s", map->buckets, why);
	else if (map->old_buckets && (why = bad_pointer(rt, map->old_buckets)))
		snprintf(text, 200, "oldbuckets is 0x%" PRIx64 ": %s", map->old_buckets, why);
	else if (map->extra && (why = bad_pointer(rt, map->extra)))
		snprintf(text, 200, "extra is 0x%" PRIx64 ": %s", map->extra, why);
	else
		return false;
	return true;
}

/* A small map has one group of 8; racing inserts into it may each count once too often, but not by
 * tens of thousands: a ninth entry makes it a map with tables. */
enum { SMALL_USED_MAX = 1 << 16 };

static bool swiss_contradiction(struct runtime *rt, const struct map *map, char text[200])
{
	const char *why;
	if (map->flag & ~1)
		snprintf(text, 200, "writing is %u: Go only toggles its lowest bit", map->flag);
	else if (map->dir_len & (map->dir_len - 1))
		snprintf(text, 200, "dirLen is %" PRIu64 ": not a power of two", map->dir_len);
	else if (map->dir_len >> (ADDRESS_BITS - 3))
		snprintf(text, 200, "dirLen is %" PRIu64 ": more than an address space holds",
			 map->dir_len);
	else if (map->global_depth > 64 || map->global_shift > 64)
		snprintf(text, 200, "globalDepth is %u and globalShift is %u: a hash has 64 bits",
			 map->global_depth, map->global_shift);
	else if (bad_count(rt, map->count))
		snprintf(text, 200, "used is %" PRId64 ": more than memory can hold",
			 (int64_t)map->count);
	else if (!map->dir_ptr && map->dir_len)
		snprintf(text, 200, "dirPtr is nil although dirLen is %" PRIu64, map->dir_len);
	else if (!map->dir_ptr && map->count)
		snprintf(text, 200, "dirPtr is nil although used is %" PRId64, (int64_t)map->count);
	else if (!map->dir_len && (int64_t)map->count > SMALL_USED_MAX)
		snprintf(text, 200, "used is %" PRIu64 " in a small map of one group", map->count);
	else if (map->dir_ptr && (why = bad_pointer(rt, map->dir_ptr)))
		snprintf(text, 200, "dirPtr is 0x%" PRIx64 ": %s", map->dir_ptr, why);
	else
		return false;
	return true;
}

bool map_contradiction(struct runtime *rt, const struct map *map, char text[200])
{
	if (map->design == MAP_HMAP)
		return hmap_contradiction(rt, map, text);
	return swiss_contradiction(rt, map, text);
}

enum status map_walk_new(struct runtime *rt, const struct map *map, struct map_walk **ret,
			 struct error *err)
{
	struct map_walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return error_nomem(err);
	walk->rt = rt;
	walk->map = *map;
	walk->complete = true;
	walk->budget = BUDGET_UNASKED;
	walk->slot = MAP_SLOTS;
	enum status status = map->design == MAP_HMAP ? hmap_walk_start(walk, err)
						     : swiss_walk_start(walk, err);
	if (status != OK) {
		map_walk_free(walk);
		return FAILED;
	}
	*ret = walk;
	return OK;
}

void map_walk_free(struct map_walk *walk)
{
	if (!walk)
		return;
	if (walk->map.design == MAP_HMAP)
		hmap_walk_done(walk);
	else
		swiss_walk_done(walk);
	free(walk);
}

bool map_walk_complete(const struct map_walk *walk)
{
	return walk->complete;
}

void map_walk_trouble(struct map_walk *walk, enum check_kind kind, uint64_t addr, const char *fmt,
		      ...)
{
	char text[180];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	walk->complete = false;
	if (walk->report)
		check_add(walk->report, kind, addr, "%s", text);
	else
		notes_add(walk->rt->notes, "maps", addr, "map 0x%" PRIx64 ": %s", walk->map.addr,
			  text);
}

bool map_walk_spend(struct map_walk *walk, uint64_t n)
{
	if (walk->stopped)
		return false;
	/* Containers do not overlap, so a walk cannot read more than there is. */
	if (n > walk->budget - walk->spent && walk->budget == BUDGET_UNASKED) {
		uint64_t total = memory_total(walk->rt->target->memory);
		if (total > walk->budget)
			walk->budget = total;
	}
	if (n > walk->budget - walk->spent) {
		map_walk_trouble(walk, CHECK_CHAIN, walk->map.addr,
				 "its links lead through the same memory again and again: "
				 "given up after %" PRIu64 " bytes",
				 walk->spent);
		walk->stopped = true;
		return false;
	}
	walk->spent += n;
	return true;
}

bool map_walk_container(struct map_walk *walk, struct container *ret)
{
	if (walk->stopped)
		return false;
	if (walk->map.design == MAP_HMAP)
		return hmap_walk_container(walk, ret);
	return swiss_walk_container(walk, ret);
}

void map_slot_offsets(const struct map *map, unsigned i, uint64_t *ret_key, uint64_t *ret_elem)
{
	const struct map_type *t = &map->type;
	if (map->design == MAP_HMAP) {
		*ret_key = MAP_SLOTS + i * t->slot_key_size;
		*ret_elem = MAP_SLOTS + MAP_SLOTS * t->slot_key_size + i * t->slot_elem_size;
	} else {
		*ret_key = t->keys_off + i * t->key_stride;
		*ret_elem = t->elems_off + i * t->elem_stride;
	}
}

void map_walk_entry(const struct map_walk *walk, const struct container *c, unsigned i,
		    struct map_entry *ret)
{
	const struct map_type *t = &walk->map.type;
	uint64_t key, elem;
	map_slot_offsets(&walk->map, i, &key, &elem);
	*ret = (struct map_entry){
		.key = c->addr + key,
		.elem = c->addr + elem,
		.key_bytes = c->bytes + key,
		.elem_bytes = c->bytes + elem,
		.slot = c->addr + key,
		.container = c->addr,
		.index = i,
		.tag = c->bytes[i],
		.bucket = c->number,
		.chain = c->chain,
		.old = c->old,
	};
	if (t->indirect_key) {
		ret->key = load_u64(c->bytes + key);
		ret->key_bytes = NULL;
	}
	if (t->indirect_elem) {
		ret->elem = load_u64(c->bytes + elem);
		ret->elem_bytes = NULL;
	}
}

bool map_walk_next(struct map_walk *walk, struct map_entry *ret)
{
	for (;;) {
		while (walk->slot < MAP_SLOTS) {
			unsigned i = walk->slot++;
			if (map_slot_full(&walk->map, walk->container.bytes, i)) {
				map_walk_entry(walk, &walk->container, i, ret);
				return true;
			}
		}
		if (!map_walk_container(walk, &walk->container))
			return false;
		walk->slot = 0;
	}
}

/* Number of overflow buckets. Exact with less than 2^16 buckets; above, Go counts one in 2^(B-15)
 * (runtime/map.go, incrnoverflow), and so do we. */
static uint64_t overflow_count(const struct map *map)
{
	return map->b < 16 ? map->noverflow : (uint64_t)map->noverflow << (map->b - 15);
}

static uint64_t hmap_bytes(struct runtime *rt, const struct map *map)
{
	uint64_t total = rt->layout.hmap.size;
	if (map->b > 40) /* a map_contradiction; and no sum below may overflow */
		return 0;
	if (map->buckets) {
		uint64_t n = UINT64_C(1) << map->b, spare = map->b >= 4 ? n >> 4 : 0;
		uint64_t overflow = overflow_count(map);
		/* makeBucketArray lays spare overflow buckets behind the main ones. */
		n += overflow > spare ? overflow : spare;
		total += n * map->type.bucket_size;
	}
	if (map->old_buckets)
		total += hmap_old_count(map) * map->type.bucket_size;
	if (map->extra)
		total += rt->layout.mapextra.size;
	return total;
}

static uint64_t swiss_bytes(struct runtime *rt, const struct map *map)
{
	uint64_t total = rt->layout.map.size;
	if (!map->dir_ptr)
		return total;
	if (!map->dir_len)
		return total + map->type.group_size;
	uint64_t last = 0;
	for (uint64_t i = 0; i < map->dir_len; i++) {
		struct swiss_table table;
		uint64_t addr;
		if (memory_read_u64(rt->target->memory, map->dir_ptr + 8 * i, &addr, NULL) != OK)
			return 0;
		if (addr == last)
			continue;
		if (swiss_table_read(rt, addr, &table, NULL) != OK ||
		    table.mask >= TABLE_GROUPS_MAX)
			return 0;
		total += rt->layout.table.size + (table.mask + 1) * map->type.group_size;
		last = addr;
	}
	return total + 8 * map->dir_len;
}

uint64_t map_bytes(struct runtime *rt, const struct map *map)
{
	char text[200];
	if (map_contradiction(rt, map, text))
		return 0;
	uint64_t total = map->design == MAP_HMAP ? hmap_bytes(rt, map) : swiss_bytes(rt, map);
	if (!total || (int64_t)map->count < 0)
		return total;
	if (map->type.indirect_key)
		total += map->count * map->type.key_size;
	if (map->type.indirect_elem)
		total += map->count * map->type.elem_size;
	return total;
}
