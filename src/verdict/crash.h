/*
 * What a Go process died of.
 */
#ifndef VERDICT_CRASH_H
#define VERDICT_CRASH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "go/runtime.h"

enum crash_kind {
	CRASH_NONE, /* it lived, or was killed from outside */
	CRASH_MAP_WRITES, /* concurrent map writes */
	CRASH_MAP_READ_WRITE, /* concurrent map read and map write */
	CRASH_MAP_ITERATE_WRITE, /* concurrent map iteration and map write */
	CRASH_MAP_CLONE_WRITE, /* concurrent map clone and map write */
	CRASH_MAP_SMALL_FULL, /* small map with no empty slot (concurrent map writes?) */
	CRASH_FATAL, /* another fatal error */
	CRASH_PANIC,
	CRASH_SIGNAL, /* a signal that Go did not turn into one of the above */
};

struct crash {
	enum crash_kind kind;
	char *message; /* after "fatal error: " or "panic: "; NULL unknown */
	char *what; /* in words, for what is no map crash */
	bool has_goroutine;
	struct goroutine goroutine; /* the one that the runtime stopped */
	struct frames frames; /* its stack; empty where it could not be had (noted) */
	bool has_fatal; /* fatal_frame is valid */
	size_t fatal_frame; /* index of the outermost frame of runtime.fatal or throw, maps.fatal
			       included: its caller is the code that gave up */
};

/* Tells what the target died of. frozen, where not NULL, is a goroutine of it that stands at the entry of
 * fatal: then it is about to die of that. Never fails for want of evidence: what is not known is left
 * out. */
enum status crash_read(struct runtime *rt, const struct goroutine *frozen, struct crash *ret,
		       struct error *err);
void crash_done(struct crash *crash);

/* Whether the message of a fatal error is the map check's. */
enum crash_kind crash_kind_of_message(const char *message);

/* What a fatal error that is not a map's means, in words; NULL: it is not one that people meet. */
const char *crash_fatal_meaning(const char *message);
/* What a panic with this message is, in words. from_signal: a signal had become it. */
const char *crash_panic_meaning(const char *message, bool from_signal);

/* The runtime's own "fatal error: " output as kept in runtime.printBacklog, which the runtime writes
 * for readers of cores; NULL when it is not there. The caller frees it. */
char *crash_backlog_message(struct runtime *rt);

#endif
