/*
 * A map of any bytes: header, buckets or tables, and what keys lead to.
 *
 * byte 0: bit 0 Swiss, bit 1 the core is truncated, bit 2 the map type's own fields come from the
 * input too; byte 1: kinds of key and element; byte 2: a page (of 256 bytes) that is missing. The
 * rest is the heap, with the map's header at its start.
 */
#include <stdint.h>

#include "forge_map.h"
#include "maps/check.h"
#include "maps/lookup.h"

enum { INPUT_HEADER = 4, HOLE_SIZE = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void add_heap(struct forge *f, const uint8_t *heap, size_t size, size_t hole)
{
	size_t end = hole + HOLE_SIZE;
	if (!size)
		return;
	if (!hole || hole >= size) {
		forge_add(f, FORGE_HEAP, heap, size);
		return;
	}
	forge_add(f, FORGE_HEAP, heap, hole);
	if (end < size)
		forge_add(f, FORGE_HEAP + end, heap + end, size - end);
}

static void walk(struct runtime *rt, const struct map *map)
{
	struct map_walk *walk;
	struct map_entry e;
	if (map_walk_new(rt, map, &walk, NULL) != OK)
		return;
	while (map_walk_next(walk, &e))
		;
	(void)map_walk_complete(walk);
	map_walk_free(walk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < INPUT_HEADER)
		return 0;
	unsigned flags = data[0], kinds = data[1];
	size_t hole = (size_t)data[2] * HOLE_SIZE;
	enum forge_kind key = kinds % FORGE_KINDS, elem = kinds / FORGE_KINDS % FORGE_KINDS;
	data += INPUT_HEADER;
	size -= INPUT_HEADER;

	struct forge *f = forge_new(flags & 1);
	uint64_t type = forge_map_type(key, elem);
	f->target.truncated = flags & 2;
	if (flags & 4 && size >= 80) {
		memcpy(f->types + (type - FORGE_TYPES) + 64, data, 80);
		data += 80;
		size -= 80;
	}
	add_heap(f, data, size, hole);

	struct map map;
	struct check_report report;
	char text[200];
	if (map_open(f->rt, type, FORGE_HEAP, &map, NULL) == OK) {
		map_contradiction(f->rt, &map, text);
		map_bytes(f->rt, &map);
		walk(f->rt, &map);
		if (map_check(f->rt, &map, &report, NULL) == OK)
			check_report_done(&report);
		struct lookup lookup;
		static const char *const keys[] = {"5", "a", "true", "[1 2]"};
		for (size_t i = 0; i < 4; i++)
			if (map_lookup(f->rt, &map, keys[i], &lookup, NULL) == OK)
				lookup_done(&lookup);
	}
	forge_free(f);
	return 0;
}
