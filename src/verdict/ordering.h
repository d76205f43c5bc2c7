/*
 * Whether a goroutine's code does anything at all that could order what it does after what others do: locks,
 * channels, atomics, waiting.
 *
 * The code of the function that a goroutine began with, and of all that it calls or hands on, is looked
 * through. A goroutine that has none of that, and that wrote a map before and after another one did, wrote
 * it unordered: it cannot have known of the other. Where a call cannot be followed (an interface, a function
 * value, a package that may do anything) nothing is claimed.
 */
#ifndef VERDICT_ORDERING_H
#define VERDICT_ORDERING_H

#include <stdbool.h>

#include "go/frames.h"
#include "go/runtime.h"

/* false: it has nothing of that. true: *ret_what says what was found first, or what could not be followed,
 * as the name of a function or in words; it lives as long as the runtime. */
bool ordering_in_code(struct runtime *rt, const struct library *library,
		      const struct function *root, const char **ret_what);

/* The function that a goroutine began with, by its whole stack as return addresses lead out of it: the one
 * that runtime.goexit or runtime.main is below. false where the stack was cut. */
bool ordering_root(const struct frame *frames, size_t count, struct function *ret);

#endif
