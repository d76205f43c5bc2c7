/*
 * Hardware breakpoints on every thread of a process, those that it starts later included, without
 * stopping it: perf events of the debug registers (perf_event_open(2), PERF_TYPE_BREAKPOINT).
 *
 * The kernel takes the registers and the top of the stack at each hit and puts them into a ring that we
 * read; the process gets no signal and is no tracee. When we end, in whatever way, the kernel takes the
 * breakpoints off with our file descriptors. (Debug registers that are set by ptrace stay when the tracer
 * dies, and the next hit then kills the process by SIGTRAP: measured on Linux 6.18.) A hit costs the
 * process an exception: 1 to 2 microseconds on hardware, 24 in the virtual machine where it was measured.
 *
 * Knows nothing of Go. amd64 only: elsewhere breakpoints_open says so.
 */
#ifndef PROBE_BREAKPOINT_H
#define PROBE_BREAKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "target/regs.h"

enum {
	BREAKPOINTS_MAX = 4, /* DR0 to DR3 */
	/* Of the stack, from the stack pointer up, bytes that each hit brings: a map function's frame and
	 * those of its callers, which take 100 to 300 bytes in all. The kernel wants a multiple of 8. */
	BREAKPOINT_STACK = 1024,
};

struct breakpoint {
	uint64_t addr;
	bool on_write; /* of the byte at addr; else: before the instruction at addr runs */
};

struct hit {
	uint64_t addr; /* of the breakpoint */
	uint64_t time; /* CLOCK_MONOTONIC, ns: of a write, just after it */
	pid_t thread;
	uint32_t cpu;
	struct regs regs; /* of a write: behind the instruction; tls is 0 */
	const uint8_t *stack; /* from regs.sp on, until the next call */
	size_t stack_size;
};

/* Hits that did not fit into the ring of one CPU. */
struct hit_gap {
	uint64_t since, until; /* CLOCK_MONOTONIC, ns: all of them lie between */
	uint64_t count; /* at least so many */
};

struct breakpoints;

/*
 * Lays breakpoints on the threads given, off at first. All threads must be stopped, or those that start
 * meanwhile are missed. Fails where the kernel has none free, or does not allow it, in words that say
 * what to do. Raises our limit of open files where that is needed: each breakpoint takes one for each
 * thread and CPU.
 */
enum status breakpoints_open(pid_t pid, const pid_t *threads, size_t thread_count,
			     const struct breakpoint *list, size_t count, struct breakpoints **ret,
			     struct error *err);
void breakpoints_free(struct breakpoints *breakpoints);

enum status breakpoints_enable(struct breakpoints *breakpoints, struct error *err);
void breakpoints_disable(struct breakpoints *breakpoints);

/* Waits for a hit, the end of the process, a signal of ours, or timeout_ms. */
void breakpoints_wait(const struct breakpoints *breakpoints, int timeout_ms);

/* Whether the process has ended. */
bool breakpoints_ended(const struct breakpoints *breakpoints);

/* Who takes what the rings hold; a call that returns FAILED ends the reading. */
struct hit_reader {
	enum status (*on_hit)(void *context, const struct hit *hit, struct error *err);
	enum status (*on_gap)(void *context, const struct hit_gap *gap, struct error *err);
	void *context;
};

/* Takes what lies in the rings: in order of time for each CPU, but one CPU after the other. */
enum status breakpoints_read(struct breakpoints *breakpoints, const struct hit_reader *reader,
			     struct error *err);

#endif
