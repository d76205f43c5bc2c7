/*
 * What a level of detection costs in a map of a given size, without growth: LEVELS ENTRIES ROUNDS prints the
 * least user time of ROUNDS, ns an operation, to delete all keys, put them again, and look them up.
 *
 *     gcc -O2 -DNDEBUG -D_GNU_SOURCE -DGOMAP_DETECT=2 -Iinclude -Ilib/gomap bench/gomap/levels.c \
 *         lib/gomap/?*.c -pthread -o levels && ./levels 1000 2000 && ./levels 1000000 6
 *
 * with 2 for exact, 1 for Go's flag, 0 for none; the three in turn, some times.
 */
#include "gomap.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

GOMAP_DEFINE_INT(words, uint64_t, uint64_t)

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64, as rows.h */
static uint64_t key_of(uint64_t i)
{
	uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static volatile uint64_t sink;

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000;
	int rounds = argc > 2 ? atoi(argv[2]) : 1000;
	uint64_t least[3] = {UINT64_MAX, UINT64_MAX, UINT64_MAX};
	struct words *m = words_new(n);
	if (!m || !n)
		return 1;
	for (uint64_t i = 0; i < n; ++i)
		if (!words_put(m, key_of(i), i))
			return 1;
	for (int round = 0; round < rounds; ++round) {
		uint64_t sum = 0, v = 0, at[4];
		at[0] = now();
		for (uint64_t i = 0; i < n; ++i)
			words_delete(m, key_of(i));
		at[1] = now();
		for (uint64_t i = 0; i < n; ++i)
			(void)!words_put(m, key_of(i), i);
		at[2] = now();
		for (uint64_t i = 0; i < n; ++i)
			sum += words_get(m, key_of(i), &v) + v;
		at[3] = now();
		sink = sum;
		for (int i = 0; i < 3; ++i)
			if (at[i + 1] - at[i] < least[i])
				least[i] = at[i + 1] - at[i];
	}
	printf("level %d, %llu entries: delete %.1f put %.1f get %.1f\n", GOMAP_DETECT,
	       (unsigned long long)n, (double)least[0] / (double)n, (double)least[1] / (double)n,
	       (double)least[2] / (double)n);
	words_free(m);
	return 0;
}
