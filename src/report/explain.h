/*
 * The report on a verdict, for a person and for a program. docs/report.schema.json describes the
 * latter.
 */
#ifndef REPORT_EXPLAIN_H
#define REPORT_EXPLAIN_H

#include "base/notes.h"
#include "go/runtime.h"
#include "report/json.h"
#include "report/page.h"
#include "verdict/log.h"
#include "verdict/verdict.h"

struct explain_source {
	const char *kind; /* "core", "process", "log", ... */
	const char *path; /* as the user gave it */
	/* Where there is no runtime, but a log: */
	const struct log_verdict *log; /* NULL: it is no log */
	const struct notes *notes; /* the report's end */
};

/* The answer first: what, which map, who, how surely; then evidence, stacks, notes. rt may be NULL for a
 * log: what it would tell is then what the log tells. */
void explain_text(struct page *page, const struct runtime *rt, const struct explain_source *source,
		  const struct verdict *verdict);
void explain_json(FILE *out, const struct runtime *rt, const struct explain_source *source,
		  const struct verdict *verdict);

/* Members that each JSON report begins with: schema, go_version, arch, executable, source. */
void json_header(struct json *json, const char *schema, const struct runtime *rt,
		 const struct explain_source *source);
/* The member "notes". */
void json_notes(struct json *json, const struct notes *notes);
/* A site, and a stack, as members of the name given. */
void json_site(struct json *json, const char *name, const struct site *site);
void json_stack(struct json *json, const char *name, const struct stack *stack);
/* The members "locks", "locks_complete" and "locks_unfollowed" of a side. */
void json_locks(struct json *json, const struct access *a);
/* The locks of a side as lines of a page, behind a column of ten. */
void explain_side_locks(struct page *page, const struct access *a);

#endif
