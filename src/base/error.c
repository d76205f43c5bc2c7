#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

[[gnu::format(printf, 4, 0)]] static void fill(struct error *err, enum error_code code,
					       uint64_t addr, const char *fmt, va_list ap)
{
	err->code = code;
	err->sys = 0;
	err->addr = addr;
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
}

enum status error_set(struct error *err, enum error_code code, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, code, 0, fmt, ap);
		va_end(ap);
	}
	return FAILED;
}

enum status error_at(struct error *err, enum error_code code, uint64_t addr, const char *fmt, ...)
{
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, code, addr, fmt, ap);
		va_end(ap);
	}
	return FAILED;
}

enum status error_sys(struct error *err, const char *fmt, ...)
{
	int sys = errno;
	if (err) {
		va_list ap;
		va_start(ap, fmt);
		fill(err, ERROR_IO, 0, fmt, ap);
		va_end(ap);
		err->sys = sys;
		size_t n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(sys));
	}
	return FAILED;
}

enum status error_nomem(struct error *err)
{
	return error_set(err, ERROR_NOMEM, "out of memory");
}

enum status error_prefix(struct error *err, const char *fmt, ...)
{
	if (err) {
		char text[sizeof(err->text)];
		va_list ap;
		va_start(ap, fmt);
		int n = vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		if (n < 0)
			n = 0;
		if ((size_t)n < sizeof(text))
			snprintf(text + n, sizeof(text) - (size_t)n, ": %.*s",
				 (int)(sizeof(text) - (size_t)n), err->text);
		memcpy(err->text, text, sizeof(text));
	}
	return FAILED;
}
