#include "go/preempt.h"

#include "base/bytes.h"

/* runtime/preempt_amd64.s of 1.18 to 1.27: rbp and flags right below the return address, the others at
 * sp, in this order. Behind them lie the vector registers (before 1.26). */
static bool preempted_amd64(struct runtime *rt, const struct frame *frame, struct regs *ret)
{
	static const uint8_t order[] = {AMD64_RAX, AMD64_RCX, AMD64_RDX, AMD64_RBX, AMD64_RSI,
					AMD64_RDI, AMD64_R8,  AMD64_R9,	 AMD64_R10, AMD64_R11,
					AMD64_R12, AMD64_R13, AMD64_R14, AMD64_R15};
	struct memory *memory = rt->target->memory;
	uint64_t words[sizeof(order)];
	if (frame->cfa - frame->sp < sizeof(words) + 24 ||
	    memory_read(memory, frame->sp, words, sizeof(words), NULL) != OK ||
	    memory_read_u64(memory, frame->cfa - 16, &ret->fp, NULL) != OK ||
	    memory_read_u64(memory, frame->cfa - 24, &ret->flags, NULL) != OK)
		return false;
	for (size_t i = 0; i < sizeof(order); i++)
		ret->r[order[i]] = words[i];
	ret->sp = frame->cfa;
	ret->r[AMD64_RBP] = ret->fp;
	ret->r[AMD64_RSP] = ret->sp;
	ret->r[AMD64_RIP] = ret->pc;
	return true;
}

/* runtime/preempt_arm64.s of 1.18 to 1.27: x0 to x17 and x19 to x26 from sp + 8 on, then the flags; x29
 * below sp. LR is where the signal handler put it (signal_arm64.go: pushCall), in 16 bytes above. */
static bool preempted_arm64(struct runtime *rt, const struct frame *frame, uint64_t g,
			    struct regs *ret)
{
	enum { SAVED = 27 };
	struct memory *memory = rt->target->memory;
	uint64_t words[SAVED];
	if (frame->cfa - frame->sp < sizeof(words) + 8 ||
	    memory_read(memory, frame->sp + 8, words, sizeof(words), NULL) != OK ||
	    memory_read_u64(memory, frame->sp - 8, &ret->fp, NULL) != OK ||
	    memory_read_u64(memory, frame->cfa, &ret->r[ARM64_LR], NULL) != OK)
		return false;
	for (size_t i = 0; i < SAVED - 1; i++)
		ret->r[i < 18 ? i : i + 1] = words[i];
	ret->flags = words[SAVED - 1];
	ret->r[28] = g;
	ret->r[ARM64_FP] = ret->fp;
	ret->sp = frame->cfa + 16;
	ret->r[ARM64_SP] = ret->sp;
	return true;
}

bool preempted_regs(struct runtime *rt, const struct goroutine *goroutine,
		    const struct frame *async_preempt, uint64_t pc, struct regs *ret)
{
	struct regs regs = {.arch = rt->target->arch, .pc = pc};
	bool read = regs.arch == ARCH_ARM64
			    ? preempted_arm64(rt, async_preempt, goroutine->g, &regs)
			    : preempted_amd64(rt, async_preempt, &regs);
	if (read)
		*ret = regs;
	return read;
}
