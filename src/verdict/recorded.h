/*
 * What the recorder's table says about a crash: which other goroutine was writing the map as the check
 * failed, and from where.
 *
 * The detector was inside its map function when the table froze. Another goroutine whose write of the
 * same map was in flight at that time overlaps with it, whatever locks the two may hold: that is
 * proven. A write that had ended by then overlaps if the detector's own write is known to have begun
 * before that, or to have found the flag set where nobody else can have set it; else if nobody else can have set the
 * flag that the check saw, and the flag is clear by now: one that is set while nobody writes was set by no map write. One that ended just before is
 * likely to be what the check saw, but others may have come and gone since.
 */
#ifndef VERDICT_RECORDED_H
#define VERDICT_RECORDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "probe/records.h"

enum recorded_how {
	RECORDED_IN_FLIGHT, /* between set and clear as the table froze */
	RECORDED_OVERLAPS, /* it ended after the detector's own write had begun */
	RECORDED_FOUND, /* it was ending as the detector's own write found the flag set: no other write can have set it */
	RECORDED_ONLY, /* it has ended, but nobody else wrote this map in the time in which the check saw its flag */
	RECORDED_JUST_ENDED, /* it ended just before the freeze */
};

struct recorded {
	const struct record *record;
	struct goroutine goroutine; /* whose write it was; GOROUTINE_DEAD: it has ended since */
	enum recorded_how how;
	uint64_t age; /* ticks from its set, or from its end, to the freeze; 0 without times */
};

/* At most this many others are looked at. */
enum { RECORDED_MAX = 64 };

/* The other writers of map at the freeze, best first; returns how many. Of goroutines that have ended
 * since, writes that were done count too: what the line says needs nobody to be there still. */
size_t recorded_find(struct runtime *rt, const struct records *records,
		     const struct goroutines *goroutines, uint64_t map,
		     struct recorded ret[RECORDED_MAX]);

/* The map that the detector was writing, by its own line: known where its exit check failed. */
bool recorded_own_map(const struct records *records, uint64_t *ret);

/* The map that the failing check of the goroutine g looked at, from the register that it used. */
bool recorded_checked_map(const struct records *records, uint64_t g, uint64_t *ret);

/* The stack that a record stands for: the instruction that set the flag, the callers that were kept,
 * and beyond them what is still on the goroutine's stack. *ret_live says that the goroutine is still
 * inside that call, so that all frames are its own. Frames without a stack pointer come from the
 * record. The caller releases *ret by frames_done. */
enum status recorded_frames(struct runtime *rt, const struct records *records,
			    const struct recorded *recorded, struct frames *ret, bool *ret_live,
			    struct error *err);

#endif
