/*
 * The layouts of structs and of maps' buckets as one binary has them, and the article's claims about
 * them.
 */
#ifndef REPORT_LAYOUT_H
#define REPORT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "go/structs.h"
#include "go/type.h"
#include "maps/claims.h"
#include "report/explain.h"

/* One thing whose layout is shown: a struct, or what a map type's buckets or groups are. */
struct shown_layout {
	bool is_map; /* then map is set, and layout is of its bucket or group */
	struct map_type map;
	struct struct_layout layout;
	bool has_slot; /* a Swiss map's group: slot is of its slots */
	struct struct_layout slot;
};

/* all: also fields of the runtime's structs that mapcrash does not read. */
void layout_text(struct page *page, struct runtime *rt, const struct shown_layout *list,
		 size_t count, bool all);
/* docs/layout.schema.json; always with all fields. claims of a count of 0: null. */
void layout_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		 const struct shown_layout *list, size_t count, const struct claim *claims,
		 size_t claim_count);

void claims_text(struct page *page, const struct runtime *rt, const struct claim *claims,
		 size_t count);

#endif
