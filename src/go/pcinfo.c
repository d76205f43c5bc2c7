#include "go/pcinfo.h"

#include <stdlib.h>
#include <string.h>

/* Entries are handed out as pointers, so they are made in blocks that never move. */
enum { BLOCK = 256 };

struct pc_block {
	struct pc_block *next;
	size_t used;
	struct pc_info list[BLOCK];
};

struct pc_cache {
	struct pc_info **slots; /* open addressing; a power of two, at most 3/4 full */
	size_t slot_count, count;
	struct pc_block *blocks;
};

void pc_cache_free(struct pc_cache *cache)
{
	if (!cache)
		return;
	for (struct pc_block *block = cache->blocks, *next; block; block = next) {
		next = block->next;
		for (size_t i = 0; i < block->used; i++) {
			free(block->list[i].source);
			free(block->list[i].args);
		}
		free(block);
	}
	free(cache->slots);
	free(cache);
}

/* Where pc stands in slots, or the free slot where it belongs. */
static struct pc_info **slot_of(struct pc_info **slots, size_t slot_count, uint64_t pc)
{
	/* 64-bit Fibonacci hashing: the high bits of the product are the mixed ones. */
	size_t i = (pc * 0x9e3779b97f4a7c15u >> 32) & (slot_count - 1);
	while (slots[i] && slots[i]->pc != pc)
		i = (i + 1) & (slot_count - 1);
	return &slots[i];
}

static bool grow(struct pc_cache *cache)
{
	size_t want = cache->slot_count ? cache->slot_count * 2 : 1024;
	struct pc_info **slots = calloc(want, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < cache->slot_count; i++) {
		if (cache->slots[i])
			*slot_of(slots, want, cache->slots[i]->pc) = cache->slots[i];
	}
	free(cache->slots);
	cache->slots = slots;
	cache->slot_count = want;
	return true;
}

static struct pc_info *new_entry(struct pc_cache *cache)
{
	if (!cache->blocks || cache->blocks->used == BLOCK) {
		struct pc_block *block = calloc(1, sizeof(*block));
		if (!block)
			return NULL;
		block->next = cache->blocks;
		cache->blocks = block;
	}
	return &cache->blocks->list[cache->blocks->used++];
}

/* Function numbers (funcID) change with the version; these names did not from 1.18 to 1.27. */
static enum pc_role role_of(const char *name)
{
	static const struct {
		const char *name;
		enum pc_role role;
	} roles[] = {
		{"sigpanic", PC_INJECTED},	 {"asyncPreempt", PC_ASYNC_PREEMPT},
		{"debugCallV2", PC_INJECTED},	 {"systemstack_switch", PC_SWITCH},
		{"cgocallback", PC_CGOCALLBACK}, {"fatalthrow", PC_DYING},
		{"fatalpanic", PC_DYING},
	};
	if (strncmp(name, "runtime.", 8) != 0)
		return PC_PLAIN;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(name + 8, roles[i].name) == 0)
			return roles[i].role;
	}
	return PC_PLAIN;
}

static void look_up(struct runtime *rt, struct pc_info *info)
{
	info->has_function = pclntab_find(rt->pclntab, info->pc, &info->function);
	if (!info->has_function)
		return;
	info->has_sp_delta =
		pclntab_sp_delta(rt->pclntab, &info->function, info->pc, &info->sp_delta);
	info->role = role_of(info->function.name);
}

struct pc_info *pc_info_at(struct runtime *rt, uint64_t pc)
{
	if (!rt->pcs && !(rt->pcs = calloc(1, sizeof(*rt->pcs))))
		return NULL;
	struct pc_cache *cache = rt->pcs;
	if (cache->slot_count) {
		struct pc_info *known = *slot_of(cache->slots, cache->slot_count, pc);
		if (known)
			return known;
	}
	if (cache->count == PC_INFO_MAX) {
		notes_add(rt->notes, "go", 0,
			  "more than %d different pcs on stacks: the rest is left out",
			  PC_INFO_MAX);
		return NULL;
	}
	if (cache->count + 1 > cache->slot_count / 4 * 3 && !grow(cache))
		return NULL;
	struct pc_info *info = new_entry(cache);
	if (!info)
		return NULL;
	info->pc = pc;
	look_up(rt, info);
	*slot_of(cache->slots, cache->slot_count, pc) = info;
	cache->count++;
	return info;
}
