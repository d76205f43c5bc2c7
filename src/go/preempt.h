/*
 * The registers of a goroutine that was preempted between two instructions.
 */
#ifndef GO_PREEMPT_H
#define GO_PREEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "go/goroutine.h"
#include "go/stack.h"
#include "target/regs.h"

/* The general registers at the instruction pc of goroutine, which the frame of asyncPreempt right
 * below it keeps; false where they cannot be read. Of arm64's, x18 and x27 are 0: Go does not use the
 * first, and does not preempt where the second (the assembler's own) is in use. */
bool preempted_regs(struct runtime *rt, const struct goroutine *goroutine,
		    const struct frame *async_preempt, uint64_t pc, struct regs *ret);

#endif
