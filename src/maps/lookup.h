/*
 * The way that a lookup of one key takes through a map: the bucket's chain, or the directory, the table and
 * the probe sequence, container by container, as the runtime walks it (runtime/map.go, mapaccess1;
 * internal/runtime/maps/map.go and table.go, getWithKey).
 */
#ifndef MAPS_LOOKUP_H
#define MAPS_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "maps/map.h"

/* Containers that one lookup reads: a table has at most 128 groups; longer chains are those of a broken
 * map. */
enum { LOOKUP_STEPS_MAX = 1024 };

struct lookup_step {
	uint64_t addr, number; /* of the bucket or group */
	unsigned chain; /* hmap: place in the overflow chain */
	uint8_t tags[MAP_SLOTS];
	uint8_t match; /* bit i: the tag of slot i is the key's, so its key is compared */
	int8_t slot; /* whose key is the one, -1: none */
	bool ends; /* an empty slot says that the key is not in the map */
};

struct lookup {
	uint64_t hash;
	uint8_t tag; /* tophash or h2 */
	bool in_old; /* hmap: goes to the old bucket, which has not moved yet */
	uint64_t start; /* number of the bucket, or of the group that is probed first */
	/* Swiss maps with a directory */
	uint64_t directory_index, table, groups;
	struct lookup_step *steps;
	size_t count;
	bool found;
	struct map_entry entry; /* where it was found; without key_bytes and elem_bytes */
};

/*
 * Follows the lookup of key, given as text: as reports show it (42, true, 1.5, "a b", {X:1}), a string
 * without its quotes too. Keys of other types than numbers, bools and strings must be in the map: they are
 * known by their text. ERROR_NOT_FOUND where such a key is not there, ERROR_FORMAT where the text is no
 * key of this map, ERROR_UNSUPPORTED where the hash cannot be recomputed, ERROR_FAULT where the way leads
 * out of memory. The caller releases *ret by lookup_done.
 */
enum status map_lookup(struct runtime *rt, const struct map *map, const char *key,
		       struct lookup *ret, struct error *err);
void lookup_done(struct lookup *lookup);

#endif
