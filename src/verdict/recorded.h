/*
 * What the recorder's table says about a crash: which other goroutine was writing the map as the check
 * failed, and from where.
 *
 * The detector was inside its map function when the table froze. Another goroutine whose write of the
 * same map was in flight at that time overlaps with it, whatever locks the two may hold: that is
 * proven. A write that had ended by then overlaps if the detector's own write is known to have begun
 * before that, or to have found the flag set where nobody else can have set it; else if nobody else can have set the
 * flag that the check saw, and the flag is clear by now: one that is set while nobody writes was set by no map write,
 * or by two that cleared it at one time, which are known then. One that ended just before is likely to be what the
 * check saw, but others may have come and gone since.
 *
 * Who dies of a fault in a map's code, or because that gave up, was still in its map function at header.died_at, with
 * the locks that it held there. The table froze later, when deferred functions had run. Another's write that was in
 * flight at that time overlaps, and so does one that ended after the own write had begun that was broken off;
 * what came just before or after may have to do with it.
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
	/* it and the detector's last write of this map cleared the flag at one time, so that it is set now */
	RECORDED_LEFT,
	RECORDED_ONLY, /* it has ended, but nobody else wrote this map in the time in which the check saw its flag */
	RECORDED_JUST_ENDED, /* it ended just before the freeze; of a death, before that */
	RECORDED_JUST_AFTER, /* of a death: it began just after that */
};

struct recorded {
	const struct record *record;
	struct goroutine goroutine; /* whose write it was; GOROUTINE_DEAD: it has ended since */
	enum recorded_how how;
	/* Ticks from its set, or from its end, to the freeze, or of a death to that; RECORDED_JUST_AFTER: between that
	 * and its set; 0 without times. */
	uint64_t age;
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

/* The line of the write in flight of who died, which began not long before; NULL where there is none. */
const struct record *recorded_broken_off(const struct records *records);

/* How the line of another goroutine stands to a death (header.died_at); own as recorded_broken_off has it, or NULL.
 * false: it has nothing to do with it. */
bool recorded_judge_death(const struct records *records, const struct record *own,
			  const struct record *record, struct recorded *ret);

enum {
	/* 5 to 10 us. From the check to the freeze it takes a tenth of that, or longer where a page of
	 * code has to be brought in or another thread gets the processor: so this ranks, and proves
	 * nothing. */
	RECORDED_JUST_TICKS = 20000,
	/* A processor reads the time before what stands earlier in the program is done: by as much as it has
	 * under way at once, some hundred instructions. */
	RECORDED_EARLY_TICKS = 512,
	/* The same of a death: some 35 us. Until the kernel and Go's handler have made a panic of a fault, 12 us
	 * were measured. */
	RECORDED_DEATH_TICKS = 100000,
	/* What is a third of a second away from a death, or further, is not told: at the map's address there may have been
	 * another one then. */
	RECORDED_NEAR_TICKS = 1 << 30,
};
/* A flag that stays set after a write was broken off (a recovered fault in the middle of it) looks
 * in flight for ever: longer than 2^35 ticks, ten seconds, no write takes. */
#define RECORDED_STALE_TICKS (UINT64_C(1) << 35)

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
