#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probe/timeline.h"

static struct timeline_step step;

static void add(struct timeline *t, uint64_t time, uint64_t who, enum flag_site_kind change)
{
	struct watch_event event = {
		.kind = WATCH_FLIP,
		.time = time,
		.who = who,
		.goroutine = who * 10,
		.change = change,
		.in_map_function = true,
		.operation = OPERATION_ASSIGN,
	};
	assert_int_equal(timeline_add(t, &event, &step, NULL), OK);
}

static void die(struct timeline *t, uint64_t time, uint64_t who, enum flag_check_role check)
{
	struct watch_event event = {
		.kind = WATCH_FATAL,
		.time = time,
		.who = who,
		.goroutine = who * 10,
		.check = check,
		.holds_map = true,
	};
	assert_int_equal(timeline_add(t, &event, &step, NULL), OK);
}

static void lose(struct timeline *t, uint64_t since, uint64_t until)
{
	struct watch_event event = {.kind = WATCH_GAP, .since = since, .time = until, .lost = 3};
	assert_int_equal(timeline_add(t, &event, &step, NULL), OK);
}

static void writes_one_after_the_other_do_not_overlap(void **state)
{
	(void)state;
	struct timeline t = {0};
	for (uint64_t i = 0; i < 10; i++) {
		add(&t, 100 * i, 1 + i % 3, FLAG_SET);
		assert_false(step.is_overlap);
		add(&t, 100 * i + 50, 1 + i % 3, FLAG_CLEAR);
	}
	timeline_finish(&t, 2000);
	assert_int_equal(t.row_count, 3);
	assert_int_equal(t.writes, 10);
	assert_int_equal(t.overlap_count, 0);
	assert_int_equal(t.rows[0].writing, 4 * 50);
	timeline_done(&t);
}

static void a_write_that_begins_in_another_overlaps_it(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 100, 1, FLAG_SET);
	add(&t, 150, 2, FLAG_SET);
	assert_true(step.is_overlap);
	assert_int_equal(t.intervals[step.overlapped].row, 0);
	add(&t, 180, 1, FLAG_CLEAR);
	add(&t, 300, 2, FLAG_CLEAR);
	timeline_finish(&t, 400);
	assert_int_equal(t.overlap_count, 1);
	assert_int_equal(t.overlaps[0].start, 150);
	assert_int_equal(t.overlaps[0].end, 180);
	assert_false(t.overlaps[0].doubtful);
	assert_int_equal(t.rows[0].overlaps, 1);
	assert_int_equal(t.rows[1].overlaps, 1);
	timeline_done(&t);
}

static void an_end_that_comes_late_takes_the_overlap_back(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 100, 1, FLAG_SET);
	add(&t, 150, 2, FLAG_SET);
	add(&t, 120, 1, FLAG_CLEAR); /* given out late: it was before */
	add(&t, 200, 2, FLAG_CLEAR);
	timeline_finish(&t, 400);
	assert_int_equal(t.overlap_count, 0);
	assert_int_equal(t.rows[0].overlaps, 0);
	assert_int_equal(t.rows[1].overlaps, 0);
	timeline_done(&t);
}

static void what_is_lost_makes_doubtful_what_it_touches_and_nothing_else(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 100, 1, FLAG_SET);
	add(&t, 110, 2, FLAG_SET);
	add(&t, 120, 1, FLAG_CLEAR);
	add(&t, 130, 2, FLAG_CLEAR);
	add(&t, 200, 1, FLAG_SET);
	add(&t, 210, 2, FLAG_SET);
	lose(&t, 205, 290);
	add(&t, 300, 1, FLAG_SET);
	assert_false(step.is_overlap); /* what was open ended with the gap */
	add(&t, 310, 1, FLAG_CLEAR);
	timeline_finish(&t, 400);
	assert_int_equal(t.lost, 3);
	assert_int_equal(t.overlap_count, 2);
	assert_false(t.overlaps[0].doubtful);
	assert_true(t.overlaps[1].doubtful);
	assert_false(t.intervals[4].doubtful);
	timeline_done(&t);
}

static void gaps_of_two_processors_are_both_minded(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 100, 1, FLAG_SET);
	add(&t, 110, 1, FLAG_CLEAR);
	add(&t, 150, 1, FLAG_SET);
	add(&t, 160, 1, FLAG_CLEAR);
	lose(&t, 155, 170); /* the first to end, and the last to begin */
	lose(&t, 105, 180);
	timeline_finish(&t, 200);
	assert_true(t.intervals[0].doubtful);
	assert_true(t.intervals[1].doubtful);
	timeline_done(&t);
}

static void a_check_at_entry_ran_into_who_has_the_flag_set(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 10, 3, FLAG_SET);
	add(&t, 20, 3, FLAG_CLEAR);
	add(&t, 100, 1, FLAG_SET);
	die(&t, 150, 2, FLAG_CHECK_ENTRY);
	timeline_finish(&t, 400);
	assert_true(t.fatal.seen && t.fatal.of_this_map);
	assert_int_equal(t.rows[t.fatal.row].goroutine, 20);
	assert_int_equal(t.fatal.own, 0);
	assert_int_equal(t.rows[t.intervals[t.fatal.other - 1].row].goroutine, 10);
	assert_true(t.intervals[t.fatal.other - 1].open);
	timeline_done(&t);
}

static void a_first_write_may_be_told_of_after_the_check_that_it_made_fail(void **state)
{
	(void)state;
	struct timeline t = {0};
	die(&t, 100000, 1, FLAG_CHECK_ENTRY);
	assert_false(t.fatal.of_this_map);
	add(&t, 120000, 2, FLAG_SET);
	assert_true(t.fatal.of_this_map);
	assert_int_equal(t.fatal.other, 1);
	timeline_done(&t);

	/* but not for ever, and not where something was lost */
	t = (struct timeline){0};
	die(&t, 100000, 1, FLAG_CHECK_ENTRY);
	add(&t, 5000000, 2, FLAG_SET);
	assert_false(t.fatal.of_this_map);
	timeline_done(&t);
	t = (struct timeline){0};
	lose(&t, 10, 20);
	die(&t, 100000, 1, FLAG_CHECK_ENTRY);
	add(&t, 120000, 2, FLAG_SET);
	assert_false(t.fatal.of_this_map);
	timeline_done(&t);
}

static void a_check_at_exit_ran_into_who_cleared_the_flag_meanwhile(void **state)
{
	(void)state;
	struct timeline t = {0};
	add(&t, 10, 3, FLAG_SET);
	add(&t, 20, 3, FLAG_CLEAR);
	add(&t, 100, 1, FLAG_SET);
	add(&t, 110, 2, FLAG_SET);
	add(&t, 120, 2, FLAG_CLEAR);
	die(&t, 150, 1, FLAG_CHECK_EXIT);
	timeline_finish(&t, 400);
	assert_true(t.fatal.of_this_map);
	assert_int_equal(t.intervals[t.fatal.own - 1].start, 100);
	assert_int_equal(t.intervals[t.fatal.other - 1].start, 110);
	timeline_done(&t);
}

static void a_death_that_the_flag_does_not_explain_is_not_of_this_map(void **state)
{
	(void)state;
	struct timeline t = {0};
	/* at exit without having set the flag; at entry with nobody else there; no check at all */
	enum flag_check_role checks[] = {FLAG_CHECK_EXIT, FLAG_CHECK_ENTRY, FLAG_CHECK_NONE};
	for (size_t i = 0; i < 3; i++) {
		add(&t, 100, 1, FLAG_SET);
		add(&t, 110, 1, FLAG_CLEAR);
		die(&t, 150, checks[i] == FLAG_CHECK_ENTRY ? 1 : 2, checks[i]);
		assert_true(t.fatal.seen);
		assert_false(t.fatal.of_this_map);
		timeline_done(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_after_the_other_do_not_overlap),
		cmocka_unit_test(a_write_that_begins_in_another_overlaps_it),
		cmocka_unit_test(an_end_that_comes_late_takes_the_overlap_back),
		cmocka_unit_test(what_is_lost_makes_doubtful_what_it_touches_and_nothing_else),
		cmocka_unit_test(gaps_of_two_processors_are_both_minded),
		cmocka_unit_test(a_check_at_entry_ran_into_who_has_the_flag_set),
		cmocka_unit_test(a_first_write_may_be_told_of_after_the_check_that_it_made_fail),
		cmocka_unit_test(a_check_at_exit_ran_into_who_cleared_the_flag_meanwhile),
		cmocka_unit_test(a_death_that_the_flag_does_not_explain_is_not_of_this_map),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
