/*
 * Strings that are met again and again, kept once: the functions and files of a traceback.
 */
#ifndef GO_TRACENAMES_H
#define GO_TRACENAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct trace_names;
enum status trace_names_new(struct trace_names **ret, struct error *err);
void trace_names_free(struct trace_names *names);
/* The string of n bytes at s, NUL-terminated; it lives as long as names. Out of memory, or over
 * TRACE_NAMES_BYTES_MAX bytes, it is "?". */
const char *trace_names_keep(struct trace_names *names, const char *s, size_t n);
/* Whether a name could not be kept. */
bool trace_names_is_full(const struct trace_names *names);

/* Different names of functions and files that a log may have: the largest Go programs have some 20 MB of
 * them, and no traceback shows all. */
enum { TRACE_NAMES_BYTES_MAX = 64 << 20 };

#endif
