/*
 * A map's keys, elements and name as text: Go's by their type descriptors, those of libgomap by what the
 * library left in the map.
 */
#ifndef MAPS_ENTRY_H
#define MAPS_ENTRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "go/runtime.h"
#include "maps/map.h"

/* "map[string]int"; NULL where not known. It lives as long as rt and map. */
const char *map_type_name(struct runtime *rt, const struct map *map);

/* Appends the key, or the element, that is stored at addr; where bytes is not NULL, they are what stands
 * there. False where a part could not be read (noted). */
bool map_key_text(struct runtime *rt, const struct map *map, uint64_t addr, const uint8_t *bytes,
		  struct text *text);
bool map_elem_text(struct runtime *rt, const struct map *map, uint64_t addr, const uint8_t *bytes,
		   struct text *text);

#endif
