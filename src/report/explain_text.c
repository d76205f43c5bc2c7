#include <inttypes.h>
#include <string.h>

#include "report/explain.h"

/* Frames of a stack on the page; --json has them all. */
enum { TEXT_FRAMES_MAX = 40 };
/* Candidates and sites on the page. */
enum { TEXT_ROWS_MAX = 20 };

static bool is_map_crash(const struct verdict *v)
{
	return v->cause == CAUSE_RACE || v->cause == CAUSE_CORRUPTION;
}

static void print_title(struct page *page, const struct runtime *rt,
			const struct explain_source *source, const struct verdict *v)
{
	if (v->message) {
		page_style(page, STYLE_RED, "%s", v->is_panic ? "panic: " : "fatal error: ");
		page_text(page, v->message);
	} else if (v->cause == CAUSE_NONE) {
		page_style(page, STYLE_GREEN, "not crashed");
	} else {
		page_style(page, STYLE_RED, "crashed");
	}
	page_printf(page, "   ");
	page_text(page, rt ? rt->version.text : source->log->version);
	if (rt)
		page_printf(page, " linux/%s", rt->target->arch == ARCH_ARM64 ? "arm64" : "amd64");
	fputc('\n', page->out);
}

static void print_map(struct page *page, const struct map_facts *facts)
{
	page_style(page, STYLE_BOLD, "map       ");
	if (!facts->known) {
		page_text(page, facts->type);
		page_printf(page, ", address not known\n");
		return;
	}
	if (facts->owner) {
		page_text(page, facts->owner);
		page_printf(page, ", ");
	}
	page_text(page, facts->type ? facts->type : "type not known,");
	page_printf(page, " at 0x%" PRIx64, facts->map.addr);
	if (facts->has_header)
		page_printf(page, ", %" PRIu64 " %s, flag %s%s", facts->map.count,
			    facts->map.count == 1 ? "entry" : "entries",
			    facts->map.writing ? "set (a write is in progress)" : "clear",
			    facts->map.growing ? ", growing" : "");
	fputc('\n', page->out);
	if (facts->contradiction) {
		page_printf(page, "          the header contradicts itself: ");
		page_text(page, facts->contradiction);
		fputc('\n', page->out);
	}
}

static void print_operation(struct page *page, const struct access *a)
{
	page_printf(page, "%s",
		    a->operation == OPERATION_UNKNOWN ? "?" : operation_name(a->operation));
	if (a->key.text) {
		page_printf(page, " key ");
		page_text(page, a->key.text);
	}
}

/* One side on one line and its place on the next: the answer at a glance. */
static void print_side(struct page *page, const char *role, const struct access *a)
{
	page_style(page, STYLE_BOLD, "%-10s", role);
	page_printf(page, "goroutine %" PRIu64 " [", a->goroutine);
	page_text(page, a->state);
	page_printf(page, "]: ");
	print_operation(page, a);
	fputc('\n', page->out);
	page_printf(page, "          ");
	if (a->site.function) {
		page_text(page, a->site.function);
		page_printf(page, "  ");
		page_place(page, &a->site);
	} else {
		page_printf(page, "its code is not known");
	}
	fputc('\n', page->out);
	page_source(page, &a->site);
}

static void print_verdict(struct page *page, const struct verdict *v, bool is_log)
{
	static const enum style styles[] = {
		[GRADE_UNKNOWN] = STYLE_YELLOW,
		[GRADE_POSSIBLE] = STYLE_YELLOW,
		[GRADE_LIKELY] = STYLE_BOLD,
		[GRADE_PROVEN] = STYLE_GREEN,
	};
	page_style(page, STYLE_BOLD, "verdict   ");
	if (v->cause == CAUSE_CORRUPTION) {
		page_style(page, STYLE_RED, "corruption");
		page_printf(page,
			    ": the map's %s cannot be the work of Go's own code, and nobody else "
			    "is in the map\n",
			    v->map.contradiction ? "header" : "memory");
		return;
	}
	page_style(page, styles[v->grade], "%s", grade_name(v->grade));
	switch (v->grade) {
	case GRADE_PROVEN:
		page_printf(page,
			    ": goroutine %" PRIu64 " is writing this map while goroutine %" PRIu64
			    " is in it\n",
			    v->other.goroutine, v->detector.goroutine);
		break;
	case GRADE_LIKELY:
		page_printf(page,
			    ": goroutine %" PRIu64 " is the only other one tied to this map\n",
			    v->other.goroutine);
		break;
	case GRADE_POSSIBLE:
		if (!v->candidate_count)
			page_printf(page,
				    ": goroutine %" PRIu64 " could have been the other side\n",
				    v->other.goroutine);
		else
			page_printf(page,
				    ": %zu goroutines could have been the other side, the "
				    "likeliest is shown\n",
				    v->candidate_count + 1);
		break;
	default:
		page_printf(page, ": the other side %s and cannot be told%s\n",
			    is_log ? "is not among what Go printed, or had left the map,"
				   : "has left the map",
			    v->site_count ? "; below is all code that can write such a map" : "");
	}
}

static void print_evidence(struct page *page, const struct access *a)
{
	for (size_t i = 0; i < a->evidence_count; i++) {
		page_printf(page, "          - goroutine %" PRIu64 ": ", a->goroutine);
		page_text(page, a->evidence[i]);
		fputc('\n', page->out);
	}
}

static void print_candidates(struct page *page, const struct verdict *v)
{
	if (!v->candidate_count)
		return;
	page_style(page, STYLE_BOLD, "\nOther suspects, best first\n");
	for (size_t i = 0; i < v->candidate_count && i < TEXT_ROWS_MAX; i++) {
		const struct candidate *c = &v->candidates[i];
		page_printf(page, "  goroutine %" PRIu64 "  ", c->goroutine);
		page_text(page, c->site.function);
		page_printf(page, "  ");
		page_place(page, &c->site);
		page_printf(page, "\n      ");
		page_text(page, c->why);
		fputc('\n', page->out);
	}
	if (v->candidate_count > TEXT_ROWS_MAX)
		page_printf(page, "  ... and %zu more (--json has all)\n",
			    v->candidate_count - TEXT_ROWS_MAX);
}

static void print_sites(struct page *page, const struct verdict *v)
{
	if (!v->site_count)
		return;
	page_style(page, STYLE_BOLD, "\nCode that can write a map of this type\n");
	for (size_t i = 0; i < v->site_count && i < TEXT_ROWS_MAX; i++) {
		page_printf(page, "  %-7s ", operation_name(v->sites[i].operation));
		page_text(page, v->sites[i].site.function);
		page_printf(page, "  ");
		page_place(page, &v->sites[i].site);
		page_style(page, STYLE_DIM, "%s\n",
			   v->sites[i].type_known ? "" : "  (any map type: generic or reflection)");
	}
	if (v->site_count > TEXT_ROWS_MAX)
		page_printf(page, "  ... and %zu more (--json has all)\n",
			    v->site_count - TEXT_ROWS_MAX);
}

static int marked_entry(const struct access *a)
{
	for (size_t i = 0; i < a->stack.count; i++) {
		const struct site *s = &a->stack.list[i].site;
		if (s->function && a->site.function && s->line == a->site.line &&
		    strcmp(s->function, a->site.function) == 0)
			return (int)i;
	}
	return -1;
}

static void print_stack(struct page *page, const char *role, const struct access *a)
{
	page_style(page, STYLE_BOLD, "\n%s: goroutine %" PRIu64 "", role, a->goroutine);
	page_printf(page, " [");
	page_text(page, a->state);
	fputc(']', page->out);
	if (a->thread)
		page_printf(page, ", thread %d", (int)a->thread);
	fputc('\n', page->out);
	/* The marked frame's source stands above already. */
	struct page plain = *page;
	plain.source = NULL;
	page_stack(&plain, &a->stack, TEXT_FRAMES_MAX, marked_entry(a));
	if (a->created_by.function) {
		page_printf(page, "    created by ");
		page_text(page, a->created_by.function);
		if (a->created_by_goroutine)
			page_printf(page, " in goroutine %" PRIu64, a->created_by_goroutine);
		page_printf(page, "\n        ");
		page_place(page, &a->created_by);
		fputc('\n', page->out);
	}
}

/* What one side holds, and what stands beside the map and is not taken. */
void explain_side_locks(struct page *page, const struct access *a)
{
	size_t held = 0;
	page_printf(page, "          goroutine %" PRIu64 ": ", a->goroutine);
	for (size_t i = 0; i < a->lock_count; i++) {
		const struct side_lock *lock = &a->locks[i];
		if (!lock->held)
			continue;
		page_printf(page, "%s%s", held++ ? "; " : "",
			    lock->certain ? "takes " : "on some ways takes ");
		if (lock->name)
			page_text(page, lock->name);
		else
			page_printf(page, "a %s", lock_kind_name(lock->kind));
		page_printf(page, " (%s at ", lock->read ? "RLock" : "Lock");
		page_place(page, &lock->taken_by);
		if (lock->state) {
			page_printf(page, "; now ");
			page_text(page, lock->state);
		}
		fputc(')', page->out);
	}
	if (!held)
		page_printf(page, "%s",
			    a->locks_known ? "takes no sync.Mutex and no sync.RWMutex"
					   : "its locks could not be told");
	for (size_t i = 0; i < a->lock_count; i++) {
		const struct side_lock *lock = &a->locks[i];
		if (lock->held || !lock->name)
			continue;
		page_printf(page, "; not ");
		page_text(page, lock->name);
		if (lock->state) {
			page_printf(page, " beside the map (now ");
			page_text(page, lock->state);
			fputc(')', page->out);
		}
	}
	fputc('\n', page->out);
}

/* What the reader has to mend. */
static void print_locks(struct page *page, const struct verdict *v)
{
	bool known = v->locking_text || (v->has_detector && v->detector.lock_count) ||
		     (v->has_other && v->other.lock_count);
	if (!known)
		return;
	page_style(page, STYLE_BOLD, "locks     ");
	page_text(page, v->locking_text ? v->locking_text : "as far as the code shows");
	fputc('\n', page->out);
	bool plain = v->locking == LOCKING_NONE && !v->detector.lock_count &&
		     !v->other.lock_count && !v->detector.locks_unfollowed &&
		     !v->other.locks_unfollowed;
	if (v->has_detector && !plain)
		explain_side_locks(page, &v->detector);
	if (v->has_other && !plain)
		explain_side_locks(page, &v->other);
}

static void print_race(struct page *page, const struct verdict *v, bool is_log)
{
	if (v->map.known || v->map.type)
		print_map(page, &v->map);
	print_verdict(page, v, is_log);
	if (v->what) {
		page_style(page, STYLE_BOLD, "what      ");
		page_text(page, v->what);
		fputc('\n', page->out);
	}
	fputc('\n', page->out);
	if (v->has_detector)
		print_side(page, "detector", &v->detector);
	if (v->has_other)
		print_side(page, "other", &v->other);
	print_locks(page, v);
	page_style(page, STYLE_BOLD, "\nWhy\n");
	if (v->has_detector)
		print_evidence(page, &v->detector);
	if (v->has_other)
		print_evidence(page, &v->other);
	if (v->searched)
		page_printf(page, "          - %zu other goroutines were searched\n", v->searched);
	if (v->parked_skipped)
		page_printf(page,
			    "          - %zu parked goroutines were not (--search-all does it)\n",
			    v->parked_skipped);
	if (v->advice) {
		page_style(page, STYLE_BOLD, "next time ");
		page_printf(page, "%s\n", v->advice);
	}
	print_candidates(page, v);
	print_sites(page, v);
	if (v->has_detector)
		print_stack(page, "Detector", &v->detector);
	if (v->has_other)
		print_stack(page, "Other", &v->other);
}

static void print_other(struct page *page, const struct verdict *v)
{
	if (v->map.known)
		print_map(page, &v->map);
	page_style(page, STYLE_BOLD, "verdict   ");
	if (v->cause == CAUSE_NONE)
		page_printf(page, "no crash: no goroutine has given up (%zu goroutines)\n",
			    v->goroutine_count);
	else
		page_printf(page, "%s: %s\n",
			    v->map.known ? "no other goroutine seen in this map"
					 : "no crash of a map",
			    v->what ? v->what : "unknown");
	if (!v->has_detector)
		return;
	fputc('\n', page->out);
	page_style(page, STYLE_BOLD, "where     ");
	page_text(page, v->detector.site.function);
	page_printf(page, "  ");
	page_place(page, &v->detector.site);
	fputc('\n', page->out);
	page_source(page, &v->detector.site);
	print_candidates(page, v);
	print_stack(page, "Crashed", &v->detector);
}

static void print_crash_row(struct page *page, const struct log_crash *c, uint64_t number)
{
	page_printf(page, "  %s %3" PRIu64 "  line %-8" PRIu64 " ", c->chosen ? ">" : " ", number,
		    c->line);
	page_text(page, c->message ? c->message : c->what);
	if (c->cause == CAUSE_RACE)
		page_printf(page, ": %s", grade_name(c->grade));
	if (c->detector_site.function) {
		page_printf(page, "\n        goroutine %" PRIu64 "  ", c->detector);
		page_text(page, c->detector_site.function);
		page_printf(page, "  ");
		page_place(page, &c->detector_site);
	}
	if (c->other_site.function) {
		page_printf(page, "\n        goroutine %" PRIu64 "  ", c->other);
		page_text(page, c->other_site.function);
		page_printf(page, "  ");
		page_place(page, &c->other_site);
	}
	fputc('\n', page->out);
}

/* All crashes of a log that has several, the last ones where they are many. */
static void print_crashes(struct page *page, const struct log_verdict *log)
{
	size_t first = log->count > TEXT_ROWS_MAX ? log->count - TEXT_ROWS_MAX : 0;
	if (log->count + log->dropped < 2)
		return;
	page_style(page, STYLE_BOLD, "\nCrashes in this log (--crash N tells another)\n");
	if (first + log->dropped)
		page_printf(page, "  %" PRIu64 " earlier ones (--json has %zu of them)\n",
			    first + log->dropped, first);
	for (size_t i = first; i < log->count; i++)
		print_crash_row(page, &log->crashes[i], log->dropped + i + 1);
}

static void print_source(struct page *page, const struct runtime *rt,
			 const struct explain_source *source)
{
	const struct log_verdict *log = source->log;
	page_style(page, STYLE_DIM, "%s ", source->kind);
	page_text(page, source->path);
	if (log) {
		for (size_t i = 0; i < log->count; i++)
			if (log->crashes[i].chosen)
				page_printf(page, "  lines %" PRIu64 " to %" PRIu64,
					    log->crashes[i].line, log->crashes[i].last_line);
		if (log->count + log->dropped > 1)
			page_printf(page, "  (crash %" PRIu64 " of %" PRIu64 ")", log->number,
				    log->count + log->dropped);
	}
	if (rt && rt->target->exe) {
		page_printf(page, "  ");
		page_style(page, STYLE_DIM, "executable ");
		page_text(page, executable_path(rt->target->exe));
	}
	page_printf(page, "\n\n");
}

void explain_text(struct page *page, const struct runtime *rt, const struct explain_source *source,
		  const struct verdict *v)
{
	print_title(page, rt, source, v);
	print_source(page, rt, source);
	if (is_map_crash(v))
		print_race(page, v, source->log);
	else
		print_other(page, v);
	if (source->log)
		print_crashes(page, source->log);
	page_notes(page, rt ? rt->notes : source->notes);
}
