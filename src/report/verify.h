/*
 * What many runs under holds have shown: races, and what was exercised without one. As text, as JSON
 * (docs/verify.schema.json), as SARIF 2.1.0 and as annotations of GitHub's workflow commands.
 */
#ifndef REPORT_VERIFY_H
#define REPORT_VERIFY_H

#include "report/json.h"
#include "report/page.h"
#include "verdict/trials.h"

/* One program, and what its runs have shown. */
struct verify_program {
	const char *name;
	const struct trials *trials;
};

/* A command whose programs were recorded: its own runs. Programs that it starts are reaped by others, so
 * their ends are not known: clean and failed of their trials are 0. */
struct verify_command {
	const char *line; /* with its arguments */
	unsigned runs, clean, failed, timeouts;
};

struct verify_facts {
	const struct verify_program *programs; /* one, unless there is a command */
	size_t program_count;
	const struct verify_command *command; /* NULL: one program, which was run itself */
	const char *against; /* a second program, to compare the one with; NULL: none */
	const struct trials *before; /* of against */
	uint64_t seed;
	unsigned hold_ms; /* the longest hold */
	const char *root; /* directory that paths are shown from in SARIF and annotations */
	const char *version; /* of this program */
	const struct notes *notes;
};

/* The race of list that race is too, or NULL. */
const struct trial_race *verify_find(const struct trials *list, const struct trial_race *race);

void verify_text(struct page *page, const struct verify_facts *facts);
void verify_json(FILE *out, const struct verify_facts *facts);
void verify_sarif(FILE *out, const struct verify_facts *facts);
void verify_github(FILE *out, const struct verify_facts *facts);

#endif
