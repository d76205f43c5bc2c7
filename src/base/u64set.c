#include "base/u64set.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 4 };

void u64set_done(struct u64set *set)
{
	free(set->slots);
	*set = (struct u64set)U64SET_INIT;
}

void u64set_clear(struct u64set *set)
{
	if (set->count)
		memset(set->slots, 0, sizeof(*set->slots) << set->bits);
	set->count = 0;
	set->failed = false;
}

/* The slot that holds value, or the free one where it belongs. */
static size_t slot_of(const struct u64set *set, uint64_t value)
{
	size_t mask = ((size_t)1 << set->bits) - 1;
	/* Fibonacci hashing: addresses differ in their middle bits. */
	size_t i = (size_t)((value * 0x9e3779b97f4a7c15) >> (64 - set->bits));
	while (set->slots[i] && set->slots[i] != value)
		i = (i + 1) & mask;
	return i;
}

static bool grow(struct u64set *set)
{
	struct u64set grown = {.bits = set->slots ? set->bits + 1 : FIRST_BITS};
	grown.slots = calloc((size_t)1 << grown.bits, sizeof(*grown.slots));
	if (!grown.slots)
		return false;
	for (size_t i = 0; set->slots && i < (size_t)1 << set->bits; i++) {
		if (set->slots[i])
			grown.slots[slot_of(&grown, set->slots[i])] = set->slots[i];
	}
	grown.count = set->count;
	grown.failed = set->failed;
	free(set->slots);
	*set = grown;
	return true;
}

bool u64set_add(struct u64set *set, uint64_t value)
{
	assert(value);
	if (!set->slots || set->count >= ((size_t)3 << set->bits) / 4) {
		if (u64set_has(set, value))
			return false;
		if (!grow(set)) {
			set->failed = true;
			return true;
		}
	}
	size_t i = slot_of(set, value);
	if (set->slots[i])
		return false;
	set->slots[i] = value;
	set->count++;
	return true;
}

bool u64set_has(const struct u64set *set, uint64_t value)
{
	return set->slots && value && set->slots[slot_of(set, value)] == value;
}
