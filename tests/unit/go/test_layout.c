#include "go/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void each_version_and_design_has_a_layout(void **state)
{
	(void)state;
	for (int minor = 18; minor <= 27; minor++) {
		struct go_version version = {.minor = minor};
		bool exact = false;
		bool swiss = minor >= 24;
		const struct layout *layout = layout_for(&version, swiss, &exact);
		assert_non_null(layout);
		assert_true(exact);
		assert_int_equal(layout->g.sched, 56);
		assert_int_equal(layout->gobuf.g, 16);
		assert_int_equal(layout->map.writing == LAYOUT_NONE, !swiss);
		assert_int_equal(layout->hmap.flags == LAYOUT_NONE, swiss);
	}
}

static void versions_124_and_125_have_both_designs(void **state)
{
	(void)state;
	for (int minor = 24; minor <= 25; minor++) {
		struct go_version version = {.minor = minor};
		bool exact = false;
		const struct layout *layout = layout_for(&version, false, &exact);
		assert_non_null(layout);
		assert_true(exact);
		assert_int_equal(layout->hmap.extra, 48);
	}
}

static void a_newer_version_takes_the_newest_layout_and_says_so(void **state)
{
	(void)state;
	struct go_version newest = {.minor = 27}, newer = {.minor = 28};
	bool exact = true;
	assert_ptr_equal(layout_for(&newer, true, &exact), layout_for(&newest, true, &exact));
	assert_non_null(layout_for(&newer, true, &exact));
	assert_false(exact);
}

static void what_no_binary_can_be_has_no_layout(void **state)
{
	(void)state;
	struct go_version old = {.minor = 17}, early = {.minor = 23}, late = {.minor = 27};
	bool exact;
	assert_null(layout_for(&old, false, &exact));
	assert_null(layout_for(&early, true, &exact));
	assert_null(layout_for(&late, false, &exact));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_version_and_design_has_a_layout),
		cmocka_unit_test(versions_124_and_125_have_both_designs),
		cmocka_unit_test(a_newer_version_takes_the_newest_layout_and_says_so),
		cmocka_unit_test(what_no_binary_can_be_has_no_layout),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
