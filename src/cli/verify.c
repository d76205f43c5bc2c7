#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli/children.h"
#include "cli/command.h"
#include "cli/live.h"
#include "cli/session.h"
#include "cli/trial.h"
#include "report/verify.h"

enum {
	RUNS_DEFAULT = 20,
	HOLD_DEFAULT_MS = 20,
	DURATION_DEFAULT_S = 60, /* of one run: a program that serves does not end by itself */
	DURATION_CHILDREN_S = 600, /* a command may compile first; go test's own -timeout */
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF, FORMAT_GITHUB };

static bool parse_plan(const struct options *options, bool children, enum format *ret_format,
		       struct trial_plan *ret)
{
	static const char *const formats[] = {"text", "json", "sarif", "github"};
	const char *format = options->value[OPTION_FORMAT];
	struct trial_plan plan = {0};
	uint64_t duration = children ? DURATION_CHILDREN_S : DURATION_DEFAULT_S;
	*ret_format = option_given(options, OPTION_JSON) ? FORMAT_JSON : FORMAT_TEXT;
	if (!option_number(options, OPTION_RUNS, RUNS_DEFAULT, &plan.runs) ||
	    !option_number(options, OPTION_SEED, 0, &plan.seed) ||
	    !option_number(options, OPTION_HOLD, HOLD_DEFAULT_MS, &plan.hold_ms) ||
	    !option_number(options, OPTION_DURATION, duration, &plan.duration_s))
		return false;
	for (unsigned i = 0; format && i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(format, formats[i]) != 0)
			continue;
		*ret_format = (enum format)i;
		format = NULL;
	}
	if (format || !plan.runs || plan.runs > 1000000 || !plan.hold_ms || plan.hold_ms > 10000 ||
	    !plan.duration_s || plan.duration_s > 1000000) {
		fputs("mapcrash verify: --format is text, json, sarif or github; --runs, --hold "
		      "and "
		      "--duration are at least 1, and --hold at most 10000\n",
		      stderr);
		return false;
	}
	if (!option_given(options, OPTION_SEED) &&
	    getrandom(&plan.seed, sizeof(plan.seed), 0) != (ssize_t)sizeof(plan.seed))
		plan.seed = (uint64_t)time(NULL);
	if (!option_given(options, OPTION_SEED))
		plan.seed >>= 11; /* any JSON reader keeps 53 bits */
	*ret = plan;
	return true;
}

static void write_report(struct page *page, enum format format, const struct verify_facts *facts)
{
	switch (format) {
	case FORMAT_JSON:
		verify_json(stdout, facts);
		break;
	case FORMAT_SARIF:
		verify_sarif(stdout, facts);
		break;
	case FORMAT_GITHUB:
		verify_github(stdout, facts);
		break;
	default:
		verify_text(page, facts);
	}
}

/* The command as it is run, NULL at its end, which the caller frees: go test gets -count=1 before what the
 * user gave, or it answers from its cache from the second run on. */
static char **command_argv(const struct options *options)
{
	char **operands = options->operands;
	size_t count = (size_t)options->operand_count, n = 0;
	char **argv = calloc(count + 2, sizeof(*argv));
	const char *slash = strrchr(operands[0], '/');
	bool is_go = strcmp(slash ? slash + 1 : operands[0], "go") == 0;
	for (size_t i = 0; argv && i < count; i++) {
		argv[n++] = operands[i];
		if (is_go && i == 1 && strcmp(operands[i], "test") == 0)
			argv[n++] = (char *)"-count=1";
	}
	return argv;
}

static void note_limits(struct notes *notes, const struct trials *t)
{
	if (t->lost)
		notes_add(notes, "probe", 0,
			  "the recorder had no room for %llu writes: more goroutines than it keeps",
			  (unsigned long long)t->lost);
	if (t->cut)
		notes_add(notes, "verdict", 0, "more places or pairs of them than are kept");
}

/* Runs both, the older one first; before may be NULL. */
static enum status run_all(struct trial *now, struct trial *before, bool children,
			   struct error *err)
{
	enum status (*run)(struct trial *, struct error *) = children ? trial_run_command
								      : trial_run_program;
	live_catch_signals(false);
	if (before) {
		if (run(before, err) != OK)
			return error_prefix(err, "--against");
		now->stopped = before->stopped;
	}
	return run(now, err);
}

/* What a trial has shown, and what that is made of. */
struct shown {
	struct text line; /* what was run */
	struct verify_program *programs;
	struct verify_command command;
	struct verify_side side;
};

static void shown_done(struct shown *shown)
{
	text_done(&shown->line);
	free(shown->programs);
}

/* Appends what a trial runs: a command with its arguments, or a program. */
static void append_line(struct text *line, const struct trial *trial, const struct options *options,
			bool children)
{
	text_append(line, trial->argv[0]);
	for (int i = 1; children && i < options->operand_count; i++)
		text_printf(line, " %s", options->operands[i]);
	if (trial->directory)
		text_printf(line, " in %s", trial->directory);
}

static enum status shown_init(struct shown *ret, struct session *s, const struct trial *trial,
			      bool children)
{
	static const struct trials none; /* of a program whose first run was not begun */
	ret->programs = calloc(trial->count + 1, sizeof(*ret->programs));
	append_line(&ret->line, trial, s->options, children);
	if (!ret->programs || ret->line.failed)
		return error_nomem(&s->error);
	for (size_t i = 0; i < trial->count; i++) {
		const struct trial_program *program = trial->programs[i];
		ret->programs[i] = (struct verify_program){children ? program->name : ret->line.s,
							   &program->trials};
		note_limits(&s->notes, &program->trials);
	}
	ret->side = (struct verify_side){ret->programs, trial->count, NULL};
	if (children) {
		ret->command = (struct verify_command){ret->line.s, trial->runs, trial->clean,
						       trial->failed, trial->timeouts};
		ret->side.command = &ret->command;
	} else if (!trial->count) {
		ret->programs[0] = (struct verify_program){ret->line.s, &none};
		ret->side.program_count = 1;
	}
	return OK;
}

/* Reports what the trials have shown; the status to exit with. before may be NULL. */
static int report(struct session *s, enum format format, const struct trial *now,
		  const struct trial *before, bool children)
{
	char root[4096];
	__attribute__((cleanup(shown_done))) struct shown new = {.line = TEXT_INIT};
	__attribute__((cleanup(shown_done))) struct shown old = {.line = TEXT_INIT};
	if (shown_init(&new, s, now, children) != OK ||
	    (before && shown_init(&old, s, before, children) != OK))
		return session_fail(s);
	const struct verify_facts facts = {
		.now = new.side,
		.before = before ? &old.side : NULL,
		.seed = now->plan->seed,
		.hold_ms = (unsigned)now->plan->hold_ms,
		.root = getcwd(root, sizeof(root)),
		.version = MAPCRASH_VERSION,
		.notes = &s->notes,
	};
	write_report(&s->page, format, &facts);
	int status = session_end(s);
	return status != EXIT_NOTHING && trial_race_count(now) ? EXIT_FOUND : status;
}

static bool is_directory(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int verify_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	struct trial_plan plan;
	enum format format;
	const char *against = options->value[OPTION_AGAINST];
	bool children = children_wanted(options);
	if (!parse_plan(options, children, &format, &plan))
		return EXIT_USAGE;
	int status = session_begin(&s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	AUTO_FREE char **argv = command_argv(options), **old = command_argv(options);
	if (!argv || !old) {
		(void)error_nomem(&s.error);
		return session_fail(&s);
	}
	AUTO_TRIAL struct trial now = {.plan = &plan, .argv = argv, .notes = &s.notes};
	AUTO_TRIAL struct trial before = {.plan = &plan, .argv = old, .notes = &s.notes};
	if (against && is_directory(against))
		before.directory = against;
	else if (against)
		old[0] = (char *)against;
	if (run_all(&now, against ? &before : NULL, children, &s.error) != OK)
		return session_fail(&s);
	return report(&s, format, &now, against ? &before : NULL, children);
}
