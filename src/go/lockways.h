/*
 * All ways through a function, and how one lock can stand at each instruction of them. Private to the floor
 * go: lockflow.c finds the instructions that take and give locks.
 */
#ifndef GO_LOCKWAYS_H
#define GO_LOCKWAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/dataflow.h"
#include "go/mutex.h"

enum lock_op {
	LOCK_TAKE,
	LOCK_TRY,
	LOCK_GIVE,
	LOCK_TAKE_MAYBE, /* by a helper, on some ways */
	LOCK_GIVE_MAYBE,
};

/* One instruction that changes what is held. */
struct event {
	uint64_t at;
	enum lock_op op;
	enum lock_kind kind;
	bool read;
	flow_id lock;
	uint64_t shown; /* the call that it stands for in the source */
};

/* How a lock can stand, a bit each; a set of them is what the ways to one place add up to. */
enum {
	STAND_UNTOUCHED = 1,
	STAND_HELD = 2,
	STAND_BALANCED = 4, /* taken and given back */
	STAND_GIVEN = 8, /* the caller's was given back */
	STANDS = 4,
};

/* The ways through a function, with how one lock can stand at each instruction. */
struct ways {
	struct dataflow *flow;
	const struct event *events;
	size_t event_count;
	uint8_t *stands; /* sets, by offset of the instruction */
	uint32_t *queue; /* offsets whose set has grown, as a ring */
	uint8_t *queued;
	size_t size, head, tail;
	unsigned at_return; /* the set where the function returns */
};

/* The events must outlive the ways. */
enum status ways_init(struct ways *ways, struct dataflow *flow, const struct event *events,
		      size_t event_count, struct error *err);
void ways_done(struct ways *ways);
#define AUTO_WAYS __attribute__((cleanup(ways_done)))

/* Follows the lock that key is about from the instruction at from on, until nothing changes; key NULL: only
 * where the ways lead. Fills in stands and at_return. */
void ways_run(struct ways *ways, const struct event *key, uint64_t from);

#endif
