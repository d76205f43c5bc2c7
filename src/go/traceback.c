#include "go/traceback.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Text of one goroutine's arguments that is kept; Go prints at most some 200 bytes a frame. */
enum { ARGS_BYTES_MAX = 256 << 10 };

struct traceback {
	struct trace_names *names;
	struct traceback_events events;
	struct trace_goroutine g;
	struct trace_frame *frames;
	bool open; /* g has begun */
	bool expects_file; /* the last function has no place yet */
	bool in_creator; /* the place that comes is that of the go statement */
	bool in_ancestor; /* frames of a goroutine's creators: not its own */
	char *args;
	size_t args_len;
	const char *previous[TRACE_FRAMES_MAX][2]; /* names at this depth in the goroutine before */
};

enum status traceback_new(struct trace_names *names, const struct traceback_events *events,
			  struct traceback **ret, struct error *err)
{
	struct traceback *tb = calloc(1, sizeof(*tb));
	if (tb) {
		tb->names = names;
		tb->events = *events;
		tb->frames = calloc(TRACE_FRAMES_MAX, sizeof(*tb->frames));
		tb->args = malloc(ARGS_BYTES_MAX);
	}
	if (!tb || !tb->frames || !tb->args) {
		traceback_free(tb);
		return error_nomem(err);
	}
	*ret = tb;
	return OK;
}

void traceback_free(struct traceback *tb)
{
	if (!tb)
		return;
	free(tb->frames);
	free(tb->args);
	free(tb);
}

/* A part of a line: what is left of it. */
struct part {
	const char *s, *end;
};

static size_t left(const struct part *p)
{
	return (size_t)(p->end - p->s);
}

static bool take_word(struct part *p, const char *word, size_t n)
{
	if (left(p) < n || memcmp(p->s, word, n) != 0)
		return false;
	p->s += n;
	return true;
}
#define TAKE_WORD(p, word) take_word(p, word, sizeof(word) - 1)

static bool take_decimal(struct part *p, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = p->s;
	for (; s < p->end && *s >= '0' && *s <= '9'; s++) {
		if (v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	if (s == p->s)
		return false;
	p->s = s;
	*ret = v;
	return true;
}

/* 1 + the value of each hexadecimal digit as Go prints them. */
static const uint8_t hex_values[256] = {
	['0'] = 1,  ['1'] = 2,	['2'] = 3,  ['3'] = 4,	['4'] = 5,  ['5'] = 6,
	['6'] = 7,  ['7'] = 8,	['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
	['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16};

/* "0x" and at most 16 digits. */
static bool take_hex(struct part *p, uint64_t *ret)
{
	uint64_t v = 0;
	const char *s = p->s;
	if (left(p) < 3 || s[0] != '0' || s[1] != 'x')
		return false;
	s += 2;
	const char *first = s;
	for (uint8_t digit; s < p->end && (digit = hex_values[(uint8_t)*s]); s++) {
		if (s - first == 16)
			return false;
		v = v << 4 | (digit - 1u);
	}
	if (s == first)
		return false;
	p->s = s;
	*ret = v;
	return true;
}

static void finish(struct traceback *tb)
{
	if (!tb->open)
		return;
	tb->open = false;
	tb->expects_file = tb->in_creator = tb->in_ancestor = false;
	tb->g.frames = tb->frames;
	tb->events.goroutine(tb->events.context, &tb->g);
}

static void begin(struct traceback *tb, uint64_t line)
{
	finish(tb);
	tb->g = (struct trace_goroutine){.line = line, .last_line = line, .state = ""};
	tb->open = true;
	tb->args_len = 0;
}

/* What stands behind the status in a header's brackets. */
static void header_details(struct trace_goroutine *g, struct part in)
{
	while (left(&in)) {
		struct part p = in;
		uint64_t minutes;
		if (TAKE_WORD(&p, ", locked to thread"))
			g->locked = true;
		else if (TAKE_WORD(&p, ", ") && take_decimal(&p, &minutes) &&
			 TAKE_WORD(&p, " minutes"))
			g->minutes = minutes > UINT32_MAX ? UINT32_MAX : (uint32_t)minutes;
		in.s++;
	}
}

/* goroutine 7 gp=0xc000 m=0 mp=0x5123 [chan receive, 5 minutes, locked to thread]:
 * Behind the bracket labels may stand (1.26 on). */
static bool header_line(struct traceback *tb, uint64_t line, struct part p)
{
	uint64_t id, g = 0, m = 0, number;
	if (!TAKE_WORD(&p, "goroutine ") || !take_decimal(&p, &id) || !id)
		return false;
	if (TAKE_WORD(&p, " gp=") && !take_hex(&p, &g))
		return false;
	if (!TAKE_WORD(&p, " m=nil") && TAKE_WORD(&p, " m=") &&
	    (!take_decimal(&p, &number) || !TAKE_WORD(&p, " mp=") || !take_hex(&p, &m)))
		return false;
	if (!TAKE_WORD(&p, " ["))
		return false;
	const char *close = memchr(p.s, ']', left(&p));
	if (!close || p.end[-1] != ':')
		return false;
	begin(tb, line);
	tb->g.id = id;
	tb->g.g = g;
	tb->g.m = m;
	const char *state = p.s, *end = memchr(state, ',', (size_t)(close - state));
	if (!end)
		end = close;
	header_details(&tb->g, (struct part){end, close});
	static const char scan[] = " (scan)";
	size_t n = (size_t)(end - state), tail = sizeof(scan) - 1;
	if (n > tail && memcmp(end - tail, scan, tail) == 0)
		n -= tail;
	tb->g.state = trace_names_keep(tb->names, state, n);
	return true;
}

/* Reads what stands between a function's parentheses; false when Go would not print that. */
static bool parse_args(struct trace_frame *f, struct part p)
{
	bool known = true; /* no word was left out so far */
	if (left(&p) == 3 && memcmp(p.s, "...", 3) == 0) {
		f->inlined = true;
		return true;
	}
	while (left(&p)) {
		uint64_t value;
		if (take_hex(&p, &value)) {
			bool certain = !TAKE_WORD(&p, "?");
			if (!known || f->word_count == TRACE_WORDS_MAX)
				continue;
			f->words[f->word_count] = value;
			f->certain |= (uint16_t)(certain << f->word_count);
			f->word_count++;
		} else if (TAKE_WORD(&p, "...") || TAKE_WORD(&p, "_")) {
			known = false;
		} else if (!TAKE_WORD(&p, ", ") && !TAKE_WORD(&p, "{") && !TAKE_WORD(&p, "}")) {
			return false;
		}
	}
	return true;
}

/* The name s, which mostly is the one that the goroutine before had at this depth. */
static const char *keep_name(struct traceback *tb, size_t depth, int which, const char *s, size_t n)
{
	const char **previous = &tb->previous[depth][which];
	if (!*previous || strncmp(*previous, s, n) != 0 || (*previous)[n])
		*previous = trace_names_keep(tb->names, s, n);
	return *previous;
}

/* main.(*Cache[...]).Get(0xc000012000, {0x4a1b2c, 0x5}, 0x1?) */
static bool function_line(struct traceback *tb, struct part p)
{
	if (left(&p) < 3 || p.end[-1] != ')')
		return false;
	/* The arguments hold no parenthesis; the name may: "main.(*T).f". */
	const char *open = memrchr(p.s, '(', left(&p));
	struct trace_frame f = {0};
	if (!open || open == p.s || !parse_args(&f, (struct part){open + 1, p.end - 1}))
		return false;
	size_t name = (size_t)(open - p.s);
	bool is_panic = name == 5 && memcmp(p.s, "panic", 5) == 0;
	if (!is_panic && !memchr(p.s, '.', name))
		return false;
	for (size_t i = 0; i < name; i++)
		if ((uint8_t)p.s[i] <= ' ')
			return false;
	tb->in_creator = false;
	tb->expects_file = true;
	if (tb->in_ancestor || tb->g.creator)
		return true;
	if (tb->g.count == TRACE_FRAMES_MAX) {
		tb->g.elided = true;
		tb->expects_file = false;
		return true;
	}
	f.function = keep_name(tb, tb->g.count, 0, p.s, name);
	f.args_len = (uint32_t)(p.end - 1 - (open + 1));
	if (f.inlined || f.args_len > ARGS_BYTES_MAX - tb->args_len)
		f.args_len = 0;
	memcpy(tb->args + tb->args_len, open + 1, f.args_len);
	f.args = tb->args + tb->args_len;
	tb->args_len += f.args_len;
	tb->frames[tb->g.count++] = f;
	return true;
}

struct place {
	const char *file;
	size_t file_len;
	int32_t line;
	uint64_t offset, pc, sp, fp;
};

/* A file of source code, and not some program's "listening on :8080". */
static bool is_source(const char *s, size_t n)
{
	/* The longest suffix of a source file: ".cpp", ".cxx". */
	enum { SUFFIX_MAX = 5 };
	const char *dot = memrchr(s, '.', n);
	if (n && (s[0] == '?' || s[0] == '<'))
		return true;
	return dot && (size_t)(s + n - dot) <= SUFFIX_MAX &&
	       !memchr(dot, ' ', (size_t)(s + n - dot));
}

/* /path/file.go:25 +0x126 fp=0x1 sp=0x2 pc=0x3, and for C's code /path/file.c:25 pc=0x3 */
static bool parse_place(struct part p, struct place *ret)
{
	struct place place = {0};
	uint64_t line;
	/* The last colon before the first " +", " fp=" or " pc=": a path may hold blanks and colons. */
	const char *s = p.s, *colon = NULL;
	struct part tail = p;
	while ((s = memchr(s, ':', (size_t)(p.end - s)))) {
		struct part q = {s + 1, p.end};
		if (take_decimal(&q, &line) && (!left(&q) || *q.s == ' ')) {
			colon = s;
			place.line = line > INT32_MAX ? 0 : (int32_t)line;
			tail = q;
			break;
		}
		s++;
	}
	if (!colon || !is_source(p.s, (size_t)(colon - p.s)))
		return false;
	if (TAKE_WORD(&tail, " +") && !take_hex(&tail, &place.offset))
		return false;
	if (TAKE_WORD(&tail, " fp=") && !take_hex(&tail, &place.fp))
		return false;
	if (TAKE_WORD(&tail, " sp=") && !take_hex(&tail, &place.sp))
		return false;
	if (TAKE_WORD(&tail, " pc=") && !take_hex(&tail, &place.pc))
		return false;
	if (left(&tail))
		return false;
	place.file = p.s;
	place.file_len = (size_t)(colon - p.s);
	*ret = place;
	return true;
}

static bool file_line(struct traceback *tb, struct part p)
{
	struct place place;
	if (!tb->expects_file || !parse_place(p, &place))
		return false;
	tb->expects_file = false;
	if (tb->in_creator) {
		tb->in_creator = false;
		tb->g.creator_file = trace_names_keep(tb->names, place.file, place.file_len);
		tb->g.creator_line = place.line;
		tb->g.creator_offset = place.offset;
		return true;
	}
	if (tb->in_ancestor || tb->g.creator || !tb->g.count)
		return true;
	struct trace_frame *f = &tb->frames[tb->g.count - 1];
	f->file = keep_name(tb, tb->g.count - 1, 1, place.file, place.file_len);
	f->line = place.line;
	f->offset = place.offset;
	f->pc = place.pc;
	f->sp = place.sp;
	f->fp = place.fp;
	return true;
}

static bool creator_line(struct traceback *tb, struct part p)
{
	static const char in[] = " in goroutine ";
	if (!TAKE_WORD(&p, "created by ") || !left(&p))
		return false;
	tb->expects_file = true;
	if (tb->in_ancestor || tb->g.creator)
		return true;
	const char *name = p.s, *end = p.end, *hit = memmem(p.s, left(&p), in, sizeof(in) - 1);
	if (hit) {
		struct part q = {hit + sizeof(in) - 1, p.end};
		if (take_decimal(&q, &tb->g.creator_goroutine))
			end = hit;
	}
	tb->in_creator = true;
	tb->g.creator = trace_names_keep(tb->names, name, (size_t)(end - name));
	return true;
}

/* Lines inside a goroutine that are neither function nor place. */
static bool remark_line(struct traceback *tb, struct part p)
{
	struct part q = p;
	uint64_t number;
	if (TAKE_WORD(&q, "goroutine running on other thread; stack unavailable")) {
		tb->g.unavailable = true;
		return true;
	}
	if (TAKE_WORD(&q, "non-Go function"))
		return true;
	if (TAKE_WORD(&q, "[originating from goroutine ")) {
		tb->in_ancestor = true;
		return true;
	}
	if (TAKE_WORD(&q, "...") &&
	    (TAKE_WORD(&q, "additional frames elided...") ||
	     (take_decimal(&q, &number) && TAKE_WORD(&q, " frames elided...")))) {
		tb->g.elided |= !tb->in_ancestor;
		return true;
	}
	return false;
}

static void tell(struct traceback *tb, enum trace_message_kind kind, uint64_t line,
		 struct part text, bool glued)
{
	static const char recovered[] = " [recovered";
	/* Two threads may die at once: the second's message can stand in the first's traceback. */
	if (kind != TRACE_FATAL)
		finish(tb);
	struct trace_message m = {.kind = kind,
				  .in_goroutine = tb->open,
				  .text = text.s,
				  .len = left(&text),
				  .glued = glued,
				  .line = line};
	const char *hit = memmem(m.text, m.len, recovered, sizeof(recovered) - 1);
	if (kind == TRACE_PANIC && hit) {
		m.recovered = true;
		m.len = (size_t)(hit - m.text);
	}
	tb->events.message(tb->events.context, &m);
}

static bool message_line(struct traceback *tb, uint64_t line, struct part p)
{
	/* The blank behind it may have been at the line's end. */
	static const char fatal[] = "fatal error:";
	struct part q = p;
	bool glued = false;
	if (TAKE_WORD(&q, fatal)) {
		(void)TAKE_WORD(&q, " ");
		/* Two that die at once, up to 1.23: "fatal error: fatal error: AA". */
		for (; TAKE_WORD(&q, fatal); (void)TAKE_WORD(&q, " "))
			glued = true;
		const char *more = memmem(q.s, left(&q), fatal, sizeof(fatal) - 1);
		if (more) {
			q.end = more;
			glued = true;
		}
		tell(tb, TRACE_FATAL, line, q, glued);
		return true;
	}
	if (TAKE_WORD(&q, "panic: ")) {
		tell(tb, TRACE_PANIC, line, q, false);
		return true;
	}
	if (TAKE_WORD(&q, "[signal ") && left(&q) && q.end[-1] == ']') {
		q.end--;
		tell(tb, TRACE_SIGNAL, line, q, false);
		return true;
	}
	if (TAKE_WORD(&q, "SIGQUIT: quit") || TAKE_WORD(&q, "SIGABRT: abort")) {
		tell(tb, TRACE_QUIT, line, p, false);
		return true;
	}
	uint64_t status;
	if (TAKE_WORD(&q, "exit status ") && take_decimal(&q, &status) && !left(&q)) {
		tell(tb, TRACE_EXIT, line, p, false);
		return true;
	}
	if (tb->open && TAKE_WORD(&q, "-----") && !left(&q)) {
		tell(tb, TRACE_SEPARATOR, line, p, false);
		return true;
	}
	return false;
}

bool traceback_line(struct traceback *tb, uint64_t line, const char *s, size_t n)
{
	struct part p = {s, s + n};
	/* rsyslog writes a tab as #011. */
	while (left(&p) && (TAKE_WORD(&p, "\t") || TAKE_WORD(&p, " ") || TAKE_WORD(&p, "#011")))
		;
	while (left(&p) && (p.end[-1] == ' ' || p.end[-1] == '\t'))
		p.end--;
	if (!left(&p))
		return false;
	if (tb->open && (file_line(tb, p) || function_line(tb, p))) {
		tb->g.last_line = line;
		return true;
	}
	if (header_line(tb, line, p) || message_line(tb, line, p))
		return true;
	if (TAKE_WORD(&p, "runtime stack:") && !left(&p)) {
		begin(tb, line);
		return true;
	}
	if (!tb->open)
		return false;
	if (creator_line(tb, p) || remark_line(tb, p)) {
		tb->g.last_line = line;
		return true;
	}
	tb->g.foreign++;
	return false;
}

void traceback_end(struct traceback *tb)
{
	finish(tb);
}

int trace_version(const char *file, char *ret_text, size_t size)
{
	const char *src = strstr(file, "/src/runtime/");
	if (!src)
		src = strstr(file, "/src/internal/runtime/");
	if (!src)
		return 0;
	/* The last "go1." or "go-1." before it, behind a slash or an at sign and a module's version. */
	int minor = 0;
	for (const char *s = file; s < src; s++) {
		int skip = strncmp(s, "go1.", 4) == 0 ? 4 : strncmp(s, "go-1.", 5) == 0 ? 5 : 0;
		char *end;
		if (!skip)
			continue;
		unsigned long value = strtoul(s + skip, &end, 10);
		if (end == s + skip || value > 999)
			continue;
		const char *patch = end;
		if (*patch == '.' && patch[1] >= '0' && patch[1] <= '9')
			(void)strtoul(patch + 1, &end, 10);
		minor = (int)value;
		snprintf(ret_text, size, "go1.%.*s", (int)(end - (s + skip)), s + skip);
	}
	return minor;
}
