/*
 * Would a crash be explainable? What a binary, and the machine that it runs on, would leave to read.
 */
#ifndef VERDICT_READINESS_H
#define VERDICT_READINESS_H

#include <stddef.h>

#include "go/runtime.h"
#include "target/coresettings.h"

enum readiness {
	READY, /* all that mapcrash wants */
	READY_LESS, /* a crash would be explained, with less in it */
	READY_NOT, /* a crash could not be explained */
};

struct readiness_item {
	const char *name; /* "build id" */
	enum readiness state;
	char found[160]; /* bytes of the target and its environment in it */
	const char *advice; /* what to do about it; NULL: nothing */
};

enum { READINESS_MAX = 16 };

/* Looks at the binary; *ret_count items. Fails only for want of memory: what the binary lacks is an item. */
enum status readiness_of_binary(struct runtime *rt, struct readiness_item ret[READINESS_MAX],
				size_t *ret_count, struct error *err);

/* Looks at the machine: traceback is GOTRACEBACK's value, or NULL where it is not set. */
size_t readiness_of_machine(const struct runtime *rt, const struct core_settings *settings,
			    const char *traceback, struct readiness_item ret[READINESS_MAX]);

/* The worst of them. */
enum readiness readiness_worst(const struct readiness_item *items, size_t count);

/* "ok", "less", "not" */
const char *readiness_name(enum readiness state);

#endif
