/*
 * Filling the parts of a verdict that all ways to one share.
 */
#ifndef VERDICT_ACCESS_H
#define VERDICT_ACCESS_H

#include "base/error.h"
#include "go/frames.h"
#include "maps/call.h"
#include "maps/writers.h"
#include "verdict/verdict.h"

/* The stack with its inlined frames and arguments, as reports show it. */
enum status stack_report(struct runtime *rt, const struct frames *frames, struct stack *ret,
			 struct error *err);
void stack_done(struct stack *stack);

/* All of sites, which is the code that can write such maps, into v. */
enum status sites_report(struct runtime *rt, const struct map_sites *sites, struct verdict *v,
			 struct error *err);

/* Everything of the access that its goroutine and stack give. On failure *a is still to be released
 * by access_done. */
enum status access_fill(struct runtime *rt, const struct library *library,
			const struct goroutine *goroutine, const struct frames *frames,
			struct access *a, struct error *err);

/* The key that a map call was given; left empty where it is not known. */
enum status access_key(struct runtime *rt, const struct map_call *call, struct key *ret,
		       struct error *err);

/* Adds a sentence to the evidence. */
[[gnu::format(printf, 3, 4)]] enum status access_evidence(struct access *a, struct error *err,
							  const char *fmt, ...);

void access_done(struct access *a);

#endif
