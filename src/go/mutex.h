/*
 * Go's locks in memory: sync.Mutex and sync.RWMutex.
 *
 * Both are laid out alike in Go 1.18 to 1.27: a Mutex is the words state and sema (from 1.24 on inside of
 * internal/sync.Mutex, at the same place), an RWMutex is a Mutex w, the two semaphores, readerCount and
 * readerWait, all of four bytes. Source: sync/mutex.go, sync/rwmutex.go, internal/sync/mutex.go.
 */
#ifndef GO_MUTEX_H
#define GO_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "go/runtime.h"
#include "go/shape.h"

enum lock_kind { LOCK_MUTEX, LOCK_RWMUTEX };

/* Offset of RWMutex.readerCount. */
enum { RWMUTEX_READER_COUNT = 16 };

struct lock_state {
	enum lock_kind kind;
	bool locked; /* by somebody who excludes all others */
	bool woken, starving; /* of the mutex, or of the RWMutex's own one between writers */
	uint32_t waiters; /* goroutines that wait for that mutex */
	/* of an RWMutex only: */
	uint32_t readers; /* that hold it */
	uint32_t readers_waiting; /* for the writer to leave */
	bool writer_waits; /* for the readers to leave */
};

/* Reads the lock at addr. ERROR_FORMAT where the words there are no lock's. */
enum status lock_state_read(struct runtime *rt, enum lock_kind kind, uint64_t addr,
			    struct lock_state *ret, struct error *err);

/* Appends it in words: "locked, 2 waiting", "unlocked", "3 readers, a writer waiting". */
void lock_state_text(const struct lock_state *state, struct text *text);

/* A lock that is part of a value. */
struct lock_field {
	enum lock_kind kind;
	uint64_t addr;
	struct shape_ref
		within; /* the innermost named struct that it is a field of; no type: none */
	char path[120]; /* from there on: "mu", "stats.mu", "Mutex" where it is embedded */
};

/* The locks in the value of type ref at addr: fields, also in structs and arrays inside of it, and what
 * fields that are pointers to locks lead to. At most max; returns how many. */
size_t lock_fields(struct runtime *rt, struct shape_ref ref, uint64_t addr, struct lock_field *ret,
		   size_t max);

/* "sync.Mutex", "sync.RWMutex". */
const char *lock_kind_name(enum lock_kind kind);

#endif
