/*
 * The registers of a thread, numbered as DWARF numbers them, so that location expressions index r.
 */
#ifndef TARGET_REGS_H
#define TARGET_REGS_H

#include <stdint.h>

enum arch { ARCH_AMD64, ARCH_ARM64 };

/* System V AMD64 ABI 1.0, figure 3.36. */
enum {
	AMD64_RAX = 0,
	AMD64_RDX,
	AMD64_RCX,
	AMD64_RBX,
	AMD64_RSI,
	AMD64_RDI,
	AMD64_RBP,
	AMD64_RSP,
	AMD64_R8,
	AMD64_R9,
	AMD64_R10,
	AMD64_R11,
	AMD64_R12,
	AMD64_R13,
	AMD64_R14,
	AMD64_R15,
	AMD64_RIP,
	AMD64_REGS,
};

/* DWARF for the Arm 64-bit Architecture, 4.1: x0 to x30 are 0 to 30, sp is 31. */
enum { ARM64_FP = 29, ARM64_LR = 30, ARM64_SP = 31, ARM64_REGS = 32 };

struct regs {
	enum arch arch;
	uint64_t r[33];
	uint64_t pc, sp; /* also in r where the architecture numbers them */
	uint64_t fp; /* rbp or x29 */
	uint64_t flags; /* rflags or pstate */
	uint64_t tls; /* fs_base or tpidr_el0; 0 where not known */
};

/* "rax" ... for a DWARF number, or NULL. */
const char *regs_name(enum arch arch, unsigned number);
/* How many of r are in use. */
unsigned regs_count(enum arch arch);

#endif
