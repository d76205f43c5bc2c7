#include "probe/timeline.h"

#include <stdlib.h>

#include "base/array.h"
#include "go/stack.h"

/* ns; a process that dies of a check takes longer than this to print so. */
enum { LATE_NS = 1000000 };

void timeline_done(struct timeline *t)
{
	free(t->intervals);
	free(t->rows);
	free(t->overlaps);
	free(t->open);
	free(t->gaps);
	free(t->by_who);
	*t = (struct timeline){0};
}

/* A goroutine of a known id has one row, even where hits were lost and it got a second number. Only the
 * newest rows are asked: who writes a map now has written it a moment ago. */
static size_t row_of_id(const struct timeline *t, uint64_t goroutine)
{
	enum { ASKED = 1000 };
	size_t last = t->row_count > ASKED ? t->row_count - ASKED : 0;
	for (size_t i = t->row_count; goroutine && i-- > last;)
		if (t->rows[i].goroutine == goroutine)
			return i;
	return t->row_count;
}

/* The row of the goroutine that made event; ret is its index. */
static enum status row_of(struct timeline *t, const struct watch_event *event, size_t *ret,
			  struct error *err)
{
	while (t->who_count <= event->who)
		if (!ARRAY_PUSH(t->by_who, t->who_count, t->who_cap, SIZE_MAX))
			return error_nomem(err);
	size_t row = t->by_who[event->who];
	if (row == SIZE_MAX)
		row = row_of_id(t, event->goroutine);
	if (row == t->row_count) {
		struct timeline_row new = {.who = event->who,
					   .g = event->g,
					   .goroutine = event->goroutine,
					   .thread = event->thread};
		if (!ARRAY_PUSH(t->rows, t->row_count, t->row_cap, new))
			return error_nomem(err);
	}
	t->by_who[event->who] = row;
	if (!t->rows[row].goroutine)
		t->rows[row].goroutine = event->goroutine;
	*ret = row;
	return OK;
}

static void drop_open(struct timeline *t, size_t interval)
{
	for (size_t i = 0; i < t->open_count; i++) {
		if (t->open[i] != interval)
			continue;
		t->open[i] = t->open[--t->open_count];
		return;
	}
}

static void close_interval(struct timeline *t, size_t row, uint64_t time)
{
	struct timeline_row *r = &t->rows[row];
	if (!r->open)
		return;
	struct timeline_interval *interval = &t->intervals[r->open - 1];
	interval->end = time > interval->start ? time : interval->start;
	r->writing += interval->end - interval->start;
	drop_open(t, r->open - 1);
	r->open = 0;
}

/* The interval that event, which sets the flag, begins; and its overlaps with those that are open. */
static enum status open_interval(struct timeline *t, size_t row, const struct watch_event *event,
				 struct timeline_step *step, struct error *err)
{
	struct timeline_row *r = &t->rows[row];
	t->writes++;
	if (r->writes++ == 0) {
		r->site = event->site;
		r->operation = event->operation;
	}
	if (t->interval_count == TIMELINE_INTERVALS_MAX) {
		t->cut = true;
		return OK;
	}
	struct timeline_interval interval = {
		.row = row,
		.start = event->time,
		.operation = event->operation,
		.site = event->site,
		.thread = event->thread,
	};
	size_t index = t->interval_count;
	for (size_t i = 0; i < t->open_count; i++) {
		struct timeline_overlap overlap = {
			.first = t->open[i], .second = index, .start = event->time};
		if (!step->is_overlap || t->open[i] > step->overlapped)
			step->overlapped = t->open[i];
		step->is_overlap = true;
		r->overlaps++;
		t->rows[t->intervals[t->open[i]].row].overlaps++;
		if (t->overlap_count == TIMELINE_OVERLAPS_MAX)
			t->cut = true;
		else if (!ARRAY_PUSH(t->overlaps, t->overlap_count, t->overlap_cap, overlap))
			return error_nomem(err);
	}
	if (!ARRAY_PUSH(t->intervals, t->interval_count, t->interval_cap, interval) ||
	    !ARRAY_PUSH(t->open, t->open_count, t->open_cap, index))
		return error_nomem(err);
	t->rows[row].open = t->rows[row].last = index + 1;
	return OK;
}

/* Changes are missing: what was going on then may have ended, and begun again. */
static enum status add_gap(struct timeline *t, const struct watch_event *event, struct error *err)
{
	struct timeline_gap gap = {event->since, event->time};
	t->lost += event->lost;
	while (t->open_count)
		close_interval(t, t->intervals[t->open[0]].row, event->time);
	if (!ARRAY_PUSH(t->gaps, t->gap_count, t->gap_cap, gap))
		return error_nomem(err);
	return OK;
}

static int gap_order(const void *a, const void *b)
{
	const struct timeline_gap *x = a, *y = b;
	return x->until < y->until ? -1 : x->until > y->until;
}

/* Marks the intervals that a gap touches. Gaps of several CPUs overlap, so the first one to end
 * behind an interval's start need not be the first to begin: each takes the earliest begin of those
 * that end after it. */
static void mark_doubtful(struct timeline *t)
{
	if (!t->gap_count)
		return;
	qsort(t->gaps, t->gap_count, sizeof(*t->gaps), gap_order);
	for (size_t i = t->gap_count - 1; i-- > 0;)
		if (t->gaps[i].since > t->gaps[i + 1].since)
			t->gaps[i].since = t->gaps[i + 1].since;
	for (size_t i = 0, gap = 0; i < t->interval_count; i++) {
		struct timeline_interval *interval = &t->intervals[i];
		while (gap < t->gap_count && t->gaps[gap].until < interval->start)
			gap++;
		if (gap == t->gap_count)
			break;
		interval->doubtful = interval->end > t->gaps[gap].since;
	}
}

/* A goroutine dies of a check at entry because another has the flag set, of one at exit because another
 * has cleared it: the other is the one that wrote last, up to now or since the check's own write began. */
static void add_fatal(struct timeline *t, size_t row, const struct watch_event *event)
{
	const struct timeline_interval *own =
		t->rows[row].open ? &t->intervals[t->rows[row].open - 1] : NULL;
	struct timeline_fatal *f = &t->fatal;
	if (f->seen && f->of_this_map)
		return;
	*f = (struct timeline_fatal){
		.seen = true,
		.time = event->time,
		.row = row,
		.check = event->check,
		.holds_map = event->holds_map,
		.site = event->site,
		.operation = event->operation,
		.own = t->rows[row].open,
	};
	for (size_t i = 0; i < t->row_count; i++) {
		const struct timeline_row *r = &t->rows[i];
		if (i == row || !r->last)
			continue;
		const struct timeline_interval *last = &t->intervals[r->last - 1];
		bool is_open = r->open == r->last;
		if (own && !is_open && last->end < own->start)
			continue; /* over before */
		if (!f->other || is_open || last->end > t->intervals[f->other - 1].end)
			f->other = r->last;
		if (is_open)
			break;
	}
	bool is_consistent = event->check == FLAG_CHECK_ENTRY  ? f->other && !own
			     : event->check == FLAG_CHECK_EXIT ? own != NULL
							       : false;
	f->of_this_map = event->holds_map && is_consistent;
}

/* The processor reports a store a while after it was done, up to some ten microseconds later on a virtual
 * machine: so a check can fail before we are told of the very first write that made it fail. */
static void name_late_other(struct timeline *t, size_t row)
{
	struct timeline_fatal *f = &t->fatal;
	uint64_t start = t->intervals[t->rows[row].last - 1].start;
	if (!f->seen || f->other || f->own || !f->holds_map || f->check != FLAG_CHECK_ENTRY ||
	    row == f->row || t->gap_count || start - f->time > LATE_NS)
		return;
	f->other = t->rows[row].last;
	f->of_this_map = true;
}

enum status timeline_add(struct timeline *t, const struct watch_event *event,
			 struct timeline_step *ret, struct error *err)
{
	size_t row = 0;
	*ret = (struct timeline_step){0};
	if (event->kind == WATCH_GAP)
		return add_gap(t, event, err);
	if (row_of(t, event, &row, err) != OK)
		return FAILED;
	ret->row = row;
	if (event->kind == WATCH_FATAL) {
		add_fatal(t, row, event);
		return OK;
	}
	t->flips++;
	/* growing a map, outside of the map functions proper, stores the byte as well */
	bool is_growth = event->has_new && event->function.name &&
			 function_is_runtime(event->function.name);
	if (!event->in_map_function && !is_growth)
		t->strange++;
	if (event->change == FLAG_CLEAR) {
		close_interval(t, row, event->time);
	} else if (event->change == FLAG_SET) {
		/* its clearing was not seen: it panicked meanwhile (a key that cannot be hashed) */
		close_interval(t, row, event->time);
		if (open_interval(t, row, event, ret, err) != OK)
			return FAILED;
		name_late_other(t, row);
	}
	return OK;
}

/* Gives the overlaps their ends. One is none after all where the first write's end came to us late, after
 * the second's begin, although it was before. */
static void settle_overlaps(struct timeline *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->overlap_count; i++) {
		struct timeline_overlap o = t->overlaps[i];
		const struct timeline_interval *a = &t->intervals[o.first];
		const struct timeline_interval *b = &t->intervals[o.second];
		o.end = a->end < b->end ? a->end : b->end;
		o.doubtful = a->doubtful || b->doubtful;
		if (a->end > b->start) {
			t->overlaps[kept++] = o;
		} else {
			t->rows[a->row].overlaps--;
			t->rows[b->row].overlaps--;
		}
	}
	t->overlap_count = kept;
}

void timeline_finish(struct timeline *t, uint64_t end)
{
	t->end = end;
	while (t->open_count) {
		struct timeline_interval *interval = &t->intervals[t->open[0]];
		close_interval(t, interval->row, end);
		interval->open = true;
	}
	mark_doubtful(t);
	settle_overlaps(t);
}
