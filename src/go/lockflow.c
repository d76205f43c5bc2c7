#include "go/lockflow.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "go/dataflow_internal.h"
#include "go/lockways.h"

/* Calls that are looked into for a lock that is taken for the caller: a helper of a helper. */
enum { HELPER_DEPTH_MAX = 3 };
/* Functions that are looked at in one search: bounds the time on huge programs. */
enum { FUNCTIONS_MAX = 8000 };
/* Locks that one function takes or gives back. */
enum { EFFECTS_MAX = 8, KEYS_MAX = 32 };
/* Parts of the value that names a helper's lock in its caller. */
enum { VALUE_DEPTH_MAX = 8 };

/* What a function of sync does. Where the fast path of one is inlined, its slow path is called still, in
 * the function that it is inlined into: sync/mutex.go, sync/rwmutex.go, internal/sync/mutex.go. */
enum lock_path {
	PATH_WHOLE,
	PATH_SLOW, /* the fast path is an atomic instruction of the caller's */
};

static const struct lock_function {
	const char *name; /* one that ends in '*' is a prefix */
	enum lock_kind kind;
	enum lock_op op;
	bool read;
	enum lock_path path;
	int64_t offset; /* in the lock, of what the argument points to */
} lock_functions[] = {
	{"sync.(*Mutex).Lock", LOCK_MUTEX, LOCK_TAKE, false, PATH_WHOLE, 0},
	{"sync.(*Mutex).lockSlow", LOCK_MUTEX, LOCK_TAKE, false, PATH_SLOW, 0},
	{"sync.(*Mutex).TryLock", LOCK_MUTEX, LOCK_TRY, false, PATH_WHOLE, 0},
	{"sync.(*Mutex).Unlock", LOCK_MUTEX, LOCK_GIVE, false, PATH_WHOLE, 0},
	{"sync.(*Mutex).unlockSlow", LOCK_MUTEX, LOCK_GIVE, false, PATH_SLOW, 0},
	{"internal/sync.(*Mutex).Lock", LOCK_MUTEX, LOCK_TAKE, false, PATH_WHOLE, 0},
	{"internal/sync.(*Mutex).lockSlow", LOCK_MUTEX, LOCK_TAKE, false, PATH_SLOW, 0},
	{"internal/sync.(*Mutex).TryLock", LOCK_MUTEX, LOCK_TRY, false, PATH_WHOLE, 0},
	{"internal/sync.(*Mutex).Unlock", LOCK_MUTEX, LOCK_GIVE, false, PATH_WHOLE, 0},
	{"internal/sync.(*Mutex).unlockSlow", LOCK_MUTEX, LOCK_GIVE, false, PATH_SLOW, 0},
	{"sync.(*RWMutex).Lock", LOCK_RWMUTEX, LOCK_TAKE, false, PATH_WHOLE, 0},
	{"sync.(*RWMutex).TryLock", LOCK_RWMUTEX, LOCK_TRY, false, PATH_WHOLE, 0},
	{"sync.(*RWMutex).Unlock", LOCK_RWMUTEX, LOCK_GIVE, false, PATH_WHOLE, 0},
	{"sync.(*RWMutex).RLock", LOCK_RWMUTEX, LOCK_TAKE, true, PATH_WHOLE, 0},
	{"sync.(*RWMutex).TryRLock", LOCK_RWMUTEX, LOCK_TRY, true, PATH_WHOLE, 0},
	{"sync.(*RWMutex).RUnlock", LOCK_RWMUTEX, LOCK_GIVE, true, PATH_WHOLE, 0},
	{"sync.(*RWMutex).rUnlockSlow", LOCK_RWMUTEX, LOCK_GIVE, true, PATH_SLOW, 0},
	/* RLock waits on readerSem; SemacquireMutex before 1.20 */
	{"sync.runtime_Semacquire*", LOCK_RWMUTEX, LOCK_TAKE, true, PATH_SLOW, 12},
};

static const struct lock_function *lock_function_by_name(const char *name)
{
	if (strncmp(name, "sync.", 5) != 0 && strncmp(name, "internal/sync.", 14) != 0)
		return NULL;
	for (size_t i = 0; i < sizeof(lock_functions) / sizeof(lock_functions[0]); i++) {
		const char *pattern = lock_functions[i].name;
		size_t n = strlen(pattern);
		if (pattern[n - 1] == '*' ? strncmp(pattern, name, n - 1) == 0
					  : strcmp(pattern, name) == 0)
			return &lock_functions[i];
	}
	return NULL;
}

/* A call of a slow path. */
struct slow_call {
	const struct lock_function *f;
	flow_id lock;
	uint64_t at;
	bool matched; /* the fast path before it is known */
};

/* An atomic instruction that changes a word. */
struct atomic {
	uint64_t at;
	flow_id address;
	enum {
		ATOMIC_OTHER,
		ATOMIC_SET_ONE, /* to 1, if it was something else */
		ATOMIC_ADD_ONE,
		ATOMIC_SUBTRACT_ONE,
	} change;
};

struct events {
	struct event *list;
	size_t count, cap;
	struct slow_call *slow;
	size_t slow_count, slow_cap;
	struct atomic *atomics;
	size_t atomic_count, atomic_cap;
	bool failed; /* memory is out */
};

static void events_done(struct events *events)
{
	free(events->list);
	free(events->slow);
	free(events->atomics);
}
#define AUTO_EVENTS __attribute__((cleanup(events_done)))

/* What a helper has done to a lock when it returns. */
struct effect {
	enum lock_op op;
	enum lock_kind kind;
	bool read;
	/* The lock's address, from the last step to the first: what an argument, or a number, leads to. */
	struct {
		int64_t n;
		bool load;
	} steps[VALUE_DEPTH_MAX];
	unsigned step_count;
	int argument; /* -1: number */
	uint64_t number;
	bool known;
};

struct known_function {
	uint64_t entry;
	bool calls_locks; /* itself */
	bool uses_locks; /* or what it calls, to depth */
	unsigned depth;
	bool has_effects;
	struct effect effects[EFFECTS_MAX];
	size_t effect_count;
};

struct lockflow {
	struct runtime *rt;
	const struct library *library;
	uint64_t *entries; /* of lock_functions; sorted */
	size_t entry_count, entry_cap;
	struct known_function *known;
	size_t known_count, known_cap;
};

static int by_address(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

enum status lockflow_new(struct runtime *rt, const struct library *library, struct lockflow **ret,
			 struct error *err)
{
	AUTO_LOCKFLOW struct lockflow *locks = calloc(1, sizeof(*locks));
	if (!locks)
		return error_nomem(err);
	locks->rt = rt;
	locks->library = library;
	for (size_t i = 0; i < pclntab_count(rt->pclntab); i++) {
		struct function fn;
		if (!pclntab_at(rt->pclntab, i, &fn) || !lock_function_by_name(fn.name))
			continue;
		if (!ARRAY_PUSH(locks->entries, locks->entry_count, locks->entry_cap, fn.entry))
			return error_nomem(err);
	}
	if (locks->entry_count)
		qsort(locks->entries, locks->entry_count, sizeof(*locks->entries), by_address);
	*ret = TAKE(locks);
	return OK;
}

void lockflow_free(struct lockflow *locks)
{
	if (!locks)
		return;
	free(locks->entries);
	free(locks->known);
	free(locks);
}

void lock_holds_done(struct lock_holds *holds)
{
	free(holds->list);
	*holds = (struct lock_holds){0};
}

static bool is_lock_entry(const struct lockflow *locks, uint64_t entry)
{
	return locks->entry_count &&
	       bsearch(&entry, locks->entries, locks->entry_count, sizeof(entry), by_address);
}

/* The program's own function that a direct call leads to. */
static bool own_callee(struct lockflow *locks, uint64_t entry, struct function *ret)
{
	struct source_frame source = {.file = "?"};
	if (!pclntab_find(locks->rt->pclntab, entry, ret) || ret->entry != entry ||
	    function_is_runtime(ret->name))
		return false;
	/* Where the table has no file, it is nobody's: as if it were the program's own. */
	(void)pclntab_line(locks->rt->pclntab, ret, entry, &source.file, &source.line);
	source.function = ret->name;
	return !library_has(locks->library, &source);
}

static size_t known_index(struct lockflow *locks, uint64_t entry)
{
	for (size_t i = 0; i < locks->known_count; i++)
		if (locks->known[i].entry == entry)
			return i;
	return SIZE_MAX;
}

/* Looks through the calls of fn, and of what it calls depth calls deep. */
static bool uses_locks(struct lockflow *locks, const struct function *fn, unsigned depth)
{
	struct insn_sweep sweep = function_sweep(locks->rt, fn);
	size_t index = known_index(locks, fn->entry);
	if (index != SIZE_MAX &&
	    (locks->known[index].uses_locks || locks->known[index].depth >= depth))
		return locks->known[index].uses_locks;
	if (index == SIZE_MAX) {
		struct known_function fresh = {.entry = fn->entry};
		if (locks->known_count == FUNCTIONS_MAX ||
		    !ARRAY_PUSH(locks->known, locks->known_count, locks->known_cap, fresh))
			return true; /* not known: as if it did */
		index = locks->known_count - 1;
	}
	/* Now, so that a function that calls itself is not gone into again. */
	locks->known[index].depth = depth;
	bool uses = !sweep.code, direct = false;
	for (struct insn insn; !direct && insn_sweep_next(&sweep, &insn);) {
		struct function callee;
		if (!insn.has_target || (insn.flow != INSN_CALL && insn.flow != INSN_JUMP) ||
		    insn.target - fn->entry < sweep.n)
			continue;
		direct = is_lock_entry(locks, insn.target);
		if (!direct && !uses && depth && own_callee(locks, insn.target, &callee))
			uses = uses_locks(locks, &callee, depth - 1);
	}
	locks->known[index].calls_locks = direct;
	locks->known[index].uses_locks = uses || direct;
	return uses || direct;
}

bool lockflow_uses_locks(struct lockflow *locks, const struct function *fn)
{
	return uses_locks(locks, fn, HELPER_DEPTH_MAX);
}

/* What the events are collected with. */
struct collector {
	struct lockflow *locks;
	struct dataflow *flow;
	struct events *events;
	unsigned depth; /* of helpers that may still be looked into */
};

static void add_event(struct events *events, struct event event)
{
	if (!ARRAY_PUSH(events->list, events->count, events->cap, event))
		events->failed = true;
}

/* The helper's lock as a value of its caller, at a call with this state. */
static flow_id effect_value(struct dataflow *flow, const struct effect *effect,
			    const struct flow_state *state)
{
	flow_id id = 0;
	if (!effect->known)
		return 0;
	if (effect->argument >= 0)
		id = dataflow_argument(flow, state, (unsigned)effect->argument);
	else
		id = flow_intern(flow, (struct flow_value){.kind = FLOW_NUMBER,
							   .n = (int64_t)effect->number});
	for (unsigned i = effect->step_count; id && i-- > 0;) {
		id = flow_add(flow, id, effect->steps[i].n);
		struct flow_value v = *dataflow_value(flow, id);
		struct flow_value word = {.kind = FLOW_LOAD, .base = id};
		if (v.kind == FLOW_OFFSET) {
			word.base = v.base;
			word.n = v.n;
		}
		if (effect->steps[i].load)
			id = flow_intern(flow, word);
	}
	return id;
}

static const struct known_function *summarize(struct lockflow *locks, const struct function *fn,
					      unsigned depth);

static void collect_call(struct collector *c, const struct insn *insn,
			 const struct flow_state *state)
{
	struct function callee;
	if (!insn->has_target || !pclntab_find(c->locks->rt->pclntab, insn->target, &callee))
		return;
	const struct lock_function *f = lock_function_by_name(callee.name);
	if (f) {
		flow_id lock = flow_add(c->flow, dataflow_argument(c->flow, state, 0), -f->offset);
		struct slow_call slow = {f, lock, insn->addr, false};
		if (f->path == PATH_WHOLE)
			add_event(c->events, (struct event){insn->addr, f->op, f->kind, f->read,
							    lock, insn->addr});
		else if (!ARRAY_PUSH(c->events->slow, c->events->slow_count, c->events->slow_cap,
				     slow))
			c->events->failed = true;
		return;
	}
	if (!c->depth || !own_callee(c->locks, insn->target, &callee) ||
	    !uses_locks(c->locks, &callee, c->depth - 1))
		return;
	const struct known_function *known = summarize(c->locks, &callee, c->depth - 1);
	for (size_t i = 0; known && i < known->effect_count; i++) {
		const struct effect *e = &known->effects[i];
		add_event(c->events, (struct event){insn->addr, e->op, e->kind, e->read,
						    effect_value(c->flow, e, state), insn->addr});
	}
}

/* What an atomic instruction does to its word, by the numbers that its registers hold. amd64: cmpxchg has
 * the old value in eax and the new one in a register, xadd its summand. arm64: cas and ldadd likewise;
 * stxr has the sum in its register, which is no constant. */
static unsigned change_of(struct dataflow *flow, const struct insn *insn,
			  const struct flow_state *state, const struct insn_mem *mem)
{
	unsigned registers = 0;
	bool one = false, minus_one = false;
	for (unsigned r = 0; r < 32; r++) {
		if (!(insn->reads >> r & 1) || r == mem->base || r == mem->index)
			continue;
		const struct flow_value *v = dataflow_value(flow, state->regs[r]);
		registers++;
		one |= v->kind == FLOW_NUMBER && v->n == 1;
		minus_one |= v->kind == FLOW_NUMBER && (uint32_t)v->n == UINT32_MAX;
	}
	if (registers == 1 && minus_one)
		return ATOMIC_SUBTRACT_ONE;
	if (!one)
		return ATOMIC_OTHER;
	return registers == 2 || insn->exclusive ? ATOMIC_SET_ONE : ATOMIC_ADD_ONE;
}

static bool collect(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct collector *c = context;
	if (insn->flow == INSN_CALL) {
		collect_call(c, insn, state);
		return !c->events->failed;
	}
	if (!insn->atomic && !insn->exclusive)
		return true;
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (!mem->write)
			continue;
		struct atomic atomic = {insn->addr, flow_address(c->flow, insn, state, mem),
					change_of(c->flow, insn, state, mem)};
		if (!ARRAY_PUSH(c->events->atomics, c->events->atomic_count, c->events->atomic_cap,
				atomic))
			c->events->failed = true;
	}
	return !c->events->failed;
}

/* Whether the change is what the fast path of f does: Lock sets the state from 0 to locked, Unlock takes
 * locked off it, RLock and RUnlock count in readerCount. */
static bool is_fast_path(const struct lock_function *f, unsigned change)
{
	if (change == ATOMIC_OTHER)
		return false;
	if (f->op == LOCK_GIVE)
		return change == ATOMIC_SUBTRACT_ONE;
	return change == (f->read ? ATOMIC_ADD_ONE : ATOMIC_SET_ONE);
}

/*
 * The fast paths: atomic instructions on the word of a lock whose slow path the function calls. Where one
 * is not found, or what it does is not plain, the lock may be taken or given at each of them.
 */
static void match_slow_calls(struct dataflow *flow, struct events *events)
{
	for (size_t i = 0; i < events->slow_count; i++) {
		struct slow_call *slow = &events->slow[i];
		const struct lock_function *f = slow->f;
		flow_id word = f->read ? flow_add(flow, slow->lock, RWMUTEX_READER_COUNT)
				       : slow->lock;
		bool gives = f->op == LOCK_GIVE;
		for (size_t k = 0; slow->lock && k < events->atomic_count; k++) {
			const struct atomic *a = &events->atomics[k];
			bool plain = is_fast_path(f, a->change);
			if (a->address != word || (!plain && a->change != ATOMIC_OTHER))
				continue;
			enum lock_op op = plain ? f->op : gives ? LOCK_GIVE_MAYBE : LOCK_TAKE_MAYBE;
			add_event(events, (struct event){a->at, op, f->kind, f->read, slow->lock,
							 slow->at});
			slow->matched |= plain;
		}
		/* Unlock's slow path only wakes others; Lock's and RLock's have the lock at their end. */
		if (!gives)
			add_event(events, (struct event){slow->at, LOCK_TAKE, f->kind, f->read,
							 slow->lock, slow->at});
		if (!slow->matched)
			add_event(events, (struct event){dataflow_function(flow)->entry,
							 gives ? LOCK_GIVE_MAYBE : LOCK_TAKE_MAYBE,
							 f->kind, f->read, slow->lock, slow->at});
	}
}

static bool same_key(const struct event *a, const struct event *b)
{
	return a->lock == b->lock && a->kind == b->kind && a->read == b->read;
}

/* Whether an event before number i is about the same lock. */
static bool is_seen(const struct events *events, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_key(&events->list[k], &events->list[i]))
			return true;
	return false;
}

static enum status collect_events(struct lockflow *locks, struct dataflow *flow, unsigned depth,
				  struct events *ret, struct error *err)
{
	struct collector c = {locks, flow, ret, depth};
	dataflow_walk(flow, collect, &c);
	match_slow_calls(flow, ret);
	return ret->failed ? error_nomem(err) : OK;
}

/* The last instruction that takes the lock on a way to pc, the nearest one above it rather. */
static uint64_t taken_at(const struct events *events, const struct event *key, uint64_t pc)
{
	uint64_t best = 0, shown = 0;
	for (size_t i = 0; i < events->count; i++) {
		const struct event *e = &events->list[i];
		if (!same_key(e, key) || e->op == LOCK_GIVE || e->op == LOCK_GIVE_MAYBE)
			continue;
		/* What is left of the slow path stands at the function's end, behind pc. */
		if (!best || (e->at < pc && (best >= pc || e->at > best))) {
			best = e->at;
			shown = e->shown;
		}
	}
	return shown;
}

enum status lockflow_before(struct lockflow *locks, struct dataflow *flow, uint64_t pc,
			    struct lock_holds *ret, struct error *err)
{
	AUTO_EVENTS struct events events = {0};
	AUTO_WAYS struct ways ways = {0};
	AUTO_LOCK_HOLDS struct lock_holds holds = {0};
	const struct function *fn = dataflow_function(flow);
	unsigned keys = 0;
	if (collect_events(locks, flow, HELPER_DEPTH_MAX, &events, err) != OK ||
	    ways_init(&ways, flow, events.list, events.count, err) != OK)
		return FAILED;
	if (pc - fn->entry >= ways.size)
		return error_at(err, ERROR_NOT_FOUND, pc, "not in %.100s", fn->name);
	for (size_t i = 0; i < events.count; i++) {
		const struct event *key = &events.list[i];
		if (is_seen(&events, i))
			continue;
		if (keys++ == KEYS_MAX)
			return error_at(err, ERROR_LIMIT, fn->entry, "%.100s uses too many locks",
					fn->name);
		ways_run(&ways, key, fn->entry);
		unsigned stands = ways.stands[pc - fn->entry];
		if (!stands)
			return error_at(err, ERROR_NOT_FOUND, pc, "no way leads there in %.100s",
					fn->name);
		struct lock_hold hold = {
			.kind = key->kind,
			.read = key->read,
			.certain = stands == STAND_HELD,
			.lock = key->lock,
			.at = taken_at(&events, key, pc),
		};
		if ((stands & STAND_HELD) && !ARRAY_PUSH(holds.list, holds.count, holds.cap, hold))
			return error_nomem(err);
	}
	*ret = holds;
	holds = (struct lock_holds){0};
	return OK;
}

unsigned lockflow_unfollowed(struct lockflow *locks, const struct function *fn, uint64_t pc)
{
	struct insn_sweep sweep = function_sweep(locks->rt, fn);
	unsigned count = 0;
	struct function own;
	if (!own_callee(locks, fn->entry, &own))
		return 0;
	for (struct insn insn; insn_sweep_next(&sweep, &insn) && insn.addr < pc;)
		count += insn.flow == INSN_CALL && !insn.has_target;
	return count;
}

/* Whether the function defers calls of what may unlock: deferred functions are function values, and the
 * compiler makes one of its own for a method and its receiver. */
static bool defers_unlock(struct lockflow *locks, const struct function *fn)
{
	size_t len = strlen(fn->name);
	for (size_t i = 0; i < pclntab_count(locks->rt->pclntab); i++) {
		struct function closure;
		if (pclntab_at(locks->rt->pclntab, i, &closure) &&
		    strncmp(closure.name, fn->name, len) == 0 && closure.name[len] == '.' &&
		    uses_locks(locks, &closure, 1))
			return true;
	}
	return false;
}

/* Fills in where the lock's address comes from, in words of the helper's own caller. */
static void trace_value(const struct dataflow *flow, flow_id id, struct effect *effect)
{
	effect->argument = -1;
	while (effect->step_count < VALUE_DEPTH_MAX) {
		const struct flow_value *v = dataflow_value(flow, id);
		switch (v->kind) {
		case FLOW_ARG:
			effect->argument = (int)v->n;
			effect->known = true;
			return;
		case FLOW_NUMBER:
			effect->number = (uint64_t)v->n;
			effect->known = true;
			return;
		case FLOW_OFFSET:
		case FLOW_LOAD:
			effect->steps[effect->step_count].n = v->n;
			effect->steps[effect->step_count++].load = v->kind == FLOW_LOAD;
			id = v->base;
			break;
		default:
			return;
		}
	}
}

static void add_effect(struct known_function *known, const struct dataflow *flow,
		       const struct event *key, unsigned stands)
{
	bool may_hold = stands & STAND_HELD, may_give = stands & STAND_GIVEN;
	bool only = (stands & (stands - 1)) == 0;
	if ((!may_hold && !may_give) || known->effect_count == EFFECTS_MAX)
		return;
	struct effect *effect = &known->effects[known->effect_count++];
	*effect = (struct effect){
		.op = may_hold ? only ? LOCK_TAKE : LOCK_TAKE_MAYBE
		      : only   ? LOCK_GIVE
			       : LOCK_GIVE_MAYBE,
		.kind = key->kind,
		.read = key->read,
	};
	trace_value(flow, key->lock, effect);
}

/* What fn leaves behind of the locks that it uses. Where its code cannot be followed, it may have taken
 * one that is not known. NULL when memory is out. */
static const struct known_function *summarize(struct lockflow *locks, const struct function *fn,
					      unsigned depth)
{
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	AUTO_EVENTS struct events events = {0};
	AUTO_WAYS struct ways ways = {0};
	size_t index = known_index(locks, fn->entry);
	if (index == SIZE_MAX)
		return NULL;
	if (locks->known[index].has_effects)
		return &locks->known[index];
	locks->known[index].has_effects = true;
	struct known_function done = {0};
	if (dataflow_new(locks->rt, fn, &flow, NULL) != OK ||
	    collect_events(locks, flow, depth, &events, NULL) != OK ||
	    ways_init(&ways, flow, events.list, events.count, NULL) != OK) {
		done.effects[done.effect_count++] = (struct effect){.op = LOCK_TAKE_MAYBE};
	} else {
		for (size_t i = 0; i < events.count; i++) {
			if (is_seen(&events, i))
				continue;
			ways_run(&ways, &events.list[i], fn->entry);
			unsigned stands = ways.at_return;
			/* A deferred call comes behind what is seen here. */
			if ((stands & STAND_HELD) && defers_unlock(locks, fn))
				stands = STAND_BALANCED;
			add_effect(&done, flow, &events.list[i], stands);
		}
	}
	struct known_function *known = &locks->known[index]; /* the list may have moved */
	memcpy(known->effects, done.effects, sizeof(done.effects));
	known->effect_count = done.effect_count;
	return known;
}
