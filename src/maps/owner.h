/*
 * Whose a map is, in the words of its source: a struct's field, a package variable, a local one.
 */
#ifndef MAPS_OWNER_H
#define MAPS_OWNER_H

#include <stdint.h>

#include "base/text.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "go/runtime.h"
#include "go/shape.h"

/* How well it is known. */
enum owner_certainty {
	OWNER_FITS, /* a word there is the map, and no other struct of the program has such a field */
	OWNER_BY_CODE, /* the instructions before the call take the map from there */
	OWNER_SEEN, /* that, or a variable of a frame or package; and the word there is the map */
};

struct map_owner {
	/* "main.(*Cache).items", "main.sessions", "main.main.m" (a variable of the function
	 * main.main); types and functions as linked, with their package's path. Of a map that is an
	 * element: "element of main.(*tally).byHost". NULL: it has no name, how says what is known. */
	char *name;
	char *how; /* one sentence */
	enum owner_certainty certainty;
	uint64_t type; /* of the map as it is declared there, where that has a descriptor; 0 */
	uint64_t holder; /* address of the word that holds the map; 0 unknown */
	uint64_t object; /* of the struct that it is a field of; 0 none or unknown */
	struct shape_ref object_type; /* of that struct */
	bool made_here; /* map_owner_of_call: the same function makes the map */
};

/*
 * Whose the map at address map, of the map type at type (0 for what is not known), is, as far as the stack of a goroutine that
 * uses it tells. frames is that stack, in a map function or not. First by the machine code: what the
 * call of the map function was given, followed back through the code of the function, of its callers
 * and of those that made the closures; then by what DWARF's variables of the frames hold; then by the
 * package variables; then by structs that words of the frames lead to. False where none knows it.
 */
bool map_owner_find(struct runtime *rt, const struct goroutine *goroutine,
		    const struct frames *frames, uint64_t map, uint64_t type,
		    struct map_owner *ret);
void map_owner_done(struct map_owner *owner);

/* "main.(*Cache).items" for field path of a struct type, appended. False where the type has no name. */
bool owner_field_name(struct runtime *rt, struct shape_ref within, const char *path,
		      struct text *text);

/* The type that a method's linked name says its receiver points to: main.Cache for
 * "main.(*Cache).Put" and "main.(*Cache).Put-fm". */
bool receiver_of_name(struct runtime *rt, const char *function, struct shape_ref *ret);

/* Whether a name is of the standard library: its package's functions come from there. */
bool owner_in_library(struct runtime *rt, const char *name);

/* Whether such a method is generic, and takes its receiver behind a dictionary. */
bool receiver_is_second(const char *function);

/* The same for one call of a map function, at the address call in fn, by the code alone; words of the
 * target are not read. */
bool map_owner_of_call(struct runtime *rt, const struct function *fn, uint64_t call,
		       struct map_owner *ret);

#endif
