/*
 * Which lines of a recorder's table say something about a death of a fault, and what.
 */
#include "verdict/recorded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "target/memory.h"

/* How much earlier than a beginning the time may be that its line has. */
enum { EARLY = RECORDED_EARLY_TICKS };

enum {
	MAP = 0xc000010000,
	DIED_AT = 500000000,
	OWN_SET = DIED_AT - 100000,
	FROZEN_AT = DIED_AT + 500
};

/* Goroutine 1 died at DIED_AT while its write of MAP was in flight since OWN_SET; line 1 is that of goroutine 7, whose
 * write of MAP was in flight before that. No memory can be read. */
struct fixture {
	struct target target;
	struct runtime rt;
	struct record lines[2];
	struct records records;
	struct goroutine live[2];
	struct goroutines goroutines;
	struct recorded found[RECORDED_MAX];
};

static void set_up(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->target.memory = memory_new();
	assert_non_null(f->target.memory);
	f->rt.target = &f->target;
	f->records.header.frozen = 1;
	f->records.header.flags = RECORDS_TIMES;
	f->records.header.frozen_at = FROZEN_AT;
	f->records.header.died_at = DIED_AT;
	f->records.header.detector_g = 0x1000;
	f->records.header.detector_goid = 1;
	f->lines[0] = (struct record){
		.g = 0x1000, .goid = 1, .map = MAP, .set = OWN_SET, .state = RECORD_IN_FLIGHT};
	f->lines[1] = (struct record){
		.g = 0x7000, .goid = 7, .map = MAP, .set = OWN_SET - 10, .state = RECORD_IN_FLIGHT};
	f->records.list = f->lines;
	f->records.count = 2;
	f->live[0] = (struct goroutine){.g = 0x1000, .id = 1, .status = GOROUTINE_RUNNING};
	f->live[1] = (struct goroutine){.g = 0x7000, .id = 7, .status = GOROUTINE_RUNNING};
	f->goroutines.list = f->live;
	f->goroutines.count = 2;
}

/* How goroutine 7's write stands to the death; -1: not at all. */
static int how(struct fixture *f, uint64_t *ret_age)
{
	size_t count = recorded_find(&f->rt, &f->records, &f->goroutines, MAP, f->found);
	memory_free(f->target.memory);
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
