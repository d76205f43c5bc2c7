/*
 * Go's traceback as text: what the runtime prints when a program dies, line by line.
 *
 * The reader is given the lines of one process and tells what it finds as it goes by: messages and
 * goroutines. Lines that it does not know may stand anywhere between (others write to the same
 * stream) and are passed over; leading blanks do not matter (loggers eat them). It keeps one goroutine.
 *
 * Source: runtime/traceback.go and runtime/panic.go of Go 1.18 to 1.27: printpanics, fatal, throw,
 * goroutineheader, traceback1, traceback2, printArgs, printcreatedby1, printAncestorTraceback.
 */
#ifndef GO_TRACEBACK_H
#define GO_TRACEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/tracenames.h"

/* printArgs ends after ten words. */
enum { TRACE_WORDS_MAX = 10 };

struct trace_frame {
	const char *function; /* as printed: "main.(*Cache[...]).Get"; names */
	const char *file; /* names; NULL where the line is missing */
	const char *args; /* as printed, without the parentheses; not terminated */
	uint32_t args_len;
	int32_t line;
	uint64_t offset; /* of the PC from the function's entry; 0: not printed */
	uint64_t pc, sp, fp; /* 0: not printed */
	uint64_t words[TRACE_WORDS_MAX];
	uint16_t certain; /* bit i: words[i] is printed without "?" */
	uint8_t word_count; /* words before one that is left out ("_", "...") */
	bool inlined; /* its arguments are printed as "..." */
};

/* Frames of a goroutine that are kept: Go prints 100, and by GOTRACEBACK=system of older versions too. */
enum { TRACE_FRAMES_MAX = 256 };

struct trace_goroutine {
	uint64_t id; /* 0: the runtime's own stack */
	uint64_t g, m; /* addresses; 0: not printed */
	const char *state; /* "running", "chan receive"; names */
	uint32_t minutes; /* that it has waited; 0: less than one */
	bool locked; /* to its thread */
	bool unavailable; /* runs on another thread: no stack */
	bool elided; /* Go left out frames */
	const struct trace_frame *frames; /* innermost first */
	size_t count;
	const char *creator, *creator_file; /* of the go statement; names; NULL: not printed */
	int32_t creator_line;
	uint64_t creator_offset;
	uint64_t creator_goroutine; /* 0: not printed */
	uint64_t line, last_line; /* of the log: its header, and the last line that is its */
	uint64_t foreign; /* lines between that are none of Go's */
};

enum trace_message_kind {
	TRACE_FATAL, /* text is what stands behind "fatal error: " */
	TRACE_PANIC, /* behind "panic: " */
	TRACE_SIGNAL, /* "SIGSEGV: segmentation violation code=... addr=... pc=..." */
	TRACE_QUIT, /* "SIGQUIT: quit": asked for from outside */
	TRACE_EXIT, /* "exit status 2": it is over */
	TRACE_SEPARATOR, /* "-----": the next thread's goroutine, after SIGQUIT or SIGABRT */
};

struct trace_message {
	enum trace_message_kind kind;
	const char *text;
	size_t len;
	bool glued; /* two threads printed into each other: more than one message was in this line */
	bool in_goroutine; /* a fatal error between the lines of a goroutine, which is told later: more of its
			    lines may follow, then both are of one process */
	bool recovered; /* a panic that a deferred call had recovered */
	uint64_t line;
};

struct traceback_events {
	void (*message)(void *context, const struct trace_message *message);
	void (*goroutine)(void *context, const struct trace_goroutine *goroutine);
	void *context;
};

struct traceback;
enum status traceback_new(struct trace_names *names, const struct traceback_events *events,
			  struct traceback **ret, struct error *err);
void traceback_free(struct traceback *tb);

/* The next line, number line of the log; whether it is one of a traceback. What was begun before is told
 * as soon as a line shows that it is complete. */
bool traceback_line(struct traceback *tb, uint64_t line, const char *s, size_t n);
/* What was begun and not yet told. */
void traceback_end(struct traceback *tb);

/* The minor number of the Go version (23 for 1.23) as the path of one of the runtime's own files shows
 * it ("/usr/lib/go-1.23/src/runtime/proc.go", ".../go1.22.1.linux-amd64/src/..."); 0: not shown.
 * *ret_text, of size bytes, gets "go1.23" or "go1.22.1". */
int trace_version(const char *file, char *ret_text, size_t size);

#endif
