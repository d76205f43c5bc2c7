/*
 * What a watch of a map's flag saw: each change as it comes, then who wrote, who overlapped, and what the
 * process died of. As text, as JSON (docs/watch.schema.json), and as a picture.
 */
#ifndef REPORT_WATCH_H
#define REPORT_WATCH_H

#include "probe/timeline.h"
#include "probe/watch.h"
#include "report/explain.h"

/* Why a watch ended. */
enum watch_end { WATCH_END_COUNT, WATCH_END_DURATION, WATCH_END_USER, WATCH_END_PROCESS };

struct watch_title {
	const struct watch_map *map;
	const char *type, *owner; /* NULL unknown */
	size_t threads; /* that the process had */
};

void watch_text_begin(struct page *page, const struct watch_title *title);
void watch_text_event(struct page *page, const struct timeline *timeline,
		      const struct watch_event *event, const struct timeline_step *step);
void watch_text_end(struct page *page, const struct timeline *timeline, enum watch_end why);

/* One object, written as it goes on; json holds its state from begin to end. */
void watch_json_begin(struct json *json, struct runtime *rt, const struct explain_source *source,
		      const struct watch_title *title);
void watch_json_event(struct json *json, struct runtime *rt, const struct timeline *timeline,
		      const struct watch_event *event, const struct timeline_step *step);
void watch_json_end(struct json *json, const struct runtime *rt, const struct timeline *timeline,
		    enum watch_end why);

/* A timeline as SVG: a row for each goroutine, a bar for each write, overlaps marked; where there are
 * some, a second picture of the moment around the one that matters most: what the process died of, else
 * the longest. */
void watch_svg(FILE *out, const struct timeline *timeline, const struct watch_title *title);

/* Names that text, JSON and picture share: "set", "clear", ... */
const char *watch_change_name(enum flag_site_kind change);
/* Appends "goroutine 18", "goroutine 0xc000... (its id is not known)" or "thread 4711". */
void watch_row_name(struct text *text, const struct timeline_row *row);
/* Appends "850 ns", "1.2 us", ... */
void watch_time_text(struct text *text, uint64_t ns);
#endif
