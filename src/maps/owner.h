/*
 * Whose a map is, in the words of its source: a struct's field, a package variable, a local one.
 */
#ifndef MAPS_OWNER_H
#define MAPS_OWNER_H

#include <stdint.h>

#include "go/frames.h"
#include "go/runtime.h"

/*
 * What the frames of a stack that uses the map call it: "main.(*Cache).items", "main.sessions",
 * "main.main.m". By DWARF's variables where the executable has them; else by the receiver's type, which
 * a method's name tells, and by symbols. NULL where none of these knows it. The caller frees it.
 */
char *map_owner(struct runtime *rt, const struct frames *frames, uint64_t map);

#endif
