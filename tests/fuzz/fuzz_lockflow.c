/*
 * Bytes as the code of two functions, followed for values and for locks. The first byte chooses the
 * machine, the second where the second function's code begins; calls can lead to package sync's functions
 * behind them.
 */
#include "go/lockflow.h"
#include "unit/go/forge_stack.h"

enum { SIZE = 0x400, OWN = 2 };

static const struct forged_function functions[] = {
	{"main.one", SIZE, 0x20},
	{"main.two", SIZE, 8},
	{"sync.(*Mutex).Lock", 0x40},
	{"sync.(*Mutex).lockSlow", 0x40},
	{"sync.(*Mutex).Unlock", 0x40},
	{"sync.(*Mutex).unlockSlow", 0x40},
	{"sync.(*Mutex).TryLock", 0x40},
	{"sync.(*RWMutex).RLock", 0x40},
	{"sync.(*RWMutex).rUnlockSlow", 0x40},
	{"sync.runtime_SemacquireRWMutexR", 0x40},
	{"runtime.duffzero", 0x40},
	{"runtime.gcWriteBarrier1", 0x40},
	{"runtime.gopanic", 0x40},
	{"runtime.morestack", 0x40},
};
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool eval_all(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct dataflow *flow = context;
	struct frame frame = {.cfa = STACK_STACKS + 0x800, .sp = STACK_STACKS + 0x700};
	uint64_t value;
	(void)insn;
	for (unsigned r = 0; r < 33; r++)
		(void)dataflow_eval(flow, state, state->regs[r], &frame, &value);
	return true;
}

static void follow(struct runtime *rt, struct lockflow *locks, uint64_t entry)
{
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	struct function fn;
	if (!pclntab_find(rt->pclntab, entry, &fn) || dataflow_new(rt, &fn, &flow, NULL) != OK)
		return;
	dataflow_walk(flow, eval_all, flow);
	(void)lockflow_uses_locks(locks, &fn);
	for (uint64_t pc = fn.entry; pc < fn.end; pc += SIZE / 8) {
		struct lock_holds holds = {0};
		(void)lockflow_unfollowed(locks, &fn, pc);
		(void)lockflow_leads(flow, fn.entry, pc);
		if (lockflow_before(locks, flow, pc, &holds, NULL) == OK)
			for (size_t i = 0; i < holds.count; i++)
				(void)dataflow_is_known(flow, holds.list[i].lock);
		lock_holds_done(&holds);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[OWN * SIZE + FUNCTIONS * 0x40];
	struct library library = {"", 0};
	struct lockflow *locks = NULL;
	if (size < 2)
		return 0;
	struct forged_program *p =
		program_new(functions, FUNCTIONS, data[0] & 1 ? ARCH_ARM64 : ARCH_AMD64);
	if (!p)
		return 0;
	size_t split = (size_t)data[1] * 4;
	data += 2;
	size -= 2;
	split = split < size ? split : size;
	memset(text, 0, sizeof(text));
	memcpy(text, data, split < SIZE ? split : SIZE);
	memcpy(text + SIZE, data + split, size - split < SIZE ? size - split : SIZE);
	if (!program_lay(&p->forge, STACK_TEXT, text, sizeof(text), false))
		abort();
	if (lockflow_new(&p->forge.rt, &library, &locks, NULL) == OK) {
		follow(&p->forge.rt, locks, p->entries[0]);
		follow(&p->forge.rt, locks, p->entries[1]);
	}
	lockflow_free(locks);
	program_done(p);
	return 0;
}
