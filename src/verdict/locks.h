/*
 * Which locks each side of a race holds when it is in the map: what the reader has to mend.
 *
 * By the machine code of the functions on a side's stack (go/lockflow.h), from the map call out. A lock has
 * an address where the stack still leads to it, and its name from the struct or the variable that it lies
 * in. What a side is said to hold while it stands in the map now is held against the lock's own words in
 * memory; where they do not agree, nothing is said.
 */
#ifndef VERDICT_LOCKS_H
#define VERDICT_LOCKS_H

#include "base/error.h"
#include "go/lockflow.h"
#include "maps/owner.h"
#include "verdict/verdict.h"
#include "verdict/way.h"

/* Fills in the locks of a, held ones first, then those that stand in the struct that owns the map (owner
 * NULL: not known). What cannot be told is left out, and locks_known says so. */
enum status access_locks(struct runtime *rt, struct lockflow *locks, const struct lock_way *way,
			 const struct map_owner *owner, struct access *a, struct error *err);

/* Compares the two sides of the verdict, and says what that comes to. */
enum status verdict_compare_locks(struct verdict *v, struct error *err);

#endif
