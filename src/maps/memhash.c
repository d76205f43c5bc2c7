#include "maps/memhash.h"

#include <string.h>

#ifdef __x86_64__
#include <wmmintrin.h>
#endif

#include "base/bytes.h"

/* FIPS 197, figure 7: the substitution table of AES. */
static const uint8_t sbox[256] = {
	0x63, 0x7c, 0x77, 0x7b, 0xf2, 0x6b, 0x6f, 0xc5, 0x30, 0x01, 0x67, 0x2b, 0xfe, 0xd7, 0xab,
	0x76, 0xca, 0x82, 0xc9, 0x7d, 0xfa, 0x59, 0x47, 0xf0, 0xad, 0xd4, 0xa2, 0xaf, 0x9c, 0xa4,
	0x72, 0xc0, 0xb7, 0xfd, 0x93, 0x26, 0x36, 0x3f, 0xf7, 0xcc, 0x34, 0xa5, 0xe5, 0xf1, 0x71,
	0xd8, 0x31, 0x15, 0x04, 0xc7, 0x23, 0xc3, 0x18, 0x96, 0x05, 0x9a, 0x07, 0x12, 0x80, 0xe2,
	0xeb, 0x27, 0xb2, 0x75, 0x09, 0x83, 0x2c, 0x1a, 0x1b, 0x6e, 0x5a, 0xa0, 0x52, 0x3b, 0xd6,
	0xb3, 0x29, 0xe3, 0x2f, 0x84, 0x53, 0xd1, 0x00, 0xed, 0x20, 0xfc, 0xb1, 0x5b, 0x6a, 0xcb,
	0xbe, 0x39, 0x4a, 0x4c, 0x58, 0xcf, 0xd0, 0xef, 0xaa, 0xfb, 0x43, 0x4d, 0x33, 0x85, 0x45,
	0xf9, 0x02, 0x7f, 0x50, 0x3c, 0x9f, 0xa8, 0x51, 0xa3, 0x40, 0x8f, 0x92, 0x9d, 0x38, 0xf5,
	0xbc, 0xb6, 0xda, 0x21, 0x10, 0xff, 0xf3, 0xd2, 0xcd, 0x0c, 0x13, 0xec, 0x5f, 0x97, 0x44,
	0x17, 0xc4, 0xa7, 0x7e, 0x3d, 0x64, 0x5d, 0x19, 0x73, 0x60, 0x81, 0x4f, 0xdc, 0x22, 0x2a,
	0x90, 0x88, 0x46, 0xee, 0xb8, 0x14, 0xde, 0x5e, 0x0b, 0xdb, 0xe0, 0x32, 0x3a, 0x0a, 0x49,
	0x06, 0x24, 0x5c, 0xc2, 0xd3, 0xac, 0x62, 0x91, 0x95, 0xe4, 0x79, 0xe7, 0xc8, 0x37, 0x6d,
	0x8d, 0xd5, 0x4e, 0xa9, 0x6c, 0x56, 0xf4, 0xea, 0x65, 0x7a, 0xae, 0x08, 0xba, 0x78, 0x25,
	0x2e, 0x1c, 0xa6, 0xb4, 0xc6, 0xe8, 0xdd, 0x74, 0x1f, 0x4b, 0xbd, 0x8b, 0x8a, 0x70, 0x3e,
	0xb5, 0x66, 0x48, 0x03, 0xf6, 0x0e, 0x61, 0x35, 0x57, 0xb9, 0x86, 0xc1, 0x1d, 0x9e, 0xe1,
	0xf8, 0x98, 0x11, 0x69, 0xd9, 0x8e, 0x94, 0x9b, 0x1e, 0x87, 0xe9, 0xce, 0x55, 0x28, 0xdf,
	0x8c, 0xa1, 0x89, 0x0d, 0xbf, 0xe6, 0x42, 0x68, 0x41, 0x99, 0x2d, 0x0f, 0xb0, 0x54, 0xbb,
	0x16,
};

/* A state of AES, as a vector register holds it. */
struct block {
	uint8_t b[16];
};

static struct block block_at(const void *p)
{
	struct block v;
	memcpy(v.b, p, sizeof(v.b));
	return v;
}

static struct block block_of(uint64_t low, uint64_t high)
{
	struct block v;
	memcpy(v.b, &low, 8);
	memcpy(v.b + 8, &high, 8);
	return v;
}

static uint64_t low(struct block v)
{
	return load_u64(v.b);
}

static struct block xor
	(struct block a, struct block b) {
		uint64_t l = load_u64(a.b) ^ load_u64(b.b),
			 h = load_u64(a.b + 8) ^ load_u64(b.b + 8);
		return block_of(l, h);
	}

	/* ShiftRows and SubBytes, which commute. */
	static struct block shift_sub(struct block v)
{
	struct block r;
	for (unsigned i = 0; i < 16; i++)
		r.b[i] = sbox[v.b[(i + 4 * (i & 3)) & 15]];
	return r;
}

static struct block mix_columns(struct block v)
{
	struct block r;
	for (unsigned c = 0; c < 16; c += 4) {
		uint32_t w = load_u32(v.b + c);
		uint32_t w1 = w >> 8 | w << 24, w2 = w >> 16 | w << 16, w3 = w >> 24 | w << 8;
		uint32_t d = w ^ w1;
		/* Each byte times x in AES's field. */
		d = (d & 0x7f7f7f7f) << 1 ^ (d >> 7 & 0x01010101) * 0x1b;
		d ^= w1 ^ w2 ^ w3;
		memcpy(r.b + c, &d, 4);
	}
	return r;
}

#ifdef __x86_64__
/* By the instruction itself: a search for maps hashes millions of keys, most of them for nothing. */
__attribute__((target("aes"))) static struct block machine_aesenc(struct block state,
								  struct block key)
{
	struct block r;
	__m128i v = _mm_aesenc_si128(_mm_loadu_si128((const __m128i *)state.b),
				     _mm_loadu_si128((const __m128i *)key.b));
	_mm_storeu_si128((__m128i *)r.b, v);
	return r;
}
#endif

/* amd64's AESENC. */
static struct block aesenc(struct block state, struct block key)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("aes"))
		return machine_aesenc(state, key);
#endif
	return xor(mix_columns(shift_sub(state)), key);
}

/* arm64's AESE. */
static struct block aese(struct block state, struct block key)
{
	return shift_sub(xor(state, key));
}

/* arm64's AESE and AESMC. */
static struct block aesemc(struct block state, struct block key)
{
	return mix_columns(aese(state, key));
}

/*
 * Data of more than 16 bytes goes through 2, 4 or 8 lanes: the first half of them starts with the first
 * bytes, the second half with the last ones, so that lanes may overlap. Beyond 128 bytes 8 lanes start
 * with the last 128 and then take block after block from the front.
 */
enum { LANES_MAX = 8 };

static unsigned lane_count(size_t n)
{
	return n <= 16 ? 1 : n <= 32 ? 2 : n <= 64 ? 4 : LANES_MAX;
}

/* Where lane i of k starts in n <= 128 bytes. */
static size_t lane_offset(size_t n, unsigned i, unsigned k)
{
	return i < k / 2 ? 16 * i : n - 16 * (k - i);
}

static uint64_t fold(const struct block *lanes, unsigned k)
{
	uint64_t h = 0;
	for (unsigned i = 0; i < k; i++)
		h ^= low(lanes[i]);
	return h;
}

static uint64_t aeshash_amd64(const struct memhash_keys *keys, const uint8_t *p, size_t n,
			      uint64_t seed)
{
	/* PINSRW $4 and PSHUFHW $0: 16 bits of the length, 4 times. */
	struct block seeded = block_of(seed, (n & 0xffff) * UINT64_C(0x0001000100010001));
	struct block s[LANES_MAX], v[LANES_MAX];
	unsigned k = lane_count(n);
	for (unsigned i = 0; i < k; i++) {
		s[i] = xor(seeded, block_at(keys->schedule + 16 * i));
		s[i] = aesenc(s[i], s[i]);
	}
	if (n == 0)
		return low(aesenc(s[0], s[0]));
	if (n <= 16) {
		v[0] = block_of(0, 0);
		memcpy(v[0].b, p, n);
	} else {
		size_t skip = n > 128 ? n - 128 : 0;
		for (unsigned i = 0; i < k; i++)
			v[i] = block_at(p + skip + lane_offset(n - skip, i, k));
	}
	for (unsigned i = 0; i < k; i++)
		v[i] = xor(v[i], s[i]);
	for (size_t left = n > 128 ? (n - 1) >> 7 : 0; left; left--, p += 128) {
		for (unsigned i = 0; i < k; i++) {
			v[i] = aesenc(v[i], v[i]);
			v[i] = aesenc(v[i], block_at(p + 16 * i));
		}
	}
	for (unsigned i = 0; i < k; i++) {
		for (unsigned round = 0; round < 3; round++)
			v[i] = aesenc(v[i], v[i]);
	}
	return fold(v, k);
}

/* Up to 15 bytes: the 8, 4, 2 and 1 of their number go to fixed places. */
static struct block short_block_arm64(const uint8_t *p, size_t n)
{
	struct block v = block_of(0, 0);
	for (size_t part = 8, at = 0; part; at += part, part /= 2) {
		if (n & part) {
			memcpy(v.b + at, p, part);
			p += part;
		}
	}
	return v;
}

static uint64_t aeshash_arm64(const struct memhash_keys *keys, const uint8_t *p, size_t n,
			      uint64_t seed)
{
	struct block seeded = block_of(seed, n);
	struct block s[LANES_MAX], v[LANES_MAX];
	unsigned k = lane_count(n);
	for (unsigned i = 0; i < k; i++)
		s[i] = aesemc(block_at(keys->schedule + 16 * i), seeded);
	if (n == 0)
		return low(s[0]);
	if (n <= 16) {
		v[0] = n == 16 ? block_at(p) : short_block_arm64(p, n);
		v[0] = aese(aesemc(aesemc(v[0], s[0]), s[0]), s[0]);
		/* The last AESMC is there from Go 1.21 on. */
		return low(keys->minor >= 21 ? mix_columns(v[0]) : v[0]);
	}
	size_t skip = n > 128 ? n - 128 : 0;
	for (unsigned i = 0; i < k; i++)
		v[i] = block_at(p + skip + lane_offset(n - skip, i, k));
	for (unsigned i = 0; i < k; i++) {
		if (n <= 128) {
			v[i] = aese(aesemc(aesemc(v[i], s[i]), s[i]), s[i]);
			continue;
		}
		/* Here the seeds are the state, and the data are the keys. */
		for (size_t at = 0; at < ((n - 1) & ~(size_t)127); at += 128) {
			s[i] = aesemc(s[i], v[i]);
			v[i] = block_at(p + at + 16 * i);
			s[i] = aesemc(s[i], v[i]);
		}
		v[i] = aese(aesemc(aesemc(s[i], v[i]), v[i]), v[i]);
	}
	return fold(v, k);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static const uint64_t WY_M5 = 0x1d8e4e27c47d124f;

/* What hashkey is combined with: constants up to Go 1.22, later the key's other words instead. */
struct wykeys {
	uint64_t k0, k1, k2, k3;
};

static struct wykeys wykeys_of(const struct memhash_keys *keys)
{
	const uint64_t *k = keys->hashkey;
	if (keys->minor >= 23)
		return (struct wykeys){k[0], k[1], k[2], k[3]};
	return (struct wykeys){k[0] ^ 0xa0761d6478bd642f, 0xe7037ed1a0b428db, 0x8ebc6af09c88c6e3,
			       0x589965cc75374cc3};
}

static uint64_t wyhash(const struct memhash_keys *keys, const uint8_t *p, size_t n, uint64_t seed)
{
	struct wykeys k = wykeys_of(keys);
	uint64_t a, b;
	size_t left = n;
	seed ^= k.k0;
	if (n == 0)
		return seed;
	if (n < 4) {
		a = p[0] | (uint64_t)p[n >> 1] << 8 | (uint64_t)p[n - 1] << 16;
		b = 0;
	} else if (n < 8) {
		a = load_u32(p);
		b = load_u32(p + n - 4);
	} else if (n <= 16) {
		a = load_u64(p);
		b = load_u64(p + n - 8);
	} else {
		if (left > 48) {
			uint64_t seed1 = seed, seed2 = seed;
			for (; left > 48; left -= 48, p += 48) {
				seed = mix(load_u64(p) ^ k.k1, load_u64(p + 8) ^ seed);
				seed1 = mix(load_u64(p + 16) ^ k.k2, load_u64(p + 24) ^ seed1);
				seed2 = mix(load_u64(p + 32) ^ k.k3, load_u64(p + 40) ^ seed2);
			}
			seed ^= seed1 ^ seed2;
		}
		for (; left > 16; left -= 16, p += 16)
			seed = mix(load_u64(p) ^ k.k1, load_u64(p + 8) ^ seed);
		/* The last 16 bytes, some of them seen before. */
		a = load_u64(p + left - 16);
		b = load_u64(p + left - 8);
	}
	return mix(WY_M5 ^ n, mix(a ^ k.k1, b ^ seed));
}

uint64_t memhash(const struct memhash_keys *keys, const void *p, size_t n, uint64_t seed)
{
	if (keys->kind == MEMHASH_WYHASH)
		return wyhash(keys, p, n, seed);
	if (keys->arch == ARCH_AMD64)
		return aeshash_amd64(keys, p, n, seed);
	return aeshash_arm64(keys, p, n, seed);
}

/* Three rounds over seed and data in one register. */
static uint64_t aeshash_word(const struct memhash_keys *keys, struct block v)
{
	struct block k = block_at(keys->schedule);
	if (keys->arch == ARCH_ARM64)
		return low(aese(aesemc(aesemc(v, k), k), k));
	v = aesenc(v, k);
	v = aesenc(v, block_at(keys->schedule + 16));
	v = aesenc(v, block_at(keys->schedule + 32));
	return low(v);
}

uint64_t memhash32(const struct memhash_keys *keys, const void *p, uint64_t seed)
{
	if (keys->kind == MEMHASH_WYHASH)
		return wyhash(keys, p, 4, seed);
	/* Up to 1.26 arm64 laid data over the upper half of the seed. */
	if (keys->arch == ARCH_ARM64 && keys->minor < 27)
		return aeshash_word(keys,
				    block_of((uint32_t)seed | (uint64_t)load_u32(p) << 32, 0));
	return aeshash_word(keys, block_of(seed, load_u32(p)));
}

uint64_t memhash64(const struct memhash_keys *keys, const void *p, uint64_t seed)
{
	if (keys->kind == MEMHASH_WYHASH)
		return wyhash(keys, p, 8, seed);
	return aeshash_word(keys, block_of(seed, load_u64(p)));
}
