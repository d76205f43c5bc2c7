/*
 * A map that threads share.
 *
 * How it works
 * ------------
 * The array, its buckets of eight slots with their tophash bytes, the chains and the growth in
 * small steps are those of gomap. What differs is that every word is atomic, and these rules:
 *
 * Slots    go from empty to live to dead, and are not used again before the array grows. A writer
 *          fills key and element first and publishes them by the slot's tophash byte (release); a
 *          reader that sees the byte (acquire) sees both. An element is replaced by one store of
 *          its word. A deleted slot's byte says so, and the key's next insertion takes a later
 *          slot, so a reader that scans forwards cannot miss it.
 * Readers  take no lock and write nothing shared. The slot was live when the reader looked at its
 *          byte; should it die before the element is read, the word still holds the element that
 *          the key had when it died, and that moment lies within the call. An element larger than
 *          a word lies in memory that does not change once it is published.
 * Writers  lock the first bucket of the key's chain (one bit of state).
 * Growth   A bucket of the old array goes through three states, each change by compare-and-swap or
 *          by the one who holds it:
 *
 *              dirty      in use: readers and writers work here
 *              oldbucket  frozen: one writer copies it to the new array, the others wait
 *              evacuated  readers and writers work on the copy
 *
 *          dirty -> oldbucket succeeds only while no writer has the lock. Each write first takes
 *          the old bucket of its key through, and then one more; so growth ends, and no write
 *          does more than two buckets of it. A reader goes to the old bucket unless that is
 *          evacuated.
 *
 * Why a reader is right: a frozen bucket does not change, and until it is evacuated nothing is
 * written to its copy. If the reader finds it not evacuated and reads on while it is being copied,
 * or even after the copy was changed, it returns what the bucket held when it was frozen; that
 * moment lies within the call. The same holds for a reader that still has an array in hand which
 * is being outgrown.
 *
 * Why each barrier stands where it stands (numbers as in tests/gomap/shared.pml, which takes them
 * away one by one and shows what goes wrong):
 *
 * 1  key and element before tophash, release, and tophash before both on the reader's side,
 *    acquire: else a reader matches a byte and reads an empty slot's words.
 * 2  copy before evacuated, release/acquire: else a reader goes to the copy and misses a key.
 * 3  writer's stores before its unlock, and the freeze before the copy, release/acquire: else the
 *    copy lacks the last write.
 * 4  new array's old pointer before its publication, release/acquire: else a reader finds an empty
 *    array that seems to have no predecessor.
 * 5  all copies before old becomes NULL, release/acquire: the same at the other end of growth.
 * 6  entry to the epoch before the first pointer (membarrier, epoch.c): else memory is freed under
 *    a reader.
 *
 * Limits
 * ------
 * Writers are not lock-free: one that is switched out inside a bucket makes writers of that bucket
 * wait, and while it copies one, writers of its two halves; readers never wait. Memory: 160 bytes
 * for eight slots, an allocation for each key or element over eight bytes, dead slots until the
 * next growth. A reader keeps what is retired during its call.
 */
#include "shared_table.h"

#include <stdlib.h>

enum { MIN_BUCKETS = 8 };

struct gomap_shared *gomap_shared_new(const struct gomap_type *type, size_t hint)
{
	struct gomap_shape shape;
	if (!shape_of(type, &shape))
		return NULL;
	size_t n = MIN_BUCKETS;
	while (n < SIZE_MAX / 4096 && hint > 13 * (n / 2))
		n *= 2;
	struct gomap_shared *s = node_new(sizeof(*s));
	struct shared_table *t = s ? shared_table_new(n) : NULL;
	if (!t) {
		node_free(s, sizeof(*s));
		errno = ENOMEM;
		return NULL;
	}
	memset(s, 0, sizeof(*s));
	s->type = type;
	s->shape = shape;
	/* nothing here is indirect in gomap's sense */
	s->shape.flags &= ~(unsigned)(GOMAP_INDIRECT_KEY | GOMAP_INDIRECT_ELEM);
	random_seed(&s->seed);
	s->table = t;
	return s;
}

void gomap_shared_free(struct gomap_shared *s)
{
	if (!s)
		return;
	if (s->table->old)
		shared_table_free(s, s->table->old);
	shared_table_free(s, s->table);
	node_free(s, sizeof(*s));
}

size_t gomap_shared_len(const struct gomap_shared *s)
{
	int64_t sum = 0;
	for (unsigned i = 0; s && i < COUNTERS; ++i)
		sum += __atomic_load_n(&s->counts[i].n, __ATOMIC_RELAXED);
	return sum > 0 ? (size_t)sum : 0;
}

static void count_by(struct gomap_shared *s, const struct epoch_thread *self, int64_t n)
{
	__atomic_fetch_add(&s->counts[epoch_index(self) % COUNTERS].n, n, __ATOMIC_RELAXED);
}

/* ---- reading ----------------------------------------------------------------------------- */

/* The chain to read hash's key in. */
static const struct shared_bucket *chain_for(const struct gomap_shared *s, uint64_t hash)
{
	const struct shared_table *t = __atomic_load_n(&s->table, __ATOMIC_ACQUIRE);
	const struct shared_table *o = __atomic_load_n(&t->old, __ATOMIC_ACQUIRE);
	if (GOMAP_UNLIKELY(o != NULL)) {
		const struct shared_bucket *b = &o->buckets[hash & (o->n - 1)];
		if (state_of(b) != BUCKET_EVACUATED)
			return b;
	}
	return &t->buckets[hash & (t->n - 1)];
}

/* The key's live slot in the chain; *ret_elem is then its element's word. The keys of slots that
 * only tophash resembles are compared too; a byte that zero_bytes marks wrongly may be a dead
 * slot's, whose key is as good to compare. */
static struct shared_bucket *find_live(const struct gomap_shared *s, const struct shared_bucket *b,
				       const void *key, uint64_t hash, unsigned *ret_slot,
				       uint64_t *ret_elem)
{
	uint8_t top = (uint8_t)gomap_impl_top(hash);
	for (; b; b = overflow_of(b)) {
		uint64_t tops = __atomic_load_n(&b->tops, __ATOMIC_ACQUIRE);
		uint64_t match = gomap_impl_zero_bytes(tops ^ GOMAP_BYTES(top));
		for (; match; match &= match - 1) {
			unsigned i = (unsigned)__builtin_ctzll(match) >> 3;
			if (top_of(tops, i) != top)
				continue;
			uint64_t word = __atomic_load_n(&b->keys[i], __ATOMIC_ACQUIRE);
			if (!gomap_impl_equal(&s->shape, key, word_bytes(&word, key_is_pointer(s))))
				continue;
			uint64_t elem = __atomic_load_n(&b->elems[i], __ATOMIC_ACQUIRE);
			*ret_slot = i;
			*ret_elem = elem;
			return (struct shared_bucket *)b;
		}
		if (gomap_impl_has_zero_byte(tops))
			return NULL;
	}
	return NULL;
}

bool gomap_shared_get(const struct gomap_shared *s, const void *key, void *ret_elem)
{
	unsigned slot;
	uint64_t elem;
	if (!s)
		return false;
	struct epoch_thread *self = epoch_enter();
	bool there = false;
	if (self) {
		uint64_t hash = shared_hash(s, key);
		there = find_live(s, chain_for(s, hash), key, hash, &slot, &elem) != NULL;
	}
	if (ret_elem) {
		if (there)
			memcpy(ret_elem, word_bytes(&elem, elem_is_pointer(s)), s->shape.elem_size);
		else
			memset(ret_elem, 0, s->shape.elem_size);
	}
	if (self)
		epoch_leave(self);
	return there;
}

/* ---- writing ----------------------------------------------------------------------------- */

/* Locks the chain that hash's key is to be written in; NULL with errno ENOMEM. */
static struct shared_bucket *lock_chain(struct gomap_shared *s, struct epoch_thread *self,
					uint64_t hash, struct shared_table **ret_table)
{
	unsigned spins = 0;
	for (;;) {
		struct shared_table *t = __atomic_load_n(&s->table, __ATOMIC_ACQUIRE);
		if (!shared_evacuate_for(s, self, t, hash))
			return NULL;
		struct shared_bucket *b = &t->buckets[hash & (t->n - 1)];
		uint32_t state = state_of(b);
		while (state <= BUCKET_LOCKED) {
			uint32_t dirty = BUCKET_DIRTY;
			if (state == BUCKET_DIRTY &&
			    __atomic_compare_exchange_n(&b->state, &dirty, BUCKET_LOCKED, true,
							__ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
				*ret_table = t;
				return b;
			}
			shared_relax(&spins);
			state = state_of(b);
		}
		/* the array is being outgrown: there is a newer one */
	}
}

static void unlock_chain(struct shared_bucket *home)
{
	__atomic_store_n(&home->state, BUCKET_DIRTY, __ATOMIC_RELEASE);
}

/* An empty slot of a locked chain; a new bucket's where there is none. NULL with errno ENOMEM. */
static struct shared_bucket *room_in(struct shared_table *t, struct shared_bucket *home,
				     unsigned *ret_slot)
{
	struct shared_bucket *b = home;
	for (;; b = b->overflow) {
		uint64_t empty = gomap_impl_zero_bytes(__atomic_load_n(&b->tops, __ATOMIC_RELAXED));
		if (empty) {
			*ret_slot = (unsigned)__builtin_ctzll(empty) >> 3;
			return b;
		}
		if (!b->overflow)
			break;
	}
	struct shared_bucket *more = shared_overflow_new();
	if (!more) {
		errno = ENOMEM;
		return NULL;
	}
	__atomic_fetch_add(&t->overflows, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&b->overflow, more, __ATOMIC_RELEASE);
	*ret_slot = 0;
	return more;
}

/* Where a write is to happen. */
struct shared_place {
	struct shared_bucket *home, *bucket;
	unsigned slot;
	bool present;
	uint64_t elem; /* its word, if present */
};

/* Locks key's chain and finds its slot, or an empty one. Grows the array instead of lengthening a
 * chain, where it is time to and nobody else does. False with errno ENOMEM, nothing locked. */
static bool place_for(struct gomap_shared *s, struct epoch_thread *self, const void *key,
		      uint64_t hash, struct shared_place *ret)
{
	for (bool may_grow = true;; may_grow = false) {
		struct shared_table *t;
		struct shared_bucket *home = lock_chain(s, self, hash, &t);
		if (!home)
			return false;
		ret->home = home;
		ret->bucket = find_live(s, home, key, hash, &ret->slot, &ret->elem);
		ret->present = ret->bucket != NULL;
		if (ret->present)
			return true;
		bool full =
			!gomap_impl_has_zero_byte(__atomic_load_n(&home->tops, __ATOMIC_RELAXED));
		if (full && may_grow && !__atomic_load_n(&t->old, __ATOMIC_ACQUIRE) &&
		    shared_should_grow(s, t)) {
			unlock_chain(home);
			if (!shared_start_growth(s, t))
				return false;
			continue;
		}
		ret->bucket = room_in(t, home, &ret->slot);
		if (ret->bucket)
			return true;
		unlock_chain(home);
		return false;
	}
}

/* The word of a key or an element: its bytes, or a pointer to a copy of them. */
static bool word_for(const void *bytes, size_t size, uint64_t *ret)
{
	*ret = 0;
	if (size <= sizeof(*ret)) {
		memcpy(ret, bytes, size);
		return true;
	}
	void *copy = node_new(size);
	if (!copy) {
		errno = ENOMEM;
		return false;
	}
	memcpy(copy, bytes, size);
	*ret = (uintptr_t)copy;
	return true;
}

static void retire_word(struct epoch_thread *self, uint64_t word, size_t size)
{
	if (size > sizeof(word))
		epoch_retire(self, (void *)(uintptr_t)word, size);
}

static void free_word(uint64_t word, size_t size)
{
	if (size > sizeof(word))
		node_free((void *)(uintptr_t)word, size);
}

/* Stores elem, a word that the map then owns, for key. False with errno ENOMEM, elem not taken. */
static bool store(struct gomap_shared *s, struct epoch_thread *self, const struct shared_place *at,
		  const void *key, uint64_t hash, uint64_t elem)
{
	uint64_t word;
	if (at->present && !(s->shape.flags & GOMAP_KEY_UPDATE)) {
		__atomic_store_n(&at->bucket->elems[at->slot], elem, __ATOMIC_RELEASE);
		retire_word(self, at->elem, s->shape.elem_size);
		return true;
	}
	if (!word_for(key, s->shape.key_size, &word))
		return false;
	if (at->present) {
		uint64_t old =
			__atomic_exchange_n(&at->bucket->keys[at->slot], word, __ATOMIC_ACQ_REL);
		__atomic_store_n(&at->bucket->elems[at->slot], elem, __ATOMIC_RELEASE);
		retire_word(self, old, s->shape.key_size);
		retire_word(self, at->elem, s->shape.elem_size);
		return true;
	}
	__atomic_store_n(&at->bucket->keys[at->slot], word, __ATOMIC_RELAXED);
	__atomic_store_n(&at->bucket->elems[at->slot], elem, __ATOMIC_RELAXED);
	set_top(at->bucket, at->slot, (uint8_t)gomap_impl_top(hash));
	count_by(s, self, 1);
	return true;
}

static void kill_slot(struct gomap_shared *s, struct epoch_thread *self, struct shared_bucket *b,
		      unsigned slot, uint64_t elem)
{
	set_top(b, slot, GOMAP_EMPTY_ONE);
	retire_word(self, elem, s->shape.elem_size);
	count_by(s, self, -1);
}

bool gomap_shared_put(struct gomap_shared *s, const void *key, const void *elem)
{
	struct shared_place at;
	uint64_t word;
	if (!s) {
		errno = EINVAL;
		return false;
	}
	struct epoch_thread *self = epoch_enter();
	if (!self)
		return false;
	uint64_t hash = shared_hash(s, key);
	bool ok = word_for(elem, s->shape.elem_size, &word);
	if (ok) {
		ok = place_for(s, self, key, hash, &at);
		if (ok) {
			ok = store(s, self, &at, key, hash, word);
			unlock_chain(at.home);
		}
		if (!ok)
			free_word(word, s->shape.elem_size);
	}
	epoch_leave(self);
	return ok;
}

bool gomap_shared_delete(struct gomap_shared *s, const void *key, void *ret_elem)
{
	struct shared_table *t;
	unsigned slot;
	uint64_t elem;
	if (!s) {
		errno = EINVAL;
		return false;
	}
	struct epoch_thread *self = epoch_enter();
	if (!self)
		return false;
	uint64_t hash = shared_hash(s, key);
	struct shared_bucket *home = lock_chain(s, self, hash, &t);
	bool there = false;
	if (home) {
		struct shared_bucket *b = find_live(s, home, key, hash, &slot, &elem);
		there = b != NULL;
		if (there && ret_elem)
			memcpy(ret_elem, word_bytes(&elem, elem_is_pointer(s)), s->shape.elem_size);
		if (there)
			kill_slot(s, self, b, slot, elem);
		unlock_chain(home);
	}
	epoch_leave(self);
	return there;
}

bool gomap_shared_update(struct gomap_shared *s, const void *key, gomap_update *fn, void *arg)
{
	static const char zero[sizeof(uint64_t)];
	struct shared_place at;
	if (!s) {
		errno = EINVAL;
		return false;
	}
	struct epoch_thread *self = epoch_enter();
	if (!self)
		return false;
	/* the copy that fn works on is the new element already */
	uint64_t word = 0, hash = shared_hash(s, key);
	size_t size = s->shape.elem_size;
	void *copy = size <= sizeof(zero) ? (void *)&word : node_new(size);
	if (!copy)
		errno = ENOMEM;
	bool ok = copy && place_for(s, self, key, hash, &at), taken = false;
	if (ok) {
		if (at.present)
			memcpy(copy, word_bytes(&at.elem, elem_is_pointer(s)), size);
		switch (fn(copy, at.present, arg)) {
		case GOMAP_STORE:
			ok = taken = store(s, self, &at, key, hash,
					   copy == &word ? word : (uint64_t)(uintptr_t)copy);
			break;
		case GOMAP_REMOVE:
			if (at.present)
				kill_slot(s, self, at.bucket, at.slot, at.elem);
			break;
		case GOMAP_KEEP:
			break;
		}
		unlock_chain(at.home);
	}
	if (!taken && copy != &word)
		node_free(copy, size);
	epoch_leave(self);
	return ok;
}

/* ---- all elements ------------------------------------------------------------------------ */

/* Visits the entries of one chain. Where it has been evacuated meanwhile they are stale: each is
 * looked up where it is now. */
static bool visit_chain(const struct gomap_shared *s, const struct shared_bucket *home,
			gomap_visit *fn, void *arg)
{
	for (const struct shared_bucket *b = home; b; b = overflow_of(b)) {
		for (unsigned i = 0; i < GOMAP_SLOTS; ++i) {
			uint64_t tops = __atomic_load_n(&b->tops, __ATOMIC_ACQUIRE);
			if (top_of(tops, i) < GOMAP_MIN_TOP)
				continue;
			uint64_t word = __atomic_load_n(&b->keys[i], __ATOMIC_ACQUIRE);
			uint64_t elem = __atomic_load_n(&b->elems[i], __ATOMIC_ACQUIRE);
			const void *key = word_bytes(&word, key_is_pointer(s));
			bool itself = !(s->shape.flags & GOMAP_IRREFLEXIVE) ||
				      gomap_impl_equal(&s->shape, key, key);
			if (state_of(home) == BUCKET_EVACUATED && itself) {
				unsigned slot;
				uint64_t hash = shared_hash(s, key);
				if (!find_live(s, chain_for(s, hash), key, hash, &slot, &elem))
					continue;
			}
			if (!fn(key, word_bytes(&elem, elem_is_pointer(s)), arg))
				return false;
		}
	}
	return true;
}

bool gomap_shared_each(const struct gomap_shared *s, gomap_visit *fn, void *arg)
{
	if (!s)
		return true;
	struct epoch_thread *self = epoch_enter();
	if (!self)
		return false;
	const struct shared_table *t = __atomic_load_n(&s->table, __ATOMIC_ACQUIRE);
	const struct shared_table *o = __atomic_load_n(&t->old, __ATOMIC_ACQUIRE);
	bool more = true;
	/* In units of old buckets: all that such a one holds, or all that was copied from it. */
	size_t units = o ? o->n : t->n;
	for (size_t i = 0; i < units && more; ++i) {
		if (o && state_of(&o->buckets[i]) != BUCKET_EVACUATED) {
			more = visit_chain(s, &o->buckets[i], fn, arg);
		} else {
			for (size_t n = i; n < t->n && more; n += units)
				more = visit_chain(s, &t->buckets[n], fn, arg);
		}
	}
	epoch_leave(self);
	return more;
}
