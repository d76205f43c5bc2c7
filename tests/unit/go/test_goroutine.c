#include "go/goroutine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/forge_stack.h"

static const struct forged_function functions[] = {
	{"runtime.goexit", 0x10, 0, FLAG_TOP},
	{"main.start", 0x40, 0x20},
	{"runtime.systemstack_switch", 0x10, 8},
	{"runtime.fatalthrow", 0x40, 0x18},
};

enum { ALLGS = STACK_HEAP + 0x6000, SLICE = STACK_BSS + 0x108, TEXTS = STACK_BSS + 0x800 };

struct test {
	struct forged_program *p;
	struct goroutines list;
};

static void setup(struct test *t)
{
	*t = (struct test){.p = program_new(functions, 4, ARCH_AMD64)};
	assert_non_null(t->p);
}

static void teardown(struct test *t)
{
	goroutines_done(&t->list);
	program_done(t->p);
}

static void put_slice(struct test *t, uint64_t at, uint64_t addr, uint64_t len, uint64_t cap)
{
	program_put(t->p, at, addr);
	program_put(t->p, at + 8, len);
	program_put(t->p, at + 16, cap);
}

/* Goroutines 30, 10 and 20, of which 10 is dead, in a list of their own. */
static void three(struct test *t)
{
	program_put(t->p, ALLGS, program_add_g(t->p, 0, 30, GOROUTINE_WAITING));
	program_put(t->p, ALLGS + 8, program_add_g(t->p, 1, 10, GOROUTINE_DEAD));
	program_put(t->p, ALLGS + 16, program_add_g(t->p, 2, 20, GOROUTINE_RUNNABLE | 0x1000));
	put_slice(t, SLICE, ALLGS, 3, 8);
}

static enum status read_list(struct test *t, struct error *err)
{
	goroutines_done(&t->list);
	program_forget(t->p);
	return goroutines_read(&t->p->forge.rt, &t->list, err);
}

static void expect_two(const struct test *t)
{
	assert_int_equal(t->list.count, 2);
	assert_int_equal(t->list.dead, 1);
	assert_int_equal(t->list.list[0].id, 20);
	assert_int_equal(t->list.list[0].status, GOROUTINE_RUNNABLE);
	assert_true(t->list.list[0].scan);
	assert_int_equal(t->list.list[1].id, 30);
	assert_int_equal(t->list.list[1].g, program_g(0));
	assert_int_equal(t->list.list[1].stack_lo, program_stack_lo(0));
	assert_int_equal(t->list.list[1].thread, -1);
	assert_ptr_equal(goroutines_by_id(&t->list, 30), &t->list.list[1]);
	assert_null(goroutines_by_id(&t->list, 10));
	assert_ptr_equal(goroutines_by_g(&t->list, program_g(2)), &t->list.list[0]);
}

static void the_list_of_all_goroutines_is_found_in_bss(void **state)
{
	(void)state;
	struct test t;
	setup(&t);
	three(&t);
	assert_int_equal(read_list(&t, NULL), OK);
	expect_two(&t);
	assert_true(t.list.complete);
	assert_string_equal(t.list.found_by, "search for runtime.allgs");
	assert_int_equal(t.p->forge.notes.count, 0);
	teardown(&t);
}

static void slices_that_cannot_be_the_list_are_passed_over(void **state)
{
	(void)state;
	struct test t;
	setup(&t);
	three(&t);
	put_slice(&t, STACK_BSS, ALLGS, 9, 8); /* more than it has room for */
	put_slice(&t, STACK_BSS + 0x20, ALLGS, UINT64_MAX / 8, UINT64_MAX / 8);
	put_slice(&t, STACK_BSS + 0x40, STACK_STACKS, 100, 100); /* nils */
	put_slice(&t, STACK_BSS + 0x60, ALLGS, 2, 2); /* a shorter one */
	put_slice(&t, STACK_BSS + 0x80, 0x10, 4, 4); /* nowhere */
	put_slice(&t, STACK_BSS + 0xa0, ALLGS + 4, 3, 8); /* unaligned */
	assert_int_equal(read_list(&t, NULL), OK);
	expect_two(&t);
	teardown(&t);
}

static void without_the_list_all_memory_is_searched_and_that_is_noted(void **state)
{
	(void)state;
	struct test t;
	setup(&t);
	three(&t);
	put_slice(&t, SLICE, 0, 0, 0);
	program_add_g(t.p, 6, 0, GOROUTINE_RUNNING); /* a g0 */
	assert_int_equal(read_list(&t, NULL), OK);
	expect_two(&t);
	assert_false(t.list.complete);
	assert_string_equal(t.list.found_by, "search of all memory");
	assert_int_equal(t.p->forge.notes.count, 1);
	teardown(&t);
}

static void a_goroutine_that_cannot_be_read_is_noted(void **state)
{
	(void)state;
	struct test t;
	setup(&t);
	three(&t);
	/* Between samples: the sixth of 40. */
	for (unsigned i = 3; i < 40; i++)
		program_put(t.p, ALLGS + i * 8, program_g(0));
	program_put(t.p, ALLGS + 5 * 8, 0x123450);
	put_slice(&t, SLICE, ALLGS, 40, 40);
	assert_int_equal(read_list(&t, NULL), OK);
	assert_false(t.list.complete);
	assert_int_equal(t.list.count, 2 + 36);
	assert_int_equal(t.p->forge.notes.count, 1);
	assert_int_equal(t.p->forge.notes.list[0].addr, 0x123450);
	teardown(&t);
}

static void a_target_without_goroutines_is_an_error(void **state)
{
	(void)state;
	struct test t;
	struct error err;
	setup(&t);
	assert_int_equal(read_list(&t, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	teardown(&t);
}

static void a_thread_is_told_by_the_g_it_has_at_hand(void **state)
{
	(void)state;
	struct test t;
	struct go_thread thread;
	setup(&t);
	three(&t);
	uint64_t m = program_run(t.p, program_g(2), 100);
	program_put(t.p, STACK_BSS + 0x700, program_g(6)); /* g0: a systemstack call */
	t.p->threads[0].regs.tls = STACK_BSS + 0x708;
	t.p->threads[0].regs.r[AMD64_R14] = 0;
	assert_int_equal(go_thread_read(&t.p->forge.rt, 0, &thread, NULL), OK);
	assert_int_equal(thread.m, m);
	assert_int_equal(thread.g, program_g(6));
	assert_int_equal(thread.curg, program_g(2));
	assert_int_equal(thread.curg_id, 20);
	assert_int_equal(read_list(&t, NULL), OK);
	assert_int_equal(t.list.list[0].thread, 0);
	assert_int_equal(t.list.list[1].thread, -1);
	assert_int_equal(go_thread_read(&t.p->forge.rt, 1, &thread, NULL), FAILED);
	teardown(&t);
}

static void a_new_thread_with_its_parents_registers_has_no_goroutine(void **state)
{
	(void)state;
	struct test t;
	struct go_thread thread;
	setup(&t);
	three(&t);
	uint64_t m = program_run(t.p, program_g(2), 100);
	t.p->threads[1] = t.p->threads[0];
	t.p->threads[1].tid = 101;
	t.p->forge.target.thread_count = 2;
	assert_int_equal(go_thread_read(&t.p->forge.rt, 1, &thread, NULL), OK);
	assert_int_equal(thread.m, 0);
	assert_int_equal(thread.curg, 0);
	assert_int_equal(go_thread_read(&t.p->forge.rt, 0, &thread, NULL), OK);
	assert_int_equal(thread.m, m);
	teardown(&t);
}

static void threads_of_another_pid_namespace_are_told_all_the_same(void **state)
{
	(void)state;
	struct test t;
	struct go_thread thread;
	setup(&t);
	three(&t);
	uint64_t m = program_run(t.p, program_g(2), 100);
	t.p->threads[0].tid = 4100;
	assert_int_equal(go_thread_read(&t.p->forge.rt, 0, &thread, NULL), OK);
	assert_int_equal(thread.m, m);
	assert_int_equal(thread.curg, program_g(2));
	teardown(&t);
}

static void a_thread_without_registers_is_told_by_the_id_that_its_m_keeps(void **state)
{
	(void)state;
	struct test t;
	struct go_thread thread;
	setup(&t);
	three(&t);
	uint64_t m = program_run(t.p, program_g(2), 100);
	t.p->threads[1] = t.p->threads[0];
	/* The first thread's m was made after the second's, and leads to it. */
	uint64_t older = program_m(1);
	const struct layout *l = &t.p->forge.rt.layout;
	uint64_t g0 = program_add_g(t.p, 5, 0, 0);
	program_put(t.p, g0 + l->g.m, older);
	program_put(t.p, older + l->m.g0, g0);
	program_put(t.p, older + l->m.procid, 200);
	program_put(t.p, m + l->m.alllink, older);
	t.p->threads[1] = (struct thread){.tid = 200};
	t.p->forge.target.thread_count = 2;
	assert_int_equal(go_thread_read(&t.p->forge.rt, 1, &thread, NULL), OK);
	assert_int_equal(thread.m, older);
	assert_int_equal(thread.g0, g0);
	assert_int_equal(thread.g, 0);
	teardown(&t);
}

static void the_goroutine_that_crashed_is_that_of_the_throwing_thread(void **state)
{
	(void)state;
	struct test t;
	struct goroutine crashed;
	struct error err;
	setup(&t);
	three(&t);
	program_add_g(t.p, 2, 20, GOROUTINE_RUNNING);
	uint64_t m = program_run(t.p, program_g(2), 100);
	assert_int_equal(goroutine_crashed(&t.p->forge.rt, &crashed, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	program_put(t.p, m + t.p->forge.rt.layout.m.throwing, 1);
	program_forget(t.p);
	assert_int_equal(goroutine_crashed(&t.p->forge.rt, &crashed, NULL), OK);
	assert_int_equal(crashed.id, 20);
	assert_int_equal(crashed.thread, 0);
	teardown(&t);
}

static void where_the_threads_are_lost_the_stack_tells_who_crashed(void **state)
{
	(void)state;
	struct test t;
	struct goroutine crashed;
	setup(&t);
	three(&t);
	uint64_t g = program_add_g(t.p, 2, 20, GOROUTINE_RUNNING);
	uint64_t sp = program_stack_hi(2) - 0x60;
	program_sched(t.p, g, t.p->entries[2] + 8, sp, 0, 0);
	program_put(t.p, sp + 8, t.p->entries[3] + 8);
	program_put(t.p, sp + 16 + 0x18, t.p->entries[1] + 8);
	assert_int_equal(goroutine_crashed(&t.p->forge.rt, &crashed, NULL), OK);
	assert_int_equal(crashed.id, 20);
	teardown(&t);
}

/* A table of wait reasons in data, as the linker lays it. */
static void put_reasons(struct test *t)
{
	static const char *const texts[] = {"GC assist marking", "IO wait", "nap"};
	uint64_t table = STACK_BSS + 0x400, text = TEXTS;
	t->p->forge.rt.module.data = STACK_BSS;
	t->p->forge.rt.module.edata = STACK_BSS + STACK_BSS_SIZE;
	for (size_t i = 0; i < 3; i++) {
		memcpy(program_at(t->p, text), texts[i], strlen(texts[i]));
		program_put(t->p, table + 16 * (i + 1), text);
		program_put(t->p, table + 16 * (i + 1) + 8, strlen(texts[i]));
		text += 0x40;
	}
}

static void reasons_to_wait_are_named_by_the_programs_own_table(void **state)
{
	(void)state;
	struct test t;
	struct goroutine g = {.status = GOROUTINE_WAITING, .wait_reason = 3};
	setup(&t);
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "waiting");
	put_reasons(&t);
	program_forget(t.p);
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "nap");
	g.wait_reason = 0;
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "waiting");
	g.wait_reason = 4;
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "waiting");
	g = (struct goroutine){.status = GOROUTINE_RUNNABLE, .wait_reason = 3};
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "runnable");
	g.status = 77;
	assert_string_equal(goroutine_state(&t.p->forge.rt, &g), "???");
	teardown(&t);
}

/* Memory in which one read fails, and those after it do not. */
struct faulty {
	struct forged_program *p;
	long left;
};

static enum status fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			 struct error *err)
{
	struct faulty *faulty = context;
	(void)offset;
	if (faulty->left-- == 0)
		return error_at(err, ERROR_FAULT, addr, "0x%llx cannot be read",
				(unsigned long long)addr);
	memcpy(buf, program_at(faulty->p, addr), n);
	return OK;
}

static void each_read_that_fails_is_an_error_or_a_note(void **state)
{
	(void)state;
	long reads = 1;
	for (long fail = -1; fail < reads; fail++) {
		struct test t;
		struct faulty faulty = {.left = fail};
		struct frame frame;
		struct stack_walk walk = STACK_WALK_INIT;
		size_t frames = 0;
		struct goroutine crashed;
		setup(&t);
		faulty.p = t.p;
		three(&t);
		put_reasons(&t);
		program_run(t.p, program_g(2), 100);
		uint64_t sp = program_stack_hi(0) - 0x60;
		program_sched(t.p, program_g(0), t.p->entries[1] + 8, sp, 0, 0);
		program_put(t.p, sp + 0x20, t.p->entries[0] + 1);
		struct memory_range range = {STACK_BSS, STACK_STACKS + sizeof(t.p->stacks),
					     ORIGIN_CORE, .writable = true};
		struct {
			uint64_t start, size;
		} parts[] = {{STACK_BSS, STACK_BSS_SIZE},
			     {STACK_HEAP, STACK_HEAP_SIZE},
			     {STACK_STACKS, sizeof(t.p->stacks)}};
		for (size_t i = 0; i < 3; i++) {
			range.start = parts[i].start;
			range.end = parts[i].start + parts[i].size;
			assert_int_equal(
				memory_add(t.p->forge.target.memory, &range, fetch, &faulty, NULL),
				OK);
		}
		struct runtime *rt = &t.p->forge.rt;
		bool failed = goroutines_read(rt, &t.list, NULL) != OK;
		failed |= goroutine_crashed(rt, &crashed, NULL) != OK;
		for (size_t i = 0; i < t.list.count; i++) {
			(void)goroutine_state(rt, &t.list.list[i]);
			failed |= stack_walk_start(&walk, rt, &t.list.list[i], NULL) != OK;
			while (stack_walk_next(&walk, &frame))
				frames++;
		}
		if (fail < 0) {
			reads = -faulty.left;
			assert_int_equal(t.list.count, 2);
			assert_int_equal(frames, 2);
		} else {
			assert_true(failed || frames == 2 || t.p->forge.notes.count > 0);
		}
		stack_walk_done(&walk);
		teardown(&t);
	}
	assert_in_range(reads, 4, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_of_all_goroutines_is_found_in_bss),
		cmocka_unit_test(slices_that_cannot_be_the_list_are_passed_over),
		cmocka_unit_test(without_the_list_all_memory_is_searched_and_that_is_noted),
		cmocka_unit_test(a_goroutine_that_cannot_be_read_is_noted),
		cmocka_unit_test(a_target_without_goroutines_is_an_error),
		cmocka_unit_test(a_thread_is_told_by_the_g_it_has_at_hand),
		cmocka_unit_test(a_new_thread_with_its_parents_registers_has_no_goroutine),
		cmocka_unit_test(threads_of_another_pid_namespace_are_told_all_the_same),
		cmocka_unit_test(a_thread_without_registers_is_told_by_the_id_that_its_m_keeps),
		cmocka_unit_test(the_goroutine_that_crashed_is_that_of_the_throwing_thread),
		cmocka_unit_test(where_the_threads_are_lost_the_stack_tells_who_crashed),
		cmocka_unit_test(reasons_to_wait_are_named_by_the_programs_own_table),
		cmocka_unit_test(each_read_that_fails_is_an_error_or_a_note),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
