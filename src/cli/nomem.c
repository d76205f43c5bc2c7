#include "cli/nomem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Made by ld --wrap=NAME: __wrap_NAME is what our code calls, __real_NAME what it asked for. */
void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t count, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);
int __real_vasprintf(char **ret, const char *fmt, va_list ap);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t count, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t count, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);
[[gnu::format(printf, 2, 0)]] int __wrap_vasprintf(char **ret, const char *fmt, va_list ap);
[[gnu::format(printf, 2, 3)]] int __wrap_asprintf(char **ret, const char *fmt, ...);

static struct notes *to;

void nomem_note(struct notes *notes)
{
	to = notes;
}

static void *noted(void *p)
{
	struct notes *notes = to;
	if (!p && notes) {
		to = NULL; /* a note needs memory, too */
		notes_add(notes, "cli", 0, "memory ran out: parts of this report are missing");
		to = notes;
	}
	return p;
}

void *__wrap_malloc(size_t n)
{
	return noted(__real_malloc(n));
}

void *__wrap_calloc(size_t count, size_t n)
{
	return noted(__real_calloc(count, n));
}

void *__wrap_realloc(void *p, size_t n)
{
	return noted(__real_realloc(p, n));
}

void *__wrap_reallocarray(void *p, size_t count, size_t n)
{
	return noted(__real_reallocarray(p, count, n));
}

char *__wrap_strdup(const char *s)
{
	return noted(__real_strdup(s));
}

char *__wrap_strndup(const char *s, size_t n)
{
	return noted(__real_strndup(s, n));
}

int __wrap_vasprintf(char **ret, const char *fmt, va_list ap)
{
	int n = __real_vasprintf(ret, fmt, ap);
	if (n < 0)
		noted(NULL);
	return n;
}

int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = __wrap_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}
