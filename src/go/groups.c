#include "go/groups.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static uint64_t mix(uint64_t hash, uint64_t value)
{
	/* FNV-1a over words, with a final stir: a table's worth of quality is enough. */
	hash = (hash ^ value) * 0x100000001b3;
	return hash ^ hash >> 29;
}

static uint64_t hash_of(const struct frames *frames, const char *state, const char *error)
{
	uint64_t hash = 0xcbf29ce484222325;
	for (size_t i = 0; i < frames->count; i++)
		hash = mix(hash, frames->list[i].pc);
	for (const char *s = error ? error : state; *s; s++)
		hash = mix(hash, (unsigned char)*s);
	return hash;
}

static bool is_same(const struct stack_group *group, const struct frames *frames, const char *state,
		    const char *error)
{
	if (!group->error != !error || (error && strcmp(group->error, error) != 0))
		return false;
	if (strcmp(group->state, state) != 0 || group->depth != frames->count)
		return false;
	for (size_t i = 0; i < frames->count; i++)
		if (group->pcs[i] != frames->list[i].pc)
			return false;
	return true;
}

static bool grow_table(struct stack_groups *groups)
{
	size_t size = groups->table_size ? groups->table_size * 2 : 256;
	size_t *table = calloc(size, sizeof(*table));
	if (!table)
		return false;
	for (size_t i = 0; i < groups->count; i++) {
		size_t at = groups->hashes[i] & (size - 1);
		while (table[at])
			at = (at + 1) & (size - 1);
		table[at] = i + 1;
	}
	free(groups->table);
	groups->table = table;
	groups->table_size = size;
	return true;
}

/* The group of this stack, made where there is none. */
static struct stack_group *find_group(struct stack_groups *groups, const struct frames *frames,
				      const struct goroutine *g, const char *state,
				      const char *error)
{
	uint64_t hash = hash_of(frames, state, error);
	if (groups->count * 2 >= groups->table_size && !grow_table(groups))
		return NULL;
	size_t at = hash & (groups->table_size - 1);
	for (; groups->table[at]; at = (at + 1) & (groups->table_size - 1)) {
		struct stack_group *group = &groups->list[groups->table[at] - 1];
		if (groups->hashes[groups->table[at] - 1] == hash &&
		    is_same(group, frames, state, error))
			return group;
	}
	struct stack_group group = {.first = g, .state = state, .depth = frames->count};
	size_t hash_count = groups->count;
	group.pcs = calloc(frames->count ? frames->count : 1, sizeof(*group.pcs));
	group.error = error ? strdup(error) : NULL;
	if (!group.pcs || (error && !group.error) ||
	    !ARRAY_PUSH(groups->hashes, hash_count, groups->hashes_cap, hash) ||
	    !ARRAY_PUSH(groups->list, groups->count, groups->cap, group)) {
		free(group.pcs);
		free(group.error);
		return NULL;
	}
	for (size_t i = 0; i < frames->count; i++)
		group.pcs[i] = frames->list[i].pc;
	groups->table[at] = groups->count;
	return &groups->list[groups->count - 1];
}

static int largest_first(const void *a, const void *b)
{
	const struct stack_group *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return (x->first->id > y->first->id) - (x->first->id < y->first->id);
}

enum status stack_groups_make(struct runtime *rt, const struct goroutines *goroutines,
			      struct stack_groups *ret, struct error *err)
{
	struct stack_groups groups = {0};
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	struct error why;
	bool ok = true;
	for (size_t i = 0; ok && i < goroutines->count; i++) {
		const struct goroutine *g = &goroutines->list[i];
		const char *error = NULL;
		if (frames_collect(&walk, rt, g, FRAMES_REPORT_MAX, &frames, &why) != OK) {
			notes_add(rt->notes, "go", g->g, "stack of goroutine %llu: %s",
				  (unsigned long long)g->id, why.text);
			error = why.text;
			frames.count = 0;
		}
		struct stack_group *group =
			find_group(&groups, &frames, g, goroutine_state(rt, g), error);
		ok = group && (group->kept == GROUP_MEMBERS_MAX ||
			       ARRAY_PUSH(group->members, group->kept, group->members_cap, g));
		if (ok)
			group->count++;
	}
	stack_walk_done(&walk);
	frames_done(&frames);
	if (!ok) {
		stack_groups_done(&groups);
		return error_nomem(err);
	}
	if (groups.count)
		qsort(groups.list, groups.count, sizeof(*groups.list), largest_first);
	*ret = groups;
	return OK;
}

void stack_groups_done(struct stack_groups *groups)
{
	for (size_t i = 0; i < groups->count; i++) {
		free(groups->list[i].pcs);
		free(groups->list[i].members);
		free(groups->list[i].error);
	}
	free(groups->list);
	free(groups->table);
	free(groups->hashes);
	*groups = (struct stack_groups){0};
}
