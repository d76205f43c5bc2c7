#include "verdict/logjudge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/type.h"
#include "go/value.h"
#include "verdict/access.h"

struct log_judge {
	const struct log_crash_text *crash;
	struct log_exe *exe; /* NULL: none, or not this build's */
	struct notes *notes;
	const struct kept **suspects; /* best first */
	size_t count;
	struct verdict *verdict;
};

static int by_strength(const void *a, const void *b)
{
	const struct kept *x = *(const struct kept *const *)a, *y = *(const struct kept *const *)b;
	int left = kept_strength(x), right = kept_strength(y);
	if (left != right)
		return left > right ? -1 : 1;
	return x->g.line < y->g.line ? -1 : x->g.line > y->g.line;
}

/* Goroutines with such a tie, at least from and at most to; writers: only those whose code writes. */
static uint64_t count_ties(const struct log_judge *j, enum tie from, enum tie to, bool writers)
{
	uint64_t n = 0;
	for (size_t i = 0; i < j->count; i++) {
		const struct kept *k = j->suspects[i];
		if (k->tie >= from && k->tie <= to && (k->writer || !writers))
			n += 1 + k->alike;
	}
	return n;
}

static enum grade grade_of(const struct log_judge *j)
{
	const struct kept *d = &j->crash->detector;
	if (!j->count)
		return GRADE_UNKNOWN;
	const struct kept *best = j->suspects[0];
	if (best->tie == TIE_INSIDE && best->map_agrees && d->call.fatal)
		return GRADE_PROVEN;
	uint64_t in_map = count_ties(j, TIE_IN_MAP, TIE_INSIDE, false);
	if (in_map)
		return in_map == 1 ? GRADE_LIKELY : GRADE_POSSIBLE;
	uint64_t fatal = count_ties(j, TIE_FATAL, TIE_FATAL, false);
	if (fatal)
		return fatal == 1 ? GRADE_LIKELY : GRADE_POSSIBLE;
	/* In a write of a map that may be another one: that is for a core to tell. */
	if (count_ties(j, TIE_SOME_MAP, TIE_IN_TYPE, false))
		return GRADE_POSSIBLE;
	uint64_t at_write = 0;
	for (size_t i = 0; i < j->count; i++)
		if (j->suspects[i]->at_write && trace_is_awake(&j->suspects[i]->g))
			at_write += 1 + j->suspects[i]->alike;
	if (at_write)
		return at_write == 1 ? GRADE_LIKELY : GRADE_POSSIBLE;
	return count_ties(j, TIE_OBJECT, TIE_MAP, true) == 1 &&
			       count_ties(j, TIE_OBJECT, TIE_MAP, false) == 1
		       ? GRADE_LIKELY
		       : GRADE_POSSIBLE;
}

static void describe_shared(struct text *text, const struct kept *k, const char *what)
{
	text_printf(text, "its code was given %s 0x%" PRIx64 ", as the detector's was", what,
		    k->shared);
	if (k->at_write)
		text_append(text, ", and it stands in a call that writes such a map");
	else if (k->writer)
		text_append(text, ", and code on its stack writes such maps");
}

static void describe(const struct kept *k, struct text *text)
{
	const char *function = k->call.has_function ? k->g.frames[k->call.handler].function
			       : k->in_call	    ? k->g.frames[k->call.frame].function
						    : "";
	uint64_t map = k->call.map.value;
	switch (k->tie) {
	case TIE_INSIDE:
		text_printf(text, "it is in %s now, on the same map 0x%" PRIx64 ", ",
			    k->window_function, map);
		if (k->window_at)
			text_printf(text,
				    "at +0x%" PRIx64 ", between the instruction that sets the flag "
				    "(+0x%" PRIx64 ") and the one that clears it (+0x%" PRIx64 ")",
				    k->window_at, k->set_at, k->clear_at);
		else
			text_append(text,
				    "which only a write calls, after it set the flag and before "
				    "it clears it");
		break;
	case TIE_FATAL_MAP:
		text_printf(text,
			    "it is in %s on the same map 0x%" PRIx64
			    ", where a check of its own has failed",
			    function, map);
		break;
	case TIE_IN_MAP:
		text_printf(text, "it is in %s now, on the same map 0x%" PRIx64, function, map);
		break;
	case TIE_FATAL:
		text_append(text,
			    "a check of its own has failed too; on which map was not printed");
		break;
	case TIE_IN_TYPE:
		text_printf(text,
			    "it is in %s now, on a map of the same type; whether on the same one "
			    "was not "
			    "printed for certain",
			    function);
		break;
	case TIE_SOME_MAP:
		text_printf(text, "it is in %s now; on which map was not printed for certain",
			    function);
		break;
	case TIE_MAP:
		describe_shared(text, k, "the map");
		break;
	case TIE_OBJECT:
		describe_shared(text, k, "the same object");
		break;
	case TIE_TYPE:
		text_append(text, k->at_write
					  ? "it stands in a call that writes a map of the same type"
					  : "code on its stack can write a map of the same type");
		break;
	case TIE_CODE:
		text_append(text,
			    k->writer ? "it runs the function in which the detector died writing"
				      : "it runs code of the type or function in which the "
					"detector died");
		break;
	case TIE_AWAKE:
		text_append(text, "it was awake, and nothing else ties it to the map");
		break;
	case TIE_UNSEEN:
		text_append(text, "it ran on another thread, so that Go could not print its stack");
		break;
	case TIE_NONE:
		break;
	}
	if (k->write.function && !k->at_write && k->site < k->g.count)
		text_printf(text, "; it stood in %s, line %d", k->g.frames[k->site].function,
			    (int)k->g.frames[k->site].line);
	if (k->tie < TIE_SOME_MAP && !trace_is_awake(&k->g))
		text_printf(text, "; it was waiting by then (%s)", k->g.state);
	if (k->alike)
		text_printf(text, "; %" PRIu64 " more goroutines have the same stack", k->alike);
}

static struct site frame_site(const struct log_judge *j, const struct kept *k, size_t i)
{
	struct site site = {0};
	struct function fn;
	if (i >= k->g.count)
		return site;
	const struct trace_frame *f = &k->g.frames[i];
	size_t p = i;
	while (p + 1 < k->g.count && k->g.frames[p].inlined)
		p++;
	site.function = f->function;
	site.file = f->file;
	site.line = f->line;
	site.pc = k->g.frames[p].pc;
	if (!site.pc && j->exe && !log_exe_frame(j->exe, &k->g.frames[p], &fn, &site.pc))
		site.pc = 0;
	return site;
}

static enum status fill_stack(const struct log_judge *j, const struct kept *k, struct stack *ret,
			      struct error *err)
{
	size_t cap = 0;
	ret->cut = k->g.elided || k->g.unavailable;
	for (size_t i = 0; i < k->g.count; i++) {
		const struct trace_frame *f = &k->g.frames[i];
		struct stack_entry e = {.site = frame_site(j, k, i),
					.sp = f->sp,
					.offset = f->offset,
					.inlined = f->inlined};
		e.entry = e.site.pc ? e.site.pc - f->offset : 0;
		if (!f->inlined && !(e.args = strndup(f->args, f->args_len)))
			return error_nomem(err);
		if (!ARRAY_PUSH(ret->list, ret->count, cap, e)) {
			free(e.args);
			return error_nomem(err);
		}
	}
	return OK;
}

/* The key of a call whose words are certain: as its type has it, where the executable tells the type. */
static enum status fill_key(const struct log_judge *j, const struct kept *k, struct key *ret,
			    struct error *err)
{
	struct map_type type;
	uint64_t words[2] = {k->call.key, k->call.key_len};
	AUTO_TEXT struct text text = TEXT_INIT;
	if (k->call.key_form != KEY_WORD && k->call.key_form != KEY_STRING)
		return OK;
	if (!j->exe || !j->crash->map_type) {
		/* Of a string only its address was printed. */
		if (k->call.key_form == KEY_STRING)
			return OK;
		text_printf(&text, "0x%" PRIx64, k->call.key);
	} else {
		struct runtime *rt = log_exe_runtime(j->exe);
		if (type_read_map(rt, j->crash->map_type, &type, NULL) != OK ||
		    type.key_size > sizeof(words))
			return OK;
		char first;
		struct type key;
		if (type_read(rt, type.type.key, &key, NULL) != OK)
			return OK;
		/* A string's bytes are in the text only when they are the executable's own. */
		bool points = key.ptr_bytes > 0;
		if (points && (k->call.key_form != KEY_STRING || key.kind != KIND_STRING ||
			       words[1] > VALUE_STRING_MAX ||
			       memory_read(rt->target->memory, words[0], &first, 1, NULL) != OK ||
			       memory_read(rt->target->memory, words[0] + words[1] - 1, &first, 1,
					   NULL) != OK))
			return OK;
		if (!value_render_bytes(rt, type.type.key, words, type.key_size, &text))
			return OK;
		const char *name = type_name(rt, type.type.key);
		ret->type = name ? strdup(name) : NULL;
	}
	ret->text = text_take(&text);
	if (!ret->text || asprintf(&ret->hex, "%016" PRIx64, k->call.key) < 0) {
		ret->hex = NULL;
		return error_nomem(err);
	}
	return OK;
}

static enum status fill_access(const struct log_judge *j, const struct kept *k, struct access *a,
			       struct error *err)
{
	a->goroutine = k->g.id;
	a->g = k->g.g;
	a->state = k->g.state;
	a->operation = k->call.operation;
	a->site = k->write.function ? k->write : frame_site(j, k, k->site);
	if (k->write.function && !k->in_call)
		a->operation = k->write_operation;
	a->created_by = (struct site){k->g.creator, k->g.creator_file, k->g.creator_line, 0};
	a->created_by_goroutine = k->g.creator_goroutine;
	if (k->in_call && fill_key(j, k, &a->key, err) != OK)
		return FAILED;
	return fill_stack(j, k, &a->stack, err);
}

static enum status fill_detector(struct log_judge *j, struct error *err)
{
	const struct log_crash_text *c = j->crash;
	struct verdict *v = j->verdict;
	struct access *a = &v->detector;
	if (!c->has_detector)
		return OK;
	v->has_detector = true;
	a->grade = GRADE_PROVEN;
	if (fill_access(j, &c->detector, a, err) != OK)
		return FAILED;
	if (v->cause != CAUSE_RACE)
		return OK;
	if (access_evidence(a, err,
			    "Go printed it as the one whose check failed (line %" PRIu64
			    " of the log)",
			    c->detector.g.line) != OK)
		return FAILED;
	if (!v->map.known)
		return OK;
	return access_evidence(
		a, err, "the map's address is printed in its call of %s%s",
		c->detector.g.frames[c->detector.call.frame].function,
		c->detector.call.map.certain ? "" : " as uncertain, and another's call agrees");
}

static enum status fill_suspects(struct log_judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	size_t cap = 0;
	for (size_t i = 0; i < j->count; i++) {
		const struct kept *k = j->suspects[i];
		AUTO_TEXT struct text why = TEXT_INIT;
		describe(k, &why);
		if (why.failed)
			return error_nomem(err);
		if (i == 0) {
			v->has_other = true;
			v->other.grade = v->grade;
			if (fill_access(j, k, &v->other, err) != OK ||
			    access_evidence(&v->other, err, "%s", why.s) != OK)
				return FAILED;
			continue;
		}
		struct candidate c = {.goroutine = k->g.id,
				      .site = k->write.function ? k->write
								: frame_site(j, k, k->site),
				      .rank = kept_strength(k),
				      .why = text_take(&why)};
		if (!c.why || !ARRAY_PUSH(v->candidates, v->candidate_count, cap, c)) {
			free(c.why);
			return error_nomem(err);
		}
	}
	return OK;
}

static enum status fill_sites(struct log_judge *j, struct error *err)
{
	struct map_sites sites = {0};
	struct error why;
	if (log_exe_sites(j->exe, j->crash->map_type, &sites, &why) != OK) {
		notes_add_error(j->notes, "verdict", "code that writes such maps", &why);
		return OK;
	}
	enum status status = sites_report(log_exe_runtime(j->exe), &sites, j->verdict, err);
	map_sites_done(&sites);
	return status;
}

static void fill_map(struct log_judge *j)
{
	const struct trace_call *call = &j->crash->detector.call;
	struct map_facts *map = &j->verdict->map;
	bool agreed = j->count && j->suspects[0]->tie >= TIE_IN_MAP;
	if (j->exe && j->crash->map_type)
		map->type = type_name(log_exe_runtime(j->exe), j->crash->map_type);
	if (j->crash->detector.in_call && call->map.known && call->map.value &&
	    (call->map.certain || agreed)) {
		map->known = true;
		map->map.addr = call->map.value;
	}
}

/* What the next crash should leave, where this one left too little. */
static enum status advise(struct log_judge *j, struct error *err)
{
	const struct log_crash_text *c = j->crash;
	const char *what;
	if (!c->others)
		what = "GOTRACEBACK=all prints the other goroutines; GOTRACEBACK=crash with ulimit "
		       "-c "
		       "unlimited also leaves a core, which tells most";
	else if (!c->detector.in_call)
		what = "GOTRACEBACK=system also prints the map's functions with its address; "
		       "GOTRACEBACK=crash with ulimit -c unlimited leaves a core, which tells most";
	else
		what = "a core tells more than a text: GOTRACEBACK=crash with ulimit -c unlimited";
	j->verdict->advice = strdup(what);
	return j->verdict->advice ? OK : error_nomem(err);
}

static void note_gaps(const struct log_judge *j)
{
	const struct log_crash_text *c = j->crash;
	const struct verdict *v = j->verdict;
	if (!c->has_detector && v->cause == CAUSE_RACE)
		notes_add(j->notes, "verdict", 0,
			  "the goroutine that died is not in the log: it ends too early, or "
			  "GOTRACEBACK was none");
	else if (!c->others && v->cause == CAUSE_RACE)
		notes_add(j->notes, "verdict", 0,
			  c->minor && c->minor < 26
				  ? "no other goroutine was printed: the log is cut, or nobody was "
				    "left"
				  : "no other goroutine was printed: from Go 1.26 on, the default "
				    "(GOTRACEBACK=single) leaves all others out");
	if (c->exe_refused)
		notes_add(j->notes, "verdict", 0,
			  "the executable is another build: %" PRIu64 " of the %" PRIu64
			  " places on the "
			  "dead goroutine's stack are not in it; it is not used",
			  c->frames_strange, c->frames_strange + c->frames_matched);
	if (c->suspects_dropped)
		notes_add(j->notes, "verdict", 0, "%" PRIu64 " weaker suspects are not listed",
			  c->suspects_dropped);
	if (c->out_of_memory)
		notes_add(j->notes, "verdict", 0, "memory was out: goroutines may be missing");
}

static enum status judge_race(struct log_judge *j, bool sites, struct error *err)
{
	struct verdict *v = j->verdict;
	v->cause = CAUSE_RACE;
	v->grade = grade_of(j);
	v->searched = j->crash->others;
	fill_map(j);
	if (fill_detector(j, err) != OK || fill_suspects(j, err) != OK)
		return FAILED;
	if (v->grade != GRADE_PROVEN && advise(j, err) != OK)
		return FAILED;
	if (j->exe && j->crash->map_type && (sites || v->grade == GRADE_UNKNOWN))
		return fill_sites(j, err);
	return OK;
}

static enum status judge_other(struct log_judge *j, struct error *err)
{
	const struct log_crash_text *c = j->crash;
	struct verdict *v = j->verdict;
	const char *what = NULL;
	v->cause = CAUSE_OTHER;
	if (c->is_fatal)
		what = crash_fatal_meaning(c->message);
	else if (c->message)
		what = crash_panic_meaning(c->message, c->from_signal);
	else
		what = c->quit ? "ended from outside (SIGQUIT or SIGABRT)"
			       : "goroutines without a message of Go's: a dump, or the log's "
				 "beginning is cut";
	v->what = strdup(what ? what : "a fatal error of Go's runtime");
	return v->what ? fill_detector(j, err) : error_nomem(err);
}

enum status log_crash_judge(const struct log_crash_text *crash, struct log_exe *exe, bool sites,
			    struct notes *notes, struct verdict *ret, struct error *err)
{
	struct verdict v = {0};
	const struct kept *suspects[SUSPECTS_MAX];
	struct log_judge j = {.crash = crash,
			      .exe = crash->exe_refused ? NULL : exe,
			      .notes = notes,
			      .suspects = suspects,
			      .count = crash->suspect_count,
			      .verdict = &v};
	for (size_t i = 0; i < crash->suspect_count; i++)
		suspects[i] = &crash->suspects[i];
	qsort(suspects, j.count, sizeof(*suspects), by_strength);
	v.goroutine_count = crash->goroutines;
	v.message = crash->message ? strdup(crash->message) : NULL;
	v.is_panic = crash->message && !crash->is_fatal;
	enum status status = crash->message && !v.message ? error_nomem(err)
			     : crash->kind >= CRASH_MAP_WRITES &&
					     crash->kind <= CRASH_MAP_SMALL_FULL
				     ? judge_race(&j, sites, err)
				     : judge_other(&j, err);
	if (status != OK) {
		verdict_done(&v);
		return FAILED;
	}
	note_gaps(&j);
	*ret = v;
	return OK;
}
