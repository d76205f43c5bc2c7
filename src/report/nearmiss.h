/*
 * What run --report-only has seen: races and near misses of a program that went on. As text, and as JSON
 * (docs/nearmiss.schema.json).
 */
#ifndef REPORT_NEARMISS_H
#define REPORT_NEARMISS_H

#include "report/json.h"
#include "report/page.h"
#include "verdict/nearmiss.h"

struct nearmiss_facts {
	const char *program;
	const struct near_misses *misses; /* finished */
	uint64_t ticks_ms; /* ticks of the time stamp counter in a millisecond */
	uint64_t within_ms;
	unsigned hold_ms; /* 0: nobody was held */
	uint64_t holds;
	bool reads; /* readers were recorded */
	bool crashed; /* it died of its maps all the same */
	const char *crash; /* the report on that, for nearmiss_json; NULL: there is none */
	const struct notes *notes;
};

void nearmiss_text(struct page *page, const struct nearmiss_facts *facts);
void nearmiss_json(FILE *out, const struct nearmiss_facts *facts);

#endif
