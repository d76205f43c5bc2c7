/*
 * What every command that opens a target does before and after its own work.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/notes.h"
#include "cli/command.h"
#include "cli/source.h"
#include "go/runtime.h"
#include "probe/records.h"
#include "report/explain.h"
#include "report/page.h"
#include "target/target.h"

struct session {
	const struct options *options;
	struct notes notes;
	struct target *target;
	struct runtime *rt;
	struct page page;
	struct source sources; /* where page finds source lines */
	struct explain_source source;
	struct error error; /* for the command's own calls: session_fail prints it */
	bool json;
	struct records records; /* the recorder's table, where the target has one */
	bool has_records;
};

/* Reads the options that say how to write to out; EXIT_SHOWN, or the status to exit with. */
int session_begin(struct session *s, const struct options *options, FILE *out);
/* Opens the target and the Go runtime in it. EXIT_SHOWN, or the status to exit with: the reason is
 * printed then. */
int session_open(struct session *s, const struct options *options);
/* The same after session_begin, for the target what: EXIT_NOTHING leaves the reason in s->error. A table
 * that is in s->records already is taken for the target's. */
int session_open_target(struct session *s, const char *what);
/* The same for what only a program that ran has, goroutines and maps: an executable is refused. */
int session_open_run(struct session *s, const struct options *options);
/* Whether the open target has run: EXIT_SHOWN, or the status to exit with, and said. */
int session_need_run(struct session *s);
/* Prints s->error as the reason why nothing could be shown; EXIT_NOTHING. */
int session_fail(struct session *s);
/* Closes the report: EXIT_SHOWN, or EXIT_GAPS where there are notes, or EXIT_NOTHING when the output
 * could not be written. */
int session_end(struct session *s);
void session_done(struct session *s);
#define AUTO_SESSION __attribute__((cleanup(session_done)))

/* The number given with an option; false (and said) when it is none. absent is its value where the
 * option is not given. */
bool option_number(const struct options *options, enum option_id id, uint64_t absent,
		   uint64_t *ret);

/* An address as an operand gives it, in hexadecimal with or without 0x; false when it is none, or 0. */
bool operand_addr(const char *text, uint64_t *ret);

/* The map type that is called name, or whose descriptor is at the address "0x..." that name is. */
enum status session_map_type(struct session *s, const char *name, uint64_t *ret);

#endif
