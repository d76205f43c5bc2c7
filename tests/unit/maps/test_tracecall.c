/* The map call of a printed stack. */
#include "maps/tracecall.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A frame of certain words; bit i of doubt: word i is printed with "?". */
static struct trace_frame frame(const char *function, uint16_t doubt, uint64_t a, uint64_t b,
				uint64_t c)
{
	return (struct trace_frame){.function = function,
				    .words = {a, b, c},
				    .word_count = 3,
				    .certain = (uint16_t)(7 & ~doubt)};
}

static void a_write_is_read_from_its_frames(void **state)
{
	(void)state;
	struct trace_call call;
	const struct trace_frame frames[] = {
		frame("runtime.evacuate_fast64", 0, 0x400, 0xc000, 1),
		frame("runtime.growWork_fast64", 0, 0x400, 0xc000, 1),
		frame("runtime.mapassign_fast64", 0, 0x400, 0xc000, 42),
		frame("main.f", 0, 0, 0, 0),
		frame("runtime.mapassign_fast64", 0, 0x500, 0xd000,
		      43), /* beyond the program's own code */
	};
	assert_true(trace_call_of_stack(frames, 5, &call));
	assert_int_equal(call.operation, OPERATION_ASSIGN);
	assert_int_equal(call.frame, 2);
	assert_true(call.writes && call.inside && !call.fatal);
	assert_true(call.map.certain && call.map.value == 0xc000);
	assert_true(call.type.certain && call.type.value == 0x400);
	assert_int_equal(call.key_form, KEY_WORD);
	assert_int_equal(call.key, 42);
}

static void a_doubtful_word_is_not_certain_unless_another_frame_says_it(void **state)
{
	(void)state;
	struct trace_call call;
	struct trace_frame frames[] = {
		frame("internal/runtime/maps.(*table).rehash", 7, 1, 2, 3),
		frame("internal/runtime/maps.(*table).PutSlot", 0, 1, 0x400, 0xc000),
	};
	assert_true(trace_call_of_stack(frames, 2, &call));
	assert_true(call.map.certain && call.map.value == 0xc000 && call.inside);
	frames[1].certain = 0;
	assert_true(trace_call_of_stack(frames, 2, &call));
	assert_true(call.map.known && !call.map.certain);
	/* Two frames that are both sure, and differ: neither is believed. */
	frames[0].certain = frames[1].certain = 7;
	assert_true(trace_call_of_stack(frames, 2, &call));
	assert_false(call.map.certain);
}

static void a_read_a_clone_and_a_failed_check_are_not_inside_a_write(void **state)
{
	(void)state;
	struct trace_call call;
	const struct trace_frame read[] = {frame("runtime.mapaccess1_fast64", 0, 0x400, 0xc000, 1)};
	assert_true(trace_call_of_stack(read, 1, &call));
	assert_true(!call.writes && !call.inside);
	/* go1.23 runtime/map.go: a clone gets its overflow buckets from the same function. */
	const struct trace_frame clone[] = {
		frame("runtime.(*hmap).newoverflow", 0, 0xc000, 0x400, 1),
		frame("runtime.mapclone2", 0, 0x400, 0xd000, 1),
		frame("maps.clone", 0, 0x400, 0xd000, 0)};
	assert_true(trace_call_of_stack(clone, 3, &call));
	assert_int_equal(call.operation, OPERATION_CLONE);
	assert_true(!call.writes && !call.inside);
	const struct trace_frame failed[] = {frame("runtime.fatal", 0, 0x490000, 21, 0),
					     frame("runtime.mapassign", 0, 0x400, 0xc000, 1)};
	assert_true(trace_call_of_stack(failed, 2, &call));
	assert_true(call.writes && call.fatal && !call.inside);
	const struct trace_frame panics[] = {frame("panic", 0, 1, 2, 3),
					     frame("runtime.growWork", 0, 0x400, 0xc000, 1),
					     frame("runtime.mapassign", 0, 0x400, 0xc000, 1)};
	assert_true(trace_call_of_stack(panics, 3, &call));
	assert_false(call.inside);
}

static void a_helper_of_many_counts_only_below_a_write(void **state)
{
	(void)state;
	struct trace_call call;
	const struct trace_frame alone[] = {
		frame("runtime.(*hmap).newoverflow", 0, 0xc000, 0x400, 1),
		frame("main.f", 0, 0, 0, 0)};
	assert_true(trace_call_of_stack(alone, 2, &call));
	assert_false(call.inside);
	const struct trace_frame none[] = {frame("runtime.gopark", 0, 0, 0, 0),
					   frame("main.f", 0, 0, 0, 0)};
	assert_false(trace_call_of_stack(none, 2, &call));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_read_from_its_frames),
		cmocka_unit_test(a_doubtful_word_is_not_certain_unless_another_frame_says_it),
		cmocka_unit_test(a_read_a_clone_and_a_failed_check_are_not_inside_a_write),
		cmocka_unit_test(a_helper_of_many_counts_only_below_a_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
