#include "go/callsite.h"

#include <stdlib.h>

#include "base/arch.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "insn/insn.h"

/* Instructions that are followed backwards for one value, all paths together: argument set-up is a few
 * dozen at most, and a loop around the call some more. */
enum { CALLSITE_STEPS_MAX = 600 };
/* Code of one function that is decoded. */
enum { CALLSITE_CODE_MAX = 1 << 20 };
/* Loads through objects, joins of control flow, and callers, that one value is followed over. */
enum { CALLSITE_HOPS_MAX = 6, CALLSITE_JOINS_MAX = 12, CALLSITE_CALLERS_MAX = 3 };

static const uint8_t amd64_words[] = {AMD64_RAX, AMD64_RBX, AMD64_RCX, AMD64_RDI, AMD64_RSI,
				      AMD64_R8,	 AMD64_R9,  AMD64_R10, AMD64_R11};
enum { ARM64_WORDS = 16 };

static int word_register(enum arch arch, unsigned word)
{
	if (arch == ARCH_ARM64)
		return word < ARM64_WORDS ? (int)word : -1;
	return word < sizeof(amd64_words) ? amd64_words[word] : -1;
}

static int register_word(enum arch arch, unsigned reg)
{
	if (arch == ARCH_ARM64)
		return reg < ARM64_WORDS ? (int)reg : -1;
	for (unsigned i = 0; i < sizeof(amd64_words); i++)
		if (amd64_words[i] == reg)
			return (int)i;
	return -1;
}

struct branch {
	uint32_t from, to; /* offsets */
};

struct function_code {
	struct runtime *rt;
	const uint8_t *bytes;
	uint64_t start;
	size_t size;
	uint32_t *at; /* offsets of the instructions */
	size_t count, cap;
	struct branch *branches; /* inside of the function, by target */
	size_t branch_count, branch_cap;
	struct direct_call *calls; /* by address */
	size_t call_count, call_cap;
};

void function_code_free(struct function_code *code)
{
	if (!code)
		return;
	free(code->at);
	free(code->branches);
	free(code->calls);
	free(code);
}

static int by_target(const void *a, const void *b)
{
	const struct branch *x = a, *y = b;
	if (x->to != y->to)
		return x->to < y->to ? -1 : 1;
	return (x->from > y->from) - (x->from < y->from);
}

/* Keeps what the instruction at pos leads to; false when memory is out. */
static bool note_target(struct function_code *code, const struct insn *insn, size_t pos)
{
	if (!insn->has_target)
		return true;
	if (insn->flow == INSN_CALL) {
		struct direct_call call = {insn->addr, insn->addr + insn->length, insn->target};
		return ARRAY_PUSH(code->calls, code->call_count, code->call_cap, call);
	}
	if (insn->target < code->start || insn->target - code->start >= code->size)
		return true;
	struct branch b = {(uint32_t)pos, (uint32_t)(insn->target - code->start)};
	return ARRAY_PUSH(code->branches, code->branch_count, code->branch_cap, b);
}

struct insn_sweep function_sweep(struct runtime *rt, const struct function *fn)
{
	struct insn_sweep sweep = {.arch = rt->target->arch, .addr = fn->entry};
	size_t size = fn->end > fn->entry ? (size_t)(fn->end - fn->entry) : 0;
	sweep.code = size ? memory_view(rt->target->memory, fn->entry, size) : NULL;
	sweep.n = sweep.code ? size : 0;
	return sweep;
}

bool function_code_read(struct runtime *rt, const struct function *fn, struct function_code **code)
{
	uint64_t size = fn->end - fn->entry;
	if (!*code)
		*code = calloc(1, sizeof(**code));
	struct function_code *c = *code;
	if (!c)
		return false;
	c->rt = rt;
	c->start = fn->entry;
	c->size = (size_t)size;
	c->count = c->branch_count = c->call_count = 0;
	if (fn->end <= fn->entry || size > CALLSITE_CODE_MAX)
		return false;
	c->bytes = memory_view(rt->target->memory, fn->entry, c->size);
	if (!c->bytes)
		return false;
	struct insn_sweep sweep = {
		.arch = rt->target->arch, .code = c->bytes, .n = c->size, .addr = fn->entry};
	for (struct insn insn; insn_sweep_next(&sweep, &insn);) {
		size_t pos = (size_t)(insn.addr - fn->entry);
		if (!ARRAY_PUSH(c->at, c->count, c->cap, (uint32_t)pos) ||
		    !note_target(c, &insn, pos))
			return false;
	}
	if (c->branch_count)
		qsort(c->branches, c->branch_count, sizeof(*c->branches), by_target);
	return true;
}

size_t function_code_calls(const struct function_code *code, const struct direct_call **ret)
{
	*ret = code->calls;
	return code->call_count;
}

/* The first branch to the instruction at offset to, or behind all others: branch_count. */
static size_t first_branch(const struct function_code *code, uint32_t to)
{
	size_t lo = 0, hi = code->branch_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (code->branches[mid].to < to)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The index of the instruction at addr, or -1. */
static ptrdiff_t code_index(const struct function_code *code, uint64_t addr)
{
	size_t lo = 0, hi = code->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (code->start + code->at[mid] < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < code->count && code->start + code->at[lo] == addr ? (ptrdiff_t)lo : -1;
}

/* Follows one value backwards. */
struct resolver {
	struct runtime *rt;
	enum arch arch;
	const struct function_code *code;
	const struct frame *frame; /* of that code, NULL: not on a stack */
	const struct frame *frames; /* the whole stack that it is on, NULL: not at hand */
	size_t count, index; /* frame is frames[index] */
	unsigned callers; /* frames that were gone over */
	unsigned steps;
	size_t joins[CALLSITE_JOINS_MAX]; /* instructions where paths join, on the way here */
	unsigned join_count;
};

/* Where a value comes from. */
enum resolution {
	RESOLVED_NOT, /* not to be told */
	RESOLVED, /* the argument is filled */
	RESOLVED_INCOMING, /* it is the function's own argument register, unchanged */
	RESOLVED_LOOP, /* by this path it is what it was before: a loop */
	RESOLVED_EARLIER, /* the instruction leaves it as it was before */
};

static enum resolution resolve_register(struct resolver *r, unsigned reg, size_t before,
					unsigned hops, struct argument *ret, int *ret_incoming);

static unsigned stack_pointer(const struct resolver *r)
{
	return r->arch == ARCH_AMD64 ? AMD64_RSP : ARM64_SP;
}

/* The address of a stack slot of our frame; false for any other memory. */
static bool slot_address(const struct resolver *r, const struct insn_mem *mem, uint64_t *ret)
{
	unsigned fp = r->arch == ARCH_AMD64 ? AMD64_RBP : ARM64_FP;
	if (!r->frame || mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE)
		return false;
	uint64_t base = mem->base == stack_pointer(r) ? r->frame->sp
			: mem->base == fp	      ? r->frame->bp
						      : 0;
	*ret = base + (uint64_t)mem->disp;
	return base != 0;
}

static bool argument_at(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
			unsigned word, unsigned callers, struct argument *ret);

/* The value of reg before instruction at, asked of our own callers where it is our argument. */
static bool resolve_base(struct resolver *r, unsigned reg, size_t at, unsigned hops,
			 struct argument *ret)
{
	int incoming, word;
	enum resolution how = resolve_register(r, reg, at, hops, ret, &incoming);
	if (how != RESOLVED_INCOMING)
		return how == RESOLVED;
	word = register_word(r->arch, (unsigned)incoming);
	return r->frames && word >= 0 &&
	       argument_at(r->rt, r->frames, r->count, r->index, (unsigned)word, r->callers, ret);
}

/* The address of a memory operand of instruction at, and the weakest source that it rests on. */
static bool resolve_address(struct resolver *r, const struct insn_mem *mem, size_t at,
			    unsigned hops, uint64_t *ret, enum argument_source *source)
{
	if (mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE || mem->scattered)
		return false;
	*source = ARGUMENT_CONSTANT;
	if (mem->base == INSN_PC || mem->base == INSN_NO_REG) {
		*ret = (uint64_t)mem->disp;
		return true;
	}
	*source = ARGUMENT_STACK;
	if (slot_address(r, mem, ret))
		return true;
	struct argument base;
	if (mem->base == stack_pointer(r) || hops >= CALLSITE_HOPS_MAX ||
	    !resolve_base(r, mem->base, at, hops + 1, &base))
		return false;
	*ret = base.value + (uint64_t)mem->disp;
	*source = ARGUMENT_MEMORY;
	return true;
}

static bool resolve_load(struct resolver *r, const struct insn *insn,
			 const struct insn_operand *src, size_t at, unsigned hops,
			 struct argument *ret)
{
	uint64_t addr, value = 0;
	enum argument_source source;
	if (!resolve_address(r, &insn->mem[src->mem], at, hops, &addr, &source) ||
	    src->size > sizeof(value) || insn->sign_extends)
		return false;
	if (memory_read(r->rt->target->memory, addr, &value, src->size, NULL) != OK)
		return false;
	/* A package variable is loaded from a constant address, but is memory all the same. */
	*ret = (struct argument){value, source == ARGUMENT_CONSTANT ? ARGUMENT_MEMORY : source,
				 addr};
	return true;
}

/* arm64's adrp and add, and addresses in the frame: a register and a constant. */
static bool resolve_sum(struct resolver *r, const struct insn *insn, size_t at, unsigned hops,
			struct argument *ret)
{
	const struct insn_operand *src = &insn->src[0];
	struct argument base;
	if (src->kind != INSN_REG || insn->src[1].kind != INSN_IMM)
		return false;
	if (src->reg == stack_pointer(r)) {
		if (!r->frame || r->arch == ARCH_AMD64)
			return false;
		base = (struct argument){r->frame->sp, ARGUMENT_STACK, 0};
	} else if (!resolve_base(r, src->reg, at, hops, &base)) {
		return false;
	}
	uint64_t imm = (uint64_t)insn->src[1].imm;
	base.value += insn->op == INSN_ADD ? imm : -imm;
	base.loaded_from = 0;
	*ret = base;
	return true;
}

/* The value that the instruction gives to reg, which it writes. */
static enum resolution resolve_written(struct resolver *r, const struct insn *insn, unsigned reg,
				       size_t at, unsigned hops, struct argument *ret,
				       int *ret_incoming)
{
	const struct insn_operand *src = &insn->src[0];
	bool ok = false;
	if (insn->dst.kind != INSN_REG || insn->dst.reg != reg || insn->dst.high ||
	    insn->dst.size < 4)
		return RESOLVED_NOT;
	switch (insn->op) {
	case INSN_MOVE:
		if (src->kind == INSN_REG && !insn->sign_extends && src->size >= 4)
			return resolve_register(r, src->reg, at, hops, ret, ret_incoming);
		if (src->kind == INSN_IMM) {
			uint64_t value = (uint64_t)src->imm;
			value = insn->dst.size == 4 ? (uint32_t)value : value;
			*ret = (struct argument){value, ARGUMENT_CONSTANT, 0};
			return RESOLVED;
		}
		ok = src->kind == INSN_MEM && resolve_load(r, insn, src, at, hops, ret);
		break;
	case INSN_LEA: {
		uint64_t addr;
		enum argument_source source;
		ok = src->kind == INSN_MEM &&
		     resolve_address(r, &insn->mem[src->mem], at, hops, &addr, &source);
		if (ok)
			*ret = (struct argument){addr, source, 0};
		break;
	}
	case INSN_ADD:
	case INSN_SUB:
		ok = resolve_sum(r, insn, at, hops, ret);
		break;
	case INSN_XOR:
		ok = src->kind == INSN_REG && insn->src[1].kind == INSN_REG &&
		     src->reg == insn->src[1].reg;
		if (ok)
			*ret = (struct argument){0, ARGUMENT_CONSTANT, 0};
		break;
	default:
		break;
	}
	return ok ? RESOLVED : RESOLVED_NOT;
}

/* Whether the instruction leaves reg's whole value in a stack slot of our frame, which then tells it. */
static bool is_spill(struct resolver *r, const struct insn *insn, unsigned reg,
		     struct argument *ret)
{
	uint64_t addr, value;
	if (insn->op != INSN_MOVE || insn->dst.kind != INSN_MEM || insn->src[0].kind != INSN_REG ||
	    insn->src[0].reg != reg || insn->src[0].size != 8 ||
	    !slot_address(r, &insn->mem[insn->dst.mem], &addr) ||
	    memory_read_u64(r->rt->target->memory, addr, &value, NULL) != OK)
		return false;
	*ret = (struct argument){value, ARGUMENT_STACK, addr};
	return true;
}

/* Joins what two paths say into *sum; false when they disagree. */
static bool agree(enum resolution *sum, struct argument *ret, int *ret_incoming,
		  enum resolution path, const struct argument *value, int incoming)
{
	if (path == RESOLVED_NOT)
		return false;
	if (path == RESOLVED_LOOP)
		return true;
	if (*sum == RESOLVED_LOOP) {
		*sum = path;
		*ret = *value;
		*ret_incoming = incoming;
		return true;
	}
	if (*sum != path)
		return false;
	if (path == RESOLVED_INCOMING)
		return *ret_incoming == incoming;
	if (value->source > ret->source)
		ret->source = value->source;
	return ret->value == value->value;
}

/* What the instruction before instruction number at says of reg, when control comes from it. */
static enum resolution step_back(struct resolver *r, unsigned reg, size_t at, unsigned hops,
				 struct argument *ret, int *ret_incoming)
{
	struct insn insn;
	size_t pos = r->code->at[at - 1];
	if (r->steps++ >= CALLSITE_STEPS_MAX ||
	    !insn_decode(r->arch, r->code->bytes + pos, r->code->size - pos, r->code->start + pos,
			 &insn) ||
	    pos + insn.length != r->code->at[at] ||
	    (insn.flow != INSN_NEXT && insn.flow != INSN_BRANCH))
		return RESOLVED_NOT;
	if (insn.writes >> reg & 1)
		return resolve_written(r, &insn, reg, at - 1, hops, ret, ret_incoming);
	return is_spill(r, &insn, reg, ret) ? RESOLVED : RESOLVED_EARLIER;
}

static bool falls_through(const struct resolver *r, size_t at)
{
	struct insn insn;
	size_t pos = r->code->at[at - 1];
	return insn_decode_flow(r->arch, r->code->bytes + pos, r->code->size - pos,
				r->code->start + pos, &insn) &&
	       (insn.flow == INSN_NEXT || insn.flow == INSN_BRANCH || insn.flow == INSN_CALL) &&
	       pos + insn.length == r->code->at[at];
}

/* The value of reg where paths join, just before instruction at: what all of them agree on. */
static enum resolution resolve_join(struct resolver *r, unsigned reg, size_t at, unsigned hops,
				    struct argument *ret, int *ret_incoming)
{
	for (unsigned i = 0; i < r->join_count; i++)
		if (r->joins[i] == at)
			return RESOLVED_LOOP;
	if (r->join_count == CALLSITE_JOINS_MAX)
		return RESOLVED_NOT;
	r->joins[r->join_count++] = at;
	enum resolution sum = RESOLVED_LOOP, path;
	struct argument value = {0};
	int incoming = -1;
	bool ok = true;
	if (falls_through(r, at)) {
		path = step_back(r, reg, at, hops, &value, &incoming);
		if (path == RESOLVED_EARLIER)
			path = resolve_register(r, reg, at - 1, hops, &value, &incoming);
		ok = agree(&sum, ret, ret_incoming, path, &value, incoming);
	}
	for (size_t i = first_branch(r->code, r->code->at[at]);
	     ok && i < r->code->branch_count && r->code->branches[i].to == r->code->at[at]; i++) {
		/* A branch writes no register: the value before it is the value behind it. */
		ptrdiff_t from = code_index(r->code, r->code->start + r->code->branches[i].from);
		path = resolve_register(r, reg, (size_t)from, hops, &value, &incoming);
		ok = agree(&sum, ret, ret_incoming, path, &value, incoming);
	}
	r->join_count--;
	return ok ? sum : RESOLVED_NOT;
}

static bool is_joined(const struct resolver *r, size_t at)
{
	size_t i = first_branch(r->code, r->code->at[at]);
	return i < r->code->branch_count && r->code->branches[i].to == r->code->at[at];
}

/*
 * The value of reg just before instruction number before. The function's entry is joined by its own
 * stack growth, which restores all argument registers: there the value is the caller's.
 */
static enum resolution resolve_register(struct resolver *r, unsigned reg, size_t before,
					unsigned hops, struct argument *ret, int *ret_incoming)
{
	*ret_incoming = -1;
	for (size_t at = before; at > 0; at--) {
		if (is_joined(r, at))
			return resolve_join(r, reg, at, hops, ret, ret_incoming);
		enum resolution step = step_back(r, reg, at, hops, ret, ret_incoming);
		if (step != RESOLVED_EARLIER)
			return step;
	}
	*ret_incoming = (int)reg;
	return RESOLVED_INCOMING;
}

bool function_code_argument(const struct function_code *code, uint64_t call,
			    const struct frame *frames, size_t count, size_t index, unsigned word,
			    struct argument *ret)
{
	struct runtime *rt = code->rt;
	int reg = word_register(rt->target->arch, word);
	struct argument found;
	ptrdiff_t at = code_index(code, call);
	struct resolver r = {.rt = rt,
			     .arch = rt->target->arch,
			     .code = code,
			     .frame = frames ? &frames[index] : NULL,
			     .frames = frames,
			     .count = count,
			     .index = index};
	if (reg < 0 || at < 0 || !resolve_base(&r, (unsigned)reg, (size_t)at, 0, &found))
		return false;
	*ret = found;
	return true;
}

bool call_argument(struct runtime *rt, const struct function *fn, uint64_t call,
		   const struct frame *frames, size_t count, size_t index, unsigned word,
		   struct argument *ret)
{
	AUTO_FUNCTION_CODE struct function_code *code = NULL;
	return function_code_read(rt, fn, &code) &&
	       function_code_argument(code, call, frames, count, index, word, ret);
}

uint64_t call_returning_to(struct runtime *rt, const struct function *fn, uint64_t pc)
{
	struct insn_sweep sweep = function_sweep(rt, fn);
	for (struct insn insn; insn_sweep_next(&sweep, &insn) && insn.addr < pc;)
		if (insn.flow == INSN_CALL && insn.addr + insn.length == pc)
			return insn.addr;
	return 0;
}

/* The address of the call instruction whose return address is pc; 0 when there is none. */
static uint64_t call_before(const struct function_code *code, enum arch arch, uint64_t pc)
{
	struct insn insn;
	ptrdiff_t next = code_index(code, pc);
	/* A call that does not return may be a function's last instruction. */
	size_t at = next > 0 ? (size_t)next - 1 : code->count - 1;
	if (!code->count || next == 0)
		return 0;
	size_t pos = code->at[at];
	if (!insn_decode_flow(arch, code->bytes + pos, code->size - pos, code->start + pos,
			      &insn) ||
	    insn.flow != INSN_CALL || code->start + pos + insn.length != pc)
		return 0;
	return code->start + pos;
}

static bool argument_at(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
			unsigned word, unsigned callers, struct argument *ret)
{
	uint64_t value;
	bool live;
	if (!frames[i].has_function)
		return false;
	if (frame_arg_word(rt, &frames[i], word, &value, &live) && live) {
		*ret = (struct argument){value, ARGUMENT_SLOT, 0};
		return true;
	}
	int reg = word_register(rt->target->arch, word);
	if (reg < 0 || i + 1 >= count || callers >= CALLSITE_CALLERS_MAX)
		return false;
	const struct frame *caller = &frames[i + 1];
	AUTO_FUNCTION_CODE struct function_code *code = NULL;
	if (!caller->has_function || caller->is_exact ||
	    !function_code_read(rt, &caller->function, &code))
		return false;
	ptrdiff_t at = code_index(code, call_before(code, rt->target->arch, caller->pc));
	struct resolver r = {.rt = rt,
			     .arch = rt->target->arch,
			     .code = code,
			     .frame = caller,
			     .frames = frames,
			     .count = count,
			     .index = i + 1,
			     .callers = callers + 1};
	return at >= 0 && resolve_base(&r, (unsigned)reg, (size_t)at, 0, ret);
}

bool frame_argument(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
		    unsigned word, bool stale, struct argument *ret)
{
	struct argument found;
	uint64_t value;
	bool live;
	if (i >= count)
		return false;
	if (argument_at(rt, frames, count, i, word, 0, &found)) {
		*ret = found;
		return true;
	}
	if (!stale || !frames[i].has_function ||
	    !frame_arg_word(rt, &frames[i], word, &value, &live))
		return false;
	*ret = (struct argument){value, ARGUMENT_STALE, 0};
	return true;
}
