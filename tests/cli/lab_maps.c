/*
 * Maps of libgomap, of each kind of key: prints what they hold as `mapcrash map` does, and waits.
 */
#include "gomap.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

struct wide {
	unsigned char bytes[136]; /* over 128: stored through a pointer */
};

static uint64_t hash_wide(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, sizeof(struct wide), seed);
}

static bool equal_wide(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct wide)) == 0;
}

GOMAP_DEFINE_INT(ints, uint64_t, int)
GOMAP_DEFINE_INT(shorts, int32_t, uint16_t)
GOMAP_DEFINE_STRING(strings, double)
GOMAP_DEFINE(wides, struct wide, int64_t, hash_wide, equal_wide, 0)
GOMAP_DEFINE(doubles, double, bool, gomap_hash_f64, gomap_equal_f64, GOMAP_IRREFLEXIVE)
GOMAP_DEFINE_INT(empties, int64_t, int64_t)

int main(void)
{
	struct ints *i = ints_new(0);
	/* up to where it has just begun to grow to 2^7 buckets */
	printf("map %p ints\n", (void *)i);
	for (uint64_t n = 0; n < 417; ++n) {
		ints_put(i, n << 40, -(int)n);
		printf("%" PRIu64 ": %d\n", n << 40, -(int)n);
	}
	struct shorts *s = shorts_new(0);
	printf("map %p shorts\n", (void *)s);
	for (int n = -50; n < 50; ++n) {
		shorts_put(s, n, (uint16_t)(n * n));
		if (n % 3 == 0)
			shorts_delete(s, n);
		else
			printf("%d: %d\n", n, n * n);
	}
	struct strings *t = strings_new(0);
	printf("map %p strings\n", (void *)t);
	strings_put(t, (struct gomap_string){"a\nb", 3}, 0.5);
	strings_put(t, (struct gomap_string){"", 0}, -2);
	printf("\"a\\nb\": 0.5\n\"\": -2\n");
	struct wides *w = wides_new(0);
	printf("map %p wides\n", (void *)w);
	for (int n = 0; n < 20; ++n) {
		struct wide key = {{(unsigned char)n}};
		wides_put(w, key, n);
		printf("%02x%0270d: %d\n", n, 0, n);
	}
	struct doubles *d = doubles_new(0);
	printf("map %p doubles\n", (void *)d);
	doubles_put(d, 1.25, true);
	printf("1.25: 1\n");
	struct empties *e = empties_new(0);
	printf("map %p empties\nend\n", (void *)e);
	fflush(stdout);
	pause();
	return ints_len(i) + shorts_len(s) + strings_len(t) + wides_len(w) + doubles_len(d) +
		       empties_len(e) ==
	       0;
}
