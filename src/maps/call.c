#include "maps/call.h"

#include <string.h>

#include "base/bytes.h"

const char *operation_name(enum operation operation)
{
	static const char *const names[] = {"unknown", "read",	  "assign", "delete",
					    "clear",   "iterate", "clone"};
	return names[operation];
}

bool operation_writes(enum operation operation)
{
	return operation == OPERATION_ASSIGN || operation == OPERATION_DELETE ||
	       operation == OPERATION_CLEAR;
}

/*
 * A name that ends in '*' is a prefix. The
 * argument words are those of the sources: runtime/map*.go of 1.18 to 1.23, internal/runtime/maps
 * and runtime/map_swiss.go from 1.24 on;
 * reflect's are linked to the runtime's.
 */
static const struct named_function {
	const char *package, *name;
	struct map_function f;
} functions[] = {
	{"runtime.", "mapassign_faststr", {OPERATION_ASSIGN, 0, 1, -1, 2, KEY_STRING}},
	{"runtime.", "mapassign_fast*", {OPERATION_ASSIGN, 0, 1, -1, 2, KEY_WORD}},
	{"runtime.", "mapassign", {OPERATION_ASSIGN, 0, 1, -1, 2, KEY_POINTER}},
	{"runtime.", "mapdelete_faststr", {OPERATION_DELETE, 0, 1, -1, 2, KEY_STRING}},
	{"runtime.", "mapdelete_fast*", {OPERATION_DELETE, 0, 1, -1, 2, KEY_WORD}},
	{"runtime.", "mapdelete", {OPERATION_DELETE, 0, 1, -1, 2, KEY_POINTER}},
	{"runtime.", "mapaccess1_faststr", {OPERATION_READ, 0, 1, -1, 2, KEY_STRING}},
	{"runtime.", "mapaccess2_faststr", {OPERATION_READ, 0, 1, -1, 2, KEY_STRING}},
	{"runtime.", "mapaccess1_fast*", {OPERATION_READ, 0, 1, -1, 2, KEY_WORD}},
	{"runtime.", "mapaccess2_fast*", {OPERATION_READ, 0, 1, -1, 2, KEY_WORD}},
	{"runtime.", "mapaccess*", {OPERATION_READ, 0, 1, -1, 2, KEY_POINTER}},
	{"runtime.", "mapclear", {OPERATION_CLEAR, 0, 1, -1, -1, KEY_NONE}},
	{"runtime.", "mapclone2", {OPERATION_CLONE, 0, 1, -1, -1, KEY_NONE}},
	{"runtime.", "mapiterinit", {OPERATION_ITERATE, 0, 1, 2, -1, KEY_NONE}},
	{"runtime.", "mapIterStart", {OPERATION_ITERATE, 0, 1, 2, -1, KEY_NONE}},
	{"runtime.", "mapiternext", {OPERATION_ITERATE, -1, -1, 0, -1, KEY_NONE}},
	{"runtime.", "mapIterNext", {OPERATION_ITERATE, -1, -1, 0, -1, KEY_NONE}},
	{"reflect.", "mapassign_faststr*", {OPERATION_ASSIGN, 0, 1, -1, 2, KEY_STRING}},
	{"reflect.", "mapassign*", {OPERATION_ASSIGN, 0, 1, -1, 2, KEY_POINTER}},
	{"reflect.", "mapdelete_faststr", {OPERATION_DELETE, 0, 1, -1, 2, KEY_STRING}},
	{"reflect.", "mapdelete", {OPERATION_DELETE, 0, 1, -1, 2, KEY_POINTER}},
	{"reflect.", "mapaccess_faststr", {OPERATION_READ, 0, 1, -1, 2, KEY_STRING}},
	{"reflect.", "mapaccess", {OPERATION_READ, 0, 1, -1, 2, KEY_POINTER}},
	{"reflect.", "mapclear", {OPERATION_CLEAR, 0, 1, -1, -1, KEY_NONE}},
	{"reflect.", "mapiterinit", {OPERATION_ITERATE, 0, 1, 2, -1, KEY_NONE}},
	{"reflect.", "mapIterStart", {OPERATION_ITERATE, 0, 1, 2, -1, KEY_NONE}},
	{"reflect.", "mapiternext", {OPERATION_ITERATE, -1, -1, 0, -1, KEY_NONE}},
	{"reflect.", "mapIterNext", {OPERATION_ITERATE, -1, -1, 0, -1, KEY_NONE}},
	{"internal/runtime/maps.", "(*Iter).Next", {OPERATION_ITERATE, -1, -1, 0, -1, KEY_NONE}},
	{"internal/runtime/maps.", "(*Iter).Init", {OPERATION_ITERATE, 1, 2, 0, -1, KEY_NONE}},
	{"internal/runtime/maps.", "(*Map).PutSlot", {OPERATION_ASSIGN, 1, 0, -1, 2, KEY_POINTER}},
	{"internal/runtime/maps.", "(*Map).Put", {OPERATION_ASSIGN, 1, 0, -1, 2, KEY_POINTER}},
	{"internal/runtime/maps.", "(*Map).Delete", {OPERATION_DELETE, 1, 0, -1, 2, KEY_POINTER}},
	{"internal/runtime/maps.", "(*Map).Clear", {OPERATION_CLEAR, 1, 0, -1, -1, KEY_NONE}},
	{"internal/runtime/maps.", "(*Map).Clone", {OPERATION_CLONE, 1, 0, -1, -1, KEY_NONE}},
	{"internal/runtime/maps.", "(*Map).Get", {OPERATION_READ, 1, 0, -1, 2, KEY_POINTER}},
	{"internal/runtime/maps.", "(*Map).getWithKey", {OPERATION_READ, 1, 0, -1, 2, KEY_POINTER}},
	{"internal/runtime/maps.",
	 "(*Map).getWithoutKey",
	 {OPERATION_READ, 1, 0, -1, 2, KEY_POINTER}},
};

bool map_function_by_name(const char *name, struct map_function *ret)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		const struct named_function *f = &functions[i];
		size_t package = strlen(f->package), n = strlen(f->name);
		if (strncmp(name, f->package, package) != 0)
			continue;
		bool is_prefix = f->name[n - 1] == '*';
		if (is_prefix ? strncmp(name + package, f->name, n - 1) == 0
			      : strcmp(name + package, f->name) == 0) {
			*ret = f->f;
			return true;
		}
	}
	return false;
}

/* Fills map and type from an iterator: they stand in the hiter or Iter that the caller owns. */
static void read_iterator(struct runtime *rt, uint64_t iter, struct map_call *call)
{
	uint16_t map = rt->swiss ? rt->layout.iter.m : rt->layout.hiter.h;
	uint16_t type = rt->swiss ? rt->layout.iter.typ : rt->layout.hiter.t;
	uint64_t value;
	call->iter = iter;
	if (map == LAYOUT_NONE || type == LAYOUT_NONE)
		return;
	if (memory_read_u64(rt->target->memory, iter + map, &value, NULL) == OK && value) {
		call->map = (struct argument){value, ARGUMENT_STACK, iter + map};
		call->has_map = true;
	}
	if (memory_read_u64(rt->target->memory, iter + type, &value, NULL) == OK && value) {
		call->type = (struct argument){value, ARGUMENT_STACK, iter + type};
		call->has_type = true;
	}
}

static void read_arguments(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
			   const struct map_function *f, struct map_call *call)
{
	struct argument arg;
	if (f->map_word >= 0 && !call->has_map &&
	    frame_argument(rt, frames, count, i, (unsigned)f->map_word, false, &arg)) {
		call->map = arg;
		call->has_map = true;
	}
	if (f->type_word >= 0 && !call->has_type &&
	    frame_argument(rt, frames, count, i, (unsigned)f->type_word, false, &arg)) {
		call->type = arg;
		call->has_type = true;
	}
	if (f->iter_word >= 0 && !call->has_map &&
	    frame_argument(rt, frames, count, i, (unsigned)f->iter_word, false, &arg))
		read_iterator(rt, arg.value, call);
	if (f->key_form == KEY_NONE || call->key_form != KEY_NONE ||
	    !frame_argument(rt, frames, count, i, (unsigned)f->key_word, false, &arg))
		return;
	struct argument len = {0};
	if (f->key_form == KEY_STRING &&
	    !frame_argument(rt, frames, count, i, (unsigned)f->key_word + 1, false, &len))
		return;
	call->key_form = f->key_form;
	call->key = arg;
	call->key_len = len.value;
}

bool map_call_of_stack(struct runtime *rt, const struct frame *frames, size_t count,
		       struct map_call *ret)
{
	struct map_function f;
	size_t outermost = 0, innermost = 0;
	bool found = false;
	for (size_t i = 0; i < count && frames[i].has_function; i++) {
		const char *name = frames[i].function.name;
		if (!function_is_runtime(name))
			break;
		if (!map_function_by_name(name, &f))
			continue;
		if (!found)
			innermost = i;
		outermost = i;
		found = true;
	}
	if (!found)
		return false;

	struct map_call call = {.frame = outermost, .inner = innermost};
	/* The outermost function names the operation (mapdelete_faststr is a shim over Delete), and
	 * its key is the caller's; each further in may still hold what the outer frame lost. */
	for (size_t i = outermost + 1; i-- > innermost;) {
		if (!map_function_by_name(frames[i].function.name, &f))
			continue;
		if (call.operation == OPERATION_UNKNOWN)
			call.operation = f.operation;
		read_arguments(rt, frames, count, i, &f, &call);
	}
	*ret = call;
	return true;
}
