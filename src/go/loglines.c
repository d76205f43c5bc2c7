#include "go/loglines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Stands for a time in a frame. */
enum { TIME = 1 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/*
 * Length of the time at s, 0 where there is none: a clock (12:34), a date, seconds with a fraction, or
 * seconds since 1970, with all digits and punctuation that hang together with them. A frame's other
 * numbers (processes, ports, addresses) are no times: they tell writers apart.
 */
static size_t time_length(const char *s, size_t n)
{
	size_t len = 0, digits = 0, longest = 0, dots = 0, dashes = 0, clocks = 0, fraction = 0;
	bool in_fraction = false;
	if (!n || !is_digit(s[0]))
		return 0;
	for (; len < n; len++) {
		char c = s[len];
		if (is_digit(c)) {
			digits++;
			fraction += in_fraction;
			longest = digits > longest ? digits : longest;
			continue;
		}
		bool between = len + 1 < n && is_digit(s[len + 1]);
		if (c == ':' && between && digits == 2)
			clocks++;
		else if (c == '.' && between)
			dots++;
		else if ((c == '-' || c == '/') && between)
			dashes++;
		else if (!(c == 'T' && between) && !(c == 'Z' && digits) &&
			 !((c == ',' || c == '+' || c == ':') && between))
			break;
		in_fraction = c == '.' || c == ',';
		digits = 0;
	}
	bool is_time = clocks || dashes >= 2 || longest >= 10 || (dots == 1 && fraction >= 3);
	return is_time ? len : 0;
}

/* The frame's text as it is compared: times become one byte, TIME itself cannot occur. */
static void mask(struct text *to, const char *s, size_t n)
{
	text_clear(to);
	for (size_t i = 0; i < n;) {
		bool in_number = i && is_digit(s[i - 1]);
		size_t time = in_number ? 0 : time_length(s + i, n - i);
		text_append_char(to, time ? TIME : s[i] == TIME ? ' ' : s[i]);
		i += time ? time : 1;
	}
}

/* Bytes of s that the masked text takes, from its start; false where they differ. */
static bool match(const struct text *masked, const char *s, size_t n, size_t *ret)
{
	size_t at = 0;
	for (size_t i = 0; i < masked->len; i++) {
		if (at == n)
			return false;
		if (masked->s[i] == TIME) {
			size_t time = time_length(s + at, n - at);
			if (!time)
				return false;
			at += time;
		} else if (masked->s[i] != (s[at] == TIME ? ' ' : s[at])) {
			return false;
		} else {
			at++;
		}
	}
	*ret = at;
	return true;
}

/* The quote that closes the string whose text begins at s, or NULL. */
static const char *closing_quote(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\\')
			i++;
		else if (s[i] == '"')
			return s + i;
	}
	return NULL;
}

static int hex_digit(char c)
{
	return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The text of a quoted string: escapes of JSON and Go. \uNNNN beyond ASCII becomes '?': no such character
 * stands in what a traceback is read for. */
static void unquote(struct text *to, const char *s, size_t n)
{
	static const char names[] = "nrtbf", values[] = "\n\r\t\b\f";
	text_clear(to);
	for (size_t i = 0; i < n; i++) {
		if (s[i] != '\\' || i + 1 == n) {
			text_append_char(to, s[i]);
			continue;
		}
		const char *name = strchr(names, s[++i]);
		if (s[i] == 'u' && n - i > 4) {
			unsigned code = 0;
			for (size_t k = 1; k <= 4; k++)
				code = code << 4 |
				       ((unsigned)hex_digit((char)(s[i + k] | 0x20)) & 15);
			text_append_char(to, code && code < 128 ? (char)code : '?');
			i += 4;
		} else {
			text_append_char(to, name && *name ? values[name - names] : s[i]);
		}
	}
}

/* Whether "goroutine N [" or "goroutine N gp=" is at s. */
static bool is_header(const char *s, size_t n)
{
	static const char word[] = "goroutine ";
	size_t at = sizeof(word) - 1;
	if (n <= at || memcmp(s, word, at) != 0 || !is_digit(s[at]))
		return false;
	while (at < n && is_digit(s[at]))
		at++;
	return n - at > 2 && s[at] == ' ' && (s[at + 1] == '[' || s[at + 1] == 'g');
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Where a line holds what only Go's runtime writes: the offset, or n. Words must not end in a letter
 * before it. */
static size_t find_anchor(const char *s, size_t n)
{
	static const char *const words[] = {"fatal error: ", "goroutine ", "panic: "};
	size_t found = n;
	for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
		size_t len = strlen(words[w]), at = 0;
		while (at < found) {
			const char *hit = memmem(s + at, found - at, words[w], len);
			if (!hit)
				break;
			at = (size_t)(hit - s);
			/* An escaped newline or tab before it ends in a letter too. */
			bool in_word = at && is_letter(s[at - 1]) && !(at > 1 && s[at - 2] == '\\');
			if (!in_word && (w != 1 || is_header(hit, n - at))) {
				found = at;
				break;
			}
			at++;
		}
	}
	return found;
}

/* Where the quoted string that holds offset at begins (behind its quote); false: in none. */
static bool quoted_from(const char *s, size_t n, size_t at, size_t *ret)
{
	for (size_t i = at; i-- > 0;) {
		if (s[i] != '"' || (i && s[i - 1] == '\\'))
			continue;
		bool opens = i && (s[i - 1] == ':' || s[i - 1] == '=' || s[i - 1] == ' ');
		if (!opens || !closing_quote(s + i + 1, n - i - 1))
			return false;
		*ret = i + 1;
		return true;
	}
	return false;
}

static bool is_bare(const struct log_writer *w)
{
	return !w->before.len && !w->quoted;
}

static bool deliver(struct loglines *lines, unsigned i, bool begins, const char *s, size_t n)
{
	struct log_writer *w = &lines->writers[i];
	w->used = lines->number;
	if (!w->quoted) {
		if (!lines->line(lines->context, i, begins, lines->number, s, n))
			return false;
		lines->last = i;
		return true;
	}
	unquote(&lines->unquoted, s, n);
	bool ours = false;
	for (size_t at = 0; at < lines->unquoted.len || at == 0;) {
		const char *from = lines->unquoted.s + at;
		size_t left = lines->unquoted.len - at;
		const char *newline = memchr(from, '\n', left);
		size_t len = newline ? (size_t)(newline - from) : left;
		ours |= lines->line(lines->context, i, begins && at == 0, lines->number, from, len);
		at += len + 1;
	}
	if (ours)
		lines->last = i;
	return ours;
}

/* Hands the line to a writer whose frame it has. */
static bool offer(struct loglines *lines, unsigned i, const char *s, size_t n)
{
	const struct log_writer *w = &lines->writers[i];
	size_t before, after;
	if (!match(&w->before, s, n, &before))
		return false;
	const char *end = s + n;
	if (w->quoted) {
		end = closing_quote(s + before, n - before);
		if (!end || !match(&w->after, end, (size_t)(s + n - end), &after) ||
		    end + after != s + n)
			return false;
	}
	return deliver(lines, i, false, s + before, (size_t)(end - s) - before);
}

static unsigned new_writer(struct loglines *lines)
{
	unsigned i = 0;
	if (lines->count < LOG_WRITERS_MAX) {
		i = lines->count++;
		lines->writers[i] = (struct log_writer){.before = TEXT_INIT, .after = TEXT_INIT};
		return i;
	}
	for (unsigned k = 1; k < LOG_WRITERS_MAX; k++)
		if (lines->writers[k].used < lines->writers[i].used)
			i = k;
	return i;
}

/* A line that no writer at hand knows: where Go's words are in it, what stands around them is a frame. */
static void learn(struct loglines *lines, const char *s, size_t n)
{
	size_t anchor = find_anchor(s, n), from = anchor;
	if (anchor == n)
		return;
	struct log_writer frame = {.before = TEXT_INIT, .after = TEXT_INIT};
	const char *end = s + n;
	frame.quoted = quoted_from(s, n, anchor, &from);
	if (frame.quoted)
		end = closing_quote(s + from, n - from);
	/* A fatal error behind a panic is indented: that tab is Go's. */
	while (!frame.quoted && from && s[from - 1] == '\t')
		from--;
	mask(&frame.before, s, from);
	mask(&frame.after, end, (size_t)(s + n - end));
	for (unsigned i = 0; i < lines->count; i++) {
		struct log_writer *w = &lines->writers[i];
		if (w->quoted == frame.quoted && strcmp(w->before.s, frame.before.s) == 0 &&
		    strcmp(w->after.s, frame.after.s) == 0) {
			text_done(&frame.before);
			text_done(&frame.after);
			return; /* it has been offered the line */
		}
	}
	unsigned i = new_writer(lines);
	text_done(&lines->writers[i].before);
	text_done(&lines->writers[i].after);
	lines->writers[i] = frame;
	(void)deliver(lines, i, true, s + from, (size_t)(end - s) - from);
}

void loglines_feed(struct loglines *lines, const char *line, size_t len)
{
	lines->number++;
	if (len && line[len - 1] == '\r')
		len--;
	if (lines->count && offer(lines, lines->last, line, len))
		return;
	/* Frames before none: a line without one fits any text. */
	for (int bare = 0; bare < 2; bare++)
		for (unsigned i = 0; i < lines->count; i++)
			if (i != lines->last && is_bare(&lines->writers[i]) == bare &&
			    offer(lines, i, line, len))
				return;
	learn(lines, line, len);
}

void loglines_init(struct loglines *lines, log_line_fn *line, void *context)
{
	*lines = (struct loglines){.line = line, .context = context, .unquoted = TEXT_INIT};
}

void loglines_done(struct loglines *lines)
{
	for (unsigned i = 0; i < lines->count; i++) {
		text_done(&lines->writers[i].before);
		text_done(&lines->writers[i].after);
	}
	text_done(&lines->unquoted);
	lines->count = 0;
}

/* Reads more, waiting where fd does not block; 0 at the end, -1 on failure. */
static ssize_t read_some(int fd, char *to, size_t n)
{
	for (;;) {
		ssize_t got = read(fd, to, n);
		if (got >= 0)
			return got;
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		if (errno != EINTR &&
		    (errno != EAGAIN || (poll(&ready, 1, -1) < 0 && errno != EINTR)))
			return -1;
	}
}

enum status loglines_read(struct loglines *lines, int fd, struct error *err)
{
	/* Large enough that a system call costs nothing, small enough to stay in the cache. */
	size_t cap = 256 << 10, have = 0;
	bool skipping = false; /* inside a line that is too long */
	AUTO_FREE char *buffer = malloc(cap);
	if (!buffer)
		return error_nomem(err);
	for (;;) {
		ssize_t got = read_some(fd, buffer + have, cap - have);
		if (got < 0)
			return error_sys(err, "the log could not be read");
		const char *from = buffer, *end = buffer + have + got, *newline;
		while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
			if (!skipping)
				loglines_feed(lines, from, (size_t)(newline - from));
			skipping = false;
			from = newline + 1;
		}
		have = (size_t)(end - from);
		if (got == 0) {
			if (have && !skipping)
				loglines_feed(lines, from, have);
			return OK;
		}
		memmove(buffer, from, have);
		if (skipping)
			have = 0;
		if (have < cap)
			continue;
		if (cap < LOG_LINE_MAX) {
			char *grown = realloc(buffer, cap * 2);
			if (!grown)
				return error_nomem(err);
			buffer = grown;
			cap *= 2;
			continue;
		}
		loglines_feed(lines, buffer, have);
		lines->cut++;
		skipping = true;
		have = 0;
	}
}
