#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char text_empty[1] = "";

void text_done(struct text *text)
{
	if (text->cap)
		free(text->s);
	*text = (struct text)TEXT_INIT;
}

void text_clear(struct text *text)
{
	text->len = 0;
	text->failed = false;
	if (text->cap)
		text->s[0] = '\0';
}

static bool reserve(struct text *text, size_t n)
{
	if (text->failed)
		return false;
	if (n < text->cap - text->len && text->cap)
		return true;
	if (n > SIZE_MAX / 4 || text->len > SIZE_MAX / 4) {
		text->failed = true;
		return false;
	}
	size_t cap = text->cap ? text->cap : 64;
	while (cap - text->len <= n)
		cap *= 2;
	char *s = realloc(text->cap ? text->s : NULL, cap);
	if (!s) {
		text->failed = true;
		return false;
	}
	text->s = s;
	text->cap = cap;
	return true;
}

void text_append_bytes(struct text *text, const void *p, size_t n)
{
	if (!n || !reserve(text, n))
		return;
	memcpy(text->s + text->len, p, n);
	text->len += n;
	text->s[text->len] = '\0';
}

void text_append(struct text *text, const char *s)
{
	text_append_bytes(text, s, strlen(s));
}

void text_append_char(struct text *text, char c)
{
	text_append_bytes(text, &c, 1);
}

char *digits_decimal(uint64_t value, char digits[DIGITS_MAX])
{
	char *p = digits + DIGITS_MAX;
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	return p;
}

char *digits_hex(uint64_t value, char digits[DIGITS_MAX])
{
	char *p = digits + DIGITS_MAX;
	do {
		*--p = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	return p;
}

void text_append_uint(struct text *text, uint64_t value)
{
	char digits[DIGITS_MAX];
	const char *p = digits_decimal(value, digits);
	text_append_bytes(text, p, (size_t)(digits + DIGITS_MAX - p));
}

void text_append_int(struct text *text, int64_t value)
{
	if (value < 0)
		text_append_char(text, '-');
	text_append_uint(text, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void text_append_hex(struct text *text, uint64_t value)
{
	char digits[DIGITS_MAX];
	const char *p = digits_hex(value, digits);
	text_append_bytes(text, "0x", 2);
	text_append_bytes(text, p, (size_t)(digits + DIGITS_MAX - p));
}

void text_printf(struct text *text, const char *fmt, ...)
{
	/* Most of what is printed fits into the room of earlier appends: then one pass does. */
	size_t room = text->failed ? 0 : text->cap - text->len;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(room ? text->s + text->len : NULL, room, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < room) {
		text->len += (size_t)n;
		return;
	}
	if (room)
		text->s[text->len] = '\0';
	if (n < 0 || !reserve(text, (size_t)n)) {
		text->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(text->s + text->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	text->len += (size_t)n;
}

char *text_take(struct text *text)
{
	if (text->failed)
		return NULL;
	char *s = text->cap ? text->s : strdup("");
	*text = (struct text)TEXT_INIT;
	return s;
}
