#include "go/format.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A number as decimal digits: 0.d1d2d3... times ten to the power of point. */
struct decimal {
	char digits[24];
	int count;
	int point;
};

enum { FLOAT_DIGITS = 9, DOUBLE_DIGITS = 17 }; /* enough to read back, IEEE 754 */

/* v, positive and finite, correctly rounded to n digits. */
static void decimal_round(double v, int n, struct decimal *ret)
{
	char text[48];
	ret->count = 0;
	snprintf(text, sizeof(text), "%.*e", n - 1, v);
	const char *p = text;
	/* What stands between the digits is the locale's. */
	for (; *p != 'e'; p++) {
		if (*p >= '0' && *p <= '9')
			ret->digits[ret->count++] = *p;
	}
	ret->point = atoi(p + 1) + 1;
}

/* Whether d reads back as v. */
static bool decimal_is(const struct decimal *d, double v, int bits)
{
	char text[48];
	/* An integer with an exponent: no locale's decimal point in it. */
	snprintf(text, sizeof(text), "%.*se%d", d->count, d->digits, d->point - d->count);
	return bits == 32 ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

/* Adds one in the last digit. */
static void decimal_increment(struct decimal *d)
{
	int i = d->count - 1;
	for (; i >= 0 && d->digits[i] == '9'; i--)
		d->digits[i] = '0';
	if (i >= 0) {
		d->digits[i]++;
		return;
	}
	d->digits[0] = '1';
	d->point++;
}

static void decimal_trim(struct decimal *d)
{
	while (d->count > 1 && d->digits[d->count - 1] == '0')
		d->count--;
}

/*
 * The fewest digits that read back as v, and of those the nearest. Of normal numbers each decimal of
 * up to 15 digits (6 for a float) survives the way there and back, so that one look at that length
 * settles all shorter ones. At a power of two the numbers below lie closer than those above: there the
 * nearest decimal can fail where the next one up reads back.
 */
static void decimal_shortest(double v, int bits, struct decimal *ret)
{
	bool normal = v >= (bits == 32 ? FLT_MIN : DBL_MIN);
	int max = bits == 32 ? FLOAT_DIGITS : DOUBLE_DIGITS;
	int n = !normal ? 1 : bits == 32 ? FLT_DIG : DBL_DIG;
	for (; n < max; n++) {
		decimal_round(v, n, ret);
		if (decimal_is(ret, v, bits))
			break;
		decimal_increment(ret);
		if (decimal_is(ret, v, bits))
			break;
	}
	if (n == max)
		decimal_round(v, n, ret);
	decimal_trim(ret);
}

/* d.ddde+XX, the exponent of at least two digits. */
static void append_scientific(struct text *text, const struct decimal *d)
{
	int exponent = d->point - 1;
	text_append_char(text, d->digits[0]);
	if (d->count > 1) {
		text_append_char(text, '.');
		text_append_bytes(text, d->digits + 1, (size_t)d->count - 1);
	}
	text_printf(text, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

static void append_plain(struct text *text, const struct decimal *d)
{
	if (d->point <= 0)
		text_append(text, "0");
	for (int i = 0; i < d->point; i++)
		text_append_char(text, i < d->count ? d->digits[i] : '0');
	if (d->count <= d->point)
		return;
	text_append_char(text, '.');
	for (int i = d->point; i < d->count; i++)
		text_append_char(text, i < 0 ? '0' : d->digits[i]);
}

void format_float(struct text *text, double v, int bits)
{
	/* internal/strconv/ftoa.go: the shortest text turns to an exponent below 1e-4 and from 1e+06
	 * on, by its digits rather than its value. */
	enum { SMALLEST = -4, LARGEST = 6 };
	struct decimal d;
	if (isnan(v)) {
		text_append(text, "NaN");
		return;
	}
	if (isinf(v)) {
		text_append(text, v < 0 ? "-Inf" : "+Inf");
		return;
	}
	if (signbit(v))
		text_append_char(text, '-');
	if (v == 0) {
		text_append_char(text, '0');
		return;
	}
	decimal_shortest(fabs(v), bits, &d);
	if (d.point - 1 < SMALLEST || d.point - 1 >= LARGEST)
		append_scientific(text, &d);
	else
		append_plain(text, &d);
}

void format_complex(struct text *text, double re, double im, int bits)
{
	text_append_char(text, '(');
	format_float(text, re, bits);
	/* A sign always; Inf brings its own. */
	if (isnan(im) || (!signbit(im) && !isinf(im)))
		text_append_char(text, '+');
	format_float(text, im, bits);
	text_append(text, "i)");
}

/* One rune of UTF-8 at s; *ret_width bytes. False, and a width of 1, for what is none: as
 * unicode/utf8.DecodeRune, overlong forms, surrogates and values over 0x10ffff included. */
static bool decode_rune(const uint8_t *s, size_t n, uint32_t *ret, size_t *ret_width)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	*ret = s[0];
	*ret_width = 1;
	if (s[0] < 0x80)
		return true;
	size_t width = s[0] >= 0xf8   ? 0
		       : s[0] >= 0xf0 ? 4
		       : s[0] >= 0xe0 ? 3
		       : s[0] >= 0xc0 ? 2
				      : 0;
	if (width == 0 || width > n)
		return false;
	uint32_t rune = s[0] & (0x7fu >> width);
	for (size_t i = 1; i < width; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return false;
		rune = rune << 6 | (s[i] & 0x3f);
	}
	if (rune < smallest[width] || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
		return false;
	*ret = rune;
	*ret_width = width;
	return true;
}

/* strconv.IsPrint. */
struct print_range {
	uint32_t first, last;
	uint8_t editions;
};

static const struct print_range print_table[] = {
#include "go/print_table.inc"
};

/* The bit of print_table for a version: unicode/tables.go. */
static uint8_t print_edition(const struct go_version *version)
{
	return version->minor <= 20 ? 1 : version->minor <= 26 ? 2 : 4;
}

static bool is_printable(uint32_t rune, uint8_t edition)
{
	size_t lo = 0, hi = sizeof(print_table) / sizeof(print_table[0]);
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct print_range *r = &print_table[mid];
		if (rune < r->first)
			hi = mid;
		else if (rune > r->last)
			lo = mid + 1;
		else
			return r->editions & edition;
	}
	return false;
}

/* A rune that does not print, as strconv's appendEscapedRune writes it. */
static void append_escaped(struct text *text, uint32_t rune)
{
	static const char *const names[] = {
		['\a'] = "\\a", ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n",
		['\r'] = "\\r", ['\t'] = "\\t", ['\v'] = "\\v",
	};
	if (rune < sizeof(names) / sizeof(names[0]) && names[rune])
		text_append(text, names[rune]);
	else if (rune < ' ' || rune == 0x7f)
		text_printf(text, "\\x%02x", rune);
	else if (rune < 0x10000)
		text_printf(text, "\\u%04x", rune);
	else
		text_printf(text, "\\U%08x", rune);
}

void format_quoted(struct text *text, const void *s, size_t n, const struct go_version *version)
{
	uint8_t edition = print_edition(version);
	const uint8_t *p = s;
	text_append_char(text, '"');
	while (n > 0) {
		uint32_t rune;
		size_t width;
		if (!decode_rune(p, n, &rune, &width)) {
			text_printf(text, "\\x%02x", *p);
		} else if (rune == '"' || rune == '\\') {
			text_append_char(text, '\\');
			text_append_char(text, (char)rune);
		} else if (is_printable(rune, edition)) {
			text_append_bytes(text, p, width);
		} else {
			append_escaped(text, rune);
		}
		p += width;
		n -= width;
	}
	text_append_char(text, '"');
}

/* A number of exactly n hexadecimal digits at s. */
static bool parse_hex(const char *s, size_t n, uint32_t *ret)
{
	*ret = 0;
	for (size_t i = 0; i < n; i++) {
		const char *digits = "0123456789abcdef", *at = s[i] ? strchr(digits, s[i]) : NULL;
		if (!at)
			return false;
		*ret = *ret << 4 | (uint32_t)(at - digits);
	}
	return true;
}

static void append_utf8(struct text *text, uint32_t rune)
{
	if (rune < 0x80) {
		text_append_char(text, (char)rune);
		return;
	}
	static const uint8_t leads[] = {0, 0xc0, 0xe0, 0xf0};
	unsigned more = rune < 0x800 ? 1 : rune < 0x10000 ? 2 : 3;
	text_append_char(text, (char)(leads[more] | rune >> 6 * more));
	while (more-- > 0)
		text_append_char(text, (char)(0x80 | (rune >> 6 * more & 0x3f)));
}

/* The escape at s, behind its backslash; returns its length, 0 for none. */
static size_t unescape(struct text *text, const char *s)
{
	static const char letters[] = "abfnrtv\\\"", bytes[] = "\a\b\f\n\r\t\v\\\"";
	const char *letter = *s ? strchr(letters, *s) : NULL;
	uint32_t value;
	if (letter) {
		text_append_char(text, bytes[letter - letters]);
		return 1;
	}
	size_t digits = *s == 'x' ? 2 : *s == 'u' ? 4 : *s == 'U' ? 8 : 0;
	if (!digits || !parse_hex(s + 1, digits, &value) || value > 0x10ffff)
		return 0;
	if (digits == 2)
		text_append_char(text, (char)value);
	else
		append_utf8(text, value);
	return 1 + digits;
}

bool format_unquote(struct text *text, const char *s)
{
	AUTO_TEXT struct text out = TEXT_INIT;
	if (*s++ != '"')
		return false;
	while (*s && *s != '"') {
		if (*s != '\\') {
			text_append_char(&out, *s++);
			continue;
		}
		size_t n = unescape(&out, s + 1);
		if (!n)
			return false;
		s += 1 + n;
	}
	if (s[0] != '"' || s[1])
		return false;
	text_append_bytes(text, out.s, out.len);
	return true;
}
