#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/watch.h"

/* Pixels. */
enum {
	WIDTH = 1280,
	LEFT = 330, /* of the plot: labels stand before it */
	PLOT = WIDTH - LEFT - 30,
	ROW = 34,
	BAR = 18,
	HEAD = 64, /* above a panel's rows: its title and ticks */
	TOP = 56, /* above the first panel */
	BOTTOM = 44,
};

enum {
	ROWS_MAX = 60, /* rows of a panel; the ones with overlaps first */
	LABEL_CHARS = 46, /* of a place in the source, from its end */
};

/* Bars closer than this, or narrower, in pixels, are drawn as one. */
static const double MERGED = 0.3, NARROWEST = 0.8;

/* A part of the timeline as it is drawn. */
struct panel {
	FILE *out;
	const struct timeline *t;
	uint64_t start, end; /* ns */
	double top; /* of its rows */
	size_t *rows; /* indexes in t->rows */
	size_t row_count, left_out;
	bool is_close; /* bars have words */
};

/* Text as XML content: what XML cannot hold, and what could be taken for markup, is escaped. */
static void xml_text(FILE *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned code;
		size_t length = utf8_next(s + i, n - i, &code);
		if (!length || code == 0xfffe || code == 0xffff)
			fputs("\xef\xbf\xbd", out); /* U+FFFD */
		else if (code < 0x20 || (code >= 0x7f && code < 0xa0))
			fprintf(out, "\\x%02x", code);
		else if (code == '<' || code == '>' || code == '&' || code == '"' || code == '\'')
			fprintf(out, "&#%u;", code);
		else
			fwrite(s + i, 1, length, out);
		i += length ? length : 1;
	}
}

static const char *colour_of(enum operation operation)
{
	switch (operation) {
	case OPERATION_ASSIGN:
		return "#2b6cb0";
	case OPERATION_DELETE:
		return "#b7791f";
	case OPERATION_CLEAR:
		return "#6b46c1";
	default:
		return "#718096";
	}
}

static double x_of(const struct panel *p, uint64_t time)
{
	if (time <= p->start)
		return LEFT;
	if (time >= p->end)
		return LEFT + PLOT;
	return LEFT + (double)PLOT * (double)(time - p->start) / (double)(p->end - p->start);
}

/* "main.go:31": the last part of a path; the page is for a look, JSON has the whole. */
static void site_text(struct text *text, const struct site *site)
{
	const char *slash = site->file ? strrchr(site->file, '/') : NULL;
	if (!site->function) {
		text_append(text, "place not known");
		return;
	}
	text_append(text, site->function);
	if (site->file)
		text_printf(text, " %s:%" PRId32, slash ? slash + 1 : site->file, site->line);
}

static void row_label(const struct panel *p, const struct timeline_row *row, double y)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	AUTO_TEXT struct text place = TEXT_INIT;
	watch_row_name(&name, row);
	site_text(&place, &row->site);
	/* the end of a long place is what tells it from others */
	size_t skip = place.len > LABEL_CHARS ? place.len - LABEL_CHARS : 0;
	while (skip && skip < place.len && ((unsigned char)place.s[skip] & 0xc0) == 0x80)
		skip++;
	fprintf(p->out, "<text x=\"12\" y=\"%.1f\" class=\"name\">", y + 13);
	xml_text(p->out, name.s, name.len);
	fprintf(p->out, "</text>\n<text x=\"12\" y=\"%.1f\" class=\"place\">%s", y + 26,
		skip ? "\xe2\x80\xa6" : "");
	xml_text(p->out, place.s + skip, place.len - skip);
	fputs("</text>\n", p->out);
}

/* A run of writes of one row that stand too close to be told apart. */
struct bar {
	double x0, x1;
	uint64_t writes;
	const struct timeline_interval *first;
	bool open, doubtful;
};

static void draw_bar(const struct panel *p, const struct bar *bar, double y)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	double width = bar->x1 - bar->x0 > NARROWEST ? bar->x1 - bar->x0 : NARROWEST;
	const struct timeline_interval *i = bar->first;
	fprintf(p->out,
		"<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%d\" fill=\"%s\"%s><title>",
		bar->x0, y + 4, width, BAR, colour_of(i->operation),
		bar->doubtful ? " opacity=\"0.35\"" : "");
	if (bar->writes > 1) {
		text_printf(&text, "%" PRIu64 " writes", bar->writes);
	} else {
		text_printf(&text, "%s, ",
			    i->operation == OPERATION_UNKNOWN ? "write"
							      : operation_name(i->operation));
		watch_time_text(&text, i->end - i->start);
		text_printf(&text, "%s, thread %d, ", i->open ? ", not ended" : "", i->thread);
		site_text(&text, &i->site);
	}
	xml_text(p->out, text.s, text.len);
	fputs("</title></rect>\n", p->out);
	if (!p->is_close || bar->writes > 1)
		return;
	text_clear(&text);
	if (i->operation != OPERATION_UNKNOWN)
		text_printf(&text, "%s ", operation_name(i->operation));
	watch_time_text(&text, i->end - i->start);
	/* about 6.5 pixels a letter: inside where it fits, else behind */
	bool fits = width > 6.5 * (double)text.len + 8;
	bool before = !fits && bar->x1 + 6.5 * (double)text.len > WIDTH - 8;
	fprintf(p->out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\"%s>%s</text>\n",
		fits	 ? bar->x0 + 4
		: before ? bar->x0 - 4
			 : bar->x0 + width + 4,
		y + 17, fits ? "in" : "place", before ? " text-anchor=\"end\"" : "", text.s);
}

static void draw_row(const struct panel *p, size_t row, double y)
{
	struct bar bar = {0};
	row_label(p, &p->t->rows[row], y);
	fprintf(p->out, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#e2e8f0\"/>\n",
		LEFT, y + ROW - 4.0, LEFT + PLOT, y + ROW - 4.0);
	for (size_t i = 0; i < p->t->interval_count; i++) {
		const struct timeline_interval *interval = &p->t->intervals[i];
		if (interval->row != row || interval->end < p->start || interval->start > p->end)
			continue;
		double x0 = x_of(p, interval->start), x1 = x_of(p, interval->end);
		if (bar.writes && x0 <= bar.x1 + MERGED &&
		    bar.first->operation == interval->operation &&
		    bar.doubtful == interval->doubtful && !p->is_close) {
			bar.x1 = x1 > bar.x1 ? x1 : bar.x1;
			bar.writes++;
			continue;
		}
		if (bar.writes)
			draw_bar(p, &bar, y);
		bar = (struct bar){x0, x1, 1, interval, interval->open, interval->doubtful};
	}
	if (bar.writes)
		draw_bar(p, &bar, y);
}

/* Where writes overlap: a band across all rows. */
static void draw_overlaps(const struct panel *p)
{
	double x0 = 0, x1 = -1, height = (double)p->row_count * ROW;
	for (size_t i = 0; i <= p->t->overlap_count; i++) {
		const struct timeline_overlap *o = i < p->t->overlap_count ? &p->t->overlaps[i]
									   : NULL;
		if (o && (o->doubtful || o->end < p->start || o->start > p->end))
			continue;
		if (o && x1 >= x0 && x_of(p, o->start) <= x1 + MERGED) {
			x1 = x_of(p, o->end) > x1 ? x_of(p, o->end) : x1;
			continue;
		}
		if (x1 >= x0)
			fprintf(p->out,
				"<rect x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\" "
				"class=\"overlap\"/>\n",
				x0, p->top - 4, x1 - x0 > 2 ? x1 - x0 : 2, height);
		if (o) {
			x0 = x_of(p, o->start);
			x1 = x_of(p, o->end);
		}
	}
}

static void draw_death(const struct panel *p)
{
	const struct timeline_fatal *f = &p->t->fatal;
	if (!f->seen || f->time < p->start || f->time > p->end)
		return;
	AUTO_TEXT struct text name = TEXT_INIT;
	double x = x_of(p, f->time), bottom = p->top + (double)p->row_count * ROW;
	watch_row_name(&name, &p->t->rows[f->row]);
	fprintf(p->out,
		"<line x1=\"%.2f\" y1=\"%.1f\" x2=\"%.2f\" y2=\"%.1f\" class=\"death\"/>\n"
		"<text x=\"%.1f\" y=\"%.1f\" class=\"dies\" text-anchor=\"%s\">",
		x, p->top - 8, x, bottom, x > LEFT + PLOT / 2.0 ? x - 4 : x + 4, p->top - 8,
		x > LEFT + PLOT / 2.0 ? "end" : "start");
	xml_text(p->out, name.s, name.len);
	fputs(" dies</text>\n", p->out);
}

/* Times at round numbers, counted from the panel's own start where that is not the watch's. */
static void draw_ticks(const struct panel *p)
{
	uint64_t length = p->end - p->start, step = 1, origin = p->is_close ? p->start : 0;
	for (unsigned i = 0; length / step > 8; i++)
		step = i % 3 == 1 ? step / 2 * 5 : step * 2; /* 1 2 5 10 20 50 ... */
	for (uint64_t at = 0; at <= p->end - origin; at += step) {
		AUTO_TEXT struct text text = TEXT_INIT;
		if (at + origin < p->start)
			continue;
		double x = x_of(p, at + origin);
		watch_time_text(&text, at);
		fprintf(p->out,
			"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
			"stroke=\"#cbd5e0\"/>\n<text x=\"%.1f\" y=\"%.1f\" class=\"tick\">%s%s"
			"</text>\n",
			x, p->top - 10, x, p->top + (double)p->row_count * ROW, x, p->top - 22,
			p->is_close ? "+" : "", text.s);
	}
}

static void draw_panel(const struct panel *p, const char *title)
{
	fprintf(p->out, "<text x=\"12\" y=\"%.1f\" class=\"head\">%s</text>\n", p->top - HEAD + 20,
		title);
	draw_ticks(p);
	draw_overlaps(p);
	for (size_t i = 0; i < p->row_count; i++)
		draw_row(p, p->rows[i], p->top + (double)(i * ROW));
	draw_death(p);
	if (p->left_out)
		fprintf(p->out,
			"<text x=\"12\" y=\"%.1f\" class=\"place\">%zu more goroutines are left "
			"out</text>\n",
			p->top + (double)p->row_count * ROW + 10, p->left_out);
}

/* Takes the rows that write in the panel's time: those with overlaps first, then by appearance. */
static void choose_rows(struct panel *p)
{
	AUTO_FREE bool *writes = calloc(p->t->row_count + 1, sizeof(*writes));
	if (!writes || !p->rows)
		return;
	for (size_t i = 0; i < p->t->interval_count; i++) {
		const struct timeline_interval *interval = &p->t->intervals[i];
		if (interval->end >= p->start && interval->start <= p->end)
			writes[interval->row] = true;
	}
	if (p->t->fatal.seen && p->t->fatal.time >= p->start && p->t->fatal.time <= p->end)
		writes[p->t->fatal.row] = true;
	for (int overlaps = 1; overlaps >= 0; overlaps--) {
		for (size_t i = 0; i < p->t->row_count; i++) {
			bool has = p->t->rows[i].overlaps ||
				   (p->t->fatal.seen && p->t->fatal.row == i);
			if (!writes[i] || has != (overlaps == 1))
				continue;
			if (p->row_count < ROWS_MAX)
				p->rows[p->row_count++] = i;
			else
				p->left_out++;
		}
	}
}

/* The moment that matters most: the death by this map, else the longest overlap without doubt. */
static bool close_moment(const struct timeline *t, uint64_t *ret_start, uint64_t *ret_end)
{
	uint64_t start = 0, end = 0;
	const struct timeline_fatal *f = &t->fatal;
	if (f->seen && f->of_this_map && (f->own || f->other)) {
		start = end = f->time;
		if (f->own && t->intervals[f->own - 1].start < start)
			start = t->intervals[f->own - 1].start;
		if (f->other && t->intervals[f->other - 1].start < start)
			start = t->intervals[f->other - 1].start;
	} else {
		uint64_t longest = 0;
		for (size_t i = 0; i < t->overlap_count; i++) {
			const struct timeline_overlap *o = &t->overlaps[i];
			if (o->doubtful || o->end - o->start < longest)
				continue;
			const struct timeline_interval *a = &t->intervals[o->first];
			const struct timeline_interval *b = &t->intervals[o->second];
			longest = o->end - o->start;
			start = a->start;
			end = a->end > b->end ? a->end : b->end;
		}
	}
	if (end <= start)
		return false;
	uint64_t margin = (end - start) / 4 + 1;
	*ret_start = start > margin ? start - margin : 0;
	*ret_end = end + margin;
	return true;
}

static void draw_legend(FILE *out, double y)
{
	static const enum operation shown[] = {OPERATION_ASSIGN, OPERATION_DELETE, OPERATION_CLEAR};
	double x = 12;
	for (size_t i = 0; i < sizeof(shown) / sizeof(*shown); i++, x += 90)
		fprintf(out,
			"<rect x=\"%.0f\" y=\"%.1f\" width=\"14\" height=\"12\" fill=\"%s\"/>"
			"<text x=\"%.0f\" y=\"%.1f\" class=\"place\">%s</text>\n",
			x, y, colour_of(shown[i]), x + 20, y + 10, operation_name(shown[i]));
	fprintf(out,
		"<rect x=\"%.0f\" y=\"%.1f\" width=\"14\" height=\"12\" class=\"overlap\"/>"
		"<text x=\"%.0f\" y=\"%.1f\" class=\"place\">two goroutines write at once; pale: "
		"changes are missing there</text>\n",
		x, y, x + 20, y + 10);
}

static void draw_title(FILE *out, const struct timeline *t, const struct watch_title *title)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	if (title->owner)
		text_printf(&text, "%s, ", title->owner);
	text_printf(&text, "%s at 0x%" PRIx64, title->type ? title->type : "a map",
		    title->map->addr);
	fputs("<text x=\"12\" y=\"26\" class=\"title\">", out);
	xml_text(out, text.s, text.len);
	fprintf(out,
		"</text>\n<text x=\"12\" y=\"44\" class=\"place\">who has the flag "
		"set: %" PRIu64 " writes by %zu goroutines, %zu overlaps</text>\n",
		t->writes, t->row_count, t->overlap_count);
}

void watch_svg(FILE *out, const struct timeline *t, const struct watch_title *title)
{
	AUTO_FREE size_t *all_rows = calloc(t->row_count + 1, sizeof(*all_rows));
	AUTO_FREE size_t *close_rows = calloc(t->row_count + 1, sizeof(*close_rows));
	struct panel all = {.out = out, .t = t, .end = t->end ? t->end : 1, .rows = all_rows};
	struct panel moment = {.out = out, .t = t, .rows = close_rows, .is_close = true};
	choose_rows(&all);
	all.top = TOP + HEAD;
	double height = all.top + (double)all.row_count * ROW;
	bool has_close = close_moment(t, &moment.start, &moment.end);
	if (has_close) {
		choose_rows(&moment);
		moment.top = height + 20 + HEAD;
		height = moment.top + (double)moment.row_count * ROW;
	}
	height += BOTTOM;
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" "
		"viewBox=\"0 0 %d %.0f\" font-family=\"system-ui, sans-serif\">\n"
		"<style>.title{font-size:17px;font-weight:bold}.head{font-size:14px;"
		"font-weight:bold}.name{font-size:13px}.place,.tick{font-size:11px;fill:#4a5568}"
		".tick{text-anchor:middle}.in{font-size:11px;fill:#fff}.overlap{fill:#e53e3e;"
		"fill-opacity:.35}.death{stroke:#c53030;stroke-width:2}"
		".dies{font-size:12px;fill:#c53030;font-weight:bold}</style>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
		WIDTH, height, WIDTH, height);
	draw_title(out, t, title);
	draw_panel(&all, "all of the watch");
	if (has_close)
		draw_panel(&moment, t->fatal.of_this_map ? "the moment before the death"
							 : "the longest overlap");
	draw_legend(out, height - 26);
	fputs("</svg>\n", out);
}
