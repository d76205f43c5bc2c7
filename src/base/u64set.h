/*
 * A set of 64-bit numbers other than 0: addresses that were seen already.
 *
 * Open addressing with linear probing, at most three quarters full; 8 to 22 bytes a member.
 */
#ifndef BASE_U64SET_H
#define BASE_U64SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct u64set {
	uint64_t *slots; /* 0: free */
	size_t count;
	unsigned bits; /* 1 << bits slots; 0: none yet */
	bool failed; /* memory was out: a member may be missing */
};

#define U64SET_INIT               \
	{                         \
		NULL, 0, 0, false \
	}

void u64set_done(struct u64set *set);
/* Makes the set empty and keeps its memory. */
void u64set_clear(struct u64set *set);
/* Adds value, which must not be 0; false when it was there already. Out of memory sets failed, adds
 * nothing and returns true. */
bool u64set_add(struct u64set *set, uint64_t value);
bool u64set_has(const struct u64set *set, uint64_t value);

#endif
