/*
 * Numbers and strings as Go's strconv writes them.
 */
#ifndef GO_FORMAT_H
#define GO_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "go/version.h"

/* strconv.FormatFloat(v, 'g', -1, bits): the fewest digits that read back as v. For 32 bits v holds a
 * float's value. */
void format_float(struct text *text, double v, int bits);

/* strconv.FormatComplex(v, 'g', -1, 2 * bits). */
void format_complex(struct text *text, double re, double im, int bits);

/* strconv.Quote of n bytes, by the edition of Unicode that this version of Go comes with. */
void format_quoted(struct text *text, const void *s, size_t n, const struct go_version *version);

/* What strconv.Quote made s of: appends the bytes. false, text untouched, when s is no such string. */
bool format_unquote(struct text *text, const char *s);

#endif
