#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "maps/memhash.h"

/* As in vectors/main.go, which printed the vectors. */
static const uint64_t SEED = 0x123456789abcdef1;
static const size_t lengths[] = {0,   1,   2,	3,   4,	  5,   6,   7,	 8,  9,	 15,
				 16,  17,  31,	32,  33,  48,  49,  63,	 64, 65, 97,
				 127, 128, 129, 255, 256, 257, 300, 384, 385};
enum { LENGTHS = sizeof(lengths) / sizeof(lengths[0]) };

struct vectors {
	struct memhash_keys keys;
	uint64_t memhash[LENGTHS];
	uint64_t memhash32, memhash64;
};

static const struct vectors all[] = {
#include "memhash_vectors.inc"
};
enum { ALL = sizeof(all) / sizeof(all[0]) };

static void fill(uint8_t data[400])
{
	for (unsigned i = 0; i < 400; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 3));
}

static void memhash_gives_what_each_go_version_gives(void **state)
{
	(void)state;
	uint8_t data[400];
	fill(data);
	for (unsigned v = 0; v < ALL; v++) {
		for (unsigned i = 0; i < LENGTHS; i++) {
			/* A copy of just the right size, so that a read beyond it shows. */
			uint8_t *exact = malloc(lengths[i] ? lengths[i] : 1);
			memcpy(exact, data, lengths[i]);
			uint64_t h = memhash(&all[v].keys, exact, lengths[i], SEED);
			free(exact);
			if (h != all[v].memhash[i])
				fail_msg("vectors %u (go1.%d), %zu bytes: %lx, Go gives %lx", v,
					 all[v].keys.minor, lengths[i], h, all[v].memhash[i]);
		}
	}
}

static void memhash32_and_64_give_what_each_go_version_gives(void **state)
{
	(void)state;
	uint8_t data[400];
	fill(data);
	for (unsigned v = 0; v < ALL; v++) {
		assert_int_equal(memhash32(&all[v].keys, data, SEED), all[v].memhash32);
		assert_int_equal(memhash64(&all[v].keys, data, SEED), all[v].memhash64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memhash_gives_what_each_go_version_gives),
		cmocka_unit_test(memhash32_and_64_give_what_each_go_version_gives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
