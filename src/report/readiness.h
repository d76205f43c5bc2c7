/*
 * Whether a crash would be explainable, line by line.
 */
#ifndef REPORT_READINESS_H
#define REPORT_READINESS_H

#include "report/explain.h"
#include "verdict/readiness.h"

struct readiness_report {
	const struct readiness_item *binary, *machine;
	size_t binary_count, machine_count; /* machine_count 0: not asked for */
	pid_t pid; /* whose settings machine are; 0: of what is started from here */
};

void readiness_text(struct page *page, const struct runtime *rt,
		    const struct readiness_report *report);
/* docs/check.schema.json */
void readiness_json(FILE *out, const struct runtime *rt, const struct explain_source *source,
		    const struct readiness_report *report);

#endif
