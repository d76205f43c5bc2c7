/*
 * What the article of docs/article.md says of the memory of Go's maps, measured in a binary.
 */
#ifndef MAPS_CLAIMS_H
#define MAPS_CLAIMS_H

#include <stddef.h>

#include "base/error.h"
#include "go/runtime.h"

enum claim_verdict {
	CLAIM_FALSE,
	CLAIM_TRUE,
	CLAIM_UNDECIDED, /* the binary lacks what would settle it: measured says what */
};

struct claim {
	const char *chapter; /* "2.1" */
	const char *said;
	enum claim_verdict verdict;
	char measured[240]; /* bytes of the target in it */
};

enum { CLAIMS_MAX = 32 };

/* Measures all claims, by chapter; returns how many. */
size_t claims_measure(struct runtime *rt, struct claim ret[CLAIMS_MAX]);

/* "true", "false", "undecided" */
const char *claim_verdict_name(enum claim_verdict verdict);

#endif
