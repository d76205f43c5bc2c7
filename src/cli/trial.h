/*
 * verify's runs: a program, or a command with the programs that it starts, again and again with map
 * writers held for a while that differs from run to run.
 */
#ifndef CLI_TRIAL_H
#define CLI_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "go/runtime.h"
#include "target/target.h"
#include "verdict/trials.h"

struct trial_plan {
	uint64_t runs, seed;
	uint64_t hold_ms; /* the longest hold */
	uint64_t duration_s; /* of one run at most */
};

/* One program, which is the content of its executable: go test makes that file anew in each run. */
struct trial_program {
	char *name;
	struct target *target; /* the executable */
	struct runtime *rt; /* of the executable */
	struct trials trials;
};

struct trial {
	const struct trial_plan *plan;
	char **argv;
	const char *directory; /* where it starts; NULL: where we are */
	struct notes *notes;
	struct trial_program **programs; /* in the order first seen */
	size_t count, cap;
	/* of a command, as struct trials has them of a program */
	unsigned runs, clean, failed, timeouts;
	/* private */
	uint64_t random; /* state of the generator */
	bool stopped; /* the user has had enough */
};

/* Runs the program. All that is printed goes into a file of ours. FAILED also where it cannot be
 * recorded. */
enum status trial_run_program(struct trial *trial, struct error *err);

/* Runs a command, and records the programs that it starts. Nothing that it started runs on after a run.
 * FAILED also where the first run starts no program that can be recorded. We become the parent of what its
 * processes leave (prctl(2), PR_SET_CHILD_SUBREAPER). */
enum status trial_run_command(struct trial *trial, struct error *err);

size_t trial_race_count(const struct trial *trial);
void trial_done(struct trial *trial);
#define AUTO_TRIAL __attribute__((cleanup(trial_done)))

#endif
