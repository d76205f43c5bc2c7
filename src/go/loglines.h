/*
 * The lines that one process wrote, out of a log that others write into too.
 *
 * Loggers put their own text around a line: a time, a host, a process, a JSON object. What that text
 * is, is learned from the lines that can only be Go's ("goroutine 7 [running]:", "fatal error: "):
 * what stands before them, and behind them where they stand in quotes, is the frame of all lines of
 * the same writer. A time in it changes from line to line; everything else must be the same, so that
 * two processes with different numbers are two writers. Lines outside any frame are nobody's.
 */
#ifndef GO_LOGLINES_H
#define GO_LOGLINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"

/* Writers that are told apart; of more, the one that was silent longest is forgotten. */
enum { LOG_WRITERS_MAX = 32 };
/* A longer line is cut: a logger that puts a whole traceback into one JSON string writes some MB. */
enum { LOG_LINE_MAX = 16 << 20 };

/* A line of writer number writer, in [0, LOG_WRITERS_MAX), its frame taken off. begins: the writer is
 * new, and what an earlier one of that number wrote has ended. Whether it is a line of a traceback. */
typedef bool log_line_fn(void *context, unsigned writer, bool begins, uint64_t number,
			 const char *line, size_t len);

struct log_writer {
	struct text before, after; /* frame, times in it as one TIME byte; both empty: none */
	bool quoted; /* the line is in quotes, with escapes as in JSON */
	uint64_t used; /* number of the last line */
};

struct loglines {
	log_line_fn *line;
	void *context;
	struct log_writer writers[LOG_WRITERS_MAX];
	unsigned count, last; /* last: the one that wrote the last line of ours */
	uint64_t number; /* of the line at hand, from 1 */
	uint64_t cut; /* lines that were too long */
	struct text unquoted;
};

void loglines_init(struct loglines *lines, log_line_fn *line, void *context);
void loglines_done(struct loglines *lines);

/* The next line of the log, without its newline. */
void loglines_feed(struct loglines *lines, const char *line, size_t len);

/* All lines that fd gives, up to its end. fd may be a pipe. ERROR_NOMEM, ERROR_IO. */
enum status loglines_read(struct loglines *lines, int fd, struct error *err);

#endif
