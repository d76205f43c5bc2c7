/*
 * Types of maps: how they lie in a bucket, and the hashes that come with the library.
 */
#include "internal.h"

enum {
	MAX_INLINE = 128, /* larger keys and elements are stored as pointers, as in Go */
	MAX_SLOT_ALIGN = 8, /* what a bucket's layout keeps: tophash is eight bytes */
	MAX_ALIGN = 16, /* what malloc keeps */
};

bool shape_of(const struct gomap_type *type, struct gomap_shape *ret)
{
	if (!type || (type->kind == GOMAP_OTHER && (!type->hash || !type->equal)) ||
	    (type->kind == GOMAP_INT32 && type->key_size != 4) ||
	    (type->kind == GOMAP_INT64 && type->key_size != 8) ||
	    (type->kind == GOMAP_STRING && type->key_size != sizeof(struct gomap_string)) ||
	    type->kind > GOMAP_STRING || type->key_align > MAX_ALIGN ||
	    type->elem_align > MAX_ALIGN) {
		errno = EINVAL;
		return false;
	}
	struct gomap_shape shape = {
		.kind = type->kind,
		.flags = type->flags & (GOMAP_IRREFLEXIVE | GOMAP_KEY_UPDATE),
		.key_size = type->key_size,
		.elem_size = type->elem_size,
		.key_slot = type->key_size,
		.elem_slot = type->elem_size,
		.hash = type->hash,
		.equal = type->equal,
	};
	if (type->key_size > MAX_INLINE || type->key_align > MAX_SLOT_ALIGN) {
		shape.flags |= GOMAP_INDIRECT_KEY;
		shape.key_slot = sizeof(void *);
	}
	if (type->elem_size > MAX_INLINE || type->elem_align > MAX_SLOT_ALIGN) {
		shape.flags |= GOMAP_INDIRECT_ELEM;
		shape.elem_slot = sizeof(void *);
	}
	*ret = shape;
	return true;
}

/* wyhash's loop: 16 bytes a step, the last 16 once more. */
uint64_t gomap_hash_bytes(const void *data, size_t n, const struct gomap_seed *seed)
{
	const char *p = data;
	if (n <= 16)
		return gomap_impl_hash_short(p, n, seed);
	uint64_t h = seed->a;
	for (size_t left = n; left > 16; left -= 16, p += 16)
		h = gomap_impl_mix(gomap_impl_load64(p) ^ seed->b, gomap_impl_load64(p + 8) ^ h);
	const char *last = (const char *)data + n - 16;
	uint64_t a = gomap_impl_load64(last), b = gomap_impl_load64(last + 8);
	return gomap_impl_mix(gomap_impl_mix(a ^ h, b ^ seed->b) ^ n,
			      seed->a ^ UINT64_C(0x9e3779b97f4a7c15));
}

uint64_t gomap_hash_f32(const void *key, const struct gomap_seed *seed)
{
	float f;
	memcpy(&f, key, sizeof(f));
	double d = f;
	return gomap_hash_f64(&d, seed);
}

uint64_t gomap_hash_f64(const void *key, const struct gomap_seed *seed)
{
	double d;
	memcpy(&d, key, sizeof(d));
	if (d == 0)
		return gomap_impl_hash64(0, seed);
	if (d != d)
		return random_word();
	return gomap_impl_hash64(gomap_impl_load64(&d), seed);
}

bool gomap_equal_f32(const void *a, const void *b)
{
	float x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}

bool gomap_equal_f64(const void *a, const void *b)
{
	double x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}
