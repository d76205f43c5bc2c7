/*
 * The calls of Go's map functions in a program's code.
 */
#ifndef MAPS_MAPCALLS_H
#define MAPS_MAPCALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

struct map_call {
	uint64_t addr; /* of the call instruction */
	struct function caller;
	const char *callee; /* "runtime.mapassign_fast64" */
};

struct map_calls {
	struct map_call *list; /* by address */
	size_t count;
	bool complete; /* false: part of the code could not be read, or a limit was hit */
};

/* Finds the direct calls of runtime.mapassign*, mapaccess*, mapdelete*, mapclear, mapiterinit and
 * mapIterStart, whose first argument is the map's type and whose second is the map, outside of the
 * runtime itself. ERROR_NOT_FOUND when the program has no such function. */
enum status map_calls_find(struct runtime *rt, struct map_calls *ret, struct error *err);
void map_calls_done(struct map_calls *calls);

#endif
