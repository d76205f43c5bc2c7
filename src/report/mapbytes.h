/*
 * A map's memory byte for byte, and the way that a lookup of one key takes through it.
 */
#ifndef REPORT_MAPBYTES_H
#define REPORT_MAPBYTES_H

#include <stdbool.h>
#include <stdint.h>

#include "maps/lookup.h"
#include "report/explain.h"

/* The header's fields with their bytes; a star marks words that the collector follows. */
void header_bytes_text(struct page *page, struct runtime *rt, const struct map *map);

/* Each bucket or group with its bytes, at most limit of them (0: all). false where some could not be
 * reached (noted). */
bool container_bytes_text(struct page *page, struct runtime *rt, const struct map *map,
			  uint64_t limit);
/* The same as the member "containers". */
bool container_bytes_json(struct json *json, struct runtime *rt, const struct map *map,
			  uint64_t limit);

/* key: as the user gave it. */
void lookup_text(struct page *page, struct runtime *rt, const struct map *map,
		 const struct lookup *lookup, const char *key);
/* The member "lookup". */
void lookup_json(struct json *json, struct runtime *rt, const struct map *map,
		 const struct lookup *lookup, const char *key);

#endif
