/*
 * libgomap's half of tests/gomap/go-compare: the same random operations as gocompare/main.go does
 * on Go's own map. Prints a digest of all results every 100,000 operations.
 */
#include "gomap.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 4096 };

struct key24 {
	uint64_t n[3];
};
struct big {
	uint32_t n[40];
};

union key {
	uint64_t u64;
	uint32_t u32;
	uint8_t u8;
	double f64;
	float f32;
	struct gomap_string str;
	struct key24 k24;
	struct big big;
};

static uint64_t state, digest;
static char strings[2 * KEYS][48];

static uint64_t next_random(void)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return state >> 16;
}

static void mix(uint64_t x)
{
	digest = (digest ^ x) * UINT64_C(0x100000001b3);
}

static void mix_found(uint64_t v, bool there)
{
	mix(v);
	mix(there ? 1 : 2);
}

#define BYTES(name, T)                                                              \
	static uint64_t hash_##name(const void *key, const struct gomap_seed *seed) \
	{                                                                           \
		return gomap_hash_bytes(key, sizeof(T), seed);                      \
	}                                                                           \
	static bool equal_##name(const void *a, const void *b)                      \
	{                                                                           \
		return memcmp(a, b, sizeof(T)) == 0;                                \
	}
BYTES(u8, uint8_t)
BYTES(k24, struct key24)
BYTES(big, struct big)

static void key_u64(uint64_t n, union key *ret)
{
	ret->u64 = n * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t number_u64(const union key *key)
{
	return key->u64 * UINT64_C(0xf1de83e19937733d);
}

static void key_u32(uint64_t n, union key *ret)
{
	ret->u32 = (uint32_t)n * 2654435761u;
}

static uint64_t number_u32(const union key *key)
{
	return (uint32_t)(key->u32 * 244002641u);
}

static void key_str(uint64_t n, union key *ret)
{
	int len = snprintf(strings[n], sizeof(strings[n]), "%.*s|%" PRIu64, (int)(n % 32),
			   "abcdefghijklmnopqrstuvwxyzabcdefghij", n);
	ret->str = (struct gomap_string){strings[n], (size_t)len};
}

static uint64_t number_str(const union key *key)
{
	return strtoull(strchr(key->str.ptr, '|') + 1, NULL, 10);
}

static void key_f64(uint64_t n, union key *ret)
{
	ret->f64 = n == 0 ? -0.0 : (double)n / 4;
}

static uint64_t number_f64(const union key *key)
{
	return (uint64_t)(key->f64 * 4);
}

static void key_k24(uint64_t n, union key *ret)
{
	ret->k24 = (struct key24){{n, n * 3, 7}};
}

static uint64_t number_k24(const union key *key)
{
	return key->k24.n[0];
}

static void key_big(uint64_t n, union key *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->big.n[0] = (uint32_t)n;
	ret->big.n[39] = ~(uint32_t)n;
}

static uint64_t number_big(const union key *key)
{
	return key->big.n[0];
}

static void key_u8(uint64_t n, union key *ret)
{
	ret->u8 = (uint8_t)n;
}

static uint64_t number_u8(const union key *key)
{
	return key->u8;
}

static void key_f32(uint64_t n, union key *ret)
{
	ret->f32 = (float)n / 4;
}

static uint64_t number_f32(const union key *key)
{
	return (uint64_t)(key->f32 * 4);
}

enum { FLOAT_FLAGS = GOMAP_IRREFLEXIVE | GOMAP_KEY_UPDATE };

static const struct kind {
	const char *name;
	struct gomap_type type;
	void (*key)(uint64_t n, union key *ret);
	uint64_t (*number)(const union key *key);
	uint64_t count;
	enum { NO_NAN, NAN_F64, NAN_F32 } nan;
} kinds[] = {
	{"uint64", GOMAP_TYPE_INT("", uint64_t, uint64_t), key_u64, number_u64, KEYS, NO_NAN},
	{"uint32", GOMAP_TYPE_INT("", uint32_t, uint64_t), key_u32, number_u32, KEYS, NO_NAN},
	{"string", GOMAP_TYPE_STRING("", uint64_t), key_str, number_str, KEYS, NO_NAN},
	{"float64", GOMAP_TYPE("", double, uint64_t, gomap_hash_f64, gomap_equal_f64, FLOAT_FLAGS),
	 key_f64, number_f64, KEYS, NAN_F64},
	{"struct", GOMAP_TYPE("", struct key24, uint64_t, hash_k24, equal_k24, 0), key_k24,
	 number_k24, KEYS, NO_NAN},
	{"big", GOMAP_TYPE("", struct big, uint64_t, hash_big, equal_big, 0), key_big, number_big,
	 KEYS, NO_NAN},
	{"uint8", GOMAP_TYPE("", uint8_t, uint64_t, hash_u8, equal_u8, 0), key_u8, number_u8, 256,
	 NO_NAN},
	{"float32", GOMAP_TYPE("", float, uint64_t, gomap_hash_f32, gomap_equal_f32, FLOAT_FLAGS),
	 key_f32, number_f32, KEYS, NAN_F32},
};

static void *must(void *p)
{
	if (!p) {
		perror("compare");
		exit(1);
	}
	return p;
}

static void iterate(const struct kind *kind, struct gomap *m, uint64_t i)
{
	uint64_t met = 0, sum = 0;
	union key key;
	struct gomap_iter it;
	gomap_iter_init(&it, m);
	while (gomap_iter_next(&it)) {
		uint64_t v = *(uint64_t *)it.elem;
		memcpy(&key, it.key, kind->type.key_size);
		if ((kind->nan == NAN_F64 && isnan(key.f64)) ||
		    (kind->nan == NAN_F32 && isnan(key.f32))) {
			sum += v;
			met++;
			continue;
		}
		uint64_t n = kind->number(&key);
		if (n >= KEYS)
			continue;
		met++;
		sum += n * 31 + v;
		if (n % 3 == 0)
			gomap_delete(m, &key, NULL, NULL);
		if (n % 3 == 1) {
			kind->key(n + KEYS, &key);
			*(uint64_t *)must(gomap_assign(m, &key)) = i;
		}
	}
	mix(met);
	mix(sum);
	mix(gomap_len(m));
	for (uint64_t n = KEYS; n < 2 * KEYS; ++n) {
		kind->key(n, &key);
		gomap_delete(m, &key, NULL, NULL);
	}
	mix(gomap_len(m));
}

static void run(const struct kind *kind, uint64_t ops)
{
	struct gomap *m = must(gomap_new(&kind->type, 0, NULL));
	state = 1;
	digest = 0;
	for (uint64_t i = 1; i <= ops; ++i) {
		uint64_t r = next_random(), n = r % kind->count, v;
		union key key;
		bool there;
		kind->key(n, &key);
		switch ((r >> 24) % 16) {
		case 0:
		case 1:
		case 2:
		case 3:
		case 4:
			if (!gomap_put(m, &key, &i))
				must(NULL);
			break;
		case 5:
			*(uint64_t *)must(gomap_assign(m, &key)) += i;
			break;
		case 6:
		case 7:
		case 8:
			gomap_delete(m, &key, NULL, NULL);
			break;
		case 9:
			mix(gomap_len(m));
			break;
		case 10:
			if ((r >> 40 & 4095) == 0) {
				gomap_clear(m);
			} else if (kind->nan && (r >> 40 & 63) == 1) {
				if (kind->nan == NAN_F64)
					key.f64 = NAN;
				else
					key.f32 = NAN;
				*(uint64_t *)must(gomap_assign(m, &key)) = i;
			} else {
				mix_found(0, gomap_find(m, &key) != NULL);
			}
			break;
		case 11:
			if ((r >> 40 & 1023) == 0 && kind->count == KEYS)
				iterate(kind, m, i);
			break;
		default:
			there = gomap_get(m, &key, &v);
			mix_found(v, there);
		}
		if (i % 100000 == 0)
			printf("%s %" PRIu64 " %016" PRIx64 "\n", kind->name, i, digest);
	}
	gomap_free(m);
}

int main(int argc, char **argv)
{
	uint64_t ops = argc > 1 ? strtoull(argv[1], NULL, 0) : 1300000;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); ++i)
		run(&kinds[i], ops);
	return 0;
}
