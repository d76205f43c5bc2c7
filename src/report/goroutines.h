/*
 * Goroutines with their stacks, grouped or one by one.
 */
#ifndef REPORT_GOROUTINES_H
#define REPORT_GOROUTINES_H

#include "go/groups.h"
#include "report/explain.h"

/* Goroutines that the verdict names, which come first. Ids; 0: none. */
struct racers {
	uint64_t detector, other;
};

/* The groups, those of racers first, at most limit of them (0: all). */
void goroutines_groups_text(struct page *page, struct runtime *rt,
			    const struct goroutines *goroutines, const struct stack_groups *groups,
			    const struct racers *racers, size_t limit);

/* One by one, racers first, as they are read: nothing is kept. */
void goroutines_all_text(struct page *page, struct runtime *rt, const struct goroutines *goroutines,
			 const struct racers *racers, size_t limit);

/* One by one, as JSON. */
void goroutines_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		     const struct goroutines *goroutines, const struct racers *racers,
		     size_t limit);

#endif
