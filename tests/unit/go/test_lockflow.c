/* Locks as machine code takes and gives them, and as they stand in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "go/lockflow.h"
#include "unit/go/forge_stack.h"

enum {
	ACCESS,
	HELPER,
	CALLEE,
	LOCK,
	LOCK_SLOW,
	UNLOCK,
	UNLOCK_SLOW,
	TRY_LOCK,
	RLOCK,
	RUNLOCK,
	SIZE = 0x80
};

static const struct forged_function functions[] = {
	[ACCESS] = {"main.access", SIZE, 0x20},
	[HELPER] = {"main.helper", SIZE, 0x20},
	[CALLEE] = {"main.callee", SIZE},
	[LOCK] = {"sync.(*Mutex).Lock", SIZE},
	[LOCK_SLOW] = {"sync.(*Mutex).lockSlow", SIZE},
	[UNLOCK] = {"sync.(*Mutex).Unlock", SIZE},
	[UNLOCK_SLOW] = {"sync.(*Mutex).unlockSlow", SIZE},
	[TRY_LOCK] = {"sync.(*Mutex).TryLock", SIZE},
	[RLOCK] = {"sync.(*RWMutex).RLock", SIZE},
	[RUNLOCK] = {"sync.(*RWMutex).RUnlock", SIZE},
};
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

struct code {
	struct forged_program *p;
	uint8_t text[FUNCTIONS * SIZE];
	size_t at;
	uint64_t access; /* where main.access calls main.callee */
	struct library library;
	struct lockflow *locks;
	struct dataflow *flow;
	struct lock_holds holds;
};

static int set_up(void **state)
{
	struct code *c = calloc(1, sizeof(*c));
	if (!c)
		return -1;
	c->p = program_new(functions, FUNCTIONS, ARCH_AMD64);
	memset(c->text, 0xcc, sizeof(c->text));
	for (size_t i = 0; i < FUNCTIONS; i++)
		c->text[i * SIZE] = 0xc3; /* ret */
	c->library.root = "";
	*state = c;
	return c->p && program_lay(&c->p->forge, STACK_TEXT, c->text, sizeof(c->text), false) ? 0
											      : -1;
}

static int tear_down(void **state)
{
	struct code *c = *state;
	lock_holds_done(&c->holds);
	dataflow_free(c->flow);
	lockflow_free(c->locks);
	program_done(c->p);
	free(c);
	return 0;
}

static void put_code(struct code *c, const char *bytes, size_t n)
{
	memcpy(c->text + c->at, bytes, n);
	c->at += n;
}
#define EMIT(c, bytes) put_code(c, bytes, sizeof(bytes) - 1)

static void emit_call(struct code *c, unsigned function)
{
	int32_t to = (int32_t)(function * SIZE - (c->at + 5));
	EMIT(c, "\xe8");
	put_code(c, (const char *)&to, sizeof(to));
}

/* sub $0x20,%rsp: the frame that the table speaks of from its fifth byte on */
static void emit_frame(struct code *c)
{
	EMIT(c, "\x48\x83\xec\x20");
}

/* The access: what is held before this call is asked. */
static void emit_access(struct code *c)
{
	c->access = STACK_TEXT + c->at;
	emit_call(c, CALLEE);
	EMIT(c, "\xc3");
}

static void look(struct code *c)
{
	struct runtime *rt = &c->p->forge.rt;
	struct function fn;
	assert_true(pclntab_find(rt->pclntab, STACK_TEXT, &fn));
	assert_int_equal(lockflow_new(rt, &c->library, &c->locks, NULL), OK);
	assert_int_equal(dataflow_new(rt, &fn, &c->flow, NULL), OK);
	assert_int_equal(lockflow_before(c->locks, c->flow, c->access, &c->holds, NULL), OK);
}

static void assert_holds(const struct code *c, enum lock_kind kind, bool read, bool certain,
			 int64_t argument)
{
	assert_int_equal(c->holds.count, 1);
	const struct lock_hold *hold = &c->holds.list[0];
	assert_int_equal(hold->kind, kind);
	assert_int_equal(hold->read, read);
	assert_int_equal(hold->certain, certain);
	const struct flow_value *v = dataflow_value(c->flow, hold->lock);
	assert_int_equal(v->kind, FLOW_ARG);
	assert_int_equal(v->n, argument);
}

static void a_lock_is_held_behind_the_call_that_takes_it(void **state)
{
	struct code *c = *state;
	emit_call(c, LOCK);
	emit_access(c);
	look(c);
	assert_holds(c, LOCK_MUTEX, false, true, 0);
	assert_int_equal(c->holds.list[0].at, STACK_TEXT);
}

static void a_lock_that_was_given_back_is_not_held(void **state)
{
	struct code *c = *state;
	emit_frame(c);
	EMIT(c, "\x48\x89\x44\x24\x08"); /* mov %rax,8(%rsp) */
	emit_call(c, LOCK);
	EMIT(c, "\x48\x8b\x44\x24\x08"); /* mov 8(%rsp),%rax */
	emit_call(c, UNLOCK);
	emit_access(c);
	look(c);
	assert_int_equal(c->holds.count, 0);
}

static void a_lock_of_one_branch_is_not_certain(void **state)
{
	struct code *c = *state;
	EMIT(c, "\x48\x85\xdb\x74\x05"); /* test %rbx,%rbx; je over the call */
	emit_call(c, LOCK);
	emit_access(c);
	look(c);
	assert_holds(c, LOCK_MUTEX, false, false, 0);
}

static void a_try_is_not_certain(void **state)
{
	struct code *c = *state;
	emit_call(c, TRY_LOCK);
	emit_access(c);
	look(c);
	assert_holds(c, LOCK_MUTEX, false, false, 0);
}

static void a_read_lock_is_told_from_a_write_lock(void **state)
{
	struct code *c = *state;
	emit_call(c, RLOCK);
	emit_access(c);
	look(c);
	assert_holds(c, LOCK_RWMUTEX, true, true, 0);
}

/* xor %eax,%eax; mov $1,%esi; lock cmpxchg %esi,(%rbx); je over the slow path; mov %rbx,%rax */
#define FAST_LOCK "\x31\xc0\xbe\x01\x00\x00\x00\xf0\x0f\xb1\x33\x74\x08\x48\x89\xd8"

static void an_inlined_lock_is_held_on_both_of_its_ways(void **state)
{
	struct code *c = *state;
	EMIT(c, FAST_LOCK);
	emit_call(c, LOCK_SLOW);
	emit_access(c);
	look(c);
	assert_holds(c, LOCK_MUTEX, false, true, 1);
}

static void an_inlined_unlock_gives_back_on_both_of_its_ways(void **state)
{
	struct code *c = *state;
	emit_frame(c);
	EMIT(c, "\x48\x89\x5c\x24\x08"); /* mov %rbx,8(%rsp) */
	EMIT(c, FAST_LOCK);
	emit_call(c, LOCK_SLOW);
	/* mov 8(%rsp),%rbx; mov $-1,%ecx; lock xadd %ecx,(%rbx); dec %ecx; je over; mov %rbx,%rax */
	EMIT(c, "\x48\x8b\x5c\x24\x08\xb9\xff\xff\xff\xff\xf0\x0f\xc1\x0b\xff\xc9\x74\x08\x48\x89"
		"\xd8");
	emit_call(c, UNLOCK_SLOW);
	emit_access(c);
	look(c);
	assert_int_equal(c->holds.count, 0);
}

static void an_atomic_that_is_no_lock_is_none(void **state)
{
	struct code *c = *state;
	EMIT(c, "\x31\xc0\xbe\x01\x00\x00\x00\xf0\x0f\xb1\x33"); /* as FAST_LOCK */
	emit_access(c);
	look(c);
	assert_int_equal(c->holds.count, 0);
}

static void a_helper_locks_for_its_caller(void **state)
{
	struct code *c = *state;
	emit_call(c, HELPER);
	emit_access(c);
	c->at = HELPER * SIZE;
	emit_call(c, LOCK);
	EMIT(c, "\xc3");
	look(c);
	assert_holds(c, LOCK_MUTEX, false, true, 0);
}

static void a_helper_that_gives_back_what_it_took_holds_nothing(void **state)
{
	struct code *c = *state;
	emit_call(c, HELPER);
	emit_access(c);
	c->at = HELPER * SIZE;
	emit_frame(c);
	EMIT(c, "\x48\x89\x44\x24\x08");
	emit_call(c, LOCK);
	EMIT(c, "\x48\x8b\x44\x24\x08");
	emit_call(c, UNLOCK);
	EMIT(c, "\xc3");
	look(c);
	assert_int_equal(c->holds.count, 0);
}

static void only_what_calls_locks_uses_them(void **state)
{
	struct code *c = *state;
	struct runtime *rt = &c->p->forge.rt;
	struct function fn;
	emit_call(c, HELPER);
	emit_access(c);
	c->at = HELPER * SIZE;
	emit_call(c, LOCK);
	assert_int_equal(lockflow_new(rt, &c->library, &c->locks, NULL), OK);
	assert_true(pclntab_find(rt->pclntab, STACK_TEXT, &fn));
	assert_true(lockflow_uses_locks(c->locks, &fn));
	assert_true(pclntab_find(rt->pclntab, c->p->entries[CALLEE], &fn));
	assert_false(lockflow_uses_locks(c->locks, &fn));
}

static void put_words(struct code *c, uint32_t state, uint32_t count, uint32_t wait)
{
	program_put(c->p, STACK_BSS, state);
	program_put(c->p, STACK_BSS + 8, 0);
	program_put(c->p, STACK_BSS + 16, (uint64_t)wait << 32 | count);
}

static void assert_state(struct code *c, enum lock_kind kind, const char *want)
{
	struct lock_state state;
	struct text text = TEXT_INIT;
	assert_int_equal(lock_state_read(&c->p->forge.rt, kind, STACK_BSS, &state, NULL), OK);
	lock_state_text(&state, &text);
	assert_string_equal(text.s, want);
	text_done(&text);
}

static void the_state_of_a_lock_is_told_in_words(void **state)
{
	struct code *c = *state;
	put_words(c, 0, 0, 0);
	assert_state(c, LOCK_MUTEX, "unlocked");
	assert_state(c, LOCK_RWMUTEX, "unlocked");
	put_words(c, 1 | 2 << 3, 0, 0);
	assert_state(c, LOCK_MUTEX, "locked, 2 waiting");
	put_words(c, 1 | 4 | 1 << 3, 0, 0);
	assert_state(c, LOCK_MUTEX, "locked, 1 waiting, starving");
	put_words(c, 0, 3, 0);
	assert_state(c, LOCK_RWMUTEX, "3 readers");
	/* a writer, which has taken 1 << 30 off the count, and waits for one of the three */
	put_words(c, 1, 3 - (1U << 30), 1);
	assert_state(c, LOCK_RWMUTEX, "1 reader, a writer waiting, 2 readers waiting");
	put_words(c, 1, 0U - (1U << 30), 0);
	assert_state(c, LOCK_RWMUTEX, "locked for writing");
}

static void words_that_are_no_lock_are_refused(void **state)
{
	struct code *c = *state;
	struct lock_state lock;
	struct runtime *rt = &c->p->forge.rt;
	put_words(c, UINT32_MAX, 0, 0);
	assert_int_equal(lock_state_read(rt, LOCK_MUTEX, STACK_BSS, &lock, NULL), FAILED);
	put_words(c, 0, 1U << 29, 0);
	assert_int_equal(lock_state_read(rt, LOCK_RWMUTEX, STACK_BSS, &lock, NULL), FAILED);
	assert_int_equal(lock_state_read(rt, LOCK_MUTEX, 0x10, &lock, NULL), FAILED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_lock_is_held_behind_the_call_that_takes_it),
		TEST(a_lock_that_was_given_back_is_not_held),
		TEST(a_lock_of_one_branch_is_not_certain),
		TEST(a_try_is_not_certain),
		TEST(a_read_lock_is_told_from_a_write_lock),
		TEST(an_inlined_lock_is_held_on_both_of_its_ways),
		TEST(an_inlined_unlock_gives_back_on_both_of_its_ways),
		TEST(an_atomic_that_is_no_lock_is_none),
		TEST(a_helper_locks_for_its_caller),
		TEST(a_helper_that_gives_back_what_it_took_holds_nothing),
		TEST(only_what_calls_locks_uses_them),
		TEST(the_state_of_a_lock_is_told_in_words),
		TEST(words_that_are_no_lock_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
