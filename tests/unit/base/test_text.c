#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static const uint64_t numbers[] = {
	0,	    1,		9,	    10,		  15,	     16,
	99,	    100,	INT32_MAX,  UINT32_MAX,	  INT64_MAX, (uint64_t)INT64_MIN,
	UINT64_MAX, 1234567890, 0xdeadbeef, 10000000000u, 7,	     255};

static void numbers_read_as_printf_writes_them(void **state)
{
	(void)state;
	AUTO_TEXT struct text text = TEXT_INIT;
	char want[80];
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		text_clear(&text);
		text_append_uint(&text, numbers[i]);
		text_append_char(&text, ' ');
		text_append_int(&text, (int64_t)numbers[i]);
		text_append_char(&text, ' ');
		text_append_hex(&text, numbers[i]);
		snprintf(want, sizeof(want), "%" PRIu64 " %" PRId64 " 0x%" PRIx64, numbers[i],
			 (int64_t)numbers[i], numbers[i]);
		assert_string_equal(text.s, want);
		assert_int_equal(text.len, strlen(want));
	}
}

static void printf_appends_the_same_whatever_room_is_left(void **state)
{
	(void)state;
	char want[400];
	for (int before = 0; before < 200; before++) {
		AUTO_TEXT struct text text = TEXT_INIT;
		for (int i = 0; i < before; i++)
			text_append_char(&text, 'x');
		text_printf(&text, "%s-%d", "some words that take room", before);
		text_printf(&text, "%s", "");
		memset(want, 'x', sizeof(want));
		snprintf(want + before, sizeof(want) - (size_t)before, "%s-%d",
			 "some words that take room", before);
		assert_string_equal(text.s, want);
		assert_int_equal(text.len, strlen(want));
		assert_false(text.failed);
	}
}

static void a_taken_text_is_the_callers_and_leaves_an_empty_one(void **state)
{
	(void)state;
	struct text text = TEXT_INIT;
	text_printf(&text, "%d", 5);
	char *s = text_take(&text);
	assert_string_equal(s, "5");
	assert_int_equal(text.len, 0);
	assert_string_equal(text.s, "");
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_read_as_printf_writes_them),
		cmocka_unit_test(printf_appends_the_same_whatever_room_is_left),
		cmocka_unit_test(a_taken_text_is_the_callers_and_leaves_an_empty_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
