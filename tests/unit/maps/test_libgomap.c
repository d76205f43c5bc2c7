/*
 * Maps of libgomap as they lie in this program's own memory, and what is forged from them.
 *
 *     unit_maps_test_libgomap [FOLDER]        with a folder: writes the seeds of fuzz_libgomap instead
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "maps/check.h"
#include "maps/entry.h"
#include "maps/libgomap.h"
#include "maps/lookup.h"

#include <gomap.h>

/* ---- maps whose memory is known piece by piece ------------------------------------------------ */

enum { PIECES_MAX = 64 };

static struct {
	void *p;
	size_t size;
} pieces[PIECES_MAX];
static size_t piece_count;

static void add_piece(const void *p, size_t size)
{
	assert_true(piece_count < PIECES_MAX);
	pieces[piece_count].p = (void *)p;
	pieces[piece_count++].size = size;
}

static void *noted_alloc(void *ctx, size_t size)
{
	(void)ctx;
	void *p = aligned_alloc(64, (size + 63) & ~(size_t)63);
	if (p)
		add_piece(memset(p, 0, size), size);
	return p;
}

static void noted_free(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	for (size_t i = 0; i < piece_count; i++)
		if (pieces[i].p == p)
			pieces[i] = pieces[--piece_count];
	free(p);
}

static const struct gomap_allocator noted = {noted_alloc, noted_free, NULL, NULL};

static const struct gomap_type words = GOMAP_TYPE_INT("map[uint64_t]int64_t", uint64_t, int64_t);
static const struct gomap_type shorts = GOMAP_TYPE_INT("map[int32_t]uint8_t", int32_t, uint8_t);
static const struct gomap_type scores = GOMAP_TYPE_STRING("map[string]int", int);

static struct gomap *new_map(const struct gomap_type *type)
{
	piece_count = 0;
	struct gomap *m = gomap_new(type, 0, &noted);
	assert_non_null(m);
	add_piece(type, sizeof(*type));
	add_piece(type->name, strlen(type->name) + 1);
	return m;
}

static struct gomap *new_words(uint64_t count)
{
	struct gomap *m = new_map(&words);
	for (uint64_t key = 0; key < count; key++)
		assert_true(gomap_put(m, &key, &(int64_t){-(int64_t)key}));
	return m;
}

static struct gomap *new_growing(void)
{
	struct gomap *m = new_words(0);
	for (uint64_t key = 0; !m->oldbuckets || m->nevacuate < 3; key++)
		assert_true(gomap_put(m, &key, &(int64_t){-(int64_t)key}));
	return m;
}

static const char *const names[] = {"alice", "", "a name that is longer than sixteen bytes", "bob",
				    "x"};
enum { NAMES = sizeof(names) / sizeof(names[0]) };

static struct gomap *new_scores(void)
{
	struct gomap *m = new_map(&scores);
	for (int i = 0; i < NAMES; i++) {
		struct gomap_string key = {names[i], strlen(names[i])};
		assert_true(gomap_put(m, &key, &i));
		add_piece(names[i], strlen(names[i]) + 1);
	}
	return m;
}

/* ---- what is read of them -------------------------------------------------------------------- */

struct fixture {
	struct target target;
	struct notes notes;
	struct libgomap m;
	struct error err;
	enum status opened;
};

static void fixture_open(struct fixture *f, const struct gomap *m)
{
	*f = (struct fixture){
		.target = {.kind = TARGET_CORE, .arch = ARCH_AMD64, .memory = memory_new()},
		.notes = NOTES_INIT,
	};
	for (size_t i = 0; i < piece_count; i++) {
		uint64_t at = (uintptr_t)pieces[i].p;
		struct memory_range r = {at, at + pieces[i].size, ORIGIN_CORE, true, false};
		assert_int_equal(memory_add_bytes(f->target.memory, &r, pieces[i].p, NULL), OK);
	}
	f->opened = libgomap_open(&f->target, &f->notes, (uintptr_t)m, &f->m, &f->err);
}

static void fixture_done(struct fixture *f)
{
	notes_done(&f->notes);
	memory_free(f->target.memory);
}

/* The entries that a walk comes by; complete or not. */
static uint64_t walked(struct fixture *f, bool *ret_complete)
{
	struct map_walk *walk;
	struct map_entry e;
	uint64_t n = 0;
	assert_int_equal(map_walk_new(&f->m.rt, &f->m.map, &walk, NULL), OK);
	while (map_walk_next(walk, &e))
		n++;
	*ret_complete = map_walk_complete(walk);
	map_walk_free(walk);
	return n;
}

/* Findings of a kind, of all that a check finds. */
static size_t findings(struct fixture *f, enum check_kind kind, size_t *ret_all)
{
	struct check_report report;
	size_t n = 0;
	assert_int_equal(map_check(&f->m.rt, &f->m.map, &report, NULL), OK);
	for (size_t i = 0; i < report.count; i++)
		n += report.list[i].kind == kind;
	*ret_all = report.count;
	check_report_done(&report);
	return n;
}

static bool check_finds_nothing(struct fixture *f)
{
	struct check_report report;
	assert_int_equal(map_check(&f->m.rt, &f->m.map, &report, NULL), OK);
	bool nothing = !report.count && !report.dropped && report.hashes_checked;
	if (report.count)
		print_message("%s\n", report.list[0].text);
	check_report_done(&report);
	return nothing;
}

static char *looked_up(struct fixture *f, const char *key, char room[64])
{
	struct lookup l;
	struct text text = TEXT_INIT;
	if (map_lookup(&f->m.rt, &f->m.map, key, &l, &f->err) != OK)
		return f->err.text;
	if (l.found)
		assert_true(map_elem_text(&f->m.rt, &f->m.map, l.entry.elem, NULL, &text));
	snprintf(room, 64, "%s", l.found ? text.s : "not there");
	text_done(&text);
	lookup_done(&l);
	return room;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void sound_maps_have_nothing_wrong_and_their_hashes_agree(void **state)
{
	(void)state;
	for (uint64_t count = 0; count < 300; count += 7) {
		struct gomap *m = new_words(count);
		struct fixture f;
		bool complete;
		fixture_open(&f, m);
		assert_int_equal(f.opened, OK);
		assert_int_equal(walked(&f, &complete), count);
		assert_true(complete);
		assert_true(check_finds_nothing(&f));
		fixture_done(&f);
		gomap_free(m);
	}
}

static void keys_are_found_the_way_that_the_library_finds_them(void **state)
{
	(void)state;
	char room[64];
	struct gomap *m = new_growing();
	struct fixture f;
	fixture_open(&f, m);
	for (int64_t key = 0; key < m->count; key++) {
		char text[32], want[32];
		snprintf(text, sizeof(text), "%d", (int)key);
		snprintf(want, sizeof(want), "%d", (int)-key);
		assert_string_equal(looked_up(&f, text, room), want);
	}
	assert_string_equal(looked_up(&f, "123456", room), "not there");
	assert_string_equal(looked_up(&f, "-1", room), "-1 is no key of map[uint64_t]int64_t");
	assert_string_equal(looked_up(&f, "x", room), "x is no key of map[uint64_t]int64_t");
	fixture_done(&f);
	gomap_free(m);

	m = new_scores();
	fixture_open(&f, m);
	for (int i = 0; i < NAMES; i++) {
		char want[32];
		snprintf(want, sizeof(want), "%d", i);
		assert_string_equal(looked_up(&f, names[i], room), want);
	}
	assert_string_equal(looked_up(&f, "\"alice\"", room), "0");
	assert_true(check_finds_nothing(&f));
	fixture_done(&f);
	gomap_free(m);

	m = new_map(&shorts);
	assert_true(gomap_put(m, &(int32_t){-5}, &(uint8_t){250}));
	fixture_open(&f, m);
	assert_string_equal(looked_up(&f, "-5", room), "250");
	assert_string_equal(looked_up(&f, "4294967291", room),
			    "4294967291 is no key of map[int32_t]uint8_t");
	assert_true(check_finds_nothing(&f));
	fixture_done(&f);
	gomap_free(m);
}

/* Old buckets that have moved are given back to the system and may read as anything. */
static void memory_that_was_given_back_is_not_looked_at(void **state)
{
	(void)state;
	struct gomap *m = new_growing();
	struct fixture f;
	bool complete;
	size_t size = 8 + 8 * 16 + 8;
	memset(m->oldbuckets, 0x99, m->nevacuate * size);
	fixture_open(&f, m);
	assert_int_equal(walked(&f, &complete), m->count);
	assert_true(complete);
	assert_true(check_finds_nothing(&f));
	fixture_done(&f);
	gomap_free(m);
}

static char *overflow_of(char *bucket)
{
	return bucket + 8 + 8 * 16;
}

static void a_chain_that_comes_back_to_itself_is_found_and_ends(void **state)
{
	(void)state;
	struct gomap *m = new_words(8);
	struct fixture f;
	bool complete;
	size_t all;
	char *saved = m->buckets;
	memcpy(overflow_of(m->buckets), &saved, sizeof(saved));
	fixture_open(&f, m);
	/* the bucket once as itself and once as its own overflow */
	assert_int_equal(walked(&f, &complete), 16);
	assert_false(complete);
	assert_true(findings(&f, CHECK_CHAIN, &all) > 0);
	fixture_done(&f);
	memset(overflow_of(m->buckets), 0, 8);
	gomap_free(m);
}

static void an_impossible_size_reads_nothing_and_says_so(void **state)
{
	(void)state;
	for (unsigned b = 47; b < 256; b++) {
		struct gomap *m = new_words(8);
		struct fixture f;
		bool complete;
		char text[200];
		size_t all;
		m->B = (uint8_t)b;
		fixture_open(&f, m);
		assert_int_equal(walked(&f, &complete), 0);
		assert_false(complete);
		assert_true(b < 48 || map_contradiction(&f.m.rt, &f.m.map, text));
		assert_true(findings(&f, CHECK_CONTRADICTION, &all) > 0);
		fixture_done(&f);
		m->B = 0;
		gomap_free(m);
	}
}

/* Far more buckets than there is memory, yet fewer than an address space holds. */
static void more_buckets_than_memory_end_at_its_end(void **state)
{
	(void)state;
	struct gomap *m = new_words(8);
	struct fixture f;
	bool complete;
	m->B = 30;
	fixture_open(&f, m);
	/* what else is known of memory may lie behind it */
	assert_true(walked(&f, &complete) >= 8);
	assert_false(complete);
	fixture_done(&f);
	m->B = 0;
	gomap_free(m);
}

static void a_count_that_lies_is_found(void **state)
{
	(void)state;
	static const intptr_t lies[] = {0, 7, 9, -1, INTPTR_MAX};
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct gomap *m = new_words(8);
		struct fixture f;
		bool complete;
		size_t all;
		m->count = lies[i];
		fixture_open(&f, m);
		assert_int_equal(walked(&f, &complete), 8);
		assert_true(findings(&f, CHECK_COUNT, &all) == 1);
		fixture_done(&f);
		gomap_free(m);
	}
}

static void a_changed_tag_or_key_is_found(void **state)
{
	(void)state;
	struct gomap *m = new_words(40);
	struct fixture f;
	size_t all;
	fixture_open(&f, m);
	m->buckets[0] ^= 0x40;
	assert_int_equal(findings(&f, CHECK_TAG, &all), 1);
	assert_int_equal(all, 1);
	m->buckets[0] ^= 0x40;
	m->buckets[8] ^= 0x55;
	(void)findings(&f, CHECK_TAG, &all);
	assert_true(all > 0);
	m->buckets[8] ^= 0x55;
	assert_true(check_finds_nothing(&f));
	fixture_done(&f);
	gomap_free(m);
}

/* Offsets and sizes that the descriptor and the shape give, each turned into anything. */
static void a_descriptor_that_lies_is_refused_or_read_within_its_bounds(void **state)
{
	(void)state;
	static const uint16_t lies[] = {0, 1, 7, 48, 111, 135, 200, 215, 1023, 1024, 1025, 65535};
	unsigned refused = 0;
	struct gomap *m = new_words(8);
	struct gomap good = *m;
	for (size_t field = 0; field < 8; field++) {
		for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
			struct fixture f;
			struct text text = TEXT_INIT;
			memcpy((char *)&m->descriptor + 8 + 2 * field, &lies[i], 2);
			fixture_open(&f, m);
			refused += f.opened != OK;
			if (f.opened == OK) {
				bool complete;
				size_t all;
				char room[64];
				(void)walked(&f, &complete);
				(void)findings(&f, CHECK_COUNT, &all);
				(void)looked_up(&f, "5", room);
			}
			text_done(&text);
			fixture_done(&f);
			*m = good;
		}
	}
	for (size_t i = 0; i < sizeof(m->shape) / 4 && i < 6; i++) {
		static const uint32_t words_[] = {0, 4, 9, 128, 129, 4096, 1 << 20, UINT32_MAX};
		for (size_t j = 0; j < sizeof(words_) / sizeof(words_[0]); j++) {
			struct fixture f;
			memcpy((char *)&m->shape + 4 * i, &words_[j], 4);
			fixture_open(&f, m);
			refused += f.opened != OK;
			if (f.opened == OK) {
				bool complete;
				size_t all;
				(void)walked(&f, &complete);
				(void)findings(&f, CHECK_COUNT, &all);
			}
			fixture_done(&f);
			*m = good;
		}
	}
	assert_true(refused > 50);
	gomap_free(m);
}

static void a_string_that_leads_out_of_memory_is_noted(void **state)
{
	(void)state;
	struct gomap *m = new_scores();
	struct fixture f;
	size_t all;
	/* alice's pointer, wherever her slot is */
	struct gomap_string *key = NULL;
	for (unsigned i = 0; i < 8; i++) {
		struct gomap_string *s = (void *)(m->buckets + 8 + 16 * i);
		if ((uint8_t)m->buckets[i] >= 5 && s->len == 5)
			key = s;
	}
	assert_non_null(key);
	key->ptr = (const char *)0x10;
	fixture_open(&f, m);
	struct text text = TEXT_INIT;
	assert_false(map_key_text(&f.m.rt, &f.m.map, (uintptr_t)key, NULL, &text));
	assert_string_equal(text.s, "<unreadable 0x10>");
	assert_int_equal(f.notes.count, 1);
	assert_int_equal(findings(&f, CHECK_UNREADABLE, &all), 1);
	key->len = SIZE_MAX;
	(void)findings(&f, CHECK_UNREADABLE, &all);
	assert_int_equal(all, 1);
	text_done(&text);
	fixture_done(&f);
	key->ptr = names[0];
	key->len = 5;
	gomap_free(m);
}

/* ---- seeds ------------------------------------------------------------------------------------ */

static void put(FILE *f, uint64_t v, size_t n)
{
	if (fwrite(&v, 1, n, f) != n)
		abort();
}

static void write_seed(const char *folder, const char *name, const struct gomap *m, size_t cut)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "wb");
	if (!f)
		abort();
	put(f, cut != 0, 1);
	put(f, (uintptr_t)m, 8);
	for (size_t i = 0; i < piece_count; i++) {
		size_t n = cut && pieces[i].size > cut ? cut : pieces[i].size;
		put(f, (uintptr_t)pieces[i].p, 8);
		put(f, n, 2);
		if (fwrite(pieces[i].p, 1, n, f) != n)
			abort();
	}
	if (fclose(f) != 0)
		abort();
}

static int write_seeds(const char *folder)
{
	struct gomap *m = new_words(20);
	write_seed(folder, "words", m, 0);
	write_seed(folder, "words-cut", m, 300);
	memcpy(overflow_of(m->buckets), &m->buckets, sizeof(m->buckets));
	write_seed(folder, "words-chain", m, 0);
	m->B = 200;
	write_seed(folder, "words-huge", m, 0);
	m = new_growing();
	write_seed(folder, "growing", m, 0);
	m->count = -1;
	m->nevacuate = UINTPTR_MAX;
	write_seed(folder, "growing-forged", m, 0);
	m = new_scores();
	write_seed(folder, "scores", m, 0);
	m->descriptor.shape = m->descriptor.writer;
	write_seed(folder, "scores-descriptor", m, 0);
	return 0; /* the maps are left: this program ends */
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound_maps_have_nothing_wrong_and_their_hashes_agree),
		cmocka_unit_test(keys_are_found_the_way_that_the_library_finds_them),
		cmocka_unit_test(memory_that_was_given_back_is_not_looked_at),
		cmocka_unit_test(a_chain_that_comes_back_to_itself_is_found_and_ends),
		cmocka_unit_test(an_impossible_size_reads_nothing_and_says_so),
		cmocka_unit_test(more_buckets_than_memory_end_at_its_end),
		cmocka_unit_test(a_count_that_lies_is_found),
		cmocka_unit_test(a_changed_tag_or_key_is_found),
		cmocka_unit_test(a_descriptor_that_lies_is_refused_or_read_within_its_bounds),
		cmocka_unit_test(a_string_that_leads_out_of_memory_is_noted),
	};
	if (argc > 1)
		return write_seeds(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
