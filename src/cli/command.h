/*
 * The commands and their options: two tables, from which parsing, help, the man page's synopsis and
 * shell completion come.
 */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses, as eu-stack has them. */
enum {
	EXIT_SHOWN = 0, /* all that was asked is shown */
	EXIT_GAPS = 1, /* shown with gaps: see the notes */
	EXIT_NOTHING = 2, /* nothing could be shown */
	EXIT_FOUND = 3, /* --exit-code: a race or a corruption was found */
	EXIT_USAGE = 64,
};

enum option_id {
	OPTION_HELP,
	OPTION_JSON,
	OPTION_EXE,
	OPTION_SYSROOT,
	OPTION_FORCE_EXE,
	OPTION_COLOR,
	OPTION_SEARCH_ALL,
	OPTION_SITES,
	OPTION_EXIT_CODE,
	OPTION_ALL,
	OPTION_CHECK,
	OPTION_LIMIT,
	OPTION_CRASH,
	OPTION_HOLD,
	OPTION_MAP,
	OPTION_NO_TSC,
	OPTION_CHILDREN,
	OPTION_OUTPUT,
	OPTION_LOG,
	OPTION_HEX,
	OPTION_KEY,
	OPTION_BINARY,
	OPTION_PPROF,
	OPTION_DURATION,
	OPTION_CHANGES,
	OPTION_SVG,
	OPTION_RUNS,
	OPTION_SEED,
	OPTION_AGAINST,
	OPTION_FORMAT,
	OPTION_REPORT_ONLY,
	OPTION_READS,
	OPTION_WITHIN,
	OPTION_COUNT,
};

struct option_spec {
	const char *name; /* without the dashes */
	const char *argument; /* what its argument is called in help; NULL: takes none */
	const char *help; /* one line */
	char letter; /* its short form; 0: none */
};
extern const struct option_spec option_specs[OPTION_COUNT];

/* A set of options, bit 1 << id. */
#define OPTION(id) (UINT64_C(1) << (id))
_Static_assert(OPTION_COUNT <= 64, "a set of options has 64 bits");
/* What every command that opens a target takes. */
#define OPTIONS_TARGET                                                                             \
	(OPTION(OPTION_HELP) | OPTION(OPTION_JSON) | OPTION(OPTION_EXE) | OPTION(OPTION_SYSROOT) | \
	 OPTION(OPTION_FORCE_EXE) | OPTION(OPTION_COLOR))

/* What the command line said. Strings are argv's. */
struct options {
	uint64_t given; /* set of options */
	const char *value[OPTION_COUNT]; /* the argument of each that takes one */
	char **operands;
	int operand_count;
};

/* As operands_max: from the first operand on all is another program's command line. */
enum { OPERANDS_PROGRAM = -1 };

struct command {
	const char *name;
	int (*run)(const struct options *options);
	const char *operands; /* in the synopsis */
	int operands_min, operands_max; /* OPERANDS_PROGRAM: a program and its arguments follow */
	uint64_t options; /* set of those that it takes */
	const char *summary; /* one line */
	const char *details; /* more lines of help */
};
/* Ends with a name of NULL. */
extern const struct command commands[];

int explain_run(const struct options *options);
int goroutines_run(const struct options *options);
int maps_run(const struct options *options);
int map_run(const struct options *options);
int code_run(const struct options *options);
int run_run(const struct options *options);
int patch_run(const struct options *options);
int report_only_run(const struct options *options); /* run --report-only */
int attach_run(const struct options *options);
int check_run(const struct options *options);
int lab_run(const struct options *options);
int layout_run(const struct options *options);
int writers_run(const struct options *options);
int watch_run(const struct options *options);
int verify_run(const struct options *options);

static inline bool option_given(const struct options *options, enum option_id id)
{
	return options->given >> id & 1;
}

#endif
