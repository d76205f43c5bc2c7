#include "maps/marks.h"

#include <stdlib.h>
#include <string.h>

enum { REGION_BITS = 20, REGION_WORDS = (1 << REGION_BITS) / 8, FIRST_BITS = 6 };

struct mark_region {
	uint64_t number; /* address over the region's size */
	uint64_t words[REGION_WORDS / 64];
};

void marks_done(struct word_marks *marks)
{
	for (size_t i = 0; marks->regions && i < (size_t)1 << marks->bits; i++)
		free(marks->regions[i]);
	free(marks->regions);
	*marks = (struct word_marks){0};
}

static size_t place_of(const struct word_marks *marks, uint64_t number)
{
	size_t mask = ((size_t)1 << marks->bits) - 1;
	size_t i = (size_t)((number * 0x9e3779b97f4a7c15) >> (64 - marks->bits));
	while (marks->regions[i] && marks->regions[i]->number != number)
		i = (i + 1) & mask;
	return i;
}

static bool grow(struct word_marks *marks)
{
	struct word_marks grown = {.bits = marks->regions ? marks->bits + 1 : FIRST_BITS,
				   .count = marks->count};
	grown.regions = calloc((size_t)1 << grown.bits, sizeof(struct mark_region *));
	if (!grown.regions)
		return false;
	for (size_t i = 0; marks->regions && i < (size_t)1 << marks->bits; i++) {
		struct mark_region *r = marks->regions[i];
		if (r)
			grown.regions[place_of(&grown, r->number)] = r;
	}
	free(marks->regions);
	*marks = grown;
	return true;
}

/* The region of a number, made if it is new; NULL when memory is out. */
static struct mark_region *region_of(struct word_marks *marks, uint64_t number)
{
	if ((!marks->regions || marks->count >= ((size_t)1 << marks->bits) / 2) && !grow(marks))
		return NULL;
	size_t i = place_of(marks, number);
	if (!marks->regions[i]) {
		marks->regions[i] = calloc(1, sizeof(*marks->regions[i]));
		if (!marks->regions[i])
			return NULL;
		marks->regions[i]->number = number;
		marks->count++;
	}
	return marks->regions[i];
}

bool marks_set(struct word_marks *marks, uint64_t addr)
{
	struct mark_region *region = region_of(marks, addr >> REGION_BITS);
	if (!region) {
		marks->failed = true;
		return true;
	}
	uint64_t word = addr / 8 % REGION_WORDS;
	uint64_t bit = UINT64_C(1) << word % 64;
	if (region->words[word / 64] & bit)
		return false;
	region->words[word / 64] |= bit;
	return true;
}

bool marks_has(const struct word_marks *marks, uint64_t addr)
{
	uint64_t word = addr / 8 % REGION_WORDS;
	if (!marks->regions)
		return false;
	const struct mark_region *region = marks->regions[place_of(marks, addr >> REGION_BITS)];
	return region && region->words[word / 64] >> word % 64 & 1;
}
