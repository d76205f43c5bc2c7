/*
 * Random words from getrandom(2), drawn for each thread some dozens at a time.
 */
#include "internal.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

enum { POOL_WORDS = 32 }; /* getrandom is never interrupted up to 256 bytes */

static __thread uint64_t pool[POOL_WORDS];
static __thread unsigned left;

/* A child of fork must not draw what its parent draws. */
static void forget(void)
{
	left = 0;
}

__attribute__((constructor)) static void register_fork(void)
{
	pthread_atfork(NULL, NULL, forget);
}

uint64_t random_word(void)
{
	if (left == 0) {
		if (getrandom(pool, sizeof(pool), 0) != (ssize_t)sizeof(pool)) {
			/* No entropy device, a sandbox: order stays random enough for iteration,
			 * and seeds differ by address and time. */
			struct timespec now;
			clock_gettime(CLOCK_MONOTONIC, &now);
			uint64_t x = (uint64_t)now.tv_nsec ^ (uint64_t)(uintptr_t)pool;
			for (unsigned i = 0; i < POOL_WORDS; ++i) {
				x += UINT64_C(0x9e3779b97f4a7c15);
				pool[i] = gomap_impl_mix(x, x ^ UINT64_C(0xe7037ed1a0b428db));
			}
		}
		left = POOL_WORDS;
	}
	return pool[--left];
}

void random_seed(struct gomap_seed *ret)
{
	ret->a = random_word();
	ret->b = random_word() | 1;
}
