#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "report/watch.h"

enum {
	ROWS_MAX = 20, /* goroutines that the end of the page lists */
	OVERLAPS_MAX = 5, /* overlaps that it lists: the last ones */
};

const char *watch_change_name(enum flag_site_kind change)
{
	switch (change) {
	case FLAG_SET:
		return "set";
	case FLAG_CLEAR:
		return "clear";
	case FLAG_TOGGLE:
		return "toggle";
	case FLAG_ITERATOR:
		return "iterator";
	default:
		return "other";
	}
}

void watch_row_name(struct text *text, const struct timeline_row *row)
{
	if (row->goroutine)
		text_printf(text, "goroutine %" PRIu64, row->goroutine);
	else if (row->g)
		text_printf(text, "goroutine at 0x%" PRIx64 " (it ended before its id was read)",
			    row->g);
	else
		text_printf(text, "thread %d", row->thread);
}

void watch_time_text(struct text *text, uint64_t ns)
{
	if (ns < 1000)
		text_printf(text, "%" PRIu64 " ns", ns);
	else if (ns < 1000000)
		text_printf(text, "%.1f us", (double)ns / 1e3);
	else if (ns < 1000000000)
		text_printf(text, "%.1f ms", (double)ns / 1e6);
	else
		text_printf(text, "%.3f s", (double)ns / 1e9);
}

static void print_row(struct page *page, const struct timeline_row *row)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	watch_row_name(&text, row);
	page_printf(page, "%s", text.s);
}

static void print_time(struct page *page, uint64_t ns)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	watch_time_text(&text, ns);
	page_printf(page, "%s", text.s);
}

static void print_stamp(struct page *page, uint64_t ns)
{
	page_printf(page, "%4" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

static void print_site(struct page *page, enum operation operation, const struct site *site)
{
	if (operation != OPERATION_UNKNOWN)
		page_printf(page, "%-6s ", operation_name(operation));
	page_text(page, site->function);
	page_printf(page, "  ");
	page_place(page, site);
}

void watch_text_begin(struct page *page, const struct watch_title *title)
{
	page_style(page, STYLE_BOLD, "watching  ");
	if (title->owner) {
		page_text(page, title->owner);
		page_printf(page, ", ");
	}
	page_text(page, title->type ? title->type : "a map");
	page_printf(page, " at 0x%" PRIx64 "\n", title->map->addr);
	page_printf(page,
		    "          its flag is the byte at 0x%" PRIx64
		    ", now 0x%02x: %s; hardware breakpoints on %zu threads\n\n",
		    title->map->flag, title->map->value,
		    title->map->value & title->map->writing ? "a write is going on"
							    : "nobody writes",
		    title->threads);
	page_style(page, STYLE_DIM,
		   "      seconds  goroutine  thread   flag      byte      what, and where\n");
}

static void print_byte(struct page *page, bool known, uint8_t value)
{
	if (known)
		page_printf(page, "%02x", value);
	else
		page_printf(page, "??");
}

/* "   <runtime.mapassign_fast64+0x7c  mov %cl,0x8(%rax)>" */
static void print_insn(struct page *page, const struct watch_event *event)
{
	page_printf(page, "   <");
	page_text(page, event->function.name);
	if (event->pc && event->function.name)
		page_printf(page, "+0x%" PRIx64, event->pc - event->function.entry);
	if (event->instruction)
		page_printf(page, "  %s", event->instruction);
	fputc('>', page->out);
}

static void print_flip(struct page *page, const struct timeline *timeline,
		       const struct watch_event *event, const struct timeline_step *step)
{
	page_style(page, step->is_overlap ? STYLE_RED : STYLE_PLAIN, "%-9s",
		   watch_change_name(event->change));
	print_byte(page, event->has_old, event->old);
	page_printf(page, " > ");
	print_byte(page, event->has_new, event->new);
	page_printf(page, "   ");
	print_site(page, event->operation, &event->site);
	print_insn(page, event);
	if (step->is_overlap) {
		const struct timeline_interval *other = &timeline->intervals[step->overlapped];
		page_style(page, STYLE_RED, "\n%15swhile ", "");
		print_row(page, &timeline->rows[other->row]);
		page_printf(page, " is writing, since ");
		print_time(page, event->time - other->start);
		page_printf(page, ": ");
		print_site(page, other->operation, &other->site);
	}
}

void watch_text_event(struct page *page, const struct timeline *timeline,
		      const struct watch_event *event, const struct timeline_step *step)
{
	print_stamp(page, event->time);
	if (event->kind == WATCH_GAP) {
		page_style(page, STYLE_YELLOW,
			   "  %" PRIu64 " changes came too fast and are missing here\n",
			   event->lost);
		return;
	}
	if (event->goroutine)
		page_printf(page, "  %9" PRIu64, event->goroutine);
	else
		page_printf(page, "  %9s", event->g ? "?" : "-");
	page_printf(page, "  %6d   ", event->thread);
	if (event->kind == WATCH_FATAL) {
		page_style(page, STYLE_RED, "dies     ");
		page_printf(page, "          ");
		print_site(page, event->operation, &event->site);
		print_insn(page, event);
	} else {
		print_flip(page, timeline, event, step);
	}
	fputc('\n', page->out);
}

/* Rows in the order in which they matter: overlaps first, then writes. */
static int row_order(const void *a, const void *b, void *rows)
{
	const struct timeline_row *x = (struct timeline_row *)rows + *(const size_t *)a;
	const struct timeline_row *y = (struct timeline_row *)rows + *(const size_t *)b;
	if (x->overlaps != y->overlaps)
		return x->overlaps > y->overlaps ? -1 : 1;
	if (x->writes != y->writes)
		return x->writes > y->writes ? -1 : 1;
	return x->who < y->who ? -1 : x->who > y->who;
}

static void print_rows(struct page *page, const struct timeline *t)
{
	size_t *order = calloc(t->row_count + 1, sizeof(*order));
	if (!order)
		return;
	for (size_t i = 0; i < t->row_count; i++)
		order[i] = i;
	qsort_r(order, t->row_count, sizeof(*order), row_order, t->rows);
	for (size_t i = 0; i < t->row_count && i < ROWS_MAX; i++) {
		const struct timeline_row *row = &t->rows[order[i]];
		page_printf(page, "  ");
		print_row(page, row);
		page_printf(page, ": %" PRIu64 " %s, ", row->writes,
			    row->writes == 1 ? "write" : "writes");
		print_time(page, row->writing);
		page_printf(page, " in all");
		if (row->overlaps)
			page_style(page, STYLE_RED, ", %" PRIu64 " overlaps", row->overlaps);
		if (row->site.function) {
			page_printf(page, "; first ");
			print_site(page, row->operation, &row->site);
		}
		fputc('\n', page->out);
	}
	if (t->row_count > ROWS_MAX)
		page_printf(page, "  ... and %zu more\n", t->row_count - ROWS_MAX);
	free(order);
}

static void print_interval(struct page *page, const struct timeline *t, size_t index)
{
	const struct timeline_interval *interval = &t->intervals[index];
	page_printf(page, "    ");
	print_row(page, &t->rows[interval->row]);
	page_printf(page, " from");
	print_stamp(page, interval->start);
	page_printf(page, " for ");
	print_time(page, interval->end - interval->start);
	page_printf(page, "%s%s: ", interval->open ? ", not ended" : "",
		    interval->doubtful ? ", perhaps less: changes are missing" : "");
	print_site(page, interval->operation, &interval->site);
	fputc('\n', page->out);
}

static void print_overlaps(struct page *page, const struct timeline *t)
{
	size_t doubtful = 0;
	for (size_t i = 0; i < t->overlap_count; i++)
		doubtful += t->overlaps[i].doubtful;
	page_style(page, STYLE_BOLD, "overlaps  ");
	if (!t->overlap_count) {
		page_printf(page, "none: no two goroutines wrote at the same time\n");
		return;
	}
	page_style(page, STYLE_RED, "%zu times two goroutines wrote at the same time",
		   t->overlap_count);
	if (doubtful)
		page_printf(page, " (%zu of them in doubt: changes are missing there)", doubtful);
	fputc('\n', page->out);
	size_t first = t->overlap_count > OVERLAPS_MAX ? t->overlap_count - OVERLAPS_MAX : 0;
	for (size_t i = first; i < t->overlap_count; i++) {
		const struct timeline_overlap *o = &t->overlaps[i];
		print_stamp(page, o->start);
		page_printf(page, " for ");
		print_time(page, o->end - o->start);
		fputc('\n', page->out);
		print_interval(page, t, o->first);
		print_interval(page, t, o->second);
	}
}

static void print_fatal(struct page *page, const struct timeline *t)
{
	const struct timeline_fatal *f = &t->fatal;
	if (!f->seen)
		return;
	page_style(page, STYLE_BOLD, "death     ");
	print_row(page, &t->rows[f->row]);
	if (f->check == FLAG_CHECK_NONE) {
		page_printf(page, " died of a fatal error that is no check of a map's flag\n");
		return;
	}
	page_printf(page, " died of %s: ",
		    f->check == FLAG_CHECK_ENTRY ? "finding a map's flag set"
						 : "finding a map's flag no longer set");
	print_site(page, f->operation, &f->site);
	fputc('\n', page->out);
	if (!f->of_this_map) {
		page_printf(page,
			    "          Nothing shows that it was this map: what was seen of it "
			    "does not fit\n");
		return;
	}
	if (f->own)
		print_interval(page, t, f->own - 1);
	if (f->other)
		print_interval(page, t, f->other - 1);
	else
		page_printf(page, "          who cleared it was not seen\n");
}

void watch_text_end(struct page *page, const struct timeline *t, enum watch_end why)
{
	static const char *const reasons[] = {
		[WATCH_END_COUNT] = "that many were asked for",
		[WATCH_END_DURATION] = "the time is over",
		[WATCH_END_USER] = "ended by you",
		[WATCH_END_PROCESS] = "the process ended",
	};
	page_style(page, STYLE_BOLD, "\nwatched   ");
	print_time(page, t->end);
	page_printf(page, ", %s: %" PRIu64 " changes, %" PRIu64 " writes by %zu %s\n", reasons[why],
		    t->flips, t->writes, t->row_count,
		    t->row_count == 1 ? "goroutine" : "goroutines");
	if (t->lost)
		page_style(page, STYLE_YELLOW, "          %" PRIu64 " changes are missing\n",
			   t->lost);
	if (t->strange)
		page_style(page, STYLE_YELLOW,
			   "          %" PRIu64
			   " changes were not made by the code of maps: the memory "
			   "may serve for something else now\n",
			   t->strange);
	print_rows(page, t);
	print_overlaps(page, t);
	print_fatal(page, t);
}
