/*
 * Deaths that come of a raced or damaged map, and do not say so: a fault or an index out of range inside
 * the map's own code, "bad map state", or a panic of code that uses a map while another goroutine writes
 * it.
 */
#ifndef VERDICT_LOOKALIKE_H
#define VERDICT_LOOKALIKE_H

#include <stdbool.h>

#include "base/error.h"
#include "go/goroutine.h"
#include "verdict/crash.h"

/* Whether the map's own code broke, and not what it was given: a nil map, a key that cannot be hashed,
 * memory that has run out are no lookalikes. *ret tells in words what happened, and where; the caller
 * frees it. */
bool lookalike_in_map(struct runtime *rt, const struct crash *crash, char **ret);

/* Adds to those words what is true where the map's memory is in order by now, and nobody is seen in it: false
 * where memory is out. A map that is stored into a variable without synchronization can be seen there
 * before what it consists of: the Go memory model, https://go.dev/ref/mem, "Incorrect synchronization". */
bool lookalike_add_late(char **what);

/* For a run-time panic or a fault anywhere else: another goroutine that was writing a map meanwhile which
 * the crashed one's frames lead to. In words, or NULL; the caller frees it. */
char *lookalike_hint(struct runtime *rt, const struct crash *crash,
		     const struct goroutines *goroutines);

#endif
