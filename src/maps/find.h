/*
 * All maps of a target, found by following typed references from its roots.
 *
 * Roots: package variables (DWARF types, else symbols), arguments and variables of frames, and words
 * of data, bss, stacks and heap that stand before a pointer as an interface's type word does. From a
 * typed object each pointer of a known type leads on. This walks the heap: only on request.
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
};

struct found_maps {
	struct found_map *list;
	size_t count;
	bool complete; /* false: a limit was hit, or memory was missing (noted) */
};

enum status maps_find(struct runtime *rt, const struct goroutines *goroutines,
		      struct found_maps *ret, struct error *err);
void found_maps_done(struct found_maps *maps);

#endif
