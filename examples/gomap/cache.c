/*
 * A cache with room for so many entries, which throws out at random when it is full: the random
 * start of an iteration gives it a victim for nothing.
 *
 *     cc cache.c $(pkg-config --cflags --libs gomap) -o cache
 *     ./cache
 */
#include <gomap.h>

#include <stdio.h>

enum { ROOM = 1000 };

GOMAP_DEFINE_INT(squares, uint64_t, uint64_t)

static unsigned hits, misses;

static uint64_t square(struct squares *cache, uint64_t n)
{
	uint64_t result;
	if (squares_get(cache, n, &result)) {
		++hits;
		return result;
	}
	++misses;
	if (squares_len(cache) >= ROOM) {
		struct gomap_iter it;
		const uint64_t *victim;
		uint64_t *elem;
		gomap_iter_init(&it, squares_map(cache));
		uint64_t key = squares_next(&it, &victim, &elem) ? *victim : 0;
		gomap_iter_done(&it);
		squares_delete(cache, key);
	}
	result = n * n;
	if (!squares_put(cache, n, result))
		perror("cache"); /* no memory: a miss next time */
	return result;
}

int main(void)
{
	struct squares *cache = squares_new(ROOM);
	uint64_t x = 1, sum = 0;
	for (int i = 0; i < 1000000; ++i) {
		x = x * UINT64_C(6364136223846793005) + 1;
		/* small numbers more often than large ones */
		sum += square(cache, (x >> 40) % (1 + (x >> 20) % 4000));
	}
	printf("%u hits, %u misses, %zu entries\n", hits, misses, squares_len(cache));
	squares_free(cache);
	return sum == 0;
}
