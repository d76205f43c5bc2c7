#include "target/memory.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A fetched range whose byte at offset i is pattern(i), with a hole. */
struct fetched {
	uint64_t hole, hole_end; /* offsets */
	size_t calls;
	size_t bytes;
};

static uint8_t pattern(uint64_t offset)
{
	return (uint8_t)(offset * 7 + (offset >> 8) * 13 + 1);
}

static enum status fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			 struct error *err)
{
	struct fetched *f = context;
	f->calls++;
	for (size_t i = 0; i < n; i++) {
		if (offset + i >= f->hole && offset + i < f->hole_end)
			return error_at(err, ERROR_FAULT, addr + i, "hole");
		((uint8_t *)buf)[i] = pattern(offset + i);
	}
	f->bytes += n;
	return OK;
}

static void add_fetched(struct memory *m, uint64_t start, uint64_t end, struct fetched *f)
{
	struct memory_range r = {start, end, ORIGIN_CORE, true, false};
	assert_int_equal(memory_add(m, &r, fetch, f, NULL), OK);
}

static void add_bytes(struct memory *m, uint64_t start, const void *p, size_t n, enum origin origin)
{
	struct memory_range r = {start, start + n, origin, false, true};
	assert_int_equal(memory_add_bytes(m, &r, p, NULL), OK);
}

static void assert_faults_at(struct memory *m, uint64_t addr, size_t n, uint64_t at)
{
	struct error err = {0};
	uint8_t *buf = malloc(n);
	assert_int_equal(memory_read(m, addr, buf, n, &err), FAILED);
	assert_int_equal(err.code, ERROR_FAULT);
	assert_int_equal(err.addr, at);
	free(buf);
}

static void later_ranges_cover_earlier_ones(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	uint8_t got[10];
	add_bytes(m, 100, "aaaaaaaaaa", 10, ORIGIN_FILE);
	add_bytes(m, 103, "bbb", 3, ORIGIN_CORE);
	assert_int_equal(memory_read(m, 100, got, 10, NULL), OK);
	assert_memory_equal(got, "aaabbbaaaa", 10);
	assert_int_equal(memory_origin(m, 102), ORIGIN_FILE);
	assert_int_equal(memory_origin(m, 103), ORIGIN_CORE);
	assert_int_equal(memory_origin(m, 106), ORIGIN_FILE);
	assert_int_equal(memory_origin(m, 110), ORIGIN_NONE);
	assert_int_equal(memory_origin(m, 99), ORIGIN_NONE);
	memory_free(m);
}

static void a_range_added_after_a_read_is_seen(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	uint8_t got[4];
	add_bytes(m, 100, "aaaa", 4, ORIGIN_FILE);
	assert_int_equal(memory_read(m, 100, got, 4, NULL), OK);
	add_bytes(m, 102, "bb", 2, ORIGIN_FILE);
	assert_int_equal(memory_read(m, 100, got, 4, NULL), OK);
	assert_memory_equal(got, "aabb", 4);
	memory_free(m);
}

static void a_read_fails_at_the_first_missing_address(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	assert_faults_at(m, 0, 1, 0);
	add_bytes(m, 100, "aaaa", 4, ORIGIN_FILE);
	add_bytes(m, 104, "bbbb", 4, ORIGIN_FILE);
	add_bytes(m, 110, "cc", 2, ORIGIN_FILE);
	assert_faults_at(m, 99, 5, 99);
	assert_faults_at(m, 100, 9, 108);
	assert_faults_at(m, 106, 5, 108);
	assert_faults_at(m, 111, 2, 112);
	assert_faults_at(m, UINT64_MAX, 1, UINT64_MAX);
	uint8_t got[8];
	assert_int_equal(memory_read(m, 100, got, 8, NULL), OK);
	assert_memory_equal(got, "aaaabbbb", 8);
	memory_free(m);
}

static void a_read_of_nothing_never_fails(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	assert_int_equal(memory_read(m, 12345, NULL, 0, NULL), OK);
	memory_free(m);
}

static void the_top_of_the_address_space_is_no_wrap(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {0};
	add_fetched(m, UINT64_MAX - 10, UINT64_MAX, &f);
	add_bytes(m, 0, "zero", 4, ORIGIN_FILE);
	uint8_t got[10];
	assert_int_equal(memory_read(m, UINT64_MAX - 10, got, 10, NULL), OK);
	assert_faults_at(m, UINT64_MAX - 10, 20, UINT64_MAX);
	memory_free(m);
}

static void a_range_that_ends_before_it_starts_is_refused(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct memory_range r = {10, 9, ORIGIN_CORE, false, false};
	struct error err;
	struct fetched f = {0};
	assert_int_equal(memory_add(m, &r, fetch, &f, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
	r.end = 10;
	assert_int_equal(memory_add(m, &r, fetch, &f, &err), OK);
	assert_false(memory_range_at(m, 0, &r));
	memory_free(m);
}

static void a_view_is_given_only_inside_one_byte_range(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	static const char a[8] = "aaaaaaaa", b[8] = "bbbbbbbb";
	struct fetched f = {0};
	add_bytes(m, 100, a, 8, ORIGIN_FILE);
	add_bytes(m, 108, b, 8, ORIGIN_FILE);
	add_fetched(m, 200, 300, &f);
	assert_ptr_equal(memory_view(m, 102, 6), a + 2);
	assert_ptr_equal(memory_view(m, 108, 8), b);
	assert_null(memory_view(m, 102, 7));
	assert_null(memory_view(m, 99, 2));
	assert_null(memory_view(m, 116, 1));
	assert_null(memory_view(m, 200, 1));
	assert_null(memory_view(m, 102, SIZE_MAX));
	assert_int_equal(memory_fetched(m), 0);
	memory_free(m);
}

static void the_ranges_can_be_walked(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {0};
	add_bytes(m, 100, "aaaaaaaaaa", 10, ORIGIN_FILE);
	add_fetched(m, 105, 107, &f);
	add_fetched(m, 200, 300, &f);
	static const struct {
		uint64_t start, end;
		enum origin origin;
	} want[] = {
		{100, 105, ORIGIN_FILE},
		{105, 107, ORIGIN_CORE},
		{107, 110, ORIGIN_FILE},
		{200, 300, ORIGIN_CORE},
	};
	struct memory_range r;
	size_t i = 0;
	for (uint64_t a = 0; memory_range_at(m, a, &r); a = r.end) {
		assert_true(i < 4);
		assert_int_equal(r.start, want[i].start);
		assert_int_equal(r.end, want[i].end);
		assert_int_equal(r.origin, want[i].origin);
		assert_int_equal(r.writable, r.origin == ORIGIN_CORE);
		assert_int_equal(r.executable, r.origin == ORIGIN_FILE);
		i++;
	}
	assert_int_equal(i, 4);
	memory_free(m);
}

static void a_fetched_range_gives_the_bytes_at_their_offsets(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {0};
	uint8_t *got = malloc(1 << 20);
	add_fetched(m, 0x1003, 0x1003 + (1 << 20), &f);
	static const size_t sizes[] = {1, 7, 8, 4095, 4096, 4097, 16383, 16384, 100000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (uint64_t offset = 0; offset < (1 << 20) - sizes[i]; offset += 12289) {
			memset(got, 0, sizes[i]);
			assert_int_equal(memory_read(m, 0x1003 + offset, got, sizes[i], NULL), OK);
			for (size_t k = 0; k < sizes[i]; k++)
				assert_int_equal(got[k], pattern(offset + k));
		}
	}
	free(got);
	assert_int_equal(memory_fetched(m), f.bytes);
	memory_free(m);
}

static void a_hole_in_a_fetched_range_faults_where_it_starts(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {.hole = 5000, .hole_end = 5100};
	uint8_t got[64];
	add_fetched(m, 0x10000, 0x20000, &f);
	assert_faults_at(m, 0x10000 + 4990, 20, 0x10000 + 5000);
	assert_faults_at(m, 0x10000 + 5050, 1, 0x10000 + 5050);
	assert_faults_at(m, 0x10000, 60000, 0x10000 + 5000);
	assert_int_equal(memory_read(m, 0x10000 + 4936, got, 64, NULL), OK);
	assert_int_equal(got[63], pattern(4999));
	assert_int_equal(memory_read(m, 0x10000 + 5100, got, 64, NULL), OK);
	assert_int_equal(got[0], pattern(5100));
	memory_free(m);
}

static void a_word_that_was_read_once_is_not_fetched_again(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {0};
	uint64_t word;
	add_fetched(m, 0x10000, 0x90000, &f);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(memory_read_u64(m, 0x10000 + 8 * (i % 512), &word, NULL), OK);
	assert_int_equal(f.calls, 1);
	assert_int_equal(f.bytes, 4096);
	memory_free(m);
}

static void words_in_a_row_are_fetched_in_few_calls(void **state)
{
	(void)state;
	struct memory *m = memory_new();
	struct fetched f = {0};
	uint64_t word;
	add_fetched(m, 0x10000, 0x10000 + (1 << 20), &f);
	for (uint64_t a = 0; a < 1 << 20; a += 8) {
		assert_int_equal(memory_read_u64(m, 0x10000 + a, &word, NULL), OK);
		assert_int_equal(word & 0xff, pattern(a));
	}
	assert_true(f.calls < 30);
	assert_int_equal(f.bytes, 1 << 20);
	memory_free(m);
}

/* Compares against a byte array in which each range simply overwrites what was there. */
static void random_ranges_read_like_an_array_that_they_overwrite(void **state)
{
	(void)state;
	enum { SPACE = 300 };
	unsigned seed = 42;
	for (int round = 0; round < 400; round++) {
		struct memory *m = memory_new();
		static uint8_t bytes[64][SPACE];
		int model[SPACE];
		for (int i = 0; i < SPACE; i++)
			model[i] = -1;
		int count = rand_r(&seed) % 40;
		for (int i = 0; i < count; i++) {
			size_t start = (size_t)rand_r(&seed) % SPACE;
			size_t n = (size_t)rand_r(&seed) % (SPACE - start);
			memset(bytes[i], i, sizeof(bytes[i]));
			add_bytes(m, start, bytes[i], n, ORIGIN_FILE);
			for (size_t k = start; k < start + n; k++)
				model[k] = i;
		}
		for (uint64_t a = 0; a < SPACE; a++) {
			uint8_t byte;
			struct memory_range r;
			enum status status = memory_read_u8(m, a, &byte, NULL);
			assert_int_equal(status, model[a] < 0 ? FAILED : OK);
			if (status == OK)
				assert_int_equal(byte, model[a]);
			bool inside = memory_range_at(m, a, &r) && r.start <= a;
			assert_int_equal(inside, model[a] >= 0);
			assert_int_equal(memory_view(m, a, 1) != NULL, model[a] >= 0);
		}
		memory_free(m);
	}
}

/* One by one these would cost a move of all pieces behind each: hours, where this takes a second. */
static void a_hundred_thousand_nested_ranges_settle_quickly(void **state)
{
	(void)state;
	enum { COUNT = 100000 };
	struct memory *m = memory_new();
	struct fetched f = {0};
	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (uint64_t i = 0; i < COUNT; i++)
		add_fetched(m, 0x1000 + i, 0x1000 + 4 * COUNT - i, &f);
	struct memory_range r;
	size_t pieces = 0;
	for (uint64_t at = 0; memory_range_at(m, at, &r); at = r.end)
		pieces++;
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(pieces, 2 * COUNT - 1);
	assert_true(b.tv_sec - a.tv_sec < 20);
	memory_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_ranges_cover_earlier_ones),
		cmocka_unit_test(a_range_added_after_a_read_is_seen),
		cmocka_unit_test(a_read_fails_at_the_first_missing_address),
		cmocka_unit_test(a_read_of_nothing_never_fails),
		cmocka_unit_test(the_top_of_the_address_space_is_no_wrap),
		cmocka_unit_test(a_range_that_ends_before_it_starts_is_refused),
		cmocka_unit_test(a_view_is_given_only_inside_one_byte_range),
		cmocka_unit_test(the_ranges_can_be_walked),
		cmocka_unit_test(a_fetched_range_gives_the_bytes_at_their_offsets),
		cmocka_unit_test(a_hole_in_a_fetched_range_faults_where_it_starts),
		cmocka_unit_test(a_word_that_was_read_once_is_not_fetched_again),
		cmocka_unit_test(words_in_a_row_are_fetched_in_few_calls),
		cmocka_unit_test(random_ranges_read_like_an_array_that_they_overwrite),
		cmocka_unit_test(a_hundred_thousand_nested_ranges_settle_quickly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
