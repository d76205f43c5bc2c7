/*
 * Which lines of a recorder's table say something about a death of a fault, and what.
 */
#include "unit/verdict/frozen_table.h"

/* How much earlier than a beginning the time may be that its line has. */
enum { EARLY = RECORDED_EARLY_TICKS };

enum { DIED_AT = 500000000, OWN_SET = DIED_AT - 100000, FROZEN_AT = DIED_AT + 500 };

/* Goroutine 1 died at DIED_AT in its write; that of goroutine 7 was in flight before. */
static void set_up(struct fixture *f)
{
	set_up_frozen(f, FROZEN_AT, OWN_SET, OWN_SET - 10);
	f->records.header.died_at = DIED_AT;
}

/* How goroutine 7's write stands to the death; -1: not at all. */
static int how(struct fixture *f, uint64_t *ret_age)
{
	size_t count = find(f);
	assert_true(count <= 1);
	*ret_age = f->found[0].age;
	return count ? (int)f->found[0].how : -1;
}

/* The same of a write that ended. */
static int how_of(uint64_t set, uint64_t clear, bool own, uint64_t *ret_age)
{
	struct fixture f;
	set_up(&f);
	f.lines[1].set = set;
	f.lines[1].clear = clear;
	f.lines[1].state = RECORD_DONE;
	if (!own)
		f.lines[0].state = RECORD_DONE;
	return how(&f, ret_age);
}

static void a_write_in_flight_at_the_death_overlaps(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t age;
	set_up(&f);
	assert_int_equal(how(&f, &age), RECORDED_IN_FLIGHT);
	assert_int_equal(age, DIED_AT - OWN_SET + 10);
	/* it ended before the table froze */
	assert_int_equal(how_of(DIED_AT - EARLY, DIED_AT + 5, false, &age), RECORDED_IN_FLIGHT);
	assert_int_equal(age, EARLY);
}

static void a_write_that_began_after_the_death_is_not_taken_for_one_in_flight(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t age;
	set_up(&f);
	f.lines[1].set = DIED_AT + 1;
	assert_int_equal(how(&f, &age), RECORDED_JUST_AFTER);
	assert_int_equal(age, 1);
	assert_int_equal(how_of(DIED_AT + 3, DIED_AT + 5, true, &age), RECORDED_JUST_AFTER);
	assert_int_equal(age, 3);
	/* or that may have */
	assert_int_equal(how_of(DIED_AT - EARLY + 1, DIED_AT + 5, true, &age), RECORDED_JUST_AFTER);
}

static void a_write_that_ended_overlaps_only_with_an_own_one_that_had_begun(void **state)
{
	(void)state;
	uint64_t age;
	assert_int_equal(how_of(OWN_SET - 50, OWN_SET + EARLY, true, &age), RECORDED_OVERLAPS);
	assert_int_equal(how_of(OWN_SET - 50, OWN_SET + EARLY - 1, true, &age),
			 RECORDED_JUST_ENDED);
	assert_int_equal(age, DIED_AT - OWN_SET - EARLY + 1);
	/* of a reader it is not known when its call began */
	assert_int_equal(how_of(OWN_SET - 50, OWN_SET + EARLY, false, &age), RECORDED_JUST_ENDED);
}

static void a_write_that_was_broken_off_by_a_fault_is_not_in_flight_any_more(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t age;
	set_up(&f);
	f.records.header.faults[3] = (struct record_fault){.g = 0x7000, .at = OWN_SET - 5};
	assert_int_equal(how(&f, &age), RECORDED_JUST_ENDED);
	set_up(&f);
	f.records.header.faults[3] = (struct record_fault){.g = 0x7000, .at = OWN_SET + EARLY};
	assert_int_equal(how(&f, &age), RECORDED_OVERLAPS);
	/* the fault was before this write */
	set_up(&f);
	f.records.header.faults[3] = (struct record_fault){.g = 0x7000, .at = OWN_SET - 20};
	assert_int_equal(how(&f, &age), RECORDED_IN_FLIGHT);
}

static void what_was_long_before_or_after_says_nothing(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t age;
	set_up(&f);
	f.records.header.died_at += RECORDED_STALE_TICKS;
	assert_int_equal(how(&f, &age), -1);
	set_up(&f);
	f.records.header.died_at += RECORDED_NEAR_TICKS;
	f.lines[0].state = f.lines[1].state = RECORD_DONE;
	f.lines[1].clear = DIED_AT;
	assert_int_equal(how(&f, &age), -1);
	assert_int_equal(
		how_of(DIED_AT + RECORDED_NEAR_TICKS, DIED_AT + RECORDED_STALE_TICKS, true, &age),
		-1);
	/* who is in flight is there */
	set_up(&f);
	f.lines[1].set = DIED_AT + (uint64_t)RECORDED_NEAR_TICKS;
	assert_int_equal(how(&f, &age), RECORDED_JUST_AFTER);
}

static void without_times_nothing_is_shown_to_overlap(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t age;
	set_up(&f);
	f.records.header.flags = 0;
	f.lines[0].set = f.lines[1].set = 0;
	assert_int_equal(how(&f, &age), RECORDED_JUST_AFTER);
	assert_int_equal(age, 0);
	set_up(&f);
	f.records.header.flags = 0;
	f.lines[1].state = RECORD_DONE;
	assert_int_equal(how(&f, &age), -1);
}

static void an_own_write_that_began_long_ago_was_broken_off_then(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	assert_ptr_equal(recorded_broken_off(&f.records), &f.lines[0]);
	f.records.header.died_at += RECORDED_STALE_TICKS;
	assert_null(recorded_broken_off(&f.records));
	f.records.header.died_at = OWN_SET - 1;
	assert_null(recorded_broken_off(&f.records));
	f.records.header.died_at = DIED_AT;
	f.lines[0].state = RECORD_DONE;
	assert_null(recorded_broken_off(&f.records));
	memory_free(f.target.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_in_flight_at_the_death_overlaps),
		cmocka_unit_test(a_write_that_began_after_the_death_is_not_taken_for_one_in_flight),
		cmocka_unit_test(a_write_that_ended_overlaps_only_with_an_own_one_that_had_begun),
		cmocka_unit_test(a_write_that_was_broken_off_by_a_fault_is_not_in_flight_any_more),
		cmocka_unit_test(what_was_long_before_or_after_says_nothing),
		cmocka_unit_test(without_times_nothing_is_shown_to_overlap),
		cmocka_unit_test(an_own_write_that_began_long_ago_was_broken_off_then),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
