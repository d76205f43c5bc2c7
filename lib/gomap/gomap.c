/*
 * The map's functions by type descriptor, and the long parts of the typed ones.
 *
 * The functions of gomap_inline.h are written once for any shape; each function here calls them
 * with the shape's kind and key size as constants, so that 32-bit, 64-bit and string keys have a
 * copy of their own, as mapaccess_fast64 and its like are in Go.
 */
#include "internal.h"

#include <stdlib.h>

_Static_assert(offsetof(struct gomap, descriptor) == GOMAP_DESCRIPTOR_AT, "where debuggers look");

static const struct gomap_descriptor descriptor = {
	.size = sizeof(struct gomap),
	.writer = offsetof(struct gomap, writer),
	.turn = offsetof(struct gomap, turn),
	.site = offsetof(struct gomap, site),
	.bias = offsetof(struct gomap, bias),
	.seed = offsetof(struct gomap, seed),
	.shape = offsetof(struct gomap, shape),
	.type = offsetof(struct gomap, type),
};

struct gomap *gomap_new(const struct gomap_type *type, size_t hint,
			const struct gomap_allocator *allocator)
{
	struct gomap_shape shape;
	if (!shape_of(type, &shape))
		return NULL;
	if (!allocator)
		allocator = &gomap_default_allocator;
	struct gomap *m = allocator->alloc(allocator->ctx, sizeof(*m));
	if (!m) {
		errno = ENOMEM;
		return NULL;
	}
	memset(m, 0, sizeof(*m));
	m->type = type;
	m->shape = shape;
	m->allocator = *allocator;
	m->bias = GOMAP_BIAS_NONE;
	m->descriptor = descriptor;
	memcpy(m->descriptor.magic, GOMAP_MAGIC, sizeof(m->descriptor.magic));
	table_set_B(m, table_B_for(hint));
	random_seed(&m->seed);
	m->hash0 = (uint32_t)m->seed.a;
	if (m->B > 0 && !table_first(m)) {
		gomap_free(m);
		return NULL;
	}
	return m;
}

void gomap_free(struct gomap *m)
{
	if (!m)
		return;
	struct gomap_allocator allocator = m->allocator;
	table_free_all(m);
	allocator.free(allocator.ctx, m, sizeof(*m));
}

size_t gomap_len(const struct gomap *m)
{
	return m ? (size_t)__atomic_load_n(&m->count, __ATOMIC_RELAXED) : 0;
}

/* Does statement with a constant struct gomap_shape s for each kind of m's. */
#define FOR_SHAPE(m, statement)                                                \
	do {                                                                   \
		struct gomap_shape s = (m)->shape;                             \
		if (s.kind == GOMAP_INT64) {                                   \
			s.kind = GOMAP_INT64;                                  \
			s.key_size = s.key_slot = 8;                           \
			s.flags &= GOMAP_INDIRECT_ELEM;                        \
			statement;                                             \
		} else if (s.kind == GOMAP_INT32) {                            \
			s.kind = GOMAP_INT32;                                  \
			s.key_size = s.key_slot = 4;                           \
			s.flags &= GOMAP_INDIRECT_ELEM;                        \
			statement;                                             \
		} else if (s.kind == GOMAP_STRING) {                           \
			s.kind = GOMAP_STRING;                                 \
			s.key_size = s.key_slot = sizeof(struct gomap_string); \
			s.flags &= GOMAP_INDIRECT_ELEM;                        \
			statement;                                             \
		} else {                                                       \
			statement;                                             \
		}                                                              \
	} while (0)

void *gomap_find(const struct gomap *m, const void *key)
{
	if (!m)
		return NULL;
	FOR_SHAPE(m, return gomap_impl_find(m, &s, key, NULL, __builtin_return_address(0)));
}

bool gomap_get(const struct gomap *m, const void *key, void *ret_elem)
{
	bool there = false;
	if (!m)
		return false;
	FOR_SHAPE(m, there = gomap_impl_find(m, &s, key, ret_elem, __builtin_return_address(0)));
	if (!there && ret_elem)
		memset(ret_elem, 0, m->shape.elem_size);
	return there;
}

void *gomap_assign(struct gomap *m, const void *key)
{
	if (!m) {
		errno = EINVAL;
		return NULL;
	}
	FOR_SHAPE(m, return gomap_impl_assign(m, &s, key, NULL, __builtin_return_address(0)));
}

bool gomap_put(struct gomap *m, const void *key, const void *elem)
{
	if (!m) {
		errno = EINVAL;
		return false;
	}
	FOR_SHAPE(m, return gomap_impl_assign(m, &s, key, elem, __builtin_return_address(0)));
}

bool gomap_delete(struct gomap *m, const void *key, void *ret_key, void *ret_elem)
{
	if (!m) {
		errno = EINVAL;
		return false;
	}
	FOR_SHAPE(m, return gomap_impl_delete(m, &s, key, ret_key, ret_elem,
					      __builtin_return_address(0)));
}

bool gomap_clear(struct gomap *m)
{
	if (!m) {
		errno = EINVAL;
		return false;
	}
	void *site = __builtin_return_address(0);
	struct gomap_impl_write write;
	if (!gomap_impl_begin_write(m, &m->shape, GOMAP_CLEAR, NULL, site, &write))
		return false;
	table_clear(m);
	random_seed(&m->seed);
	m->hash0 = (uint32_t)m->seed.a;
	gomap_impl_end_write(m, &m->shape, &write, GOMAP_CLEAR, NULL, site);
	return true;
}

bool gomap_impl_prepare(struct gomap *m, uint64_t hash)
{
	return m->buckets ? evacuate_for(m, hash) : table_first(m);
}

/* The first empty slot in a chain; a new bucket's first where there is none. */
static bool empty_slot(struct gomap *m, char *bucket, char **ret_bucket, size_t *ret_slot)
{
	char *last = NULL;
	for (; bucket; bucket = gomap_impl_overflow(&m->shape, bucket)) {
		gomap_impl_slots empty = gomap_impl_empty(gomap_impl_load_tops(bucket));
		if (empty) {
			*ret_bucket = bucket;
			*ret_slot = gomap_impl_lowest(empty);
			return true;
		}
		last = bucket;
	}
	if (!table_reserve(m, 1))
		return false;
	*ret_bucket = table_overflow(m, last);
	*ret_slot = 0;
	return true;
}

/* Puts key into an empty slot, through new memory where it is indirect. */
static bool fill_slot(struct gomap *m, char *bucket, size_t i, const void *key)
{
	const struct gomap_shape *s = &m->shape;
	char *k = NULL, *e = NULL;
	if (s->flags & GOMAP_INDIRECT_KEY)
		k = map_alloc(m, s->key_size);
	if (s->flags & GOMAP_INDIRECT_ELEM)
		e = map_alloc(m, s->elem_size);
	if (((s->flags & GOMAP_INDIRECT_KEY) && !k) || ((s->flags & GOMAP_INDIRECT_ELEM) && !e)) {
		map_free(m, k, s->key_size);
		map_free(m, e, s->elem_size);
		errno = ENOMEM;
		return false;
	}
	if (k) {
		memcpy(k, key, s->key_size);
		memcpy(gomap_impl_key_slot(s, bucket, i), &k, sizeof(k));
	} else {
		memcpy(gomap_impl_key_slot(s, bucket, i), key, s->key_size);
	}
	if (e)
		memcpy(gomap_impl_elem_slot(s, bucket, i), &e, sizeof(e));
	else
		memset(gomap_impl_elem_slot(s, bucket, i), 0, s->elem_slot);
	return true;
}

/* Inserts a key that is not there where gomap_impl_slot_of could not do it at once: the map has to
 * grow first (*ret_again: then search once more), the home bucket is full, or memory is needed. */
char *gomap_impl_insert_slow(struct gomap *m, uint64_t hash, const void *key, bool *ret_again)
{
	if (m->extra && m->extra->retired)
		table_release_retired(m);
	if (!m->oldbuckets && table_due(m)) {
		*ret_again = table_grow(m);
		return NULL;
	}
	char *bucket = m->buckets + (hash & m->mask) * gomap_impl_bucket_size(&m->shape);
	size_t slot;
	if (!empty_slot(m, bucket, &bucket, &slot) || !fill_slot(m, bucket, slot, key))
		return NULL;
	bucket[slot] = (char)gomap_impl_top(hash);
	m->count++;
	return gomap_impl_elem(&m->shape, bucket, slot);
}

/* Marks slot i empty, and with it the empty slots before it where nothing follows, so that a
 * search for what is not there ends early. (go1.23 runtime/map.go: mapdelete) */
static void mark_empty(const struct gomap_shape *s, char *home, char *b, size_t i)
{
	b[i] = GOMAP_EMPTY_ONE;
	if (i + 1 < GOMAP_SLOTS) {
		if (b[i + 1] != GOMAP_EMPTY_REST)
			return;
	} else {
		const char *next = gomap_impl_overflow(s, b);
		if (next && next[0] != GOMAP_EMPTY_REST)
			return;
	}
	for (;;) {
		b[i] = GOMAP_EMPTY_REST;
		if (i > 0) {
			--i;
		} else {
			if (b == home)
				return;
			char *after = b;
			for (b = home; gomap_impl_overflow(s, b) != after;)
				b = gomap_impl_overflow(s, b);
			i = GOMAP_SLOTS - 1;
		}
		if (b[i] != GOMAP_EMPTY_ONE)
			return;
	}
}

/* Takes the entry out of slot i. home is the first bucket of its chain. */
void gomap_impl_drop(struct gomap *m, char *home, char *bucket, size_t i)
{
	const struct gomap_shape *s = &m->shape;
	if (s->flags & (GOMAP_INDIRECT_KEY | GOMAP_INDIRECT_ELEM)) {
		if (s->flags & GOMAP_INDIRECT_ELEM)
			map_free(m, gomap_impl_elem(s, bucket, i), s->elem_size);
		/* where there is no memory to note the key for later, it is not freed at all */
		if (s->flags & GOMAP_INDIRECT_KEY)
			(void)table_bury(m, gomap_impl_key(s, bucket, i));
		memset(gomap_impl_key_slot(s, bucket, i), 0, s->key_slot);
		memset(gomap_impl_elem_slot(s, bucket, i), 0, s->elem_slot);
	}
	mark_empty(s, home, bucket, i);
}

/* Who has learned something about the order of an old content starts anew. (go1.23 runtime/map.go:
 * mapdelete) */
void gomap_impl_emptied(struct gomap *m)
{
	random_seed(&m->seed);
	m->hash0 = (uint32_t)m->seed.a;
}
