#include "probe/emit.h"

#include <string.h>

/* DWARF's order of the first eight registers is not the machine's. */
static unsigned machine_number(unsigned reg)
{
	static const uint8_t numbers[] = {0, 2, 1, 3, 6, 7, 5, 4};
	return reg < 8 ? numbers[reg] : reg;
}

void emit_bytes(struct emit *e, const void *p, size_t n)
{
	if (e->failed || n > e->cap - e->len) {
		e->failed = true;
		return;
	}
	memcpy(e->buf + e->len, p, n);
	e->len += n;
}

static void emit_byte(struct emit *e, unsigned byte)
{
	uint8_t b = (uint8_t)byte;
	emit_bytes(e, &b, 1);
}

static void emit_u32(struct emit *e, uint32_t value)
{
	emit_bytes(e, &value, 4);
}

/* REX: W, and the high bits of the register and the base; left out where it would say nothing. */
static void emit_rex(struct emit *e, bool wide, unsigned reg, unsigned base)
{
	unsigned rex = 0x40 | (wide ? 8 : 0) | (reg >= 8 ? 4 : 0) | (base >= 8 ? 1 : 0);
	if (rex != 0x40)
		emit_byte(e, rex);
}

static void emit_opcode(struct emit *e, unsigned opcode)
{
	if (opcode >= 0x100)
		emit_byte(e, opcode >> 8);
	emit_byte(e, opcode & 0xff);
}

/* opcode reg, [base + disp32]; reg is a machine number (or an extension of the opcode). */
static void emit_mem(struct emit *e, bool wide, unsigned opcode, unsigned reg, unsigned base,
		     int32_t disp)
{
	unsigned b = machine_number(base);
	emit_rex(e, wide, reg, b);
	emit_opcode(e, opcode);
	emit_byte(e, 0x80 | (reg & 7) << 3 | (b & 7));
	if ((b & 7) == 4)
		emit_byte(e, 0x24);
	emit_u32(e, (uint32_t)disp);
}

static void emit_distance(struct emit *e, uint64_t addr, unsigned behind)
{
	int64_t distance = (int64_t)(addr - (emit_here(e) + 4 + behind));
	if (distance != (int32_t)distance)
		e->failed = true;
	emit_u32(e, (uint32_t)distance);
}

/* opcode reg, [addr]; behind: bytes of the instruction that follow the displacement. */
static void emit_at(struct emit *e, bool wide, unsigned opcode, unsigned reg, uint64_t addr,
		    unsigned behind)
{
	emit_rex(e, wide, reg, 0);
	emit_opcode(e, opcode);
	emit_byte(e, 0x05 | (reg & 7) << 3);
	emit_distance(e, addr, behind);
}

/* opcode rm, reg: both registers. */
static void emit_regs(struct emit *e, bool wide, unsigned opcode, unsigned reg, unsigned rm)
{
	emit_rex(e, wide, reg, rm);
	emit_opcode(e, opcode);
	emit_byte(e, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void emit_push(struct emit *e, unsigned reg)
{
	unsigned r = machine_number(reg);
	emit_rex(e, false, 0, r);
	emit_byte(e, 0x50 | (r & 7));
}

void emit_pop(struct emit *e, unsigned reg)
{
	unsigned r = machine_number(reg);
	emit_rex(e, false, 0, r);
	emit_byte(e, 0x58 | (r & 7));
}

void emit_move(struct emit *e, unsigned to, unsigned from)
{
	emit_regs(e, true, 0x89, machine_number(from), machine_number(to));
}

void emit_move_imm32(struct emit *e, unsigned to, uint32_t value)
{
	unsigned r = machine_number(to);
	emit_rex(e, false, 0, r);
	emit_byte(e, 0xb8 | (r & 7));
	emit_u32(e, value);
}

void emit_load(struct emit *e, unsigned to, unsigned base, int32_t disp)
{
	emit_mem(e, true, 0x8b, machine_number(to), base, disp);
}

void emit_store(struct emit *e, unsigned base, int32_t disp, unsigned from)
{
	emit_mem(e, true, 0x89, machine_number(from), base, disp);
}

void emit_store32_imm(struct emit *e, unsigned base, int32_t disp, uint32_t value)
{
	emit_mem(e, false, 0xc7, 0, base, disp);
	emit_u32(e, value);
}

void emit_store_imm(struct emit *e, unsigned base, int32_t disp, int32_t value)
{
	emit_mem(e, true, 0xc7, 0, base, disp);
	emit_u32(e, (uint32_t)value);
}

void emit_lea(struct emit *e, unsigned to, unsigned base, int32_t disp)
{
	emit_mem(e, true, 0x8d, machine_number(to), base, disp);
}

void emit_lea_at(struct emit *e, unsigned to, uint64_t addr)
{
	emit_at(e, true, 0x8d, machine_number(to), addr, 0);
}

void emit_load_at(struct emit *e, unsigned to, uint64_t addr)
{
	emit_at(e, true, 0x8b, machine_number(to), addr, 0);
}

void emit_store_at(struct emit *e, uint64_t addr, unsigned from)
{
	emit_at(e, true, 0x89, machine_number(from), addr, 0);
}

void emit_store32_imm_at(struct emit *e, uint64_t addr, uint32_t value)
{
	emit_at(e, false, 0xc7, 0, addr, 4);
	emit_u32(e, value);
}

void emit_add(struct emit *e, unsigned to, unsigned from)
{
	emit_regs(e, true, 0x01, machine_number(from), machine_number(to));
}

void emit_add_imm(struct emit *e, unsigned to, int32_t value)
{
	emit_regs(e, true, 0x81, 0, machine_number(to));
	emit_u32(e, (uint32_t)value);
}

void emit_or(struct emit *e, unsigned to, unsigned from)
{
	emit_regs(e, true, 0x09, machine_number(from), machine_number(to));
}

void emit_test32(struct emit *e, unsigned reg)
{
	emit_regs(e, false, 0x85, machine_number(reg), machine_number(reg));
}

void emit_test32_imm(struct emit *e, unsigned reg, uint32_t mask)
{
	emit_regs(e, false, 0xf7, 0, machine_number(reg));
	emit_u32(e, mask);
}

void emit_zero(struct emit *e, unsigned reg)
{
	emit_regs(e, false, 0x31, machine_number(reg), machine_number(reg));
}

void emit_dec32(struct emit *e, unsigned reg)
{
	emit_regs(e, false, 0xff, 1, machine_number(reg));
}

void emit_imul32(struct emit *e, unsigned to, unsigned from, uint32_t factor)
{
	emit_regs(e, false, 0x69, machine_number(to), machine_number(from));
	emit_u32(e, factor);
}

void emit_shl(struct emit *e, unsigned reg, unsigned bits)
{
	emit_regs(e, true, 0xc1, 4, machine_number(reg));
	emit_byte(e, bits);
}

void emit_shr32(struct emit *e, unsigned reg, unsigned bits)
{
	emit_regs(e, false, 0xc1, 5, machine_number(reg));
	emit_byte(e, bits);
}

void emit_cmp_reg(struct emit *e, unsigned a, unsigned b)
{
	emit_regs(e, true, 0x39, machine_number(b), machine_number(a));
}

void emit_cmp_load(struct emit *e, unsigned reg, unsigned base, int32_t disp)
{
	emit_mem(e, true, 0x3b, machine_number(reg), base, disp);
}

void emit_cmp_mem(struct emit *e, unsigned base, int32_t disp, unsigned reg)
{
	emit_mem(e, true, 0x39, machine_number(reg), base, disp);
}

void emit_cmp_mem_imm(struct emit *e, unsigned base, int32_t disp, int8_t value)
{
	emit_mem(e, true, 0x83, 7, base, disp);
	emit_byte(e, (uint8_t)value);
}

void emit_test8_mem_imm(struct emit *e, unsigned base, int32_t disp, uint8_t mask)
{
	emit_mem(e, false, 0xf6, 0, base, disp);
	emit_byte(e, mask);
}

void emit_cmp32_mem_imm(struct emit *e, unsigned base, int32_t disp, int8_t value)
{
	emit_mem(e, false, 0x83, 7, base, disp);
	emit_byte(e, (uint8_t)value);
}

void emit_cmp_load_at(struct emit *e, unsigned reg, uint64_t addr)
{
	emit_at(e, true, 0x3b, machine_number(reg), addr, 0);
}

void emit_cmp_at_imm(struct emit *e, uint64_t addr, int8_t value)
{
	emit_at(e, true, 0x83, 7, addr, 1);
	emit_byte(e, (uint8_t)value);
}

void emit_cmp32_at_imm(struct emit *e, uint64_t addr, int8_t value)
{
	emit_at(e, false, 0x83, 7, addr, 1);
	emit_byte(e, (uint8_t)value);
}

void emit_cmp32_imm(struct emit *e, unsigned reg, int8_t value)
{
	emit_regs(e, false, 0x83, 7, machine_number(reg));
	emit_byte(e, (uint8_t)value);
}

static void emit_lock(struct emit *e)
{
	emit_byte(e, 0xf0);
}

void emit_lock_cmpxchg(struct emit *e, unsigned base, int32_t disp, unsigned reg)
{
	emit_lock(e);
	emit_mem(e, true, 0x0fb1, machine_number(reg), base, disp);
}

void emit_lock_cmpxchg32_at(struct emit *e, uint64_t addr, unsigned reg)
{
	emit_lock(e);
	emit_at(e, false, 0x0fb1, machine_number(reg), addr, 0);
}

/* A store and a load at once, locked also without the prefix: Intel SDM volume 2, XCHG. */
void emit_xchg32_at(struct emit *e, uint64_t addr, unsigned reg)
{
	emit_at(e, false, 0x87, machine_number(reg), addr, 0);
}

void emit_lock_inc32_at(struct emit *e, uint64_t addr)
{
	emit_lock(e);
	emit_at(e, false, 0xff, 0, addr, 0);
}

void emit_rdtsc_halves(struct emit *e)
{
	emit_bytes(e, "\x0f\x31", 2);
}

void emit_rdtsc(struct emit *e)
{
	emit_rdtsc_halves(e);
	emit_join_halves(e);
}

void emit_join_halves(struct emit *e)
{
	emit_shl(e, AMD64_RDX, 32);
	emit_or(e, AMD64_RAX, AMD64_RDX);
}

void emit_lfence(struct emit *e)
{
	emit_bytes(e, "\x0f\xae\xe8", 3);
}

void emit_fence(struct emit *e)
{
	/* lock or dword [rsp], 0: quicker than mfence */
	emit_bytes(e, "\xf0\x83\x0c\x24\x00", 5);
}

/* movq xmm, reg */
static void emit_move_to_xmm(struct emit *e, unsigned xmm, unsigned from)
{
	emit_byte(e, 0x66);
	emit_regs(e, true, 0x0f6e, xmm, machine_number(from));
}

void emit_store_pair(struct emit *e, unsigned base, unsigned first, unsigned second)
{
	emit_move_to_xmm(e, 0, first);
	emit_move_to_xmm(e, 1, second);
	emit_bytes(e, "\x66\x0f\x6c\xc1", 4); /* punpcklqdq xmm0, xmm1 */
	emit_mem(e, false, 0x0f29, 0, base, 0); /* movaps [base], xmm0 */
}

void emit_pause(struct emit *e)
{
	emit_bytes(e, "\xf3\x90", 2);
}

void emit_syscall(struct emit *e)
{
	emit_bytes(e, "\x0f\x05", 2);
}

void emit_pad(struct emit *e, unsigned of, unsigned behind)
{
	while (!e->failed && emit_here(e) % of != behind)
		emit_byte(e, 0xcc);
}

void emit_jump_to(struct emit *e, uint64_t addr)
{
	emit_byte(e, 0xe9);
	emit_distance(e, addr, 0);
}

size_t emit_jump(struct emit *e)
{
	emit_byte(e, 0xe9);
	emit_u32(e, 0);
	return e->len;
}

size_t emit_branch(struct emit *e, enum emit_cond cond)
{
	emit_byte(e, 0x0f);
	emit_byte(e, 0x80 | cond);
	emit_u32(e, 0);
	return e->len;
}

void emit_land(struct emit *e, size_t jump)
{
	uint32_t distance = (uint32_t)(e->len - jump);
	if (!e->failed)
		memcpy(e->buf + jump - 4, &distance, 4);
}

void emit_branch_back(struct emit *e, enum emit_cond cond, uint64_t addr)
{
	emit_byte(e, 0x0f);
	emit_byte(e, 0x80 | cond);
	emit_distance(e, addr, 0);
}
