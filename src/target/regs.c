#include "target/regs.h"

#include <stddef.h>

#include "base/bytes.h"
#include "target/internal.h"

static const char *const amd64_names[AMD64_REGS] = {
	"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9",  "r10", "r11", "r12", "r13", "r14", "r15", "rip",
};

static const char *const arm64_names[ARM64_REGS] = {
	"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",	 "x7",	"x8",  "x9",  "x10",
	"x11", "x12", "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21",
	"x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30", "sp",
};

const char *regs_name(enum arch arch, unsigned number)
{
	if (number >= regs_count(arch))
		return NULL;
	return arch == ARCH_AMD64 ? amd64_names[number] : arm64_names[number];
}

unsigned regs_count(enum arch arch)
{
	return arch == ARCH_AMD64 ? AMD64_REGS : ARM64_REGS;
}

/* Linux arch/x86/include/asm/user_64.h, struct user_regs_struct: the words in this order. */
enum {
	USER_R15,
	USER_R14,
	USER_R13,
	USER_R12,
	USER_RBP,
	USER_RBX,
	USER_R11,
	USER_R10,
	USER_R9,
	USER_R8,
	USER_RAX,
	USER_RCX,
	USER_RDX,
	USER_RSI,
	USER_RDI,
	USER_ORIG_RAX,
	USER_RIP,
	USER_CS,
	USER_EFLAGS,
	USER_RSP,
	USER_SS,
	USER_FS_BASE,
	USER_GS_BASE,
};

static const uint8_t amd64_order[AMD64_REGS] = {
	[AMD64_RAX] = USER_RAX, [AMD64_RDX] = USER_RDX, [AMD64_RCX] = USER_RCX,
	[AMD64_RBX] = USER_RBX, [AMD64_RSI] = USER_RSI, [AMD64_RDI] = USER_RDI,
	[AMD64_RBP] = USER_RBP, [AMD64_RSP] = USER_RSP, [AMD64_R8] = USER_R8,
	[AMD64_R9] = USER_R9,	[AMD64_R10] = USER_R10, [AMD64_R11] = USER_R11,
	[AMD64_R12] = USER_R12, [AMD64_R13] = USER_R13, [AMD64_R14] = USER_R14,
	[AMD64_R15] = USER_R15, [AMD64_RIP] = USER_RIP,
};

/* Linux arch/arm64/include/uapi/asm/ptrace.h, struct user_pt_regs: x0 to x30, sp, pc, pstate. */
enum { ARM64_USER_PC = 32, ARM64_USER_PSTATE = 33 };

bool regs_from_kernel(enum arch arch, const void *kernel, size_t n, struct regs *ret)
{
	const uint8_t *words = kernel;
	if (n < regs_kernel_size(arch))
		return false;
	struct regs regs = {.arch = arch};
	if (arch == ARCH_AMD64) {
		for (unsigned i = 0; i < AMD64_REGS; i++)
			regs.r[i] = load_u64(words + 8 * amd64_order[i]);
		regs.pc = regs.r[AMD64_RIP];
		regs.sp = regs.r[AMD64_RSP];
		regs.fp = regs.r[AMD64_RBP];
		regs.flags = load_u64(words + 8 * USER_EFLAGS);
		regs.tls = load_u64(words + 8 * USER_FS_BASE);
	} else {
		for (unsigned i = 0; i < ARM64_REGS; i++)
			regs.r[i] = load_u64(words + 8 * i);
		regs.pc = load_u64(words + 8 * ARM64_USER_PC);
		regs.sp = regs.r[ARM64_SP];
		regs.fp = regs.r[ARM64_FP];
		regs.flags = load_u64(words + 8 * ARM64_USER_PSTATE);
	}
	*ret = regs;
	return true;
}
