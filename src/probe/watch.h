/*
 * Watching the flag of one map in a running process: each change of it, with who made it.
 *
 * The flag is the byte that Go's own checks look at (hmap.flags, Map.writing). A hardware breakpoint on
 * it brings each store to it with thread, time and registers, without stopping the process (see
 * probe/breakpoint.h). From these follow the instruction, what it wrote, the goroutine (its g is in R14
 * in Go code: abi-internal.md) and its callers. Breakpoints on runtime.fatal and runtime.goexit0 tell when
 * a check fails and when a goroutine ends: a g is used again for the next goroutine.
 *
 * Times are CLOCK_MONOTONIC and taken just after the store, on its CPU, before its thread goes on. So of
 * two changes of which one happens before the other (by a lock, a channel), the times are in that order,
 * and two writes whose times overlap had nothing between them that orders them.
 */
#ifndef PROBE_WATCH_H
#define PROBE_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/runtime.h"
#include "maps/call.h"
#include "maps/flagsites.h"
#include "maps/map.h"

/* Callers that one event has at most: what BREAKPOINT_STACK bytes of stack can tell is less. */
enum { WATCH_CALLERS_MAX = 16 };

enum watch_kind {
	WATCH_FLIP, /* the byte was written */
	WATCH_FATAL, /* a goroutine dies of a fatal error: a check of a map's flag, or another */
	WATCH_GAP, /* changes were too fast for us: some are missing */
};

struct watch_event {
	enum watch_kind kind;
	uint64_t time; /* ns since watch_start; WATCH_GAP: when it ended */
	uint64_t since; /* WATCH_GAP: when it began */
	uint64_t lost; /* WATCH_GAP: how many */
	pid_t thread;
	uint64_t g; /* address; 0: not a goroutine's, or not known */
	uint64_t goroutine; /* id; 0 unknown: it had ended before it could be read */
	uint64_t
		who; /* a number for each goroutine that was seen, whether its id is known or not; for
			 what is no goroutine's, for each thread */
	uint64_t pc; /* of the instruction that wrote, or of the call of fatal; 0 unknown */
	struct function function; /* that pc is in; name NULL unknown */
	const char *instruction; /* at pc, as text; lives as long as the watch; NULL unknown */
	struct regs regs; /* behind the instruction */
	enum flag_site_kind change; /* of a store in a map function, else FLAG_OTHER */
	bool in_map_function;
	enum operation operation; /* of the map call that it is part of */
	bool has_old, has_new;
	uint8_t old, new; /* the byte's values; old is what the change before left */
	enum flag_check_role check; /* WATCH_FATAL: of a map's flag; NONE: dies of something else */
	bool holds_map; /* WATCH_FATAL: the map's address is in its registers, or on its stack where it
			   died */
	struct site
		site; /* the first frame that the program's author wrote; function NULL unknown */
	size_t caller_count;
	uint64_t callers[WATCH_CALLERS_MAX]; /* return addresses, innermost first */
};

struct watch;

/* What is watched. */
struct watch_map {
	uint64_t addr, flag; /* of the map's header and of its byte */
	uint8_t value; /* the byte, when the watch was opened */
	uint8_t writing; /* the bits of it that say that a write is going on */
};

/* Prepares a watch of the map at addr. The process must be stopped, that is, just opened. Fails where
 * what is at addr is no map, as far as its header can tell, and where breakpoints fail.
 * ERROR_UNSUPPORTED for targets that are no process and on arm64. */
enum status watch_open(struct runtime *rt, uint64_t addr, struct watch **ret, struct error *err);
/* Takes the breakpoints off. The runtime must still be there. */
void watch_free(struct watch *watch);

const struct watch_map *watch_map(const struct watch *watch);

/* Lets the process run (target_resume), and the clock with it. */
enum status watch_start(struct watch *watch, struct error *err);

/* Collects what has happened, after waiting for something to happen, for timeout_ms at most. */
enum status watch_poll(struct watch *watch, int timeout_ms, struct error *err);

/* The next event, in order of time, as far as that is settled: an event is given out some milliseconds
 * after it was. False when there is none for now. */
bool watch_next(struct watch *watch, struct watch_event *ret);

/* Whether the process has ended. What it did until then is still to be had by watch_stop and watch_next. */
bool watch_ended(const struct watch *watch);

/* Takes the breakpoints off and settles all that has happened, for watch_next to give out. */
enum status watch_stop(struct watch *watch, struct error *err);

/* ns since watch_start. */
uint64_t watch_now(const struct watch *watch);

#endif
