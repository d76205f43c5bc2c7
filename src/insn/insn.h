/*
 * One machine instruction: how long it is, where it goes next, what memory and which registers it
 * reads and writes, and, for the few operations that we reason about, what it computes.
 *
 * One header, two machines. amd64 is decoded by Zydis 4.0, arm64 (A64 of Armv8 and Armv9 without SVE
 * and SME) by a classifier of our own. Both read only the bytes that they are given; the bytes may be
 * anything. Nothing here keeps state, so all of it may be called from any thread; only insn_text
 * allocates (Capstone does).
 *
 * Registers are DWARF numbers (base/arch.h), general purpose ones only: vector and mask registers
 * appear in no mask. x31 is the stack pointer; the zero register reads as the immediate 0.
 */
#ifndef INSN_INSN_H
#define INSN_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"
#include "base/text.h"

/* Where control goes behind the instruction. */
enum insn_flow {
	INSN_NEXT, /* to the next instruction; also system calls */
	INSN_JUMP,
	INSN_BRANCH, /* to the target or to the next, by cond */
	INSN_CALL, /* and back to the next */
	INSN_RETURN,
	INSN_TRAP, /* int3, ud2, hlt, brk, udf: nowhere */
};

/* What a branch asks. amd64 and b.cond of arm64 ask the flags that an instruction before left; cbz,
 * cbnz, tbz and tbnz of arm64 ask their own operands src[0] AND src[1] (op is INSN_TEST). */
enum insn_cond {
	INSN_COND_OTHER,
	INSN_COND_ZERO, /* the result was zero, the operands were equal */
	INSN_COND_NOT_ZERO,
	INSN_COND_CARRY, /* after INSN_BIT_TEST: the bit was set */
	INSN_COND_NOT_CARRY,
};

/* What is computed, where it is one of these. dst and src[] are given for them, and for all that an
 * operation gives in general (INSN_OTHER) the masks and memory accesses only. */
enum insn_op {
	INSN_OTHER,
	INSN_MOVE, /* dst = src[0]; from memory a load, to memory a store. A shorter source is zero-
		      or (sign_extends) sign-extended to the size of dst */
	INSN_LEA, /* dst = address of src[0], which is not accessed */
	INSN_ADD, /* dst = src[0] + src[1], and so on; dst is src[0] on amd64 */
	INSN_SUB,
	INSN_AND,
	INSN_OR,
	INSN_XOR,
	INSN_COMPARE, /* flags of src[0] - src[1] */
	INSN_TEST, /* flags of src[0] AND src[1]; no dst */
	INSN_BIT_TEST, /* carry = bit src[1] of src[0] */
	INSN_SELECT, /* dst = src[0] or src[1], by the flags */
	INSN_EXCHANGE, /* amd64 xchg: dst and src[0] change places */
	INSN_COMPARE_EXCHANGE, /* cmpxchg, cas: masks and memory only, as for INSN_OTHER */
	INSN_PAIR, /* arm64 ldp, stp of 8 bytes each: src[0] and src[1] are the registers at the first and
		      the second word of mem[0], loaded where it is read; no dst */
};

enum {
	INSN_NO_REG = 0xff,
	INSN_PC = 0xfe, /* as a base: the displacement is the address itself */
};

enum insn_segment { INSN_SEGMENT_NONE, INSN_SEGMENT_FS, INSN_SEGMENT_GS };
enum insn_extend { INSN_EXTEND_NONE, INSN_EXTEND_UXTW, INSN_EXTEND_SXTW };

/* The address is segment + base + extend(index) * scale + disp, with the registers as they are before
 * the instruction (a push: rsp - 8). */
struct insn_mem {
	int64_t disp;
	uint16_t size; /* bytes accessed; 0: not known from the instruction (xsave) */
	uint8_t base, index, scale;
	uint8_t segment; /* enum insn_segment */
	uint8_t extend; /* enum insn_extend, of the index */
	bool read, write;
	bool implicit; /* not written as an operand: stack of push, pop, call, ret; string ops */
	bool repeated; /* rep: any number of accesses of size bytes, up or down from here */
	bool scattered; /* gather, scatter: addresses come from a vector register too */
	bool address_32; /* amd64: the sum is cut to 32 bits */
	bool conditional; /* masked and conditional forms: may access less, or nothing */
};

enum insn_operand_kind { INSN_NONE, INSN_REG, INSN_IMM, INSN_MEM };

struct insn_operand {
	uint8_t kind; /* enum insn_operand_kind */
	uint16_t size; /* bytes */
	uint8_t reg; /* INSN_REG: its number */
	bool high; /* INSN_REG: ah, bh, ch, dh */
	uint8_t mem; /* INSN_MEM: index in insn.mem */
	int64_t imm; /* INSN_IMM: as encoded, sign-extended where the machine does so */
};

/* No instruction has more memory accesses: amd64 has at most two (movs, cmps, push of memory). */
enum { INSN_MEM_MAX = 4, INSN_LENGTH_MAX = 15 };

struct insn {
	uint64_t addr;
	uint64_t target; /* has_target: of a direct jump, branch or call */
	uint8_t length; /* bytes */
	uint8_t flow; /* enum insn_flow */
	uint8_t cond; /* enum insn_cond, of a branch */
	bool has_target;
	/* From here on filled by insn_decode only. */
	uint8_t op; /* enum insn_op */
	bool atomic; /* LOCK, xchg with memory; LSE atomics of arm64 */
	bool exclusive; /* arm64 load and store exclusive */
	bool sets_flags; /* may change the condition flags */
	bool sign_extends; /* INSN_MOVE */
	uint8_t mem_count;
	uint64_t reads,
		writes; /* registers, bit 1 << number; writes to part of one count as both */
	struct insn_operand dst, src[2];
	struct insn_mem mem[INSN_MEM_MAX];
};

/* Decodes the instruction at the start of code, n bytes that lie at addr. false when there is none:
 * bytes that the machine does not know, or that end too early; *ret is then untouched. */
bool insn_decode(enum arch arch, const uint8_t *code, size_t n, uint64_t addr, struct insn *ret);

/* The same for length and flow only, several times cheaper: all before insn.op. */
bool insn_decode_flow(enum arch arch, const uint8_t *code, size_t n, uint64_t addr,
		      struct insn *ret);

/* How far to go on behind bytes that do not decode: 1 or 4. */
unsigned insn_step(enum arch arch);

/* A linear sweep over n bytes of code at addr: each instruction in turn, from pos on. What does not
 * decode is stepped over: padding behind the last instruction, or data. */
struct insn_sweep {
	enum arch arch;
	const uint8_t *code;
	size_t n;
	uint64_t addr;
	size_t pos; /* behind the last one */
	bool full; /* by insn_decode; else by insn_decode_flow */
};

/* false: there are no more; *ret is then not to be used. */
bool insn_sweep_next(struct insn_sweep *sweep, struct insn *ret);

/* Appends the instruction as text: AT&T syntax for amd64 and Arm's for arm64, as objdump has them,
 * without names for addresses. What does not decode, or has no text, is shown as data: ".byte 0x06",
 * ".inst 0xf8200041". */
void insn_text(enum arch arch, const uint8_t *code, size_t n, uint64_t addr, struct text *text);

#endif
