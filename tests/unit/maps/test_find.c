#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forge_map.h"
#include "maps/find.h"

enum { HEAP = 1 << 14 };

/* A heap of one Swiss program with a small map[uint64]string at offset 0 that has the given keys. */
static struct forge *forge_small_map(uint8_t heap[HEAP], unsigned count)
{
	struct forge *f = forge_new(true);
	const struct layout *l = &f->rt->layout;
	enum { SEED = 12345, GROUP = 512, STRING = 1024 };
	forge_u64(heap + l->map.used, count);
	forge_u64(heap + l->map.seed, SEED);
	forge_u64(heap + l->map.dir_ptr, FORGE_HEAP + GROUP);
	memset(heap + GROUP, 0x80, 8);
	memcpy(heap + STRING, "text", 4);
	for (unsigned i = 0; i < count; i++) {
		uint8_t *slot = heap + GROUP + 8 + i * 24;
		forge_u64(slot, i * 1000);
		forge_u64(slot + 8, FORGE_HEAP + STRING);
		forge_u64(slot + 16, 4);
		heap[GROUP + i] = memhash64(&f->keys, slot, SEED) & 0x7f;
	}
	forge_add(f, FORGE_HEAP, heap, HEAP);
	return f;
}

static struct found_maps find(struct forge *f)
{
	struct goroutines none = {0};
	struct found_maps maps;
	struct error err;
	if (maps_find(f->rt, &none, &maps, &err) != OK)
		fail_msg("%s", err.text);
	return maps;
}

static const uint64_t AN_INTERFACE = 2048;

static void a_map_in_an_interface_is_found_by_its_type_word(void **state)
{
	(void)state;
	static uint8_t heap[HEAP];
	memset(heap, 0, sizeof(heap));
	struct forge *f = forge_small_map(heap, 1);
	uint64_t type = forge_map_type(FORGE_U64, FORGE_STRING);
	forge_u64(heap + AN_INTERFACE, type);
	forge_u64(heap + AN_INTERFACE + 8, FORGE_HEAP);
	struct found_maps maps = find(f);
	assert_int_equal(maps.count, 1);
	assert_int_equal(maps.list[0].addr, FORGE_HEAP);
	assert_int_equal(maps.list[0].type, type);
	assert_int_equal(maps.list[0].holder, FORGE_HEAP + AN_INTERFACE + 8);
	assert_int_equal(maps.list[0].fitting_types, 0);
	found_maps_done(&maps);
	forge_free(f);
}

static void what_a_type_word_calls_a_map_must_have_the_hashes_of_its_keys(void **state)
{
	(void)state;
	static uint8_t heap[HEAP];
	memset(heap, 0, sizeof(heap));
	struct forge *f = forge_small_map(heap, 1);
	forge_u64(heap + AN_INTERFACE, forge_map_type(FORGE_U64, FORGE_STRING));
	forge_u64(heap + AN_INTERFACE + 8, FORGE_HEAP);
	heap[512] ^= 1;
	struct found_maps maps = find(f);
	assert_int_equal(maps.count, 0);
	found_maps_done(&maps);
	forge_free(f);
}

static void a_map_that_only_a_word_refers_to_is_found_with_its_type(void **state)
{
	(void)state;
	static uint8_t heap[HEAP];
	memset(heap, 0, sizeof(heap));
	struct forge *f = forge_small_map(heap, 5);
	forge_u64(heap + AN_INTERFACE, FORGE_HEAP);
	struct found_maps maps = find(f);
	assert_int_equal(maps.count, 1);
	assert_int_equal(maps.list[0].type, forge_map_type(FORGE_U64, FORGE_STRING));
	assert_int_equal(maps.list[0].holder, FORGE_HEAP + AN_INTERFACE);
	assert_true(maps.list[0].fitting_types > 0);
	assert_false(maps.complete); /* there is no DWARF */
	found_maps_done(&maps);
	forge_free(f);
}

static void a_map_that_no_word_refers_to_is_not_found(void **state)
{
	(void)state;
	static uint8_t heap[HEAP];
	memset(heap, 0, sizeof(heap));
	struct forge *f = forge_small_map(heap, 5);
	struct found_maps maps = find(f);
	assert_int_equal(maps.count, 0);
	found_maps_done(&maps);
	forge_free(f);
}

static void two_entries_are_too_few_to_tell_a_map_from_chance(void **state)
{
	(void)state;
	static uint8_t heap[HEAP];
	memset(heap, 0, sizeof(heap));
	struct forge *f = forge_small_map(heap, 2);
	forge_u64(heap + AN_INTERFACE, FORGE_HEAP);
	struct found_maps maps = find(f);
	assert_int_equal(maps.count, 0);
	found_maps_done(&maps);
	forge_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_map_in_an_interface_is_found_by_its_type_word),
		cmocka_unit_test(what_a_type_word_calls_a_map_must_have_the_hashes_of_its_keys),
		cmocka_unit_test(a_map_that_only_a_word_refers_to_is_found_with_its_type),
		cmocka_unit_test(a_map_that_no_word_refers_to_is_not_found),
		cmocka_unit_test(two_entries_are_too_few_to_tell_a_map_from_chance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
