/*
 * Whole stacks in memory, and how a report shows them.
 */
#ifndef VERDICT_FRAMES_H
#define VERDICT_FRAMES_H

#include <stddef.h>

#include "base/error.h"
#include "go/stack.h"
#include "verdict/verdict.h"

struct frames {
	struct frame *list; /* innermost first */
	size_t count, cap;
	bool cut; /* max was reached */
};

/* Frames of a stack that a search looks at: map calls stand innermost, holders of a map further out. */
enum { FRAMES_SEARCH_MAX = 256 };
/* Frames of a stack that a report shows whole; of a deeper one the ends. */
enum { FRAMES_REPORT_MAX = 4096 };

/* Collects at most max frames into frames, over what it held. walk is reused from call to call. */
enum status frames_collect(struct stack_walk *walk, struct runtime *rt,
			   const struct goroutine *goroutine, size_t max, struct frames *frames,
			   struct error *err);
void frames_done(struct frames *frames);

/* The stack with its inlined frames and arguments, as reports show it. */
enum status frames_report(struct runtime *rt, const struct frames *frames, struct stack *ret,
			  struct error *err);
void stack_done(struct stack *stack);

/* Tells the standard library's files from the program's own. */
struct library {
	const char *root; /* where Go's own sources lay at build time; not terminated */
	size_t root_len; /* 0: -trimpath, or not known */
};
void library_init(struct library *library, struct runtime *rt);

/* The first source frame that the program's author wrote: outside Go's runtime, internal packages and
 * reflect, and outside the standard library where a frame beyond it exists. */
struct site frames_site(struct runtime *rt, const struct library *library,
			const struct frames *frames);

/* The source place of a PC that is a call's return address (go statement, call site). */
struct site site_of_return(struct runtime *rt, uint64_t pc);
/* The source place of the instruction at pc. */
struct site site_of_pc(struct runtime *rt, uint64_t pc);

#endif
