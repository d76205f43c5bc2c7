/*
 * The machines that we read, and the numbers of their registers.
 *
 * Registers are numbered as DWARF numbers them, everywhere: in the registers of a thread, in
 * location expressions and in the operands of an instruction.
 */
#ifndef BASE_ARCH_H
#define BASE_ARCH_H

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

#endif
