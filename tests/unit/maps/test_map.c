#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "forge_map.h"
#include "maps/internal.h"

enum { HEAP = 1 << 16 };

/* A program of one design with a heap, and in it a map[uint64]uint64 that is filled by hand. */
struct fixture {
	struct forge *f;
	uint8_t *heap;
	uint64_t type;
	uint64_t next; /* free heap */
};

static struct fixture fixture_new(bool swiss)
{
	struct fixture x = {forge_new(swiss), calloc(1, HEAP), 0, FORGE_HEAP + 64};
	x.type = forge_map_type(FORGE_U64, FORGE_U64);
	forge_add(x.f, FORGE_HEAP, x.heap, HEAP);
	return x;
}

static void fixture_free(struct fixture *x)
{
	forge_free(x->f);
	free(x->heap);
}

static uint8_t *at(struct fixture *x, uint64_t addr)
{
	return x->heap + (addr - FORGE_HEAP);
}

static uint64_t allocate(struct fixture *x, uint64_t size)
{
	uint64_t addr = x->next;
	x->next += (size + 7) & ~UINT64_C(7);
	assert_true(x->next <= FORGE_HEAP + HEAP);
	return addr;
}

static void set_count(struct fixture *x, uint64_t count)
{
	forge_u64(at(x, FORGE_HEAP), count);
}

enum { BUCKET = 144, GROUP = 136 };

/* An hmap with 2^b empty buckets. */
static uint64_t make_hmap(struct fixture *x, uint8_t b)
{
	const struct layout *l = &x->f->rt->layout;
	uint64_t buckets = allocate(x, BUCKET << b);
	at(x, FORGE_HEAP)[l->hmap.b] = b;
	forge_u32(at(x, FORGE_HEAP) + l->hmap.hash0, 77);
	forge_u64(at(x, FORGE_HEAP) + l->hmap.buckets, buckets);
	return buckets;
}

static void put_hmap_slot(struct fixture *x, uint64_t bucket, unsigned i, uint64_t key)
{
	uint8_t *p = at(x, bucket);
	p[i] = (uint8_t)(100 + key);
	forge_u64(p + 8 + 8 * i, key);
	forge_u64(p + 72 + 8 * i, key * key);
}

static void put_overflow(struct fixture *x, uint64_t bucket, uint64_t overflow)
{
	forge_u64(at(x, bucket) + BUCKET - 8, overflow);
}

static void fill_group(struct fixture *x, uint64_t group, unsigned used, uint64_t first_key)
{
	uint8_t *p = at(x, group);
	memset(p, CTRL_EMPTY, 8);
	for (unsigned i = 0; i < used; i++) {
		p[i] = (uint8_t)(first_key + i);
		forge_u64(p + 8 + 16 * i, first_key + i);
		forge_u64(p + 16 + 16 * i, (first_key + i) * (first_key + i));
	}
}

static uint64_t make_table(struct fixture *x, uint64_t group_count)
{
	const struct layout *l = &x->f->rt->layout;
	uint64_t table = allocate(x, l->table.size);
	uint64_t groups = allocate(x, GROUP * group_count);
	forge_u16(at(x, table) + l->table.capacity, (uint16_t)(8 * group_count));
	forge_u64(at(x, table) + l->table.groups_data, groups);
	forge_u64(at(x, table) + l->table.groups_mask, group_count - 1);
	for (uint64_t i = 0; i < group_count; i++)
		fill_group(x, groups + GROUP * i, 0, 0);
	return table;
}

static uint64_t table_groups(struct fixture *x, uint64_t table)
{
	return load_u64(at(x, table) + x->f->rt->layout.table.groups_data);
}

static uint64_t make_directory(struct fixture *x, uint64_t length)
{
	const struct layout *l = &x->f->rt->layout;
	uint64_t directory = allocate(x, 8 * length);
	forge_u64(at(x, FORGE_HEAP) + l->map.dir_ptr, directory);
	forge_u64(at(x, FORGE_HEAP) + l->map.dir_len, length);
	return directory;
}

static struct map open_map(struct fixture *x)
{
	struct map map;
	struct error err;
	if (map_open(x->f->rt, x->type, FORGE_HEAP, &map, &err) != OK)
		fail_msg("%s", err.text);
	return map;
}

struct seen {
	uint64_t keys[4096];
	unsigned count;
	bool complete;
	struct map_entry last;
};

static struct seen walk(struct fixture *x)
{
	static struct seen s;
	struct map map = open_map(x);
	struct map_walk *w;
	struct map_entry e;
	s = (struct seen){0};
	assert_int_equal(map_walk_new(x->f->rt, &map, &w, NULL), OK);
	while (map_walk_next(w, &e)) {
		uint64_t elem;
		struct memory *memory = x->f->target.memory;
		assert_true(s.count < 4096);
		assert_int_equal(memory_read_u64(memory, e.key, &s.keys[s.count], NULL), OK);
		assert_int_equal(memory_read_u64(memory, e.elem, &elem, NULL), OK);
		assert_int_equal(elem, s.keys[s.count] * s.keys[s.count]);
		s.count++;
		s.last = e;
	}
	s.complete = map_walk_complete(w);
	map_walk_free(w);
	return s;
}

static void an_hmap_without_buckets_has_no_entries(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 0);
	assert_true(s.complete);
	fixture_free(&x);
}

static void entries_of_overflow_buckets_are_walked_in_order(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	uint64_t buckets = make_hmap(&x, 1), overflow = allocate(&x, BUCKET);
	put_hmap_slot(&x, buckets, 0, 1);
	put_overflow(&x, buckets, overflow);
	put_hmap_slot(&x, overflow, 7, 2);
	put_hmap_slot(&x, buckets + BUCKET, 3, 3);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s.keys[i], i + 1);
	assert_true(s.complete);
	assert_int_equal(s.last.bucket, 1);
	assert_int_equal(s.last.index, 3);
	assert_int_equal(s.last.slot, buckets + BUCKET + 8 + 8 * 3);
	fixture_free(&x);
}

static void a_growing_hmap_shows_each_key_once(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	const struct layout *l = &x.f->rt->layout;
	uint64_t buckets = make_hmap(&x, 2), old = allocate(&x, 2 * BUCKET);
	forge_u64(at(&x, FORGE_HEAP) + l->hmap.oldbuckets, old);
	/* Old bucket 0 has moved: its entries stand in the new ones too. Old bucket 1 has not. */
	put_hmap_slot(&x, old, 0, 1);
	put_hmap_slot(&x, old, 1, 2);
	memset(at(&x, old), TOPHASH_EVACUATED_EMPTY, 8);
	at(&x, old)[0] = TOPHASH_EVACUATED_X;
	at(&x, old)[1] = TOPHASH_EVACUATED_Y;
	put_hmap_slot(&x, buckets, 0, 1);
	put_hmap_slot(&x, buckets + 2 * BUCKET, 0, 2);
	put_hmap_slot(&x, old + BUCKET, 5, 3);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s.keys[i], i + 1);
	assert_true(s.last.old);
	assert_int_equal(s.last.bucket, 1);
	fixture_free(&x);
}

static void growth_in_place_keeps_as_many_old_buckets(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	const struct layout *l = &x.f->rt->layout;
	make_hmap(&x, 1);
	uint64_t old = allocate(&x, 2 * BUCKET);
	forge_u64(at(&x, FORGE_HEAP) + l->hmap.oldbuckets, old);
	at(&x, FORGE_HEAP)[l->hmap.flags] = HMAP_SAME_SIZE_GROW;
	put_hmap_slot(&x, old + BUCKET, 0, 9);
	assert_int_equal(walk(&x).count, 1);
	at(&x, FORGE_HEAP)[l->hmap.flags] = 0;
	assert_int_equal(walk(&x).count, 0);
	fixture_free(&x);
}

static void a_chain_that_comes_back_ends(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	uint64_t buckets = make_hmap(&x, 0);
	uint64_t a = allocate(&x, BUCKET), b = allocate(&x, BUCKET), c = allocate(&x, BUCKET);
	put_hmap_slot(&x, buckets, 0, 1);
	put_hmap_slot(&x, a, 0, 2);
	put_hmap_slot(&x, b, 0, 3);
	put_hmap_slot(&x, c, 0, 4);
	put_overflow(&x, buckets, a);
	put_overflow(&x, a, b);
	put_overflow(&x, b, c);
	put_overflow(&x, c, b);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 4);
	assert_false(s.complete);
	assert_int_equal(x.f->notes.count, 1);
	fixture_free(&x);
}

static void missing_buckets_are_stepped_over_and_noted(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	const struct layout *l = &x.f->rt->layout;
	/* 64 buckets of 144 bytes from a page boundary on; the second page of three is missing. */
	enum { PAGE = 4096, B = 6 };
	uint64_t pages = FORGE_HEAP + 0x100000;
	uint8_t *bytes = calloc(3, PAGE);
	for (unsigned i = 0; i < 64; i++)
		bytes[i * BUCKET] = 0x99;
	forge_add(x.f, pages, bytes, PAGE);
	forge_add(x.f, pages + 2 * PAGE, bytes + 2 * PAGE, PAGE);
	at(&x, FORGE_HEAP)[l->hmap.b] = B;
	forge_u64(at(&x, FORGE_HEAP) + l->hmap.buckets, pages);
	struct seen s = walk(&x);
	/* Whole buckets in the first page, and those that begin in the third. */
	assert_int_equal(s.count, PAGE / BUCKET + (64 - (2 * PAGE + BUCKET - 1) / BUCKET));
	assert_false(s.complete);
	assert_int_equal(x.f->notes.count, 1);
	fixture_free(&x);
	free(bytes);
}

static void a_huge_b_costs_nothing(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	make_hmap(&x, 0);
	for (unsigned b = 20; b < 256; b++) {
		at(&x, FORGE_HEAP)[x.f->rt->layout.hmap.b] = (uint8_t)b;
		assert_false(walk(&x).complete);
	}
	fixture_free(&x);
}

static void a_small_swiss_map_is_one_group(void **state)
{
	(void)state;
	struct fixture x = fixture_new(true);
	uint64_t group = allocate(&x, GROUP);
	forge_u64(at(&x, FORGE_HEAP) + x.f->rt->layout.map.dir_ptr, group);
	fill_group(&x, group, 5, 1);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 5);
	assert_true(s.complete);
	assert_int_equal(s.last.container, group);
	assert_int_equal(s.last.tag, 5);
	fixture_free(&x);
}

static void a_table_that_has_several_directory_entries_counts_once(void **state)
{
	(void)state;
	struct fixture x = fixture_new(true);
	uint64_t a = make_table(&x, 2), b = make_table(&x, 1), d = make_directory(&x, 4);
	uint64_t entries[] = {a, a, b, a};
	for (unsigned i = 0; i < 4; i++)
		forge_u64(at(&x, d) + 8 * i, entries[i]);
	fill_group(&x, table_groups(&x, a) + GROUP, 3, 10);
	fill_group(&x, table_groups(&x, b), 2, 20);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 5);
	assert_int_equal(s.keys[0], 10);
	assert_int_equal(s.keys[4], 21);
	assert_true(s.complete);
	fixture_free(&x);
}

static void broken_tables_are_left_out_and_noted(void **state)
{
	(void)state;
	struct fixture x = fixture_new(true);
	uint64_t a = make_table(&x, 1), b = make_table(&x, 1), d = make_directory(&x, 8);
	forge_u64(at(&x, b) + x.f->rt->layout.table.groups_mask, 2);
	uint64_t entries[] = {0, a + 4, 0xdead000, b, a, a, a, a};
	for (unsigned i = 0; i < 8; i++)
		forge_u64(at(&x, d) + 8 * i, entries[i]);
	fill_group(&x, table_groups(&x, a), 1, 10);
	struct seen s = walk(&x);
	assert_int_equal(s.count, 1);
	assert_false(s.complete);
	assert_int_equal(x.f->notes.count, 4);
	fixture_free(&x);
}

static void groups_behind_a_hole_are_still_walked(void **state)
{
	(void)state;
	struct fixture x = fixture_new(true);
	const struct layout *l = &x.f->rt->layout;
	enum { PAGE = 4096 };
	uint64_t pages = FORGE_HEAP + 0x100000;
	uint8_t *bytes = calloc(3, PAGE);
	forge_add(x.f, pages, bytes, PAGE);
	forge_add(x.f, pages + 2 * PAGE, bytes + 2 * PAGE, PAGE);
	memset(bytes, 0x80, 3 * (size_t)PAGE);
	for (unsigned i = 0; i < 64; i++)
		bytes[i * GROUP] = 0x11;
	uint64_t t = make_table(&x, 1), d = make_directory(&x, 1);
	forge_u64(at(&x, d), t);
	forge_u64(at(&x, t) + l->table.groups_data, pages);
	forge_u64(at(&x, t) + l->table.groups_mask, 63);
	struct map map = open_map(&x);
	struct map_walk *w;
	struct map_entry e;
	unsigned count = 0;
	assert_int_equal(map_walk_new(x.f->rt, &map, &w, NULL), OK);
	while (map_walk_next(w, &e))
		count++;
	assert_int_equal(count, PAGE / GROUP + (64 - (2 * PAGE + GROUP - 1) / GROUP));
	assert_false(map_walk_complete(w));
	map_walk_free(w);
	fixture_free(&x);
	free(bytes);
}

/* What racing writers can leave behind is no contradiction. */
static void a_raced_header_is_no_contradiction(void **state)
{
	(void)state;
	char text[200];
	struct fixture x = fixture_new(false);
	const struct layout *l = &x.f->rt->layout;
	uint64_t buckets = make_hmap(&x, 2);
	set_count(&x, (uint64_t)-2);
	at(&x, FORGE_HEAP)[l->hmap.flags] = HMAP_WRITING | HMAP_ITERATOR | HMAP_SAME_SIZE_GROW;
	forge_u64(at(&x, FORGE_HEAP) + l->hmap.oldbuckets, buckets);
	forge_u64(at(&x, FORGE_HEAP) + l->hmap.nevacuate, 1000);
	struct map map = open_map(&x);
	assert_false(map_contradiction(x.f->rt, &map, text));
	fixture_free(&x);

	x = fixture_new(true);
	l = &x.f->rt->layout;
	uint64_t d = make_directory(&x, 4);
	forge_u64(at(&x, d), make_table(&x, 1));
	at(&x, FORGE_HEAP)[l->map.writing] = 1;
	at(&x, FORGE_HEAP)[l->map.global_depth] = 3; /* dirLen not written yet */
	set_count(&x, (uint64_t)-1);
	map = open_map(&x);
	assert_false(map_contradiction(x.f->rt, &map, text));
	fixture_free(&x);
}

static void contradicts(struct fixture *x, uint16_t offset, unsigned size, uint64_t value)
{
	uint8_t before[8];
	char text[200] = "";
	memcpy(before, at(x, FORGE_HEAP + offset), 8);
	memcpy(at(x, FORGE_HEAP + offset), &value, size);
	struct map map = open_map(x);
	if (!map_contradiction(x->f->rt, &map, text) || !*text)
		fail_msg("0x%lx at %u contradicts nothing", value, offset);
	memcpy(at(x, FORGE_HEAP + offset), before, 8);
	map = open_map(x);
	assert_false(map_contradiction(x->f->rt, &map, text));
}

static void what_no_race_brings_about_is_a_contradiction(void **state)
{
	(void)state;
	struct fixture x = fixture_new(false);
	const struct layout *l = &x.f->rt->layout;
	uint64_t buckets = make_hmap(&x, 2);
	set_count(&x, 3);
	contradicts(&x, l->hmap.flags, 1, 0x10);
	contradicts(&x, l->hmap.b, 1, 60);
	contradicts(&x, l->hmap.count, 8, UINT64_C(1) << 62);
	contradicts(&x, l->hmap.count, 8, UINT64_C(1) << 63);
	contradicts(&x, l->hmap.count, 8, UINT64_C(1) << 30); /* more than there is memory */
	contradicts(&x, l->hmap.buckets, 8, 0);
	contradicts(&x, l->hmap.buckets, 8, buckets + 4);
	contradicts(&x, l->hmap.buckets, 8, 0xdead000);
	contradicts(&x, l->hmap.buckets, 8, FORGE_DATA + 0x80);
	contradicts(&x, l->hmap.buckets, 8, UINT64_C(0xdead000000000000));
	contradicts(&x, l->hmap.oldbuckets, 8, 0xdead000);
	contradicts(&x, l->hmap.extra, 8, 3);
	contradicts(&x, l->hmap.nevacuate, 8, UINT64_C(1) << 50);
	fixture_free(&x);

	x = fixture_new(true);
	l = &x.f->rt->layout;
	uint64_t d = make_directory(&x, 2), t = make_table(&x, 1);
	forge_u64(at(&x, d), t);
	forge_u64(at(&x, d) + 8, t);
	set_count(&x, 3);
	contradicts(&x, l->map.writing, 1, 2);
	contradicts(&x, l->map.dir_len, 8, 3);
	contradicts(&x, l->map.dir_len, 8, UINT64_C(1) << 50);
	contradicts(&x, l->map.global_shift, 1, 65);
	contradicts(&x, l->map.dir_ptr, 8, 0);
	contradicts(&x, l->map.dir_ptr, 8, 0xdead000);
	contradicts(&x, l->map.dir_ptr, 8, FORGE_DATA + 0x80);
	contradicts(&x, l->map.used, 8, UINT64_C(1) << 40);
	fixture_free(&x);
}

static void a_truncated_core_contradicts_no_pointer(void **state)
{
	(void)state;
	char text[200];
	struct fixture x = fixture_new(false);
	make_hmap(&x, 2);
	forge_u64(at(&x, FORGE_HEAP) + x.f->rt->layout.hmap.buckets, 0xdead000);
	x.f->target.truncated = true;
	struct map map = open_map(&x);
	assert_false(map_contradiction(x.f->rt, &map, text));
	fixture_free(&x);
}

static void a_map_type_whose_slots_do_not_fit_is_refused(void **state)
{
	(void)state;
	for (unsigned swiss = 0; swiss < 2; swiss++) {
		struct fixture x = fixture_new(swiss);
		const struct layout *l = &x.f->rt->layout;
		uint8_t *type = x.f->types + (x.type - FORGE_TYPES);
		struct map map;
		struct error err;
		if (swiss)
			forge_u64(type + l->swiss_maptype.group_size, 100);
		else
			forge_u16(type + l->old_maptype.bucket_size, 100);
		assert_int_equal(map_open(x.f->rt, x.type, FORGE_HEAP, &map, &err), FAILED);
		assert_int_equal(err.code, ERROR_FORMAT);
		fixture_free(&x);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hmap_without_buckets_has_no_entries),
		cmocka_unit_test(entries_of_overflow_buckets_are_walked_in_order),
		cmocka_unit_test(a_growing_hmap_shows_each_key_once),
		cmocka_unit_test(growth_in_place_keeps_as_many_old_buckets),
		cmocka_unit_test(a_chain_that_comes_back_ends),
		cmocka_unit_test(missing_buckets_are_stepped_over_and_noted),
		cmocka_unit_test(a_huge_b_costs_nothing),
		cmocka_unit_test(a_small_swiss_map_is_one_group),
		cmocka_unit_test(a_table_that_has_several_directory_entries_counts_once),
		cmocka_unit_test(broken_tables_are_left_out_and_noted),
		cmocka_unit_test(groups_behind_a_hole_are_still_walked),
		cmocka_unit_test(a_raced_header_is_no_contradiction),
		cmocka_unit_test(what_no_race_brings_about_is_a_contradiction),
		cmocka_unit_test(a_truncated_core_contradicts_no_pointer),
		cmocka_unit_test(a_map_type_whose_slots_do_not_fit_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
