/*
 * What verify makes of many verdicts: which of them are one race, and which pairs of places raced.
 */
#include "verdict/trials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A race between function a, which found it, and b, at these lines of main.go. */
static struct verdict verdict_of(const char *type, const char *a, int a_line, const char *b,
				 int b_line)
{
	struct verdict v = {.cause = CAUSE_RACE, .grade = GRADE_PROVEN, .has_detector = true};
	v.map.type = type;
	v.detector.site = (struct site){.function = a, .file = "main.go", .line = a_line};
	v.detector.operation = OPERATION_ASSIGN;
	v.has_other = b != NULL;
	v.other.site = (struct site){.function = b, .file = "main.go", .line = b_line};
	v.other.operation = OPERATION_ASSIGN;
	return v;
}

static struct trial_race *add(struct trials *t, const struct verdict *v)
{
	struct trial_race *race;
	assert_int_equal(trials_add_verdict(t, v, &race, NULL), OK);
	return race;
}

static void a_race_is_the_same_whichever_side_found_it(void **state)
{
	(void)state;
	struct trials t = {0};
	struct verdict v = verdict_of("map[int]int", "main.put", 10, "main.drop", 20);
	struct verdict w = verdict_of("map[int]int", "main.drop", 20, "main.put", 10);
	trials_begin_run(&t);
	v.grade = GRADE_LIKELY;
	assert_int_equal(add(&t, &v)->count, 1);
	trials_begin_run(&t);
	struct trial_race *race = add(&t, &w);
	assert_int_equal(t.race_count, 1);
	assert_int_equal(race->count, 2);
	assert_int_equal(race->first_run, 1);
	assert_int_equal(race->grade, GRADE_PROVEN);
	assert_string_equal(race->side[0].function, "main.put");
	trials_done(&t);
}

static void another_line_type_or_a_missing_side_makes_another_race(void **state)
{
	(void)state;
	struct trials t = {0};
	struct verdict v[] = {
		verdict_of("map[int]int", "main.put", 10, "main.drop", 20),
		verdict_of("map[int]int", "main.put", 11, "main.drop", 20),
		verdict_of("map[int]bool", "main.put", 10, "main.drop", 20),
		verdict_of("map[int]int", "main.put", 10, NULL, 0),
	};
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
		add(&t, &v[i]);
	assert_int_equal(t.race_count, 4);
	trials_done(&t);
}

static void what_is_no_race_is_not_counted(void **state)
{
	(void)state;
	struct trials t = {0};
	struct verdict v = verdict_of("map[int]int", "main.put", 10, "main.drop", 20);
	v.cause = CAUSE_CORRUPTION;
	assert_null(add(&t, &v));
	v.cause = CAUSE_RACE;
	v.has_detector = false;
	assert_null(add(&t, &v));
	assert_int_equal(t.race_count, 0);
	trials_done(&t);
}

static void the_most_frequent_race_comes_first(void **state)
{
	(void)state;
	struct trials t = {0};
	struct verdict rare = verdict_of("map[int]int", "main.a", 1, "main.b", 2);
	struct verdict often = verdict_of("map[int]int", "main.c", 3, "main.d", 4);
	add(&t, &rare);
	add(&t, &often);
	add(&t, &often);
	trials_finish(&t);
	assert_int_equal(t.races[0].count, 2);
	assert_string_equal(t.races[0].side[0].function, "main.c");
	trials_done(&t);
}

static struct trial_place place_at(const char *function, int line)
{
	return (struct trial_place){
		.function = strdup(function), .file = strdup("main.go"), .line = line};
}

static void a_pair_raced_where_a_race_was_found_between_its_places(void **state)
{
	(void)state;
	struct trials t = {0};
	struct verdict v = verdict_of("map[int]int", "main.drop", 20, "main.put", 10);
	t.places = calloc(3, sizeof(*t.places));
	t.pairs = calloc(2, sizeof(*t.pairs));
	assert_non_null(t.places);
	assert_non_null(t.pairs);
	t.places[0] = place_at("main.other", 30);
	t.places[1] = place_at("main.put", 10);
	t.places[2] = place_at("main.drop", 20);
	t.place_count = t.place_cap = 3;
	t.pairs[0] = (struct trial_pair){.a = 0, .b = 1, .seen = 9, .overlaps = 9};
	t.pairs[1] = (struct trial_pair){.a = 1, .b = 2, .seen = 1};
	t.pair_count = t.pair_cap = 2;
	add(&t, &v);
	trials_finish(&t);
	assert_true(t.pairs[0].raced);
	assert_int_equal(t.pairs[0].a, 1);
	assert_int_equal(t.pairs[0].b, 2);
	assert_false(t.pairs[1].raced);
	trials_done(&t);
}

static void a_race_of_another_binary_is_the_same_though_its_lines_have_moved(void **state)
{
	(void)state;
	struct trials now = {0}, before = {0};
	struct verdict v = verdict_of("map[int]int", "main.put", 10, "main.drop", 20);
	struct verdict w = verdict_of("map[int]int", "main.drop", 3, "main.put", 14);
	struct verdict other = verdict_of("map[int]bool", "main.put", 10, "main.drop", 20);
	struct trial_race *a = add(&now, &v);
	struct trial_race *b = add(&before, &w);
	assert_true(trial_race_is(a, b));
	assert_false(trial_race_is(a, add(&before, &other)));
	trials_done(&now);
	trials_done(&before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_race_is_the_same_whichever_side_found_it),
		cmocka_unit_test(another_line_type_or_a_missing_side_makes_another_race),
		cmocka_unit_test(what_is_no_race_is_not_counted),
		cmocka_unit_test(the_most_frequent_race_comes_first),
		cmocka_unit_test(a_pair_raced_where_a_race_was_found_between_its_places),
		cmocka_unit_test(a_race_of_another_binary_is_the_same_though_its_lines_have_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
