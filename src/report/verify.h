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

/* A program, or a command with the programs that it started. */
struct verify_side {
	const struct verify_program *programs; /* one, unless there is a command */
	size_t program_count;
	const struct verify_command *command; /* NULL: one program, which was run itself */
};

struct verify_facts {
	struct verify_side now;
	const struct verify_side *before; /* to compare with; NULL: nothing. Both have a command,
					     or none has */
	uint64_t seed;
	unsigned hold_ms; /* the longest hold */
	const char *root; /* directory that paths are shown from in SARIF and annotations */
	const char *version; /* of this program */
	const struct notes *notes;
};

/* Whether one of the side's programs has the race. Those of a command are not told apart: what two of
 * them share may show in either. */
bool verify_has(const struct verify_side *side, const struct trial_race *race);

/* Whether a program of this name ran on the side: of others it is not known what became of their races. */
bool verify_ran(const struct verify_side *side, const struct verify_program *program);

void verify_text(struct page *page, const struct verify_facts *facts);
void verify_json(FILE *out, const struct verify_facts *facts);
void verify_sarif(FILE *out, const struct verify_facts *facts);
void verify_github(FILE *out, const struct verify_facts *facts);

#endif
