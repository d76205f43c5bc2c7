/*
 * What run and attach share: the recorder's options, a look at a process whose detector stands still,
 * and the report on it once the process is dead.
 */
#ifndef CLI_LIVE_H
#define CLI_LIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/command.h"
#include "probe/recorder.h"

/* The options that both take. */
#define OPTIONS_LIVE                                                                              \
	(OPTION(OPTION_HELP) | OPTION(OPTION_JSON) | OPTION(OPTION_COLOR) | OPTION(OPTION_HOLD) | \
	 OPTION(OPTION_MAP) | OPTION(OPTION_NO_TSC) | OPTION(OPTION_OUTPUT))

/* A report that waits until the process has said its own last words. */
struct live_report {
	char *text;
	size_t size;
	bool made;
};

/* The recorder's options out of the command line's; false, and said, when they make no sense. */
bool live_options(const struct options *options, struct recorder_options *ret);

/* Explains the process at RECORDER_FROZEN and lets it go on. That it could not be explained is said on
 * standard error. */
void live_explain(struct recorder *recorder, const struct options *options,
		  struct live_report *ret);

/* Writes the report: text to standard error, JSON to standard output, either into --output's file.
 * false, and said, when that fails. Frees it. */
bool live_write(const struct options *options, struct live_report *report);

/* Prints what is wrong, and notes on it, one line each on standard error. */
void live_complain(const struct error *err, const struct notes *notes);

/* Prints text of a target on standard error. */
void live_print(const char *text);

/* Ends as the program ended, by waitpid's status: with its exit status, which is returned, or of its signal
 * (but without a core of ours). */
int live_end_like(int status);

/* From now on SIGINT and SIGQUIT of the terminal are the program's affair, and SIGTERM and SIGHUP that
 * come to us interrupt recorder_wait; live_signal then tells which came (0 none). One that comes just before
 * the wait does not: who waits looks every LIVE_LOOK_MS. */
void live_catch_signals(bool leave_interrupts);
enum { LIVE_LOOK_MS = 100 };
int live_signal(void);

#endif
