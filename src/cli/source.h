/*
 * Lines of source files, where they are on this machine.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/notes.h"
#include "base/text.h"

/* The context of source_line. */
struct source {
	const char *root; /* what to put before the path, or NULL */
	struct notes *notes; /* of a file that is there and cannot be read */
};

/* A source_line_fn. The path comes from the target and is hostile: only regular files are read, none
 * that blocks, and no more than SOURCE_FILE_MAX bytes. That a file is not there or not for us to read
 * is no gap in a report. context: a struct source. */
bool source_line(void *context, const char *file, int32_t line, struct text *text);

enum { SOURCE_FILE_MAX = 16 << 20 };

#endif
