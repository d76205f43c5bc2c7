/*
 * The integrity of one map: what is wrong in it, each finding with a reason.
 */
#ifndef MAPS_CHECK_H
#define MAPS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "maps/map.h"

enum check_kind {
	CHECK_CONTRADICTION, /* the header contradicts itself */
	CHECK_COUNT, /* count differs from the slots in use */
	CHECK_TAG, /* tophash or control byte differs from the key's hash */
	CHECK_PLACE, /* the key's hash belongs into another bucket or table: lookups miss it */
	CHECK_LOST, /* reachable by a walk, not by a lookup: an empty slot ends its probe */
	CHECK_DUPLICATE, /* the same key twice */
	CHECK_GROWTH, /* evacuation state or growth_left that cannot be */
	CHECK_CHAIN, /* overflow chain that cycles or leaves memory */
	CHECK_UNREADABLE,
};

struct check_finding {
	enum check_kind kind;
	uint64_t addr; /* of the slot, bucket, group or header */
	char text[200];
};

/* Findings that are kept; past it they are counted. */
enum { CHECK_FINDINGS_MAX = 1000 };

struct check_report {
	struct check_finding *list;
	size_t count;
	uint64_t dropped;
	uint64_t slots_used; /* entries seen */
	bool hashes_checked; /* false: the hash function could not be recomputed; why_not says why */
	char why_not[160];
};

/* Checks the whole map. The hash is recomputed with the target's own seed and keys (AES hash with
 * runtime.aeskeysched, or the portable one with runtime.hashkey) for keys whose hasher is known. */
enum status map_check(struct runtime *rt, const struct map *map, struct check_report *ret,
		      struct error *err);
void check_report_done(struct check_report *report);

#endif
