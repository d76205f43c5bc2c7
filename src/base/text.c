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

void text_printf(struct text *text, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
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
