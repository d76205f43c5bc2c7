#include "go/dataflow_internal.h"

#include <string.h>

/* cmd/compile/internal/ssa/opGen.go: registers of ABIInternal. */
static const uint8_t amd64_args[] = {AMD64_RAX, AMD64_RBX, AMD64_RCX, AMD64_RDI, AMD64_RSI,
				     AMD64_R8,	AMD64_R9,  AMD64_R10, AMD64_R11};
static const uint8_t arm64_args[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

/* Bytes above the stack pointer that a callee whose argument size is unknown may write: results and
 * spilled registers of nine words and some. */
enum { OUTGOING_BYTES = 128 };

unsigned flow_argument_regs(enum arch arch, const uint8_t **ret)
{
	*ret = arch == ARCH_AMD64 ? amd64_args : arm64_args;
	return arch == ARCH_AMD64 ? sizeof(amd64_args) : sizeof(arm64_args);
}

static unsigned context_reg(enum arch arch)
{
	return arch == ARCH_AMD64 ? AMD64_RDX : 26;
}

static unsigned stack_reg(enum arch arch)
{
	return arch == ARCH_AMD64 ? AMD64_RSP : ARM64_SP;
}

void flow_entry(struct dataflow *flow, struct flow_state *ret)
{
	const uint8_t *args;
	unsigned count = flow_argument_regs(flow->arch, &args);
	memset(ret, 0, sizeof(*ret));
	for (unsigned i = 0; i < count; i++)
		ret->regs[args[i]] =
			flow_intern(flow, (struct flow_value){.kind = FLOW_ARG, .n = i});
	ret->regs[context_reg(flow->arch)] =
		flow_intern(flow, (struct flow_value){.kind = FLOW_CLOSURE});
}

flow_id dataflow_slot(const struct flow_state *state, int64_t offset)
{
	for (size_t i = 0; i < state->slot_count; i++)
		if (state->slots[i].offset == offset)
			return state->slots[i].value;
	return 0;
}

/* Forgets the words of the frame that [start, end) touches. */
static void forget_slots(struct flow_state *state, int64_t start, int64_t end)
{
	size_t kept = 0;
	for (size_t i = 0; i < state->slot_count; i++) {
		int64_t at = state->slots[i].offset;
		if (at >= end || at + 8 <= start)
			state->slots[kept++] = state->slots[i];
	}
	state->slot_count = kept;
}

static void set_slot(struct flow_state *state, int64_t offset, uint64_t size, flow_id value)
{
	int64_t end = offset > INT64_MAX - (int64_t)size ? INT64_MAX : offset + (int64_t)size;
	forget_slots(state, offset, end);
	if (size == 8 && value && state->slot_count < FLOW_SLOTS_MAX && offset >= INT32_MIN &&
	    offset <= INT32_MAX)
		state->slots[state->slot_count++] = (struct flow_slot){(int32_t)offset, value};
}

/* What somebody else may have written meanwhile: the variables whose address is known outside. */
static void forget_objects(const struct dataflow *flow, struct flow_state *state)
{
	if (!flow->objects_complete)
		state->slot_count = 0;
	for (size_t i = 0; i < flow->object_count; i++)
		forget_slots(state, flow->objects[i].start, flow->objects[i].end);
}

/* The value of a register before the instruction. The stack pointer comes from the function table:
 * pushes, pops and adjustments need not be understood. */
static flow_id reg_value(struct dataflow *flow, const struct insn *insn,
			 const struct flow_state *state, unsigned reg)
{
	int32_t delta;
	if (reg != stack_reg(flow->arch))
		return reg < 33 ? state->regs[reg] : 0;
	if (!pclntab_sp_delta(flow->rt->pclntab, &flow->fn, insn->addr, &delta))
		return 0;
	int64_t n = -(int64_t)delta - (flow->arch == ARCH_AMD64 ? 8 : 0);
	return flow_intern(flow, (struct flow_value){.kind = FLOW_FRAME, .n = n});
}

flow_id flow_address(struct dataflow *flow, const struct insn *insn, const struct flow_state *state,
		     const struct insn_mem *mem)
{
	if (mem->segment != INSN_SEGMENT_NONE || mem->scattered || mem->address_32)
		return 0;
	flow_id base;
	if (mem->base == INSN_PC || mem->base == INSN_NO_REG) {
		base = flow_intern(flow, (struct flow_value){.kind = FLOW_NUMBER, .n = mem->disp});
	} else {
		base = flow_add(flow, reg_value(flow, insn, state, mem->base), mem->disp);
	}
	if (mem->index == INSN_NO_REG)
		return base;
	/* No telling what the index is: an element of what base points to. */
	struct flow_value v = *dataflow_value(flow, base);
	struct flow_value element = {.kind = FLOW_ELEMENT, .base = base, .scale = mem->scale};
	if (v.kind == FLOW_OFFSET) {
		element.base = v.base;
		element.n = v.n;
	}
	return flow_intern(flow, element);
}

static flow_id load(struct dataflow *flow, const struct flow_state *state, flow_id address,
		    uint64_t size)
{
	struct flow_value v = *dataflow_value(flow, address);
	if (size != 8)
		return 0;
	if (v.kind == FLOW_FRAME) {
		flow_id known = dataflow_slot(state, v.n);
		if (known)
			return known;
	}
	struct flow_value word = {.kind = FLOW_LOAD, .base = address};
	if (v.kind == FLOW_OFFSET) {
		word.base = v.base;
		word.n = v.n;
	}
	return flow_intern(flow, word);
}

static flow_id operand_value(struct dataflow *flow, const struct insn *insn,
			     const struct flow_state *state, const struct insn_operand *op)
{
	switch (op->kind) {
	case INSN_REG:
		return op->size == 8 && !op->high ? reg_value(flow, insn, state, op->reg) : 0;
	case INSN_IMM:
		return flow_intern(flow, (struct flow_value){.kind = FLOW_NUMBER, .n = op->imm});
	case INSN_MEM:
		return load(flow, state, flow_address(flow, insn, state, &insn->mem[op->mem]),
			    op->size);
	default:
		return 0;
	}
}

/* Where the instruction computes something that we follow: its value, else FLOW_UNKNOWN. */
static flow_id result_value(struct dataflow *flow, const struct insn *insn,
			    const struct flow_state *state)
{
	const struct insn_operand *a = &insn->src[0], *b = &insn->src[1];
	struct flow_value n;
	switch (insn->op) {
	case INSN_MOVE:
		/* a 32-bit constant stands for the whole register, zero-extended */
		if (a->kind == INSN_IMM && insn->dst.size == 4)
			return flow_intern(flow, (struct flow_value){.kind = FLOW_NUMBER,
								     .n = (uint32_t)a->imm});
		return insn->dst.size == 8 ? operand_value(flow, insn, state, a) : 0;
	case INSN_LEA:
		if (a->kind != INSN_MEM || insn->dst.size != 8)
			return 0;
		return flow_address(flow, insn, state, &insn->mem[a->mem]);
	case INSN_ADD:
	case INSN_SUB:
		if (insn->dst.size != 8)
			return 0;
		n = *dataflow_value(flow, operand_value(flow, insn, state, b));
		if (n.kind != FLOW_NUMBER)
			return 0;
		return flow_add(flow, operand_value(flow, insn, state, a),
				insn->op == INSN_SUB ? (int64_t)(0 - (uint64_t)n.n) : n.n);
	default:
		return 0;
	}
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool never_returns(const char *name)
{
	return starts_with(name, "runtime.panic") || starts_with(name, "runtime.goPanic") ||
	       starts_with(name, "runtime.fatal") || strcmp(name, "runtime.gopanic") == 0 ||
	       strcmp(name, "runtime.throw") == 0;
}

bool dataflow_returns(const struct dataflow *flow, const struct insn *call)
{
	struct function callee;
	return !call->has_target || !pclntab_find(flow->rt->pclntab, call->target, &callee) ||
	       !never_returns(callee.name);
}

/* Notes the call and what its first arguments are; a second visit with others makes them unknown. */
static void note_call(struct dataflow *flow, const struct insn *insn,
		      const struct flow_state *state)
{
	struct flow_call *call = flow_call_at(flow, insn->addr);
	if (!call)
		return;
	call->target = insn->has_target ? insn->target : 0;
	for (unsigned i = 0; i < FLOW_CALL_ARGS; i++) {
		flow_id now = dataflow_argument(flow, state, i);
		call->args[i] = !call->seen || call->args[i] == now ? now : 0;
	}
	call->seen = true;
}

/* How far the instruction moves the pointer that duffzero and duffcopy write through. */
static int64_t pointer_moves(const struct insn *insn, unsigned to)
{
	if (insn->dst.kind != INSN_REG || insn->dst.reg != to)
		return 0;
	if (insn->op == INSN_LEA)
		return insn->mem[insn->src[0].mem].disp;
	return insn->op == INSN_ADD ? insn->src[1].imm : 0;
}

/* A jump into the middle of duffzero or duffcopy (runtime/duff_*.s): fills or copies what lies at its
 * destination register, by the stores from there to its end. On arm64 each of them moves the register by
 * what it stores. */
static void step_duff(struct dataflow *flow, const struct insn *call, const struct function *fn,
		      bool copies, struct flow_state *state)
{
	struct memory *memory = flow->rt->target->memory;
	bool amd64 = flow->arch == ARCH_AMD64;
	unsigned to = amd64 ? AMD64_RDI : copies ? 21 : 20;
	struct flow_value start = *dataflow_value(flow, state->regs[to]);
	uint8_t code[INSN_LENGTH_MAX];
	struct insn insn;
	int64_t moved = 0, from = INT64_MAX,
		bytes = 0; /* distances from where the register points */
	for (uint64_t pc = call->target; pc < fn->end; pc += insn.length) {
		size_t n = fn->end - pc < sizeof(code) ? (size_t)(fn->end - pc) : sizeof(code);
		if (memory_read(memory, pc, code, n, NULL) != OK ||
		    !insn_decode(flow->arch, code, n, pc, &insn))
			break;
		for (unsigned i = 0; i < insn.mem_count; i++) {
			if (!insn.mem[i].write || insn.mem[i].implicit)
				continue;
			int64_t at = amd64 ? moved + insn.mem[i].disp : bytes;
			from = at < from ? at : from;
			bytes = at + insn.mem[i].size > bytes ? at + insn.mem[i].size : bytes;
		}
		moved += amd64 ? pointer_moves(&insn, to) : 0;
	}
	if (start.kind == FLOW_FRAME)
		forget_slots(state, start.n + (from < bytes ? from : 0), start.n + bytes);
	else if (start.kind == FLOW_UNKNOWN)
		state->slot_count = 0;
	else
		forget_objects(flow, state);
	/* the pointers move, and a copy goes through one more */
	state->regs[flow->arch == ARCH_AMD64 ? AMD64_RDI : 20] = 0;
	state->regs[flow->arch == ARCH_AMD64 ? AMD64_RSI : 21] = 0;
	state->regs[flow->arch == ARCH_AMD64 ? AMD64_RCX : 27] = 0;
	state->regs[flow->arch == ARCH_AMD64 ? AMD64_R11 : 26] = 0;
}

/* A call of one of the runtime's helpers, which have conventions of their own; false for any other
 * function. *ret_returns: whether control comes back. */
static bool step_helper(struct dataflow *flow, const struct insn *insn,
			const struct function *callee, struct flow_state *state, bool *ret_returns)
{
	const char *name = callee->name;
	*ret_returns = true;
	if (never_returns(name)) {
		*ret_returns = false;
		return true;
	}
	if (starts_with(name, "runtime.gcWriteBarrier")) {
		/* keeps all but the register that it answers in */
		state->regs[flow->arch == ARCH_AMD64 ? AMD64_R11 : 25] = 0;
		return true;
	}
	bool copies = strcmp(callee->name, "runtime.duffcopy") == 0;
	if (copies || strcmp(name, "runtime.duffzero") == 0) {
		step_duff(flow, insn, callee, copies, state);
		return true;
	}
	if (strcmp(name, "runtime.morestack") == 0) {
		/* the function starts again with its closure (gogo restores it), and the arguments
		 * that it has spilled */
		flow_id closure = state->regs[context_reg(flow->arch)];
		memset(state->regs, 0, sizeof(state->regs));
		state->regs[context_reg(flow->arch)] = closure;
		return true;
	}
	return starts_with(name, "runtime.morestack");
}

static bool step_call(struct dataflow *flow, const struct insn *insn, struct flow_state *state)
{
	const uint8_t *args;
	unsigned count = flow_argument_regs(flow->arch, &args);
	struct function callee;
	bool returns;
	bool direct = insn->has_target && pclntab_find(flow->rt->pclntab, insn->target, &callee);
	int64_t outgoing = direct && callee.args >= 0 ? callee.args : OUTGOING_BYTES;
	note_call(flow, insn, state);
	if (direct && step_helper(flow, insn, &callee, state, &returns))
		return returns;
	struct flow_value sp =
		*dataflow_value(flow, reg_value(flow, insn, state, stack_reg(flow->arch)));
	if (sp.kind == FLOW_FRAME)
		forget_slots(state, sp.n, sp.n + outgoing);
	else
		state->slot_count = 0;
	forget_objects(flow, state);
	flow_id frame_pointer = state->regs[flow->arch == ARCH_AMD64 ? AMD64_RBP : ARM64_FP];
	memset(state->regs, 0, sizeof(state->regs));
	state->regs[flow->arch == ARCH_AMD64 ? AMD64_RBP : ARM64_FP] = frame_pointer;
	for (unsigned i = 0; i < count; i++)
		state->regs[args[i]] = flow_intern(
			flow, (struct flow_value){.kind = FLOW_RESULT, .n = i, .call = insn->addr});
	return true;
}

/* What the instruction writes to memory. */
static void step_stores(struct dataflow *flow, const struct insn *insn, struct flow_state *state,
			flow_id value, bool has_value)
{
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (!mem->write)
			continue;
		flow_id address = flow_address(flow, insn, state, mem);
		struct flow_value to = *dataflow_value(flow, address);
		bool whole = has_value && insn->dst.kind == INSN_MEM && insn->dst.mem == i &&
			     !mem->conditional;
		flow_id base = to.kind == FLOW_OFFSET ? to.base : address;
		if (dataflow_value(flow, base)->kind == FLOW_RESULT)
			flow_note_store(flow, base, to.kind == FLOW_OFFSET ? to.n : 0,
					whole ? value : 0);
		if (to.kind == FLOW_FRAME && !mem->repeated && mem->size)
			set_slot(state, to.n, mem->size, whole ? value : 0);
		else if (to.kind == FLOW_FRAME)
			forget_slots(state, to.n, INT64_MAX);
		else
			forget_objects(flow, state);
		if (to.kind == FLOW_ELEMENT && dataflow_value(flow, to.base)->kind == FLOW_FRAME)
			state->slot_count = 0;
	}
}

/* The stores of arm64's stp: a and b go to the address first and behind it. */
static void step_pair_store(struct dataflow *flow, struct flow_state *state, flow_id first,
			    flow_id a, flow_id b)
{
	struct flow_value to = *dataflow_value(flow, first);
	flow_id base = to.kind == FLOW_OFFSET ? to.base : first;
	int64_t n = to.kind == FLOW_OFFSET ? to.n : 0;
	if (dataflow_value(flow, base)->kind == FLOW_RESULT) {
		flow_note_store(flow, base, n, a);
		flow_note_store(flow, base, n + 8, b);
	}
	if (to.kind == FLOW_FRAME) {
		set_slot(state, to.n, 8, a);
		set_slot(state, to.n + 8, 8, b);
	} else {
		forget_objects(flow, state);
	}
	if (to.kind == FLOW_ELEMENT && dataflow_value(flow, to.base)->kind == FLOW_FRAME)
		state->slot_count = 0;
}

/* arm64's loads and stores of two registers, which spill arguments and take them back. */
static void step_pair(struct dataflow *flow, const struct insn *insn, struct flow_state *state)
{
	const struct insn_operand *src = insn->src;
	bool loads = insn->mem[0].read;
	flow_id first = flow_address(flow, insn, state, &insn->mem[0]);
	flow_id a = loads ? load(flow, state, first, 8) : operand_value(flow, insn, state, &src[0]);
	flow_id b = loads ? load(flow, state, flow_add(flow, first, 8), 8)
			  : operand_value(flow, insn, state, &src[1]);
	if (!loads)
		step_pair_store(flow, state, first, a, b);
	for (unsigned r = 0; r < 33; r++)
		if (insn->writes & 1ULL << r)
			state->regs[r] = 0;
	if (loads && src[0].kind == INSN_REG)
		state->regs[src[0].reg] = a;
	if (loads && src[1].kind == INSN_REG)
		state->regs[src[1].reg] = b;
}

bool flow_step(struct dataflow *flow, const struct insn *insn, struct flow_state *state)
{
	if (insn->flow == INSN_CALL)
		return step_call(flow, insn, state);
	if (insn->op == INSN_PAIR) {
		step_pair(flow, insn, state);
		return true;
	}
	flow_id value = result_value(flow, insn, state);
	bool has_value = insn->op == INSN_MOVE;
	step_stores(flow, insn, state, value, has_value);
	for (unsigned r = 0; r < 33; r++)
		if (insn->writes & 1ULL << r)
			state->regs[r] = 0;
	if (insn->dst.kind == INSN_REG && insn->dst.reg < 33 && !insn->dst.high && value)
		state->regs[insn->dst.reg] = value;
	return insn->flow == INSN_NEXT || insn->flow == INSN_BRANCH;
}

uint64_t flow_jump_table(struct dataflow *flow, const struct insn *insn,
			 const struct flow_state *state)
{
	flow_id address = 0;
	if (insn->mem_count == 1 && insn->mem[0].read && !insn->mem[0].implicit) {
		address = flow_address(flow, insn, state, &insn->mem[0]);
	} else if (insn->reads && !(insn->reads & (insn->reads - 1))) {
		/* through the one register that it reads */
		struct flow_value v =
			*dataflow_value(flow, state->regs[__builtin_ctzll(insn->reads) % 33]);
		address = v.kind == FLOW_LOAD && v.n == 0 ? v.base : 0;
	}
	struct flow_value element = *dataflow_value(flow, address);
	struct flow_value table = *dataflow_value(flow, element.base);
	bool is_table = element.kind == FLOW_ELEMENT && element.scale == 8 &&
			table.kind == FLOW_NUMBER;
	return is_table ? (uint64_t)table.n + (uint64_t)element.n : 0;
}

flow_id dataflow_argument(const struct dataflow *flow, const struct flow_state *state, unsigned n)
{
	const uint8_t *args;
	unsigned count = flow_argument_regs(flow->arch, &args);
	return n < count ? state->regs[args[n]] : 0;
}
