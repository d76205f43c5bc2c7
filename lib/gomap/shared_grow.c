/*
 * Growth of a shared map: the state machine of its buckets. The prose stands in shared.c.
 */
#include "shared_table.h"

#include <sched.h>
#include <stdlib.h>

enum {
	SPINS = 64, /* pauses before the processor is given away: the holder may wait for it */
};

void shared_relax(unsigned *spins)
{
	if (++*spins < SPINS) {
#if defined(__x86_64__)
		__builtin_ia32_pause();
#elif defined(__aarch64__)
		__asm__ volatile("yield");
#endif
	} else {
		sched_yield();
	}
}

struct shared_table *shared_table_new(size_t n)
{
	struct shared_table *t = node_new(sizeof(*t));
	size_t bytes;
	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->n = n;
	if (!__builtin_mul_overflow(n, sizeof(*t->buckets), &bytes))
		t->buckets = node_new(bytes);
	if (t->buckets)
		return t;
	node_free(t, sizeof(*t));
	return NULL;
}

struct shared_bucket *shared_overflow_new(void)
{
	return node_new(sizeof(struct shared_bucket));
}

/* Frees a chain's entries (as far as they are live, or all) and its overflow buckets. For maps that
 * nobody uses any more. */
static void free_chain(struct gomap_shared *s, struct shared_bucket *home)
{
	bool moved = state_of(home) & BUCKET_EVACUATED;
	struct shared_bucket *b = home;
	while (b) {
		for (unsigned i = 0; i < GOMAP_SLOTS && !moved; ++i) {
			uint8_t top = top_of(b->tops, i);
			if (top == GOMAP_EMPTY_REST)
				break;
			/* the element of a dead slot was retired when it died, its key not */
			if (key_is_pointer(s))
				node_free((void *)(uintptr_t)b->keys[i], s->shape.key_size);
			if (elem_is_pointer(s) && top >= GOMAP_MIN_TOP)
				node_free((void *)(uintptr_t)b->elems[i], s->shape.elem_size);
		}
		struct shared_bucket *next = moved ? NULL : b->overflow;
		if (b != home)
			node_free(b, sizeof(*b));
		b = next;
	}
}

void shared_table_free(struct gomap_shared *s, struct shared_table *t)
{
	for (size_t i = 0; i < t->n; ++i)
		free_chain(s, &t->buckets[i]);
	node_free(t->buckets, t->n * sizeof(*t->buckets));
	node_free(t, sizeof(*t));
}

/* Whether the array is too full, or its chains too long for what is live in them: slots are not
 * used twice, so deletion leaves dead ones behind until growth, if only of the same size. */
bool shared_should_grow(const struct gomap_shared *s, const struct shared_table *t)
{
	return gomap_shared_len(s) > 13 * (t->n / 2) ||
	       __atomic_load_n(&t->overflows, __ATOMIC_RELAXED) >= t->n;
}

/* Puts a new array before t, unless somebody else does. False with errno ENOMEM. */
bool shared_start_growth(struct gomap_shared *s, struct shared_table *t)
{
	uint32_t idle = 0;
	if (!__atomic_compare_exchange_n(&s->growing, &idle, 1, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_RELAXED))
		return true;
	bool ok = true;
	if (__atomic_load_n(&s->table, __ATOMIC_ACQUIRE) == t &&
	    !__atomic_load_n(&t->old, __ATOMIC_ACQUIRE)) {
		bool bigger = gomap_shared_len(s) > 13 * (t->n / 2);
		struct shared_table *grown = shared_table_new(bigger ? t->n * 2 : t->n);
		ok = grown != NULL;
		if (grown) {
			grown->old = t;
			/* release: who finds the array finds old and the zeroed buckets */
			__atomic_store_n(&s->table, grown, __ATOMIC_RELEASE);
		} else {
			errno = ENOMEM;
		}
	}
	__atomic_store_n(&s->growing, 0, __ATOMIC_RELEASE);
	return ok;
}

/* Where evacuation writes: a chain of the new array that nobody else looks at yet. */
struct shared_half {
	struct shared_bucket *home, *last;
	unsigned slot;
};

static bool move_slot(struct shared_table *t, struct shared_half *to, const struct shared_bucket *b,
		      unsigned i, uint8_t top)
{
	if (to->slot == GOMAP_SLOTS) {
		struct shared_bucket *more = shared_overflow_new();
		if (!more)
			return false;
		__atomic_fetch_add(&t->overflows, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&to->last->overflow, more, __ATOMIC_RELAXED);
		to->last = more;
		to->slot = 0;
	}
	uint64_t key = __atomic_load_n(&b->keys[i], __ATOMIC_RELAXED);
	uint64_t elem = __atomic_load_n(&b->elems[i], __ATOMIC_RELAXED);
	__atomic_store_n(&to->last->keys[to->slot], key, __ATOMIC_RELAXED);
	__atomic_store_n(&to->last->elems[to->slot], elem, __ATOMIC_RELAXED);
	set_top(to->last, to->slot, top);
	to->slot++;
	return true;
}

/* Takes back what an evacuation without memory has begun. */
static void undo_half(struct shared_table *t, struct shared_half *half)
{
	if (!half->home)
		return;
	struct shared_bucket *b = half->home->overflow;
	while (b) {
		struct shared_bucket *next = b->overflow;
		node_free(b, sizeof(*b));
		__atomic_fetch_sub(&t->overflows, 1, __ATOMIC_RELAXED);
		b = next;
	}
	__atomic_store_n(&half->home->overflow, NULL, __ATOMIC_RELAXED);
	__atomic_store_n(&half->home->tops, 0, __ATOMIC_RELAXED);
}

static bool copy_chain(struct gomap_shared *s, struct shared_table *t, struct shared_table *o,
		       size_t i)
{
	struct shared_half halves[2] = {{&t->buckets[i], &t->buckets[i], 0}, {NULL, NULL, 0}};
	if (t->n > o->n)
		halves[1].home = halves[1].last = &t->buckets[i + o->n];
	for (struct shared_bucket *b = &o->buckets[i]; b; b = overflow_of(b)) {
		uint64_t tops = __atomic_load_n(&b->tops, __ATOMIC_ACQUIRE);
		for (unsigned slot = 0; slot < GOMAP_SLOTS; ++slot) {
			uint8_t top = top_of(tops, slot);
			if (top < GOMAP_MIN_TOP)
				continue;
			unsigned y = 0;
			if (halves[1].home) {
				uint64_t key = __atomic_load_n(&b->keys[slot], __ATOMIC_RELAXED);
				uint64_t hash = shared_hash(s, word_bytes(&key, key_is_pointer(s)));
				y = (hash & o->n) != 0;
			}
			if (!move_slot(t, &halves[y], b, slot, top)) {
				undo_half(t, &halves[0]);
				undo_half(t, &halves[1]);
				return false;
			}
		}
	}
	return true;
}

/* Hands what only the old chain refers to over to reclamation: dead keys, overflow buckets. */
static void retire_chain(struct gomap_shared *s, struct epoch_thread *self,
			 struct shared_bucket *home)
{
	for (struct shared_bucket *b = home; b;) {
		uint64_t tops = __atomic_load_n(&b->tops, __ATOMIC_RELAXED);
		for (unsigned i = 0; key_is_pointer(s) && i < GOMAP_SLOTS; ++i) {
			if (top_of(tops, i) == GOMAP_EMPTY_ONE)
				epoch_retire(self, (void *)(uintptr_t)b->keys[i],
					     s->shape.key_size);
		}
		struct shared_bucket *next = overflow_of(b);
		if (b != home)
			epoch_retire(self, b, sizeof(*b));
		b = next;
	}
}

/* Old bucket i is evacuated when this returns true, by this thread or another. */
static bool evacuate_bucket(struct gomap_shared *s, struct epoch_thread *self,
			    struct shared_table *t, struct shared_table *o, size_t i)
{
	struct shared_bucket *b = &o->buckets[i];
	unsigned spins = 0;
	for (;;) {
		uint32_t state = state_of(b);
		if (state == BUCKET_EVACUATED)
			return true;
		/* acquire: the copy begins after the last writer's stores */
		if (state == BUCKET_DIRTY &&
		    __atomic_compare_exchange_n(&b->state, &state, BUCKET_OLD, false,
						__ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			break;
		shared_relax(&spins);
	}
	if (!copy_chain(s, t, o, i)) {
		__atomic_store_n(&b->state, BUCKET_DIRTY, __ATOMIC_RELEASE);
		errno = ENOMEM;
		return false;
	}
	/* release: who sees this state finds the copy */
	__atomic_store_n(&b->state, BUCKET_EVACUATED, __ATOMIC_RELEASE);
	retire_chain(s, self, b);
	if (__atomic_add_fetch(&o->evacuated, 1, __ATOMIC_ACQ_REL) == o->n) {
		/* release, after acquiring all the others' copies: who finds no old array finds
		 * everything in the new one */
		__atomic_store_n(&t->old, NULL, __ATOMIC_RELEASE);
		epoch_retire(self, o->buckets, o->n * sizeof(*o->buckets));
		epoch_retire(self, o, sizeof(*o));
	}
	return true;
}

/* A write's share of growth: the old bucket of hash, and one more in turn. */
bool shared_evacuate_for(struct gomap_shared *s, struct epoch_thread *self, struct shared_table *t,
			 uint64_t hash)
{
	struct shared_table *o = __atomic_load_n(&t->old, __ATOMIC_ACQUIRE);
	if (!o)
		return true;
	if (!evacuate_bucket(s, self, t, o, hash & (o->n - 1)))
		return false;
	if (!__atomic_load_n(&t->old, __ATOMIC_ACQUIRE))
		return true;
	/* Round and round, for a bucket may have been left behind for want of memory. Without
	 * memory for this one the write itself can still go on. */
	size_t i = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED) & (o->n - 1);
	if (state_of(&o->buckets[i]) == BUCKET_DIRTY) {
		int saved = errno;
		(void)!evacuate_bucket(s, self, t, o, i);
		errno = saved;
	}
	return true;
}
