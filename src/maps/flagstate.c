#include "maps/flagstate.h"

const struct flag_value flag_value_unknown = {.unknown = 0xff, .wide = true};

uint64_t flagstate_offset(const struct flag_header *h)
{
	/* runtime/map.go type hmap; internal/runtime/maps/map.go type Map */
	return h->design == MAP_SWISS ? 34 : 8;
}

static uint8_t stack_reg(const struct flag_header *h)
{
	return h->arch == ARCH_ARM64 ? ARM64_SP : AMD64_RSP;
}

/* Where paths meet. */

static struct flag_value value_join(struct flag_value a, struct flag_value b)
{
	struct flag_value v;
	v.unknown = a.unknown | b.unknown | (a.keep ^ b.keep) | (a.invert ^ b.invert);
	v.keep = a.keep & ~v.unknown;
	v.invert = a.invert & ~v.unknown;
	v.wide = a.wide || b.wide;
	v.flag_addr = a.flag_addr && b.flag_addr;
	return v;
}

static bool value_equal(struct flag_value a, struct flag_value b)
{
	return a.keep == b.keep && a.invert == b.invert && a.unknown == b.unknown &&
	       a.wide == b.wide && a.flag_addr == b.flag_addr;
}

static bool cond_equal(struct flag_cond a, struct flag_cond b)
{
	return a.kind == b.kind && a.test == b.test;
}

bool flagstate_join(struct flagstate *to, const struct flagstate *from)
{
	if (!to->reached) {
		*to = *from;
		to->reached = true;
		return true;
	}
	bool changed = (from->windows & ~to->windows) != 0;
	to->windows |= from->windows;
	if (to->cond.kind != COND_NOTHING && !cond_equal(to->cond, from->cond)) {
		to->cond = (struct flag_cond){0};
		changed = true;
	}
	for (unsigned i = 0; i < FLAGSTATE_REGS; i++) {
		struct flag_value joined = value_join(to->reg[i], from->reg[i]);
		if (!value_equal(joined, to->reg[i])) {
			to->reg[i] = joined;
			changed = true;
		}
	}
	return changed;
}

/* What an operand is. */

bool flagstate_is_flag(const struct flag_header *h, const struct flagstate *state,
		       const struct insn_mem *mem)
{
	if (mem->size != 1 || mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE)
		return false;
	if (mem->base >= FLAGSTATE_REGS || mem->base == stack_reg(h))
		return false;
	if ((uint64_t)mem->disp == flagstate_offset(h))
		return true;
	return mem->disp == 0 && state->reg[mem->base].flag_addr;
}

bool flagstate_operand_is_flag(const struct flag_header *h, const struct flagstate *state,
			       const struct insn *insn, const struct insn_operand *op)
{
	return op->kind == INSN_MEM && flagstate_is_flag(h, state, &insn->mem[op->mem]);
}

static struct flag_value value_const(int64_t imm)
{
	return (struct flag_value){.invert = (uint8_t)imm, .wide = (imm & ~0xffLL) != 0};
}

static struct flag_value value_of(const struct flag_header *h, const struct flagstate *state,
				  const struct insn *insn, const struct insn_operand *op)
{
	if (op->kind == INSN_IMM)
		return value_const(op->imm);
	if (op->kind == INSN_REG && op->reg < FLAGSTATE_REGS && !op->high)
		return state->reg[op->reg];
	if (flagstate_operand_is_flag(h, state, insn, op))
		return (struct flag_value){.keep = 0xff};
	return flag_value_unknown;
}

static bool is_const(struct flag_value v)
{
	return v.keep == 0 && v.unknown == 0;
}

static struct flag_value value_and(struct flag_value a, struct flag_value b)
{
	if (!is_const(b)) {
		struct flag_value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return flag_value_unknown;
	uint8_t mask = b.invert;
	return (struct flag_value){.keep = a.keep & mask,
				   .invert = a.invert & mask,
				   .unknown = a.unknown & mask,
				   .wide = a.wide && b.wide};
}

static struct flag_value value_or(struct flag_value a, struct flag_value b)
{
	if (!is_const(b)) {
		struct flag_value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return flag_value_unknown;
	uint8_t ones = b.invert;
	return (struct flag_value){.keep = a.keep & ~ones,
				   .invert = a.invert | ones,
				   .unknown = a.unknown & ~ones,
				   .wide = a.wide || b.wide};
}

static struct flag_value value_xor(struct flag_value a, struct flag_value b)
{
	if (!is_const(b)) {
		struct flag_value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return flag_value_unknown;
	return (struct flag_value){.keep = a.keep,
				   .invert = a.invert ^ (b.invert & ~a.unknown),
				   .unknown = a.unknown,
				   .wide = a.wide || b.wide};
}

/* The result of an operation of two operands. */
static struct flag_value value_computed(const struct flag_header *h, const struct flagstate *state,
					const struct insn *insn)
{
	struct flag_value a = value_of(h, state, insn, &insn->src[0]);
	struct flag_value b = value_of(h, state, insn, &insn->src[1]);
	bool same = insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_REG &&
		    insn->src[0].reg == insn->src[1].reg && !insn->src[0].high &&
		    !insn->src[1].high;
	switch (insn->op) {
	case INSN_AND:
		return value_and(a, b);
	case INSN_OR:
		return value_or(a, b);
	case INSN_XOR:
		/* a register with itself is how compilers write 0 */
		if (same)
			return (struct flag_value){.wide = insn->dst.size < 4};
		return value_xor(a, b);
	case INSN_SELECT:
		return value_join(a, b);
	case INSN_MOVE:
		if (insn->src[0].kind == INSN_MEM && insn->sign_extends)
			a.wide = true;
		/* movzx of a register's byte clears what is above it */
		if (insn->src[0].size == 1 && insn->dst.size > 1)
			a.wide = insn->sign_extends;
		return a;
	default:
		return flag_value_unknown;
	}
}

/* Whether a register holds, or a lea or an add computes, header + offset of the flag. */
static bool computes_flag_addr(const struct flag_header *h, const struct flagstate *state,
			       const struct insn *insn)
{
	if (insn->op == INSN_LEA && insn->src[0].kind == INSN_MEM) {
		const struct insn_mem *mem = &insn->mem[insn->src[0].mem];
		return (uint64_t)mem->disp == flagstate_offset(h) && mem->index == INSN_NO_REG &&
		       mem->base < FLAGSTATE_REGS && mem->base != stack_reg(h);
	}
	if (insn->op == INSN_ADD && insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_IMM)
		return (uint64_t)insn->src[1].imm == flagstate_offset(h) &&
		       insn->src[0].reg != stack_reg(h);
	if (insn->op == INSN_MOVE && insn->src[0].kind == INSN_REG &&
	    insn->src[0].reg < FLAGSTATE_REGS)
		return insn->dst.size == 8 && state->reg[insn->src[0].reg].flag_addr;
	return false;
}

/* What the flags say after a test of value v under mask, or of v against constant. */
static enum flag_cond_kind cond_of(const struct flag_header *h, struct flag_value v)
{
	if (v.unknown || v.wide || v.keep == 0)
		return COND_NOTHING;
	if (h->design == MAP_SWISS) {
		/* go1.24 internal/runtime/maps: the whole byte is the flag, 0 or 1 */
		if (v.invert == 0 && (v.keep & 1))
			return COND_ZERO_IS_CLEAR;
		if (v.keep == 1 && v.invert == 1)
			return COND_ZERO_IS_SET;
		return COND_NOTHING;
	}
	if (v.keep != HMAP_WRITING)
		return COND_NOTHING;
	if (v.invert == 0)
		return COND_ZERO_IS_CLEAR;
	return v.invert == HMAP_WRITING ? COND_ZERO_IS_SET : COND_NOTHING;
}

enum flag_cond_kind flagstate_cond(const struct flag_header *h, const struct flagstate *state,
				   const struct insn *insn)
{
	struct flag_value a = value_of(h, state, insn, &insn->src[0]);
	struct flag_value b = value_of(h, state, insn, &insn->src[1]);
	struct flag_value v;
	bool same = insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_REG &&
		    insn->src[0].reg == insn->src[1].reg;
	switch (insn->op) {
	case INSN_TEST:
		v = same ? a : value_and(a, b);
		break;
	case INSN_AND:
		v = value_and(a, b);
		break;
	case INSN_COMPARE:
		/* a - c is zero when a XOR c is */
		if (!is_const(b))
			return COND_NOTHING;
		v = value_xor(a, b);
		break;
	case INSN_BIT_TEST:
		if (h->design == MAP_SWISS || !is_const(b) || b.invert != 2 ||
		    !(a.keep & HMAP_WRITING) || (a.invert & HMAP_WRITING))
			return COND_NOTHING;
		return COND_CARRY_IS_SET;
	default:
		return COND_NOTHING;
	}
	if (insn->src[0].size == 1)
		v.wide = false;
	return cond_of(h, v);
}

/* The bit of the flag byte that says "writing": Go toggles bit 0 of a Swiss map's. */
static uint8_t writing_bit(const struct flag_header *h)
{
	return h->design == MAP_SWISS ? 1 : HMAP_WRITING;
}

enum flag_site_kind flagstate_store_kind(const struct flag_header *h, struct flag_value v)
{
	uint8_t writing = writing_bit(h);
	if (v.unknown & writing)
		return FLAG_OTHER;
	if (v.keep & writing)
		return v.invert & writing ? FLAG_TOGGLE : FLAG_OTHER;
	return v.invert & writing ? FLAG_SET : FLAG_CLEAR;
}

/* The windows after a store of v to the flag. */
static uint8_t windows_after_store(const struct flag_header *h, uint8_t windows,
				   struct flag_value v)
{
	uint8_t fatal = windows & WINDOW_FATAL;
	switch (flagstate_store_kind(h, v)) {
	case FLAG_SET:
		return WINDOW_INSIDE | fatal;
	case FLAG_CLEAR:
		/* a function that clears what it never set leaves the flag clear all the same */
		return WINDOW_AFTER | fatal;
	case FLAG_TOGGLE:
		return ((windows & (WINDOW_BEFORE | WINDOW_AFTER)) ? WINDOW_INSIDE : 0) |
		       ((windows & WINDOW_INSIDE) ? WINDOW_AFTER : 0) | fatal;
	default:
		return v.unknown & writing_bit(h) ? WINDOW_ANY : windows;
	}
}

const struct insn_mem *flagstate_store(const struct flag_header *h, const struct flagstate *state,
				       const struct insn *insn)
{
	for (unsigned i = 0; i < insn->mem_count; i++) {
		if (insn->mem[i].write && flagstate_is_flag(h, state, &insn->mem[i]))
			return &insn->mem[i];
	}
	return NULL;
}

struct flag_value flagstate_stored(const struct flag_header *h, const struct flagstate *state,
				   const struct insn *insn)
{
	if (insn->dst.kind != INSN_MEM || insn->op == INSN_EXCHANGE)
		return flag_value_unknown;
	return value_computed(h, state, insn);
}

void flagstate_step(const struct flag_header *h, const struct insn *insn, struct flagstate *state)
{
	struct flagstate before = *state;
	const struct insn_mem *store = flagstate_store(h, &before, insn);
	if (store) {
		struct flag_value v = flagstate_stored(h, &before, insn);
		state->windows = windows_after_store(h, before.windows, v);
		/* what was loaded earlier is not what is in the flag now */
		for (unsigned i = 0; i < FLAGSTATE_REGS; i++) {
			if (state->reg[i].keep)
				state->reg[i] = flag_value_unknown;
		}
		state->cond = (struct flag_cond){0};
	}
	if (insn->sets_flags) {
		state->cond = (struct flag_cond){.kind = flagstate_cond(h, &before, insn)};
		if (state->cond.kind != COND_NOTHING)
			state->cond.test = insn->addr;
	}
	for (unsigned i = 0; i < FLAGSTATE_REGS; i++) {
		if (insn->writes & (1ULL << i))
			state->reg[i] = flag_value_unknown;
	}
	if (insn->dst.kind == INSN_REG && insn->dst.reg < FLAGSTATE_REGS && !insn->dst.high) {
		struct flag_value v = value_computed(h, &before, insn);
		/* a shorter write keeps the bits above it */
		if (insn->dst.size == 1)
			v.wide = before.reg[insn->dst.reg].wide;
		else if (insn->dst.size == 2)
			v.wide = v.wide || before.reg[insn->dst.reg].wide;
		v.flag_addr = computes_flag_addr(h, &before, insn);
		state->reg[insn->dst.reg] = v;
	}
	if (insn->flow == INSN_CALL) {
		/* Go's ABIInternal has no registers that a callee keeps, and other goroutines may
		 * have changed the flag */
		for (unsigned i = 0; i < FLAGSTATE_REGS; i++)
			state->reg[i] = flag_value_unknown;
		state->cond = (struct flag_cond){0};
	}
}
