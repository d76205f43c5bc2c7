/*
 * Growth, a bucket at a time.
 *
 * While a map grows it has two arrays, and an old bucket is either untouched or evacuated: its
 * tophash bytes then say where each entry went. Each write first evacuates the old bucket that it
 * is about to use, and then one more, the next in order, so that growth ends; nevacuate counts
 * those. The longest write is thus that of two chains, however large the map.
 * (go1.23 runtime/map.go: growWork, evacuate, advanceEvacuationMark)
 *
 * Unlike Go's, an evacuation can fail for want of memory: the overflow buckets that it may need are
 * reserved first, and nothing is touched before.
 */
#include "internal.h"

enum {
	ADVANCE_MAX = 1024, /* evacuated buckets that one write steps over, as in Go */
};

/* Where entries of an old bucket go: a bucket of the new array, and the next slot in its chain. */
struct half {
	char *bucket;
	unsigned slot;
};

static GOMAP_INLINE void move_entry(struct gomap *m, const struct gomap_shape *s, struct half *to,
				    char *from, unsigned i, uint8_t top)
{
	if (to->slot == GOMAP_SLOTS) {
		to->bucket = table_overflow(m, to->bucket);
		to->slot = 0;
	}
	to->bucket[to->slot] = (char)top;
	memcpy(gomap_impl_key_slot(s, to->bucket, to->slot), gomap_impl_key_slot(s, from, i),
	       s->key_slot);
	memcpy(gomap_impl_elem_slot(s, to->bucket, to->slot), gomap_impl_elem_slot(s, from, i),
	       s->elem_slot);
	to->slot++;
}

static GOMAP_INLINE void evacuate_chain(struct gomap *m, const struct gomap_shape *s, size_t n,
					unsigned oldB)
{
	size_t size = gomap_impl_bucket_size(s);
	bool same_size = m->flags & GOMAP_SAME_SIZE_GROW;
	struct half halves[2] = {{m->buckets + n * size, 0}, {NULL, 0}};
	if (!same_size)
		halves[1].bucket = m->buckets + (n + ((size_t)1 << oldB)) * size;
	for (char *b = m->oldbuckets + n * size; b; b = gomap_impl_overflow(s, b)) {
		for (unsigned i = 0; i < GOMAP_SLOTS; ++i) {
			uint8_t top = (uint8_t)b[i];
			if (top <= GOMAP_EMPTY_ONE) {
				b[i] = GOMAP_EVACUATED_EMPTY;
				continue;
			}
			unsigned y = 0;
			if (!same_size) {
				const char *key = gomap_impl_key(s, b, i);
				uint64_t hash = gomap_impl_hash(s, key, &m->seed);
				y = (unsigned)(hash >> oldB) & 1;
				if ((s->flags & GOMAP_IRREFLEXIVE) && !s->equal(key, key)) {
					/* The key's hash means nothing: an iteration must be able
					 * to tell where it goes, and the next growth should send
					 * it elsewhere. */
					y = top & 1;
					top = (uint8_t)gomap_impl_top(hash);
				}
			}
			b[i] = (char)(GOMAP_EVACUATED_X + y);
			move_entry(m, s, &halves[y], b, i, top);
		}
	}
}

/* One copy of the loop for the common shapes, with their sizes as constants. */
static void evacuate_shaped(struct gomap *m, size_t n, unsigned oldB)
{
	struct gomap_shape s = m->shape;
	if (s.kind == GOMAP_INT64 && s.elem_slot == 8) {
		s.kind = GOMAP_INT64;
		s.key_slot = 8;
		s.elem_slot = 8;
		s.flags &= GOMAP_INDIRECT_ELEM;
		evacuate_chain(m, &s, n, oldB);
	} else if (s.kind == GOMAP_STRING && s.elem_slot == 8) {
		s.kind = GOMAP_STRING;
		s.key_slot = sizeof(struct gomap_string);
		s.elem_slot = 8;
		s.flags &= GOMAP_INDIRECT_ELEM;
		evacuate_chain(m, &s, n, oldB);
	} else {
		evacuate_chain(m, &s, n, oldB);
	}
}

static void advance(struct gomap *m, size_t old_count)
{
	size_t size = gomap_impl_bucket_size(&m->shape);
	struct gomap_table *old = m->extra->oldtable;
	size_t n = m->nevacuate + 1;
	for (unsigned steps = 0; steps < ADVANCE_MAX && n < old_count; ++steps, ++n) {
		if (!gomap_impl_evacuated(m->oldbuckets + n * size))
			break;
	}
	__atomic_store_n(&m->nevacuate, n, __ATOMIC_RELEASE);
	if (n == old_count) {
		table_grown(m);
		return;
	}
	if (n * size - old->released >= release_step(old))
		table_release(m, old, n * size);
}

static bool evacuate(struct gomap *m, size_t n)
{
	struct gomap_table *old = m->extra->oldtable;
	size_t size = gomap_impl_bucket_size(&m->shape);
	char *b = m->oldbuckets + n * size;
	if (n >= m->nevacuate && !gomap_impl_evacuated(b)) {
		size_t chain = 0;
		while ((b = gomap_impl_overflow(&m->shape, b)))
			++chain;
		if (chain && !table_reserve(m, chain))
			return false;
		evacuate_shaped(m, n, old->B);
	}
	if (n == m->nevacuate)
		advance(m, (size_t)1 << old->B);
	return true;
}

/* Brings a bucket into the cache. */
static inline void fetch(const char *bucket, size_t size)
{
	enum { CACHE_LINE = 64, FETCH_MAX = 4 * CACHE_LINE };
	for (size_t at = 0; at < size && at < FETCH_MAX; at += CACHE_LINE)
		__builtin_prefetch(bucket + at, 1);
}

bool evacuate_for(struct gomap *m, uint64_t hash)
{
	/* hash's bucket lies anywhere, the one in turn beside the last one: the first is on its way
	 * while the second is evacuated. */
	size_t size = gomap_impl_bucket_size(&m->shape);
	size_t n = hash & (((size_t)1 << m->extra->oldtable->B) - 1);
	fetch(m->oldbuckets + n * size, size);
	fetch(m->buckets + n * size, size);
	if (!(m->flags & GOMAP_SAME_SIZE_GROW))
		fetch(m->buckets + (n + ((size_t)1 << m->extra->oldtable->B)) * size, size);
	if (!evacuate(m, m->nevacuate))
		return false;
	return !m->oldbuckets || evacuate(m, n);
}
