#include "go/stack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/forge_stack.h"

/* Numbers of the functions in the table. */
enum {
	GOEXIT,
	START,
	MIDDLE,
	LEAF,
	SWITCH,
	THROW,
	FATALTHROW,
	SIGPANIC,
	PREEMPT,
	ASM,
	ARGS,
	FUNCTIONS
};

/* An argument of 8 bytes, one of 1, a struct of two with more left out, one too far away, one of 8, and
 * more. Slots from offset 8 on need their bit of byte 1 to be live: the second word and the fourth have
 * none. */
static const char arg_info[] = "\x00\x08\x08\x01\xfe\x10\x08\x18\x04\xfc\xfd\xfb\x20\x08\xfc\xff";
static const char live_info[] = "\x08\x0a";

static const struct forged_function functions[FUNCTIONS] = {
	[GOEXIT] = {"runtime.goexit", 0x10, 0, FLAG_TOP},
	[START] = {"main.start", 0x40, 0x20},
	[MIDDLE] = {"main.middle", 0x40, 0x38},
	[LEAF] = {"main.leaf", 0x40, 0},
	[SWITCH] = {"runtime.systemstack_switch", 0x10, 8},
	[THROW] = {"runtime.throw", 0x40, 0x28},
	[FATALTHROW] = {"runtime.fatalthrow", 0x40, 0x18},
	[SIGPANIC] = {"runtime.sigpanic", 0x40, 0x30},
	[PREEMPT] = {"runtime.asyncPreempt", 0x40, 0x88},
	[ASM] = {"main.assembly", 0x40, 0x10, FLAG_SPWRITE},
	[ARGS] = {"main.args", 0x40, 8, 0, arg_info, live_info, sizeof(arg_info) - 1,
		  sizeof(live_info) - 1, 1},
};

struct test {
	struct forged_program *p;
	uint64_t g;
	struct goroutine goroutine;
	struct stack_walk walk;
	uint64_t sp; /* down to which the stack is built, from the top */
	unsigned stack;
};

static void setup(struct test *t, enum arch arch)
{
	*t = (struct test){.p = program_new(functions, FUNCTIONS, arch)};
	assert_non_null(t->p);
	t->g = program_add_g(t->p, 0, 7, GOROUTINE_WAITING);
	t->sp = program_stack_hi(0) - 0x40;
}

static void teardown(struct test *t)
{
	stack_walk_done(&t->walk);
	program_done(t->p);
}

/* A pc inside function number n, behind a call there. */
static uint64_t in(const struct test *t, unsigned n)
{
	return t->p->entries[n] + 0x10;
}

/* Pushes the return address and opens the frame that function n has (amd64). */
static void call(struct test *t, uint64_t return_pc, unsigned n)
{
	t->sp -= 8;
	program_put(t->p, t->sp, return_pc);
	t->sp -= (uint64_t)functions[n].delta;
}

/* A stack of goexit -> start -> middle; t->sp is middle's. */
static void usual_stack(struct test *t)
{
	call(t, t->p->entries[GOEXIT] + 1, START);
	call(t, in(t, START), MIDDLE);
}

static enum status start(struct test *t, struct error *err)
{
	program_forget(t->p);
	assert_int_equal(goroutine_read(&t->p->forge.rt, t->g, &t->goroutine, err), OK);
	return stack_walk_start(&t->walk, &t->p->forge.rt, &t->goroutine, err);
}

/* Whether the next frame is in function n. */
static struct frame expect(struct test *t, unsigned n)
{
	struct frame frame;
	assert_true(stack_walk_next(&t->walk, &frame));
	assert_true(frame.has_function);
	assert_string_equal(frame.function.name, functions[n].name);
	return frame;
}

static void expect_end(struct test *t, size_t notes)
{
	struct frame frame;
	assert_false(stack_walk_next(&t->walk, &frame));
	assert_false(stack_walk_next(&t->walk, &frame));
	assert_int_equal(t->p->forge.notes.count, notes);
}

static void a_parked_goroutine_is_walked_down_to_goexit(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	usual_stack(&t);
	program_sched(t.p, t.g, in(&t, MIDDLE), t.sp, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, MIDDLE);
	assert_int_equal(frame.pc, in(&t, MIDDLE));
	assert_int_equal(frame.lookup_pc, frame.pc - 1);
	assert_int_equal(frame.sp, t.sp);
	assert_int_equal(frame.cfa, t.sp + 0x38 + 8);
	assert_false(frame.is_exact);
	assert_null(frame.regs);
	uint64_t cfa = frame.cfa;
	frame = expect(&t, START);
	assert_int_equal(frame.sp, cfa);
	frame = expect(&t, GOEXIT);
	assert_int_equal(frame.cfa, program_stack_hi(0) - 0x38);
	expect_end(&t, 0);
	teardown(&t);
}

static void a_goroutine_that_never_ran_stands_at_its_entry(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.sp -= 8;
	program_put(t.p, t.sp, t.p->entries[GOEXIT] + 1);
	program_sched(t.p, t.g, t.p->entries[START], t.sp, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, START);
	assert_true(frame.is_exact);
	assert_int_equal(frame.lookup_pc, t.p->entries[START]);
	assert_int_equal(frame.cfa, t.sp + 8);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void a_running_goroutine_is_where_its_thread_is(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	/* main.leaf has just been called: its prologue has not run. */
	t.sp -= 8;
	program_put(t.p, t.sp, in(&t, MIDDLE));
	program_regs(t.p, t.p->entries[LEAF], t.sp, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, LEAF);
	assert_true(frame.is_exact);
	assert_non_null(frame.regs);
	assert_int_equal(frame.regs->r[AMD64_R14], t.g);
	frame = expect(&t, MIDDLE);
	assert_false(frame.is_exact);
	assert_null(frame.regs);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

/* Writes a ucontext as Linux does for amd64. */
static void put_ucontext(struct test *t, uint64_t at, uint64_t pc, uint64_t sp)
{
	program_put(t->p, at + 16, program_stack_lo(7));
	program_put(t->p, at + 32, STACK_SIZE);
	program_put(t->p, at + 40 + 8, 0x99); /* r9 */
	program_put(t->p, at + 160, sp);
	program_put(t->p, at + 168, pc);
}

static void of_nested_signals_the_outermost_interrupted_the_goroutine(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	put_ucontext(&t, program_stack_hi(7) - 0x300, in(&t, MIDDLE), t.sp);
	put_ucontext(&t, program_stack_hi(7) - 0x800, in(&t, LEAF), program_stack_hi(7) - 0x500);
	program_regs(t.p, in(&t, LEAF), program_stack_hi(7) - 0x900, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, MIDDLE);
	assert_int_equal(frame.kind, FRAME_SIGNAL);
	assert_true(frame.is_exact);
	assert_int_equal(frame.lookup_pc, in(&t, MIDDLE));
	assert_non_null(frame.regs);
	assert_int_equal(frame.regs->r[AMD64_R9], 0x99);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void a_goroutine_on_the_system_stack_is_found_by_what_the_scheduler_saved(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	call(&t, in(&t, MIDDLE), SWITCH);
	program_sched(t.p, t.g, t.p->entries[SWITCH] + 8, t.sp, 0, 0);
	program_regs(t.p, in(&t, LEAF), program_stack_hi(6) - 0x100, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, MIDDLE);
	assert_int_equal(frame.kind, FRAME_SYSTEMSTACK);
	assert_false(t.walk.dying);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void the_frames_of_dying_are_left_out(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	call(&t, in(&t, MIDDLE), THROW);
	call(&t, in(&t, THROW), FATALTHROW);
	call(&t, in(&t, FATALTHROW), SWITCH);
	program_sched(t.p, t.g, t.p->entries[SWITCH] + 8, t.sp, 0, 0);
	program_regs(t.p, in(&t, LEAF), program_stack_hi(6) - 0x100, 0);
	assert_int_equal(start(&t, NULL), OK);
	assert_true(t.walk.dying);
	expect(&t, THROW);
	expect(&t, MIDDLE);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void what_a_signal_injected_was_called_by_no_call(void **state)
{
	(void)state;
	static const unsigned injected[] = {SIGPANIC, PREEMPT};
	for (size_t i = 0; i < 2; i++) {
		struct test t;
		setup(&t, ARCH_AMD64);
		usual_stack(&t);
		uint64_t sp = t.sp;
		call(&t, in(&t, MIDDLE), injected[i]);
		program_put(t.p, t.sp + 24, 0xb); /* rbx, as asyncPreempt keeps it */
		program_put(t.p, sp - 16, 0xbb); /* rbp */
		program_sched(t.p, t.g, in(&t, injected[i]), t.sp, 0, 0);
		assert_int_equal(start(&t, NULL), OK);
		expect(&t, injected[i]);
		struct frame frame = expect(&t, MIDDLE);
		assert_true(frame.is_exact);
		assert_int_equal(frame.kind, FRAME_SIGNAL);
		assert_int_equal(frame.lookup_pc, in(&t, MIDDLE));
		if (injected[i] == PREEMPT) {
			assert_non_null(frame.regs);
			assert_int_equal(frame.regs->r[AMD64_RBX], 0xb);
			assert_int_equal(frame.regs->r[AMD64_RBP], 0xbb);
			assert_int_equal(frame.regs->sp, sp);
			assert_int_equal(frame.regs->pc, in(&t, MIDDLE));
		} else {
			assert_null(frame.regs);
		}
		frame = expect(&t, START);
		assert_false(frame.is_exact);
		assert_null(frame.regs);
		expect(&t, GOEXIT);
		expect_end(&t, 0);
		teardown(&t);
	}
}

static void a_call_through_nil_is_told_by_its_return_address(void **state)
{
	(void)state;
	struct test t;
	struct frame frame;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	t.sp -= 8;
	program_put(t.p, t.sp, in(&t, MIDDLE));
	program_regs(t.p, 0, t.sp, 0);
	assert_int_equal(start(&t, NULL), OK);
	assert_true(stack_walk_next(&t.walk, &frame));
	assert_false(frame.has_function);
	expect(&t, MIDDLE);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void code_that_moves_the_stack_pointer_is_left_by_the_frame_pointer(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	program_run(t.p, t.g, 100);
	call(&t, in(&t, MIDDLE), ASM);
	uint64_t bp = t.sp + 8;
	program_put(t.p, bp, 0);
	program_regs(t.p, in(&t, ASM), t.sp - 0x60, bp);
	assert_int_equal(start(&t, NULL), OK);
	expect(&t, ASM);
	struct frame frame = expect(&t, MIDDLE);
	assert_int_equal(frame.sp, bp + 16);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void a_return_address_in_no_function_ends_the_walk_with_a_note(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	call(&t, 0x123456, START);
	call(&t, in(&t, START), MIDDLE);
	program_sched(t.p, t.g, in(&t, MIDDLE), t.sp, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	expect(&t, MIDDLE);
	expect(&t, START);
	expect_end(&t, 1);
	teardown(&t);
}

static void a_frame_larger_than_the_stack_ends_the_walk_with_a_note(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	program_sched(t.p, t.g, in(&t, MIDDLE), program_stack_hi(0) - 0x20, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, MIDDLE);
	assert_int_equal(frame.cfa, 0);
	expect_end(&t, 1);
	teardown(&t);
}

static void a_stack_pointer_outside_of_the_stack_is_an_error(void **state)
{
	(void)state;
	struct test t;
	struct error err;
	struct frame frame;
	setup(&t, ARCH_AMD64);
	program_sched(t.p, t.g, in(&t, MIDDLE), program_stack_lo(0) - 8, 0, 0);
	assert_int_equal(start(&t, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
	assert_false(stack_walk_next(&t.walk, &frame));
	program_sched(t.p, t.g, in(&t, MIDDLE), program_stack_hi(0) + 8, 0, 0);
	assert_int_equal(start(&t, &err), FAILED);
	teardown(&t);
}

static void a_running_goroutine_without_registers_is_an_error(void **state)
{
	(void)state;
	struct test t;
	struct error err;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	program_run(t.p, t.g, 100);
	t.p->threads[0].has_regs = false;
	assert_int_equal(start(&t, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	teardown(&t);
}

static void a_call_into_the_vdso_is_found_by_what_the_m_keeps(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_AMD64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	usual_stack(&t);
	uint64_t m = program_run(t.p, t.g, 100);
	program_put(t.p, m + t.p->forge.rt.layout.m.vdso_pc, in(&t, MIDDLE));
	program_put(t.p, m + t.p->forge.rt.layout.m.vdso_sp, t.sp);
	program_regs(t.p, 0x7fff12345678, program_stack_hi(6) - 0x100, 0);
	assert_int_equal(start(&t, NULL), OK);
	assert_false(expect(&t, MIDDLE).is_exact);
	expect(&t, START);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

/* arm64: the return address at sp, the arguments above it. */
static void on_arm64_a_leaf_keeps_its_return_address_in_the_link_register(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_ARM64);
	t.g = program_add_g(t.p, 0, 7, GOROUTINE_RUNNING);
	program_run(t.p, t.g, 100);
	t.sp -= (uint64_t)functions[START].delta;
	program_put(t.p, t.sp, t.p->entries[GOEXIT] + 4);
	program_regs(t.p, in(&t, LEAF), t.sp, 0);
	t.p->threads[0].regs.r[ARM64_LR] = in(&t, START);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, LEAF);
	assert_int_equal(frame.cfa, t.sp);
	frame = expect(&t, START);
	assert_int_equal(frame.sp, t.sp);
	assert_int_equal(frame.cfa, t.sp + 0x20);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void on_arm64_a_preempted_leaf_has_the_link_register_that_was_pushed(void **state)
{
	(void)state;
	struct test t;
	setup(&t, ARCH_ARM64);
	t.sp -= (uint64_t)functions[START].delta;
	program_put(t.p, t.sp, t.p->entries[GOEXIT] + 4);
	uint64_t leaf_sp = t.sp;
	t.sp -= 16;
	program_put(t.p, t.sp, in(&t, START)); /* LR of main.leaf */
	t.sp -= (uint64_t)functions[SIGPANIC].delta;
	program_put(t.p, t.sp, in(&t, LEAF));
	program_sched(t.p, t.g, in(&t, SIGPANIC), t.sp, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	expect(&t, SIGPANIC);
	struct frame frame = expect(&t, LEAF);
	assert_int_equal(frame.sp, leaf_sp);
	assert_true(frame.is_exact);
	frame = expect(&t, START);
	assert_int_equal(frame.sp, leaf_sp);
	expect(&t, GOEXIT);
	expect_end(&t, 0);
	teardown(&t);
}

static void arguments_are_printed_as_go_prints_them(void **state)
{
	(void)state;
	struct test t;
	AUTO_TEXT struct text text = TEXT_INIT;
	uint64_t value = 0;
	bool live = true;
	setup(&t, ARCH_AMD64);
	call(&t, t.p->entries[GOEXIT] + 1, ARGS);
	uint64_t args = t.sp + 8 + 8;
	program_put(t.p, args, 0x1122334455667788);
	program_put(t.p, args + 8, 0xffffffffffffff05);
	program_put(t.p, args + 16, 0);
	program_put(t.p, args + 24, 0xfffffffff0000001);
	program_put(t.p, args + 32, 9);
	program_sched(t.p, t.g, in(&t, ARGS), t.sp, 0, 0);
	assert_int_equal(start(&t, NULL), OK);
	struct frame frame = expect(&t, ARGS);
	frame_args(&t.p->forge.rt, &frame, &text);
	assert_string_equal(text.s,
			    "0x1122334455667788, 0x5?, {0x0, 0xf0000001?, ...}, _, 0x9, ...");
	assert_true(frame_arg_word(&t.p->forge.rt, &frame, 0, &value, &live));
	assert_int_equal(value, 0x1122334455667788);
	assert_true(live);
	assert_true(frame_arg_word(&t.p->forge.rt, &frame, 3, &value, &live));
	assert_int_equal(value, 0xf0000001);
	assert_false(live);
	assert_true(frame_arg_word(&t.p->forge.rt, &frame, 4, &value, &live));
	assert_int_equal(value, 9);
	assert_false(frame_arg_word(&t.p->forge.rt, &frame, 5, &value, &live));
	teardown(&t);
}

static void functions_of_the_runtime_are_told_from_a_users(void **state)
{
	(void)state;
	assert_true(function_is_runtime("runtime.mapassign_fast64"));
	assert_true(function_is_runtime("internal/runtime/maps.(*Map).Delete"));
	assert_true(function_is_runtime("reflect.mapassign"));
	assert_true(function_is_runtime("memeqbody"));
	assert_true(function_is_runtime("type:.eq.main.key"));
	assert_false(function_is_runtime("main.main"));
	assert_false(function_is_runtime("runtimes.Start"));
	assert_false(function_is_runtime("example.com/runtime.Start"));
	assert_false(function_is_runtime("reflection.Walk"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_parked_goroutine_is_walked_down_to_goexit),
		cmocka_unit_test(a_goroutine_that_never_ran_stands_at_its_entry),
		cmocka_unit_test(a_running_goroutine_is_where_its_thread_is),
		cmocka_unit_test(of_nested_signals_the_outermost_interrupted_the_goroutine),
		cmocka_unit_test(
			a_goroutine_on_the_system_stack_is_found_by_what_the_scheduler_saved),
		cmocka_unit_test(the_frames_of_dying_are_left_out),
		cmocka_unit_test(what_a_signal_injected_was_called_by_no_call),
		cmocka_unit_test(a_call_through_nil_is_told_by_its_return_address),
		cmocka_unit_test(code_that_moves_the_stack_pointer_is_left_by_the_frame_pointer),
		cmocka_unit_test(a_return_address_in_no_function_ends_the_walk_with_a_note),
		cmocka_unit_test(a_frame_larger_than_the_stack_ends_the_walk_with_a_note),
		cmocka_unit_test(a_stack_pointer_outside_of_the_stack_is_an_error),
		cmocka_unit_test(a_running_goroutine_without_registers_is_an_error),
		cmocka_unit_test(a_call_into_the_vdso_is_found_by_what_the_m_keeps),
		cmocka_unit_test(on_arm64_a_leaf_keeps_its_return_address_in_the_link_register),
		cmocka_unit_test(on_arm64_a_preempted_leaf_has_the_link_register_that_was_pushed),
		cmocka_unit_test(arguments_are_printed_as_go_prints_them),
		cmocka_unit_test(functions_of_the_runtime_are_told_from_a_users),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
