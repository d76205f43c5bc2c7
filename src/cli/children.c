#include "cli/children.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "cli/live.h"
#include "probe/family.h"
#include "report/escape.h"

/* A report on a program that is about to die. */
struct pending {
	pid_t pid;
	char *command;
	struct live_report report;
};

struct reports {
	const struct options *options;
	FILE *out; /* where they go; NULL: not opened yet */
	struct pending *list;
	size_t count, cap;
};

bool children_wanted(const struct options *options)
{
	const char *program = options->operands[0], *slash = strrchr(program, '/');
	return option_given(options, OPTION_CHILDREN) ||
	       strcmp(slash ? slash + 1 : program, "go") == 0;
}

static void say_process(FILE *out, pid_t pid, const char *command, const char *what)
{
	fprintf(out, "mapcrash: process %d, ", pid);
	escape_terminal(out, command, strlen(command));
	if (what) {
		fputs(": ", out);
		escape_terminal(out, what, strlen(what));
	}
	fputc('\n', out);
}

/* Reports go one after another: into one file, or to where one would go. */
static FILE *reports_file(struct reports *r)
{
	const char *path = r->options->value[OPTION_OUTPUT];
	if (!r->out)
		r->out = path					 ? fopen(path, "we")
			 : option_given(r->options, OPTION_JSON) ? stdout
								 : stderr;
	if (!r->out)
		fprintf(stderr, "mapcrash: the report could not be written: %s\n", strerror(errno));
	return r->out;
}

static void write_report(struct reports *r, struct pending *pending)
{
	FILE *out = pending->report.made ? reports_file(r) : NULL;
	if (out && !option_given(r->options, OPTION_JSON))
		say_process(out, pending->pid, pending->command, NULL);
	if (out &&
	    (fwrite(pending->report.text, 1, pending->report.size, out) != pending->report.size ||
	     fflush(out) != 0))
		fprintf(stderr, "mapcrash: the report could not be written: %s\n", strerror(errno));
	free(pending->report.text);
	free(pending->command);
}

/* Writes the reports on pid; 0: on all. */
static void write_reports(struct reports *r, pid_t pid)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->count; i++) {
		if (pid && r->list[i].pid != pid)
			r->list[kept++] = r->list[i];
		else
			write_report(r, &r->list[i]);
	}
	r->count = kept;
}

static void explain(struct reports *r, const struct family_event *event)
{
	struct pending pending = {.pid = event->pid, .command = strdup(event->command)};
	live_explain(event->recorder, r->options, &pending.report);
	if (pending.command && ARRAY_PUSH(r->list, r->count, r->cap, pending))
		return;
	free(pending.command);
	free(pending.report.text);
	fputs("mapcrash: out of memory: a report is lost\n", stderr);
}

/* Until the command has ended. */
static enum status follow(struct family *family, struct reports *r, size_t *ret_recorded,
			  struct error *err)
{
	for (;;) {
		struct family_event event;
		if (family_wait(family, &event, err) != OK)
			return FAILED;
		if (event.what == FAMILY_RECORDED)
			(*ret_recorded)++;
		else if (event.what == FAMILY_REFUSED)
			say_process(stderr, event.pid, event.command, event.why.text);
		else if (event.what == FAMILY_FROZEN)
			explain(r, &event);
		else if (event.what == FAMILY_LEFT)
			write_reports(r, event.pid);
		else if (event.what == FAMILY_ENDED)
			return OK;
		int signo = live_signal();
		if (signo)
			kill(family_pid(family), signo);
	}
}

int children_run(const struct options *options, const struct recorder_options *how)
{
	AUTO_FAMILY struct family *family = NULL;
	struct reports reports = {.options = options};
	struct error err = {0};
	size_t recorded = 0;
	enum status status = family_start(options->operands, how, &family, &err);
	if (status == OK) {
		live_catch_signals(true);
		status = follow(family, &reports, &recorded, &err);
	}
	write_reports(&reports, 0);
	free(reports.list);
	if (reports.out && options->value[OPTION_OUTPUT] && fclose(reports.out) != 0)
		fprintf(stderr, "mapcrash: the report could not be written: %s\n", strerror(errno));
	if (status != OK) {
		live_complain(&err, NULL);
		return EXIT_NOTHING;
	}
	if (!recorded)
		fputs("mapcrash: the command started no Go program that could be recorded\n",
		      stderr);
	int ended = family_status(family);
	/* those that run on are to know that nobody watches: we may end by a signal */
	family_free(TAKE(family));
	return live_end_like(ended);
}
