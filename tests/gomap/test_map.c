/* The map against its promises: semantics, layout, growth, iteration, failure of memory. */
#include "ops.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

GOMAP_DEFINE_INT(ints, uint64_t, uint64_t)
GOMAP_DEFINE_INT(small, int32_t, int16_t)
GOMAP_DEFINE_STRING(words, int)
GOMAP_DEFINE(floats, double, int, gomap_hash_f64, gomap_equal_f64,
	     GOMAP_IRREFLEXIVE | GOMAP_KEY_UPDATE)

static uint64_t next_random(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *x >> 33;
}

static void random_operations_agree_with_an_array(void **state)
{
	static uint8_t bytes[40000];
	uint64_t x = 42;
	(void)state;
	for (unsigned run = 0; run < 8 * OPS_TYPES; ++run) {
		for (size_t i = 0; i < sizeof(bytes); ++i)
			bytes[i] = (uint8_t)(next_random(&x) >> 8);
		ops_run(run, bytes, sizeof(bytes), NULL);
	}
}

static void header_has_the_offsets_of_gos_hmap(void **state)
{
	(void)state;
	/* DWARF of runtime.hmap, go1.19 to go1.23 */
	assert_int_equal(offsetof(struct gomap, count), 0);
	assert_int_equal(offsetof(struct gomap, flags), 8);
	assert_int_equal(offsetof(struct gomap, B), 9);
	assert_int_equal(offsetof(struct gomap, noverflow), 10);
	assert_int_equal(offsetof(struct gomap, hash0), 12);
	assert_int_equal(offsetof(struct gomap, buckets), 16);
	assert_int_equal(offsetof(struct gomap, oldbuckets), 24);
	assert_int_equal(offsetof(struct gomap, nevacuate), 32);
	assert_int_equal(offsetof(struct gomap, extra), 40);
}

static void buckets_have_gos_sizes(void **state)
{
	(void)state;
	/* measured BucketSize of Go: int/int 144, int32/int16 64, string/int32 176, float64/int32 */
	struct gomap_shape s = ints_impl_shape();
	assert_int_equal(gomap_impl_bucket_size(&s), 144);
	s = small_impl_shape();
	assert_int_equal(gomap_impl_bucket_size(&s), 64);
	s = words_impl_shape();
	assert_int_equal(gomap_impl_bucket_size(&s), 176);
	struct gomap *m = gomap_new(&ops_types[5], 0, NULL);
	assert_int_equal(gomap_impl_bucket_size(&m->shape), 144); /* two pointers a slot */
	gomap_free(m);
	m = gomap_new(&ops_types[6], 0, NULL);
	assert_int_equal(gomap_impl_bucket_size(&m->shape), 40);
	gomap_free(m);
}

static void a_null_map_reads_as_empty_and_refuses_writes(void **state)
{
	struct gomap_iter it;
	uint64_t v = 7;
	(void)state;
	assert_int_equal(ints_len(NULL), 0);
	assert_null(ints_find(NULL, 1));
	assert_false(ints_get(NULL, 1, &v));
	assert_int_equal(v, 0);
	assert_null(gomap_find(NULL, &v));
	assert_false(gomap_get(NULL, &v, NULL));
	gomap_iter_init(&it, NULL);
	assert_false(gomap_iter_next(&it));
	gomap_iter_done(&it);
	gomap_iter_done(NULL);
	gomap_free(NULL);
	errno = 0;
	assert_false(ints_put(NULL, 1, 1));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(gomap_assign(NULL, &v));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_false(gomap_delete(NULL, &v, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_false(gomap_clear(NULL));
	assert_int_equal(errno, EINVAL);
}

static void types_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	struct gomap_type no_hash = GOMAP_TYPE("x", int, int, NULL, gomap_equal_f64, 0);
	struct gomap_type wrong_size = GOMAP_TYPE_INT("x", uint16_t, int);
	struct gomap_type wide = GOMAP_TYPE_INT("x", uint64_t, int);
	wide.elem_align = 32;
	errno = 0;
	assert_null(gomap_new(NULL, 0, NULL));
	assert_int_equal(errno, EINVAL);
	assert_null(gomap_new(&no_hash, 0, NULL));
	assert_null(gomap_new(&wrong_size, 0, NULL));
	assert_null(gomap_new(&wide, 0, NULL));
	errno = 0;
	assert_null(gomap_new(&ops_types[0], SIZE_MAX, NULL));
	assert_int_equal(errno, ENOMEM);
}

static void nan_keys_pile_up_and_are_all_iterated(void **state)
{
	(void)state;
	struct floats *m = floats_new(0);
	for (int i = 0; i < 1000; ++i)
		assert_true(floats_put(m, NAN, i));
	assert_int_equal(floats_len(m), 1000);
	assert_null(floats_find(m, NAN));
	assert_false(floats_delete(m, NAN));
	struct gomap_iter it;
	const double *k;
	int *v, n = 0;
	static bool seen[1000];
	gomap_iter_init(&it, floats_map(m));
	while (floats_next(&it, &k, &v)) {
		assert_false(seen[*v]);
		seen[*v] = true;
		n++;
	}
	assert_int_equal(n, 1000);
	floats_clear(m);
	assert_int_equal(floats_len(m), 0);
	floats_free(m);
}

static void nan_keys_survive_an_iteration_across_growth(void **state)
{
	(void)state;
	for (int round = 0; round < 50; ++round) {
		struct floats *m = floats_new(0);
		static int seen[400];
		memset(seen, 0, sizeof(seen));
		for (int i = 0; i < 400; ++i)
			floats_put(m, NAN, i);
		struct gomap_iter it;
		const double *k;
		int *v, fresh = 0;
		gomap_iter_init(&it, floats_map(m));
		while (floats_next(&it, &k, &v)) {
			if (*k == *k)
				continue;
			seen[*v]++;
			for (int i = 0; i < 5; ++i)
				floats_put(m, fresh++, 0);
		}
		for (int i = 0; i < 400; ++i)
			assert_int_equal(seen[i], 1);
		floats_free(m);
	}
}

static void writing_minus_zero_replaces_the_key_plus_zero(void **state)
{
	(void)state;
	struct floats *m = floats_new(0);
	struct gomap_iter it;
	const double *k;
	int *v;
	floats_put(m, 0.0, 1);
	floats_put(m, -0.0, 2);
	assert_int_equal(floats_len(m), 1);
	gomap_iter_init(&it, floats_map(m));
	assert_true(floats_next(&it, &k, &v));
	assert_true(signbit(*k) && *v == 2);
	gomap_iter_done(&it);
	floats_free(m);
}

static void a_string_key_keeps_the_bytes_it_was_inserted_with(void **state)
{
	(void)state;
	struct words *m = words_new(0);
	char first[] = "key", second[] = "key";
	words_put(m, (struct gomap_string){first, 3}, 1);
	words_put(m, (struct gomap_string){second, 3}, 2);
	struct gomap_string old;
	assert_true(gomap_delete(words_map(m), &(struct gomap_string){"key", 3}, &old, NULL));
	assert_ptr_equal(old.ptr, first);
	words_free(m);
}

static void a_hint_leaves_nothing_to_grow(void **state)
{
	(void)state;
	for (size_t hint = 1; hint < 5000; hint = hint * 3 + 1) {
		struct ints *m = ints_new(hint);
		uint8_t B = ints_map(m)->B;
		for (size_t i = 0; i < hint; ++i)
			ints_put(m, i, i);
		assert_int_equal(ints_map(m)->B, B);
		assert_null(ints_map(m)->oldbuckets);
		ints_free(m);
	}
}

static void a_write_evacuates_two_buckets_at_most(void **state)
{
	(void)state;
	struct ints *m = ints_new(0);
	struct gomap *h = ints_map(m);
	size_t grown = 0;
	for (uint64_t i = 0; i < 300000; ++i) {
		const char *old = h->oldbuckets;
		static char evacuated[1 << 16];
		size_t n = 0;
		if (old && h->B <= 12) {
			n = (size_t)1 << (h->B - 1);
			for (size_t b = 0; b < n; ++b)
				evacuated[b] = gomap_impl_evacuated(old + b * 144);
		}
		ints_put(m, i, i);
		if (!n || h->oldbuckets != old)
			continue;
		size_t more = 0;
		for (size_t b = 0; b < n; ++b)
			more += gomap_impl_evacuated(old + b * 144) && !evacuated[b];
		assert_in_range(more, 0, 2);
		grown += more;
	}
	assert_true(grown > 1000);
	ints_free(m);
}

static void deletion_alone_does_not_keep_chains_long(void **state)
{
	(void)state;
	/* growth of the same size rids a map of its overflow buckets, as keys come and go */
	struct ints *m = ints_new(0);
	for (uint64_t i = 0; i < 2000000; ++i) {
		ints_put(m, i, i);
		if (i >= 5000)
			ints_delete(m, i - 5000);
	}
	assert_int_equal(ints_len(m), 5000);
	assert_in_range(ints_map(m)->B, 0, 11);
	ints_free(m);
}

static void fill_a_large_map(struct ints *m)
{
	enum { N = 1500000 }; /* arrays of 20 and 40 MB: mapped, and released while growing */
	for (uint64_t i = 0; i < N; ++i)
		assert_true(ints_put(m, i * 3, i));
	for (uint64_t i = 0; i < N; ++i) {
		uint64_t v;
		assert_true(ints_get(m, i * 3, &v) && v == i);
		assert_null(ints_find(m, i * 3 + 1));
	}
	struct gomap_iter it;
	const uint64_t *k;
	uint64_t *v, n = 0, sum = 0;
	gomap_iter_init(&it, ints_map(m));
	while (ints_next(&it, &k, &v)) {
		assert_int_equal(*k, *v * 3);
		n++;
		sum += *v;
	}
	assert_int_equal(n, N);
	assert_int_equal(sum, (uint64_t)N * (N - 1) / 2);
	ints_free(m);
}

static struct ints *ints_of_huge_pages(size_t hint)
{
	return (struct ints *)gomap_new(&ints_type, hint, &gomap_huge_pages);
}

static void a_large_map_gives_back_what_it_has_evacuated(void **state)
{
	(void)state;
	fill_a_large_map(ints_new(0));
	fill_a_large_map(ints_of_huge_pages(0));
}

/* Whether the mapping that holds p has been marked for huge pages (proc(5), VmFlags hg). */
static bool marked_huge(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool here = false, marked = false;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)p >= from && (uintptr_t)p < to;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			marked = strstr(line, " hg") != NULL;
	}
	fclose(f);
	return marked;
}

static void only_large_arrays_of_gomap_huge_pages_ask_for_them(void **state)
{
	(void)state;
	if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) != 0) {
		print_message("this kernel has no huge pages\n");
		skip();
	}
	struct gomap *large = gomap_new(&ints_type, 200000, &gomap_huge_pages);
	struct gomap *small = gomap_new(&ints_type, 50000, &gomap_huge_pages);
	struct gomap *plain = gomap_new(&ints_type, 200000, NULL);
	assert_true(large && small && plain);
	assert_true(marked_huge(large->buckets));
	assert_int_equal((uintptr_t)large->buckets % (2 << 20), 0);
	assert_false(marked_huge(small->buckets));
	assert_false(marked_huge(plain->buckets));
	gomap_free(large);
	gomap_free(small);
	gomap_free(plain);
}

/* Its array is made before: the map begins to use it no earlier for that. */
static void a_large_map_doubles_at_gos_load(void **state)
{
	(void)state;
	struct ints *m = ints_of_huge_pages(0);
	struct gomap *h = ints_map(m);
	unsigned doubled = 0;
	for (uint64_t i = 0; i < 500000; ++i) {
		uint8_t B = h->B;
		assert_true(ints_put(m, i, i));
		if (h->B == B || B < 4)
			continue;
		assert_int_equal(ints_len(m), 13 * ((size_t)1 << B) / 2 + 1);
		doubled++;
	}
	assert_int_equal(h->B, 17);
	assert_int_equal(doubled, 13);
	ints_free(m);
}

static size_t mapped_bytes(void)
{
	size_t pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%zu", &pages), 1);
	fclose(f);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void an_array_that_waits_for_growth_goes_with_the_map_and_its_content(void **state)
{
	enum { FULL = 13 << 14, ROUNDS = 16, MOST = 40 << 20 }; /* the next array has 10 MB */
	(void)state;
	struct ints *kept = ints_of_huge_pages(FULL);
	size_t before = mapped_bytes();
	for (unsigned round = 0; round < ROUNDS; ++round) {
		struct ints *m = round % 2 ? ints_of_huge_pages(FULL) : kept;
		for (uint64_t i = 0; i < FULL; ++i)
			assert_true(ints_put(m, i, i));
		assert_int_equal(ints_map(m)->B, 15);
		assert_null(ints_map(m)->oldbuckets);
		if (m == kept)
			assert_true(ints_clear(m));
		else
			ints_free(m);
	}
	assert_true(mapped_bytes() < before + MOST);
	ints_free(kept);
}

static void a_large_map_of_long_chains_grows_to_its_own_size(void **state)
{
	enum { N = 150000, SOON = 8 }; /* inserts: more than its array has huge pages */
	(void)state;
	struct ints *m = ints_of_huge_pages(N);
	struct gomap *h = ints_map(m);
	for (uint64_t i = 0; i < N; ++i)
		assert_true(ints_put(m, i, i));
	uint8_t B = h->B;
	h->noverflow = 1 << 15; /* what Go tolerates, as after long coming and going */
	h->room = 0;
	uint64_t n = N;
	while (!h->oldbuckets && n < N + SOON) {
		assert_true(ints_put(m, n, n));
		++n;
	}
	assert_non_null(h->oldbuckets);
	assert_int_equal(h->B, B);
	assert_true(h->flags & GOMAP_SAME_SIZE_GROW);
	for (uint64_t i = 0; i < N; ++i)
		assert_true(ints_put(m, i, i + 1));
	assert_null(h->oldbuckets);
	assert_int_equal(ints_len(m), n);
	for (uint64_t i = 0, v; i < n; ++i)
		assert_true(ints_get(m, i, &v) && v == i + (i < N));
	ints_free(m);
}

/* An allocator that counts what it is asked for. */
static unsigned asked;

static void *counted_alloc(void *ctx, size_t size)
{
	void *p = NULL;
	(void)ctx;
	++asked;
	return posix_memalign(&p, 64, size) == 0 ? memset(p, 0, size) : NULL;
}

static void counted_free(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	++asked;
	free(p);
}

static void counted_release(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)p;
	assert_true(size <= 64 << 10);
	++asked;
}

/* No insert pays for all that growth leaves: steps of the array, and overflow buckets, which at this size
 * are dozens of allocations. What a small map (below 2^12) has left when it grows again goes at once: nine
 * such allocations, and the array, its list of those and its description, beside the new array's two. */
static void no_write_gives_back_more_than_a_step(void **state)
{
	static const struct gomap_allocator counted = {counted_alloc, counted_free, counted_release,
						       NULL};
	(void)state;
	struct gomap *m = gomap_new(&ints_type, 0, &counted);
	unsigned askings = 0;
	for (uint64_t i = 0; i < 1050000; ++i) { /* so that an array of 2^17 ends */
		asked = 0;
		assert_true(gomap_put(m, &i, &i));
		assert_in_range(asked, 0, 15);
		askings += asked != 0;
	}
	assert_true(askings > 300); /* or nothing was put to the test */
	gomap_free(m);
}

static void iteration_starts_anywhere(void **state)
{
	(void)state;
	struct ints *m = ints_new(0);
	unsigned first[8] = {0};
	for (uint64_t i = 0; i < 8; ++i)
		ints_put(m, i, i);
	for (int round = 0; round < 8000; ++round) {
		struct gomap_iter it;
		gomap_iter_init(&it, ints_map(m));
		assert_true(gomap_iter_next(&it));
		first[*(const uint64_t *)it.key]++;
		gomap_iter_done(&it);
	}
	/* each of eight about 1000 times; 800 is six standard deviations off */
	for (int i = 0; i < 8; ++i)
		assert_in_range(first[i], 800, 1200);
	ints_free(m);
}

static void two_maps_hash_the_same_key_differently(void **state)
{
	(void)state;
	struct gomap *a = gomap_new(&ops_types[0], 0, NULL), *b = gomap_new(&ops_types[0], 0, NULL);
	unsigned same = 0;
	for (uint64_t i = 0; i < 1000; ++i)
		same += gomap_impl_hash64(i, &a->seed) % 1024 ==
			gomap_impl_hash64(i, &b->seed) % 1024;
	assert_in_range(same, 0, 20);
	gomap_free(a);
	gomap_free(b);
}

/* An allocator that fails its n-th call, and keeps books. */
struct budget {
	size_t calls, fail_at;
	size_t live;
};

static void *budget_alloc(void *ctx, size_t size)
{
	struct budget *b = ctx;
	if (++b->calls == b->fail_at)
		return NULL;
	void *p = NULL;
	if (posix_memalign(&p, 64, size ? size : 1) != 0)
		return NULL;
	b->live += size;
	return memset(p, 0, size);
}

static void budget_free(void *ctx, void *p, size_t size)
{
	struct budget *b = ctx;
	b->live -= size;
	free(p);
}

/* A fixed run of insertions and deletions in which each refused write is tried once more. */
static bool run_with_budget(unsigned type, struct budget *budget)
{
	struct gomap_allocator allocator = {budget_alloc, budget_free, NULL, budget};
	struct gomap *m = gomap_new(&ops_types[type], 0, &allocator);
	bool failed = false;
	if (!m) {
		assert_int_equal(errno, ENOMEM);
		return true;
	}
	for (unsigned n = 0; n < 200; ++n) {
		union ops_value key, elem;
		ops_key(type, n, &key);
		ops_elem(type, n, &elem);
		size_t before = gomap_len(m);
		errno = 0;
		if (!gomap_put(m, &key, &elem)) {
			assert_int_equal(errno, ENOMEM);
			assert_int_equal(gomap_len(m), before);
			assert_null(gomap_find(m, &key));
			failed = true;
			assert_true(gomap_put(m, &key, &elem));
		}
		if (n % 3 == 0 && !gomap_delete(m, &key, NULL, NULL)) {
			failed = true;
			assert_true(gomap_delete(m, &key, NULL, NULL));
		}
	}
	for (unsigned n = 0; n < 200; ++n) {
		union ops_value key;
		ops_key(type, n, &key);
		assert_int_equal(gomap_find(m, &key) != NULL, n % 3 != 0);
	}
	gomap_free(m);
	return failed;
}

static void each_allocation_may_fail_and_nothing_is_lost(void **state)
{
	(void)state;
	for (unsigned type = 0; type < OPS_TYPES; ++type) {
		for (size_t fail_at = 1;; ++fail_at) {
			struct budget budget = {0, fail_at, 0};
			bool failed = run_with_budget(type, &budget);
			assert_int_equal(budget.live, 0);
			if (budget.calls < fail_at) {
				assert_false(failed);
				break;
			}
			assert_true(failed);
		}
	}
}

static void a_forgotten_iteration_costs_memory_and_no_more(void **state)
{
	(void)state;
	struct budget budget = {0, 0, 0};
	struct gomap_allocator allocator = {budget_alloc, budget_free, NULL, &budget};
	struct gomap *m = gomap_new(&ops_types[5], 0, &allocator);
	for (unsigned n = 0; n < 1000; ++n) {
		union ops_value key;
		ops_key(5, n, &key);
		assert_non_null(gomap_assign(m, &key));
		if (n % 10 == 0) {
			struct gomap_iter it;
			gomap_iter_init(&it, m);
			gomap_iter_next(&it);
		}
		if (n % 4 == 0)
			assert_true(gomap_delete(m, &key, NULL, NULL));
	}
	gomap_free(m);
	assert_int_equal(budget.live, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_operations_agree_with_an_array),
		cmocka_unit_test(header_has_the_offsets_of_gos_hmap),
		cmocka_unit_test(buckets_have_gos_sizes),
		cmocka_unit_test(a_null_map_reads_as_empty_and_refuses_writes),
		cmocka_unit_test(types_that_make_no_sense_are_refused),
		cmocka_unit_test(nan_keys_pile_up_and_are_all_iterated),
		cmocka_unit_test(nan_keys_survive_an_iteration_across_growth),
		cmocka_unit_test(writing_minus_zero_replaces_the_key_plus_zero),
		cmocka_unit_test(a_string_key_keeps_the_bytes_it_was_inserted_with),
		cmocka_unit_test(a_hint_leaves_nothing_to_grow),
		cmocka_unit_test(a_write_evacuates_two_buckets_at_most),
		cmocka_unit_test(deletion_alone_does_not_keep_chains_long),
		cmocka_unit_test(a_large_map_gives_back_what_it_has_evacuated),
		cmocka_unit_test(only_large_arrays_of_gomap_huge_pages_ask_for_them),
		cmocka_unit_test(a_large_map_doubles_at_gos_load),
		cmocka_unit_test(an_array_that_waits_for_growth_goes_with_the_map_and_its_content),
		cmocka_unit_test(a_large_map_of_long_chains_grows_to_its_own_size),
		cmocka_unit_test(no_write_gives_back_more_than_a_step),
		cmocka_unit_test(iteration_starts_anywhere),
		cmocka_unit_test(two_maps_hash_the_same_key_differently),
		cmocka_unit_test(each_allocation_may_fail_and_nothing_is_lost),
		cmocka_unit_test(a_forgotten_iteration_costs_memory_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
