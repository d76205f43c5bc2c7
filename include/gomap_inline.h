/*
 * The fast paths of gomap.h, and the typed interface that inlines them. Included by gomap.h; the
 * names with impl in them may change with any version.
 *
 * Typed maps
 * ----------
 * GOMAP_DEFINE_INT(name, K, V)      K an integer or pointer type of four or eight bytes
 * GOMAP_DEFINE_STRING(name, V)      keys are struct gomap_string, whose bytes the caller keeps
 * GOMAP_DEFINE(name, K, V, hash, equal, flags)    any K, as GOMAP_TYPE
 *
 * define, for a handle type struct name that mixes with no other:
 *
 *     struct name *name_new(size_t hint);           void name_free(struct name *m);
 *     size_t name_len(const struct name *m);        struct gomap *name_map(const struct name *m);
 *     V *name_find(const struct name *m, K key);    bool name_get(m, K key, V *ret_elem);
 *     V *name_assign(struct name *m, K key);        bool name_put(m, K key, V elem);
 *     bool name_delete(struct name *m, K key);      bool name_clear(struct name *m);
 *     bool name_next(struct gomap_iter *it, const K **ret_key, V **ret_elem);
 *
 * They do what the gomap_ function of that name does, with the same rules for NULL, ownership,
 * threads and errors; name_map gives the map to the other gomap_ functions:
 *
 *     struct gomap_iter it;
 *     const uint64_t *key;
 *     int *elem;
 *     gomap_iter_init(&it, ages_map(m));
 *     while (ages_next(&it, &key, &elem))
 *             printf("%" PRIu64 " %d\n", *key, *elem);
 *
 * Detection
 * ---------
 * Go has one plain flag, hashWriting: a writer looks whether it is set, sets it, works, looks
 * whether it is still set, clears it. Two writers can look at the same moment and both go on; a
 * reader that looked just before a write began never learns of it; and nothing says who set it.
 *
 * Here a writer takes the map by an atomic step, and a reader looks before and after:
 *
 * writer  thread id, sequence number, busy bit. Taken by compare-and-swap: of two writers one
 *         fails, and so sees the other. An unlocked exchange costs about 4 ns, and most maps are
 *         written by one thread only. Hence:
 * bias    the thread that wrote first owns the map: it marks its writes in turn (odd: busy) with
 *         plain stores, and looks at bias after the store. Another thread that wants to write
 *         takes writer, marks bias as revoked, and makes each processor pass a barrier
 *         (membarrier(2)); then either it sees the odd turn, or the owner sees the revocation
 *         and goes the way of everyone else. From then on the map has no owner.
 * readers note writer and turn, refuse if one is busy, read, and compare: a write that overlapped
 *         the read, even one that began and ended inside it, has changed one of them. No store,
 *         so readers do not disturb each other. Where a reader is about to follow a pointer that
 *         it found in the map, it compares first.
 * site    where the writer was called from, what it does, and the low bits of its turn or
 *         sequence number, so that a reader of it knows whose it is.
 *
 * What is exact: the operation that observes a change of writer or turn overlapped that write, so
 * there are no false reports; and whoever sees any byte that an overlapping write stored sees that
 * change too, so no read returns a mixture unnoticed. The limits: what a caller does through a
 * pointer after the call is not watched. A read whose thread is stopped between a comparison and
 * the access after it, for so long that the map gives the memory back to the system meanwhile,
 * dies of SIGSEGV instead of the report.
 */
#ifndef GOMAP_INLINE_H
#define GOMAP_INLINE_H

#include "gomap.h"

#include <errno.h>
#include <string.h>
#if defined(__SSE2__) && !defined(GOMAP_IMPL_PORTABLE)
#define GOMAP_IMPL_SSE2 1
#include <emmintrin.h>
#else
#define GOMAP_IMPL_SSE2 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define GOMAP_INLINE inline __attribute__((always_inline, unused))
#define GOMAP_LIKELY(x) __builtin_expect(!!(x), 1)
#define GOMAP_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* ThreadSanitizer does not know fences; on amd64 these two compile to nothing anyway. */
#if defined(__SANITIZE_THREAD__)
#define GOMAP_FENCE(order) __atomic_signal_fence(order)
#else
#define GOMAP_FENCE(order) __atomic_thread_fence(order)
#endif

/* Loads of one word that another thread may be storing. On amd64 every load is an acquire, and GCC
 * makes better code of a volatile access and a compiler barrier than of its own builtins. */
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define GOMAP_LOAD(p) (*(const volatile __typeof__(*(p)) *)(p))
#define GOMAP_LOAD_ACQUIRE(p)                            \
	(__extension__({                                 \
		__typeof__(*(p)) value_ = GOMAP_LOAD(p); \
		__atomic_signal_fence(__ATOMIC_ACQUIRE); \
		value_;                                  \
	}))
#else
#define GOMAP_LOAD(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define GOMAP_LOAD_ACQUIRE(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#endif

/* An address inside the function that this is expanded in. */
#if defined(__x86_64__)
#define GOMAP_HERE                                         \
	(__extension__({                                   \
		void *here_;                               \
		__asm__("lea 0(%%rip), %0" : "=r"(here_)); \
		here_;                                     \
	}))
#elif defined(__aarch64__)
#define GOMAP_HERE                                  \
	(__extension__({                            \
		void *here_;                        \
		__asm__("adr %0, ." : "=r"(here_)); \
		here_;                              \
	}))
#else
void *gomap_impl_here(void);
#define GOMAP_HERE gomap_impl_here()
#endif

/* ---- hash -------------------------------------------------------------------------------- */

__extension__ typedef unsigned __int128 gomap_impl_u128;

/* wyhash's step: all bits of the product of two words. */
static GOMAP_INLINE uint64_t gomap_impl_mix(uint64_t a, uint64_t b)
{
	gomap_impl_u128 product = (gomap_impl_u128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static GOMAP_INLINE uint64_t gomap_impl_hash64(uint64_t key, const struct gomap_seed *seed)
{
	return gomap_impl_mix(gomap_impl_mix(key ^ seed->a, seed->b) ^ seed->b,
			      UINT64_C(0x9e3779b97f4a7c15));
}

static GOMAP_INLINE uint64_t gomap_impl_load32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static GOMAP_INLINE uint64_t gomap_impl_load64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

/* Up to 16 bytes here, more by gomap_hash_bytes, which gives the same value. */
static GOMAP_INLINE uint64_t gomap_impl_hash_short(const char *p, size_t n,
						   const struct gomap_seed *seed)
{
	uint64_t a = 0, b = 0;
	if (n >= 8) {
		a = gomap_impl_load64(p);
		b = gomap_impl_load64(p + n - 8);
	} else if (n >= 4) {
		a = gomap_impl_load32(p);
		b = gomap_impl_load32(p + n - 4);
	} else if (n > 0) {
		a = (uint64_t)(unsigned char)p[0] << 16 | (uint64_t)(unsigned char)p[n / 2] << 8 |
		    (unsigned char)p[n - 1];
	}
	return gomap_impl_mix(gomap_impl_mix(a ^ seed->a, b ^ seed->b) ^ n,
			      seed->a ^ UINT64_C(0x9e3779b97f4a7c15));
}

static GOMAP_INLINE uint64_t gomap_impl_hash(const struct gomap_shape *s, const void *key,
					     const struct gomap_seed *seed)
{
	struct gomap_string str;
	switch (s->kind) {
	case GOMAP_INT32:
		return gomap_impl_hash64(gomap_impl_load32(key), seed);
	case GOMAP_INT64:
		return gomap_impl_hash64(gomap_impl_load64(key), seed);
	case GOMAP_STRING:
		memcpy(&str, key, sizeof(str));
		if (str.len <= 16)
			return gomap_impl_hash_short(str.ptr, str.len, seed);
		return gomap_hash_bytes(str.ptr, str.len, seed);
	default:
		return s->hash(key, seed);
	}
}

static GOMAP_INLINE bool gomap_impl_equal(const struct gomap_shape *s, const void *a, const void *b)
{
	struct gomap_string x, y;
	switch (s->kind) {
	case GOMAP_INT32:
		return gomap_impl_load32(a) == gomap_impl_load32(b);
	case GOMAP_INT64:
		return gomap_impl_load64(a) == gomap_impl_load64(b);
	case GOMAP_STRING:
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return x.len == y.len &&
		       (x.ptr == y.ptr || x.len == 0 || memcmp(x.ptr, y.ptr, x.len) == 0);
	default:
		return s->equal(a, b);
	}
}

/* ---- detection --------------------------------------------------------------------------- */

/* The kernel's id of this thread once it has written to a map, else 0. */
extern __thread uint32_t gomap_impl_tid __attribute__((tls_model("initial-exec")));

enum {
	/* writer, from bit 0: GOMAP_BUSY, the sequence number, the thread id */
	GOMAP_BUSY = 1, /* turn is odd while busy, so one test tells of both */
	GOMAP_SEQ_BITS = 41,
	GOMAP_TID_BITS = 22, /* the kernel's PID_MAX_LIMIT, 4 M */
	/* site, from bit 0: enum gomap_op, whether the hold is by bias, the address, the tag */
	GOMAP_OP_BITS = 3,
	GOMAP_PC_BITS = 48, /* user addresses of amd64 and arm64 without the hints for more */
	GOMAP_TAG_BITS = 12,
};

#define GOMAP_BIAS_NONE UINT32_C(0xffffffff) /* nobody has written yet */
#define GOMAP_BIAS_REVOKED (UINT32_C(1) << 31) /* beside the first writer's thread id */

/* How a write has taken the map. */
enum gomap_impl_hold { GOMAP_REFUSED, GOMAP_HELD_BY_BIAS, GOMAP_HELD_BY_WRITER };

/* A write under way. */
struct gomap_impl_write {
	enum gomap_impl_hold hold;
	uint64_t turn; /* GOMAP_HELD_BY_BIAS: the even turn before it */
};

/* What a reader saw before it began. */
struct gomap_impl_seen {
	uint64_t writer, turn;
};

/* The slow ways: take the map where it is not ours, report what was seen. The library's. */
enum gomap_impl_hold gomap_impl_take(struct gomap *m, enum gomap_op op, const void *key, void *site)
	__attribute__((cold));
void gomap_impl_conflict(const struct gomap *m, enum gomap_op op, const void *key, void *site)
	__attribute__((cold));
void gomap_impl_conflict_go(const struct gomap *m, enum gomap_op op, const void *key, void *site)
	__attribute__((cold));

/* A copy of a small key for the slow ways, so that the key itself can stay in registers. */
static GOMAP_INLINE const void *gomap_impl_key_copy(const struct gomap_shape *s, const void *key,
						    struct gomap_string *room)
{
	if (!key || s->kind == GOMAP_OTHER)
		return key;
	return memcpy(room, key, s->key_size);
}

static GOMAP_INLINE void gomap_impl_set_site(struct gomap *m, enum gomap_op op,
					     enum gomap_impl_hold hold, uint64_t tag, void *site)
{
	uint64_t word = (uint64_t)op | (uint64_t)(hold == GOMAP_HELD_BY_BIAS) << GOMAP_OP_BITS |
			(uint64_t)site << (GOMAP_OP_BITS + 1) | tag << (64 - GOMAP_TAG_BITS);
	__atomic_store_n(&m->site, word, __ATOMIC_RELAXED);
}

/* False where the write is refused. */
static GOMAP_INLINE bool gomap_impl_begin_write(struct gomap *m, const struct gomap_shape *s,
						enum gomap_op op, const void *key, void *site,
						struct gomap_impl_write *ret)
{
	struct gomap_string room;
#if GOMAP_DETECT == GOMAP_DETECT_EXACT
	uint32_t self = gomap_impl_tid;
	ret->hold = GOMAP_REFUSED;
	ret->turn = GOMAP_LOAD(&m->turn);
	if (GOMAP_LIKELY(GOMAP_LOAD(&m->bias) == self)) {
		if (GOMAP_UNLIKELY(ret->turn & 1)) {
			/* our own write is under way: a callback of the type uses the map */
			gomap_impl_conflict(m, op, gomap_impl_key_copy(s, key, &room), site);
			return false;
		}
		__atomic_store_n(&m->turn, ret->turn + 1, __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the other half is membarrier */
		if (GOMAP_LIKELY(GOMAP_LOAD(&m->bias) == self)) {
			gomap_impl_set_site(m, op, GOMAP_HELD_BY_BIAS, ret->turn + 1, site);
			ret->hold = GOMAP_HELD_BY_BIAS;
		} else {
			__atomic_store_n(&m->turn, ret->turn, __ATOMIC_RELEASE);
		}
	}
	if (GOMAP_UNLIKELY(!ret->hold)) {
		ret->hold = gomap_impl_take(m, op, gomap_impl_key_copy(s, key, &room), site);
		if (!ret->hold)
			return false;
	}
	m->flags |= GOMAP_HASH_WRITING;
	GOMAP_FENCE(__ATOMIC_RELEASE); /* turn or writer before any change of the map */
	return true;
#elif GOMAP_DETECT == GOMAP_DETECT_GO
	(void)ret;
	if (GOMAP_UNLIKELY(*(volatile uint8_t *)&m->flags & GOMAP_HASH_WRITING)) {
		gomap_impl_conflict_go(m, op, gomap_impl_key_copy(s, key, &room), site);
		return false;
	}
	m->flags ^= GOMAP_HASH_WRITING;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return true;
#else
	(void)m, (void)s, (void)op, (void)key, (void)site, (void)ret, (void)room;
	return true;
#endif
}

static GOMAP_INLINE void gomap_impl_end_write(struct gomap *m, const struct gomap_shape *s,
					      const struct gomap_impl_write *write,
					      enum gomap_op op, const void *key, void *site)
{
#if GOMAP_DETECT == GOMAP_DETECT_EXACT
	(void)s, (void)op, (void)key, (void)site;
	m->flags &= (uint8_t)~GOMAP_HASH_WRITING;
	if (GOMAP_LIKELY(write->hold == GOMAP_HELD_BY_BIAS))
		__atomic_store_n(&m->turn, write->turn + 2, __ATOMIC_RELEASE);
	else
		__atomic_store_n(&m->writer,
				 __atomic_load_n(&m->writer, __ATOMIC_RELAXED) &
					 ~(uint64_t)GOMAP_BUSY,
				 __ATOMIC_RELEASE);
#elif GOMAP_DETECT == GOMAP_DETECT_GO
	struct gomap_string room;
	(void)write;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (GOMAP_UNLIKELY(!(*(volatile uint8_t *)&m->flags & GOMAP_HASH_WRITING)))
		gomap_impl_conflict_go(m, op, gomap_impl_key_copy(s, key, &room), site);
	m->flags &= (uint8_t)~GOMAP_HASH_WRITING;
#else
	(void)m, (void)s, (void)write, (void)op, (void)key, (void)site;
#endif
}

/* False where a write is under way. */
static GOMAP_INLINE bool gomap_impl_begin_read(const struct gomap *m, struct gomap_impl_seen *seen)
{
#if GOMAP_DETECT == GOMAP_DETECT_EXACT
	seen->writer = GOMAP_LOAD_ACQUIRE(&m->writer);
	seen->turn = GOMAP_LOAD_ACQUIRE(&m->turn);
	return GOMAP_LIKELY(!((seen->writer | seen->turn) & GOMAP_BUSY));
#elif GOMAP_DETECT == GOMAP_DETECT_GO
	(void)seen;
	return GOMAP_LIKELY(!(*(const volatile uint8_t *)&m->flags & GOMAP_HASH_WRITING));
#else
	(void)m, (void)seen;
	return true;
#endif
}

/* False where a write has begun since gomap_impl_begin_read. seen is NULL for writers. */
static GOMAP_INLINE bool gomap_impl_unchanged(const struct gomap *m,
					      const struct gomap_impl_seen *seen)
{
#if GOMAP_DETECT == GOMAP_DETECT_EXACT
	if (!seen)
		return true;
	GOMAP_FENCE(__ATOMIC_ACQUIRE);
	return GOMAP_LIKELY(GOMAP_LOAD(&m->writer) == seen->writer) &&
	       GOMAP_LIKELY(GOMAP_LOAD(&m->turn) == seen->turn);
#else
	(void)m, (void)seen;
	return true;
#endif
}

/* Reports what begin_read or unchanged has seen. */
static GOMAP_INLINE void gomap_impl_refuse_read(const struct gomap *m, const struct gomap_shape *s,
						enum gomap_op op, const void *key, void *site)
{
	struct gomap_string room;
#if GOMAP_DETECT == GOMAP_DETECT_EXACT
	gomap_impl_conflict(m, op, gomap_impl_key_copy(s, key, &room), site);
#else
	gomap_impl_conflict_go(m, op, gomap_impl_key_copy(s, key, &room), site);
#endif
}

/* ---- buckets ----------------------------------------------------------------------------- */

enum {
	GOMAP_SLOTS = 8, /* of a bucket */
	/* tophash values, go1.23 runtime/map.go */
	GOMAP_EMPTY_REST = 0, /* empty, and so is all that follows in the chain */
	GOMAP_EMPTY_ONE = 1,
	GOMAP_EVACUATED_X = 2, /* the entry went to the first half of the new array */
	GOMAP_EVACUATED_Y = 3, /* ... to the second half */
	GOMAP_EVACUATED_EMPTY = 4,
	GOMAP_MIN_TOP = 5,
};

#define GOMAP_BYTES(c) (UINT64_C(0x0101010101010101) * (c))

static GOMAP_INLINE uint64_t gomap_impl_top(uint64_t hash)
{
	uint64_t top = hash >> 56;
	return top < GOMAP_MIN_TOP ? top + GOMAP_MIN_TOP : top;
}

static GOMAP_INLINE size_t gomap_impl_bucket_size(const struct gomap_shape *s)
{
	return GOMAP_SLOTS + (size_t)GOMAP_SLOTS * (s->key_slot + s->elem_slot) + sizeof(char *);
}

static GOMAP_INLINE char *gomap_impl_load_pointer(const void *p)
{
	char *v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static GOMAP_INLINE char *gomap_impl_overflow(const struct gomap_shape *s, const char *bucket)
{
	return gomap_impl_load_pointer(bucket + gomap_impl_bucket_size(s) - sizeof(char *));
}

static GOMAP_INLINE char *gomap_impl_key_slot(const struct gomap_shape *s, char *bucket, size_t i)
{
	return bucket + GOMAP_SLOTS + i * s->key_slot;
}

static GOMAP_INLINE char *gomap_impl_elem_slot(const struct gomap_shape *s, char *bucket, size_t i)
{
	return bucket + GOMAP_SLOTS + (size_t)GOMAP_SLOTS * s->key_slot + i * s->elem_slot;
}

/* The key in a slot, through its pointer where it is indirect. */
static GOMAP_INLINE char *gomap_impl_key(const struct gomap_shape *s, char *bucket, size_t i)
{
	char *slot = gomap_impl_key_slot(s, bucket, i);
	return s->flags & GOMAP_INDIRECT_KEY ? gomap_impl_load_pointer(slot) : slot;
}

static GOMAP_INLINE char *gomap_impl_elem(const struct gomap_shape *s, char *bucket, size_t i)
{
	char *slot = gomap_impl_elem_slot(s, bucket, i);
	return s->flags & GOMAP_INDIRECT_ELEM ? gomap_impl_load_pointer(slot) : slot;
}

/* The high bit of each byte of w that is zero. Above a zero byte, a byte of 1 is marked too:
 * callers see to it that this does no harm. */
static GOMAP_INLINE uint64_t gomap_impl_zero_bytes(uint64_t w)
{
	return (w - GOMAP_BYTES(0x01)) & ~w & GOMAP_BYTES(0x80);
}

/* Whether a byte of w is zero. Exact, as the lowest marked byte always is. */
static GOMAP_INLINE bool gomap_impl_has_zero_byte(uint64_t w)
{
	return gomap_impl_zero_bytes(w) != 0;
}

/* The eight tophash bytes of a bucket, and sets of its slots: one bit a slot from
 * GOMAP_SLOT_STEP * slot on, lowest slot lowest. */
#if GOMAP_IMPL_SSE2
typedef __m128i gomap_impl_tops;
typedef unsigned gomap_impl_slots;
enum { GOMAP_SLOT_STEP = 1, GOMAP_ALL_SLOTS = 0xff };

static GOMAP_INLINE gomap_impl_tops gomap_impl_load_tops(const char *bucket)
{
	return _mm_loadl_epi64((const __m128i *)(const void *)bucket);
}

/* The slots whose byte is c. */
static GOMAP_INLINE gomap_impl_slots gomap_impl_match(gomap_impl_tops tops, uint64_t c)
{
	__m128i pattern = _mm_cvtsi64_si128((int64_t)GOMAP_BYTES(c));
	return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(tops, pattern)) & GOMAP_ALL_SLOTS;
}

/* Those that are emptyRest or emptyOne. */
static GOMAP_INLINE gomap_impl_slots gomap_impl_empty(gomap_impl_tops tops)
{
	__m128i ones = _mm_set1_epi8(GOMAP_EMPTY_ONE);
	__m128i same = _mm_cmpeq_epi8(_mm_min_epu8(tops, ones), tops);
	return (unsigned)_mm_movemask_epi8(same) & GOMAP_ALL_SLOTS;
}

static GOMAP_INLINE bool gomap_impl_has_empty_rest(gomap_impl_tops tops)
{
	return gomap_impl_match(tops, GOMAP_EMPTY_REST) != 0;
}

/* A set of slots as eight bits. */
static GOMAP_INLINE uint8_t gomap_impl_slot_bits(gomap_impl_slots slots)
{
	return (uint8_t)slots;
}
#else
typedef uint64_t gomap_impl_tops, gomap_impl_slots;
enum { GOMAP_SLOT_STEP = 8 };

static GOMAP_INLINE gomap_impl_tops gomap_impl_load_tops(const char *bucket)
{
	uint64_t tops = gomap_impl_load64(bucket);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	tops = __builtin_bswap64(tops);
#endif
	return tops;
}

/* The slots whose byte is c, and perhaps some above one of these whose byte differs from c by one
 * bit. */
static GOMAP_INLINE gomap_impl_slots gomap_impl_match(gomap_impl_tops tops, uint64_t c)
{
	return gomap_impl_zero_bytes(tops ^ GOMAP_BYTES(c));
}

/* Those that are emptyRest or emptyOne. Exact: 0x7e + b carries into the high bit from b = 2 on,
 * once b's own high bit is out of the way. */
static GOMAP_INLINE gomap_impl_slots gomap_impl_empty(gomap_impl_tops tops)
{
	uint64_t low = tops & GOMAP_BYTES(0x7f);
	return ~((low + GOMAP_BYTES(0x7e)) | tops) & GOMAP_BYTES(0x80);
}

static GOMAP_INLINE bool gomap_impl_has_empty_rest(gomap_impl_tops tops)
{
	return gomap_impl_has_zero_byte(tops);
}

/* A set of slots as eight bits: the product brings bit 8 * i to 56 + i, and no two together. */
static GOMAP_INLINE uint8_t gomap_impl_slot_bits(gomap_impl_slots slots)
{
	return (uint8_t)((slots >> 7 & GOMAP_BYTES(1)) * UINT64_C(0x0102040810204080) >> 56);
}
#endif

static GOMAP_INLINE size_t gomap_impl_lowest(gomap_impl_slots slots)
{
	return (size_t)(sizeof(slots) == 4 ? __builtin_ctz((unsigned)slots)
					   : __builtin_ctzll(slots)) /
	       GOMAP_SLOT_STEP;
}

static GOMAP_INLINE bool gomap_impl_evacuated(const char *bucket)
{
	uint8_t top = (uint8_t)bucket[0];
	return top > GOMAP_EMPTY_ONE && top < GOMAP_MIN_TOP;
}

/* The bucket that hash is in now: while growing, the old one unless it is evacuated. NULL in a map
 * that has no buckets yet.
 * mask is loaded first and stored last, and arrays only get larger: whatever mixture of old and
 * new an unlocked reader sees here, its index is inside the array. */
static GOMAP_INLINE char *gomap_impl_home(const struct gomap *m, const struct gomap_shape *s,
					  uint64_t hash)
{
	size_t size = gomap_impl_bucket_size(s);
	uintptr_t mask = GOMAP_LOAD_ACQUIRE(&m->mask);
	char *old = GOMAP_LOAD(&m->oldbuckets);
	if (GOMAP_UNLIKELY(old != NULL)) {
		size_t i = hash & (m->flags & GOMAP_SAME_SIZE_GROW ? mask : mask >> 1);
		if (i >= GOMAP_LOAD(&m->nevacuate) && !gomap_impl_evacuated(old + i * size))
			return old + i * size;
	}
	char *buckets = GOMAP_LOAD(&m->buckets);
	return buckets ? buckets + (hash & mask) * size : NULL;
}

/* Brings the rest of a bucket into the cache while its tophash bytes are on their way: keys and elements
 * lie in other lines, and would be asked for one miss later. Beyond three lines the right one is a guess. */
static GOMAP_INLINE void gomap_impl_fetch(const struct gomap_shape *s, const char *bucket)
{
	size_t size = gomap_impl_bucket_size(s);
	if (size > 64)
		__builtin_prefetch(bucket + 64);
	if (size > 128)
		__builtin_prefetch(bucket + 128);
}

/* Where a search has ended. bucket NULL: not there. */
struct gomap_impl_place {
	char *bucket;
	size_t slot;
	bool changed; /* a write was seen, what is found means nothing */
};

/* Searches the chain that begins at bucket. A slot that match marks wrongly has a byte that differs
 * from top by one bit, and is therefore a key's (only evacuatedEmpty is so near to the smallest
 * top, and no search enters an evacuated bucket): the comparison of keys puts it right. */
static GOMAP_INLINE struct gomap_impl_place
gomap_impl_search(const struct gomap *m, const struct gomap_shape *s, const void *key,
		  uint64_t hash, char *bucket, const struct gomap_impl_seen *seen)
{
	struct gomap_impl_place place = {NULL, 0, false};
	uint64_t top = gomap_impl_top(hash);
	bool follows = s->kind == GOMAP_STRING || s->kind == GOMAP_OTHER ||
		       (s->flags & GOMAP_INDIRECT_KEY);
	for (;;) {
		gomap_impl_tops tops = gomap_impl_load_tops(bucket);
		gomap_impl_slots match = gomap_impl_match(tops, top);
		for (; match; match &= match - 1) {
			size_t i = gomap_impl_lowest(match);
			const char *k = gomap_impl_key(s, bucket, i);
			if (follows && !gomap_impl_unchanged(m, seen)) {
				place.changed = true;
				return place;
			}
			if (gomap_impl_equal(s, key, k)) {
				place.bucket = bucket;
				place.slot = i;
				return place;
			}
		}
		if (GOMAP_LIKELY(gomap_impl_has_empty_rest(tops)))
			return place;
		bucket = gomap_impl_overflow(s, bucket);
		if (!bucket)
			return place;
		if (!gomap_impl_unchanged(m, seen)) {
			place.changed = true;
			return place;
		}
	}
}

/* ---- operations -------------------------------------------------------------------------- */

/* The parts that are rare or long, in the library. They run inside a write. */
bool gomap_impl_prepare(struct gomap *m, uint64_t hash) __attribute__((cold));
char *gomap_impl_insert_slow(struct gomap *m, uint64_t hash, const void *key, bool *ret_again)
	__attribute__((cold));
void gomap_impl_drop(struct gomap *m, char *home, char *bucket, size_t i);
void gomap_impl_emptied(struct gomap *m) __attribute__((cold));
bool gomap_impl_next_slow(struct gomap_iter *it, void *site);

/* gomap_find, or with ret gomap_get, which copies before the last look at the writer. */
static GOMAP_INLINE char *gomap_impl_find(const struct gomap *m, const struct gomap_shape *s,
					  const void *key, void *ret, void *site)
{
	struct gomap_impl_seen seen;
	uint64_t hash;
	char *home, *elem = NULL;
	if (GOMAP_UNLIKELY(!m))
		return NULL;
	if (GOMAP_UNLIKELY(!gomap_impl_begin_read(m, &seen)))
		goto refuse;
	hash = gomap_impl_hash(s, key, &m->seed);
	home = gomap_impl_home(m, s, hash);
	if (GOMAP_LIKELY(home != NULL)) {
		gomap_impl_fetch(s, home);
		struct gomap_impl_place at = gomap_impl_search(m, s, key, hash, home, &seen);
		if (GOMAP_UNLIKELY(at.changed))
			goto refuse;
		if (at.bucket) {
			elem = gomap_impl_elem(s, at.bucket, at.slot);
			if (ret) {
				if ((s->flags & GOMAP_INDIRECT_ELEM) &&
				    !gomap_impl_unchanged(m, &seen))
					goto refuse;
				memcpy(ret, elem, s->elem_size);
			}
		}
	}
	if (GOMAP_LIKELY(gomap_impl_unchanged(m, &seen)))
		return elem;
refuse:
	gomap_impl_refuse_read(m, s, GOMAP_READ, key, site);
	return NULL;
}

/* Finds or makes the slot of key and returns its element; NULL with errno ENOMEM. A new element is
 * zeroed where zero says so. */
static GOMAP_INLINE char *gomap_impl_slot_of(struct gomap *m, const struct gomap_shape *s,
					     const void *key, uint64_t hash, bool zero)
{
	for (;;) {
		if (GOMAP_UNLIKELY(!m->buckets || m->oldbuckets) && !gomap_impl_prepare(m, hash))
			return NULL;
		char *home = m->buckets + (hash & m->mask) * gomap_impl_bucket_size(s);
		gomap_impl_fetch(s, home);
		struct gomap_impl_place at = gomap_impl_search(m, s, key, hash, home, NULL);
		if (at.bucket) {
			if (s->flags & GOMAP_KEY_UPDATE)
				memcpy(gomap_impl_key(s, at.bucket, at.slot), key, s->key_size);
			return gomap_impl_elem(s, at.bucket, at.slot);
		}
		gomap_impl_slots empty = gomap_impl_empty(gomap_impl_load_tops(home));
		if (GOMAP_LIKELY(empty && (size_t)m->count < m->room &&
				 !(s->flags & (GOMAP_INDIRECT_KEY | GOMAP_INDIRECT_ELEM)))) {
			size_t slot = gomap_impl_lowest(empty);
			char *elem = gomap_impl_elem_slot(s, home, slot);
			memcpy(gomap_impl_key_slot(s, home, slot), key, s->key_size);
			if (zero)
				memset(elem, 0, s->elem_size);
			home[slot] = (char)gomap_impl_top(hash);
			++m->count;
			return elem;
		}
		bool again = false;
		struct gomap_string copy;
		char *elem =
			gomap_impl_insert_slow(m, hash, gomap_impl_key_copy(s, key, &copy), &again);
		if (!again)
			return elem;
	}
}

/* gomap_assign, or with elem gomap_put, which stores before the write is over. */
static GOMAP_INLINE char *gomap_impl_assign(struct gomap *m, const struct gomap_shape *s,
					    const void *key, const void *elem, void *site)
{
	struct gomap_impl_write write;
	if (GOMAP_UNLIKELY(!m)) {
		errno = EINVAL;
		return NULL;
	}
	uint64_t hash = gomap_impl_hash(s, key, &m->seed);
	if (GOMAP_UNLIKELY(!gomap_impl_begin_write(m, s, GOMAP_ASSIGN, key, site, &write)))
		return NULL;
	char *slot = gomap_impl_slot_of(m, s, key, hash, !elem);
	if (slot && elem)
		memcpy(slot, elem, s->elem_size);
	gomap_impl_end_write(m, s, &write, GOMAP_ASSIGN, key, site);
	return slot;
}

/* Empties slot i of bucket at once where that concerns no other bucket: something of it stays, or
 * it is the chain's only one, and what follows is empty. Empty slots at the end become emptyRest,
 * as gomap_impl_drop leaves them. False where nothing was done. */
static GOMAP_INLINE bool gomap_impl_drop_here(char *home, char *bucket, size_t i)
{
	gomap_impl_tops tops = gomap_impl_load_tops(bucket);
	if (GOMAP_UNLIKELY(!gomap_impl_has_empty_rest(tops)))
		return false;
	gomap_impl_slots bit = (gomap_impl_slots)(GOMAP_SLOT_STEP == 1 ? 1 : 0x80)
			       << (i * GOMAP_SLOT_STEP);
	gomap_impl_slots all = (gomap_impl_slots)(GOMAP_SLOT_STEP == 1 ? 0xff : GOMAP_BYTES(0x80));
	gomap_impl_slots used = ~gomap_impl_empty(tops) & all & ~bit;
	if (GOMAP_UNLIKELY(!used && bucket != home))
		return false;
	/* an empty slot is followed by an entry exactly where it is below the last one */
	if (used > bit) {
		bucket[i] = GOMAP_EMPTY_ONE;
		return true;
	}
	uint64_t bytes = gomap_impl_load64(bucket);
	unsigned last = used ? (63u - (unsigned)__builtin_clzll(used)) / GOMAP_SLOT_STEP + 1 : 0;
	bytes &= (UINT64_C(1) << (8 * last)) - 1; /* last is below 8: slot i is above it */
	memcpy(bucket, &bytes, sizeof(bytes));
	return true;
}

static GOMAP_INLINE bool gomap_impl_delete(struct gomap *m, const struct gomap_shape *s,
					   const void *key, void *ret_key, void *ret_elem,
					   void *site)
{
	struct gomap_impl_write write;
	if (GOMAP_UNLIKELY(!m)) {
		errno = EINVAL;
		return false;
	}
	uint64_t hash = gomap_impl_hash(s, key, &m->seed);
	if (GOMAP_UNLIKELY(!gomap_impl_begin_write(m, s, GOMAP_DELETE, key, site, &write)))
		return false;
	bool found = false;
	if (m->count != 0 &&
	    !(GOMAP_UNLIKELY(m->oldbuckets != NULL) && !gomap_impl_prepare(m, hash))) {
		char *home = m->buckets + (hash & m->mask) * gomap_impl_bucket_size(s);
		gomap_impl_fetch(s, home);
		struct gomap_impl_place at = gomap_impl_search(m, s, key, hash, home, NULL);
		found = at.bucket != NULL;
		if (found) {
			if (ret_key)
				memcpy(ret_key, gomap_impl_key(s, at.bucket, at.slot), s->key_size);
			if (ret_elem)
				memcpy(ret_elem, gomap_impl_elem(s, at.bucket, at.slot),
				       s->elem_size);
			if ((s->flags & (GOMAP_INDIRECT_KEY | GOMAP_INDIRECT_ELEM)) ||
			    !gomap_impl_drop_here(home, at.bucket, at.slot))
				gomap_impl_drop(m, home, at.bucket, at.slot);
			if (GOMAP_UNLIKELY(--m->count == 0))
				gomap_impl_emptied(m);
		}
	}
	gomap_impl_end_write(m, s, &write, GOMAP_DELETE, key, site);
	return found;
}

#define GOMAP_NO_CHECK UINTPTR_MAX /* in gomap_iter.check: take each entry of the bucket */

/* gomap_iter_next: the next entry of the bucket that the iterator is in, where it lies there
 * plainly, else the long way. */
static GOMAP_INLINE bool gomap_impl_next(struct gomap_iter *it, const struct gomap_shape *s,
					 void *site)
{
	const struct gomap *m = it->map;
	struct gomap_impl_seen seen;
	if (GOMAP_LIKELY(m && it->pending && it->check == GOMAP_NO_CHECK &&
			 it->clears == m->clears)) {
		unsigned i = ((unsigned)__builtin_ctz(it->pending) + it->offset) % GOMAP_SLOTS;
		if (GOMAP_UNLIKELY(!gomap_impl_begin_read(m, &seen)))
			goto refuse;
		if (GOMAP_LIKELY((uint8_t)it->bucket[i] >= GOMAP_MIN_TOP)) {
			const char *key = gomap_impl_key(s, it->bucket, i);
			char *elem = gomap_impl_elem(s, it->bucket, i);
			if (GOMAP_UNLIKELY(!gomap_impl_unchanged(m, &seen)))
				goto refuse;
			it->pending &= (uint8_t)(it->pending - 1);
			it->key = key;
			it->elem = elem;
			return true;
		}
	}
	return gomap_impl_next_slow(it, site);
refuse:
	gomap_impl_refuse_read(m, s, GOMAP_ITERATE, NULL, site);
	gomap_iter_done(it);
	return false;
}

/* ---- typed maps -------------------------------------------------------------------------- */

#define GOMAP_IMPL_INDIRECT(T) (sizeof(T) > 128 || GOMAP_ALIGNOF(T) > 8)
#define GOMAP_IMPL_SLOT(T) ((uint32_t)(GOMAP_IMPL_INDIRECT(T) ? sizeof(void *) : sizeof(T)))

#define GOMAP_IMPL_DEFINE(name, K, V, type_init, kind_, flags_, hash_, equal_)                     \
	struct name;                                                                               \
	static const struct gomap_type name##_type = type_init;                                    \
	static GOMAP_INLINE struct gomap_shape name##_impl_shape(void)                             \
	{                                                                                          \
		struct gomap_shape shape = {kind_,                                                 \
					    (flags_) | (GOMAP_IMPL_INDIRECT(K) ? 1u : 0u) |        \
						    (GOMAP_IMPL_INDIRECT(V) ? 2u : 0u),            \
					    sizeof(K),                                             \
					    sizeof(V),                                             \
					    GOMAP_IMPL_SLOT(K),                                    \
					    GOMAP_IMPL_SLOT(V),                                    \
					    hash_,                                                 \
					    equal_};                                               \
		return shape;                                                                      \
	}                                                                                          \
	static GOMAP_INLINE struct gomap *name##_map(const struct name *m)                         \
	{                                                                                          \
		return (struct gomap *)m;                                                          \
	}                                                                                          \
	static GOMAP_INLINE struct name *name##_new(size_t hint)                                   \
	{                                                                                          \
		return (struct name *)gomap_new(&name##_type, hint, NULL);                         \
	}                                                                                          \
	static GOMAP_INLINE void name##_free(struct name *m)                                       \
	{                                                                                          \
		gomap_free(name##_map(m));                                                         \
	}                                                                                          \
	static GOMAP_INLINE size_t name##_len(const struct name *m)                                \
	{                                                                                          \
		return gomap_len(name##_map(m));                                                   \
	}                                                                                          \
	static GOMAP_INLINE V *name##_find(const struct name *m, K key)                            \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		return (V *)gomap_impl_find(name##_map(m), &shape, &key, NULL, GOMAP_HERE);        \
	}                                                                                          \
	static GOMAP_INLINE bool name##_get(const struct name *m, K key, V *ret_elem)              \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		bool there = gomap_impl_find(name##_map(m), &shape, &key, ret_elem, GOMAP_HERE) != \
			     NULL;                                                                 \
		if (!there && ret_elem)                                                            \
			memset((void *)ret_elem, 0, sizeof(V));                                    \
		return there;                                                                      \
	}                                                                                          \
	static GOMAP_INLINE V *name##_assign(struct name *m, K key)                                \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		return (V *)gomap_impl_assign(name##_map(m), &shape, &key, NULL, GOMAP_HERE);      \
	}                                                                                          \
	static GOMAP_INLINE bool name##_put(struct name *m, K key, V elem)                         \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		return gomap_impl_assign(name##_map(m), &shape, &key, &elem, GOMAP_HERE) != NULL;  \
	}                                                                                          \
	static GOMAP_INLINE bool name##_delete(struct name *m, K key)                              \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		return gomap_impl_delete(name##_map(m), &shape, &key, NULL, NULL, GOMAP_HERE);     \
	}                                                                                          \
	static GOMAP_INLINE bool name##_clear(struct name *m)                                      \
	{                                                                                          \
		return gomap_clear(name##_map(m));                                                 \
	}                                                                                          \
	static GOMAP_INLINE bool name##_next(struct gomap_iter *it, const K **ret_key,             \
					     V **ret_elem)                                         \
	{                                                                                          \
		struct gomap_shape shape = name##_impl_shape();                                    \
		if (!gomap_impl_next(it, &shape, GOMAP_HERE))                                      \
			return false;                                                              \
		*ret_key = (const K *)it->key;                                                     \
		*ret_elem = (V *)it->elem;                                                         \
		return true;                                                                       \
	}

#define GOMAP_DEFINE(name, K, V, hash, equal, flags)                                          \
	GOMAP_IMPL_DEFINE(name, K, V, GOMAP_TYPE("map[" #K "]" #V, K, V, hash, equal, flags), \
			  GOMAP_OTHER, flags, hash, equal)

#define GOMAP_DEFINE_INT(name, K, V)                                                       \
	typedef char name##_impl_key_is_4_or_8[sizeof(K) == 4 || sizeof(K) == 8 ? 1 : -1]; \
	GOMAP_IMPL_DEFINE(name, K, V, GOMAP_TYPE_INT("map[" #K "]" #V, K, V),              \
			  sizeof(K) == 4 ? GOMAP_INT32 : GOMAP_INT64, 0u, NULL, NULL)

#define GOMAP_DEFINE_STRING(name, V)                                                            \
	GOMAP_IMPL_DEFINE(name, struct gomap_string, V, GOMAP_TYPE_STRING("map[string]" #V, V), \
			  GOMAP_STRING, 0u, NULL, NULL)

#ifdef __cplusplus
}
#endif

#endif
