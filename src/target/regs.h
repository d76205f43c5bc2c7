/*
 * The registers of a thread, numbered as DWARF numbers them, so that location expressions index r.
 */
#ifndef TARGET_REGS_H
#define TARGET_REGS_H

#include <stdint.h>

#include "base/arch.h"

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
