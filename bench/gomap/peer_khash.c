/* khash of klib, as Debian ships it with htslib. Its own hash for 64-bit keys is weak and not
 * seeded; it is measured as its users use it. */
#include <htslib/khash.h>
#include <stdbool.h>

KHASH_MAP_INIT_INT64(words, uint64_t)

typedef khash_t(words) * peer_map;
#define PEER_NAME "khash"

static PEER_INLINE peer_map peer_new(void)
{
	return kh_init(words);
}

static PEER_INLINE void peer_free(peer_map m)
{
	kh_destroy(words, m);
}

static PEER_INLINE void peer_put(peer_map m, uint64_t k, uint64_t v)
{
	int absent;
	khint_t i = kh_put(words, m, k, &absent);
	kh_value(m, i) = v;
}

static PEER_INLINE bool peer_get(peer_map m, uint64_t k, uint64_t *v)
{
	khint_t i = kh_get(words, m, k);
	if (i == kh_end(m))
		return false;
	*v = kh_value(m, i);
	return true;
}

static PEER_INLINE void peer_delete(peer_map m, uint64_t k)
{
	khint_t i = kh_get(words, m, k);
	if (i != kh_end(m))
		kh_del(words, m, i);
}

static PEER_INLINE uint64_t peer_sum(peer_map m)
{
	uint64_t sum = 0;
	for (khint_t i = kh_begin(m); i != kh_end(m); ++i)
		if (kh_exist(m, i))
			sum += kh_value(m, i);
	return sum;
}

#include "rows.h"
