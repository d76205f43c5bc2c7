#include "verdict/log.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/loglines.h"
#include "verdict/logjudge.h"

/* One process that writes into the log. */
struct writer {
	struct log_reader *reader;
	struct traceback *traceback;
	struct log_crash_text crash;
	bool open; /* crash has begun */
	bool pending; /* a fatal error came after goroutines: the next line tells whether it is a new crash */
	struct trace_message message; /* that one; text is owned */
};

struct log_reader {
	const struct log_options *options;
	struct notes *notes;
	struct log_exe *exe;
	struct writer writers[LOG_WRITERS_MAX];
	struct loglines lines;
	struct log_verdict result;
	struct notes chosen_notes; /* of the chosen crash */
	int chosen_rank; /* of that one, 0: none or the lowest */
	enum status status; /* FAILED: of a judgement; error says why */
	struct error error;
};

/* Whether the access is that of the goroutine meant. */
static bool is_meant(const struct log_match *match, const struct access *a)
{
	return a->goroutine == match->goroutine && (!match->g || !a->g || a->g == match->g);
}

static bool matches(const struct log_match *match, const struct verdict *v)
{
	if (match->message && (!v->message || strcmp(match->message, v->message) != 0))
		return false;
	if (match->map && v->map.known && v->map.map.addr != match->map)
		return false;
	/* Of two that failed their checks at once, either may be the core's. */
	return !match->goroutine || (v->has_detector && is_meant(match, &v->detector)) ||
	       (v->has_other && is_meant(match, &v->other));
}

/* What a reader of the log came for: a map's crash, then one with goroutines; a message alone may be a line
 * of anybody's. */
static int rank_of(const struct verdict *v)
{
	return (v->cause == CAUSE_RACE) * 2 + (v->goroutine_count > 0);
}

/* Whether the crash just judged is the one to tell in full, as far as the log goes by now. */
static bool choose(const struct log_reader *r, const struct verdict *v, uint64_t number)
{
	if (r->options->crash)
		return r->options->crash == number;
	if (r->options->match)
		return matches(r->options->match, v);
	return rank_of(v) >= r->chosen_rank;
}

static enum status add_crash(struct log_reader *r, const struct log_crash_text *c,
			     struct verdict *v, struct error *err)
{
	struct log_verdict *result = &r->result;
	if (result->count == LOG_CRASHES_MAX) {
		free(result->crashes[0].message);
		free(result->crashes[0].what);
		memmove(result->crashes, result->crashes + 1,
			(LOG_CRASHES_MAX - 1) * sizeof(*result->crashes));
		result->count--;
		result->dropped++;
	}
	if (!result->crashes) {
		result->crashes = calloc(LOG_CRASHES_MAX, sizeof(*result->crashes));
		if (!result->crashes) {
			verdict_done(v);
			return error_nomem(err);
		}
	}
	struct log_crash *crash = &result->crashes[result->count];
	*crash = (struct log_crash){.line = c->line,
				    .last_line = c->last_line,
				    .cause = v->cause,
				    .grade = v->grade,
				    .message = v->message ? strdup(v->message) : NULL,
				    .what = v->what ? strdup(v->what) : NULL,
				    .goroutines = c->goroutines,
				    .detector = v->has_detector ? v->detector.goroutine : 0,
				    .other = v->has_other ? v->other.goroutine : 0,
				    .map = v->map.known ? v->map.map.addr : 0};
	if (v->has_detector)
		crash->detector_site = v->detector.site;
	if (v->has_other)
		crash->other_site = v->other.site;
	uint64_t number = ++result->count + result->dropped;
	if (!choose(r, v, number)) {
		verdict_done(v);
		return OK;
	}
	for (size_t i = 0; i < result->count; i++)
		result->crashes[i].chosen = i + 1 == result->count;
	verdict_done(&result->verdict);
	result->verdict = *v;
	result->number = number;
	result->map_type = c->exe_refused ? 0 : c->map_type;
	result->other_build = c->exe_refused;
	result->used_exe = r->exe && c->frames_matched && !c->exe_refused;
	memcpy(result->version, c->version, sizeof(result->version));
	r->chosen_rank = rank_of(v);
	return OK;
}

/* The crash of a writer has ended: judges it. */
static void end_crash(struct writer *w)
{
	struct log_reader *r = w->reader;
	struct notes notes = NOTES_INIT;
	struct verdict verdict;
	if (!w->open)
		return;
	w->open = false;
	bool is_crash = w->crash.goroutines || w->crash.message;
	if (is_crash && r->status == OK) {
		uint64_t before = r->result.number;
		r->status = log_crash_judge(&w->crash, r->exe, r->options->sites, &notes, &verdict,
					    &r->error);
		if (r->status == OK)
			r->status = add_crash(r, &w->crash, &verdict, &r->error);
		if (r->status == OK && r->result.number != before) {
			notes_done(&r->chosen_notes);
			r->chosen_notes = notes;
			notes = (struct notes)NOTES_INIT;
		}
	}
	notes_done(&notes);
	log_crash_text_done(&w->crash);
}

static void begin_crash(struct writer *w, uint64_t line)
{
	end_crash(w);
	log_crash_text_init(&w->crash, line);
	w->open = true;
}

static void drop_pending(struct writer *w)
{
	free((char *)w->message.text);
	w->message.text = NULL;
	w->pending = false;
}

/* The fatal error that waits begins a crash of its own. */
static void begin_pending(struct writer *w)
{
	begin_crash(w, w->message.line);
	log_crash_message(&w->crash, &w->message);
	drop_pending(w);
}

static void on_message(void *context, const struct trace_message *m)
{
	struct writer *w = context;
	if (w->pending)
		begin_pending(w);
	if (m->kind == TRACE_EXIT) {
		end_crash(w);
		return;
	}
	bool has_goroutines = w->open && (w->crash.goroutines || m->in_goroutine);
	if (has_goroutines && m->kind == TRACE_FATAL) {
		w->message = *m;
		w->message.text = strndup(m->text, m->len);
		w->message.len = w->message.text ? strlen(w->message.text) : 0;
		w->pending = w->message.text;
		return;
	}
	if (!w->open || (has_goroutines && m->kind != TRACE_SEPARATOR))
		begin_crash(w, m->line);
	log_crash_message(&w->crash, m);
}

static void on_goroutine(void *context, const struct trace_goroutine *g)
{
	struct writer *w = context;
	/* Two threads of one process may die at once: then the second's message stands in the traceback of
	 * the first, or before a goroutine that is not its own. A new process begins with the one that
	 * died. */
	bool is_older = w->pending && g->line < w->message.line;
	bool is_same = w->pending &&
		       (is_older ? g->last_line > w->message.line
				 : strcmp(g->state, "running") != 0 &&
					   !log_crash_ends_at_goroutine(&w->crash, g));
	if (is_same) {
		w->crash.fatals++;
		drop_pending(w);
	} else if (w->pending && !is_older) {
		begin_pending(w);
	}
	if (w->open && log_crash_ends_at_goroutine(&w->crash, g))
		begin_crash(w, g->line);
	if (!w->open)
		begin_crash(w, g->line);
	log_crash_goroutine(&w->crash, w->reader->exe, g);
}

static void end_writer(struct writer *w)
{
	if (w->traceback)
		traceback_end(w->traceback);
	if (w->pending)
		begin_pending(w);
	end_crash(w);
}

static bool on_line(void *context, unsigned number, bool begins, uint64_t line, const char *s,
		    size_t n)
{
	struct log_reader *r = context;
	struct writer *w = &r->writers[number];
	if (begins)
		end_writer(w);
	if (!w->traceback) {
		struct traceback_events events = {on_message, on_goroutine, w};
		w->reader = r;
		if (r->status == OK)
			r->status =
				traceback_new(r->result.names, &events, &w->traceback, &r->error);
		if (!w->traceback)
			return false;
	}
	return traceback_line(w->traceback, line, s, n);
}

static void reader_done(struct log_reader *r)
{
	for (size_t i = 0; i < LOG_WRITERS_MAX; i++) {
		log_crash_text_done(&r->writers[i].crash);
		traceback_free(r->writers[i].traceback);
		free((char *)r->writers[i].message.text);
	}
	loglines_done(&r->lines);
	notes_done(&r->chosen_notes);
	log_exe_free(r->exe);
	log_verdict_done(&r->result);
	free(r);
}

static void cleanup_reader(struct log_reader **r)
{
	if (*r)
		reader_done(*r);
}

static enum status check_result(const struct log_reader *r, struct error *err)
{
	const struct log_verdict *v = &r->result;
	if (!v->count)
		return error_set(
			err, ERROR_NOT_FOUND,
			"there is no traceback of Go's in it (no \"goroutine N [...]:\", no "
			"\"fatal error: \")");
	if (v->number)
		return OK;
	if (r->options->crash)
		return error_set(err, ERROR_NOT_FOUND,
				 "it has no crash number %llu: there are %llu",
				 (unsigned long long)r->options->crash,
				 (unsigned long long)(v->count + v->dropped));
	return error_set(err, ERROR_MISMATCH, "none of its crashes is this one");
}

enum status log_judge(int fd, const struct log_options *options, struct notes *notes,
		      struct log_verdict *ret, struct error *err)
{
	__attribute__((cleanup(cleanup_reader))) struct log_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return error_nomem(err);
	r->options = options;
	r->notes = notes;
	loglines_init(&r->lines, on_line, r);
	if (trace_names_new(&r->result.names, err) != OK ||
	    (options->rt && log_exe_new(options->rt, &r->exe, err) != OK) ||
	    loglines_read(&r->lines, fd, err) != OK)
		return FAILED;
	for (size_t i = 0; i < LOG_WRITERS_MAX; i++)
		end_writer(&r->writers[i]);
	if (r->status != OK) {
		if (err)
			*err = r->error;
		return FAILED;
	}
	if (check_result(r, err) != OK)
		return FAILED;
	for (size_t i = 0; i < r->chosen_notes.count; i++)
		notes_add(notes, r->chosen_notes.list[i].floor, r->chosen_notes.list[i].addr, "%s",
			  r->chosen_notes.list[i].text);
	if (r->lines.cut)
		notes_add(notes, "go", 0, "%llu lines of the log are too long and were cut",
			  (unsigned long long)r->lines.cut);
	if (trace_names_is_full(r->result.names))
		notes_add(notes, "go", 0,
			  "the log has too many different names: some are shown as ?");
	*ret = r->result;
	r->result = (struct log_verdict){0};
	return OK;
}

void log_verdict_done(struct log_verdict *v)
{
	for (size_t i = 0; i < v->count; i++) {
		free(v->crashes[i].message);
		free(v->crashes[i].what);
	}
	free(v->crashes);
	verdict_done(&v->verdict);
	trace_names_free(v->names);
	*v = (struct log_verdict){0};
}
