/*
 * Who writes a map of libgomap. The rest is as of any other map: report/map.h.
 */
#ifndef REPORT_LIBGOMAP_H
#define REPORT_LIBGOMAP_H

#include "maps/libgomap.h"
#include "report/json.h"
#include "report/page.h"

/* Two lines of the header: the write under way or the last one, and whether the map has an owner. Nothing
 * where nobody has written. */
void libgomap_writer_text(struct page *page, const struct libgomap *m);
/* The same as the member "writer"; null where nobody has written. */
void libgomap_writer_json(struct json *json, const struct libgomap *m);

#endif
