/*
 * Where the walk of a goroutine's stack begins: what stack.c does not care about.
 */
#ifndef GO_STACK_START_H
#define GO_STACK_START_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "go/goroutine.h"
#include "go/runtime.h"
#include "target/regs.h"

struct stack_start {
	uint64_t pc, sp, bp, lr; /* bp, lr: 0 unknown */
	bool is_exact; /* pc is the next instruction, not a return address */
	bool is_signal; /* a signal interrupted the goroutine there */
	bool from_syscall; /* what entersyscall kept */
	bool has_regs;
	struct regs regs;
};

/* Tells where the goroutine's own stack stands: by the registers of the thread that runs it, by the
 * signal frame of a handler that interrupted it, or by what the scheduler saved. ERROR_NOT_FOUND
 * when it runs and none of these is to be had. */
enum status stack_start_find(struct runtime *rt, const struct goroutine *goroutine,
			     struct stack_start *ret, struct error *err);

#endif
