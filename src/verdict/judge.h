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

/* The other side, recorded[0], as the recorder's table has it, and those behind it as candidates. */
enum status judge_fill_recorded(struct judge *j, enum grade grade, struct error *err);
/* Those of recorded from a number on as candidates. */
enum status judge_recorded_candidates(struct judge *j, size_t from, struct error *err);

/* By the recorder's table, of a death that was no failed check: the map that the detector was writing then, by its
 * own line. false where it was not, or the death is not one that the table tells of. */
bool judge_broken_off(const struct judge *j, uint64_t *ret);
/* What the table says of a line's write and such a death; the caller frees it. NULL: out of memory. */
char *judge_death_text(const struct judge *j, const struct recorded *r);
/* The other side of such a death, if the table has one: *ret_done says so. damaged: the map is not whole. Those whose
 * writes were near, but are shown to be no side, are in recorded then, and not in the verdict. */
enum status judge_died(struct judge *j, bool damaged, bool *ret_done, struct error *err);

/* Reads the map at addr into the verdict; what cannot be read is noted. */
void judge_take_map(struct judge *j, uint64_t type, uint64_t addr);

/* The recorder's other side, if it has one: *ret_done says so. In flight, and overlapping with the detector's
 * own write, are proofs each by itself; so is being the only one who can have set the flag. */
enum status judge_recorded(struct judge *j, bool *ret_done, struct error *err);

#endif
