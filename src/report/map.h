/*
 * One map to its keys and values, and lists of maps.
 */
#ifndef REPORT_MAP_H
#define REPORT_MAP_H

#include "maps/check.h"
#include "maps/find.h"
#include "maps/lookup.h"
#include "maps/map.h"
#include "report/explain.h"

/* What is shown of a map beside its header. */
struct map_view {
	const struct check_report *check; /* NULL: none */
	const struct lookup *lookup; /* of key, as the user gave it; NULL: none */
	const char *key;
	bool entries; /* keys and values */
	bool bytes; /* the header and each bucket or group byte for byte; text: instead of entries */
	uint64_t limit; /* on entries, and on buckets or groups; 0: none */
};

/* The header's fields, a line each. */
void map_header_text(struct page *page, const struct map *map);

/* false where entries could not be reached (noted). docs/map.schema.json describes the JSON. */
bool map_text(struct page *page, struct runtime *rt, const struct map *map,
	      const struct map_view *view);
bool map_json(FILE *out, struct runtime *rt, const struct explain_source *source,
	      const struct map *map, const struct map_view *view);

/* All maps that were found, biggest first, at most limit of them (0: all). */
enum status maps_text(struct page *page, struct runtime *rt, const struct found_maps *found,
		      uint64_t limit, struct error *err);
enum status maps_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		      const struct found_maps *found, uint64_t limit, struct error *err);

const char *check_kind_name(enum check_kind kind);

#endif
