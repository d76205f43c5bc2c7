/*
 * Which lines of a recorder's table say something about a crash.
 */
#include "unit/verdict/frozen_table.h"

enum { FROZEN_AT = 1000000 };

static void set_up(struct fixture *f)
{
	set_up_frozen(f, FROZEN_AT, 900000, 800000);
}

static void ends_at(struct fixture *f, uint64_t clear)
{
	f->lines[1].state = RECORD_DONE;
	f->lines[1].clear = clear;
}

static void a_write_in_flight_is_found(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_IN_FLIGHT);
	assert_int_equal(f.found[0].age, 200000);
	assert_int_equal(f.found[0].goroutine.id, 7);
	assert_int_equal(f.found[0].goroutine.status, GOROUTINE_RUNNING);
}

static void a_write_in_flight_of_a_goroutine_that_is_gone_says_nothing(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	f.goroutines.count = 1;
	assert_int_equal(find(&f), 0);
}

static void a_write_that_overlapped_counts_though_its_goroutine_has_ended(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	ends_at(&f, 900001);
	f.goroutines.count = 1;
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_OVERLAPS);
	assert_int_equal(f.found[0].goroutine.id, 7);
	assert_int_equal(f.found[0].goroutine.status, GOROUTINE_DEAD);
	assert_int_equal(f.found[0].goroutine.thread, -1);
}

static void a_line_is_not_taken_for_that_of_the_goroutine_that_has_its_g_now(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	ends_at(&f, 900001);
	f.live[1].id = 8;
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].goroutine.id, 7);
	assert_int_equal(f.found[0].goroutine.status, GOROUTINE_DEAD);
}

static void a_write_that_ended_before_the_detectors_began_did_not_overlap(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	ends_at(&f, 899999);
	assert_int_equal(find(&f), 0);
	set_up(&f);
	f.lines[0].set = 999000;
	ends_at(&f, 998999);
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_JUST_ENDED);
}

/* The detector failed its entry check: its own last write, of another map, was over. */
static void set_up_entry(struct fixture *f, uint64_t over)
{
	set_up(f);
	f->lines[0].map = MAP + 64;
	f->lines[0].state = RECORD_DONE;
	f->lines[0].clear = over;
}

static void the_only_one_who_wrote_since_the_detector_did_set_the_flag(void **state)
{
	(void)state;
	struct fixture f;
	set_up_entry(&f, 850000);
	ends_at(&f, 899999);
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	set_up_entry(&f, 950000);
	ends_at(&f, 899999);
	assert_int_equal(find(&f), 0);
}

/* Goroutine 7 wrote MAP until before, and has gone on to another map. */
static void goes_on(struct fixture *f, struct record *before, uint64_t clear)
{
	*before = f->lines[1];
	before->state = RECORD_DONE;
	before->clear = clear;
	f->lines[1].map = MAP + 128;
	f->lines[1].set = clear + 10;
	f->records.before = before;
	f->records.before_count = 1;
}

static void a_write_whose_goroutine_went_on_to_another_map_counts(void **state)
{
	(void)state;
	struct fixture f;
	struct record before;
	set_up_entry(&f, 850000);
	goes_on(&f, &before, FROZEN_AT + 5);
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_IN_FLIGHT);
	set_up_entry(&f, 850000);
	goes_on(&f, &before, 899999);
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	/* it wrote since, but not this map */
	set_up_entry(&f, 950000);
	goes_on(&f, &before, 899999);
	f.lines[1].set = 960000;
	assert_int_equal(find(&f), 0);
}

static void of_two_who_wrote_since_either_may_have_set_the_flag(void **state)
{
	(void)state;
	struct fixture f;
	struct record before;
	/* it took over the g of goroutine 6, and wrote the map too */
	set_up_entry(&f, 850000);
	goes_on(&f, &before, FROZEN_AT - 100);
	before.goid = 6;
	f.lines[1].map = MAP;
	ends_at(&f, FROZEN_AT - 50);
	assert_int_equal(find(&f), 2);
	assert_int_equal(f.found[0].how, RECORDED_JUST_ENDED);
	assert_int_equal(f.found[0].goroutine.id, 7);
	assert_int_equal(f.found[1].goroutine.id, 6);
	/* it has not */
	set_up_entry(&f, 850000);
	goes_on(&f, &before, FROZEN_AT - 100);
	before.goid = 6;
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	assert_int_equal(f.found[0].goroutine.id, 6);
}

/* Goroutine 9 has ended a write of MAP just before the freeze; goroutine 7 was writing other maps for as long as set says. */
static size_t find_beside(struct fixture *f, uint64_t set, struct record *before,
			  size_t before_count)
{
	struct record lines[3] = {f->lines[0], f->lines[1], f->lines[1]};
	lines[1].map = MAP + 128;
	lines[1].set = set;
	lines[2] =
		(struct record){.g = 0x9000, .goid = 9, .map = MAP, .set = 999000, .clear = 999500};
	f->records.list = lines;
	f->records.count = 3;
	f->records.before = before;
	f->records.before_count = before_count;
	size_t count = find(f);
	f->records.list = f->lines;
	return count;
}

static void who_wrote_other_maps_may_have_written_this_one_only_if_that_can_be_hidden(void **state)
{
	(void)state;
	struct fixture f;
	struct record before = {.g = 0x7000, .goid = 7, .set = 990000, .clear = 990010};
	/* in another map all the time */
	set_up_entry(&f, 850000);
	assert_int_equal(find_beside(&f, 800000, NULL, 0), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	/* in several since, none of which can have pushed this one out */
	before.map = MAP + 64;
	while (record_before_place(before.map) == record_before_place(MAP))
		before.map += 64;
	set_up_entry(&f, 850000);
	assert_int_equal(find_beside(&f, 999100, &before, 1), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	/* one of them can */
	before.map = MAP + 64;
	while (record_before_place(before.map) != record_before_place(MAP))
		before.map += 64;
	set_up_entry(&f, 850000);
	assert_int_equal(find_beside(&f, 999100, &before, 1), 1);
	assert_int_equal(f.found[0].how, RECORDED_JUST_ENDED);
	/* but not since */
	before.set = 800000;
	set_up_entry(&f, 850000);
	assert_int_equal(find_beside(&f, 999100, &before, 1), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
}

static void what_was_over_when_the_detector_got_its_thread_did_not_set_the_flag(void **state)
{
	(void)state;
	struct fixture f;
	struct record before = {.g = 0x9000, .goid = 9, .map = MAP, .set = 979000, .clear = 980000};
	set_up_entry(&f, 850000);
	ends_at(&f, 999999);
	f.records.before = &before;
	f.records.before_count = 1;
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_JUST_ENDED);
	set_up_entry(&f, 850000);
	ends_at(&f, 999999);
	f.records.before = &before;
	f.records.before_count = 1;
	f.records.detector_since = 990000;
	assert_int_equal(find(&f), 1);
	assert_int_equal(f.found[0].how, RECORDED_ONLY);
	assert_int_equal(f.found[0].goroutine.id, 7);
}

/* The detector failed its exit check, and goroutine 7 had ended its write when the detector's began, at 999000. */
static enum recorded_how how_found(struct fixture *f, uint64_t clear, uint64_t found_at)
{
	set_up(f);
	f->lines[0].set = 999000;
	ends_at(f, clear);
	f->records.header.found_g = 0x1000;
	f->records.header.found_map = MAP;
	f->records.header.found_at = found_at;
	assert_int_equal(find(f), 1);
	return f->found[0].how;
}

static void a_flag_that_the_detectors_set_found_was_that_of_a_write_just_ending(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(how_found(&f, 998900, 999010), RECORDED_FOUND);
	/* long over */
	assert_int_equal(how_found(&f, 998000, 999010), RECORDED_JUST_ENDED);
	/* another write of the detector's found it */
	assert_int_equal(how_found(&f, 998900, 998999), RECORDED_JUST_ENDED);
	assert_int_equal(how_found(&f, 998900, FROZEN_AT + 1), RECORDED_JUST_ENDED);
	/* it was not found set at all */
	assert_int_equal(how_found(&f, 998900, 0), RECORDED_JUST_ENDED);
	/* it is seen anyway */
	assert_int_equal(how_found(&f, 999001, 999010), RECORDED_OVERLAPS);
}

/* The detector failed its entry check, after a write of MAP from 990000 to 990200; goroutine 7 wrote it from set to clear, and
 * one of them found the flag clear as it cleared it. */
static enum recorded_how how_left(struct fixture *f, uint64_t set, uint64_t clear, uint64_t left_g,
				  uint64_t left_at)
{
	set_up(f);
	f->lines[0].state = RECORD_DONE;
	f->lines[0].set = 990000;
	f->lines[0].clear = 990200;
	f->lines[1].set = set;
	ends_at(f, clear);
	f->records.header.left_g = left_g;
	f->records.header.left_map = MAP;
	f->records.header.left_at = left_at;
	assert_int_equal(find(f), 1);
	return f->found[0].how;
}

static void two_writes_that_cleared_the_flag_at_one_time_raced(void **state)
{
	(void)state;
	struct fixture f;
	assert_int_equal(how_left(&f, 990100, 990210, 0x1000, 990190), RECORDED_LEFT);
	assert_int_equal(how_left(&f, 989900, 990190, 0x7000, 990180), RECORDED_LEFT);
	/* one after the other */
	assert_int_equal(how_left(&f, 990300, 990400, 0x1000, 990190), RECORDED_ONLY);
	/* in another write */
	assert_int_equal(how_left(&f, 990100, 990210, 0x1000, 980000), RECORDED_ONLY);
	/* of somebody else */
	assert_int_equal(how_left(&f, 990100, 990210, 0x3000, 990190), RECORDED_ONLY);
}

static void another_map_and_a_table_that_is_not_frozen_say_nothing(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	f.lines[1].map = MAP + 64;
	assert_int_equal(find(&f), 0);
	set_up(&f);
	f.records.header.frozen = 0;
	assert_int_equal(find(&f), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_in_flight_is_found),
		cmocka_unit_test(a_write_in_flight_of_a_goroutine_that_is_gone_says_nothing),
		cmocka_unit_test(a_write_that_overlapped_counts_though_its_goroutine_has_ended),
		cmocka_unit_test(a_line_is_not_taken_for_that_of_the_goroutine_that_has_its_g_now),
		cmocka_unit_test(a_write_that_ended_before_the_detectors_began_did_not_overlap),
		cmocka_unit_test(the_only_one_who_wrote_since_the_detector_did_set_the_flag),
		cmocka_unit_test(a_write_whose_goroutine_went_on_to_another_map_counts),
		cmocka_unit_test(of_two_who_wrote_since_either_may_have_set_the_flag),
		cmocka_unit_test(
			who_wrote_other_maps_may_have_written_this_one_only_if_that_can_be_hidden),
		cmocka_unit_test(
			what_was_over_when_the_detector_got_its_thread_did_not_set_the_flag),
		cmocka_unit_test(
			a_flag_that_the_detectors_set_found_was_that_of_a_write_just_ending),
		cmocka_unit_test(two_writes_that_cleared_the_flag_at_one_time_raced),
		cmocka_unit_test(another_map_and_a_table_that_is_not_frozen_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
