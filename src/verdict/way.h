/*
 * How a goroutine got to its access of a map: the functions from there out to its entry, what each of them
 * knows of its values there, and what those are in the target's memory now.
 */
#ifndef VERDICT_WAY_H
#define VERDICT_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/dataflow.h"
#include "go/frames.h"

/* Where it begins. */
struct lock_way {
	const struct frames *frames; /* the goroutine's whole stack */
	size_t first; /* the innermost frame that is outside of the map call, or leads to the write */
	bool is_now; /* it stands in the map call now */
	/* else the write that it can have done, as in struct suspect: */
	uint64_t write_at;
	const uint64_t *via;
	unsigned via_count;
};

/* Functions on the way to an access that are looked through: beyond them is the program's frame, main and
 * servers' loops. */
enum { STEPS_MAX = 256 };

/* One function on the way, innermost first. */
struct step {
	struct function fn;
	uint64_t at; /* the instruction that it stands at, or that leads on */
	const struct frame *frame; /* NULL: not on the stack now */
	bool is_now; /* the frame stands at that instruction */
	bool deferred; /* what it does now is a deferred call, or a panic's; or it only names what it
			  leads to, which may be called later */
	struct dataflow *flow; /* made where it is asked for */
	struct flow_state state; /* before at */
	bool has_state;
};

struct steps {
	struct runtime *rt;
	struct step list[STEPS_MAX];
	size_t count;
	bool cut; /* there are more, or one of them is not known */
};

/* Collects the steps, innermost first. */
enum status steps_new(struct runtime *rt, const struct lock_way *way, struct steps **ret,
		      struct error *err);
void steps_free(struct steps *steps);
static inline void cleanup_steps(struct steps **steps)
{
	steps_free(*steps);
}
#define AUTO_STEPS __attribute__((cleanup(cleanup_steps)))

/* Fills in flow and state of a step; false where its code cannot be followed. */
bool step_open(struct steps *steps, struct step *step);

/* The number that value id of step i is, by what the frames still hold and lead to; false where they do
 * not tell it for certain. The step is open. */
bool step_value(struct steps *steps, size_t i, flow_id id, uint64_t *ret);

#endif
