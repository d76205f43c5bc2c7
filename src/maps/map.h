/*
 * Go's maps in the memory of a target: bucket maps (runtime.hmap, up to Go 1.23 and 1.24/1.25 with
 * noswissmap) and Swiss maps (internal/runtime/maps.Map, from 1.24 on).
 *
 * A map that was raced may be broken in any way. Nothing here trusts a count, a length or a link: a
 * walk is bounded by what the header says and by what memory holds, and says where it gave up.
 */
#ifndef MAPS_MAP_H
#define MAPS_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/type.h"

enum map_design { MAP_HMAP, MAP_SWISS };

/* hmap.flags, runtime/map.go up to 1.23. */
enum { HMAP_ITERATOR = 1, HMAP_OLD_ITERATOR = 2, HMAP_WRITING = 4, HMAP_SAME_SIZE_GROW = 8 };

struct libgomap;

struct map {
	uint64_t addr;
	const struct libgomap *library; /* the map of libgomap that this is; NULL: Go's */
	enum map_design design;
	struct map_type type;
	uint64_t count; /* as the header says */
	uint8_t flag; /* hmap.flags, or Map.writing */
	bool writing; /* the flag says that a write is in progress */
	bool growing; /* hmap: old buckets are still there */
	/* hmap */
	uint8_t b;
	uint16_t noverflow;
	uint32_t hash0;
	uint64_t buckets, old_buckets, nevacuate, extra;
	/* Swiss */
	uint64_t seed, dir_ptr, dir_len, clear_seq;
	uint8_t global_depth, global_shift;
	bool tombstone_possible;
};

/* Reads a map's header. type is the address of its map type descriptor, addr of the header; where type
 * is 0, the type is left out: the header can be looked at, its entries cannot be walked. Fails
 * when either cannot be read; a header that contradicts itself is read all the same: see
 * map_contradiction. */
enum status map_open(struct runtime *rt, uint64_t type, uint64_t addr, struct map *ret,
		     struct error *err);
/* The same where the type is known from elsewhere. Of rt only its target, notes, design and the map
 * layouts are used, and by the walk and map_contradiction no more. */
enum status map_open_as(struct runtime *rt, const struct map_type *type, uint64_t addr,
			struct map *ret, struct error *err);

/* What in the header cannot be, in words ("B is 200: buckets would need ..."), in text; false when
 * nothing contradicts. Only what no interleaving of racing writers can bring about counts. */
bool map_contradiction(struct runtime *rt, const struct map *map, char text[200]);

/* Slots of a bucket (abi.MapBucketCount) and of a group (abi.MapGroupSlots), Go 1.18 to 1.27. */
enum { MAP_SLOTS = 8 };

/* tophash: runtime/map.go. Below TOPHASH_MIN the slot holds no entry, or no longer. */
enum {
	TOPHASH_EMPTY_REST = 0,
	TOPHASH_EMPTY_ONE = 1,
	TOPHASH_EVACUATED_X = 2,
	TOPHASH_EVACUATED_Y = 3,
	TOPHASH_EVACUATED_EMPTY = 4,
	TOPHASH_MIN = 5,
};

/* Control bytes: internal/runtime/maps/group.go. Full slots have the top bit clear. */
enum { CTRL_EMPTY = 0x80, CTRL_DELETED = 0xfe };

/* A bucket or group as it lies in memory. */
struct container {
	uint64_t addr;
	/* map_container_size of them, valid until the next container is asked for */
	const uint8_t *bytes;
	uint64_t number; /* as map_entry.bucket */
	unsigned chain; /* as map_entry.chain */
	bool old; /* one of the old buckets of a bucket map that grows */
};

struct map_entry {
	uint64_t key, elem; /* addresses of key and element, indirection followed; elem may be
			       one past memory's end for elements of size 0 */
	/* Their bytes, until the next entry is asked for; NULL where the slot has a pointer to them. */
	const uint8_t *key_bytes, *elem_bytes;
	uint64_t slot; /* address of the key's slot itself */
	uint64_t container; /* address of the bucket or group that holds it */
	unsigned index; /* slot in the container, 0 to 7 */
	uint8_t tag; /* tophash or control byte */
	uint64_t
		bucket; /* hmap: number of the bucket (chain); Swiss: number of the group in its table */
	unsigned chain; /* hmap: place in the overflow chain; Swiss: number of the table */
	bool old; /* hmap: found in a bucket that is not evacuated yet */
};

/* A walk over all entries, in memory order; each key once, old buckets that are not evacuated yet
 * included. Opaque state: what it owns is released by map_walk_done. */
struct map_walk;
enum status map_walk_new(struct runtime *rt, const struct map *map, struct map_walk **ret,
			 struct error *err);
/* The next entry; false at the end. */
bool map_walk_next(struct map_walk *walk, struct map_entry *ret);
/* The same walk container by container: the next one; false at the end. */
bool map_walk_container(struct map_walk *walk, struct container *ret);
/* Fills *ret with slot i of a container, which must be full. */
void map_walk_entry(const struct map_walk *walk, const struct container *c, unsigned i,
		    struct map_entry *ret);
/* Whether slot i holds an entry. */
static inline bool map_slot_full(const struct map *map, const uint8_t *container, unsigned i)
{
	return map->design == MAP_HMAP ? container[i] >= TOPHASH_MIN : !(container[i] & 0x80);
}

/* After the walk: entries that could not be reached ("12 buckets unreadable from 0x..."), in notes
 * of the runtime; false when something was missed. */
bool map_walk_complete(const struct map_walk *walk);
void map_walk_free(struct map_walk *walk);
static inline void cleanup_map_walk(struct map_walk **walk)
{
	map_walk_free(*walk);
}
#define AUTO_MAP_WALK __attribute__((cleanup(cleanup_map_walk)))

/* The tag that belongs to a hash: tophash or h2. */
uint8_t map_tag(const struct map *map, uint64_t hash);

/* Number of the buckets before growth began: runtime/map.go, noldbuckets. */
uint64_t hmap_old_count(const struct map *map);

/* Whether the entries of old bucket number have moved: runtime/map.go, evacuated. What libgomap has moved
 * up to nevacuate it gives back to the system, so that the bucket itself cannot be asked. */
enum status hmap_has_moved(struct runtime *rt, const struct map *map, uint64_t number, bool *ret,
			   struct error *err);

/* Bytes of one bucket or group. */
static inline uint64_t map_container_size(const struct map *map)
{
	return map->design == MAP_HMAP ? map->type.bucket_size : map->type.group_size;
}

/* Where in a bucket or group slot i has its key and its element. */
void map_slot_offsets(const struct map *map, unsigned i, uint64_t *ret_key, uint64_t *ret_elem);

/* Bytes that the map's own memory takes: header, buckets with overflow, or directory, tables and
 * groups; keys and values that are stored indirectly included, what they point to not. 0 where it
 * cannot be told. */
uint64_t map_bytes(struct runtime *rt, const struct map *map);

#endif
