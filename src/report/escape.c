#include "report/escape.h"

#include <stdbool.h>
#include <wchar.h>

size_t utf8_next(const char *s, size_t n, unsigned *ret)
{
	const unsigned char *p = (const unsigned char *)s;
	static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80		   ? 1
		     : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
		     : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
		     : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
						   : 0;
	if (len == 0 || len > n)
		return 0;
	unsigned c = len == 1 ? p[0] : p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*ret = c;
	return len;
}

/* Characters that change how their neighbours are shown, or are not shown at all. */
static bool is_unsafe(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x2069) || c == 0xfeff ||
	       c == 0xad || c == 0x61c || (c >= 0xe0000 && c <= 0xe007f);
}

/* One character, or one byte that is none, as a terminal gets it; returns the columns that it takes.
 * out NULL: only counts. */
static size_t put_char(FILE *out, const char *s, size_t len, unsigned c)
{
	char escaped[16];
	if (len && !is_unsafe(c)) {
		if (out)
			fwrite(s, 1, len, out);
		int w = wcwidth((wchar_t)c);
		return w < 0 ? 1 : (size_t)w;
	}
	if (!len)
		snprintf(escaped, sizeof(escaped), "\\x%02x", (unsigned char)*s);
	else if (c == '\n' || c == '\t')
		snprintf(escaped, sizeof(escaped), "\\%c", c == '\n' ? 'n' : 't');
	else if (c < 0x80)
		snprintf(escaped, sizeof(escaped), "\\x%02x", c);
	else
		snprintf(escaped, sizeof(escaped), c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	if (out)
		fputs(escaped, out);
	size_t n = 0;
	while (escaped[n])
		n++;
	return n;
}

/* How many bytes at s are printable ASCII, which nearly all names and paths wholly are. */
static size_t plain_run(const char *s, size_t n)
{
	size_t i = 0;
	while (i < n && s[i] >= 0x20 && s[i] < 0x7f)
		i++;
	return i;
}

static size_t put_all(FILE *out, const char *s, size_t n)
{
	size_t width = 0;
	while (n) {
		size_t plain = plain_run(s, n);
		if (plain) {
			if (out)
				fwrite_unlocked(s, 1, plain, out);
			width += plain;
			s += plain;
			n -= plain;
			continue;
		}
		unsigned c = 0;
		size_t len = utf8_next(s, n, &c);
		width += put_char(out, s, len, c);
		len = len ? len : 1;
		s += len;
		n -= len;
	}
	return width;
}

void escape_terminal(FILE *out, const char *s, size_t n)
{
	put_all(out, s, n);
}

size_t escape_width(const char *s, size_t n)
{
	return put_all(NULL, s, n);
}

void escape_json(FILE *out, const char *s, size_t n)
{
	while (n) {
		unsigned c;
		size_t plain = 0;
		while (plain < n && s[plain] >= 0x20 && s[plain] < 0x7f && s[plain] != '"' &&
		       s[plain] != '\\')
			plain++;
		fwrite_unlocked(s, 1, plain, out);
		s += plain;
		n -= plain;
		if (!n)
			break;
		size_t len = utf8_next(s, n, &c);
		if (!len) {
			fputs("\\ufffd", out);
			len = 1;
		} else if (c == '"' || c == '\\') {
			fputc('\\', out);
			fputc((int)c, out);
		} else if (c == '\n') {
			fputs("\\n", out);
		} else if (c < 0x20 || c == 0x7f) {
			fprintf(out, "\\u%04x", c);
		} else {
			fwrite(s, 1, len, out);
		}
		s += len;
		n -= len;
	}
}
