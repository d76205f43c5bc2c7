/*
 * What the files of map_owner_find share: by the code (owner_code.c), by what frames and package
 * variables hold (owner_values.c), the words for it (owner_name.c).
 */
#ifndef MAPS_OWNER_INTERNAL_H
#define MAPS_OWNER_INTERNAL_H

#include "base/text.h"
#include "go/shape.h"
#include "maps/owner.h"

/* What lies at an offset in a value of some type. */
struct member {
	struct shape_ref ref; /* the innermost part that starts there: a word, a string, a map */
	enum kind kind;
	struct shape_ref within; /* the innermost named struct around it; no type: none */
	uint64_t within_offset; /* of that struct, from the value's start */
	char path[200]; /* from there, or else from the value on: "stats.counts", "[].items", "" */
};

/* Finds the part of a value of type ref that starts at offset; false where no word starts there. */
bool member_find(struct runtime *rt, struct shape_ref ref, uint64_t offset, struct member *ret);

/* The type called as in linked names, "example.com/app/cache.Cache", that the program has a
 * descriptor of. */
bool type_by_linked_name(struct runtime *rt, const char *name, size_t len, uint64_t *ret);

/* By the code. True with no name where it tells what the map is, and that has none (a stripped
 * program's variables). Where it tells only that the map was loaded from some offset of an object, and
 * not of what type, the offset goes to *ret_offset; -1 otherwise. */
bool owner_by_code(struct runtime *rt, const struct goroutine *goroutine,
		   const struct frames *frames, uint64_t map, uint64_t type, struct map_owner *ret,
		   int64_t *ret_offset);
bool owner_by_variables(struct runtime *rt, const struct frames *frames, uint64_t map,
			struct map_owner *ret);
bool owner_by_package(struct runtime *rt, uint64_t map, struct map_owner *ret);
/* By the structs that the program has descriptors of, and that have such a map (at offset, if that is
 * not -1): one that a word of the frames leads to, and that holds this map. */
bool owner_by_words(struct runtime *rt, const struct frames *frames, uint64_t map, uint64_t type,
		    int64_t offset, struct map_owner *ret);

#endif
