/* What the C++ maps share: they differ in their type alone (PEER_TYPE). */
#ifndef BENCH_PEER_CXX_H
#define BENCH_PEER_CXX_H

#include <cstdint>

typedef PEER_TYPE *peer_map;

static PEER_INLINE peer_map peer_new()
{
	return new PEER_TYPE;
}

static PEER_INLINE void peer_free(peer_map m)
{
	delete m;
}

static PEER_INLINE void peer_put(peer_map m, uint64_t k, uint64_t v)
{
	(*m)[k] = v;
}

static PEER_INLINE bool peer_get(peer_map m, uint64_t k, uint64_t *v)
{
	auto it = m->find(k);
	if (it == m->end())
		return false;
	*v = it->second;
	return true;
}

static PEER_INLINE void peer_delete(peer_map m, uint64_t k)
{
	m->erase(k);
}

static PEER_INLINE uint64_t peer_sum(peer_map m)
{
	uint64_t sum = 0;
	for (const auto &entry : *m)
		sum += entry.second;
	return sum;
}

#endif
