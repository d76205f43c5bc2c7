/*
 * A command and the programs that it starts, over any number of generations: shells, make, go test. Each
 * Go program among them that writes maps gets the recorder at its exec stop; all others run on.
 *
 * What is traced: every process from the command on, with its threads, until it becomes a program that is
 * recorded or one that starts no programs of the user's. A traced process stops for a moment at each
 * signal and each new thread; a recorded one is let go and runs untraced, so the programs that it starts
 * in turn are not followed. The go command is followed, and neither it nor the tools behind it (package
 * cmd/... of Go's own tree: compile, link, vet) are recorded: a go test that compiled all it needs took
 * 21.2 s of processor time without us and 22.1 s with us, one that found all of that cached 0.29 and
 * 0.31 s (Go 1.26, two busy cores).
 *
 * A setuid program runs without its rights under a tracer, unless that is root.
 *
 * A family is used by one thread, which has no other children.
 */
#ifndef PROBE_FAMILY_H
#define PROBE_FAMILY_H

#include <sys/types.h>

#include "base/error.h"
#include "probe/recorder.h"

struct family;

enum family_what {
	FAMILY_RECORDED, /* a program has the recorder, and runs */
	FAMILY_REFUSED, /* a Go program that writes maps cannot be recorded: it runs as it is */
	FAMILY_FROZEN, /* a check of a recorded one has failed: it stands still until recorder_release */
	FAMILY_LEFT, /* a recorded one has ended */
	FAMILY_ENDED, /* the command itself has ended: the last event */
	FAMILY_IDLE, /* nothing happened for a while, or a signal came to us */
};

struct family_event {
	enum family_what what;
	pid_t pid;
	const char *
		command; /* its arguments with spaces between; lives until the next event: hostile text */
	struct recorder
		*recorder; /* RECORDED, FROZEN and LEFT: the family's, until LEFT is taken */
	int exe; /* RECORDED: its executable, open; the family's, until LEFT is taken. -1: none */
	struct error why; /* REFUSED */
};

/* Starts argv with our stdio, environment and signal dispositions. */
enum status family_start(char **argv, const struct recorder_options *options, struct family **ret,
			 struct error *err);

/* Waits for what happens next. */
enum status family_wait(struct family *family, struct family_event *ret, struct error *err);

/* Of the command: its process, and after FAMILY_ENDED waitpid's status. */
pid_t family_pid(const struct family *family);
int family_status(const struct family *family);

/* Forgets them. Those that are traced yet are let go when we exit, and those that are recorded run on. */
void family_free(struct family *family);
static inline void cleanup_family(struct family **family)
{
	family_free(*family);
}
#define AUTO_FAMILY __attribute__((cleanup(cleanup_family)))

#endif
