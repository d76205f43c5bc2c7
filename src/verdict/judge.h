/*
 * What the files of verdict_judge share: what is left in the target (judge.c), and what the recorder saw
 * (judge_recorded.c).
 */
#ifndef VERDICT_JUDGE_H
#define VERDICT_JUDGE_H

#include "maps/owner.h"
#include "verdict/access.h"
#include "verdict/crash.h"
#include "verdict/recorded.h"
#include "verdict/search.h"
#include "verdict/verdict.h"

struct judge {
	struct runtime *rt;
	const struct verdict_options *options;
	struct library library;
	struct goroutines goroutines;
	bool has_goroutines;
	struct crash crash;
	struct map_call call; /* the detector's */
	bool has_call;
	bool map_certain; /* the detector's map pointer is what its call worked on */
	struct map_owner owner;
	struct search *search;
	struct lockflow *locks;
	struct suspects suspects;
	struct recorded recorded[RECORDED_MAX]; /* by the recorder's table, best first */
	size_t recorded_count;
	uint64_t recorded_map; /* the map that they wrote, and the detector used */
	struct verdict *verdict;
};

/* Reads the map at addr into the verdict; what cannot be read is noted. */
void judge_take_map(struct judge *j, uint64_t type, uint64_t addr);

/* The recorder's other side, if it has one: *ret_done says so. In flight, and overlapping with the detector's
 * own write, are proofs each by itself; so is being the only one who can have set the flag. */
enum status judge_recorded(struct judge *j, bool *ret_done, struct error *err);

#endif
