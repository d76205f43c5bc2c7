/*
 * Whole stacks in memory, and where in the source they stand.
 */
#ifndef GO_FRAMES_H
#define GO_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/stack.h"

struct frames {
	struct frame *list; /* innermost first; their regs point into this struct */
	size_t count, cap;
	struct frame_regs {
		size_t frame;
		struct regs regs;
	} * regs; /* of the few frames whose registers are known whole */
	size_t regs_count, regs_cap;
	bool cut; /* max was reached */
};

/* Frames of a stack that a report shows at most. */
enum { FRAMES_REPORT_MAX = 4096 };

/* Collects at most max frames into frames, over what it held. walk is reused from call to call. */
enum status frames_collect(struct stack_walk *walk, struct runtime *rt,
			   const struct goroutine *goroutine, size_t max, struct frames *frames,
			   struct error *err);
void frames_done(struct frames *frames);

/* A place in the source. Strings live as long as the runtime; function NULL: unknown. */
struct site {
	const char *function, *file;
	int32_t line;
	uint64_t pc;
};

/* Tells the standard library's files from the program's own. */
struct library {
	const char *root; /* where Go's own sources lay at build time; not terminated */
	size_t root_len; /* 0: -trimpath, or not known */
};
void library_init(struct library *library, struct runtime *rt);
/* Whether the source frame is the standard library's. */
bool library_has(const struct library *library, const struct source_frame *source);

/* The first source frame that the program's author wrote: outside Go's runtime, internal packages and
 * reflect, and outside the standard library where a frame beyond it exists. */
struct site frames_site(struct runtime *rt, const struct library *library,
			const struct frames *frames);

/* The source place of a PC that is a call's return address (go statement, call site). */
struct site site_of_return(struct runtime *rt, uint64_t pc);
/* The go statement that started a goroutine; function NULL for the main one. */
struct site goroutine_creator(struct runtime *rt, const struct goroutine *goroutine);
/* The source place of the instruction at pc. */
struct site site_of_pc(struct runtime *rt, uint64_t pc);

#endif
