/*
 * Goroutines, and the threads that run them.
 */
#ifndef GO_GOROUTINE_H
#define GO_GOROUTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

/* runtime/runtime2.go, without the scan bit (0x1000). */
enum goroutine_status {
	GOROUTINE_IDLE = 0,
	GOROUTINE_RUNNABLE = 1,
	GOROUTINE_RUNNING = 2,
	GOROUTINE_SYSCALL = 3,
	GOROUTINE_WAITING = 4,
	GOROUTINE_DEAD = 6,
	GOROUTINE_COPYSTACK = 8,
	GOROUTINE_PREEMPTED = 9,
	GOROUTINE_LEAKED = 10, /* 1.26 on: never to be woken, says the collector */
	GOROUTINE_DEAD_EXTRA = 11, /* 1.26 on: of a C thread outside Go */
};

struct goroutine {
	uint64_t g; /* address of the runtime.g */
	uint64_t id; /* 0: a g0 or gsignal */
	uint64_t m; /* address of its m, 0 */
	uint32_t status; /* enum goroutine_status; others as read */
	bool scan; /* the collector held it */
	uint8_t wait_reason; /* number; goroutine_state names it */
	uint64_t stack_lo, stack_hi;
	uint64_t sched_pc, sched_sp, sched_bp; /* sp 0: running, stale */
	uint64_t sched_lr; /* arm64: the link register that goes with sched_pc */
	uint64_t syscall_pc, syscall_sp, syscall_bp;
	uint64_t gopc, startpc; /* the go statement's return address; the entry function */
	uint64_t parent; /* id of the creator, 0 where unknown (before 1.21) */
	uint64_t locked_m;
	uint32_t sig; /* signal that it panics for, 0 */
	uint64_t sig_pc;
	int thread; /* index in target->threads of the thread that runs it, or -1 */
};

struct goroutines {
	struct goroutine *list; /* by id */
	size_t count; /* dead ones are left out */
	size_t dead;
	bool complete; /* false: some could not be read (noted) */
	const char *
		found_by; /* "runtime.allgs" (symbol), "search for runtime.allgs", "search of all memory" */
};

/* What a thread is doing, in Go's terms. */
struct go_thread {
	uint64_t m, g0, gsignal, curg; /* addresses, 0 where unknown (a thread that is not Go's) */
	uint64_t g; /* the g that the thread itself names (TLS) */
	uint64_t curg_id;
	int32_t throwing, dying;
};

/* Reads all live goroutines. Fails only when none can be found at all. */
enum status goroutines_read(struct runtime *rt, struct goroutines *ret, struct error *err);
void goroutines_done(struct goroutines *list);
/* The one with this id, or g address; NULL. */
const struct goroutine *goroutines_by_id(const struct goroutines *list, uint64_t id);
const struct goroutine *goroutines_by_g(const struct goroutines *list, uint64_t g);

/* Reads one g. */
enum status goroutine_read(struct runtime *rt, uint64_t g, struct goroutine *ret,
			   struct error *err);

/* Go's state of thread number index of the target. */
enum status go_thread_read(struct runtime *rt, size_t index, struct go_thread *ret,
			   struct error *err);

/* "running", "runnable", "chan receive", ...: as Go's traceback puts it. */
const char *goroutine_state(struct runtime *rt, const struct goroutine *goroutine);

/* The goroutine on whose behalf the process died: curg of the thread whose m is throwing or dying,
 * the crashing thread's first; where the core lacks an m, the goroutine on whose stack Go was dying.
 * ERROR_NOT_FOUND when there is none. */
enum status goroutine_crashed(struct runtime *rt, struct goroutine *ret, struct error *err);

#endif
