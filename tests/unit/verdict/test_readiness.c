#include "verdict/readiness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A machine on which a crash leaves all that can be left. */
static struct core_settings good_machine(void)
{
	struct core_settings s = {
		.has_limit = true,
		.soft = UINT64_MAX,
		.hard = UINT64_MAX,
		.has_filter = true,
		.filter = 0x33,
	};
	core_settings_pattern(&s, "core");
	return s;
}

/* The item called name of what is found on the machine. */
static struct readiness_item item_of(const char *name, const struct core_settings *settings,
				     const char *traceback, int minor)
{
	struct readiness_item items[READINESS_MAX];
	struct runtime rt = {.version.minor = minor};
	size_t count = readiness_of_machine(&rt, settings, traceback, items);
	for (size_t i = 0; i < count; i++) {
		/* What is to be done is said exactly where something is. */
		assert_true((items[i].state == READY) == (items[i].advice == NULL));
		if (strcmp(items[i].name, name) == 0)
			return items[i];
	}
	fail_msg("no item %s", name);
	abort();
}

static void a_machine_that_keeps_all_is_ready(void **state)
{
	(void)state;
	struct readiness_item items[READINESS_MAX];
	struct runtime rt = {.version.minor = 27};
	struct core_settings s = good_machine();
	size_t count = readiness_of_machine(&rt, &s, "crash", items);
	assert_int_equal(count, 4);
	assert_int_equal(readiness_worst(items, count), READY);
}

static void a_core_limit_of_0_matters_unless_the_core_is_piped(void **state)
{
	(void)state;
	struct core_settings s = good_machine();
	s.soft = 0;
	assert_int_equal(item_of("core limit", &s, "crash", 23).state, READY_LESS);
	assert_non_null(strstr(item_of("core limit", &s, "crash", 23).advice, "ulimit -c"));
	s.hard = 0;
	assert_non_null(strstr(item_of("core limit", &s, "crash", 23).advice, "root"));
	s.soft = 4096;
	assert_int_equal(item_of("core limit", &s, "crash", 23).state, READY_LESS);
	s.soft = 0;
	core_settings_pattern(&s, "|/usr/lib/systemd/systemd-coredump %P %u %g %s %t %c %h");
	assert_int_equal(item_of("core limit", &s, "crash", 23).state, READY);
}

static void a_pattern_says_where_cores_go(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		enum core_goes goes;
		enum readiness state;
	} cases[] = {
		{"core", CORE_WORKING_DIR, READY},
		{"core.%e.%p", CORE_WORKING_DIR, READY},
		{"", CORE_NOWHERE, READY_LESS},
		{"/tmp/core.%p", CORE_DIR, READY},
		{"/no/such/folder/core", CORE_DIR, READY_LESS},
		{"/var/%e/core", CORE_DIR, READY},
		{"|/usr/lib/systemd/systemd-coredump %P", CORE_PROGRAM, READY},
		{"|/usr/share/apport/apport -p%p", CORE_PROGRAM, READY_LESS},
		{"|/bin/false", CORE_PROGRAM, READY_LESS},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct core_settings s = good_machine();
		core_settings_pattern(&s, cases[i].pattern);
		assert_int_equal(s.goes, cases[i].goes);
		assert_int_equal(item_of("core file", &s, "crash", 23).state, cases[i].state);
	}
}

static void a_core_without_private_memory_lacks_the_heap(void **state)
{
	(void)state;
	struct core_settings s = good_machine();
	s.filter = 0x32;
	assert_int_equal(item_of("core content", &s, "crash", 23).state, READY_LESS);
}

static void only_gotraceback_crash_leaves_a_core(void **state)
{
	(void)state;
	static const char *const others[] = {NULL, "",	  "none", "0",	   "single",
					     "1",  "all", "2",	  "system"};
	struct core_settings s = good_machine();
	assert_int_equal(item_of("GOTRACEBACK", &s, "crash", 27).state, READY);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(item_of("GOTRACEBACK", &s, others[i], 27).state, READY_LESS);
}

static void from_1_26_on_the_default_prints_one_goroutine(void **state)
{
	(void)state;
	struct core_settings s = good_machine();
	assert_non_null(strstr(item_of("GOTRACEBACK", &s, NULL, 26).found, "one goroutine"));
	assert_null(strstr(item_of("GOTRACEBACK", &s, NULL, 25).found, "one goroutine"));
	assert_null(strstr(item_of("GOTRACEBACK", &s, "all", 26).found, "one goroutine"));
}

static void settings_of_a_process_are_its_own(void **state)
{
	(void)state;
	char value[64];
	struct error err;
	setenv("MAPCRASH_TEST", "here", 1);
	assert_int_equal(environment_read(0, "MAPCRASH_TEST", value, sizeof(value), &err), OK);
	assert_string_equal(value, "here");
	/* What /proc shows is what the process was started with. */
	assert_int_equal(environment_read(getpid(), "MAPCRASH_TEST", value, sizeof(value), &err),
			 FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	assert_int_equal(environment_read(getpid(), "PATH", value, 1, &err), OK);
	assert_string_equal(value, "");
	struct core_settings own = core_settings_read(0, NULL),
			     same = core_settings_read(getpid(), NULL);
	assert_true(own.has_limit && own.has_pattern && own.has_filter);
	assert_int_equal(own.soft, same.soft);
	assert_int_equal(own.filter, same.filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_machine_that_keeps_all_is_ready),
		cmocka_unit_test(a_core_limit_of_0_matters_unless_the_core_is_piped),
		cmocka_unit_test(a_pattern_says_where_cores_go),
		cmocka_unit_test(a_core_without_private_memory_lacks_the_heap),
		cmocka_unit_test(only_gotraceback_crash_leaves_a_core),
		cmocka_unit_test(from_1_26_on_the_default_prints_one_goroutine),
		cmocka_unit_test(settings_of_a_process_are_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
