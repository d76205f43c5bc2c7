/*
 * One map to its keys and values, and lists of maps.
 */
#ifndef REPORT_MAP_H
#define REPORT_MAP_H

#include "maps/check.h"
#include "maps/find.h"
#include "maps/map.h"
#include "report/explain.h"

/* The map's header, its check where report is given, and its entries, at most limit of them (0: all).
 * false where entries could not be reached (noted). */
bool map_text(struct page *page, struct runtime *rt, const struct map *map,
	      const struct check_report *report, uint64_t limit);
bool map_json(FILE *out, struct runtime *rt, const struct explain_source *source,
	      const struct map *map, const struct check_report *report, uint64_t limit);

/* All maps that were found, biggest first, at most limit of them (0: all). */
enum status maps_text(struct page *page, struct runtime *rt, const struct found_maps *found,
		      uint64_t limit, struct error *err);
enum status maps_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		      const struct found_maps *found, uint64_t limit, struct error *err);

const char *check_kind_name(enum check_kind kind);

#endif
