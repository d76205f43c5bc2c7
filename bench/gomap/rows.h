/*
 * The rows of the benchmark, the same code for every map. A peer's file defines
 *
 *     peer_map, peer_new(), peer_free(m), peer_put(m, k, v), peer_get(m, k, &v), peer_delete(m, k),
 *     peer_sum(m) (one iteration that adds up the elements), PEER_NAME
 *
 * over uint64_t keys and elements, includes this file and is a program: PEER N [ROUNDS]. It prints
 * one line a row: name, row, N, nanoseconds an operation (bytes, for memory). Of several rounds the
 * quickest counts: what disturbs a round only makes it slower.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t bench_now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* splitmix64: a permutation of its counter, so no key comes twice and even and odd never meet. */
static inline uint64_t bench_key(uint64_t i)
{
	uint64_t z = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The i-th of n in an order that is not that of insertion. */
static inline size_t bench_order(size_t i, size_t n)
{
	return (size_t)((bench_key(i + (UINT64_C(1) << 40)) >> 32) * n >> 32);
}

static inline size_t bench_rss(void)
{
	size_t pages = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%zu %zu", &pages, &resident) != 2)
		exit(1);
	fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

enum { ROW_INSERT, ROW_HIT, ROW_MISS, ROW_ITERATE, ROW_DELETE, ROW_MEMORY, ROW_LONGEST, ROW_COUNT };

static volatile uint64_t bench_sink;

/* keys[0..n) go in, keys[n..2n) never do; order is n indices below n. */
static void bench_round(const uint64_t *keys, const uint32_t *order, size_t n, double *ns)
{
	uint64_t from, sum = 0, v = 0;
	size_t before = bench_rss();
	peer_map m = peer_new();

	from = bench_now();
	for (size_t i = 0; i < n; ++i)
		peer_put(m, keys[i], i);
	ns[ROW_INSERT] = (double)(bench_now() - from) / (double)n;
	ns[ROW_MEMORY] = ((double)bench_rss() - (double)before) / (double)n;

	from = bench_now();
	for (size_t i = 0; i < n; ++i) {
		peer_get(m, keys[order[i]], &v);
		sum += v;
	}
	ns[ROW_HIT] = (double)(bench_now() - from) / (double)n;

	from = bench_now();
	for (size_t i = 0; i < n; ++i)
		sum += peer_get(m, keys[n + order[i]], &v);
	ns[ROW_MISS] = (double)(bench_now() - from) / (double)n;

	from = bench_now();
	sum += peer_sum(m);
	ns[ROW_ITERATE] = (double)(bench_now() - from) / (double)n;

	from = bench_now();
	for (size_t i = 0; i < n; ++i)
		peer_delete(m, keys[i]);
	ns[ROW_DELETE] = (double)(bench_now() - from) / (double)n;
	peer_free(m);
	bench_sink = sum;

	/* each insert by itself; the clock's own time is in it */
	m = peer_new();
	uint64_t longest = 0, last = bench_now();
	for (size_t i = 0; i < n; ++i) {
		peer_put(m, keys[i], i);
		uint64_t now = bench_now();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	ns[ROW_LONGEST] = (double)longest;
	peer_free(m);
}

int main(int argc, char **argv)
{
	static const char *const rows[ROW_COUNT] = {"insert", "hit",	"miss",	  "iterate",
						    "delete", "memory", "longest"};
	size_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000;
	int rounds = argc > 2 ? atoi(argv[2]) : 3;
	uint64_t *keys = (uint64_t *)malloc(2 * n * sizeof(*keys));
	uint32_t *order = (uint32_t *)malloc(n * sizeof(*order));
	if (!keys || !order)
		return 1;
	for (size_t i = 0; i < 2 * n; ++i)
		keys[i] = bench_key(i);
	for (size_t i = 0; i < n; ++i)
		order[i] = (uint32_t)bench_order(i, n);
	double best[ROW_COUNT];
	for (int round = 0; round < rounds; ++round) {
		double ns[ROW_COUNT];
		bench_round(keys, order, n, ns);
		for (int row = 0; row < ROW_COUNT; ++row) {
			/* memory that a round left to the allocator is not counted in the next */
			if (round == 0 || (row != ROW_MEMORY && ns[row] < best[row]))
				best[row] = ns[row];
		}
	}
	for (int row = 0; row < ROW_COUNT; ++row)
		printf("%s,%s,%zu,%.2f\n", PEER_NAME, rows[row], n, best[row]);
	free(keys);
	free(order);
	return 0;
}

#endif
