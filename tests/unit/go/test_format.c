#include "go/format.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <string.h>

static void assert_float(double v, int bits, const char *want)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	format_float(&text, v, bits);
	assert_string_equal(text.s, want);
}

/* What strconv.FormatFloat(v, 'g', -1, bits) of go1.27 gives. */
static void floats_have_the_fewest_digits_that_read_back(void **state)
{
	(void)state;
	static const struct {
		double v;
		int bits;
		const char *want;
	} cases[] = {
		{0, 64, "0"},
		{-0.0, 64, "-0"},
		{1, 64, "1"},
		{-1.5, 64, "-1.5"},
		{0.1, 64, "0.1"},
		{0.3, 64, "0.3"},
		{0.1 + 0.2, 64, "0.30000000000000004"},
		{100000, 64, "100000"},
		{123456, 64, "123456"},
		{1000000, 64, "1e+06"},
		{1234567, 64, "1.234567e+06"},
		{123456.75, 64, "123456.75"},
		{0.0001, 64, "0.0001"},
		{0.00012345, 64, "0.00012345"},
		{0.00001, 64, "1e-05"},
		{1e100, 64, "1e+100"},
		{1.0 / 3, 64, "0.3333333333333333"},
		{DBL_MAX, 64, "1.7976931348623157e+308"},
		{DBL_MIN, 64, "2.2250738585072014e-308"},
		{5e-324, 64, "5e-324"},
		{1e-323, 64, "1e-323"},
		/* powers of two, where the nearest decimal does not read back */
		{0x1p-44, 64, "5.684341886080802e-14"},
		{0x1p-1019, 64, "1.7800590868057611e-307"},
		{9007199254740993.0, 64, "9.007199254740992e+15"},
		{(float)0.1, 32, "0.1"},
		{(float)16777216, 32, "1.6777216e+07"},
		{FLT_MAX, 32, "3.4028235e+38"},
		{FLT_MIN, 32, "1.1754944e-38"},
		{0x1p-149f, 32, "1e-45"},
		{(float)3.14159274, 32, "3.1415927"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_float(cases[i].v, cases[i].bits, cases[i].want);
	assert_float(NAN, 64, "NaN");
	assert_float(-NAN, 32, "NaN");
	assert_float(INFINITY, 64, "+Inf");
	assert_float(-INFINITY, 32, "-Inf");
}

static void a_complex_number_shows_the_sign_of_its_second_part(void **state)
{
	(void)state;
	static const struct {
		double re, im;
		const char *want;
	} cases[] = {
		{1, 2, "(1+2i)"},	   {-1, -2.5, "(-1-2.5i)"},
		{0, -0.0, "(0-0i)"},	   {INFINITY, -INFINITY, "(+Inf-Infi)"},
		{1, INFINITY, "(1+Infi)"}, {NAN, NAN, "(NaN+NaNi)"},
		{NAN, -NAN, "(NaN+NaNi)"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		AUTO_TEXT struct text text = TEXT_INIT;
		format_complex(&text, cases[i].re, cases[i].im, 64);
		assert_string_equal(text.s, cases[i].want);
	}
}

static void assert_quoted(const char *s, size_t n, int minor, const char *want)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	struct go_version version = {.minor = minor};
	format_quoted(&text, s, n, &version);
	assert_string_equal(text.s, want);
}

/* What strconv.Quote of go1.27 gives. */
static void strings_are_quoted_so_that_each_byte_can_be_told(void **state)
{
	(void)state;
	static const struct {
		const char *s, *want;
	} cases[] = {
		{"", "\"\""},
		{"plain", "\"plain\""},
		{"a\"b\\c", "\"a\\\"b\\\\c\""},
		{"'`", "\"'`\""},
		{"\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\""},
		{"\x01\x1b\x1f\x7f", "\"\\x01\\x1b\\x1f\\x7f\""},
		{"\xc2\xa0", "\"\\u00a0\""}, /* no-break space */
		{"\xc2\xad", "\"\\u00ad\""}, /* soft hyphen */
		{"\xc3\xa9", "\"\xc3\xa9\""},
		{"\xe4\xb8\x96", "\"\xe4\xb8\x96\""},
		{"\xe2\x80\xae", "\"\\u202e\""}, /* right-to-left override */
		{"\xef\xbb\xbf", "\"\\ufeff\""},
		{"\xef\xbf\xbd", "\"\xef\xbf\xbd\""}, /* U+FFFD itself */
		{"\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\""},
		{"\xf3\xa0\x80\x81", "\"\\U000e0001\""},
		{"\xff\xfe", "\"\\xff\\xfe\""},
		{"\x80", "\"\\x80\""},
		{"\xc0\x80", "\"\\xc0\\x80\""}, /* overlong */
		{"\xe0\x80\x80", "\"\\xe0\\x80\\x80\""},
		{"\xed\xa0\x80", "\"\\xed\\xa0\\x80\""}, /* surrogate */
		{"\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\""}, /* over U+10FFFF */
		{"\xe4\xb8", "\"\\xe4\\xb8\""}, /* cut off */
		{"\xe4\xb8z", "\"\\xe4\\xb8z\""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_quoted(cases[i].s, strlen(cases[i].s), 27, cases[i].want);
	assert_quoted("a\0b", 3, 27, "\"a\\x00b\"");
}

static void a_letter_prints_from_the_version_on_whose_unicode_has_it(void **state)
{
	(void)state;
	/* U+31350 came with Unicode 15 (go1.21), U+323B0 with 17 (go1.27). */
	assert_quoted("\xf0\xb1\x8d\x90", 4, 20, "\"\\U00031350\"");
	assert_quoted("\xf0\xb1\x8d\x90", 4, 21, "\"\xf0\xb1\x8d\x90\"");
	assert_quoted("\xf0\xb2\x8e\xb0", 4, 26, "\"\\U000323b0\"");
	assert_quoted("\xf0\xb2\x8e\xb0", 4, 27, "\"\xf0\xb2\x8e\xb0\"");
}

static void what_was_quoted_is_unquoted_to_the_same_bytes(void **state)
{
	(void)state;
	static const char *const strings[] = {"",
					      "plain",
					      "\"quoted\" \\ back",
					      "\a\b\f\n\r\t\v",
					      "\x01\x7f",
					      "bad \xff\xfe bytes",
					      "cut \xe4\xb8",
					      "\u00ad soft",
					      "\ue000",
					      "\U0010ffff",
					      "\U0001f600",
					      "\u00e4\u4e16"};
	struct go_version version = {.minor = 27};
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		AUTO_TEXT struct text quoted = TEXT_INIT;
		AUTO_TEXT struct text back = TEXT_INIT;
		format_quoted(&quoted, strings[i], strlen(strings[i]), &version);
		assert_true(format_unquote(&back, quoted.s));
		assert_string_equal(back.s, strings[i]);
	}
}

static void what_strconv_never_wrote_is_not_unquoted(void **state)
{
	(void)state;
	static const char *const wrong[] = {"",
					    "a",
					    "\"",
					    "\"a",
					    "a\"",
					    "\"a\"b",
					    "\"\\",
					    "\"\\\"",
					    "\"\\q\"",
					    "\"\\x1\"",
					    "\"\\U00110000\""};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		AUTO_TEXT struct text text = TEXT_INIT;
		assert_false(format_unquote(&text, wrong[i]));
		assert_int_equal(text.len, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floats_have_the_fewest_digits_that_read_back),
		cmocka_unit_test(a_complex_number_shows_the_sign_of_its_second_part),
		cmocka_unit_test(strings_are_quoted_so_that_each_byte_can_be_told),
		cmocka_unit_test(what_was_quoted_is_unquoted_to_the_same_bytes),
		cmocka_unit_test(what_strconv_never_wrote_is_not_unquoted),
		cmocka_unit_test(a_letter_prints_from_the_version_on_whose_unicode_has_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
