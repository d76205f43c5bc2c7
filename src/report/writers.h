/*
 * The code that can write maps of a type.
 */
#ifndef REPORT_WRITERS_H
#define REPORT_WRITERS_H

#include "maps/writers.h"
#include "report/explain.h"

/* type: the one that was asked for, 0 all. */
void writers_text(struct page *page, struct runtime *rt, uint64_t type,
		  const struct map_sites *sites);
/* The same as JSON (docs/writers.schema.json). */
void writers_json(FILE *out, struct runtime *rt, const struct explain_source *source, uint64_t type,
		  const struct map_sites *sites);

#endif
