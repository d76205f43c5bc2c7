/*
 * What could not be read, and did not stop us.
 *
 * Every report ends with its notes, and a report with notes exits 1: no zero is invented for a
 * missing byte and no guess is made silently.
 */
#ifndef BASE_NOTES_H
#define BASE_NOTES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct note {
	uint64_t addr; /* address in the target, or 0 */
	const char *floor; /* the folder of src that noted it: a string constant */
	char text[240];
};

/* Past this many, notes are only counted: a broken core could give one for each word. */
enum { NOTES_MAX = 200 };

struct notes {
	struct note *list;
	size_t count; /* entries in list */
	size_t dropped; /* notes over NOTES_MAX, or lost for want of memory */
};

#define NOTES_INIT         \
	{                  \
		NULL, 0, 0 \
	}

/* Frees what the notes own and makes them empty. */
void notes_done(struct notes *notes);

/* Adds a note; one that is there already, word for word at the same address, is not added again.
 * notes may be NULL: then nothing happens. */
[[gnu::format(printf, 4, 5)]] void notes_add(struct notes *notes, const char *floor, uint64_t addr,
					     const char *fmt, ...);

/* Adds err as a note: "<what>: <err's text>". */
void notes_add_error(struct notes *notes, const char *floor, const char *what,
		     const struct error *err);

#endif
