/*
 * A64, by the encoding tables of the Arm Architecture Reference Manual for A-profile (DDI 0487J, C4.1).
 *
 * Loads, stores and branches are decoded completely, because their meaning is what we are for; of data
 * processing only the general purpose registers read and written, and the few operations of insn_op.
 * There an unallocated encoding may pass as INSN_OTHER. SVE and SME are not decoded.
 */
#include "insn/arm64.h"

/* Branches, exceptions, system. */

static void set_target(struct insn *insn, enum insn_flow flow, int64_t words)
{
	insn->flow = flow;
	insn->has_target = true;
	insn->target = insn->addr + (uint64_t)words * 4;
}

static void test_and_branch(uint32_t word, bool is_bit, struct insn *insn)
{
	unsigned reg = rd_of(word);
	uint16_t size = bit_of(word, 31) ? 8 : 4;
	int64_t words = sign_extend(bits(word, 23, 5), 19);
	int64_t mask = -1;
	if (is_bit) {
		words = sign_extend(bits(word, 18, 5), 14);
		mask = (int64_t)(1ULL << (bits(word, 31, 31) << 5 | bits(word, 23, 19)));
	}
	set_target(insn, INSN_BRANCH, words);
	insn->cond = bit_of(word, 24) ? INSN_COND_NOT_ZERO : INSN_COND_ZERO;
	insn->op = INSN_TEST;
	insn->src[0] = reg_operand(reg, size);
	insn->src[1] = imm_operand(mask, size);
	insn->reads = data_reg(reg);
}

static bool branch_register(uint32_t word, struct insn *insn)
{
	insn->reads = data_reg(rn_of(word));
	switch (bits(word, 24, 21)) {
	case 0: /* br, braaz */
	case 8: /* braa */
		insn->flow = INSN_JUMP;
		return true;
	case 1: /* blr */
	case 9: /* blraa */
		insn->flow = INSN_CALL;
		insn->writes = 1ULL << ARM64_LR;
		return true;
	case 2: /* ret, retaa: with the stack pointer as modifier */
		insn->flow = INSN_RETURN;
		if (bits(word, 11, 10) != 0)
			insn->reads = 1ULL << ARM64_LR | 1ULL << ARM64_SP;
		return true;
	case 4: /* eret */
	case 5: /* drps */
		insn->flow = INSN_RETURN;
		insn->reads = 0;
		return true;
	default:
		return false;
	}
}

static void conditional(uint32_t word, struct insn *insn)
{
	unsigned cond = bits(word, 3, 0);
	set_target(insn, cond >= 14 ? INSN_JUMP : INSN_BRANCH, sign_extend(bits(word, 23, 5), 19));
	if (cond == 0)
		insn->cond = INSN_COND_ZERO;
	else if (cond == 1)
		insn->cond = INSN_COND_NOT_ZERO;
}

static void hint(uint32_t word, struct insn *insn)
{
	/* pointer authentication in the hint space works on x17 or x30 */
	unsigned crm = bits(word, 11, 8), op2 = bits(word, 7, 5);
	if (crm == 1) {
		insn->reads = 1ULL << 16 | 1ULL << 17;
		insn->writes = 1ULL << 17;
	} else if (crm == 3 || (crm == 0 && op2 == 7)) {
		insn->reads = 1ULL << ARM64_LR | 1ULL << ARM64_SP;
		insn->writes = 1ULL << ARM64_LR;
	}
}

static void zero_block(unsigned base, struct insn *insn)
{
	/* dc zva: a block whose size DCZID_EL0 gives, aligned down */
	insn->mem[0] =
		(struct insn_mem){.base = (uint8_t)base, .index = INSN_NO_REG, .write = true};
	insn->mem_count = base == ZR ? 0 : 1;
}

static void system_insn(uint32_t word, struct insn *insn)
{
	uint64_t reg = data_reg(rd_of(word));
	if ((word & 0xfffff01f) == 0xd503201f) {
		hint(word, insn);
		return;
	}
	if (bit_of(word, 21))
		insn->writes = reg; /* mrs, sysl */
	else
		insn->reads = reg; /* msr, sys */
	/* msr to NZCV; mrs of RNDR and RNDRRS; cfinv, axflag, xaflag and msr (immediate) */
	insn->sets_flags = (word & 0xffffffe0) == 0xd51b4200 || (word & 0xffffffc0) == 0xd53b2400 ||
			   (word & 0xfff8f01f) == 0xd500401f;
	if ((word & 0xffffffe0) == 0xd50b7420 || (word & 0xffffffe0) == 0xd50b7480)
		zero_block(rd_of(word), insn);
}

static bool branches(uint32_t word, struct insn *insn)
{
	if (bits(word, 30, 26) == 0x05) {
		set_target(insn, bit_of(word, 31) ? INSN_CALL : INSN_JUMP,
			   sign_extend(bits(word, 25, 0), 26));
		if (bit_of(word, 31))
			insn->writes = 1ULL << ARM64_LR;
		return true;
	}
	if (bits(word, 30, 25) == 0x1a || bits(word, 30, 25) == 0x1b) {
		test_and_branch(word, bit_of(word, 25), insn);
		return true;
	}
	switch (bits(word, 31, 24)) {
	case 0x54:
		conditional(word, insn);
		return true;
	case 0xd4:
		/* svc, hvc, smc come back; brk, hlt and dcps do not */
		if (bits(word, 23, 21) != 0)
			insn->flow = INSN_TRAP;
		return bits(word, 4, 2) == 0;
	case 0xd5:
		system_insn(word, insn);
		return true;
	case 0xd6:
	case 0xd7:
		return branch_register(word, insn);
	default:
		return false;
	}
}

/* Data processing. */

/* DecodeBitMasks of the manual; false for a reserved encoding. */
static bool bit_mask(uint32_t word, uint64_t *ret)
{
	unsigned n = bits(word, 22, 22), immr = bits(word, 21, 16), imms = bits(word, 15, 10);
	unsigned combined = n << 6 | (~imms & 0x3f);
	if (combined < 2 || (!bit_of(word, 31) && n))
		return false;
	unsigned len = 31 - (unsigned)__builtin_clz(combined);
	unsigned size = 1u << len;
	unsigned ones = (imms & (size - 1)) + 1;
	unsigned rotate = immr & (size - 1);
	if (ones == size)
		return false;
	uint64_t element = ~0ULL >> (64 - ones);
	uint64_t whole = size == 64 ? ~0ULL : (1ULL << size) - 1;
	if (rotate)
		element = (element >> rotate | element << (size - rotate)) & whole;
	uint64_t mask = 0;
	for (unsigned at = 0; at < 64; at += size)
		mask |= element << at;
	*ret = bit_of(word, 31) ? mask : mask & 0xffffffff;
	return true;
}

static void two_sources(struct insn *insn, enum insn_op op, struct insn_operand dst,
			struct insn_operand a, struct insn_operand b)
{
	insn->op = op;
	insn->dst = dst;
	insn->src[0] = a;
	insn->src[1] = b;
}

static bool add_immediate(uint32_t word, uint16_t size, struct insn *insn)
{
	bool sub = bit_of(word, 30), flags = bit_of(word, 29);
	int64_t imm = (int64_t)((uint64_t)bits(word, 21, 10) << (bit_of(word, 22) ? 12 : 0));
	unsigned rd = rd_of(word), rn = rn_of(word);
	struct insn_operand dst = flags ? dst_operand(rd, size) : sp_operand(rd, size);
	two_sources(insn, sub ? INSN_SUB : INSN_ADD, dst, sp_operand(rn, size),
		    imm_operand(imm, size));
	insn->reads = address_reg(rn);
	insn->writes = flags ? data_reg(rd) : address_reg(rd);
	insn->sets_flags = flags;
	if (flags && sub && rd == ZR)
		insn->op = INSN_COMPARE;
	if (!flags && imm == 0) /* how the assembler writes a move from or to sp */
		insn->op = INSN_MOVE;
	return true;
}

static bool logical_immediate(uint32_t word, uint16_t size, struct insn *insn)
{
	static const uint8_t ops[] = {INSN_AND, INSN_OR, INSN_XOR, INSN_AND};
	unsigned opc = bits(word, 30, 29), rd = rd_of(word), rn = rn_of(word);
	uint64_t mask;
	if (!bit_mask(word, &mask))
		return false;
	bool flags = opc == 3;
	struct insn_operand imm = imm_operand((int64_t)mask, size);
	struct insn_operand dst = flags ? dst_operand(rd, size) : sp_operand(rd, size);
	two_sources(insn, ops[opc], dst, reg_operand(rn, size), imm);
	insn->reads = data_reg(rn);
	insn->writes = flags ? data_reg(rd) : address_reg(rd);
	insn->sets_flags = flags;
	if (flags && rd == ZR)
		insn->op = INSN_TEST;
	if (opc == 1 && rn == ZR) {
		insn->op = INSN_MOVE;
		insn->src[0] = imm;
	}
	return true;
}

static bool move_wide(uint32_t word, uint16_t size, struct insn *insn)
{
	unsigned opc = bits(word, 30, 29), rd = rd_of(word);
	uint64_t imm = (uint64_t)bits(word, 20, 5) << (bits(word, 22, 21) * 16);
	if (opc == 1 || (size == 4 && bit_of(word, 22)))
		return false;
	insn->writes = data_reg(rd);
	if (opc == 3) { /* movk */
		insn->reads = data_reg(rd);
		return true;
	}
	if (opc == 0)
		imm = size == 4 ? ~imm & 0xffffffff : ~imm;
	insn->op = INSN_MOVE;
	insn->dst = dst_operand(rd, size);
	insn->src[0] = imm_operand((int64_t)imm, size);
	return true;
}

static bool bitfield(uint32_t word, uint16_t size, struct insn *insn)
{
	unsigned opc = bits(word, 30, 29), immr = bits(word, 21, 16), imms = bits(word, 15, 10);
	unsigned rd = rd_of(word), rn = rn_of(word);
	if (opc == 3 || bits(word, 22, 22) != bits(word, 31, 31) ||
	    (size == 4 && (immr > 31 || imms > 31)))
		return false;
	insn->reads = data_reg(rn);
	insn->writes = data_reg(rd);
	if (opc == 1) /* bfm keeps the rest */
		insn->reads |= data_reg(rd);
	if (opc == 2 && immr == 0) /* uxtb and its like */
		two_sources(insn, INSN_AND, dst_operand(rd, size), reg_operand(rn, size),
			    imm_operand((int64_t)(~0ULL >> (63 - imms)), size));
	return true;
}

static bool immediates(uint32_t word, struct insn *insn)
{
	uint16_t size = bit_of(word, 31) ? 8 : 4;
	unsigned rd = rd_of(word), rn = rn_of(word);
	switch (bits(word, 25, 23)) {
	case 0:
	case 1: { /* adr, adrp */
		int64_t imm = sign_extend(bits(word, 23, 5) << 2 | bits(word, 30, 29), 21);
		uint64_t base = insn->addr;
		if (bit_of(word, 31)) {
			base &= ~0xfffULL;
			imm *= 4096;
		}
		insn->op = INSN_MOVE;
		insn->dst = dst_operand(rd, 8);
		insn->src[0] = imm_operand((int64_t)(base + (uint64_t)imm), 8);
		insn->writes = data_reg(rd);
		return true;
	}
	case 2:
		return add_immediate(word, size, insn);
	case 3: /* addg, subg: sp; smax and its like: no sp */
		insn->reads = bit_of(word, 22) ? data_reg(rn) : address_reg(rn);
		insn->writes = bit_of(word, 22) ? data_reg(rd) : address_reg(rd);
		return true;
	case 4:
		return logical_immediate(word, size, insn);
	case 5:
		return move_wide(word, size, insn);
	case 6:
		return bitfield(word, size, insn);
	default: /* extr */
		insn->reads = data_reg(rn) | data_reg(rm_of(word));
		insn->writes = data_reg(rd);
		return true;
	}
}

static void logical_register(uint32_t word, uint16_t size, struct insn *insn)
{
	static const uint8_t ops[] = {INSN_AND, INSN_OR, INSN_XOR, INSN_AND};
	unsigned opc = bits(word, 30, 29), rd = rd_of(word), rn = rn_of(word), rm = rm_of(word);
	insn->sets_flags = opc == 3;
	/* an inverted or shifted operand is none that insn.h has */
	if (bit_of(word, 21) || bits(word, 15, 10) != 0)
		return;
	two_sources(insn, ops[opc], dst_operand(rd, size), reg_operand(rn, size),
		    reg_operand(rm, size));
	if (opc == 3 && rd == ZR)
		insn->op = INSN_TEST;
	if (opc == 1 && rn == ZR) {
		insn->op = INSN_MOVE;
		insn->src[0] = insn->src[1];
	}
}

static void add_register(uint32_t word, uint16_t size, struct insn *insn)
{
	bool sub = bit_of(word, 30), flags = bit_of(word, 29), extended = bit_of(word, 21);
	unsigned rd = rd_of(word), rn = rn_of(word), rm = rm_of(word);
	insn->sets_flags = flags;
	if (extended) {
		insn->reads = address_reg(rn) | data_reg(rm);
		insn->writes = flags ? data_reg(rd) : address_reg(rd);
		return;
	}
	if (bits(word, 15, 10) != 0)
		return;
	two_sources(insn, sub ? INSN_SUB : INSN_ADD, dst_operand(rd, size), reg_operand(rn, size),
		    reg_operand(rm, size));
	if (flags && sub && rd == ZR)
		insn->op = INSN_COMPARE;
}

static bool registers(uint32_t word, struct insn *insn)
{
	uint16_t size = bit_of(word, 31) ? 8 : 4;
	unsigned rd = rd_of(word), rn = rn_of(word), rm = rm_of(word);
	insn->reads = data_reg(rn) | data_reg(rm);
	insn->writes = data_reg(rd);
	if (!bit_of(word, 28)) {
		if (bit_of(word, 24))
			add_register(word, size, insn);
		else
			logical_register(word, size, insn);
		return true;
	}
	if (bit_of(word, 24)) { /* madd and its like */
		insn->reads |= data_reg(rt2_of(word));
		return true;
	}
	switch (bits(word, 23, 21)) {
	case 0: /* adc, sbc; rmif, setf */
		insn->sets_flags = bit_of(word, 29);
		if (bits(word, 15, 10) != 0) {
			insn->reads = data_reg(rn);
			insn->writes = 0;
		}
		return true;
	case 2: /* ccmp, ccmn */
		insn->sets_flags = true;
		insn->writes = 0;
		if (bit_of(word, 11))
			insn->reads = data_reg(rn);
		return true;
	case 4: /* csel, csinc, csinv, csneg */
		if (!bit_of(word, 30) && bits(word, 11, 10) == 0)
			two_sources(insn, INSN_SELECT, dst_operand(rd, size), reg_operand(rn, size),
				    reg_operand(rm, size));
		return true;
	case 6:
		if (!bit_of(word, 30)) { /* udiv and its like; irg and subp know sp */
			insn->sets_flags = bit_of(word, 29);
			return true;
		}
		insn->reads = data_reg(rn); /* rbit, clz; pac and aut change rd */
		if (rm == 1)
			insn->reads |= data_reg(rd) | address_reg(rn);
		return true;
	default:
		return false;
	}
}

/* Of vectors and floating point only what touches general purpose registers and flags. */
static void vectors(uint32_t word, struct insn *insn)
{
	unsigned rd = rd_of(word), rn = rn_of(word), opcode = bits(word, 18, 16);
	if (bits(word, 30, 24) == 0x1e) {
		bool fixed = !bit_of(word, 21);
		if (fixed || bits(word, 15, 10) == 0) { /* conversions and fmov */
			bool from_general = opcode == 2 || opcode == 3 || opcode == 7;
			if (from_general)
				insn->reads = data_reg(rn);
			else
				insn->writes = data_reg(rd);
			return;
		}
		/* fcmp, fccmp */
		insn->sets_flags = bits(word, 13, 10) == 8 || bits(word, 11, 10) == 1;
		return;
	}
	/* advanced SIMD copy: dup, ins from a general register, smov, umov to one */
	if ((word & 0x9fe08400) == 0x0e000400) {
		unsigned imm4 = bits(word, 14, 11);
		if (!bit_of(word, 29) && (imm4 == 1 || imm4 == 3))
			insn->reads = data_reg(rn);
		else if (!bit_of(word, 29) && (imm4 == 5 || imm4 == 7))
			insn->writes = data_reg(rd);
	}
}

static bool classify(uint32_t word, struct insn *insn)
{
	switch (bits(word, 28, 25)) {
	case 0:
		/* udf */
		insn->flow = INSN_TRAP;
		return bits(word, 31, 16) == 0;
	case 8:
	case 9:
		return immediates(word, insn);
	case 10:
	case 11:
		return branches(word, insn);
	case 4:
	case 6:
	case 12:
	case 14:
		return arm64_loads_and_stores(word, insn);
	case 5:
	case 13:
		return registers(word, insn);
	case 7:
	case 15:
		vectors(word, insn);
		return true;
	default:
		return false;
	}
}

bool arm64_decode(const uint8_t *code, size_t n, uint64_t addr, bool full, struct insn *ret)
{
	if (n < 4)
		return false;
	uint32_t word = (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
			(uint32_t)code[3] << 24;
	struct insn insn = {.addr = addr, .length = 4};
	/* decoding is cheap: nothing is left out for want of full, but it is not promised either */
	if (!classify(word, &insn))
		return false;
	if (!full)
		insn = (struct insn){.addr = addr,
				     .target = insn.target,
				     .length = 4,
				     .flow = insn.flow,
				     .cond = insn.cond,
				     .has_target = insn.has_target};
	*ret = insn;
	return true;
}
