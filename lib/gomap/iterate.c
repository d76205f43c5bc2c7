/*
 * Iteration, as Go's mapiterinit and mapiternext (go1.23 runtime/map.go).
 *
 * An iteration walks the array that was current when it began, from a random bucket on and in each
 * bucket from a random slot on. What the map does meanwhile:
 *
 * - It was growing already: an old bucket that is not evacuated still holds the entries of two new
 *   ones. It is walked twice, each time for the entries that will go to the new bucket in turn
 *   (check).
 * - It has grown since: the walked array is old. Its entries that are marked as evacuated are
 *   looked up where they are now; those that are not found were deleted.
 * - It was cleared: the iteration is over (clears).
 *
 * A key that differs from itself (NaN) cannot be looked up, and cannot be changed or deleted
 * either, except by clear: the old entry is as good as the new one.
 */
#include "internal.h"

static void hold(struct gomap_table *table)
{
	if (table)
		__atomic_fetch_add(&table->iterators, 1, __ATOMIC_ACQ_REL);
}

static void let_go(struct gomap_table *table)
{
	if (table)
		__atomic_fetch_sub(&table->iterators, 1, __ATOMIC_ACQ_REL);
}

void gomap_iter_init(struct gomap_iter *it, const struct gomap *m)
{
	struct gomap_impl_seen seen;
	void *site = __builtin_return_address(0);
	memset(it, 0, sizeof(*it));
	if (!m)
		return;
	if (!gomap_impl_begin_read(m, &seen)) {
		gomap_impl_refuse_read(m, &m->shape, GOMAP_ITERATE, NULL, site);
		return;
	}
	uint8_t B = __atomic_load_n(&m->B, __ATOMIC_ACQUIRE);
	char *buckets = __atomic_load_n(&m->buckets, __ATOMIC_RELAXED);
	struct gomap_extra *x = m->extra;
	size_t count = gomap_len(m);
	uint32_t clears = m->clears;
	if (!gomap_impl_unchanged(m, &seen)) {
		gomap_impl_refuse_read(m, &m->shape, GOMAP_ITERATE, NULL, site);
		return;
	}
	if (count == 0)
		return;
	uint64_t r = random_word();
	it->map = m;
	it->B = B;
	it->buckets = buckets;
	it->clears = clears;
	it->start = it->next = r & (((size_t)1 << B) - 1);
	it->offset = (uint8_t)(r >> 61);
	it->check = GOMAP_NO_CHECK;
	it->table = x->table;
	it->oldtable = x->oldtable;
	hold(it->table);
	hold(it->oldtable);
	/* the one change of the header that readers make, atomic because they may be two */
	uint8_t both = GOMAP_ITERATOR | GOMAP_OLD_ITERATOR;
	if ((__atomic_load_n(&m->flags, __ATOMIC_RELAXED) & both) != both)
		__atomic_fetch_or((uint8_t *)&m->flags, both, __ATOMIC_RELAXED);
}

void gomap_iter_done(struct gomap_iter *it)
{
	if (!it)
		return;
	let_go(it->table);
	let_go(it->oldtable);
	memset(it, 0, sizeof(*it));
}

/* Enters bucket n of the walk: in the array that it walks, or in the old one. */
static void enter(struct gomap_iter *it, size_t n)
{
	const struct gomap *m = it->map;
	size_t size = gomap_impl_bucket_size(&m->shape);
	it->check = GOMAP_NO_CHECK;
	it->bucket = it->buckets + n * size;
	struct gomap_table *old = m->extra->oldtable;
	if (!old || it->B != m->B)
		return;
	size_t i = n & (((size_t)1 << old->B) - 1);
	if (i < m->nevacuate || gomap_impl_evacuated(old->buckets + i * size))
		return;
	if (it->oldtable != old) {
		let_go(it->oldtable);
		it->oldtable = old;
		hold(old);
	}
	it->bucket = old->buckets + i * size;
	if (!(m->flags & GOMAP_SAME_SIZE_GROW))
		it->check = n;
}

/* Whether the entry in slot i goes to the new bucket that is walked. */
static bool belongs(const struct gomap_iter *it, const struct gomap_shape *s, const char *key,
		    unsigned i)
{
	if ((s->flags & GOMAP_IRREFLEXIVE) && !s->equal(key, key)) {
		/* by the low bit of tophash, as evacuate does; when it has, by the mark */
		return it->check >> (it->B - 1) == ((uint8_t)it->bucket[i] & 1u);
	}
	uint64_t hash = gomap_impl_hash(s, key, &it->map->seed);
	return (hash & (((size_t)1 << it->B) - 1)) == it->check;
}

/* Sets it to the entry in slot i; false where that is no entry any more, or not of this walk. */
static bool take_entry(struct gomap_iter *it, const struct gomap_shape *s, unsigned i)
{
	const struct gomap *m = it->map;
	uint8_t top = (uint8_t)it->bucket[i];
	if (top <= GOMAP_EMPTY_ONE || top == GOMAP_EVACUATED_EMPTY)
		return false;
	char *key = gomap_impl_key(s, it->bucket, i);
	if (it->check != GOMAP_NO_CHECK && !belongs(it, s, key, i))
		return false;
	char *elem = gomap_impl_elem(s, it->bucket, i);
	if (top < GOMAP_MIN_TOP && !((s->flags & GOMAP_IRREFLEXIVE) && !s->equal(key, key))) {
		uint64_t hash = gomap_impl_hash(s, key, &m->seed);
		struct gomap_impl_place at =
			gomap_impl_search(m, s, key, hash, gomap_impl_home(m, s, hash), NULL);
		if (!at.bucket)
			return false;
		key = gomap_impl_key(s, at.bucket, at.slot);
		elem = gomap_impl_elem(s, at.bucket, at.slot);
	}
	it->key = key;
	it->elem = elem;
	return true;
}

/* Notes which slots of the bucket hold something, the iteration's first slot lowest, and whether the
 * chain can have more: behind an emptyRest nothing follows. */
static void note_entries(struct gomap_iter *it)
{
	gomap_impl_tops tops = gomap_impl_load_tops(it->bucket);
	unsigned mask = gomap_impl_slot_bits(~gomap_impl_empty(tops));
	it->pending = (uint8_t)(mask >> it->offset | mask << (GOMAP_SLOTS - it->offset));
	it->last = gomap_impl_has_empty_rest(tops);
}

/* Steps to the next entry, or returns false at the end. */
static bool step(struct gomap_iter *it, const struct gomap_impl_seen *seen)
{
	const struct gomap *m = it->map;
	const struct gomap_shape *s = &m->shape;
	for (;;) {
		while (it->pending) {
			unsigned i =
				((unsigned)__builtin_ctz(it->pending) + it->offset) % GOMAP_SLOTS;
			it->pending &= (uint8_t)(it->pending - 1);
			if (!gomap_impl_unchanged(m, seen))
				return false;
			if (take_entry(it, s, i))
				return true;
		}
		if (it->bucket)
			it->bucket = it->last ? NULL : gomap_impl_overflow(s, it->bucket);
		if (!gomap_impl_unchanged(m, seen))
			return false;
		if (!it->bucket) {
			if (it->wrapped && it->next == it->start)
				return false;
			enter(it, it->next);
			if (++it->next == (size_t)1 << it->B) {
				it->next = 0;
				it->wrapped = 1;
			}
		}
		note_entries(it);
	}
}

bool gomap_impl_next_slow(struct gomap_iter *it, void *site)
{
	const struct gomap *m = it->map;
	struct gomap_impl_seen seen;
	if (!m)
		return false;
	bool quiet = gomap_impl_begin_read(m, &seen);
	bool more = quiet && it->clears == m->clears && step(it, &seen);
	if (!quiet || !gomap_impl_unchanged(m, &seen)) {
		gomap_impl_refuse_read(m, &m->shape, GOMAP_ITERATE, NULL, site);
		more = false;
	}
	if (!more)
		gomap_iter_done(it);
	return more;
}

bool gomap_iter_next(struct gomap_iter *it)
{
	struct gomap_shape s = {0};
	if (it->map)
		s = it->map->shape;
	return gomap_impl_next(it, &s, __builtin_return_address(0));
}
