/*
 * The parts of a shared map that its files share: buckets, arrays, the states of a bucket.
 */
#ifndef GOMAP_SHARED_TABLE_H
#define GOMAP_SHARED_TABLE_H

#include "epoch.h"
#include "internal.h"

/* The states of a bucket, in the low bits of state; they only go forward. See shared.c. */
enum {
	BUCKET_LOCKED = 1, /* a writer is in it; only while dirty */
	BUCKET_DIRTY = 0, /* in use */
	BUCKET_OLD = 2, /* frozen: being copied to the new array */
	BUCKET_EVACUATED = 4, /* copied; the new array has its entries */
};

/* A slot is empty, then live, then perhaps dead: never used twice. tophash says which: 0, a hash's
 * top byte, GOMAP_EMPTY_ONE. Keys and elements of up to eight bytes stand in their word, larger
 * ones in memory of their own that does not change once it is published. All words are atomic. */
struct shared_bucket {
	uint64_t tops;
	uint32_t state; /* of the first bucket of a chain */
	uint32_t unused;
	uint64_t keys[GOMAP_SLOTS], elems[GOMAP_SLOTS];
	struct shared_bucket *overflow;
};

struct shared_table {
	struct shared_bucket *buckets;
	struct shared_table *old; /* atomic; NULL when all of it is evacuated */
	size_t n; /* buckets, a power of two */
	size_t overflows; /* atomic: buckets in chains */
	size_t next; /* atomic: old buckets to help with are handed out in order */
	size_t evacuated; /* atomic: how many of this table's own buckets are */
};

enum { COUNTERS = 16 }; /* counting does not make threads wait for one cache line */

struct gomap_shared {
	struct shared_table *table; /* atomic */
	uint32_t growing; /* atomic: somebody allocates a new array */
	const struct gomap_type *type;
	struct gomap_shape shape;
	struct gomap_seed seed;
	struct {
		int64_t n;
		char pad[56];
	} counts[COUNTERS];
};

static inline bool key_is_pointer(const struct gomap_shared *s)
{
	return s->shape.key_size > sizeof(uint64_t);
}

static inline bool elem_is_pointer(const struct gomap_shared *s)
{
	return s->shape.elem_size > sizeof(uint64_t);
}

static inline uint8_t top_of(uint64_t tops, unsigned i)
{
	return (uint8_t)(tops >> (i * 8));
}

static inline uint32_t state_of(const struct shared_bucket *b)
{
	return __atomic_load_n(&b->state, __ATOMIC_ACQUIRE);
}

static inline struct shared_bucket *overflow_of(const struct shared_bucket *b)
{
	return __atomic_load_n(&b->overflow, __ATOMIC_ACQUIRE);
}

/* Only the holder of the bucket changes tops, a byte at a time as far as readers can tell. */
static inline void set_top(struct shared_bucket *b, unsigned i, uint8_t top)
{
	uint64_t tops = __atomic_load_n(&b->tops, __ATOMIC_RELAXED);
	tops = (tops & ~(UINT64_C(0xff) << (i * 8))) | (uint64_t)top << (i * 8);
	__atomic_store_n(&b->tops, tops, __ATOMIC_RELEASE);
}

/* Where a key's value lies: in the word itself, or behind it. */
static inline const void *word_bytes(const uint64_t *word, bool pointer)
{
	return pointer ? (const void *)(uintptr_t)*word : (const void *)word;
}

/* A key as gomap_impl_hash wants it does not depend on where it lies. */
static inline uint64_t shared_hash(const struct gomap_shared *s, const void *key)
{
	return gomap_impl_hash(&s->shape, key, &s->seed);
}

/* shared_grow.c */
HIDDEN struct shared_table *shared_table_new(size_t n);
HIDDEN void shared_table_free(struct gomap_shared *s, struct shared_table *t);
HIDDEN struct shared_bucket *shared_overflow_new(void);
HIDDEN bool shared_evacuate_for(struct gomap_shared *s, struct epoch_thread *self,
				struct shared_table *t, uint64_t hash);
HIDDEN bool shared_start_growth(struct gomap_shared *s, struct shared_table *t);
HIDDEN bool shared_should_grow(const struct gomap_shared *s, const struct shared_table *t);
HIDDEN void shared_relax(unsigned *spins);

static inline void *node_new(size_t size)
{
	return gomap_default_allocator.alloc(NULL, size);
}

static inline void node_free(void *p, size_t size)
{
	if (p)
		gomap_default_allocator.free(NULL, p, size);
}

#endif
