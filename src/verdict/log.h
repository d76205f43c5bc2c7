/*
 * The verdict on a crash of which only the text is left: what Go printed, in a log.
 *
 * A log may hold several crashes, of several processes: each is judged as its lines go by, and one is
 * told in full. A text proves less than a core: arguments that Go marks with "?" may be stale, frames of
 * the runtime are hidden by default, and nobody can look at the map. The grades mean the same
 * (verdict.h); what each rests on here:
 *   proven    a goroutine stands in a write of the very map whose check failed, at a place that only
 *             a call between the set and the clear of the flag reaches, and both calls' map pointers
 *             are printed without "?";
 *   likely    one goroutine, and no other, is in a writing call on this map; or failed a check as well; or,
 *             awake, stands in a call that writes a map of this type; or was given the object that the
 *             detector was given and runs code that writes such a map;
 *   possible  several such, or weaker ties;
 *   unknown   nobody that was printed is tied to the map.
 */
#ifndef VERDICT_LOG_H
#define VERDICT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "go/runtime.h"
#include "go/tracenames.h"
#include "verdict/verdict.h"

/* One crash of a log, in a few words. Sites' strings live as long as the log_verdict. */
struct log_crash {
	uint64_t line; /* of the log, where it begins */
	uint64_t last_line;
	enum cause cause;
	enum grade grade;
	char *message; /* owned; NULL: none was found */
	char *what; /* owned; CAUSE_OTHER: in words */
	uint64_t goroutines; /* that were printed */
	uint64_t detector, other; /* goroutine ids, 0: none */
	struct site detector_site, other_site;
	uint64_t map; /* address, 0: not known */
	bool chosen;
};

struct log_match {
	const char *message; /* NULL: any */
	uint64_t goroutine; /* its id whose check failed, 0: any */
	/* Addresses, 0: any; a log that does not show them agrees. */
	uint64_t g, map;
};

struct log_options {
	struct runtime *rt; /* of the executable; NULL: none is given */
	uint64_t
		crash; /* number of the one to tell in full, from 1; 0: the last of a map, else the last */
	const struct log_match *match; /* not NULL: the last that agrees with it */
	bool sites; /* list the write sites also where the grade does not need them */
};

/* Crashes of a log that are listed: of a service that restarts for weeks, the last ones. */
enum { LOG_CRASHES_MAX = 1000 };

struct log_verdict {
	struct log_crash *crashes; /* in the order in which they end */
	size_t count;
	uint64_t dropped; /* crashes before the first listed */
	uint64_t number; /* of the chosen one, from 1; 0: none was chosen */
	struct verdict verdict; /* of the chosen one */
	uint64_t map_type; /* of the chosen one's map, by the executable; 0: not known */
	bool other_build; /* its frames are not all in the executable */
	bool used_exe; /* the executable is of its build, and was used */
	char version[32]; /* of its Go, "go1.23"; empty: not shown */
	struct trace_names *names; /* what all sites' strings are in */
};

/* Reads the log from fd to its end and judges it. ERROR_NOT_FOUND: there is nothing of Go's in it, or no
 * crash of that number. */
enum status log_judge(int fd, const struct log_options *options, struct notes *notes,
		      struct log_verdict *ret, struct error *err);
void log_verdict_done(struct log_verdict *verdict);

#endif
