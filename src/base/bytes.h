/*
 * A cursor over bytes that may be hostile, little endian.
 *
 * Every bytes_ function takes what it needs or fails; on failure the position does not move.
 * Nothing is read past end, whatever the bytes say. Ranges are compared against what is left, so
 * no sum can overflow.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *pos;
	const uint8_t *end;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
	return (struct bytes){p, (const uint8_t *)p + n};
}

static inline size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->pos);
}

static inline bool bytes_skip(struct bytes *b, uint64_t n)
{
	if (n > bytes_left(b))
		return false;
	b->pos += n;
	return true;
}

static inline bool bytes_copy(struct bytes *b, void *to, size_t n)
{
	if (n > bytes_left(b))
		return false;
	memcpy(to, b->pos, n);
	b->pos += n;
	return true;
}

static inline bool bytes_u8(struct bytes *b, uint8_t *ret)
{
	return bytes_copy(b, ret, 1);
}

static inline bool bytes_u16(struct bytes *b, uint16_t *ret)
{
	return bytes_copy(b, ret, 2);
}

static inline bool bytes_u32(struct bytes *b, uint32_t *ret)
{
	return bytes_copy(b, ret, 4);
}

static inline bool bytes_u64(struct bytes *b, uint64_t *ret)
{
	return bytes_copy(b, ret, 8);
}

/* Go's and DWARF's base-128 number; fails past 64 bits. */
static inline bool bytes_uvarint(struct bytes *b, uint64_t *ret)
{
	uint64_t v = 0;
	const uint8_t *p = b->pos;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (p == b->end)
			return false;
		uint8_t c = *p++;
		if (shift == 63 && c > 1)
			return false;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			b->pos = p;
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Unaligned loads from memory that is known to be there. */
static inline uint16_t load_u16(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t load_u32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t load_u64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

#endif
