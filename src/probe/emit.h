/*
 * Writing amd64 machine code: the few instructions that stubs are made of.
 *
 * Registers are DWARF numbers (base/arch.h). Memory operands are base + displacement, or an absolute
 * address within 2 GB of the code, encoded relative to the instruction. Encodings: Intel SDM volume 2.
 * Code that does not fit, or an address out of reach, sets failed and writes nothing more: a caller
 * looks once, at the end.
 */
#ifndef PROBE_EMIT_H
#define PROBE_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

struct emit {
	uint8_t *buf;
	size_t len, cap;
	uint64_t addr; /* at which buf[0] will lie */
	bool failed;
};

/* The address of the next instruction. */
static inline uint64_t emit_here(const struct emit *e)
{
	return e->addr + e->len;
}

void emit_bytes(struct emit *e, const void *p, size_t n);

enum emit_alu { ALU_ADD = 0, ALU_CMP = 7 };

void emit_push(struct emit *e, unsigned reg);
void emit_pop(struct emit *e, unsigned reg);
void emit_move(struct emit *e, unsigned to, unsigned from);
void emit_move_imm32(struct emit *e, unsigned to, uint32_t value); /* clears the upper half */
void emit_load(struct emit *e, unsigned to, unsigned base, int32_t disp); /* 8 bytes */
void emit_store(struct emit *e, unsigned base, int32_t disp, unsigned from);
void emit_store32_imm(struct emit *e, unsigned base, int32_t disp, uint32_t value);
void emit_store_imm(struct emit *e, unsigned base, int32_t disp, int32_t value);
void emit_lea(struct emit *e, unsigned to, unsigned base, int32_t disp);
void emit_lea_at(struct emit *e, unsigned to, uint64_t addr);
void emit_load_at(struct emit *e, unsigned to, uint64_t addr);
void emit_store_at(struct emit *e, uint64_t addr, unsigned from);
void emit_store32_imm_at(struct emit *e, uint64_t addr, uint32_t value);
void emit_add(struct emit *e, unsigned to, unsigned from);
void emit_add_imm(struct emit *e, unsigned to, int32_t value);
void emit_or(struct emit *e, unsigned to, unsigned from);
void emit_test32(struct emit *e, unsigned reg); /* test reg32, reg32 */
void emit_test32_imm(struct emit *e, unsigned reg, uint32_t mask);
void emit_zero(struct emit *e, unsigned reg); /* xor reg32, reg32 */
void emit_dec32(struct emit *e, unsigned reg);
void emit_imul32(struct emit *e, unsigned to, unsigned from, uint32_t factor);
void emit_shl(struct emit *e, unsigned reg, unsigned bits); /* 64 bits */
void emit_shr32(struct emit *e, unsigned reg, unsigned bits);
void emit_cmp_reg(struct emit *e, unsigned a, unsigned b);
void emit_cmp_load(struct emit *e, unsigned reg, unsigned base, int32_t disp); /* reg - [mem] */
void emit_cmp_mem(struct emit *e, unsigned base, int32_t disp, unsigned reg); /* [mem] - reg */
void emit_cmp_mem_imm(struct emit *e, unsigned base, int32_t disp, int8_t value); /* 8 bytes */
void emit_test8_mem_imm(struct emit *e, unsigned base, int32_t disp, uint8_t mask);
void emit_cmp32_mem_imm(struct emit *e, unsigned base, int32_t disp, int8_t value);
void emit_cmp_load_at(struct emit *e, unsigned reg, uint64_t addr);
void emit_cmp_at_imm(struct emit *e, uint64_t addr, int8_t value); /* 8 bytes */
void emit_cmp32_at_imm(struct emit *e, uint64_t addr, int8_t value);
void emit_cmp32_imm(struct emit *e, unsigned reg, int8_t value);
void emit_lock_cmpxchg(struct emit *e, unsigned base, int32_t disp, unsigned reg);
void emit_lock_cmpxchg32_at(struct emit *e, uint64_t addr, unsigned reg);
void emit_xchg32_at(struct emit *e, uint64_t addr, unsigned reg);
void emit_lock_inc32_at(struct emit *e, uint64_t addr);
void emit_rdtsc(struct emit *e); /* into rax, all 64 bits; rdx is lost */
/* The same in two parts, of which the first is shorter: into edx and eax, then those together. */
void emit_rdtsc_halves(struct emit *e);
void emit_join_halves(struct emit *e);
/* Waits until all before it is done: a time that is read next is not an earlier one. */
void emit_lfence(struct emit *e);
/* Waits until all processors see what was stored before it. */
void emit_fence(struct emit *e);
/* Stores two registers in the 16 bytes at base, which must be a multiple of 16, at once: processors with AVX never
 * split such a store (Intel SDM volume 3, 9.1.1). xmm0 and xmm1 are lost. */
void emit_store_pair(struct emit *e, unsigned base, unsigned first, unsigned second);
void emit_pause(struct emit *e);
void emit_syscall(struct emit *e);
/* Breakpoints up to the next address that is so many bytes, fewer than of, behind a multiple of of. */
void emit_pad(struct emit *e, unsigned of, unsigned behind);
void emit_jump_to(struct emit *e, uint64_t addr);

/* Condition codes of jcc. */
enum emit_cond {
	EMIT_BELOW = 2,
	EMIT_NOT_BELOW = 3,
	EMIT_EQUAL = 4,
	EMIT_NOT_EQUAL = 5,
	EMIT_NOT_ABOVE = 6
};

/* A jump forwards: returns what emit_land takes, which makes it lead to the next instruction. */
size_t emit_jump(struct emit *e);
size_t emit_branch(struct emit *e, enum emit_cond cond);
void emit_land(struct emit *e, size_t jump);
/* A branch back to an address that emit_here gave. */
void emit_branch_back(struct emit *e, enum emit_cond cond, uint64_t addr);

#endif
