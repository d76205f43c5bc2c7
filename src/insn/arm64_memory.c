/* A64 loads and stores (DDI 0487J, C4.1, "Loads and Stores"), decoded completely. */
#include "insn/arm64.h"

static struct insn_mem *access(struct insn *insn, unsigned base, int64_t disp, unsigned size,
			       bool load)
{
	struct insn_mem *mem = &insn->mem[insn->mem_count++];
	*mem = (struct insn_mem){.disp = disp,
				 .size = (uint16_t)size,
				 .base = (uint8_t)base,
				 .index = INSN_NO_REG,
				 .read = load,
				 .write = !load};
	insn->reads |= address_reg(base);
	return mem;
}

/* The data registers of a load or store of general purpose registers, as a move when it is of one. */
static void transfer(struct insn *insn, unsigned rt, uint16_t size, uint16_t reg_size, bool load)
{
	if (load) {
		insn->writes |= data_reg(rt);
		insn->dst = dst_operand(rt, reg_size);
		insn->src[0] = mem_operand(size);
	} else {
		insn->reads |= data_reg(rt);
		insn->dst = mem_operand(size);
		insn->src[0] = reg_operand(rt, size);
	}
	insn->op = INSN_MOVE;
}

/* load/store exclusive, ordered, compare and swap: bits 29 to 24 are 001000 */
static bool exclusive(uint32_t word, struct insn *insn)
{
	unsigned size = 1u << bits(word, 31, 30);
	unsigned rt = rd_of(word), rn = rn_of(word), rs = rm_of(word), rt2 = rt2_of(word);
	bool load = bit_of(word, 22), o1 = bit_of(word, 21), o2 = bit_of(word, 23);
	if (o2 && !o1) { /* stlr, ldar, stllr, ldlar */
		access(insn, rn, 0, size, load);
		transfer(insn, rt, (uint16_t)size, size == 8 ? 8 : 4, load);
		return true;
	}
	if (o1 && (o2 || !bit_of(word, 31))) { /* cas, casp */
		if (rt2 != 31)
			return false;
		if (!o2)
			size = bit_of(word, 30) ? 16 : 8;
		struct insn_mem *mem = access(insn, rn, 0, size, true);
		mem->write = true;
		insn->op = INSN_COMPARE_EXCHANGE;
		insn->atomic = true;
		insn->reads |= data_reg(rs) | data_reg(rt);
		insn->writes |= data_reg(rs);
		if (!o2) {
			if ((rs | rt) & 1)
				return false;
			insn->reads |= data_reg(rs + 1) | data_reg(rt + 1);
			insn->writes |= data_reg(rs + 1);
		}
		return true;
	}
	insn->exclusive = true;
	if (o1) { /* ldxp, stxp */
		access(insn, rn, 0, size * 2, load);
		*(load ? &insn->writes : &insn->reads) |= data_reg(rt) | data_reg(rt2);
	} else {
		access(insn, rn, 0, size, load);
		transfer(insn, rt, (uint16_t)size, size == 8 ? 8 : 4, load);
	}
	if (!load)
		insn->writes |= data_reg(rs); /* whether it succeeded */
	return true;
}

/* load register (literal): bits 29 to 27 are 011, 25 and 24 are 00 */
static bool literal(uint32_t word, struct insn *insn)
{
	unsigned opc = bits(word, 31, 30), rt = rd_of(word);
	bool vector = bit_of(word, 26);
	int64_t disp = (int64_t)(insn->addr + (uint64_t)(sign_extend(bits(word, 23, 5), 19) * 4));
	if (opc == 3)
		return !vector; /* prfm */
	unsigned size = vector ? 4u << opc : opc == 1 ? 8 : 4;
	insn->mem[0] = (struct insn_mem){.disp = disp,
					 .size = (uint16_t)size,
					 .base = INSN_PC,
					 .index = INSN_NO_REG,
					 .read = true};
	insn->mem_count = 1;
	if (!vector) {
		transfer(insn, rt, (uint16_t)size, opc ? 8 : 4, true);
		insn->sign_extends = opc == 2;
	}
	return true;
}

/* load/store pair: bits 29 to 27 are 101 */
static bool pair(uint32_t word, struct insn *insn)
{
	unsigned opc = bits(word, 31, 30), mode = bits(word, 24, 23);
	unsigned rt = rd_of(word), rn = rn_of(word), rt2 = rt2_of(word);
	bool vector = bit_of(word, 26), load = bit_of(word, 22);
	unsigned size = vector ? 4u << opc : opc == 2 ? 8 : 4;
	unsigned scale = size;
	if (opc == 3)
		return false;
	if (!vector && opc == 1) {
		if (mode == 0)
			return false;
		if (!load) { /* stgp: 16 bytes of data and their tag */
			size = 8;
			scale = 16;
		}
	}
	int64_t disp = sign_extend(bits(word, 21, 15), 7) * scale;
	access(insn, rn, mode == 1 ? 0 : disp, size * 2, load);
	if (!vector)
		*(load ? &insn->writes : &insn->reads) |= data_reg(rt) | data_reg(rt2);
	if (!vector && opc == 2) {
		insn->op = INSN_PAIR;
		insn->src[0] = reg_operand(rt, 8);
		insn->src[1] = reg_operand(rt2, 8);
	}
	if (mode & 1)
		insn->writes |= address_reg(rn);
	return true;
}

/* What size, V and opc of a load or store of one register say. */
struct single {
	unsigned size;
	uint16_t reg_size;
	bool vector, load, sign, prefetch;
};

static bool single_of(uint32_t word, struct single *ret)
{
	unsigned size = bits(word, 31, 30), opc = bits(word, 23, 22);
	struct single s = {.size = 1u << size, .reg_size = size == 3 ? 8 : 4};
	s.vector = bit_of(word, 26);
	s.load = opc != 0;
	if (s.vector) {
		if (opc & 2) {
			if (size != 0)
				return false;
			s.size = 16;
		}
		s.load = opc & 1;
	} else if (opc == 2) {
		s.prefetch = size == 3;
		s.sign = true;
		s.reg_size = 8;
	} else if (opc == 3) {
		if (size >= 2)
			return false;
		s.sign = true;
	}
	*ret = s;
	return true;
}

static void single_access(uint32_t word, const struct single *s, int64_t disp, struct insn *insn)
{
	access(insn, rn_of(word), disp, s->size, s->load);
	if (s->vector)
		return;
	transfer(insn, rd_of(word), (uint16_t)s->size, s->reg_size, s->load);
	insn->sign_extends = s->sign;
}

/* bit 24 is 1 */
static bool unsigned_offset(uint32_t word, struct insn *insn)
{
	struct single s;
	if (!single_of(word, &s))
		return false;
	if (s.prefetch) {
		insn->reads = address_reg(rn_of(word));
		return true;
	}
	single_access(word, &s, (int64_t)(bits(word, 21, 10) * s.size), insn);
	return true;
}

/* unscaled, post-indexed, unprivileged, pre-indexed by bits 11 and 10 */
static bool signed_offset(uint32_t word, struct insn *insn)
{
	struct single s;
	unsigned mode = bits(word, 11, 10);
	if (!single_of(word, &s) || (mode == 2 && s.vector))
		return false;
	if (s.prefetch) {
		insn->reads = address_reg(rn_of(word));
		return mode == 0;
	}
	single_access(word, &s, mode == 1 ? 0 : sign_extend(bits(word, 20, 12), 9), insn);
	if (mode & 1)
		insn->writes |= address_reg(rn_of(word));
	return true;
}

static bool register_offset(uint32_t word, struct insn *insn)
{
	struct single s;
	unsigned option = bits(word, 15, 13);
	if (!single_of(word, &s) || !(option & 2))
		return false;
	insn->reads = address_reg(rn_of(word)) | data_reg(rm_of(word));
	if (s.prefetch)
		return true;
	single_access(word, &s, 0, insn);
	struct insn_mem *mem = &insn->mem[0];
	if (rm_of(word) == ZR)
		return true;
	mem->index = (uint8_t)rm_of(word);
	mem->scale = bit_of(word, 12) ? (uint8_t)s.size : 1;
	if (option == 2)
		mem->extend = INSN_EXTEND_UXTW;
	else if (option == 6)
		mem->extend = INSN_EXTEND_SXTW;
	return true;
}

/* ld64b and st64b of eight registers from rt on */
static bool block_of_64(uint32_t word, bool load, struct insn *insn)
{
	unsigned rt = rd_of(word);
	if (bits(word, 31, 30) != 3 || (rt & 1) || rt > 22)
		return false;
	access(insn, rn_of(word), 0, 64, load);
	*(load ? &insn->writes : &insn->reads) |= 0xffULL << rt;
	if (!load)
		insn->writes |= data_reg(rm_of(word));
	return true;
}

/* bit 21 is 1, bits 11 and 10 are 00 */
static bool atomic(uint32_t word, struct insn *insn)
{
	static const uint8_t ops[] = {INSN_ADD, INSN_OTHER, INSN_XOR, INSN_OR};
	unsigned size = 1u << bits(word, 31, 30), opc = bits(word, 14, 12);
	unsigned rt = rd_of(word), rs = rm_of(word);
	if (bit_of(word, 26))
		return false;
	if (bit_of(word, 15)) {
		if (opc == 4) { /* ldapr */
			access(insn, rn_of(word), 0, size, true);
			transfer(insn, rt, (uint16_t)size, size == 8 ? 8 : 4, true);
			return rs == 31;
		}
		if (opc == 5 || (opc >= 1 && opc <= 3))
			return block_of_64(word, opc == 5, insn);
		if (opc != 0)
			return false;
	}
	struct insn_mem *mem = access(insn, rn_of(word), 0, size, true);
	mem->write = true;
	insn->atomic = true;
	insn->reads |= data_reg(rs);
	insn->writes |= data_reg(rt);
	insn->op = bit_of(word, 15) ? INSN_EXCHANGE : opc < 4 ? ops[opc] : INSN_OTHER;
	if (insn->op == INSN_OTHER)
		return true;
	insn->dst = mem_operand((uint16_t)size);
	insn->src[0] = insn->op == INSN_EXCHANGE ? reg_operand(rs, (uint16_t)size) : insn->dst;
	if (insn->op != INSN_EXCHANGE)
		insn->src[1] = reg_operand(rs, (uint16_t)size);
	return true;
}

/* ldraa, ldrab: bit 21 is 1, bit 10 is 1 */
static bool authenticated(uint32_t word, struct insn *insn)
{
	if (bits(word, 31, 30) != 3 || bit_of(word, 26))
		return false;
	int64_t disp = sign_extend(bits(word, 22, 22) << 9 | bits(word, 20, 12), 10) * 8;
	access(insn, rn_of(word), disp, 8, true);
	transfer(insn, rd_of(word), 8, 8, true);
	if (bit_of(word, 11))
		insn->writes |= address_reg(rn_of(word));
	return true;
}

/* memory copy and set (FEAT_MOPS): bits 29 to 24 are 011001, 21 is 0, 11 and 10 are 01 */
static bool copy_or_set(uint32_t word, struct insn *insn)
{
	unsigned rd = rd_of(word), rn = rn_of(word), rs = rm_of(word);
	if (bits(word, 31, 30) != 0)
		return false;
	bool set = bits(word, 23, 22) == 3;
	access(insn, rd, 0, 0, false)->repeated = true;
	if (!set)
		access(insn, rs, 0, 0, true)->repeated = true;
	insn->reads |= data_reg(rn) | data_reg(rs);
	insn->writes |= data_reg(rn) | data_reg(rd) | (set ? 0 : data_reg(rs));
	insn->sets_flags = true;
	return rd != ZR && (set || rs != ZR);
}

/* memory tags: bits 31 to 24 are 11011001, 21 is 1; only stzg and stz2g write data */
static bool tags(uint32_t word, struct insn *insn)
{
	unsigned opc = bits(word, 23, 22), mode = bits(word, 11, 10), rn = rn_of(word);
	int64_t disp = sign_extend(bits(word, 20, 12), 9) * 16;
	insn->reads = address_reg(rn);
	if (mode == 0) { /* stzgm, ldg, stgm, ldgm */
		if (opc == 1)
			insn->reads |= data_reg(rd_of(word));
		*(opc & 1 ? &insn->writes : &insn->reads) |= data_reg(rd_of(word));
		return true;
	}
	insn->reads |= address_reg(rd_of(word));
	if (opc & 1)
		access(insn, rn, mode == 1 ? 0 : disp, opc == 1 ? 16 : 32, false);
	if (mode & 1)
		insn->writes |= address_reg(rn);
	return true;
}

/* ld1 to ld4, st1 to st4: bits 31 and 29 to 26 are 0 0011, 25 is 0 */
static bool structures(uint32_t word, struct insn *insn)
{
	static const uint8_t registers[16] = {4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2};
	bool single = bit_of(word, 24), post = bit_of(word, 23), load = bit_of(word, 22);
	unsigned rn = rn_of(word), rm = rm_of(word), size;
	if (bit_of(word, 31) || (!single && bit_of(word, 21)) || (!post && (rm & 31) != 0))
		return false;
	if (single) {
		unsigned opcode = bits(word, 15, 13), width = bits(word, 11, 10);
		unsigned element = 1u << (opcode >> 1);
		if (opcode >> 1 == 2 && width == 1)
			element = 8;
		if (opcode >> 1 == 3) {
			if (!load)
				return false;
			element = 1u << width;
		}
		size = element * (((opcode & 1) << 1 | bits(word, 21, 21)) + 1);
	} else {
		size = registers[bits(word, 15, 12)] * (bit_of(word, 30) ? 16u : 8u);
	}
	if (size == 0)
		return false;
	access(insn, rn, 0, size, load);
	if (post) {
		insn->reads |= data_reg(rm);
		insn->writes |= address_reg(rn);
	}
	return true;
}

bool arm64_loads_and_stores(uint32_t word, struct insn *insn)
{
	bool vector = bit_of(word, 26), bit21 = bit_of(word, 21);
	unsigned low = bits(word, 11, 10);
	switch (bits(word, 29, 28)) {
	case 0:
		if (vector)
			return structures(word, insn);
		return !bit_of(word, 24) && exclusive(word, insn);
	case 1:
		if (!bit_of(word, 24))
			return literal(word, insn);
		if (vector)
			return false;
		if (bits(word, 31, 30) == 3 && bit21)
			return tags(word, insn);
		if (bit21)
			return false;
		if (low == 0) /* ldapur, stlur */
			return signed_offset(word, insn);
		return low == 1 && copy_or_set(word, insn);
	case 2:
		return pair(word, insn);
	default:
		if (bit_of(word, 24))
			return unsigned_offset(word, insn);
		if (!bit21)
			return signed_offset(word, insn);
		if (low == 0)
			return atomic(word, insn);
		return low == 2 ? register_offset(word, insn) : authenticated(word, insn);
	}
}
