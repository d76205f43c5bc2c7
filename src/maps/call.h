/*
 * Calls of Go's map functions: which function does what to a map, and what a call on a stack was
 * given.
 */
#ifndef MAPS_CALL_H
#define MAPS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/callsite.h"
#include "go/runtime.h"
#include "go/stack.h"

enum operation {
	OPERATION_UNKNOWN,
	OPERATION_READ,
	OPERATION_ASSIGN,
	OPERATION_DELETE,
	OPERATION_CLEAR,
	OPERATION_ITERATE,
	OPERATION_CLONE,
};

/* "assign", "delete", ... */
const char *operation_name(enum operation operation);
/* Whether it changes the map, and so sets the flag. */
bool operation_writes(enum operation operation);

/* How a function takes its key. */
enum key_form {
	KEY_NONE,
	KEY_POINTER, /* a word that points to the key */
	KEY_WORD, /* the key is the word itself */
	KEY_STRING, /* two words: pointer and length */
};

struct map_function {
	enum operation operation;
	int8_t type_word, map_word, iter_word, key_word; /* argument words; -1: none */
	enum key_form key_form;
};

/* What the function called name (as linked) does with its arguments; false when it is no function
 * that takes a map and does one of the operations. */
bool map_function_by_name(const char *name, struct map_function *ret);

struct map_call {
	enum operation operation;
	size_t frame; /* index of the outermost map function's frame */
	size_t inner; /* index of the innermost one: the one that handles the flag */
	bool has_map, has_type;
	struct argument map, type;
	uint64_t iter; /* address of the hiter or Iter, 0 none */
	enum key_form key_form; /* KEY_NONE where the key could not be had */
	struct argument key; /* pointer, value, or pointer of a string */
	uint64_t key_len; /* KEY_STRING */
};

/* The map call that the innermost frames of a stack are in: from innermost out, runtime frames up to
 * the outermost map function before the first frame that is not the runtime's. false when there is
 * none. Pointers that the frames do not give with certainty are left out. */
bool map_call_of_stack(struct runtime *rt, const struct frame *frames, size_t count,
		       struct map_call *ret);

#endif
