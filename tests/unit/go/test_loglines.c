/* The lines of one writer out of a log. */
#include "go/loglines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	char text[1024]; /* "writer:line|" of each line that was taken */
};

/* Takes what looks like Go's. */
static bool take(void *context, unsigned writer, bool begins, uint64_t number, const char *line,
		 size_t len)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);
	(void)begins;
	(void)number;
	bool ours = memmem(line, len, "goroutine ", 10) || memmem(line, len, "main.", 5) ||
		    memmem(line, len, ".go:", 4) || memmem(line, len, "fatal error: ", 13);
	if (ours)
		snprintf(seen->text + used, sizeof(seen->text) - used, "%u:%.*s|", writer, (int)len,
			 line);
	return ours;
}

static struct seen feed(const char *text)
{
	struct seen seen = {0};
	struct loglines lines;
	loglines_init(&lines, take, &seen);
	for (const char *end; *text; text = end + 1) {
		end = strchr(text, '\n');
		assert_non_null(end);
		loglines_feed(&lines, text, (size_t)(end - text));
	}
	loglines_done(&lines);
	return seen;
}

static void a_bare_text_is_one_writer(void **state)
{
	(void)state;
	struct seen s = feed(
		"hello\nfatal error: x\n\ngoroutine 1 [running]:\r\nmain.f()\n\t/a.go:1 +0x1\n");
	assert_string_equal(
		s.text, "0:fatal error: x|0:goroutine 1 [running]:|0:main.f()|0:\t/a.go:1 +0x1|");
}

static void a_time_may_change_and_a_process_may_not(void **state)
{
	(void)state;
	struct seen s = feed("2024-01-02T03:04:05.6Z app[12]: goroutine 1 [running]:\n"
			     "2024-01-02T03:04:05.67Z app[13]: main.other()\n"
			     "2024-01-02T03:04:05.671Z app[12]: main.f()\n"
			     "2024-01-02T03:04:06Z app[13]: goroutine 5 [running]:\n"
			     "2024-01-02T03:04:06.1Z app[12]: \t/a.go:1 +0x1\n"
			     "2024-01-02T03:04:06.1Z app[13]: main.g()\n");
	assert_string_equal(
		s.text, "0:goroutine 1 [running]:|0:main.f()|1:goroutine 5 [running]:|0:\t/a.go:1 "
			"+0x1|1:main.g()|");
}

static void quoted_lines_lose_their_escapes(void **state)
{
	(void)state;
	struct seen s = feed(
		"{\"log\":\"goroutine 1 [running]:\\n\",\"time\":\"2024-01-02T03:04:05Z\"}\n"
		"{\"log\":\"main.f({0x1, \\u003c\\\"})\\n\",\"time\":\"2024-01-02T03:04:05.1Z\"}\n"
		"{\"log\":\"\\t/a.go:1\\n\",\"time\":\"2024-01-02T03:04:05.1Z\"}\n"
		"{\"log\":\"main.no()\\n\",\"pod\":\"2\",\"time\":\"2024-01-02T03:04:05.1Z\"}\n");
	assert_string_equal(s.text, "0:goroutine 1 [running]:|0:main.f({0x1, <\"})|0:\t/a.go:1|");
}

static void one_string_may_hold_all_lines(void **state)
{
	(void)state;
	struct seen s = feed("time=1 msg=\"fatal error: x\\n\\ngoroutine 1 "
			     "[running]:\\nmain.f()\\n\\t/a.go:1\"\n");
	assert_string_equal(s.text,
			    "0:fatal error: x|0:goroutine 1 [running]:|0:main.f()|0:\t/a.go:1|");
}

static void words_in_other_words_begin_nothing(void **state)
{
	(void)state;
	struct seen s = feed("nonfatal error: x\nsubgoroutine 1 [running]:\nin goroutine "
			     "1\ngoroutine one [x]:\n");
	assert_string_equal(s.text, "");
}

static void more_writers_than_fit_forget_the_oldest(void **state)
{
	(void)state;
	struct seen seen = {0};
	struct loglines lines;
	loglines_init(&lines, take, &seen);
	for (int i = 0; i < 2 * LOG_WRITERS_MAX; i++) {
		char line[64];
		int n = snprintf(line, sizeof(line), "app_%d | goroutine 1 [running]:", i);
		loglines_feed(&lines, line, (size_t)n);
		seen.text[0] = '\0';
	}
	assert_int_equal(lines.count, LOG_WRITERS_MAX);
	static const char last[] = "app_63 | main.f()", first[] = "app_0 | main.f()";
	loglines_feed(&lines, last, sizeof(last) - 1);
	loglines_feed(&lines, first, sizeof(first) - 1);
	assert_string_equal(seen.text, "31:main.f()|");
	loglines_done(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bare_text_is_one_writer),
		cmocka_unit_test(a_time_may_change_and_a_process_may_not),
		cmocka_unit_test(quoted_lines_lose_their_escapes),
		cmocka_unit_test(one_string_may_hold_all_lines),
		cmocka_unit_test(words_in_other_words_begin_nothing),
		cmocka_unit_test(more_writers_than_fit_forget_the_oldest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
