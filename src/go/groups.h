/*
 * Goroutines with the same stack, put together.
 */
#ifndef GO_GROUPS_H
#define GO_GROUPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/goroutine.h"

/* Goroutines are alike when their states and the PCs of all their frames are. */
struct stack_group {
	const struct goroutine *first; /* the one with the lowest id */
	size_t count;
	const struct goroutine **members; /* by id; of at most GROUP_MEMBERS_MAX */
	size_t kept, members_cap;
	uint64_t *pcs; /* of the frames of its stack, innermost first */
	size_t depth;
	const char *state;
	char *error; /* why the stack could not be read; then it is a group of its own kind */
};

/* Members of a group that are kept by name; of the rest the number is. */
enum { GROUP_MEMBERS_MAX = 1000 };

struct stack_groups {
	struct stack_group *list; /* largest first */
	size_t count, cap;
	size_t *table; /* open addressing by hash: index in list + 1 */
	size_t table_size;
	uint64_t *hashes; /* of list, while grouping */
	size_t hashes_cap;
};

/* Groups all goroutines of the list, which must outlive the groups. A stack that cannot be read is
 * noted and grouped by its reason. */
enum status stack_groups_make(struct runtime *rt, const struct goroutines *goroutines,
			      struct stack_groups *ret, struct error *err);
void stack_groups_done(struct stack_groups *groups);

#endif
