/*
 * Whether a goroutine's stack leads to a map: the map's address in its frames, or that of an object
 * that holds it.
 */
#ifndef VERDICT_REACH_H
#define VERDICT_REACH_H

#include <stdbool.h>
#include <stdint.h>

#include "go/frames.h"
#include "go/goroutine.h"
#include "go/runtime.h"

struct reach {
	unsigned
		distance; /* 0: a word of its stack is the map's address; 1: of an object that holds
			      it; 2: of an object that points to such an object */
	uint64_t slot; /* address of that word in the stack */
	uint64_t via; /* distance 1 and 2: the first object */
};

/* The nearest way from a word of the goroutine's frames to the map. Words are looked at as they
 * stand, live or left over: the caller says no more than "its stack leads to the map". */
bool reach_map(struct runtime *rt, const struct goroutine *goroutine, const struct frames *frames,
	       uint64_t map, struct reach *ret);

#endif
