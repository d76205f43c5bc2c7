/*
 * A growing string.
 *
 * After TEXT_INIT and after every call s is NUL-terminated and len bytes long (the bytes may hold
 * NULs of the target). Running out of memory sets failed and keeps what is there: a caller appends
 * at will and looks at failed once, at the end.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	char *s; /* never NULL; not to be freed by callers */
	size_t len;
	size_t cap; /* 0 while s is the static empty string */
	bool failed;
};

extern char text_empty[1];
#define TEXT_INIT                       \
	{                               \
		text_empty, 0, 0, false \
	}

void text_done(struct text *text);
static inline void cleanup_text(struct text *text)
{
	text_done(text);
}
#define AUTO_TEXT __attribute__((cleanup(cleanup_text)))

/* Makes the text empty and keeps its memory. */
void text_clear(struct text *text);
void text_append(struct text *text, const char *s);
void text_append_bytes(struct text *text, const void *p, size_t n);
void text_append_char(struct text *text, char c);
void text_append_int(struct text *text, int64_t value);
void text_append_uint(struct text *text, uint64_t value);
/* "0x..." */
void text_append_hex(struct text *text, uint64_t value);
[[gnu::format(printf, 2, 3)]] void text_printf(struct text *text, const char *fmt, ...);

/* Digits of the longest number, 2^64 - 1 in decimal. */
enum { DIGITS_MAX = 20 };

/* Write value's digits to the end of digits and return where they begin: what printf does in a tenth of
 * its time, for reports of millions of numbers. */
char *digits_decimal(uint64_t value, char digits[DIGITS_MAX]);
char *digits_hex(uint64_t value, char digits[DIGITS_MAX]);

/* The string, which the caller then owns and frees; the text is empty after it. NULL if failed. */
char *text_take(struct text *text);

#endif
