/*
 * The machine code that the recorder lays into a program, for given addresses of it and of its table.
 *
 * A stub makes no call, so its address never lies on a stack; it saves what it uses below the stack
 * pointer of a function that has room for calls of its own, leaves registers and flags as the original
 * instructions leave them, and executes those as they are.
 */
#ifndef PROBE_STUBS_H
#define PROBE_STUBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "probe/plan.h"
#include "target/regs.h"

/* Bytes that change in the program. */
struct patch {
	uint64_t addr; /* with load bias */
	uint64_t interior; /* an instruction that starts inside; 0: none */
	uint8_t old[PLAN_PATCH_SIZE], new[PLAN_PATCH_SIZE];
};

/* Where the bytes at addr, in the place of a patch, lead to: a jump, a call, or a branch behind its first byte.
 * false where they are none of those. */
bool patch_target(const uint8_t bytes[PLAN_PATCH_SIZE], uint64_t addr, uint64_t *ret);

struct stubs_options {
	uint64_t bias; /* added to the plan's addresses */
	uint64_t addr; /* where the stubs will lie */
	uint64_t table; /* where the table will lie */
	unsigned line_bits;
	bool times, holds;
	/* Keep the callers of writes. Who needs none are those who keep no times either, and look at the stacks
	 * while the table is frozen: only writes in flight say something then. */
	bool callers;
	bool hold_types; /* hold only on maps of header.hold_types */
	/* No time stamp is earlier than what the program waited for before it, and lines tell maps apart that
	 * follow each other at one address (RECORDS_SEEDS). */
	bool ordered;
	bool meets; /* holds are before the entry check, and who comes to a held map is shown */
	bool reads; /* readers get lines, too */
};

/* One stub, as described at the start of the stubs: enough to tell where a thread that stands in it
 * would stand without it. All count from the start of the stubs, wherever those lie. */
struct stub_info {
	uint32_t start, end;
	uint32_t head,
		head_end; /* what comes before start, when it lies elsewhere before it; else empty */
	uint32_t moved, moved_end; /* the original instructions in it; empty for fatal */
	uint64_t site; /* where the first of them comes from; fatal: fatal itself */
	uint64_t back; /* where control goes behind them */
};

struct stubs_index {
	uint32_t count;
	uint32_t version; /* STUBS_VERSION: of this description */
	struct stub_info list[];
};

enum { STUBS_VERSION = 1 };

/* No program has more: 20 to 60 stubs of at most 2 KB. */
enum { STUBS_SIZE_MAX = 256 << 10 };

struct stubs {
	uint8_t *bytes; /* a struct stubs_index, then code */
	size_t size;
	struct patch *patches;
	size_t patch_count;
};

/* Builds stubs and patches. ERROR_LIMIT where an address is out of reach of the other. */
enum status stubs_build(const struct plan *plan, const struct stubs_options *options,
			struct stubs *ret, struct error *err);
void stubs_done(struct stubs *stubs);

/* Changes *regs, of a thread that stands in the n bytes of stubs at addr, to where it would stand
 * without them. read reads the thread's memory. false, and *regs untouched, where it stands in none. */
bool stubs_settle(const uint8_t *stubs, size_t n, uint64_t addr,
		  bool (*read)(void *context, uint64_t addr, uint64_t *ret), void *context,
		  struct regs *regs);

#endif
