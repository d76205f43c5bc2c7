#include "go/dataflow.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/dataflow_internal.h"

/* Bytes of code of one function that are followed; the largest of Go's own, generated ones, have some
 * 200 KB. */
enum { CODE_MAX = 1 << 18 };
/* Visits of a block on average. A visit that changes nothing ends there, and each word of a state
 * can change twice only; real functions need two or three. */
enum { VISITS_PER_BLOCK = 32 };
/* Targets of one jump table (a switch); those of generated code have some hundreds. */
enum { JUMP_TABLE_MAX = 4096 };

static enum status read_code(struct dataflow *flow, struct error *err)
{
	struct memory *memory = flow->rt->target->memory;
	flow->size = flow->fn.end - flow->fn.entry;
	if (flow->fn.end <= flow->fn.entry || flow->size > CODE_MAX)
		return error_at(err, ERROR_LIMIT, flow->fn.entry, "%.100s is too large to follow",
				flow->fn.name);
	flow->code = memory_view(memory, flow->fn.entry, flow->size);
	if (flow->code)
		return OK;
	flow->copied = malloc(flow->size);
	if (!flow->copied)
		return error_nomem(err);
	flow->code = flow->copied;
	return memory_read(memory, flow->fn.entry, flow->copied, flow->size, err);
}

static bool decode(const struct dataflow *flow, uint64_t pc, bool full, struct insn *ret)
{
	uint64_t at = pc - flow->fn.entry;
	if (at >= flow->size)
		return false;
	return (full ? insn_decode : insn_decode_flow)(flow->arch, flow->code + at, flow->size - at,
						       pc, ret);
}

/* Variables whose address is known outside the function: funcdata StackObjects (runtime/stkframe.go,
 * runtime/stack.go: stackObjectRecord). Others cannot hold a pointer. */
static void read_objects(struct dataflow *flow)
{
	struct memory *memory = flow->rt->target->memory;
	uint64_t at, count;
	flow->objects_complete = true;
	if (!pclntab_funcdata(flow->rt->pclntab, &flow->fn, FUNCDATA_STACK_OBJECTS, &at))
		return;
	/* offsets below 0 count from the word under the saved frame pointer, others from the arguments */
	bool amd64 = flow->arch == ARCH_AMD64;
	int64_t locals = amd64 ? -16 : -8, arguments = amd64 ? 0 : 8;
	flow->objects_complete = memory_read_u64(memory, at, &count, NULL) == OK;
	for (uint64_t i = 0; flow->objects_complete && i < count; i++) {
		uint8_t record[16];
		if (flow->object_count == FLOW_OBJECTS_MAX ||
		    memory_read(memory, at + 8 + i * sizeof(record), record, sizeof(record),
				NULL) != OK) {
			flow->objects_complete = false;
			break;
		}
		int32_t offset = (int32_t)load_u32(record), size = (int32_t)load_u32(record + 4);
		int64_t start = offset + (offset < 0 ? locals : arguments);
		flow->objects[flow->object_count++] = (struct flow_object){start, start + size};
	}
}

static int block_compare(const void *a, const void *b)
{
	const struct flow_block *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static bool add_block(struct dataflow *flow, uint64_t start)
{
	struct flow_block block = {.start = start};
	return ARRAY_PUSH(flow->blocks, flow->block_count, flow->block_cap, block);
}

/* Blocks start at the entry, at what is jumped to, and behind each branch. */
static enum status find_blocks(struct dataflow *flow, struct error *err)
{
	bool ok = add_block(flow, flow->fn.entry);
	struct insn insn;
	for (uint64_t pc = flow->fn.entry; ok && pc < flow->fn.end;) {
		if (!decode(flow, pc, false, &insn)) {
			pc += insn_step(flow->arch);
			continue;
		}
		pc += insn.length;
		if (insn.has_target && insn.flow != INSN_CALL &&
		    insn.target - flow->fn.entry < flow->size)
			ok = add_block(flow, insn.target);
		if (ok && insn.flow == INSN_BRANCH)
			ok = add_block(flow, pc);
	}
	if (!ok)
		return error_nomem(err);
	qsort(flow->blocks, flow->block_count, sizeof(*flow->blocks), block_compare);
	size_t kept = 1;
	for (size_t i = 1; i < flow->block_count; i++)
		if (flow->blocks[i].start != flow->blocks[kept - 1].start)
			flow->blocks[kept++] = flow->blocks[i];
	flow->block_count = kept;
	return OK;
}

/* The last block that starts at or below pc. */
static struct flow_block *block_at(struct dataflow *flow, uint64_t pc)
{
	size_t lo = 0, hi = flow->block_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (flow->blocks[mid].start <= pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &flow->blocks[lo - 1] : NULL;
}

/* Keeps of to what from agrees with; true when something was lost. */
static bool join(struct flow_state *to, const struct flow_state *from)
{
	bool changed = false;
	for (unsigned r = 0; r < 33; r++) {
		if (to->regs[r] && to->regs[r] != from->regs[r]) {
			to->regs[r] = 0;
			changed = true;
		}
	}
	size_t kept = 0;
	for (size_t i = 0; i < to->slot_count; i++)
		if (dataflow_slot(from, to->slots[i].offset) == to->slots[i].value)
			to->slots[kept++] = to->slots[i];
	changed |= kept != to->slot_count;
	to->slot_count = kept;
	return changed;
}

static uint64_t block_end(const struct dataflow *flow, const struct flow_block *block)
{
	return block + 1 < flow->blocks + flow->block_count ? block[1].start : flow->fn.end;
}

/* Makes a block start at pc; false when memory is out. Blocks move. */
static bool split_at(struct dataflow *flow, uint64_t pc)
{
	struct flow_block *before = block_at(flow, pc);
	if (!before || before->start == pc)
		return true;
	size_t at = (size_t)(before - flow->blocks) + 1;
	before->queued |= before->reached; /* it now ends earlier, and must tell the new one */
	if (!add_block(flow, pc))
		return false;
	struct flow_block added = flow->blocks[flow->block_count - 1];
	memmove(&flow->blocks[at + 1], &flow->blocks[at],
		(flow->block_count - 1 - at) * sizeof(added));
	flow->blocks[at] = added;
	return true;
}

/* Control gets to pc with this state. */
static void enter(struct dataflow *flow, uint64_t pc, const struct flow_state *state)
{
	struct flow_block *block = block_at(flow, pc);
	if (!block || block->start != pc)
		return;
	if (!block->reached) {
		block->in = *state;
		block->reached = block->queued = true;
	} else if (join(&block->in, state)) {
		block->queued = true;
	}
}

static bool add_edge(struct dataflow *flow, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < flow->edge_count; i++)
		if (flow->edges[i].from == from && flow->edges[i].to == to)
			return true;
	struct flow_edge edge = {from, to};
	return ARRAY_PUSH(flow->edges, flow->edge_count, flow->edge_cap, edge);
}

/* A jump through a table: cmd/compile lays one out for large switches (from 1.19 on amd64, 1.22 on
 * arm64), as words that are addresses in the function. What follows such a table and looks like its
 * go-on is followed too: that can only make values unknown. */
static bool enter_table(struct dataflow *flow, uint64_t jump, uint64_t table,
			const struct flow_state *state)
{
	struct memory *memory = flow->rt->target->memory;
	uint64_t target;
	for (unsigned i = 0; i < JUMP_TABLE_MAX; i++) {
		if (memory_read_u64(memory, table + i * 8, &target, NULL) != OK ||
		    target - flow->fn.entry >= flow->size)
			return i > 0;
		if (!split_at(flow, target) || !add_edge(flow, jump, target))
			return false;
		enter(flow, target, state);
	}
	return true;
}

/* Runs through block number index and tells the blocks behind it. */
static void run_block(struct dataflow *flow, size_t index)
{
	struct flow_block *block = &flow->blocks[index];
	struct flow_state state = block->in;
	struct insn insn;
	uint64_t end = block_end(flow, block);
	block->queued = false;
	for (uint64_t pc = block->start; pc < end; pc += insn.length) {
		if (!decode(flow, pc, true, &insn))
			return;
		uint64_t table = insn.flow == INSN_JUMP && !insn.has_target
					 ? flow_jump_table(flow, &insn, &state)
					 : 0;
		bool goes_on = flow_step(flow, &insn, &state);
		if (insn.has_target && insn.flow != INSN_CALL)
			enter(flow, insn.target, &state);
		if (insn.flow == INSN_JUMP && !insn.has_target &&
		    !(table && enter_table(flow, pc, table, &state)))
			flow->lost = true;
		if (!goes_on)
			return;
	}
	enter(flow, end, &state);
}

/* From the entry until nothing changes any more; always the first block that waits, so that what
 * leads to a block has mostly been run before it. */
static enum status run(struct dataflow *flow, struct error *err)
{
	struct flow_state entry;
	flow_entry(flow, &entry);
	enter(flow, flow->fn.entry, &entry);
	size_t visits = 0;
	for (size_t i = 0; i < flow->block_count;) {
		if (!flow->blocks[i].queued) {
			i++;
			continue;
		}
		if (visits++ > flow->block_count * VISITS_PER_BLOCK)
			return error_at(err, ERROR_LIMIT, flow->fn.entry,
					"%.100s: its code does not settle", flow->fn.name);
		run_block(flow, i);
		/* a jump back may have queued an earlier one */
		for (size_t k = 0; k < i; k++) {
			if (flow->blocks[k].queued) {
				i = k;
				break;
			}
		}
	}
	/* Code that we did not see could join any state with others. */
	if (flow->lost)
		return error_at(err, ERROR_UNSUPPORTED, flow->fn.entry,
				"%.100s: a jump in it cannot be followed", flow->fn.name);
	return OK;
}

void dataflow_free(struct dataflow *flow)
{
	if (!flow)
		return;
	free(flow->copied);
	free(flow->values);
	free(flow->value_table);
	free(flow->calls);
	free(flow->stores);
	free(flow->blocks);
	free(flow->edges);
	free(flow);
}

enum status dataflow_new(struct runtime *rt, const struct function *fn, struct dataflow **ret,
			 struct error *err)
{
	AUTO_DATAFLOW struct dataflow *flow = calloc(1, sizeof(*flow));
	if (!flow)
		return error_nomem(err);
	flow->rt = rt;
	flow->fn = *fn;
	flow->arch = rt->target->arch;
	flow->value_table = calloc(FLOW_VALUES_MAX * 2, sizeof(*flow->value_table));
	struct flow_value unknown = {.kind = FLOW_UNKNOWN};
	if (!flow->value_table ||
	    !ARRAY_PUSH(flow->values, flow->value_count, flow->value_cap, unknown))
		return error_nomem(err);
	if (read_code(flow, err) != OK)
		return FAILED;
	read_objects(flow);
	if (find_blocks(flow, err) != OK || run(flow, err) != OK)
		return FAILED;
	*ret = TAKE(flow);
	return OK;
}

const struct function *dataflow_function(const struct dataflow *flow)
{
	return &flow->fn;
}

size_t dataflow_edges(const struct dataflow *flow, const struct flow_edge **ret)
{
	*ret = flow->edges;
	return flow->edge_count;
}

bool dataflow_decode(const struct dataflow *flow, uint64_t pc, struct insn *ret)
{
	return decode(flow, pc, false, ret);
}

/* Runs from the start of pc's block until stop says so of an instruction; fills in the state before
 * it. */
static bool run_until(struct dataflow *flow, uint64_t pc,
		      bool (*stop)(const struct insn *insn, uint64_t pc), struct insn *ret_insn,
		      struct flow_state *ret)
{
	struct flow_block *block = block_at(flow, pc);
	if (!block || !block->reached)
		return false;
	uint64_t end = block_end(flow, block);
	*ret = block->in;
	for (uint64_t at = block->start; at < end; at += ret_insn->length) {
		if (!decode(flow, at, true, ret_insn))
			return false;
		if (stop(ret_insn, pc))
			return true;
		if (!flow_step(flow, ret_insn, ret))
			return false;
	}
	return false;
}

static bool is_at(const struct insn *insn, uint64_t pc)
{
	return insn->addr == pc;
}

static bool is_call_to(const struct insn *insn, uint64_t pc)
{
	return insn->flow == INSN_CALL && insn->addr + insn->length - 1 == pc;
}

bool dataflow_at(struct dataflow *flow, uint64_t pc, struct flow_state *ret)
{
	struct insn insn;
	return run_until(flow, pc, is_at, &insn, ret);
}

bool dataflow_call(struct dataflow *flow, uint64_t return_addr, struct insn *ret_call,
		   struct flow_state *ret)
{
	return run_until(flow, return_addr - 1, is_call_to, ret_call, ret);
}

void dataflow_walk(struct dataflow *flow,
		   bool (*visit)(void *context, const struct insn *insn,
				 const struct flow_state *state),
		   void *context)
{
	for (size_t i = 0; i < flow->block_count; i++) {
		struct flow_block *block = &flow->blocks[i];
		struct flow_state state = block->in;
		struct insn insn;
		uint64_t end = block_end(flow, block);
		if (!block->reached)
			continue;
		for (uint64_t pc = block->start; pc < end; pc += insn.length) {
			if (!decode(flow, pc, true, &insn))
				break;
			if (!visit(context, &insn, &state))
				return;
			if (!flow_step(flow, &insn, &state))
				break;
		}
	}
}

bool dataflow_callee(const struct dataflow *flow, uint64_t call, struct function *ret)
{
	for (size_t i = 0; i < flow->call_count; i++)
		if (flow->calls[i].addr == call)
			return flow->calls[i].target &&
			       pclntab_find(flow->rt->pclntab, flow->calls[i].target, ret);
	return false;
}

flow_id dataflow_call_argument(const struct dataflow *flow, uint64_t call, unsigned n)
{
	for (size_t i = 0; n < FLOW_CALL_ARGS && i < flow->call_count; i++)
		if (flow->calls[i].addr == call)
			return flow->calls[i].args[n];
	return 0;
}

/* Reads a word that a place of the frame holds by what the code says. */
static bool eval_slot(const struct dataflow *flow, const struct flow_state *state, flow_id id,
		      const struct frame *frame, uint64_t *ret)
{
	for (size_t i = 0; frame->cfa && i < state->slot_count; i++)
		if (state->slots[i].value == id)
			return memory_read_u64(flow->rt->target->memory,
					       frame->cfa + (uint64_t)state->slots[i].offset, ret,
					       NULL) == OK;
	for (unsigned r = 0; frame->regs && r < regs_count(flow->arch); r++) {
		if (state->regs[r] == id) {
			*ret = frame->regs->r[r];
			return true;
		}
	}
	return false;
}

/* Loads that are followed in memory to get at one value. */
enum { EVAL_DEPTH = 8 };

bool dataflow_eval(const struct dataflow *flow, const struct flow_state *state, flow_id id,
		   const struct frame *frame, uint64_t *ret)
{
	struct {
		int64_t add;
		bool load;
	} steps[EVAL_DEPTH];
	unsigned depth = 0;
	uint64_t v;
	if (!dataflow_is_known(flow, id))
		return false;
	while (!eval_slot(flow, state, id, frame, &v)) {
		const struct flow_value *value = dataflow_value(flow, id);
		if (value->kind == FLOW_NUMBER) {
			v = (uint64_t)value->n;
			break;
		}
		if (value->kind == FLOW_FRAME && frame->cfa) {
			v = frame->cfa + (uint64_t)value->n;
			break;
		}
		if ((value->kind != FLOW_OFFSET && value->kind != FLOW_LOAD) || depth == EVAL_DEPTH)
			return false;
		steps[depth].add = value->n;
		steps[depth++].load = value->kind == FLOW_LOAD;
		id = value->base;
	}
	while (depth--) {
		v += (uint64_t)steps[depth].add;
		if (steps[depth].load &&
		    memory_read_u64(flow->rt->target->memory, v, &v, NULL) != OK)
			return false;
	}
	*ret = v;
	return true;
}
