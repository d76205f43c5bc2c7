/*
 * Where a function's value came from in another function: an argument from the caller whose frame is at
 * hand, what a closure has captured from the function that made it.
 */
#ifndef GO_ORIGIN_H
#define GO_ORIGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/dataflow.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "go/names.h"

/* Functions that one value is followed through: callers, and makers of closures. */
enum { ORIGIN_PLACES_MAX = 16 };

/* One function's code, at a call in it. */
struct origin_place {
	struct dataflow *flow;
	struct names names;
	bool names_read;
	struct flow_state state; /* before the call */
	const struct frame *frame; /* that stands in that call; NULL: none is at hand */
	size_t index; /* of frame */
	flow_id closure; /* in the place of who made it: not known yet if 0 */
};

/* A search; the first three are the caller's to set, and outlive it. */
struct origins {
	struct runtime *rt;
	const struct goroutine *goroutine;
	const struct frames *frames; /* NULL: by the code alone */
	struct origin_place *places[ORIGIN_PLACES_MAX];
	size_t count;
	unsigned steps;
};

/* A value at a place. */
struct spot {
	struct origin_place *place;
	flow_id id;
};

void origins_done(struct origins *s);

/* The place of fn at the call that returns to return_addr, or with return_addr 0 at its entry; index is that
 * of its frame, SIZE_MAX where it has none. NULL where the code cannot be followed, or there are too
 * many places. The search owns it. */
struct origin_place *origin_place(struct origins *s, const struct function *fn,
				  uint64_t return_addr, size_t index);

/* What the source calls the values there. */
const struct names *origin_names(struct origins *s, struct origin_place *place);

const struct flow_value *spot_value(struct spot spot);
struct spot spot_with(struct spot spot, flow_id id);

/* Counts one step of the search; false when it has had enough of them. */
bool origin_step(struct origins *s);

/* The same value in the function that we got it from; false where it is our own. */
bool origin_hop(struct origins *s, struct spot spot, struct spot *ret);

#endif
