/*
 * Which functions refer to given ones: call them, jump to them or take their address.
 */
#ifndef GO_REFERENCES_H
#define GO_REFERENCES_H

#include <stdbool.h>

#include "base/error.h"
#include "base/u64set.h"
#include "go/runtime.h"

/*
 * Calls visit once for each function whose code may refer to an address in targets, by address, until it
 * fails. calls_only: only by direct calls, not by jumps and addresses taken.
 *
 * The text is looked through byte by byte without decoding, which goes at gigabytes a second; so a
 * function may be visited whose bytes only look like a reference, but none is left out. ERROR_FAULT where
 * the program's code is not at hand.
 */
enum status functions_referring(struct runtime *rt, const struct u64set *targets, bool calls_only,
				enum status (*visit)(void *context, const struct function *fn,
						     struct error *err),
				void *context, struct error *err);

#endif
