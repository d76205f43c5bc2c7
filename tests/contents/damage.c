/*
 * Damages one thing in the memory of a core at a time, and holds the check of the map against it: it
 * must name that damage, at its place. usage: contents_damage TARGET EXE <LISTING
 *
 * LISTING is what tests/programs/contents printed. Each damage is done on a copy of the bytes that is
 * laid over the core, and undone afterwards.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "maps/internal.h"

/* Bytes laid over the target: the first changed bytes of them are undone by restore. */
struct overlay {
	uint8_t *bytes, *before;
	uint64_t addr;
	size_t size;
};

static struct runtime *rt;
static unsigned passed, failed;

/* All bytes that were ever laid: they stay part of the target until the process ends. */
static uint8_t **laid;
static size_t laid_count, laid_cap;

static void fatal(const char *what)
{
	fprintf(stderr, "contents_damage: %s\n", what);
	exit(2);
}

static struct overlay lay(uint64_t addr, size_t size)
{
	struct overlay o = {malloc(size), malloc(size), addr, size};
	struct memory_range range = {addr, addr + size, ORIGIN_CORE, true, false};
	if (!o.bytes || !o.before || !ARRAY_PUSH(laid, laid_count, laid_cap, o.bytes) ||
	    memory_read(rt->target->memory, addr, o.bytes, size, NULL) != OK ||
	    memory_add_bytes(rt->target->memory, &range, o.bytes, NULL) != OK)
		fatal("cannot lay bytes over the core");
	memcpy(o.before, o.bytes, size);
	return o;
}

static void restore(struct overlay *o)
{
	memcpy(o->bytes, o->before, o->size);
	free(o->before);
}

static void put(struct overlay *o, uint64_t addr, const void *p, size_t n)
{
	memcpy(o->bytes + (addr - o->addr), p, n);
}

static void put_u8(struct overlay *o, uint64_t addr, uint8_t v)
{
	put(o, addr, &v, 1);
}

static void put_u64(struct overlay *o, uint64_t addr, uint64_t v)
{
	put(o, addr, &v, 8);
}

/* Checks the map and wants a finding of a kind at addr (0: anywhere). */
static void expect(const struct map *at, enum check_kind kind, uint64_t addr, const char *what)
{
	struct check_report report;
	struct map map;
	struct error err;
	if (map_open(rt, at->type.type.addr, at->addr, &map, &err) != OK ||
	    map_check(rt, &map, &report, &err) != OK)
		fatal(err.text);
	bool found = false;
	for (size_t i = 0; i < report.count; i++)
		found |= report.list[i].kind == kind && (!addr || report.list[i].addr == addr);
	if (found && report.hashes_checked) {
		passed++;
	} else {
		failed++;
		printf("FAILED: %s: no finding of kind %d at 0x%" PRIx64 "%s%s\n", what, kind, addr,
		       report.hashes_checked ? "" : ", hashes not checked: ", report.why_not);
		for (size_t i = 0; i < report.count && i < 5; i++)
			printf("\t%d 0x%" PRIx64 " %s\n", report.list[i].kind, report.list[i].addr,
			       report.list[i].text);
	}
	check_report_done(&report);
}

/* The first container of the map that has at least full slots in use and free ones not; the copy of
 * its bytes is the caller's to free. */
static struct container find_container(const struct map *map, unsigned full, unsigned free_slots)
{
	struct map_walk *walk;
	struct container c;
	if (map_walk_new(rt, map, &walk, NULL) != OK)
		fatal("no walk");
	while (map_walk_container(walk, &c)) {
		unsigned n = 0;
		for (unsigned i = 0; i < MAP_SLOTS; i++)
			n += map_slot_full(map, c.bytes, i);
		if (n >= full && MAP_SLOTS - n >= free_slots && !c.old) {
			map_walk_free(walk);
			c.bytes = NULL;
			return c;
		}
	}
	fatal("no container with as many entries");
	return c;
}

static unsigned find_slot(const struct map *map, const struct overlay *o, bool full)
{
	for (unsigned i = 0; i < MAP_SLOTS; i++) {
		if (map_slot_full(map, o->bytes, i) == full)
			return i;
	}
	fatal("no such slot");
	return 0;
}

static uint64_t key_addr(const struct map *map, uint64_t container, unsigned i)
{
	const struct map_type *t = &map->type;
	if (map->design == MAP_HMAP)
		return container + MAP_SLOTS + i * t->slot_key_size;
	return container + t->keys_off + i * t->key_stride;
}

static uint64_t container_size(const struct map *map)
{
	return map->design == MAP_HMAP ? map->type.bucket_size : map->type.group_size;
}

static struct overlay lay_header(const struct map *map)
{
	return lay(map->addr, map->design == MAP_HMAP ? rt->layout.hmap.size : rt->layout.map.size);
}

/* A key that belongs into another bucket than number, or into another table than the first half of the
 * directory has, if word stands in that half, and the other way round. */
static uint64_t foreign_key(const struct map *map, uint64_t number, uint64_t word)
{
	struct error err;
	AUTO_HASHER struct hasher *hasher = NULL;
	const struct hash_plan *plan;
	uint64_t own, other, key = word;
	if (hasher_new(rt, &hasher, &err) != OK ||
	    hasher_plan(hasher, &map->type, &plan, &err) != OK)
		fatal(err.text);
	uint64_t seed = map->design == MAP_HMAP ? map->hash0 : map->seed;
	(void)hash_key(hasher, plan, &word, seed, &own);
	do {
		key++;
		(void)hash_key(hasher, plan, &key, seed, &other);
	} while (map->design == MAP_HMAP ? (other & ((UINT64_C(1) << map->b) - 1)) == number
					 : (own ^ other) >> 63 == 0);
	return key;
}

/* Damages that both designs can take. The map's keys are plain words. */
static void damage_any(const struct map *map)
{
	bool hmap = map->design == MAP_HMAP;
	struct overlay h = lay_header(map);
	put_u64(&h, map->addr, map->count + 1);
	expect(map, CHECK_COUNT, map->addr, "a count that is one too high");
	put_u64(&h, map->addr, UINT64_C(0x4141414141414141));
	expect(map, CHECK_CONTRADICTION, map->addr, "a count beyond all memory");
	put_u64(&h, map->addr, map->count);
	put_u8(&h, map->addr + (hmap ? rt->layout.hmap.flags : rt->layout.map.writing), 0x42);
	expect(map, CHECK_CONTRADICTION, map->addr, "flag bits that Go does not have");
	restore(&h);

	struct container c = find_container(map, 2, 1);
	struct overlay o = lay(c.addr, container_size(map));
	unsigned full = find_slot(map, &o, true), empty = find_slot(map, &o, false);
	uint64_t key = key_addr(map, c.addr, full);
	uint64_t word = load_u64(o.bytes + (key - c.addr));
	uint8_t tag = o.bytes[full];

	/* Another tag, not one of a bucket's markers, which are below 5. */
	put_u8(&o, c.addr + full, (tag ^ 0x10) < 5 ? tag ^ 0x20 : tag ^ 0x10);
	expect(map, CHECK_TAG, key, "a tag of another hash");
	put_u8(&o, c.addr + full, tag);

	/* Seeds differ from run to run: one key in a few may belong here by chance. */
	put_u64(&o, key, foreign_key(map, c.number, word));
	expect(map, CHECK_PLACE, key, "a key of another bucket or table");
	put_u64(&o, key, word);

	put_u8(&o, c.addr + empty, tag);
	put_u64(&o, key_addr(map, c.addr, empty), word);
	uint64_t later = key_addr(map, c.addr, full > empty ? full : empty);
	expect(map, CHECK_DUPLICATE, later, "the same key twice");
	restore(&o);
}

static void damage_hmap(const struct map *map)
{
	struct container c = find_container(map, 2, 1);
	uint64_t size = map->type.bucket_size;
	struct overlay o = lay(c.addr, size);
	unsigned full = MAP_SLOTS - 1;
	while (!map_slot_full(map, o.bytes, full))
		full--;
	put_u8(&o, c.addr, TOPHASH_EMPTY_REST);
	expect(map, CHECK_LOST, key_addr(map, c.addr, full), "an end mark before an entry");
	put_u8(&o, c.addr, TOPHASH_EVACUATED_X);
	expect(map, CHECK_GROWTH, c.addr, "a slot that has moved where nothing grows");
	put_u8(&o, c.addr, o.before[0]);

	put_u64(&o, c.addr + size - 8, 0xdead000);
	expect(map, CHECK_CHAIN, 0xdead000, "a chain that leaves memory");
	put_u64(&o, c.addr + size - 8, c.addr + 4);
	expect(map, CHECK_CHAIN, c.addr + 4, "a chain that goes on between words");
	restore(&o);

	/* Two overflow buckets that lead to each other. */
	struct container a = find_container(map, 8, 0);
	struct overlay first = lay(a.addr, size);
	struct overlay second = lay(c.addr, size);
	put_u64(&first, a.addr + size - 8, c.addr);
	put_u64(&second, c.addr + size - 8, c.addr);
	expect(map, CHECK_CHAIN, c.addr, "a chain that comes back");
	restore(&first);
	restore(&second);

	struct overlay h = lay_header(map);
	put_u8(&h, map->addr + rt->layout.hmap.b, 200);
	expect(map, CHECK_CONTRADICTION, map->addr, "a B of 200");
	put_u8(&h, map->addr + rt->layout.hmap.b, map->b);
	put_u64(&h, map->addr + rt->layout.hmap.buckets, 0xdead000);
	expect(map, CHECK_CONTRADICTION, map->addr, "buckets that lead nowhere");
	restore(&h);
}

/* A map in the middle of growth. */
static void damage_growing(const struct map *map)
{
	struct map_walk *walk;
	struct container c;
	if (map_walk_new(rt, map, &walk, NULL) != OK)
		fatal("no walk");
	do {
		if (!map_walk_container(walk, &c))
			fatal("no old bucket with entries");
	} while (!c.old || c.chain || c.bytes[0] < TOPHASH_MIN || c.bytes[1] < TOPHASH_MIN);
	struct overlay o = lay(c.addr, map->type.bucket_size);
	map_walk_free(walk);

	put_u8(&o, c.addr, TOPHASH_EVACUATED_X);
	expect(map, CHECK_GROWTH, key_addr(map, c.addr, 1),
	       "entries left behind in a moved bucket");
	restore(&o);
	struct overlay h = lay_header(map);
	put_u64(&h, map->addr + rt->layout.hmap.nevacuate, c.number + 1);
	expect(map, CHECK_GROWTH, c.addr, "an old bucket below nevacuate that has not moved");
	restore(&h);

	/* An entry in the new bucket while lookups still go to the old one. */
	uint64_t size = map->type.bucket_size;
	struct overlay n = lay(map->buckets + c.number * size, size);
	put_u8(&n, n.addr, 0x77);
	expect(map, CHECK_LOST, key_addr(map, n.addr, 0), "an entry in a bucket not yet in use");
	restore(&n);
}

static uint64_t first_table(const struct map *map)
{
	uint64_t addr;
	if (memory_read_u64(rt->target->memory, map->dir_ptr, &addr, NULL) != OK)
		fatal("no directory");
	return addr;
}

static void damage_table(const struct map *map)
{
	uint64_t addr = first_table(map);
	struct swiss_table t;
	struct overlay o = lay(addr, rt->layout.table.size);
	if (swiss_table_read(rt, addr, &t, NULL) != OK)
		fatal("no table");
	put_u8(&o, addr + rt->layout.table.used, (uint8_t)(t.used + 1));
	expect(map, CHECK_COUNT, addr, "a table's used that is one too high");
	put_u8(&o, addr + rt->layout.table.used, (uint8_t)t.used);
	put_u8(&o, addr + rt->layout.table.growth_left, (uint8_t)(t.growth_left + 1));
	expect(map, CHECK_GROWTH, addr, "a growthLeft that is one too high");
	put_u8(&o, addr + rt->layout.table.growth_left, (uint8_t)t.growth_left);
	put_u64(&o, addr + rt->layout.table.index, 1);
	expect(map, CHECK_GROWTH, addr, "a table that stands elsewhere in the directory");
	put_u64(&o, addr + rt->layout.table.index, 0);
	put_u8(&o, addr + rt->layout.table.local_depth, 60);
	expect(map, CHECK_GROWTH, addr, "a table deeper than the directory");
	restore(&o);
}

/* Makes a slot of the group where lookups begin empty, for an entry that stands further on. */
static void damage_probe(const struct map *map)
{
	struct map_walk *walk;
	struct container c;
	struct error err;
	AUTO_HASHER struct hasher *hasher = NULL;
	const struct hash_plan *plan;
	if (map_walk_new(rt, map, &walk, &err) != OK || hasher_new(rt, &hasher, &err) != OK ||
	    hasher_plan(hasher, &map->type, &plan, &err) != OK)
		fatal(err.text);
	while (map_walk_container(walk, &c)) {
		const struct swiss_table *t = &walk->swiss.table;
		for (unsigned i = 0; i < MAP_SLOTS; i++) {
			uint64_t hash, key = key_addr(map, c.addr, i);
			if (!map_slot_full(map, c.bytes, i))
				continue;
			if (hash_key(hasher, plan, c.bytes + (key - c.addr), map->seed, &hash) !=
			    HASH_OK)
				fatal("no hash");
			uint64_t home = (hash >> 7) & t->mask;
			if (home == c.number)
				continue;
			struct overlay o = lay(t->groups + home * map->type.group_size, 8);
			put_u8(&o, o.addr, CTRL_EMPTY);
			map_walk_free(walk);
			expect(map, CHECK_LOST, key, "a lookup that ends too early");
			restore(&o);
			return;
		}
	}
	fatal("no entry stands away from its home");
}

static void damage_swiss(const struct map *map)
{
	struct container c = find_container(map, 2, 1);
	struct overlay o = lay(c.addr, 8);
	unsigned empty = find_slot(map, &o, false);
	put_u8(&o, c.addr + empty, 0xc3);
	expect(map, CHECK_TAG, c.addr + empty, "a control byte that Go does not have");
	restore(&o);

	damage_table(map);
	damage_probe(map);

	struct overlay d = lay(map->dir_ptr, 8);
	put_u64(&d, map->dir_ptr, 0);
	expect(map, CHECK_UNREADABLE, map->dir_ptr, "a directory entry that is nil");
	put_u64(&d, map->dir_ptr, 0xdead000);
	expect(map, CHECK_UNREADABLE, 0xdead000, "a table that is not there");
	restore(&d);

	struct overlay h = lay_header(map);
	put_u8(&h, map->addr + rt->layout.map.global_shift, map->global_shift - 1);
	expect(map, CHECK_GROWTH, map->addr, "a globalShift that does not fit globalDepth");
	put_u8(&h, map->addr + rt->layout.map.global_shift, map->global_shift);
	put_u64(&h, map->addr + rt->layout.map.dir_len, map->dir_len * 2 - 1);
	expect(map, CHECK_CONTRADICTION, map->addr, "a dirLen that is no power of two");
	put_u64(&h, map->addr + rt->layout.map.dir_len, map->dir_len);
	put_u64(&h, map->addr + rt->layout.map.dir_ptr, 0xdead000);
	expect(map, CHECK_CONTRADICTION, map->addr, "a dirPtr that leads nowhere");
	restore(&h);
}

/* String keys lead further. */
static void damage_strings(const struct map *map)
{
	struct container c = find_container(map, 1, 0);
	struct overlay o = lay(c.addr, container_size(map));
	uint64_t key = key_addr(map, c.addr, find_slot(map, &o, true));
	put_u64(&o, key, 0xdead000);
	expect(map, CHECK_UNREADABLE, key, "a key that leads out of memory");
	restore(&o);
}

/* The map of a line of the listing, if it has the type and at least 1000 entries. */
static bool open_line(char *line, const char *type_name, struct map *ret)
{
	uint64_t type;
	char *name = strchr(line, ' ');
	size_t n = strlen(type_name);
	if (strncmp(line, "0x", 2) != 0 || !name || strncmp(name + 1, type_name, n) != 0 ||
	    name[1 + n] != ' ' || strtoull(name + n + 2, NULL, 10) < 1000)
		return false;
	if (!type_by_name(rt, type_name, &type) ||
	    map_open(rt, type, strtoull(line, NULL, 16), ret, NULL) != OK)
		fatal("a map of the listing is not there");
	return true;
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	struct target_options options = {.exe = argc > 2 ? argv[2] : NULL};
	struct error err;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *opened = NULL;
	if (argc < 3)
		fatal("no target");
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &opened, &err) != OK)
		fatal(err.text);
	rt = opened;
	struct map words = {0}, strings = {0}, growing = {0};
	char *line = NULL;
	size_t cap = 0;
	while (getline(&line, &cap, stdin) > 0) {
		struct map map;
		if (open_line(line, "map[uint64]int32", &map))
			words = map;
		if (open_line(line, "map[string]string", &map))
			strings = map;
		if (open_line(line, "map[string]int", &map) && map.growing)
			growing = map;
	}
	free(line);
	if (!words.addr || !strings.addr || (!rt->swiss && !growing.addr))
		fatal("the listing lacks a map that this test needs");
	damage_any(&words);
	if (rt->swiss)
		damage_swiss(&words);
	else
		damage_hmap(&words);
	if (!rt->swiss)
		damage_growing(&growing);
	damage_strings(&strings);
	notes_done(&notes);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
