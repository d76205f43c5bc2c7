/*
 * The walk over a map's memory as both designs and the checker see it: container by container, a
 * container being a bucket of a bucket map or a group of a Swiss map. map_walk_next of map.h picks the
 * entries out of them.
 */
#ifndef MAPS_INTERNAL_H
#define MAPS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/u64set.h"
#include "maps/check.h"
#include "maps/hash.h"
#include "maps/map.h"

/* A container holds 8 tags, 8 keys and 8 elements of at most 128 bytes each (abi.MapMaxKeyBytes,
 * abi.MapMaxElemBytes), a link, and padding. */
enum { CONTAINER_SIZE_MAX = 4096 };

struct hmap_walk {
	uint64_t array, count; /* the bucket array that is walked, current or old */
	uint64_t next; /* number of the next bucket in it */
	uint64_t bucket; /* number of the one whose chain is walked */
	uint64_t overflow; /* next bucket of that chain, 0: none */
	unsigned chain;
	unsigned holes; /* unreadable stretches met */
	bool old;
	uint8_t *block; /* buckets block_first to block_first + block_count - 1 */
	uint64_t block_first, block_count, block_max;
	uint8_t *link; /* one overflow bucket */
	struct u64set visited; /* overflow buckets of this chain */
};

/* internal/runtime/maps.table. addr 0: the only group of a small map, which has no table. */
struct swiss_table {
	uint64_t addr;
	uint16_t used, capacity, growth_left;
	uint8_t local_depth;
	int64_t index;
	uint64_t groups, mask;
};

/* capacity is a uint16 that counts slots. */
enum { TABLE_GROUPS_MAX = 65536 / MAP_SLOTS };

struct swiss_walk {
	uint64_t *directory; /* as much as could be read */
	size_t directory_count, directory_next;
	struct u64set seen; /* tables walked already */
	struct swiss_table table;
	unsigned table_number; /* of the next table */
	uint64_t group_count, group_next; /* of the current table */
	uint8_t *groups;
	size_t groups_cap; /* bytes */
	bool has_missing; /* then bit i of missing: group i could not be read */
	uint8_t missing[TABLE_GROUPS_MAX / 8];
};

struct map_walk {
	struct runtime *rt;
	struct map map;
	struct check_report *report; /* where troubles go; NULL: to the notes */
	bool complete;
	bool stopped; /* the budget is spent */
	uint64_t spent, budget; /* bytes of containers read, and allowed */
	struct container container;
	unsigned slot; /* next slot of the container */
	union {
		struct hmap_walk hmap;
		struct swiss_walk swiss;
	};
};

enum status hmap_walk_start(struct map_walk *walk, struct error *err);
bool hmap_walk_container(struct map_walk *walk, struct container *ret);
void hmap_walk_done(struct map_walk *walk);

enum status swiss_walk_start(struct map_walk *walk, struct error *err);
bool swiss_walk_container(struct map_walk *walk, struct container *ret);
void swiss_walk_done(struct map_walk *walk);
/* Reads a table's header. */
enum status swiss_table_read(struct runtime *rt, uint64_t addr, struct swiss_table *ret,
			     struct error *err);

/* Counts n bytes against the walk's budget; false, once and with a trouble, when it is spent. */
bool map_walk_spend(struct map_walk *walk, uint64_t n);
/* Something keeps entries out of reach: the walk is not complete, and says why. */
[[gnu::format(printf, 4, 5)]] void map_walk_trouble(struct map_walk *walk, enum check_kind kind,
						    uint64_t addr, const char *fmt, ...);

/* Whether a map type's geometry is one that the walks can rely on: no slot reaches out of its container,
 * and each has the size of the key and element. On false err says what is wrong. */
bool map_type_fits(const struct runtime *rt, const struct map_type *type, struct error *err);

/* Adds a finding, or counts it where the report is full. */
[[gnu::format(printf, 4, 5)]] void check_add(struct check_report *report, enum check_kind kind,
					     uint64_t addr, const char *fmt, ...);

/* One check of a map. */
struct checker {
	struct runtime *rt;
	const struct map *map;
	struct check_report *report;
	struct map_walk *walk;
	struct hasher *hasher;
	const struct hash_plan *plan; /* of Go's maps */
	bool can_hash; /* false: hashes are not checked */
	uint8_t *indirect; /* room for a key that its slot only points to */
	struct u64set hashes; /* of the keys of one chain or table */
};

/* The hash of the key in slot i of a container. A key that cannot be read is a finding. */
enum hash_result check_hash(struct checker *checker, const struct container *c, unsigned i,
			    uint64_t *ret);
/* Notes a hash among those of its chain or table; false when it is there already. */
bool check_hash_is_new(struct checker *checker, uint64_t hash);

/* Adds a finding about slot i of a container: its key and place, then the text. */
[[gnu::format(printf, 5, 6)]] void check_add_slot(struct checker *checker, enum check_kind kind,
						  const struct container *c, unsigned i,
						  const char *fmt, ...);

/* Checks all containers of the walk, one design each. */
void hmap_check(struct checker *checker);
void swiss_check(struct checker *checker);

#endif
