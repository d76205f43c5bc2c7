/*
 * Which words of the target's memory were looked at: one bit for each aligned word, in regions that are
 * allocated as they are met.
 */
#ifndef MAPS_MARKS_H
#define MAPS_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mark_region;

struct word_marks {
	struct mark_region **regions; /* open addressing; 1 << bits places */
	size_t count;
	unsigned bits;
	bool failed; /* memory was out: words are then marked again and again */
};

void marks_done(struct word_marks *marks);
/* Marks the word that addr lies in; false when it was marked already. */
bool marks_set(struct word_marks *marks, uint64_t addr);
bool marks_has(const struct word_marks *marks, uint64_t addr);

#endif
