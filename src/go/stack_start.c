#include "go/stack_start.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/cleanup.h"

/* gsignal stacks are 32 KiB (runtime/os_linux.go: mpreinit); in a thread of C they are what C gave
 * to sigaltstack. Of a larger one the top is looked at. */
enum { SIGNAL_STACK_MAX = 256 * 1024 };

/* Offsets in the kernel's struct ucontext (arch/x86/include/uapi/asm/sigcontext.h and
 * arch/arm64/include/uapi/asm/{ucontext,sigcontext}.h). */
enum {
	UC_LINK = 8,
	UC_STACK_SP = 16,
	UC_STACK_SIZE = 32,
	AMD64_UC_REGS = 40, /* r8 .. r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags */
	AMD64_UC_SIZE = AMD64_UC_REGS + 18 * 8,
	ARM64_UC_REGS = 184, /* x0 .. x30, sp, pc, pstate */
	ARM64_UC_SIZE = ARM64_UC_REGS + 34 * 8,
};

static bool on_stack(const struct goroutine *goroutine, uint64_t sp)
{
	return sp >= goroutine->stack_lo && sp < goroutine->stack_hi;
}

static void regs_of_amd64(const uint8_t *uc, struct regs *ret)
{
	static const uint8_t order[] = {AMD64_R8,  AMD64_R9,  AMD64_R10, AMD64_R11, AMD64_R12,
					AMD64_R13, AMD64_R14, AMD64_R15, AMD64_RDI, AMD64_RSI,
					AMD64_RBP, AMD64_RBX, AMD64_RDX, AMD64_RAX, AMD64_RCX,
					AMD64_RSP, AMD64_RIP};
	*ret = (struct regs){.arch = ARCH_AMD64};
	for (size_t i = 0; i < sizeof(order); i++)
		ret->r[order[i]] = load_u64(uc + AMD64_UC_REGS + i * 8);
	ret->flags = load_u64(uc + AMD64_UC_REGS + sizeof(order) * 8);
	ret->pc = ret->r[AMD64_RIP];
	ret->sp = ret->r[AMD64_RSP];
	ret->fp = ret->r[AMD64_RBP];
}

static void regs_of_arm64(const uint8_t *uc, struct regs *ret)
{
	*ret = (struct regs){.arch = ARCH_ARM64};
	for (size_t i = 0; i <= ARM64_SP; i++)
		ret->r[i] = load_u64(uc + ARM64_UC_REGS + i * 8);
	ret->sp = ret->r[ARM64_SP];
	ret->fp = ret->r[ARM64_FP];
	ret->pc = load_u64(uc + ARM64_UC_REGS + 32 * 8);
	ret->flags = load_u64(uc + ARM64_UC_REGS + 33 * 8);
}

/* The registers that the outermost handler on the signal stack [lo, hi) interrupted: the highest
 * ucontext above sp, known by its uc_stack, which says where that stack is. Handlers nest downwards,
 * and a nested one keeps what the outer one was doing. */
static bool find_ucontext(struct runtime *rt, uint64_t sp, uint64_t lo, uint64_t hi,
			  struct regs *ret)
{
	bool arm = rt->target->arch == ARCH_ARM64;
	size_t need = arm ? ARM64_UC_SIZE : AMD64_UC_SIZE;
	uint64_t start = hi - sp > SIGNAL_STACK_MAX ? hi - SIGNAL_STACK_MAX : sp;
	start &= ~7ull;
	size_t size = hi - start;
	AUTO_FREE uint8_t *buf = malloc(size);
	if (!buf || memory_read(rt->target->memory, start, buf, size, NULL) != OK)
		return false;
	if (size < need)
		return false;
	for (size_t i = (size - need) & ~7ul;; i -= 8) {
		const uint8_t *uc = buf + i;
		if (load_u64(uc + UC_LINK) == 0 && load_u64(uc + UC_STACK_SP) == lo &&
		    load_u64(uc + UC_STACK_SIZE) == hi - lo) {
			if (arm)
				regs_of_arm64(uc, ret);
			else
				regs_of_amd64(uc, ret);
			return true;
		}
		if (i == 0)
			return false;
	}
}

static void start_at_regs(struct stack_start *ret, const struct regs *regs, bool is_signal)
{
	*ret = (struct stack_start){
		.pc = regs->pc,
		.sp = regs->sp,
		.bp = regs->fp,
		.lr = regs->arch == ARCH_ARM64 ? regs->r[ARM64_LR] : 0,
		.is_exact = true,
		.is_signal = is_signal,
		.has_regs = true,
		.regs = *regs,
	};
}

static bool start_at_syscall(struct stack_start *ret, const struct goroutine *goroutine)
{
	if (!goroutine->syscall_sp)
		return false;
	*ret = (struct stack_start){
		.pc = goroutine->syscall_pc,
		.sp = goroutine->syscall_sp,
		.bp = goroutine->syscall_bp,
		.from_syscall = true,
	};
	return true;
}

static bool start_at_sched(struct stack_start *ret, const struct goroutine *goroutine)
{
	if (!goroutine->sched_sp)
		return false;
	*ret = (struct stack_start){
		.pc = goroutine->sched_pc,
		.sp = goroutine->sched_sp,
		.bp = goroutine->sched_bp,
		.lr = goroutine->sched_lr,
	};
	return true;
}

/* A call into the VDSO runs on g0 and leaves its caller's pc and sp in the m
 * (runtime/sys_linux_amd64.s: nanotime1). */
static bool start_at_vdso(struct runtime *rt, uint64_t m, const struct goroutine *goroutine,
			  struct stack_start *ret)
{
	uint64_t sp, pc;
	const struct layout *l = &rt->layout;
	if (l->m.vdso_sp == LAYOUT_NONE || l->m.vdso_pc == LAYOUT_NONE ||
	    memory_read_u64(rt->target->memory, m + l->m.vdso_sp, &sp, NULL) != OK ||
	    memory_read_u64(rt->target->memory, m + l->m.vdso_pc, &pc, NULL) != OK ||
	    !on_stack(goroutine, sp))
		return false;
	*ret = (struct stack_start){.pc = pc, .sp = sp};
	return true;
}

/* Bounds of the stack of g (a gsignal). */
static bool stack_of(struct runtime *rt, uint64_t g, uint64_t *lo, uint64_t *hi)
{
	uint64_t at = g + rt->layout.g.stack;
	return g && memory_read_u64(rt->target->memory, at, lo, NULL) == OK &&
	       memory_read_u64(rt->target->memory, at + 8, hi, NULL) == OK && *lo < *hi;
}

/* The start of a goroutine that thread runs. */
static bool start_on_thread(struct runtime *rt, const struct goroutine *goroutine,
			    const struct thread *thread, struct stack_start *ret)
{
	struct go_thread go;
	uint64_t lo, hi;
	struct regs regs = thread->regs;
	bool is_signal = false;
	if (go_thread_read(rt, (size_t)goroutine->thread, &go, NULL) != OK)
		return false;
	if (!on_stack(goroutine, regs.sp) && stack_of(rt, go.gsignal, &lo, &hi) && regs.sp >= lo &&
	    regs.sp < hi)
		is_signal = find_ucontext(rt, regs.sp, lo, hi, &regs);
	if (is_signal && rt->target->moved_code.settle)
		rt->target->moved_code.settle(rt->target->moved_code.context, &regs);
	if (on_stack(goroutine, regs.sp)) {
		start_at_regs(ret, &regs, is_signal);
		return true;
	}
	return start_at_vdso(rt, go.m, goroutine, ret);
}

enum status stack_start_find(struct runtime *rt, const struct goroutine *goroutine,
			     struct stack_start *ret, struct error *err)
{
	/* In a system call Go's own traceback starts at the call of entersyscall; so do we. */
	if (goroutine->status == GOROUTINE_RUNNING && goroutine->thread >= 0) {
		const struct thread *thread = &rt->target->threads[goroutine->thread];
		if (thread->has_regs && start_on_thread(rt, goroutine, thread, ret))
			return OK;
	}
	/* On another stack, or not running: sched is valid. While a goroutine runs on its own stack
	 * sched.sp is 0 (runtime/asm_amd64.s: gogo and systemstack clear it). */
	if (start_at_syscall(ret, goroutine) || start_at_sched(ret, goroutine))
		return OK;
	return error_at(err, ERROR_NOT_FOUND, goroutine->g,
			"goroutine %llu runs, and the registers of its thread are not known",
			(unsigned long long)goroutine->id);
}
