/*
 * Runs one mapcrash command again and again, with one call failing in each run: first an allocation,
 * then a read, an open, a mapping; and holds each run to what a command owes its user.
 *
 *	usage: faults [--all] [--only FAULT] [--at N] COMMAND ARG...
 *	       faults --plain COMMAND ARG...
 *
 * Of the calls of a kind, those are chosen that come with a call stack not seen before, and the first
 * few; --all: every one. --only runs one kind of fault ("alloc", "read-error", ...), --at one call of it
 * and shows what that run wrote. --plain runs the command once, as mapcrash would.
 *
 * What is owed, beside ending in time by no signal and no sanitizer's word (leaks included): status 0 or
 * 1 with the report; where the report is not that of an undisturbed run, status 1 and other notes in it;
 * or status 2 and lines on standard error that start with "mapcrash: ". Short and interrupted reads
 * change nothing.
 *
 * libdw 0.188 itself does not survive each allocation of its own that fails: it follows pointers that it
 * has not checked. What happens then is counted, and no finding of ours.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "faults/inject.h"

int mapcrash_main(int argc, char **argv);

enum {
	CALLS_MAX = 1 << 16, /* calls that are chosen of one class */
	FIRST_CALLS = 40, /* that are always chosen */
	RUN_SECONDS_MAX = 30, /* the slowest command takes one, with sanitizers */
	SHOWN_MAX = 12, /* findings that are shown in full, of each kind of fault */
	EXIT_SANITIZER = 99,
	EXIT_NOT_MET = 98,
};

/* A leak or worse must not look like a report with gaps. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "exitcode=99:allocator_may_return_null=1";
}

/* What others lose when memory is out: setlocale. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:_nl_normalize_codeset";
}

static const char *const names[] = {
	[FAULT_ALLOC] = "alloc",
	[FAULT_READ_ERROR] = "read-error",
	[FAULT_READ_END] = "read-end",
	[FAULT_READ_SHORT] = "read-short",
	[FAULT_READ_INTERRUPTED] = "read-interrupted",
	[FAULT_OPEN] = "open",
	[FAULT_MAP] = "map",
	[FAULT_WRITE] = "write",
};
static const enum fault last_fault = FAULT_WRITE;

/* What a run wrote and how it ended. */
struct outcome {
	int status; /* as of waitpid */
	char *out, *err;
};

struct calls {
	char caller[FAULT_CALLER]; /* of the call that failed last */
	enum fault_class class;
	uint32_t total, count, list[CALLS_MAX];
};

static void die(const char *what)
{
	perror(what);
	exit(70);
}

static char *contents(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char *text = calloc(1, (size_t)size + 1);
	if (size < 0 || !text || pread(fd, text, (size_t)size, 0) != size)
		die("output of a run");
	close(fd);
	return text;
}

static void outcome_done(struct outcome *o)
{
	free(o->out);
	free(o->err);
}

/* What the children tell us. */
static struct calls *calls;

/* One run in a child; trace: all calls of calls->class are. where: standard error begins with the call
 * stack of what failed. */
static struct outcome run(int argc, char **argv, enum fault fault, uint64_t at, bool where,
			  bool trace)
{
	int out = memfd_create("stdout", 0), err = memfd_create("stderr", 0);
	struct outcome o = {0};
	fflush(NULL);
	pid_t pid = fork();
	if (out < 0 || err < 0 || pid < 0)
		die("run");
	if (pid == 0) {
		alarm(RUN_SECONDS_MAX);
		dup2(out, STDOUT_FILENO);
		dup2(err, STDERR_FILENO);
		close(out);
		close(err);
		if (trace)
			fault_trace(calls->class, calls->list, &calls->count, CALLS_MAX);
		if (where)
			fault_show();
		fault_caller(calls->caller);
		fault_arm(fault, at);
		int status = mapcrash_main(argc, argv);
		fault_disarm();
		if (trace)
			calls->total = (uint32_t)fault_count(calls->class);
		exit(fault == FAULT_NONE || fault_happened() ? status : EXIT_NOT_MET);
	}
	while (waitpid(pid, &o.status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	o.out = contents(out);
	o.err = contents(err);
	return o;
}

/* From where the notes are, in text and in JSON, or what a check of a map could not read; "" where
 * there is neither. */
static const char *notes_of(const char *out)
{
	const char *text = strstr(out, "\nWhat could not be read\n");
	const char *json = strstr(out, "\"notes\":");
	const char *check = strstr(out, "\n  unreadable");
	return text ? text : json ? json : check ? check : "";
}

/* Whether there is something on standard error, in lines of ours. */
static bool complains(const char *err)
{
	static const char prefix[] = "mapcrash: ";
	if (!*err)
		return false;
	for (const char *p = err; *p;) {
		const char *end = strchr(p, '\n');
		if (strncmp(p, prefix, sizeof(prefix) - 1) != 0 || !end ||
		    end == p + sizeof(prefix) - 1)
			return false;
		p = end + 1;
	}
	return true;
}

/* What is wrong with the run, or NULL. */
static const char *judge(enum fault fault, const struct outcome *plain, const struct outcome *o)
{
	bool harmless = fault == FAULT_READ_SHORT || fault == FAULT_READ_INTERRUPTED;
	bool same = strcmp(o->out, plain->out) == 0;
	if (WIFSIGNALED(o->status))
		return WTERMSIG(o->status) == SIGALRM ? "it does not end" : "it died of a signal";
	switch (WEXITSTATUS(o->status)) {
	case EXIT_SHOWN:
	case EXIT_GAPS:
		if (same && harmless && o->status != plain->status)
			return "the status is another one";
		if (same)
			return NULL;
		if (harmless)
			return "the report is another one";
		if (WEXITSTATUS(o->status) == EXIT_SHOWN)
			return "the report is another one, and nothing says so";
		if (strcmp(notes_of(o->out), notes_of(plain->out)) == 0)
			return "the report is another one, and no note says why";
		return NULL;
	case EXIT_NOTHING:
		if (harmless)
			return "it failed";
		return complains(o->err) ? NULL : "it failed without a word of ours";
	case EXIT_SANITIZER:
		return "a sanitizer found something";
	default:
		return "an exit status that is none of ours";
	}
}

static void show(const char *what, const char *text)
{
	if (*text)
		printf("    %s: %.1500s%s\n", what, text, strlen(text) > 1500 ? "..." : "");
}

struct sweep {
	int argc;
	char **argv;
	struct outcome plain;
	bool all;
	unsigned long runs, findings, libdw;
};

static void try_call(struct sweep *s, enum fault fault, uint32_t at, bool verbose, int *shown)
{
	struct outcome o = run(s->argc, s->argv, fault, at, false, false);
	const char *wrong = NULL;
	/* A living process is not the same twice: calls at the end may not come. */
	if (!WIFEXITED(o.status) || WEXITSTATUS(o.status) != EXIT_NOT_MET)
		wrong = judge(fault, &s->plain, &o);
	s->runs++;
	if (wrong && fault == FAULT_ALLOC && strncmp(calls->caller, "libdw", 5) == 0 && !verbose) {
		s->libdw++;
	} else if (wrong) {
		s->findings++;
		printf("  %s %u: %s\n", names[fault], at, wrong);
		if ((*shown)++ < SHOWN_MAX) {
			show("stderr", o.err);
			outcome_done(&o);
			o = run(s->argc, s->argv, fault, at, true, false);
			show("where", o.err);
		}
	}
	if (verbose) {
		printf("  status 0x%x\n", o.status);
		show("stdout", o.out);
		show("stderr", o.err);
	}
	outcome_done(&o);
}

static void sweep_fault(struct sweep *s, enum fault fault)
{
	unsigned long findings = s->findings, libdw = s->libdw, runs = s->runs;
	int shown = 0;
	calls->class = fault_class_of(fault);
	struct outcome traced = run(s->argc, s->argv, FAULT_NONE, 0, false, true);
	outcome_done(&traced);
	uint32_t first = s->all ? calls->total : FIRST_CALLS;
	for (uint32_t at = 1; at <= first && at <= calls->total; at++)
		try_call(s, fault, at, false, &shown);
	for (uint32_t i = 0; i < calls->count; i++)
		if (calls->list[i] > first)
			try_call(s, fault, calls->list[i], false, &shown);
	printf("%s: %s: %u calls, %u call stacks, %lu runs, %lu findings", s->argv[1], names[fault],
	       calls->total, calls->count, s->runs - runs, s->findings - findings);
	if (s->libdw > libdw)
		printf(" (and %lu in libdw)", s->libdw - libdw);
	putchar('\n');
}

int main(int argc, char **argv)
{
	struct sweep s = {0};
	enum fault only = FAULT_NONE;
	bool plain = false;
	uint32_t at = 0;
	int arg = 1;
	for (; arg < argc && argv[arg][0] == '-'; arg++) {
		if (strcmp(argv[arg], "--all") == 0) {
			s.all = true;
		} else if (strcmp(argv[arg], "--plain") == 0) {
			plain = true;
		} else if (strcmp(argv[arg], "--only") == 0 && arg + 1 < argc) {
			arg++;
			for (enum fault f = FAULT_ALLOC; f <= last_fault; f++)
				if (strcmp(argv[arg], names[f]) == 0)
					only = f;
		} else if (strcmp(argv[arg], "--at") == 0 && arg + 1 < argc) {
			at = (uint32_t)strtoul(argv[++arg], NULL, 10);
		} else {
			fprintf(stderr, "faults: what is %s?\n", argv[arg]);
			return EXIT_USAGE;
		}
	}
	/* The command's argv[0] is ours. */
	argv[arg - 1] = argv[0];
	s.argc = argc - arg + 1;
	s.argv = argv + arg - 1;
	if (plain)
		return mapcrash_main(s.argc, s.argv);
	calls = mmap(NULL, sizeof(*calls), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (calls == MAP_FAILED)
		die("mmap");
	s.plain = run(s.argc, s.argv, FAULT_NONE, 0, false, false);
	if (!WIFEXITED(s.plain.status) || WEXITSTATUS(s.plain.status) > EXIT_GAPS) {
		fprintf(stderr, "faults: without any fault: status 0x%x: %s\n", s.plain.status,
			s.plain.err);
		outcome_done(&s.plain);
		return 1;
	}
	if (at && only) {
		int shown = 0;
		try_call(&s, only, at, true, &shown);
	} else {
		for (enum fault f = FAULT_ALLOC; f <= last_fault; f++)
			if (!only || f == only)
				sweep_fault(&s, f);
	}
	outcome_done(&s.plain);
	return s.findings || !s.runs;
}
