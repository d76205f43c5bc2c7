/*
 * Following typed pointers through a target's memory, and the maps met on the way.
 *
 * Each word that may hold a pointer is followed once, however often it is reached. Objects of types that
 * lead to no map are not read. What follows from a declared type is trusted; what was only guessed to be
 * of a type (a word that looks like an interface's) is not, and a map that is met on such a way must
 * prove to be one.
 */
#ifndef MAPS_HEAPWALK_H
#define MAPS_HEAPWALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/u64set.h"
#include "go/variable.h"
#include "maps/find.h"
#include "maps/hash.h"
#include "maps/marks.h"
#include "maps/typegraph.h"

struct closure;

/* count values of a type from addr on. */
struct heap_item {
	uint64_t addr, count;
	uint32_t node;
	uint32_t owner; /* index in owners; 0: named by its type */
};

/* How well an owner says whose a map is; the best that is met is kept. */
enum owner_rank {
	OWNER_NONE,
	OWNER_ELEMENT, /* of another map */
	OWNER_LOCAL, /* a variable of a frame */
	OWNER_FIELD, /* a package variable, or a field of a struct */
};

struct met_map {
	struct found_map found;
	uint32_t node; /* of its type */
	enum owner_rank rank;
};

struct owner {
	char *text; /* "main.cache", "element of map 0x..." */
	enum owner_rank rank;
};

struct heap_walk {
	struct runtime *rt;
	struct type_graph graph;
	struct word_marks marks; /* words that were followed */
	struct u64set guesses; /* words, and what they were taken for, that may be something else */
	struct met_map *maps;
	size_t map_count, map_cap;
	uint32_t *
		index; /* of maps by header; open addressing, number + 1; 1 << index_bits of them */
	unsigned index_bits;
	size_t map_next; /* the first whose entries were not followed yet */
	struct heap_item *items; /* a stack */
	size_t item_count, item_cap;
	struct owner *owners;
	size_t owner_count, owner_cap;
	struct closure *closures; /* by code */
	size_t closure_count, closure_cap;
	bool trusted; /* what is followed now */
	bool stopped; /* memory is out, or a limit was hit */
	uint64_t lost; /* trusted objects that could not be read */
	struct memory_range range; /* the writable one that was asked for last */
	uint64_t spent, budget; /* bytes of guessed objects read, and allowed */
	uint8_t *block;
	struct hasher
		*hasher; /* for maps that must prove to be one; NULL: not tried or not there */
	bool hasher_tried;
};

enum status heap_walk_init(struct heap_walk *walk, struct runtime *rt, struct error *err);
void heap_walk_done(struct heap_walk *walk);

/* Follows the value of a type at addr, called owner (copied; NULL: by its type). */
void heap_walk_value(struct heap_walk *walk, struct shape_ref type, uint64_t addr,
		     const char *owner, enum owner_rank rank);
/* The same for a value of which only some words are known (bit i of known: words[i]). */
void heap_walk_words(struct heap_walk *walk, struct shape_ref type, const uint64_t *words,
		     unsigned known, const char *owner, enum owner_rank rank);
/* Follows the interface value at addr: type is its dynamic type, and the data word stands behind. */
void heap_walk_interface(struct heap_walk *walk, uint64_t type, uint64_t addr);
/* A map of the given map type that something at holder refers to. fitting_types as in found_map. */
void heap_walk_map(struct heap_walk *walk, uint64_t type, uint64_t addr, uint64_t holder,
		   unsigned fitting_types);
/* Whether the map with its header at addr was met. */
bool heap_walk_has(const struct heap_walk *walk, uint64_t addr);

#endif
