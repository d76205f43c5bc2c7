/*
 * Lines of source files, where they are on this machine.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/* A source_line_fn. The path comes from the target and is hostile: only regular files are read, none
 * that blocks, and no more than SOURCE_FILE_MAX bytes. context: what to put before the path, or NULL. */
bool source_line(void *context, const char *file, int32_t line, struct text *text);

enum { SOURCE_FILE_MAX = 16 << 20 };

#endif
