/*
 * The map call that a printed stack is in: what call.h tells of a stack in memory, told of its text.
 */
#ifndef MAPS_TRACECALL_H
#define MAPS_TRACECALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/traceback.h"
#include "maps/call.h"

/* A word of a call's arguments. */
struct trace_word {
	uint64_t value;
	bool known; /* some frame shows it */
	bool certain; /* a frame shows it without "?", and no other such frame another value */
};

struct trace_call {
	enum operation
		operation; /* OPERATION_UNKNOWN: a write, but the frame that says which is hidden */
	bool writes;
	size_t frame; /* index of the outermost frame of it */
	bool has_function; /* a map function itself is shown; its frame is handler: */
	size_t handler; /* the innermost one, which handles the flag */
	struct trace_word map, type;
	enum key_form key_form; /* of key; KEY_NONE: not shown with certainty */
	uint64_t key, key_len;
	bool inside; /* a frame further in is called only between the set and the clear of the flag */
	const char *inside_function; /* that one */
	bool fatal; /* its check has failed: it stands in runtime.fatal */
	bool panics; /* a panic came in between: the call may have been left */
};

/* The map call that the innermost frames are in: as map_call_of_stack. false: none that is shown. */
bool trace_call_of_stack(const struct trace_frame *frames, size_t count, struct trace_call *ret);

/* Whether a frame is that of runtime.fatal or throw, or their shims in other packages. */
bool trace_frame_is_fatal(const char *function);

#endif
