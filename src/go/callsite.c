#include "go/callsite.h"

#include <string.h>

#include "base/arch.h"
#include "base/cleanup.h"
#include "insn/insn.h"

/* Instructions before a call that are looked at: argument set-up is a few dozen at most. */
enum { CALLSITE_WINDOW = 96 };
/* Code of one function that is decoded to find instruction boundaries. */
enum { CALLSITE_CODE_MAX = 1 << 20 };
/* Loads through objects, and callers, that one value is followed over. */
enum { CALLSITE_HOPS_MAX = 6, CALLSITE_CALLERS_MAX = 3 };

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

/* The code of a function up to one instruction: the last instructions before it. */
struct window {
	struct insn insns[CALLSITE_WINDOW]; /* in order; the last one is at the call */
	bool joined[CALLSITE_WINDOW]; /* a branch of the function leads to it */
	size_t count;
	bool from_entry; /* insns[0] is the function's first */
};

struct resolver {
	struct runtime *rt;
	enum arch arch;
	const struct window *window;
	const struct frame *frame; /* of the code in the window, NULL: not on a stack */
};

static const uint8_t *function_code(struct runtime *rt, const struct function *fn, size_t *ret_size)
{
	uint64_t size = fn->end - fn->entry;
	if (fn->end <= fn->entry || size > CALLSITE_CODE_MAX)
		return NULL;
	*ret_size = (size_t)size;
	return memory_view(rt->target->memory, fn->entry, (size_t)size);
}

/* Fills window with the instructions that end at the call at address call; false when the code does
 * not decode to an instruction there. */
static bool window_read(struct runtime *rt, const struct function *fn, uint64_t call,
			struct window *window)
{
	size_t size;
	const uint8_t *code = function_code(rt, fn, &size);
	if (!code || call < fn->entry || call >= fn->end)
		return false;

	/* Two passes: the first finds where the window starts, and the branch targets in it. */
	uint64_t starts[CALLSITE_WINDOW];
	size_t total = 0;
	uint64_t at = fn->entry;
	struct insn insn;
	enum arch arch = rt->target->arch;
	while (at <= call) {
		size_t pos = (size_t)(at - fn->entry);
		if (!insn_decode_flow(arch, code + pos, size - pos, at, &insn))
			return false;
		starts[total % CALLSITE_WINDOW] = at;
		total++;
		if (at == call)
			break;
		at += insn.length;
	}
	if (at != call)
		return false;
	window->count = total < CALLSITE_WINDOW ? total : CALLSITE_WINDOW;
	window->from_entry = total <= CALLSITE_WINDOW;
	for (size_t i = 0; i < window->count; i++) {
		uint64_t start = starts[(total - window->count + i) % CALLSITE_WINDOW];
		size_t pos = (size_t)(start - fn->entry);
		if (!insn_decode(arch, code + pos, size - pos, start, &window->insns[i]))
			return false;
		window->joined[i] = false;
	}
	uint64_t first = window->insns[0].addr;
	for (at = fn->entry; at < fn->end;) {
		size_t pos = (size_t)(at - fn->entry);
		if (!insn_decode_flow(arch, code + pos, size - pos, at, &insn)) {
			at += insn_step(arch);
			continue;
		}
		if (insn.has_target && insn.flow != INSN_CALL && insn.target >= first &&
		    insn.target <= call)
			for (size_t i = 0; i < window->count; i++)
				if (window->insns[i].addr == insn.target)
					window->joined[i] = true;
		at += insn.length;
	}
	return true;
}

static bool resolve_register(const struct resolver *r, unsigned reg, size_t before, unsigned hops,
			     struct argument *ret, int *ret_incoming);

/* The address of a memory operand of insns[at]; the weakest source that it rests on in *source. */
static bool resolve_address(const struct resolver *r, const struct insn_mem *mem, size_t at,
			    unsigned hops, uint64_t *ret, enum argument_source *source)
{
	if (mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE || mem->scattered)
		return false;
	bool is_amd64 = r->arch == ARCH_AMD64;
	unsigned sp = is_amd64 ? AMD64_RSP : ARM64_SP, fp = is_amd64 ? AMD64_RBP : ARM64_FP;
	*source = ARGUMENT_CONSTANT;
	if (mem->base == INSN_PC || mem->base == INSN_NO_REG) {
		*ret = (uint64_t)mem->disp;
		return true;
	}
	if (mem->base == sp || mem->base == fp) {
		uint64_t base = !r->frame ? 0 : mem->base == sp ? r->frame->sp : r->frame->bp;
		if (!base)
			return false;
		*ret = base + (uint64_t)mem->disp;
		*source = ARGUMENT_STACK;
		return true;
	}
	struct argument base;
	int incoming = -1;
	if (hops >= CALLSITE_HOPS_MAX ||
	    !resolve_register(r, mem->base, at, hops + 1, &base, &incoming) || incoming >= 0)
		return false;
	*ret = base.value + (uint64_t)mem->disp;
	*source = ARGUMENT_MEMORY;
	return true;
}

static bool resolve_load(const struct resolver *r, const struct insn *insn,
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

/*
 * The value of reg just before insns[before]. Where it comes unchanged from the function's own
 * argument registers, *ret_incoming is that register and *ret is unset.
 */
static bool resolve_register(const struct resolver *r, unsigned reg, size_t before, unsigned hops,
			     struct argument *ret, int *ret_incoming)
{
	for (size_t i = before; i-- > 0;) {
		const struct insn *insn = &r->window->insns[i];
		/* From here to the instruction behind: a join means that control may come from
		 * elsewhere with another value. The function's entry is joined by its own stack
		 * growth, which restores all argument registers. */
		if (r->window->joined[i + 1])
			return false;
		if (insn->flow != INSN_NEXT && insn->flow != INSN_BRANCH)
			return false;
		if (!(insn->writes >> reg & 1))
			continue;
		if (insn->dst.kind != INSN_REG || insn->dst.reg != reg || insn->dst.high ||
		    insn->dst.size < 4)
			return false;
		const struct insn_operand *src = &insn->src[0];
		switch (insn->op) {
		case INSN_MOVE:
			if (src->kind == INSN_REG && !insn->sign_extends && src->size >= 4)
				return resolve_register(r, src->reg, i, hops, ret, ret_incoming);
			if (src->kind == INSN_IMM) {
				uint64_t value = (uint64_t)src->imm;
				if (insn->dst.size == 4)
					value = (uint32_t)value;
				*ret = (struct argument){value, ARGUMENT_CONSTANT, 0};
				return true;
			}
			return src->kind == INSN_MEM && resolve_load(r, insn, src, i, hops, ret);
		case INSN_LEA: {
			uint64_t addr;
			enum argument_source source;
			if (src->kind != INSN_MEM ||
			    !resolve_address(r, &insn->mem[src->mem], i, hops, &addr, &source))
				return false;
			*ret = (struct argument){addr, source, 0};
			return true;
		}
		case INSN_ADD: /* arm64: adrp + add */
		case INSN_SUB: {
			struct argument base;
			int incoming = -1;
			if (src->kind != INSN_REG || insn->src[1].kind != INSN_IMM)
				return false;
			unsigned sp = r->arch == ARCH_AMD64 ? AMD64_RSP : ARM64_SP;
			if (src->reg == sp) {
				if (!r->frame || r->arch == ARCH_AMD64)
					return false;
				base = (struct argument){r->frame->sp, ARGUMENT_STACK, 0};
			} else if (!resolve_register(r, src->reg, i, hops, &base, &incoming) ||
				   incoming >= 0) {
				return false;
			}
			uint64_t imm = (uint64_t)insn->src[1].imm;
			base.value += insn->op == INSN_ADD ? imm : -imm;
			base.loaded_from = 0;
			*ret = base;
			return true;
		}
		case INSN_XOR:
			if (src->kind == INSN_REG && insn->src[1].kind == INSN_REG &&
			    src->reg == insn->src[1].reg) {
				*ret = (struct argument){0, ARGUMENT_CONSTANT, 0};
				return true;
			}
			return false;
		default:
			return false;
		}
	}
	if (!r->window->from_entry)
		return false;
	*ret_incoming = (int)reg;
	return true;
}

bool call_argument(struct runtime *rt, const struct function *fn, uint64_t call,
		   const struct frame *frame, unsigned word, struct argument *ret)
{
	int reg = word_register(rt->target->arch, word);
	AUTO_FREE struct window *window = malloc(sizeof(*window));
	if (reg < 0 || !window || !window_read(rt, fn, call, window))
		return false;
	struct resolver r = {rt, rt->target->arch, window, frame};
	int incoming = -1;
	return resolve_register(&r, (unsigned)reg, window->count - 1, 0, ret, &incoming) &&
	       incoming < 0;
}

/* The address of the call instruction whose return address is pc; 0 when there is none. */
static uint64_t call_before(struct runtime *rt, const struct function *fn, uint64_t pc)
{
	size_t size;
	const uint8_t *code = function_code(rt, fn, &size);
	if (!code || pc <= fn->entry || pc > fn->end)
		return 0;
	enum arch arch = rt->target->arch;
	struct insn insn;
	for (uint64_t at = fn->entry; at < pc;) {
		size_t pos = (size_t)(at - fn->entry);
		if (!insn_decode_flow(arch, code + pos, size - pos, at, &insn))
			return 0;
		if (at + insn.length == pc)
			return insn.flow == INSN_CALL ? at : 0;
		at += insn.length;
	}
	return 0;
}

bool frame_argument(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
		    unsigned word, bool stale, struct argument *ret)
{
	AUTO_FREE struct window *window = malloc(sizeof(*window));
	if (!window)
		return false;
	struct argument first_slot = {0};
	bool has_slot = false;

	for (unsigned callers = 0; i < count && callers <= CALLSITE_CALLERS_MAX; callers++, i++) {
		uint64_t value;
		bool live;
		if (!frames[i].has_function)
			break;
		if (frame_arg_word(rt, &frames[i], word, &value, &live)) {
			if (live) {
				*ret = (struct argument){value, ARGUMENT_SLOT, 0};
				return true;
			}
			if (!has_slot)
				first_slot = (struct argument){value, ARGUMENT_STALE, 0};
			has_slot = true;
		}
		int reg = word_register(rt->target->arch, word);
		if (reg < 0 || i + 1 >= count)
			break;
		const struct frame *caller = &frames[i + 1];
		if (!caller->has_function || caller->is_exact)
			break;
		uint64_t call = call_before(rt, &caller->function, caller->pc);
		if (!call || !window_read(rt, &caller->function, call, window))
			break;
		struct resolver r = {rt, rt->target->arch, window, caller};
		int incoming = -1;
		if (!resolve_register(&r, (unsigned)reg, window->count - 1, 0, ret, &incoming))
			break;
		if (incoming < 0)
			return true;
		int next = register_word(rt->target->arch, (unsigned)incoming);
		if (next < 0)
			break;
		word = (unsigned)next;
	}
	if (stale && has_slot) {
		*ret = first_slot;
		return true;
	}
	return false;
}
