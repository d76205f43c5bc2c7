/*
 * One map that threads share, each kind the same way: PEER THREADS WRITES-IN-100. Keys are random of
 * 2^18, all in to begin with; half the writes delete. Prints name, threads, writes, and the best
 * million operations a second, all threads together, of ROUNDS windows of WINDOW_MS.
 *
 * Peers by -DPEER_...: SHARED gomap_shared, MUTEX gomap behind a mutex, URCU liburcu's rculfhash, CK
 * ck_ht with one writer at a time, as it demands.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { KEYS = 1 << 18, WINDOW_MS = 60, ROUNDS = 8, THREADS_MAX = 64 };

#if defined(PEER_SHARED)
#include "gomap.h"
#define PEER_NAME "gomap_shared"
static const struct gomap_type words = GOMAP_TYPE_INT("", uint64_t, uint64_t);
static struct gomap_shared *map;
static void peer_begin(void)
{
	map = gomap_shared_new(&words, 0);
}
static void peer_thread(bool on)
{
	(void)on;
}
static bool peer_get(uint64_t key, uint64_t *value)
{
	return gomap_shared_get(map, &key, value);
}
static void peer_put(uint64_t key, uint64_t value)
{
	(void)!gomap_shared_put(map, &key, &value);
}
static void peer_delete(uint64_t key)
{
	(void)!gomap_shared_delete(map, &key, NULL);
}
#elif defined(PEER_MUTEX)
#include "gomap.h"
#define PEER_NAME "mutex+gomap"
GOMAP_DEFINE_INT(words, uint64_t, uint64_t)
static struct words *map;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void peer_begin(void)
{
	map = words_new(0);
}
static void peer_thread(bool on)
{
	(void)on;
}
static bool peer_get(uint64_t key, uint64_t *value)
{
	pthread_mutex_lock(&lock);
	bool there = words_get(map, key, value);
	pthread_mutex_unlock(&lock);
	return there;
}
static void peer_put(uint64_t key, uint64_t value)
{
	pthread_mutex_lock(&lock);
	words_put(map, key, value);
	pthread_mutex_unlock(&lock);
}
static void peer_delete(uint64_t key)
{
	pthread_mutex_lock(&lock);
	words_delete(map, key);
	pthread_mutex_unlock(&lock);
}
#elif defined(PEER_URCU)
#include <urcu.h>
#include <urcu/rculfhash.h>
#define PEER_NAME "rculfhash"
struct node {
	struct cds_lfht_node node;
	struct rcu_head rcu;
	uint64_t key, value;
};
static struct cds_lfht *map;
static unsigned long mix(uint64_t key)
{
	key *= UINT64_C(0x9e3779b97f4a7c15);
	return key ^ key >> 32;
}
static int same(struct cds_lfht_node *node, const void *key)
{
	return caa_container_of(node, struct node, node)->key == *(const uint64_t *)key;
}
static void free_node(struct rcu_head *head)
{
	free(caa_container_of(head, struct node, rcu));
}
static void peer_begin(void)
{
	/* As large as the others have grown to when the clock starts. Its own growth is done by a thread of
	 * its own, which on a busy machine was seen asleep (0.13.2) while chains of thousands were walked. */
	map = cds_lfht_new(KEYS, KEYS, KEYS, 0, NULL);
}
static void peer_thread(bool on)
{
	if (on)
		rcu_register_thread();
	else
		rcu_unregister_thread();
}
static bool peer_get(uint64_t key, uint64_t *value)
{
	struct cds_lfht_iter it;
	rcu_read_lock();
	cds_lfht_lookup(map, mix(key), same, &key, &it);
	struct cds_lfht_node *found = cds_lfht_iter_get_node(&it);
	if (found)
		*value = caa_container_of(found, struct node, node)->value;
	rcu_read_unlock();
	return found != NULL;
}
static void peer_put(uint64_t key, uint64_t value)
{
	struct node *n = malloc(sizeof(*n));
	if (!n)
		abort();
	n->key = key;
	n->value = value;
	rcu_read_lock();
	struct cds_lfht_node *old = cds_lfht_add_replace(map, mix(key), same, &key, &n->node);
	if (old)
		call_rcu(&caa_container_of(old, struct node, node)->rcu, free_node);
	rcu_read_unlock();
}
static void peer_delete(uint64_t key)
{
	struct cds_lfht_iter it;
	rcu_read_lock();
	cds_lfht_lookup(map, mix(key), same, &key, &it);
	struct cds_lfht_node *found = cds_lfht_iter_get_node(&it);
	if (found && cds_lfht_del(map, found) == 0)
		call_rcu(&caa_container_of(found, struct node, node)->rcu, free_node);
	rcu_read_unlock();
}
#elif defined(PEER_CK)
#include <ck_ht.h>
#define PEER_NAME "ck_ht"
static ck_ht_t map;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *ck_new(size_t size)
{
	return malloc(size);
}
/* What readers may still look at is left: this program ends soon. */
static void ck_old(void *p, size_t size, bool defer)
{
	(void)size;
	if (!defer)
		free(p);
}
static struct ck_malloc ck_memory = {.malloc = ck_new, .free = ck_old};
static void peer_begin(void)
{
	if (!ck_ht_init(&map, CK_HT_MODE_DIRECT, NULL, &ck_memory, 64, 7))
		abort();
}
static void peer_thread(bool on)
{
	(void)on;
}
static bool peer_get(uint64_t key, uint64_t *value)
{
	ck_ht_hash_t h;
	ck_ht_entry_t entry;
	ck_ht_hash_direct(&h, &map, key);
	ck_ht_entry_key_set_direct(&entry, key);
	if (!ck_ht_get_spmc(&map, h, &entry))
		return false;
	*value = ck_ht_entry_value_direct(&entry);
	return true;
}
static void peer_put(uint64_t key, uint64_t value)
{
	ck_ht_hash_t h;
	ck_ht_entry_t entry;
	ck_ht_hash_direct(&h, &map, key);
	ck_ht_entry_set_direct(&entry, h, key, value);
	pthread_mutex_lock(&lock);
	(void)!ck_ht_set_spmc(&map, h, &entry);
	pthread_mutex_unlock(&lock);
}
static void peer_delete(uint64_t key)
{
	ck_ht_hash_t h;
	ck_ht_entry_t entry;
	ck_ht_hash_direct(&h, &map, key);
	ck_ht_entry_key_set_direct(&entry, key);
	pthread_mutex_lock(&lock);
	(void)!ck_ht_remove_spmc(&map, h, &entry);
	pthread_mutex_unlock(&lock);
}
#endif

static unsigned writes;
static bool stop;
static pthread_barrier_t gate;
static uint64_t done[THREADS_MAX][8]; /* the first of each row: a cache line each */

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Keys 1 to KEYS: ck_ht takes 0 and ~0 for itself. */
static void *work(void *arg)
{
	uint64_t self = (uintptr_t)arg, x = self * 1000003 + 12345, value, sum = 0;
	peer_thread(true);
	for (int round = 0; round < ROUNDS; ++round) {
		uint64_t n = 0;
		pthread_barrier_wait(&gate);
		while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
			uint64_t r = next_random(&x), key = r % KEYS + 1;
			unsigned what = (unsigned)(r >> 40) % 200;
			if (what >= 2 * writes)
				sum += peer_get(key, &value);
			else if (what & 1)
				peer_put(key, r);
			else
				peer_delete(key);
			++n;
		}
		done[self][0] = n;
		pthread_barrier_wait(&gate);
	}
	peer_thread(false);
	return (void *)(uintptr_t)sum;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 2;
	pthread_t ids[THREADS_MAX];
	double best = 0;
	writes = argc > 2 ? (unsigned)atoi(argv[2]) : 10;
	if (threads < 1 || threads > THREADS_MAX)
		return 64;
	peer_thread(true);
	peer_begin();
	for (uint64_t key = 1; key <= KEYS; ++key)
		peer_put(key, key);
	pthread_barrier_init(&gate, NULL, threads + 1);
	for (uintptr_t i = 0; i < threads; ++i)
		pthread_create(&ids[i], NULL, work, (void *)i);
	for (int round = 0; round < ROUNDS; ++round) {
		uint64_t sum = 0;
		__atomic_store_n(&stop, false, __ATOMIC_RELAXED);
		pthread_barrier_wait(&gate);
		double from = seconds();
		nanosleep(&(struct timespec){0, WINDOW_MS * 1000000}, NULL);
		__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
		pthread_barrier_wait(&gate);
		double took = seconds() - from;
		for (unsigned i = 0; i < threads; ++i)
			sum += done[i][0];
		if ((double)sum / took > best)
			best = (double)sum / took;
	}
	for (unsigned i = 0; i < threads; ++i)
		pthread_join(ids[i], NULL);
	printf("%s,%u,%u,%.2f\n", PEER_NAME, threads, writes, best / 1e6);
	peer_thread(false);
	return 0;
}
