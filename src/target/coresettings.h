/*
 * What this machine does when a process dies: whether a core is left, where, and what is in it. core(5).
 */
#ifndef TARGET_CORESETTINGS_H
#define TARGET_CORESETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/notes.h"

enum core_goes {
	CORE_NOWHERE, /* the pattern is empty */
	CORE_WORKING_DIR, /* a name without a slash: where the process stands */
	CORE_DIR, /* a path */
	CORE_PROGRAM, /* a pipe to a program */
};

struct core_settings {
	bool has_limit;
	uint64_t soft, hard; /* RLIMIT_CORE in bytes, UINT64_MAX: none */
	bool has_pattern;
	enum core_goes goes;
	char pattern[256]; /* kernel.core_pattern without its newline */
	bool has_filter;
	uint32_t
		filter; /* coredump_filter: bit 0 is private memory of no file, where Go's heap is */
};

/* What holds for a process; pid 0: for programs that are started from here. What cannot be read is left
 * out, and noted. */
struct core_settings core_settings_read(pid_t pid, struct notes *notes);

/* Sorts a pattern: fills pattern, has_pattern and goes. */
void core_settings_pattern(struct core_settings *settings, const char *pattern);

/* The directory of the pattern, where goes is CORE_DIR and no %-specifier stands in it; false otherwise. */
bool core_settings_dir(const struct core_settings *settings, char *ret, size_t size);

/* A variable of the environment that a process was started with; pid 0: of our own. ERROR_NOT_FOUND where it
 * is not set. */
enum status environment_read(pid_t pid, const char *name, char *ret, size_t size,
			     struct error *err);

#endif
