/*
 * How a function fails.
 *
 * A function that can fail returns enum status and takes a struct error of its caller as the last
 * argument. On FAILED the error is filled and out-parameters are untouched; on OK the error is
 * untouched. An error owns nothing: it may be copied, ignored or dropped, and is cheap enough to
 * fault a million times. err may be NULL where the caller does not want the reason.
 *
 * Only cli prints. The lowest floor says what is wrong; a floor above may put before it what it
 * was doing (error_prefix).
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stdint.h>

enum [[nodiscard]] status{OK = 0, FAILED = -1};

enum error_code {
	ERROR_NONE,
	ERROR_NOMEM, /* no memory */
	ERROR_IO, /* a system call failed: see sys */
	ERROR_FAULT, /* the target has no byte at addr */
	ERROR_FORMAT, /* bytes that contradict their format */
	ERROR_MISMATCH, /* two inputs that do not belong together */
	ERROR_UNSUPPORTED, /* well formed, and not for us */
	ERROR_NOT_FOUND,
	ERROR_LIMIT, /* one of our own limits was hit */
};

struct error {
	enum error_code code;
	int sys; /* errno, or 0 */
	uint64_t addr; /* address in the target, or 0 */
	char text
		[240]; /* one line, no newline at its end, unescaped bytes of the target possible */
};

/* Fills err and returns FAILED, so that a failure is one line: return error_set(err, ...); */
[[gnu::format(printf, 3, 4)]] enum status error_set(struct error *err, enum error_code code,
						    const char *fmt, ...);

/* As error_set, with the address in the target that it is about. */
[[gnu::format(printf, 4, 5)]] enum status error_at(struct error *err, enum error_code code,
						   uint64_t addr, const char *fmt, ...);

/* As error_set with ERROR_IO: keeps errno and appends its text. */
[[gnu::format(printf, 2, 3)]] enum status error_sys(struct error *err, const char *fmt, ...);

/* As error_set with ERROR_NOMEM. */
enum status error_nomem(struct error *err);

/* Puts "<text>: " before err's text and returns FAILED. */
[[gnu::format(printf, 2, 3)]] enum status error_prefix(struct error *err, const char *fmt, ...);

#endif
