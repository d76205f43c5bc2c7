/*
 * How a walk goes from a frame to its caller.
 *
 * Go's compiler and linker say for each pc how far the stack pointer is below the caller's (pcsp), so
 * the caller's sp (here: cfa) is sp + delta, and 8 more on amd64 for the return address that the call
 * pushed. On amd64 the return address stands just below the cfa, and the caller's frame pointer below
 * that, where there is a frame. On arm64 both stand at the bottom of the callee's frame: the return
 * address at sp, the caller's frame pointer at sp - 8; a function without a frame keeps the return
 * address in LR.
 *
 * Where that does not lead to a known function (C code, assembly that moves SP by itself), the frame
 * pointer is tried instead, once for each frame. The sp of a walk only rises, so every walk ends.
 *
 * Source: runtime/traceback.go and runtime/stkframe.go of Go 1.19 to 1.27.
 */
#include "go/stack.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "go/pcinfo.h"
#include "go/preempt.h"
#include "go/stack_start.h"

enum {
	/* Bytes of stack read in one go: most parked goroutines use less than 2 KB. */
	WINDOW = 16 * 1024,
	/* symtab.go: funcFlag */
	FLAG_TOPFRAME = 1,
	FLAG_SPWRITE = 2,
	/* From raise up to fatalpanic: raise, dieFromSignal, crash, fatalpanic. */
	DYING_DEPTH = 8,
};

static bool is_arm(const struct stack_walk *walk)
{
	return walk->rt->target->arch == ARCH_ARM64;
}

/* The word at addr, which must lie on the goroutine's stack. */
static bool stack_word(struct stack_walk *walk, uint64_t addr, uint64_t *ret)
{
	uint64_t lo = walk->goroutine->stack_lo, hi = walk->goroutine->stack_hi;
	if (addr < lo || addr >= hi || hi - addr < 8)
		return false;
	if (addr < walk->bytes_addr || addr - walk->bytes_addr >= walk->bytes_len ||
	    walk->bytes_len - (addr - walk->bytes_addr) < 8) {
		size_t n = hi - addr < WINDOW ? hi - addr : WINDOW;
		struct memory *memory = walk->rt->target->memory;
		walk->bytes_len = 0;
		if (memory_read(memory, addr, walk->bytes, n, NULL) != OK) {
			n = 8;
			if (memory_read(memory, addr, walk->bytes, n, NULL) != OK)
				return false;
		}
		walk->bytes_addr = addr;
		walk->bytes_len = n;
	}
	*ret = load_u64(walk->bytes + (addr - walk->bytes_addr));
	return true;
}

/* What is known of a return address: it stands behind the call, so the byte before it is looked up;
 * one at a function's entry was never returned to (a goroutine that has not run yet) and is what will
 * run next. NULL where no function is. */
static const struct pc_info *info_of_return(struct stack_walk *walk, uint64_t pc,
					    bool *ret_is_exact)
{
	const struct pc_info *info = pc ? pc_info_at(walk->rt, pc - 1) : NULL;
	*ret_is_exact = info && (!info->has_function || info->function.end <= pc);
	if (*ret_is_exact)
		info = pc_info_at(walk->rt, pc);
	return info && info->has_function ? info : NULL;
}

static bool is_code(struct stack_walk *walk, uint64_t pc)
{
	bool is_exact;
	return info_of_return(walk, pc, &is_exact);
}

static void look_up(struct stack_walk *walk)
{
	struct frame *f = &walk->frame;
	if (f->is_exact) {
		const struct pc_info *info = pc_info_at(walk->rt, f->pc);
		walk->info = info && info->has_function ? info : NULL;
	} else {
		walk->info = info_of_return(walk, f->pc, &f->is_exact);
	}
	f->lookup_pc = f->is_exact ? f->pc : f->pc - 1;
	f->has_function = walk->info;
	if (walk->info)
		f->function = walk->info->function;
}

/* Fills in what follows from the frame's pc, sp and bp. */
static void resolve(struct stack_walk *walk)
{
	struct frame *f = &walk->frame;
	look_up(walk);
	f->cfa = 0;
	const struct pc_info *info = walk->info;
	if (!info || !info->has_sp_delta || info->sp_delta < 0)
		return;
	uint64_t above = (uint64_t)info->sp_delta + (is_arm(walk) ? 0 : 8);
	if (above <= walk->goroutine->stack_hi - f->sp)
		f->cfa = f->sp + above;
}

/* Where a frame was called from. */
struct caller {
	uint64_t pc, sp, bp, lr;
};

/* The caller by the frame pointer: a record {caller's frame pointer, return address} at bp. */
static bool caller_by_bp(struct stack_walk *walk, struct caller *ret)
{
	const struct frame *f = &walk->frame;
	struct caller c = {0};
	if (f->bp < f->sp - (is_arm(walk) ? 8 : 0) || f->bp % 8 != 0 ||
	    !stack_word(walk, f->bp, &c.bp) || !stack_word(walk, f->bp + 8, &c.pc) ||
	    !is_code(walk, c.pc))
		return false;
	/* arm64: Go keeps its frame pointer 8 below its stack pointer. */
	c.sp = is_arm(walk) ? c.bp + 8 : f->bp + 16;
	*ret = c;
	return true;
}

/* The caller by pcsp. */
static bool caller_by_table(struct stack_walk *walk, struct caller *ret)
{
	const struct frame *f = &walk->frame;
	struct caller c = {.sp = f->cfa, .bp = f->bp};
	if (!f->cfa)
		return false;
	if (is_arm(walk)) {
		bool has_frame = f->cfa > f->sp;
		c.pc = walk->lr;
		if (((walk->innermost && has_frame) || !c.pc) && !stack_word(walk, f->sp, &c.pc))
			return false;
		if (has_frame && !stack_word(walk, f->sp - 8, &c.bp))
			c.bp = 0;
	} else {
		if (!stack_word(walk, f->cfa - 8, &c.pc))
			return false;
		if (f->cfa - f->sp >= 16 && !stack_word(walk, f->cfa - 16, &c.bp))
			c.bp = 0;
	}
	*ret = c;
	return true;
}

/* arm64: a signal handler that fakes a call keeps LR in 16 bytes that it takes from the stack
 * (runtime/signal_arm64.go: pushCall); what it interrupted may need that LR. */
static bool skip_pushed_lr(struct stack_walk *walk, struct caller *c)
{
	uint64_t lr;
	if (!stack_word(walk, c->sp, &lr))
		return false;
	c->sp += 16;
	const struct pc_info *info = pc_info_at(walk->rt, c->pc);
	if (!info || !info->has_function)
		c->pc = lr;
	else if (info->has_sp_delta && info->sp_delta == 0)
		c->lr = lr;
	return true;
}

static bool note_end(struct stack_walk *walk, const char *why)
{
	notes_add(walk->rt->notes, "go", walk->frame.sp,
		  "the stack of goroutine %llu ends early at pc 0x%llx: %s",
		  (unsigned long long)walk->goroutine->id, (unsigned long long)walk->frame.pc, why);
	return false;
}

/* The caller of a frame that no function covers. */
static bool caller_of_unknown(struct stack_walk *walk, struct caller *ret)
{
	struct caller c = {.sp = walk->frame.sp + 8, .bp = walk->frame.bp};
	/* A call through a nil or wild pointer got nowhere: its return address is the last thing
	 * that happened. */
	if (walk->frame.is_exact && is_arm(walk) && is_code(walk, walk->lr)) {
		*ret = (struct caller){.pc = walk->lr, .sp = walk->frame.sp, .bp = walk->frame.bp};
		return true;
	}
	if (walk->frame.is_exact && !is_arm(walk) && stack_word(walk, walk->frame.sp, &c.pc) &&
	    is_code(walk, c.pc)) {
		*ret = c;
		return true;
	}
	return caller_by_bp(walk, ret) || note_end(walk, "no function is known there");
}

/* The frame's caller; false at the end of the stack. */
static bool caller_of(struct stack_walk *walk, struct caller *ret)
{
	const struct pc_info *info = walk->info;
	if (!info)
		return caller_of_unknown(walk, ret);
	if (info->function.flag & FLAG_TOPFRAME)
		return false;
	/* Functions that write SP have a pcsp that holds only outside of that piece. Those that
	 * entersyscall was called from are outside of it, and cgocallback has a frame on both of its
	 * stacks. */
	bool writes_sp = (info->function.flag & FLAG_SPWRITE) && info->role != PC_CGOCALLBACK &&
			 !(walk->innermost && walk->from_syscall);
	if (writes_sp && caller_by_bp(walk, ret))
		return true;
	if (!caller_by_table(walk, ret))
		return caller_by_bp(walk, ret) ||
		       note_end(walk, "the size of its frame is not known");
	if (info->role == PC_INJECTED || info->role == PC_ASYNC_PREEMPT) {
		if (is_arm(walk) && !skip_pushed_lr(walk, ret))
			return note_end(walk, "what the signal pushed cannot be read");
		return true;
	}
	if (!is_code(walk, ret->pc) && !caller_by_bp(walk, ret))
		return note_end(walk, "its return address is in no function");
	return true;
}

/* Goes to the caller of walk->frame; false at the end. */
static bool step(struct stack_walk *walk)
{
	struct caller c;
	enum pc_role role = walk->info ? walk->info->role : PC_PLAIN;
	struct regs regs;
	if (!caller_of(walk, &c))
		return false;
	/* Only a function of arm64 that keeps its return address in LR may have no frame at all. */
	if (c.sp < walk->frame.sp ||
	    (c.sp == walk->frame.sp && !(is_arm(walk) && (walk->innermost || walk->lr))) ||
	    c.sp > walk->goroutine->stack_hi)
		return note_end(walk, "its caller's frame is not above it");
	walk->regs_valid = role == PC_ASYNC_PREEMPT && !walk->frame.is_exact &&
			   preempted_regs(walk->rt, walk->goroutine, &walk->frame, c.pc, &regs);
	if (walk->regs_valid)
		walk->regs = regs;
	bool injected = role == PC_INJECTED || role == PC_ASYNC_PREEMPT;
	walk->frame = (struct frame){
		.pc = c.pc,
		.sp = c.sp,
		.bp = c.bp,
		.kind = injected	    ? FRAME_SIGNAL
			: role == PC_SWITCH ? FRAME_SYSTEMSTACK
					    : FRAME_NORMAL,
		.is_exact = injected,
	};
	walk->lr = c.lr;
	walk->innermost = false;
	resolve(walk);
	return true;
}

/* Goes past the frames that only serve Go's death: a goroutine that throws or panics in the end has
 * fatalthrow or fatalpanic on its stack, and Go's own traceback starts at their caller. */
static void skip_dying(struct stack_walk *walk)
{
	struct stack_walk probe = *walk;
	bool found = false;
	for (int i = 0; i < DYING_DEPTH && !found; i++) {
		found = probe.info && probe.info->role == PC_DYING;
		if (!step(&probe))
			break;
	}
	if (found) {
		*walk = probe;
		walk->dying = true;
	}
	walk->bytes_addr = probe.bytes_addr;
	walk->bytes_len = probe.bytes_len;
}

enum status stack_walk_start(struct stack_walk *walk, struct runtime *rt,
			     const struct goroutine *goroutine, struct error *err)
{
	uint8_t *bytes = walk->bytes ? walk->bytes : malloc(WINDOW);
	struct stack_start start;
	*walk = (struct stack_walk){
		.rt = rt, .goroutine = goroutine, .bytes = bytes, .innermost = true, .done = true};
	if (!bytes)
		return error_nomem(err);
	if (stack_start_find(rt, goroutine, &start, err) != OK)
		return FAILED;
	if (start.sp < goroutine->stack_lo || start.sp > goroutine->stack_hi)
		return error_at(err, ERROR_FORMAT, start.sp,
				"the stack pointer of goroutine %llu is outside of its stack",
				(unsigned long long)goroutine->id);
	walk->done = false;
	walk->from_syscall = start.from_syscall;
	walk->lr = start.lr;
	walk->regs = start.regs;
	walk->regs_valid = start.has_regs;
	walk->frame = (struct frame){
		.pc = start.pc,
		.sp = start.sp,
		.bp = start.bp,
		.kind = start.is_signal ? FRAME_SIGNAL : FRAME_NORMAL,
		.is_exact = start.is_exact,
	};
	resolve(walk);
	if (goroutine->status == GOROUTINE_RUNNING)
		skip_dying(walk);
	/* It only stands for the call of systemstack, whose caller comes next. */
	if (walk->innermost && walk->info && walk->info->role == PC_SWITCH)
		walk->done = !step(walk);
	return OK;
}

bool stack_walk_next(struct stack_walk *walk, struct frame *ret)
{
	if (walk->done)
		return false;
	if (walk->count == STACK_FRAMES_MAX) {
		walk->done = true;
		return note_end(walk, "the stack has more frames than are looked at");
	}
	if (walk->count && !step(walk)) {
		walk->done = true;
		return false;
	}
	walk->count++;
	*ret = walk->frame;
	ret->regs = walk->regs_valid ? &walk->regs : NULL;
	return true;
}

void stack_walk_done(struct stack_walk *walk)
{
	free(walk->bytes);
	*walk = (struct stack_walk){0};
}
