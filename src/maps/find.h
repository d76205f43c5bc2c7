/*
 * All maps of a target, found by following typed references from its roots.
 *
 * Roots: package variables, variables of frames and what closures captured, where DWARF has their types
 * (closures from Go 1.23 on); the arguments of map calls in the code; and words of data, stacks and heap
 * that stand before a pointer as an interface's type word does. From a typed object each pointer of a
 * known type leads on. Without DWARF, maps of at least 3 entries are found by their bytes as well. Maps
 * that only an unsafe.Pointer or a uintptr leads to are not found. This walks the heap: only on request.
 */
#ifndef MAPS_FIND_H
#define MAPS_FIND_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/goroutine.h"
#include "maps/map.h"

struct found_map {
	uint64_t addr, type;
	char *owner; /* "main.cache", "main.(*Cache).items of 0xc000...", NULL unknown */
	uint64_t holder; /* address of the word that refers to it */
	/* 0: something typed leads to the map. Else it was found by its bytes, in a program without
	 * DWARF: its type is the one that fits the entries, or the best of so many that do, and the
	 * map may be one that is no longer used. */
	unsigned fitting_types;
};

struct found_maps {
	struct found_map *list;
	size_t count;
	bool complete; /* false: memory, DWARF or room was missing (noted) */
};

enum status maps_find(struct runtime *rt, const struct goroutines *goroutines,
		      struct found_maps *ret, struct error *err);
void found_maps_done(struct found_maps *maps);

#endif
