/*
 * What the parts of the A64 decoder share: an instruction word's fields, and operands made of them.
 */
#ifndef INSN_ARM64_H
#define INSN_ARM64_H

#include "insn/internal.h"

enum { ZR = 31 }; /* as a data register: the zero register; as a base: the stack pointer */

static inline uint32_t bits(uint32_t word, unsigned hi, unsigned lo)
{
	return (word >> lo) & (0xffffffffu >> (31 - (hi - lo)));
}

static inline bool bit_of(uint32_t word, unsigned n)
{
	return (word >> n) & 1;
}

static inline int64_t sign_extend(uint64_t value, unsigned width)
{
	return (int64_t)(value << (64 - width)) >> (64 - width);
}

static inline unsigned rd_of(uint32_t word)
{
	return bits(word, 4, 0);
}

static inline unsigned rn_of(uint32_t word)
{
	return bits(word, 9, 5);
}

static inline unsigned rm_of(uint32_t word)
{
	return bits(word, 20, 16);
}

static inline unsigned rt2_of(uint32_t word)
{
	return bits(word, 14, 10);
}

/* The mask of a data register. */
static inline uint64_t data_reg(unsigned n)
{
	return n == ZR ? 0 : 1ULL << n;
}

static inline uint64_t address_reg(unsigned n)
{
	return 1ULL << n; /* 31: ARM64_SP */
}

static inline struct insn_operand reg_operand(unsigned n, uint16_t size)
{
	if (n == ZR)
		return (struct insn_operand){.kind = INSN_IMM, .size = size};
	return (struct insn_operand){.kind = INSN_REG, .size = size, .reg = (uint8_t)n};
}

static inline struct insn_operand sp_operand(unsigned n, uint16_t size)
{
	return (struct insn_operand){.kind = INSN_REG, .size = size, .reg = (uint8_t)n};
}

static inline struct insn_operand imm_operand(int64_t imm, uint16_t size)
{
	return (struct insn_operand){.kind = INSN_IMM, .size = size, .imm = imm};
}

static inline struct insn_operand mem_operand(uint16_t size)
{
	return (struct insn_operand){.kind = INSN_MEM, .size = size, .mem = 0};
}

/* Where a result goes; a result in the zero register goes nowhere. */
static inline struct insn_operand dst_operand(unsigned n, uint16_t size)
{
	return n == ZR ? (struct insn_operand){0} : reg_operand(n, size);
}

/* The class "Loads and Stores": fills in insn; false for an unallocated encoding. */
bool arm64_loads_and_stores(uint32_t word, struct insn *insn);

#endif
