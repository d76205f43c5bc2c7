/*
 * What many runs under holds have shown: races, and what was exercised without one. As text, as JSON
 * (docs/verify.schema.json), as SARIF 2.1.0 and as annotations of GitHub's workflow commands.
 */
#ifndef REPORT_VERIFY_H
#define REPORT_VERIFY_H

#include "report/json.h"
#include "report/page.h"
#include "verdict/trials.h"

struct verify_facts {
	const char *program, *against; /* against NULL: one program only */
	const struct trials *trials, *before; /* before: of against */
	uint64_t seed;
	unsigned hold_ms; /* the longest hold */
	const char *root; /* directory that paths are shown from in SARIF and annotations */
	const char *version; /* of this program */
	const struct notes *notes;
};

/* The race of list that race is too, or NULL. */
const struct trial_race *verify_find(const struct trials *list, const struct trial_race *race);

void verify_text(struct page *page, const struct verify_facts *facts);
void verify_json(FILE *out, const struct verify_facts *facts);
void verify_sarif(FILE *out, const struct verify_facts *facts);
void verify_github(FILE *out, const struct verify_facts *facts);

#endif
