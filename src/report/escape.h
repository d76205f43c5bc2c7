/*
 * Text of a target, made safe for where it goes. Strings out of a core are hostile: a map key can
 * hold the bytes that recolour a terminal or close a JSON string.
 */
#ifndef REPORT_ESCAPE_H
#define REPORT_ESCAPE_H

#include <stddef.h>
#include <stdio.h>

/* Writes s for a terminal: valid UTF-8 stays, but control characters (C0, DEL, C1), bidirectional
 * overrides and bytes that are no UTF-8 become \xNN or \uNNNN. */
void escape_terminal(FILE *out, const char *s, size_t n);

/* Writes s as the inside of a JSON string. Bytes that are no UTF-8 become \ufffd. */
void escape_json(FILE *out, const char *s, size_t n);

/* The UTF-8 character at s (n > 0 bytes left): its length, and its code point in *ret; 0 where the
 * bytes are no valid character. */
size_t utf8_next(const char *s, size_t n, unsigned *ret);

/* Columns that s takes on a terminal after escape_terminal. */
size_t escape_width(const char *s, size_t n);

#endif
