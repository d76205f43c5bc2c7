/*
 * Stacks of goroutines, by the function table's stack sizes and, where those do not reach, by frame
 * pointers; across systemstack, signal frames and asynchronous preemption.
 *
 * A walk yields physical frames, innermost first. Each has the source frames (inlining) at its pc.
 */
#ifndef GO_STACK_H
#define GO_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "go/goroutine.h"
#include "go/pclntab.h"
#include "go/runtime.h"

/* Frames of one stack: Go's own limit is 1 GB of stack; a walk over more than this is told so. */
enum { STACK_FRAMES_MAX = 100000 };

enum frame_kind {
	FRAME_NORMAL,
	FRAME_SIGNAL, /* the instruction that a signal interrupted */
	FRAME_SYSTEMSTACK, /* first frame of the goroutine under runtime.systemstack */
};

struct frame {
	uint64_t pc; /* as found: a return address, unless is_exact */
	uint64_t lookup_pc; /* what was looked up: pc - 1 for a return address */
	uint64_t sp; /* stack pointer in this frame at pc */
	uint64_t cfa; /* address just above the return address: caller's sp (amd64) */
	uint64_t bp; /* frame pointer in this frame; 0 unknown */
	enum frame_kind kind;
	bool is_exact; /* pc is the instruction to run next: no call made it */
	bool has_function;
	struct function function;
	/* the general registers at pc, where all are known; else NULL. Lives in the walk, until its
	 * next step. */
	const struct regs *regs;
};

struct pc_info;

struct stack_walk {
	/* Whether Go was dying on this stack when it ended (fatalthrow or fatalpanic were called; their
	 * frames are left out). The rest is private to stack.c. */
	bool dying;
	struct runtime *rt;
	const struct goroutine *goroutine;
	struct frame frame; /* the one given out last, or to be given out first */
	const struct pc_info *info; /* of frame; NULL unknown */
	uint64_t lr; /* arm64: link register at frame; 0: its return address is on the stack */
	bool innermost, from_syscall; /* frame is the first; it was found in g.syscall* */
	bool done;
	size_t count;
	struct regs regs;
	bool regs_valid; /* for frame */
	/* the goroutine's stack, read in pieces */
	uint8_t *bytes;
	uint64_t bytes_addr;
	size_t bytes_len;
};

/* Starts at the innermost frame that belongs to the goroutine itself. The frames of its thread's g0
 * and gsignal stacks (fatalthrow, dopanic_m, raise) are not part of it. Fails where the first frame
 * cannot be told ("running, and its thread's registers are not in the core"). goroutine must outlive
 * the walk. A walk may be started again with another goroutine without stack_walk_done between. */
enum status stack_walk_start(struct stack_walk *walk, struct runtime *rt,
			     const struct goroutine *goroutine, struct error *err);
/* The next frame; false at the end. A stack that ends early is noted. */
bool stack_walk_next(struct stack_walk *walk, struct frame *ret);
void stack_walk_done(struct stack_walk *walk);
#define STACK_WALK_INIT \
	{               \
		0       \
	}

/* The source frames at a frame's pc, innermost first (pclntab_source, cached by pc). The pointer
 * lives until the runtime is freed. Returns how many; at least 1 when the frame has a function. */
size_t frame_source(struct runtime *rt, const struct frame *frame, const struct source_frame **ret);

/* The frame's arguments as Go's traceback prints them: "0x472980, 0xc000070000, 0x0, {0x1, 0x2},
 * 0x5?, ...". Only for the physical function. */
void frame_args(struct runtime *rt, const struct frame *frame, struct text *text);

/* Word number index of the frame's arguments by FUNCDATA_ArgInfo (spill slots); *ret_live tells
 * whether the compiler says that the slot holds it at this pc (otherwise Go prints "?"). false where
 * there is no such word. */
bool frame_arg_word(struct runtime *rt, const struct frame *frame, unsigned index, uint64_t *ret,
		    bool *ret_live);

/* Where word number index of the arguments lies while a function stands before the instruction at pc:
 * *ret_offset bytes from the frame's CFA on. false where there is no such word, or where the compiler
 * does not say that its slot holds it there. */
bool function_arg_slot(struct runtime *rt, uint64_t pc, unsigned index, int32_t *ret_offset);

/* Whether a frame of this function is hidden in Go's default traceback (runtime.*, unexported, not
 * the goroutine's panic): runtime, internal/runtime and reflect frames are not what a user wrote. */
bool function_is_runtime(const char *name);

#endif
