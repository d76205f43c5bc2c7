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
[[gnu::format(printf, 2, 3)]] void text_printf(struct text *text, const char *fmt, ...);

/* The string, which the caller then owns and frees; the text is empty after it. NULL if failed. */
char *text_take(struct text *text);

#endif
