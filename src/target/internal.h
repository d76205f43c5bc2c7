/*
 * What the files of target share and nobody else needs.
 */
#ifndef TARGET_INTERNAL_H
#define TARGET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/regs.h"

/* Bytes of the kernel's general registers, in an NT_PRSTATUS or by PTRACE_GETREGSET: 27 words of
 * user_regs_struct, 34 of user_pt_regs. */
static inline size_t regs_kernel_size(enum arch arch)
{
	return arch == ARCH_AMD64 ? 27 * 8 : 34 * 8;
}

/* Takes the n bytes of the kernel's registers apart; false when they are too few. On arm64 tls is
 * left 0: the kernel gives it by a note of its own. */
bool regs_from_kernel(enum arch arch, const void *kernel, size_t n, struct regs *ret);

#endif
