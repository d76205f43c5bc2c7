/*
 * Operations on a map, out of a string of bytes, checked against the simplest map there is: an
 * array. The property tests feed it random bytes, the fuzzer what it likes.
 *
 * Keys are numbers below KEYS, which each kind of map turns into a key of its type. The model knows
 * for each number whether it is in and its element.
 */
#ifndef TESTS_GOMAP_OPS_H
#define TESTS_GOMAP_OPS_H

#include "gomap.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 1 << 12 };

struct ops_key24 {
	uint64_t a, b, c;
};

struct ops_big {
	uint32_t n[40]; /* 160 bytes: stored as a pointer */
};

typedef __int128 ops_wide; /* aligned to 16: stored as a pointer too */

/* Fails loudly; a fuzzer sees the abort. */
#define OPS_CHECK(x)                                                            \
	do {                                                                    \
		if (!(x)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); \
			abort();                                                \
		}                                                               \
	} while (0)

static inline uint64_t ops_hash24(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, sizeof(struct ops_key24), seed);
}

static inline bool ops_equal24(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ops_key24)) == 0;
}

static inline uint64_t ops_hash_big(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, sizeof(struct ops_big), seed);
}

static inline bool ops_equal_big(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct ops_big)) == 0;
}

static inline uint64_t ops_hash8(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, 1, seed);
}

static inline bool ops_equal8(const void *a, const void *b)
{
	return *(const uint8_t *)a == *(const uint8_t *)b;
}

/* All keys in a handful of chains: what overflow and long chains do. */
static inline uint64_t ops_hash_bad(const void *key, const struct gomap_seed *seed)
{
	(void)seed;
	return *(const uint64_t *)key & 3;
}

static inline bool ops_equal64(const void *a, const void *b)
{
	return memcmp(a, b, 8) == 0;
}

static const struct gomap_type ops_types[] = {
	GOMAP_TYPE_INT("map[uint64]uint64", uint64_t, uint64_t),
	GOMAP_TYPE_INT("map[uint32]uint32", uint32_t, uint32_t),
	GOMAP_TYPE_STRING("map[string]uint64", uint64_t),
	GOMAP_TYPE("map[float64]uint64", double, uint64_t, gomap_hash_f64, gomap_equal_f64,
		   GOMAP_IRREFLEXIVE | GOMAP_KEY_UPDATE),
	GOMAP_TYPE("map[[3]uint64]uint8", struct ops_key24, uint8_t, ops_hash24, ops_equal24, 0),
	GOMAP_TYPE("map[[40]uint32][40]uint32", struct ops_big, struct ops_big, ops_hash_big,
		   ops_equal_big, 0),
	GOMAP_TYPE("map[uint8]uint16", uint8_t, uint16_t, ops_hash8, ops_equal8, 0),
	GOMAP_TYPE("map[uint64]uint64, colliding", uint64_t, uint64_t, ops_hash_bad, ops_equal64,
		   0),
	GOMAP_TYPE_INT("map[uint64]int128", uint64_t, ops_wide),
	GOMAP_TYPE_INT("map[uint64]struct{}", uint64_t, char[0]),
};

enum { OPS_TYPES = sizeof(ops_types) / sizeof(ops_types[0]) };

/* Room for a key or an element of any of them. */
union ops_value {
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;
	double f64;
	struct gomap_string str;
	struct ops_key24 k24;
	struct ops_big big;
	ops_wide wide;
};

/* How many of the numbers below KEYS are different keys of the type. */
static inline unsigned ops_keys(unsigned type)
{
	return type == 6 ? 256 : type == 7 ? 512 : KEYS;
}

static char ops_strings[KEYS][40];

static inline void ops_key(unsigned type, unsigned n, union ops_value *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch (type) {
	case 1:
		ret->u32 = n * 2654435761u;
		return;
	case 2:
		/* lengths from 0 to 36, on both sides of each limit of the hash */
		if (n == 0) {
			ret->str = (struct gomap_string){NULL, 0};
			return;
		}
		ret->str.ptr = ops_strings[n];
		ret->str.len = (size_t)snprintf(ops_strings[n], sizeof(ops_strings[n]), "%.*s%u",
						(int)(n % 32),
						"abcdefghijklmnopqrstuvwxyzabcdefghij", n);
		return;
	case 3:
		ret->f64 = n == 0 ? -0.0 : (double)n / 3;
		return;
	case 4:
		ret->k24 = (struct ops_key24){n, n * 3, 7};
		return;
	case 5:
		ret->big.n[0] = n;
		ret->big.n[39] = ~n;
		return;
	case 6:
		ret->u8 = (uint8_t)n;
		return;
	default:
		ret->u64 = n * UINT64_C(0x9e3779b97f4a7c15);
	}
	if (type == 7)
		ret->u64 = n;
}

static inline void ops_elem(unsigned type, uint32_t v, union ops_value *ret)
{
	memset(ret, 0, sizeof(*ret));
	switch (type) {
	case 4:
		ret->u8 = (uint8_t)v;
		return;
	case 5:
		for (unsigned i = 0; i < 40; ++i)
			ret->big.n[i] = v + i;
		return;
	case 6:
		ret->u16 = (uint16_t)v;
		return;
	case 8:
		ret->wide = (ops_wide)v << 64 | v;
		return;
	default:
		ret->u64 = v;
	}
}

/* The number of a key that came out of the map. */
static inline unsigned ops_number(unsigned type, const void *key)
{
	switch (type) {
	case 1:
		return *(const uint32_t *)key * 244002641u; /* the inverse of 2654435761 */
	case 2: {
		struct gomap_string s = *(const struct gomap_string *)key;
		if (s.len == 0)
			return 0;
		return (unsigned)((s.ptr - ops_strings[0]) / (ptrdiff_t)sizeof(ops_strings[0]));
	}
	case 3:
		return (unsigned)(*(const double *)key * 3 + 0.5);
	case 4:
		return (unsigned)((const struct ops_key24 *)key)->a;
	case 5:
		return ((const struct ops_big *)key)->n[0];
	case 6:
		return *(const uint8_t *)key;
	case 7:
		return (unsigned)*(const uint64_t *)key;
	default:
		return (unsigned)(*(const uint64_t *)key * UINT64_C(0xf1de83e19937733d));
	}
}

struct ops {
	unsigned type;
	struct gomap *m;
	bool in[KEYS];
	uint32_t elem[KEYS];
	size_t count;
	uint32_t born[KEYS]; /* when each key was last inserted, in operations */
	uint32_t clock;
	const uint8_t *p, *end;
};

static inline unsigned ops_byte(struct ops *o)
{
	return o->p < o->end ? *o->p++ : 0;
}

static inline unsigned ops_pick(struct ops *o)
{
	unsigned n = ops_byte(o) | ops_byte(o) << 8;
	return n % ops_keys(o->type);
}

static inline void ops_same_elem(struct ops *o, unsigned n, const void *elem)
{
	union ops_value want;
	ops_elem(o->type, o->elem[n], &want);
	OPS_CHECK(memcmp(&want, elem, ops_types[o->type].elem_size) == 0);
}

static inline void ops_put(struct ops *o, unsigned n, uint32_t v)
{
	union ops_value key, elem;
	ops_key(o->type, n, &key);
	ops_elem(o->type, v, &elem);
	if (v & 1) {
		OPS_CHECK(gomap_put(o->m, &key, &elem));
	} else {
		void *slot = gomap_assign(o->m, &key);
		static const char zero[sizeof(union ops_value)];
		OPS_CHECK(slot);
		if (o->in[n])
			ops_same_elem(o, n, slot);
		else
			OPS_CHECK(memcmp(slot, zero, ops_types[o->type].elem_size) == 0);
		memcpy(slot, &elem, ops_types[o->type].elem_size);
	}
	if (!o->in[n]) {
		o->in[n] = true;
		o->count++;
		o->born[n] = o->clock;
	}
	o->elem[n] = v;
}

static inline void ops_delete(struct ops *o, unsigned n)
{
	union ops_value key, old_key, old;
	ops_key(o->type, n, &key);
	bool there = gomap_delete(o->m, &key, &old_key, &old);
	OPS_CHECK(there == o->in[n]);
	if (there) {
		OPS_CHECK(ops_number(o->type, &old_key) == n);
		ops_same_elem(o, n, &old);
		o->in[n] = false;
		o->count--;
	}
}

static inline void ops_get(struct ops *o, unsigned n)
{
	union ops_value key, elem;
	ops_key(o->type, n, &key);
	memset(&elem, 0xaa, sizeof(elem));
	OPS_CHECK(gomap_get(o->m, &key, &elem) == o->in[n]);
	if (!o->in[n])
		OPS_CHECK(ops_types[o->type].elem_size == 0 || elem.u8 == 0);
	else
		ops_same_elem(o, n, &elem);
	const void *found = gomap_find(o->m, &key);
	OPS_CHECK((found != NULL) == o->in[n]);
	if (found)
		ops_same_elem(o, n, found);
}

static inline void ops_clear(struct ops *o)
{
	OPS_CHECK(gomap_clear(o->m));
	memset(o->in, 0, sizeof(o->in));
	o->count = 0;
}

/* Whatever may stand between two steps of an iteration. */
static inline void ops_meddle(struct ops *o, unsigned what, bool *cleared)
{
	o->clock++;
	switch (what & 7) {
	case 0:
	case 1:
		ops_delete(o, ops_pick(o));
		return;
	case 2:
	case 3:
		ops_put(o, ops_pick(o), o->clock);
		return;
	case 4:
		/* enough to make it grow */
		for (unsigned i = 0, n = ops_pick(o); i < 64; ++i)
			ops_put(o, (n + i) % ops_keys(o->type), o->clock);
		return;
	case 5:
		for (unsigned i = 0, n = ops_pick(o); i < 64; ++i)
			ops_delete(o, (n + i) % ops_keys(o->type));
		return;
	case 6:
		if (what == 6) {
			ops_clear(o);
			*cleared = true;
		}
		return;
	default:
		return;
	}
}

/* One iteration with changes between its steps. What Go promises: what is there throughout comes
 * exactly once; what is deleted does not come after that; nothing comes twice that was not
 * inserted anew in between. */
static inline void ops_iterate(struct ops *o, bool meddle, bool leave)
{
	static bool there_at_start[KEYS];
	static uint32_t born_at_start[KEYS], seen_at[KEYS];
	static bool seen[KEYS];
	bool cleared = false;
	memcpy(there_at_start, o->in, sizeof(o->in));
	memcpy(born_at_start, o->born, sizeof(o->born));
	memset(seen, 0, sizeof(seen));
	struct gomap_iter it;
	gomap_iter_init(&it, o->m);
	size_t steps = 0;
	while (gomap_iter_next(&it)) {
		unsigned n = ops_number(o->type, it.key);
		OPS_CHECK(n < KEYS && o->in[n]);
		if (ops_types[o->type].elem_size)
			ops_same_elem(o, n, it.elem);
		OPS_CHECK(!seen[n] || o->born[n] > seen_at[n]);
		seen[n] = true;
		seen_at[n] = o->clock;
		if (meddle && o->p < o->end)
			ops_meddle(o, ops_byte(o), &cleared);
		if (leave && ++steps > 20) {
			gomap_iter_done(&it);
			return;
		}
	}
	OPS_CHECK(!it.key && !gomap_iter_next(&it));
	gomap_iter_done(&it);
	for (unsigned n = 0; n < KEYS && !cleared; ++n) {
		bool throughout = there_at_start[n] && o->in[n] && o->born[n] == born_at_start[n];
		OPS_CHECK(!throughout || seen[n]);
	}
}

static inline void ops_step(struct ops *o)
{
	o->clock++;
	unsigned what = ops_byte(o);
	bool cleared;
	switch (what & 15) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		ops_put(o, ops_pick(o), o->clock);
		return;
	case 5:
	case 6:
	case 7:
		ops_delete(o, ops_pick(o));
		return;
	case 8:
	case 9:
	case 10:
		ops_get(o, ops_pick(o));
		return;
	case 11:
		ops_meddle(o, 4, &cleared);
		return;
	case 12:
		ops_meddle(o, 5, &cleared);
		return;
	case 13:
		ops_iterate(o, true, what & 16);
		return;
	case 14:
		if (what == 14)
			ops_clear(o);
		return;
	default:
		OPS_CHECK(gomap_len(o->m) == o->count);
		if (what & 16)
			ops_iterate(o, false, false);
	}
}

/* Runs the operations that bytes say on a map of the type. The first byte is the hint. */
static inline void ops_run(unsigned type, const uint8_t *bytes, size_t n,
			   const struct gomap_allocator *allocator)
{
	static struct ops o;
	memset(&o, 0, sizeof(o));
	o.type = type % OPS_TYPES;
	o.p = bytes;
	o.end = bytes + n;
	o.clock = 1;
	o.m = gomap_new(&ops_types[o.type], ops_byte(&o), allocator);
	OPS_CHECK(o.m);
	while (o.p < o.end)
		ops_step(&o);
	for (unsigned key = 0; key < ops_keys(o.type); ++key)
		ops_get(&o, key);
	ops_iterate(&o, false, false);
	gomap_free(o.m);
}

#endif
