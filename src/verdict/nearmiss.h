/*
 * What was seen of goroutines that came close to each other on one map while a program ran and did not
 * crash: from looks at the recorder's table, and from meetings with held writers.
 *
 * A look shows the last write of each goroutine, and where readers are recorded its last read; what lies
 * between two looks is not seen. So the numbers count looks, not accesses.
 *
 * Grades:
 * proven	two calls on one map lasted at the same time, one of them a write: by their recorded times, or
 *		because one came while the other was held. A program that orders its accesses, in whatever
 *		way, cannot show that: the next call begins after the one before has returned.
 * likely	two goroutines took turns on the map several times, each time within the given time, and the
 *		code of one of them has nothing that could order it after the other.
 * possible	they came as close, but may be ordered by what times cannot show: a lock, a channel.
 */
#ifndef VERDICT_NEARMISS_H
#define VERDICT_NEARMISS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "probe/records.h"
#include "verdict/place.h"
#include "verdict/verdict.h"

/* What is kept; programs have some hundreds of each. What is beyond is counted only. */
enum { NEAR_WAYS_MAX = 4096, NEAR_MISSES_MAX = 4096 };

/* How a goroutine came to a place. Strings live as long as the runtime. */
struct near_way {
	struct place place;
	uint64_t site; /* both as recorded, less the load bias */
	uint64_t callers[RECORD_CALLERS];
	size_t next; /* of those with the same hash; SIZE_MAX none */
};

struct near_side {
	size_t way; /* index in ways */
	uint64_t goroutine;
	struct access
		access; /* its locks and stack: after near_misses_finish, of what is not possible */
};

struct near_miss {
	const char *type; /* NULL: not known */
	struct near_side side[2]; /* of the overlap or of the closest times */
	enum grade grade; /* after near_misses_finish */
	uint64_t close; /* looks that showed the two within the time */
	uint64_t overlaps; /* looks and meetings that showed both at once */
	uint64_t
		gap; /* ticks from the end of the one to the beginning of the other, at the least */
	uint64_t map; /* address, of that */
	unsigned turns; /* how often two goroutines are known to have taken turns, at the most */
	const char
		*ordered_by; /* possible, after finish: what may order them; NULL: too few turns */
	enum locking locking;
	char *locking_text; /* owned; NULL where not known */
};

struct near_misses {
	struct near_miss *list; /* the surest first, after near_misses_finish */
	size_t count, cap;
	struct near_way *ways;
	size_t way_count, way_cap;
	uint64_t looks, meetings, lost;
	bool cut; /* a limit was reached */
	/* private */
	struct runtime *rt;
	uint64_t within; /* ticks */
	uint64_t newest;
	struct places where;
	size_t *way_index;
	struct near_turn *turns;
};

/* Prepares for the program whose executable rt is; accesses further apart than within ticks are none of
 * ours. reads: readers are recorded too. */
enum status near_misses_init(struct near_misses *misses, struct runtime *rt, uint64_t within,
			     bool reads, struct error *err);
void near_misses_done(struct near_misses *misses);

/* Takes a look's table in, which was copied from taken_at on. *ret_new: a pair was proven that was not
 * before; SIZE_MAX for none. */
enum status near_misses_add(struct near_misses *misses, const struct records *records,
			    uint64_t taken_at, size_t *ret_new, struct error *err);

/* Grades all pairs, finds the locks of those that are told, and brings them into order. */
enum status near_misses_finish(struct near_misses *misses, struct error *err);

#endif
