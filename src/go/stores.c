#include "go/stores.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "go/dataflow_internal.h"
#include "go/stack.h"

enum {
	/* An instruction that stores to a field names the object's start: objects are mostly smaller. */
	OBJECT_BYTES = 4096,
	/* Functions whose stores are kept; what stands on stacks and holds one object is less. */
	KEPT_MAX = 256,
	/* Bytes of one frame that are searched for a pointer to the object. */
	FRAME_BYTES_MAX = 64 << 10,
	STORES_MAX = 1 << 20, /* 100,000 goroutines that hold one lock, and some */
};

static bool writes(const struct insn_mem *mem)
{
	return mem->write && !mem->implicit;
}

static bool is_string(const struct insn *insn)
{
	for (unsigned i = 0; i < insn->mem_count; i++)
		if (insn->mem[i].repeated && insn->mem[i].write)
			return true;
	return false;
}

static enum store_form form_of(const struct insn *insn, const struct insn_mem *mem)
{
	if (is_string(insn))
		return STORE_STRING;
	if (insn->op == INSN_EXCHANGE || insn->op == INSN_COMPARE_EXCHANGE)
		return STORE_EXCHANGE;
	return mem->read ? STORE_MODIFY : STORE_MOVE;
}

static enum status add(struct stores *stores, const struct store *store, struct error *err)
{
	if (stores->count >= STORES_MAX)
		return error_set(err, ERROR_LIMIT, "more than %d stores", STORES_MAX);
	return ARRAY_PUSH(stores->list, stores->count, stores->cap, *store) ? OK : error_nomem(err);
}

/* Whether n bytes at start hold addr; n 0: their number is not known. */
static bool covers(uint64_t start, uint64_t n, uint64_t addr)
{
	return addr - start < (n ? n : 1);
}

/* Code that names a constant address. */
struct code_search {
	struct runtime *rt;
	uint64_t start, addr;
	struct stores *stores;
	struct dataflow *flow;
	enum status status;
	struct error *err;
};

/* Whether what the instruction calls may take arguments. Functions without have no ArgInfo
 * (cmd/compile/internal/ssagen/pgen.go), nor has assembly. */
static bool takes_arguments(struct runtime *rt, const struct insn *insn)
{
	enum { FLAG_ASM = 4 };
	struct function callee;
	uint64_t info;
	return !insn->has_target || !pclntab_find(rt->pclntab, insn->target, &callee) ||
	       callee.flag & FLAG_ASM ||
	       pclntab_funcdata(rt->pclntab, &callee, FUNCDATA_ARG_INFO, &info);
}

static bool visit_constant(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct code_search *s = context;
	struct store store = {.pc = insn->addr,
			      .function = *dataflow_function(s->flow),
			      .atomic = insn->atomic || insn->exclusive};
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (!writes(mem) && !(mem->repeated && mem->write))
			continue;
		struct flow_value v =
			*dataflow_value(s->flow, flow_address(s->flow, insn, state, mem));
		bool element = v.kind == FLOW_ELEMENT &&
			       dataflow_value(s->flow, v.base)->kind == FLOW_NUMBER;
		uint64_t at = element ? (uint64_t)dataflow_value(s->flow, v.base)->n + (uint64_t)v.n
				      : (uint64_t)v.n;
		/* An array's elements may be any of the variable, which begins there. */
		store.maybe = element || mem->repeated;
		if (element ? at < s->start || at > s->addr || !v.scale ||
				      !covers(0, mem->size, (s->addr - at) % v.scale)
			    : v.kind != FLOW_NUMBER ||
				      !(covers(at, mem->size, s->addr) ||
					(mem->repeated && at >= s->start && at <= s->addr)))
			continue;
		store.form = form_of(insn, mem);
		s->status = add(s->stores, &store, s->err);
		return s->status == OK;
	}
	if (insn->flow != INSN_CALL || !takes_arguments(s->rt, insn))
		return true;
	for (unsigned i = 0; i < FLOW_CALL_ARGS; i++) {
		struct flow_value v =
			*dataflow_value(s->flow, dataflow_argument(s->flow, state, i));
		if (v.kind != FLOW_NUMBER ||
		    ((uint64_t)v.n != s->addr && (uint64_t)v.n != s->start))
			continue;
		store.form = STORE_PASSED;
		store.callee = insn->has_target ? insn->target : 0;
		s->status = add(s->stores, &store, s->err);
		break;
	}
	return s->status == OK;
}

/* A function whose values cannot be followed, instruction by instruction: those that name the address
 * themselves. Compiled code that is so is noted. */
static enum status search_plainly(struct code_search *s, const struct function *fn,
				  const struct error *why)
{
	enum { FLAG_ASM = 4 };
	struct insn_sweep sweep = function_sweep(s->rt, fn);
	sweep.full = true;
	if (!(fn->flag & FLAG_ASM))
		notes_add_error(s->rt->notes, "go", "a function that may write there", why);
	for (struct insn insn; insn_sweep_next(&sweep, &insn);) {
		for (unsigned i = 0; i < insn.mem_count; i++) {
			const struct insn_mem *mem = &insn.mem[i];
			if (!writes(mem) || mem->base != INSN_PC ||
			    !covers((uint64_t)mem->disp, mem->size, s->addr))
				continue;
			struct store store = {.pc = insn.addr,
					      .function = *fn,
					      .form = form_of(&insn, mem),
					      .atomic = insn.atomic || insn.exclusive};
			if (add(s->stores, &store, s->err) != OK)
				return FAILED;
		}
	}
	return OK;
}

static enum status search_function(struct code_search *s, const struct function *fn)
{
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	struct error why;
	if (dataflow_new(s->rt, fn, &flow, &why) != OK)
		return search_plainly(s, fn, &why);
	s->flow = flow;
	dataflow_walk(flow, visit_constant, s);
	s->flow = NULL;
	return s->status;
}

/* The distance from an address that the bytes at p, in code at addr, may refer to up to to. A pc-relative
 * operand's displacement is followed by up to four bytes of an immediate. */
static uint64_t distance_amd64(const uint8_t *p, uint64_t addr, uint64_t to)
{
	return to - (addr + 4 + (uint64_t)(int32_t)load_u32(p));
}

static uint64_t distance_arm64(const uint8_t *p, uint64_t addr, uint64_t to)
{
	uint32_t word = load_u32(p);
	if ((word & 0x9f000000) != 0x90000000) /* adrp */
		return UINT64_MAX;
	int64_t pages = (int64_t)((uint64_t)(word >> 5 & 0x7ffff) << 45) >> 43;
	return to - ((addr & ~UINT64_C(4095)) + (uint64_t)(pages | (word >> 29 & 3)) * 4096);
}

enum status stores_by_code(struct runtime *rt, uint64_t start, uint64_t addr, struct stores *ret,
			   struct error *err)
{
	const struct module *m = &rt->module;
	bool amd64 = rt->target->arch == ARCH_AMD64;
	size_t step = amd64 ? 1 : 4, size = (size_t)(m->etext - m->text);
	/* The longest access begins this far below; arm64's offset in the page comes on top. */
	enum { ACCESS_MAX = 64, IMMEDIATE_MAX = 4 };
	uint64_t most = addr - start + ACCESS_MAX + (amd64 ? IMMEDIATE_MAX : 4096);
	struct stores stores = {0};
	struct code_search search = {
		.rt = rt, .start = start, .addr = addr, .stores = &stores, .err = err};
	const uint8_t *code = m->etext > m->text ? memory_view(rt->target->memory, m->text, size)
						 : NULL;
	if (!code)
		return error_at(err, ERROR_FAULT, m->text, "the program's code is not at hand");
	for (size_t i = 0; i + 4 <= size; i += step) {
		struct function fn;
		uint64_t far = amd64 ? distance_amd64(code + i, m->text + i, addr) + IMMEDIATE_MAX
				     : distance_arm64(code + i, m->text + i, addr);
		if (far > most || !pclntab_find(rt->pclntab, m->text + i, &fn))
			continue;
		if (search_function(&search, &fn) != OK) {
			stores_done(&stores);
			return FAILED;
		}
		if (fn.end > m->text + i + 1 && fn.end <= m->etext)
			i = (size_t)(fn.end - m->text) - step;
	}
	*ret = stores;
	return OK;
}

/* The stores of one function, for as many of its frames as there are. */
struct kept_store {
	uint64_t pc;
	enum store_form form;
	bool atomic;
	uint16_t size;
	flow_id address;
};

struct kept {
	uint64_t entry;
	struct dataflow *flow; /* NULL: it cannot be followed */
	struct kept_store *list;
	size_t count, cap;
	bool failed;
};

struct frame_search {
	struct runtime *rt;
	uint64_t addr;
	struct kept *kept;
	size_t kept_count, kept_cap;
	uint8_t *bytes; /* of a frame */
	struct stores stores;
};

static bool keep_store(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct kept *kept = context;
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (!writes(mem))
			continue;
		struct kept_store store = {insn->addr, form_of(insn, mem),
					   insn->atomic || insn->exclusive, mem->size,
					   flow_address(kept->flow, insn, state, mem)};
		if (dataflow_is_known(kept->flow, store.address) &&
		    !ARRAY_PUSH(kept->list, kept->count, kept->cap, store))
			kept->failed = true;
	}
	return !kept->failed;
}

/* The stores of a function, read once; NULL when memory is out. */
static struct kept *kept_of(struct frame_search *s, const struct function *fn)
{
	for (size_t i = 0; i < s->kept_count; i++)
		if (s->kept[i].entry == fn->entry)
			return &s->kept[i];
	struct kept kept = {.entry = fn->entry};
	struct error why;
	if (s->kept_count == KEPT_MAX) {
		/* The first ones are those of the most goroutines, often. */
		struct kept *last = &s->kept[--s->kept_count];
		dataflow_free(last->flow);
		free(last->list);
	}
	if (dataflow_new(s->rt, fn, &kept.flow, &why) != OK)
		notes_add_error(s->rt->notes, "go", "a function on a stack that may write there",
				&why);
	else
		dataflow_walk(kept.flow, keep_store, &kept);
	if (kept.failed || !ARRAY_PUSH(s->kept, s->kept_count, s->kept_cap, kept)) {
		dataflow_free(kept.flow);
		free(kept.list);
		return NULL;
	}
	return &s->kept[s->kept_count - 1];
}

/* Whether a word is a pointer to the object, as far as its size is known. */
static bool is_near(const struct frame_search *s, uint64_t word)
{
	return word && s->addr - word < OBJECT_BYTES;
}

/* Whether the frame, or its registers, hold what may be a pointer to the object; or the address lies in
 * the frame itself. */
static bool may_hold(struct frame_search *s, const struct frame *frame)
{
	if (s->addr >= frame->sp && s->addr < frame->cfa)
		return true;
	for (unsigned r = 0; frame->regs && r < regs_count(s->rt->target->arch); r++)
		if (is_near(s, frame->regs->r[r]))
			return true;
	/* Arguments that were spilled lie above the frame. */
	enum { SPILLED_BYTES = 128 };
	uint64_t n = frame->cfa > frame->sp ? frame->cfa - frame->sp + SPILLED_BYTES : 0;
	if (n > FRAME_BYTES_MAX)
		n = FRAME_BYTES_MAX;
	/* The oldest frame may end where the stack does. */
	while (n >= 8 && memory_read(s->rt->target->memory, frame->sp, s->bytes, n, NULL) != OK)
		n = n > SPILLED_BYTES ? n - SPILLED_BYTES : 0;
	for (uint64_t i = 0; i + 8 <= n; i += 8)
		if (is_near(s, load_u64(s->bytes + i)))
			return true;
	return false;
}

static bool state_of(struct dataflow *flow, const struct frame *frame, struct flow_state *ret)
{
	struct insn call;
	return frame->is_exact ? dataflow_at(flow, frame->pc, ret)
			       : dataflow_call(flow, frame->pc, &call, ret);
}

static enum status search_frame(struct frame_search *s, const struct goroutine *goroutine,
				size_t number, const struct frame *frame, struct error *err)
{
	struct flow_state state;
	if (!frame->has_function || !may_hold(s, frame))
		return OK;
	struct kept *kept = kept_of(s, &frame->function);
	if (!kept)
		return error_nomem(err);
	if (!kept->flow || !state_of(kept->flow, frame, &state))
		return OK;
	for (size_t i = 0; i < kept->count; i++) {
		const struct kept_store *k = &kept->list[i];
		uint64_t at;
		if (!dataflow_eval(kept->flow, &state, k->address, frame, &at) ||
		    !covers(at, k->size, s->addr))
			continue;
		struct store store = {.pc = k->pc,
				      .function = frame->function,
				      .form = k->form,
				      .atomic = k->atomic,
				      .goroutine = goroutine->id,
				      .g = goroutine->g,
				      .frame = number};
		if (add(&s->stores, &store, err) != OK)
			return FAILED;
	}
	return OK;
}

static void frame_search_done(struct frame_search *s)
{
	for (size_t i = 0; i < s->kept_count; i++) {
		dataflow_free(s->kept[i].flow);
		free(s->kept[i].list);
	}
	free(s->kept);
	free(s->bytes);
}

enum status stores_by_goroutines(struct runtime *rt, const struct goroutines *goroutines,
				 uint64_t addr, struct stores *ret, struct error *err)
{
	struct frame_search s = {.rt = rt, .addr = addr, .bytes = malloc(FRAME_BYTES_MAX)};
	struct stack_walk walk = STACK_WALK_INIT;
	enum status status = s.bytes ? OK : error_nomem(err);
	for (size_t i = 0; i < goroutines->count && status == OK; i++) {
		struct frame frame;
		struct error why;
		const struct goroutine *goroutine = &goroutines->list[i];
		if (stack_walk_start(&walk, rt, goroutine, &why) != OK) {
			notes_add_error(rt->notes, "go", "a goroutine's stack", &why);
			continue;
		}
		for (size_t n = 0; status == OK && stack_walk_next(&walk, &frame); n++)
			status = search_frame(&s, goroutine, n, &frame, err);
	}
	stack_walk_done(&walk);
	frame_search_done(&s);
	if (status == OK)
		*ret = s.stores;
	else
		stores_done(&s.stores);
	return status;
}

void stores_done(struct stores *stores)
{
	free(stores->list);
	*stores = (struct stores){0};
}
