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
 * *ret_type is the type that a struct's field declares, 0 for other owners: generic code works on
 * shapes (map[go.shape.string]int), and the declaration has the names.
 */
char *map_owner(struct runtime *rt, const struct frames *frames, uint64_t map, uint64_t *ret_type);

#endif
