/*
 * What many recorded runs of one program have shown: which code wrote which maps, which pairs of places
 * met on one map, which of them overlapped, and which raced.
 *
 * What was exercised comes from looks at the recorder's table while the program runs. A look shows the
 * last write of each goroutine, so the numbers count looks, not writes: what is rare may be missing, and
 * what was never seen to overlap is not proven to be safe.
 */
#ifndef VERDICT_TRIALS_H
#define VERDICT_TRIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "probe/records.h"
#include "verdict/place.h"
#include "verdict/verdict.h"

/* Places and pairs that are kept: programs have some hundreds. What is beyond is counted only. */
enum { TRIAL_PLACES_MAX = 4096, TRIAL_PAIRS_MAX = 1 << 14 };

/* A place in the source that writes maps of one type. Strings are owned; function NULL: not known. */
struct trial_place {
	char *function, *file, *type; /* type NULL: not a constant in the code */
	int32_t line;
	enum operation operation;
	uint64_t seen; /* looks at a new write from here */
};

/* Two places that wrote one map in different goroutines. */
struct trial_pair {
	size_t a, b; /* indexes of places, a <= b */
	uint64_t seen; /* looks that showed both, at least one of them anew */
	uint64_t overlaps; /* those where the two writes overlapped */
	bool raced; /* a race was found between them: known after trials_finish */
};

/* One race, as often as it was found. Strings are owned, or NULL. */
struct trial_race {
	char *type, *owner, *message;
	struct trial_place side[2]; /* detector and other, in order of their places; seen is 0 */
	bool has_other;
	enum grade grade; /* the best */
	unsigned count; /* runs that died of it */
	unsigned first_run; /* from 1 on */
	char *log; /* what Go printed in the first of them, its first lines; NULL */
};

struct trials {
	struct trial_place *places;
	size_t place_count, place_cap;
	struct trial_pair *pairs;
	size_t pair_count, pair_cap;
	struct trial_race *races; /* the most frequent first, after trials_finish */
	size_t race_count, race_cap;
	unsigned runs, clean, failed,
		timeouts; /* failed: ended by something else than a map's race */
	uint64_t looks, lost; /* lost: writes that the recorder had no room for */
	uint64_t holds;
	bool cut; /* a limit was reached */
	uint64_t newest; /* time stamp of the newest write of the looks of this run */
	/* what is known of the program; private */
	struct places where;
};

/* Prepares for runs of the program that rt is, an executable. */
enum status trials_init(struct trials *trials, struct runtime *rt, struct error *err);
void trials_done(struct trials *trials);

void trials_begin_run(struct trials *trials);

/* Takes a look's table in, which was copied from taken_at (time stamp counter) on. rt is as in
 * trials_init. */
enum status trials_add_records(struct trials *trials, struct runtime *rt,
			       const struct records *records, uint64_t taken_at, struct error *err);

/* Takes in what a run died of; *ret is the race, or NULL where it was none. It is valid until the next
 * call. */
enum status trials_add_verdict(struct trials *trials, const struct verdict *verdict,
			       struct trial_race **ret, struct error *err);

/* Brings all lists into an order that does not depend on chance. */
void trials_finish(struct trials *trials);

/* Whether two races, of two programs perhaps, are the same: of one type, between the same functions.
 * Lines may have moved. */
bool trial_race_is(const struct trial_race *a, const struct trial_race *b);

#endif
