#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/u64set.h"

static void an_added_number_is_in_the_set_and_others_are_not(void **state)
{
	(void)state;
	struct u64set set = U64SET_INIT;
	assert_false(u64set_has(&set, 8));
	for (uint64_t i = 1; i <= 10000; i++)
		assert_true(u64set_add(&set, i * 32));
	for (uint64_t i = 1; i <= 10000; i++) {
		assert_true(u64set_has(&set, i * 32));
		assert_false(u64set_has(&set, i * 32 + 8));
	}
	assert_int_equal(set.count, 10000);
	u64set_done(&set);
}

static void a_number_that_is_there_is_not_added_again(void **state)
{
	(void)state;
	struct u64set set = U64SET_INIT;
	/* At each size, also where the next add would grow the table. */
	for (uint64_t i = 1; i < 200; i++) {
		assert_true(u64set_add(&set, i));
		for (uint64_t k = 1; k <= i; k++)
			assert_false(u64set_add(&set, k));
		assert_int_equal(set.count, i);
	}
	u64set_done(&set);
}

static void a_cleared_set_is_empty(void **state)
{
	(void)state;
	struct u64set set = U64SET_INIT;
	u64set_add(&set, UINT64_MAX);
	u64set_clear(&set);
	assert_false(u64set_has(&set, UINT64_MAX));
	assert_true(u64set_add(&set, UINT64_MAX));
	u64set_done(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_added_number_is_in_the_set_and_others_are_not),
		cmocka_unit_test(a_number_that_is_there_is_not_added_again),
		cmocka_unit_test(a_cleared_set_is_empty),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
