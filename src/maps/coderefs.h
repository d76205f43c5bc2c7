/*
 * What a stretch of code refers to by constant addresses: globals that it loads, and things whose address
 * it takes.
 */
#ifndef MAPS_CODEREFS_H
#define MAPS_CODEREFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

struct code_reference {
	uint64_t addr;
	unsigned size; /* bytes loaded; 0: the address itself is taken */
};

/* Registers of arm64 whose value is known: a page, or a page and an offset. */
struct code_registers {
	uint32_t valid; /* by number */
	uint64_t value[ARM64_REGS];
};

/* Most references that one instruction makes. */
enum { CODE_REFERENCES_MAX = 5 };

/* The references of the instruction at the start of code; registers carries what is known from one to the
 * next, and starts as zeros. Returns how many; *ret_length is 0 where there is no instruction. */
size_t code_references(enum arch arch, const uint8_t *code, size_t n, uint64_t addr,
		       struct code_registers *registers,
		       struct code_reference ret[CODE_REFERENCES_MAX], size_t *ret_length);

#endif
