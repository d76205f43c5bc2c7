/*
 * What each level of detection sees of the same overlap. Built once a level, with GOMAP_DETECT for
 * this file alone: the typed interface carries its level with it.
 *
 * One thread suffices. A write out of the middle of another one is an overlap like any other.
 */
#include "gomap.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static bool equal(const void *a, const void *b);
static uint64_t hash(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, 8, seed);
}

GOMAP_DEFINE(maps, uint64_t, uint64_t, hash, equal, 0)

static struct maps *m;
static enum { NOTHING, WRITE, READ } inside;
static bool inner_worked;
static struct gomap_conflict last;
static unsigned reports;

static bool equal(const void *a, const void *b)
{
	int what = inside;
	inside = NOTHING;
	if (what == WRITE)
		inner_worked = maps_put(m, 99, 99);
	if (what == READ)
		inner_worked = maps_find(m, 1) != NULL;
	return memcmp(a, b, 8) == 0;
}

static void remember(const struct gomap_conflict *conflict, void *arg)
{
	(void)arg;
	last = *conflict;
	reports++;
}

static int set_up(void **state)
{
	(void)state;
	m = maps_new(0);
	reports = 0;
	gomap_set_handler(remember, NULL);
	return maps_put(m, 1, 1) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	maps_free(m);
	gomap_set_handler(NULL, NULL);
	return 0;
}

#if GOMAP_DETECT == GOMAP_DETECT_OFF

static void off_sees_nothing(void **state)
{
	(void)state;
	inside = WRITE;
	assert_true(maps_put(m, 1, 2));
	assert_true(inner_worked);
	assert_int_equal(reports, 0);
	assert_int_equal(maps_map(m)->flags & GOMAP_HASH_WRITING, 0);
}

#else

static void the_level_sees_a_write_inside_a_write(void **state)
{
	(void)state;
	inside = WRITE;
	assert_true(maps_put(m, 1, 2));
	assert_false(inner_worked);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(reports, 1);
	assert_string_equal(last.message, "concurrent map writes");
	assert_int_equal(last.detector.tid, syscall(SYS_gettid));
	assert_int_equal(last.other.tid, GOMAP_DETECT == GOMAP_DETECT_GO ? 0 : syscall(SYS_gettid));
	assert_int_equal(last.other.site != NULL, GOMAP_DETECT == GOMAP_DETECT_EXACT);
	inside = READ;
	assert_true(maps_put(m, 1, 2));
	assert_false(inner_worked);
	assert_string_equal(last.message, "concurrent map read and map write");
}

static void only_exact_sees_a_write_inside_a_read(void **state)
{
	(void)state;
	inside = WRITE;
	uint64_t v = 7;
	bool got = maps_get(m, 1, &v);
	assert_true(inner_worked);
	if (GOMAP_DETECT == GOMAP_DETECT_EXACT) {
		assert_false(got);
		assert_int_equal(errno, EBUSY);
		assert_int_equal(reports, 1);
	} else {
		assert_true(got);
		assert_int_equal(reports, 0);
	}
}

static void the_flag_stands_in_the_header_while_a_write_goes_on(void **state)
{
	(void)state;
	uint64_t key = 1;
	struct gomap *g = maps_map(m);
	struct gomap_impl_write write;
	assert_true(gomap_impl_begin_write(g, &g->shape, GOMAP_ASSIGN, &key, NULL, &write));
	assert_int_equal(maps_map(m)->flags & GOMAP_HASH_WRITING, GOMAP_HASH_WRITING);
	gomap_impl_end_write(g, &g->shape, &write, GOMAP_ASSIGN, &key, NULL);
	assert_int_equal(maps_map(m)->flags & GOMAP_HASH_WRITING, 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#if GOMAP_DETECT == GOMAP_DETECT_OFF
		cmocka_unit_test_setup_teardown(off_sees_nothing, set_up, tear_down),
#else
		cmocka_unit_test_setup_teardown(the_level_sees_a_write_inside_a_write, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(only_exact_sees_a_write_inside_a_read, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(the_flag_stands_in_the_header_while_a_write_goes_on,
						set_up, tear_down),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
