#include "maps/flagsites.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "insn/insn.h"

/*
 * How it works. The function's code is decoded along its control flow. Before each instruction stands
 * an abstract state: for each register, what is known of its low byte in terms of the flag byte; what
 * the condition flags say about the flag; and the set of window states that some path arrives with.
 * States flow along the edges until nothing changes; where paths meet, only what they agree on is kept,
 * and the window states are united. Then each instruction is looked at once more with its final state,
 * and the sites are written down.
 *
 * Limits. A flag byte that is kept across a call or spilled to the stack is not followed (no compiler
 * of Go does that: the byte is volatile to it across calls, and no local variable holds it). A store
 * through a pointer that is neither the header nor header + offset is not seen as a store to the flag.
 */

enum { REGS = 32 };

/* What is known of a byte, bit by bit: flag bits that are kept, each then inverted if its invert bit
 * is set; constant bits, whose value is in invert; unknown ones. All zero: the constant 0. */
struct value {
	uint8_t keep;
	uint8_t invert;
	uint8_t unknown;
	bool wide; /* bits above the byte may be other than zero */
	bool flag_addr; /* the register holds the address of a flag byte */
};

static const struct value value_unknown = {.unknown = 0xff, .wide = true};

/* What the condition flags hold. */
enum cond_kind {
	COND_NOTHING,
	COND_ZERO_IS_CLEAR, /* zero: the flag was clear */
	COND_ZERO_IS_SET,
	COND_CARRY_IS_SET,
};

struct cond {
	uint8_t kind; /* enum cond_kind */
	uint32_t test; /* offset of the testing instruction */
};

enum { AT_NOTHING = -1, AT_INTERIOR = -2 };

enum { BEFORE = 1, INSIDE = 2, AFTER = 4, FATAL = 8, ANY = 15 };

struct state {
	bool reached;
	uint8_t windows; /* BEFORE, INSIDE, ...: some path comes with it */
	struct cond cond;
	struct value reg[REGS];
};

/* One decoded instruction and the state before it. */
struct step {
	struct insn insn;
	struct state state;
	bool queued;
	bool entered; /* some jump or branch leads here */
};

struct finder {
	enum arch arch;
	enum map_design design;
	const uint8_t *code;
	size_t size;
	uint64_t start;
	enum flag_callee (*callee)(void *context, uint64_t addr);
	void *context;

	int32_t *at; /* by offset: index in steps of the instruction there, or AT_... */
	struct step *steps;
	size_t step_count, step_cap;
	uint32_t *queue;
	size_t queue_count, queue_cap;
	bool complete;
	bool nomem;

	struct flag_site *sites;
	size_t site_count, site_cap;
};

/* From a failed check to its call of fatal: two or three instructions that load the message; more
 * where -N stores it first. */
enum { FATAL_PATH_MAX = 32 };

/* A step's state can only lose knowledge: each register's byte at most 8 + 2 times, each window state
 * and the condition once. In real functions the mean is under 3 visits; more than this many per
 * instruction is a function made to be slow. */
enum { VISITS_PER_STEP = 64 };

static uint64_t flag_offset(const struct finder *f)
{
	/* runtime/map.go type hmap; internal/runtime/maps/map.go type Map */
	return f->design == MAP_SWISS ? 34 : 8;
}

static uint8_t stack_reg(const struct finder *f)
{
	return f->arch == ARCH_ARM64 ? ARM64_SP : AMD64_RSP;
}

/* Where paths meet. */

static struct value value_join(struct value a, struct value b)
{
	struct value v;
	v.unknown = a.unknown | b.unknown | (a.keep ^ b.keep) | (a.invert ^ b.invert);
	v.keep = a.keep & ~v.unknown;
	v.invert = a.invert & ~v.unknown;
	v.wide = a.wide || b.wide;
	v.flag_addr = a.flag_addr && b.flag_addr;
	return v;
}

static bool value_equal(struct value a, struct value b)
{
	return a.keep == b.keep && a.invert == b.invert && a.unknown == b.unknown &&
	       a.wide == b.wide && a.flag_addr == b.flag_addr;
}

static bool cond_equal(struct cond a, struct cond b)
{
	return a.kind == b.kind && a.test == b.test;
}

/* Joins from into to; true when to changed. */
static bool state_join(struct state *to, const struct state *from)
{
	if (!to->reached) {
		*to = *from;
		to->reached = true;
		return true;
	}
	bool changed = (from->windows & ~to->windows) != 0;
	to->windows |= from->windows;
	if (to->cond.kind != COND_NOTHING && !cond_equal(to->cond, from->cond)) {
		to->cond = (struct cond){0};
		changed = true;
	}
	for (unsigned i = 0; i < REGS; i++) {
		struct value joined = value_join(to->reg[i], from->reg[i]);
		if (!value_equal(joined, to->reg[i])) {
			to->reg[i] = joined;
			changed = true;
		}
	}
	return changed;
}

/* What an operand is. */

static bool mem_is_flag(const struct finder *f, const struct state *state,
			const struct insn_mem *mem)
{
	if (mem->size != 1 || mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE)
		return false;
	if (mem->base >= REGS || mem->base == stack_reg(f))
		return false;
	if ((uint64_t)mem->disp == flag_offset(f))
		return true;
	return mem->disp == 0 && state->reg[mem->base].flag_addr;
}

static bool operand_is_flag(const struct finder *f, const struct state *state,
			    const struct insn *insn, const struct insn_operand *op)
{
	return op->kind == INSN_MEM && mem_is_flag(f, state, &insn->mem[op->mem]);
}

static struct value value_const(int64_t imm)
{
	return (struct value){.invert = (uint8_t)imm, .wide = (imm & ~0xffLL) != 0};
}

static struct value value_of(const struct finder *f, const struct state *state,
			     const struct insn *insn, const struct insn_operand *op)
{
	if (op->kind == INSN_IMM)
		return value_const(op->imm);
	if (op->kind == INSN_REG && op->reg < REGS && !op->high)
		return state->reg[op->reg];
	if (operand_is_flag(f, state, insn, op))
		return (struct value){.keep = 0xff};
	return value_unknown;
}

static bool is_const(struct value v)
{
	return v.keep == 0 && v.unknown == 0;
}

static struct value value_and(struct value a, struct value b)
{
	if (!is_const(b)) {
		struct value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return value_unknown;
	uint8_t mask = b.invert;
	return (struct value){.keep = a.keep & mask,
			      .invert = a.invert & mask,
			      .unknown = a.unknown & mask,
			      .wide = a.wide && b.wide};
}

static struct value value_or(struct value a, struct value b)
{
	if (!is_const(b)) {
		struct value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return value_unknown;
	uint8_t ones = b.invert;
	return (struct value){.keep = a.keep & ~ones,
			      .invert = a.invert | ones,
			      .unknown = a.unknown & ~ones,
			      .wide = a.wide || b.wide};
}

static struct value value_xor(struct value a, struct value b)
{
	if (!is_const(b)) {
		struct value swap = a;
		a = b;
		b = swap;
	}
	if (!is_const(b))
		return value_unknown;
	return (struct value){.keep = a.keep,
			      .invert = a.invert ^ (b.invert & ~a.unknown),
			      .unknown = a.unknown,
			      .wide = a.wide || b.wide};
}

/* The result of an operation of two operands. */
static struct value value_computed(const struct finder *f, const struct state *state,
				   const struct insn *insn)
{
	struct value a = value_of(f, state, insn, &insn->src[0]);
	struct value b = value_of(f, state, insn, &insn->src[1]);
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
			return (struct value){.wide = insn->dst.size < 4};
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
		return value_unknown;
	}
}

/* Whether a register holds, or a lea or an add computes, header + offset of the flag. */
static bool computes_flag_addr(const struct finder *f, const struct state *state,
			       const struct insn *insn)
{
	if (insn->op == INSN_LEA && insn->src[0].kind == INSN_MEM) {
		const struct insn_mem *mem = &insn->mem[insn->src[0].mem];
		return (uint64_t)mem->disp == flag_offset(f) && mem->index == INSN_NO_REG &&
		       mem->base < REGS && mem->base != stack_reg(f);
	}
	if (insn->op == INSN_ADD && insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_IMM)
		return (uint64_t)insn->src[1].imm == flag_offset(f) &&
		       insn->src[0].reg != stack_reg(f);
	if (insn->op == INSN_MOVE && insn->src[0].kind == INSN_REG && insn->src[0].reg < REGS)
		return insn->dst.size == 8 && state->reg[insn->src[0].reg].flag_addr;
	return false;
}

/* What the flags say after a test of value v under mask, or of v against constant. */
static enum cond_kind cond_of(const struct finder *f, struct value v)
{
	if (v.unknown || v.wide || v.keep == 0)
		return COND_NOTHING;
	if (f->design == MAP_SWISS) {
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

/* The condition that a COMPARE, TEST, BIT_TEST or a flag-setting AND leaves. */
static enum cond_kind cond_computed(const struct finder *f, const struct state *state,
				    const struct insn *insn)
{
	struct value a = value_of(f, state, insn, &insn->src[0]);
	struct value b = value_of(f, state, insn, &insn->src[1]);
	struct value v;
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
		if (f->design == MAP_SWISS || !is_const(b) || b.invert != 2 ||
		    !(a.keep & HMAP_WRITING) || (a.invert & HMAP_WRITING))
			return COND_NOTHING;
		return COND_CARRY_IS_SET;
	default:
		return COND_NOTHING;
	}
	if (insn->src[0].size == 1)
		v.wide = false;
	return cond_of(f, v);
}

/* The bit of the flag byte that says "writing": Go toggles bit 0 of a Swiss map's. */
static uint8_t writing_bit(const struct finder *f)
{
	return f->design == MAP_SWISS ? 1 : HMAP_WRITING;
}

/* What a store of v does to the flag. */
static enum flag_site_kind store_kind(const struct finder *f, struct value v)
{
	uint8_t writing = writing_bit(f);
	if (v.unknown & writing)
		return FLAG_OTHER;
	if (v.keep & writing)
		return v.invert & writing ? FLAG_TOGGLE : FLAG_OTHER;
	return v.invert & writing ? FLAG_SET : FLAG_CLEAR;
}

/* The windows after a store of v to the flag. */
static uint8_t windows_after_store(const struct finder *f, uint8_t windows, struct value v)
{
	uint8_t fatal = windows & FATAL;
	switch (store_kind(f, v)) {
	case FLAG_SET:
		return INSIDE | fatal;
	case FLAG_CLEAR:
		/* a function that clears what it never set leaves the flag clear all the same */
		return AFTER | fatal;
	case FLAG_TOGGLE:
		return ((windows & (BEFORE | AFTER)) ? INSIDE : 0) |
		       ((windows & INSIDE) ? AFTER : 0) | fatal;
	default:
		return v.unknown & writing_bit(f) ? ANY : windows;
	}
}

/* The memory operand of a store to the flag byte, or NULL. */
static const struct insn_mem *flag_store(const struct finder *f, const struct state *state,
					 const struct insn *insn)
{
	for (unsigned i = 0; i < insn->mem_count; i++) {
		if (insn->mem[i].write && mem_is_flag(f, state, &insn->mem[i]))
			return &insn->mem[i];
	}
	return NULL;
}

/* What is stored: the result of the operation, as far as it is one that we follow. */
static struct value stored_value(const struct finder *f, const struct state *state,
				 const struct insn *insn)
{
	if (insn->dst.kind != INSN_MEM || insn->op == INSN_EXCHANGE)
		return value_unknown;
	return value_computed(f, state, insn);
}

/* The state after the instruction, on all its ways out. */
static void step_over(const struct finder *f, const struct insn *insn, struct state *state)
{
	struct state before = *state;
	const struct insn_mem *store = flag_store(f, &before, insn);
	if (store) {
		struct value v = stored_value(f, &before, insn);
		state->windows = windows_after_store(f, before.windows, v);
		/* what was loaded earlier is not what is in the flag now */
		for (unsigned i = 0; i < REGS; i++) {
			if (state->reg[i].keep)
				state->reg[i] = value_unknown;
		}
		state->cond = (struct cond){0};
	}
	if (insn->sets_flags) {
		state->cond = (struct cond){.kind = cond_computed(f, &before, insn)};
		if (state->cond.kind != COND_NOTHING)
			state->cond.test = (uint32_t)(insn->addr - f->start);
	}
	for (unsigned i = 0; i < REGS; i++) {
		if (insn->writes & (1ULL << i))
			state->reg[i] = value_unknown;
	}
	if (insn->dst.kind == INSN_REG && insn->dst.reg < REGS && !insn->dst.high) {
		struct value v = value_computed(f, &before, insn);
		/* a shorter write keeps the bits above it */
		if (insn->dst.size == 1)
			v.wide = before.reg[insn->dst.reg].wide;
		else if (insn->dst.size == 2)
			v.wide = v.wide || before.reg[insn->dst.reg].wide;
		v.flag_addr = computes_flag_addr(f, &before, insn);
		state->reg[insn->dst.reg] = v;
	}
	if (insn->flow == INSN_CALL) {
		/* Go's ABIInternal has no registers that a callee keeps, and other goroutines may
		 * have changed the flag */
		for (unsigned i = 0; i < REGS; i++)
			state->reg[i] = value_unknown;
		state->cond = (struct cond){0};
	}
}

/* Following the control flow. */

/* The step at offset, decoded at the first call; NULL when it does not decode there, or when it would
 * overlap another: then the code is not what it seems. */
static struct step *step_at(struct finder *f, uint64_t offset)
{
	if (offset >= f->size || f->at[offset] == AT_INTERIOR)
		return NULL;
	if (f->at[offset] >= 0)
		return &f->steps[f->at[offset]];
	struct step step = {0};
	if (!insn_decode(f->arch, f->code + offset, f->size - offset, f->start + offset,
			 &step.insn))
		return NULL;
	for (unsigned i = 1; i < step.insn.length; i++) {
		if (f->at[offset + i] != AT_NOTHING)
			return NULL;
	}
	if (!ARRAY_PUSH(f->steps, f->step_count, f->step_cap, step)) {
		f->nomem = true;
		return NULL;
	}
	f->at[offset] = (int32_t)(f->step_count - 1);
	for (unsigned i = 1; i < step.insn.length; i++)
		f->at[offset + i] = AT_INTERIOR;
	return &f->steps[f->step_count - 1];
}

static bool is_inside(const struct finder *f, uint64_t addr)
{
	return addr >= f->start && addr - f->start < f->size;
}

static enum flag_callee callee_of(const struct finder *f, const struct insn *insn)
{
	if (insn->flow != INSN_CALL || !insn->has_target || !f->callee)
		return FLAG_CALLEE_OTHER;
	return f->callee(f->context, insn->target);
}

/* The address of the call of fatal or throw that the code at addr leads to without another branch, or
 * 0. */
static uint64_t fatal_path(struct finder *f, uint64_t addr)
{
	for (unsigned i = 0; i < FATAL_PATH_MAX && is_inside(f, addr); i++) {
		const struct step *step = step_at(f, addr - f->start);
		if (!step)
			return 0;
		enum flag_callee callee = callee_of(f, &step->insn);
		if (callee == FLAG_CALLEE_FATAL || callee == FLAG_CALLEE_THROW)
			return addr;
		if (step->insn.flow == INSN_NEXT)
			addr += step->insn.length;
		else if (step->insn.flow == INSN_JUMP && step->insn.has_target)
			addr = step->insn.target;
		else
			return 0;
	}
	return 0;
}

/* Brings a state to the instruction at addr; what lies outside the function ends the path. */
static bool arrive(struct finder *f, uint64_t addr, const struct state *state, bool by_jump)
{
	if (!is_inside(f, addr)) {
		/* a tail call leaves by a jump; falling off the end means that this is not the
		 * whole function */
		if (!by_jump)
			f->complete = false;
		return true;
	}
	struct step *step = step_at(f, addr - f->start);
	if (!step) {
		f->complete = false;
		return !f->nomem;
	}
	step->entered |= by_jump;
	if (!state_join(&step->state, state) || step->queued)
		return true;
	step->queued = true;
	return ARRAY_PUSH(f->queue, f->queue_count, f->queue_cap, (uint32_t)(step - f->steps));
}

/* As arrive, for one side of a branch. */
static bool arrive_branched(struct finder *f, uint64_t addr, const struct state *state,
			    bool by_jump)
{
	struct state side = *state;
	if (fatal_path(f, addr))
		side.windows = FATAL;
	return !f->nomem && arrive(f, addr, &side, by_jump);
}

/* Carries the state of one step to those that can follow; false when memory is out. */
static bool step_out(struct finder *f, uint32_t index)
{
	/* copies: arriving may move the steps */
	struct insn insn = f->steps[index].insn;
	struct state state = f->steps[index].state;
	step_over(f, &insn, &state);
	uint64_t next = insn.addr + insn.length;
	switch (insn.flow) {
	case INSN_NEXT:
		return arrive(f, next, &state, false);
	case INSN_CALL:
		if (callee_of(f, &insn) != FLAG_CALLEE_OTHER)
			return true;
		return arrive(f, next, &state, false);
	case INSN_JUMP:
		if (!insn.has_target) {
			f->complete = false;
			return true;
		}
		return arrive(f, insn.target, &state, true);
	case INSN_BRANCH:
		return arrive_branched(f, insn.target, &state, true) &&
		       arrive_branched(f, next, &state, false);
	default:
		return true;
	}
}

/* Runs the states through the function until nothing changes. */
static enum status follow(struct finder *f, struct error *err)
{
	struct state entry = {.windows = BEFORE};
	for (unsigned i = 0; i < REGS; i++)
		entry.reg[i] = value_unknown;
	if (!arrive(f, f->start, &entry, false))
		return error_nomem(err);
	for (uint64_t visits = 0; f->queue_count > 0; visits++) {
		if (visits > f->step_count * VISITS_PER_STEP)
			return error_at(err, ERROR_LIMIT, f->start,
					"code too tangled to follow: more than %d visits for each "
					"instruction",
					VISITS_PER_STEP);
		uint32_t index = f->queue[--f->queue_count];
		f->steps[index].queued = false;
		if (!step_out(f, index))
			return error_nomem(err);
	}
	return OK;
}

/* Writing the sites down. */

static const struct step *step_before(const struct finder *f, const struct step *step)
{
	uint64_t offset = step->insn.addr - f->start;
	for (unsigned back = 1; back <= INSN_LENGTH_MAX && back <= offset; back++) {
		if (f->at[offset - back] == AT_NOTHING)
			return NULL;
		if (f->at[offset - back] >= 0)
			return &f->steps[f->at[offset - back]];
	}
	return NULL;
}

/* How far back from a test or store its load of the flag is looked for. */
enum { RUN_MAX = 16 };

/* Fills in where the load lies whose value step tests or stores in register reg, and which register
 * held the map there. */
static void find_run(const struct finder *f, const struct step *step, uint8_t reg,
		     struct flag_site *site)
{
	bool pure = true;
	bool entered = step->entered;
	for (unsigned i = 0; i < RUN_MAX && !entered; i++) {
		step = step_before(f, step);
		if (!step || step->insn.flow != INSN_NEXT)
			return;
		const struct insn *insn = &step->insn;
		entered = step->entered;
		if (!(insn->writes & (1ULL << reg))) {
			pure = false;
			continue;
		}
		if (insn->dst.kind != INSN_REG || insn->dst.reg != reg)
			return;
		if (insn->op == INSN_MOVE &&
		    operand_is_flag(f, &step->state, insn, &insn->src[0])) {
			const struct insn_mem *mem = &insn->mem[insn->src[0].mem];
			site->run = insn->addr;
			site->run_is_pure = pure;
			if (site->map_reg == INSN_NO_REG && (uint64_t)mem->disp == flag_offset(f))
				site->map_reg = mem->base;
			return;
		}
		if (insn->op != INSN_AND && insn->op != INSN_OR && insn->op != INSN_XOR)
			return;
	}
}

/* A site of the instruction of step, with its run and map register. */
static struct flag_site site_of(const struct finder *f, const struct step *step,
				enum flag_site_kind kind)
{
	const struct insn *insn = &step->insn;
	struct flag_site site = {.kind = kind,
				 .addr = insn->addr,
				 .end = insn->addr + insn->length,
				 .run = insn->addr,
				 .run_is_pure = true,
				 .map_reg = INSN_NO_REG};
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (mem_is_flag(f, &step->state, mem) && (uint64_t)mem->disp == flag_offset(f))
			site.map_reg = mem->base;
	}
	const struct insn_operand *from = &insn->src[0];
	if (kind != FLAG_FATAL && from->kind == INSN_REG && from->reg < REGS)
		find_run(f, step, from->reg, &site);
	return site;
}

static bool add_site(struct finder *f, struct flag_site site)
{
	return ARRAY_PUSH(f->sites, f->site_count, f->site_cap, site);
}

/* Adds the store of step to the flag byte, if it is one. */
static bool add_store(struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	if (!flag_store(f, &step->state, insn))
		return true;
	struct value v = stored_value(f, &step->state, insn);
	enum flag_site_kind kind = store_kind(f, v);
	uint8_t windows = step->state.windows;
	if (kind == FLAG_TOGGLE && !(windows & (INSIDE | FATAL)))
		kind = FLAG_SET;
	else if (kind == FLAG_TOGGLE && windows == INSIDE)
		kind = FLAG_CLEAR;
	else if (kind == FLAG_OTHER && f->design == MAP_HMAP && (insn->atomic || insn->exclusive) &&
		 (v.invert & (HMAP_ITERATOR | HMAP_OLD_ITERATOR)))
		kind = FLAG_ITERATOR;
	return add_site(f, site_of(f, step, kind));
}

/* What a branch asks of the flag: the condition left before it, or its own test (arm64). */
static struct cond branch_cond(const struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	if (insn->op != INSN_TEST)
		return step->state.cond;
	return (struct cond){.kind = cond_computed(f, &step->state, insn),
			     .test = (uint32_t)(insn->addr - f->start)};
}

/* The role of a check by which side of its branch dies. */
static enum flag_check_role role_of(enum cond_kind kind, enum insn_cond cond, bool taken_dies)
{
	bool taken_is_set;
	switch (kind) {
	case COND_ZERO_IS_CLEAR:
		if (cond != INSN_COND_ZERO && cond != INSN_COND_NOT_ZERO)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_NOT_ZERO;
		break;
	case COND_ZERO_IS_SET:
		if (cond != INSN_COND_ZERO && cond != INSN_COND_NOT_ZERO)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_ZERO;
		break;
	case COND_CARRY_IS_SET:
		if (cond != INSN_COND_CARRY && cond != INSN_COND_NOT_CARRY)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_CARRY;
		break;
	default:
		return FLAG_CHECK_NONE;
	}
	return taken_is_set == taken_dies ? FLAG_CHECK_ENTRY : FLAG_CHECK_EXIT;
}

static struct flag_site *site_at(struct finder *f, enum flag_site_kind kind, uint64_t addr)
{
	for (size_t i = 0; i < f->site_count; i++) {
		if (f->sites[i].addr == addr && f->sites[i].kind == kind)
			return &f->sites[i];
	}
	return NULL;
}

static const struct step *step_known(const struct finder *f, uint64_t addr)
{
	return &f->steps[f->at[addr - f->start]];
}

/* Adds the fatal call at addr; it belongs to check where there is one. */
static bool add_fatal(struct finder *f, uint64_t addr, const struct flag_site *check)
{
	struct flag_site *known = site_at(f, FLAG_FATAL, addr);
	if (known) {
		/* two checks that share a call: which one failed cannot be told if they differ */
		if (check && known->check && known->role != check->role)
			known->role = FLAG_CHECK_NONE;
		return true;
	}
	struct flag_site site = site_of(f, step_known(f, addr), FLAG_FATAL);
	if (check) {
		site.check = check->addr;
		site.role = check->role;
	}
	return add_site(f, site);
}

/* Adds the check whose outcome the branch of step asks, and the fatal call that it leads to. */
static bool add_check(struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	struct cond cond = branch_cond(f, step);
	if (cond.kind == COND_NOTHING || site_at(f, FLAG_CHECK, f->start + cond.test))
		return true;
	uint64_t taken = fatal_path(f, insn->target);
	uint64_t passed = fatal_path(f, insn->addr + insn->length);
	struct flag_site check = site_of(f, step_known(f, f->start + cond.test), FLAG_CHECK);
	if (!taken != !passed)
		check.role = role_of(cond.kind, insn->cond, taken != 0);
	if (check.role != FLAG_CHECK_NONE) {
		check.fatal = taken ? taken : passed;
		if (!add_fatal(f, check.fatal, &check))
			return false;
	}
	return add_site(f, check);
}

static bool add_sites(struct finder *f)
{
	for (size_t i = 0; i < f->step_count; i++) {
		const struct step *step = &f->steps[i];
		if (!step->state.reached)
			continue;
		if (!add_store(f, step) || (step->insn.flow == INSN_BRANCH && !add_check(f, step)))
			return false;
	}
	/* what no check leads to comes last */
	for (size_t i = 0; i < f->step_count; i++) {
		const struct step *step = &f->steps[i];
		if (step->state.reached && callee_of(f, &step->insn) == FLAG_CALLEE_FATAL &&
		    !add_fatal(f, step->insn.addr, NULL))
			return false;
	}
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct flag_site *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static enum flag_window window_of(const struct finder *f, const struct step *step)
{
	if (!f->complete || !step->state.reached)
		return FLAG_WINDOW_UNKNOWN;
	if (callee_of(f, &step->insn) == FLAG_CALLEE_FATAL)
		return FLAG_WINDOW_FATAL;
	switch (step->state.windows) {
	case BEFORE:
		return FLAG_WINDOW_BEFORE;
	case INSIDE:
		return FLAG_WINDOW_INSIDE;
	case AFTER:
		return FLAG_WINDOW_AFTER;
	case BEFORE | AFTER:
		return FLAG_WINDOW_OUTSIDE;
	case FATAL:
		return FLAG_WINDOW_FATAL;
	default:
		return FLAG_WINDOW_UNKNOWN;
	}
}

/* In windows: not the first byte of an instruction. */
enum { WINDOW_INTERIOR = 0xff };

static enum status finish(struct finder *f, struct flagsites *ret, struct error *err)
{
	if (!add_sites(f))
		return error_nomem(err);
	AUTO_FREE uint8_t *windows = malloc(f->size);
	if (!windows)
		return error_nomem(err);
	for (size_t i = 0; i < f->size; i++) {
		windows[i] = f->at[i] == AT_INTERIOR ? WINDOW_INTERIOR : FLAG_WINDOW_UNKNOWN;
		if (f->at[i] >= 0)
			windows[i] = window_of(f, &f->steps[f->at[i]]);
	}
	if (f->site_count > 0)
		qsort(f->sites, f->site_count, sizeof(*f->sites), by_address);
	*ret = (struct flagsites){.start = f->start,
				  .end = f->start + f->size,
				  .list = TAKE(f->sites),
				  .count = f->site_count,
				  .complete = f->complete,
				  .windows = TAKE(windows)};
	return OK;
}

enum status flagsites_find(enum arch arch, enum map_design design, const uint8_t *code, size_t size,
			   uint64_t start, enum flag_callee (*callee)(void *context, uint64_t addr),
			   void *context, struct flagsites *ret, struct error *err)
{
	if (size == 0 || size > FLAGSITES_CODE_MAX)
		return error_at(err, ERROR_LIMIT, start,
				"a map function of %zu bytes (we look at 1 to %d)", size,
				FLAGSITES_CODE_MAX);
	struct finder f = {.arch = arch,
			   .design = design,
			   .code = code,
			   .size = size,
			   .start = start,
			   .callee = callee,
			   .context = context,
			   .complete = true};
	f.at = malloc(size * sizeof(*f.at));
	enum status status = FAILED;
	if (f.at) {
		for (size_t i = 0; i < size; i++)
			f.at[i] = AT_NOTHING;
		status = follow(&f, err);
		if (status == OK)
			status = finish(&f, ret, err);
	} else {
		status = error_nomem(err);
	}
	free(f.at);
	free(f.steps);
	free(f.queue);
	free(f.sites);
	return status;
}

void flagsites_done(struct flagsites *sites)
{
	free(sites->list);
	free(sites->windows);
	*sites = (struct flagsites){0};
}

enum flag_window flagsites_window(const struct flagsites *sites, uint64_t pc, bool is_exact)
{
	if (is_exact) {
		if (pc < sites->start || pc >= sites->end ||
		    sites->windows[pc - sites->start] == WINDOW_INTERIOR)
			return FLAG_WINDOW_UNKNOWN;
		return sites->windows[pc - sites->start];
	}
	/* the call is the instruction that ends at pc */
	if (pc <= sites->start || pc > sites->end)
		return FLAG_WINDOW_UNKNOWN;
	uint64_t call = pc - 1;
	while (call > sites->start && sites->windows[call - sites->start] == WINDOW_INTERIOR)
		call--;
	uint8_t window = sites->windows[call - sites->start];
	return window == WINDOW_INTERIOR ? FLAG_WINDOW_UNKNOWN : window;
}

const struct flag_site *flagsites_fatal_at(const struct flagsites *sites, uint64_t pc)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->list[i].kind == FLAG_FATAL && sites->list[i].end == pc)
			return &sites->list[i];
	}
	return NULL;
}
