#include "go/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/forge.h"

static void a_version_is_read_out_of_its_text(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int minor, patch;
	} cases[] = {
		{"go1.23.5", 23, 5},
		{"go1.24.4 X:noswissmap", 24, 4},
		{"go1.27.4-X:mapsplitgroup", 27, 4},
		{"go1.26rc1", 26, 0},
		{"go1.21beta2", 21, 0},
		{"go1.19", 19, 0},
		{"devel go1.28-abcdef0123 Tue Jan 2 03:04:05 2029 +0000", 28, 0},
		{"devel go1.25-", 25, 0},
		{"go1.22.11 (vendor build)", 22, 11},
		{"go1.x go1.20.3", 20, 3},
		{"go1.23.", 23, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct go_version v;
		assert_true(go_version_parse(cases[i].text, &v));
		assert_int_equal(v.minor, cases[i].minor);
		assert_int_equal(v.patch, cases[i].patch);
		assert_string_equal(v.text, cases[i].text);
	}
}

static void what_is_no_version_is_none(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"", "go", "go1", "go1.", "go2.3", "go1.x", "go1.99999999999", "Go1.23", "1.23.4"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct go_version v = {.minor = 77};
		assert_false(go_version_parse(texts[i], &v));
		assert_int_equal(v.minor, 77);
	}
}

static void an_experiment_is_named_whole_or_not_at_all(void **state)
{
	(void)state;
	struct go_version v;
	assert_true(go_version_parse("go1.24.4 X:arenas,noswissmap,loopvar", &v));
	assert_true(go_version_has_experiment(&v, "noswissmap"));
	assert_true(go_version_has_experiment(&v, "arenas"));
	assert_true(go_version_has_experiment(&v, "loopvar"));
	assert_false(go_version_has_experiment(&v, "swissmap"));
	assert_false(go_version_has_experiment(&v, "noswiss"));
	assert_false(go_version_has_experiment(&v, ""));
	assert_true(go_version_parse("go1.27.4-X:mapsplitgroup", &v));
	assert_true(go_version_has_experiment(&v, "mapsplitgroup"));
	assert_true(go_version_parse("go1.27.4", &v));
	assert_false(go_version_has_experiment(&v, "mapsplitgroup"));
	assert_true(go_version_parse("go1.27.4 X:", &v));
	assert_false(go_version_has_experiment(&v, "mapsplitgroup"));
}

enum { DATA = 0x10000, BLOB_AT = 64 };

/* A data segment with the header of a build information blob at BLOB_AT. */
static void add_blob(struct blob *data, uint8_t flags)
{
	memset(data, 0, sizeof(*data));
	data->len = BLOB_AT;
	blob_add(data, "\xff Go buildinf:", 14);
	blob_u8(data, 8);
	blob_u8(data, flags);
	data->len = BLOB_AT + 32;
}

static enum status read_version(const struct blob *data, struct go_version *ret, struct error *err)
{
	struct forge forge;
	forge_init(&forge);
	assert_true(forge_bytes(&forge, DATA, data->bytes, data->len));
	enum status status = go_version_read(&forge.target, ret, err);
	forge_done(&forge);
	return status;
}

static void the_blob_of_118_holds_the_version_itself(void **state)
{
	(void)state;
	struct blob data;
	struct go_version v;
	add_blob(&data, 2);
	blob_add(&data, "\x10go1.27.4-X:loop1", 17);
	blob_add(&data, "\x03mod", 4);
	assert_int_equal(read_version(&data, &v, NULL), OK);
	assert_string_equal(v.text, "go1.27.4-X:loop1");
	assert_true(v.from_build);
}

static void the_blob_before_118_points_to_the_version(void **state)
{
	(void)state;
	struct blob data;
	struct go_version v;
	add_blob(&data, 0);
	uint64_t header = DATA + data.len;
	blob_put_u64(&data, BLOB_AT + 16, header);
	blob_u64(&data, header + 16);
	blob_u64(&data, 8);
	blob_string(&data, "go1.17.1 is not the whole of it");
	assert_int_equal(read_version(&data, &v, NULL), OK);
	assert_string_equal(v.text, "go1.17.1");
	blob_put_u64(&data, BLOB_AT + 16, 0xdead0000);
	assert_int_equal(read_version(&data, &v, NULL), FAILED);
}

static void a_broken_blob_is_passed_over_for_a_good_one(void **state)
{
	(void)state;
	struct blob data;
	struct go_version v;
	add_blob(&data, 2);
	blob_add(&data, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01go1.2", 15);
	blob_align(&data, 16);
	blob_add(&data, "\xff Go buildinf:", 14);
	blob_u8(&data, 8);
	blob_u8(&data, 2);
	data.len += 16;
	blob_add(&data, "\x06go1.22", 7);
	assert_int_equal(read_version(&data, &v, NULL), OK);
	assert_int_equal(v.minor, 22);
}

static void a_blob_cut_anywhere_is_no_version_and_no_overrun(void **state)
{
	(void)state;
	struct blob data;
	struct go_version v;
	struct error err;
	add_blob(&data, 2);
	blob_add(&data, "\x08go1.23.5", 9);
	size_t whole = data.len;
	for (size_t n = 1; n < whole; n++) {
		struct forge forge;
		uint8_t *copy = malloc(n);
		assert_non_null(copy);
		memcpy(copy, data.bytes, n);
		forge_init(&forge);
		assert_true(forge_bytes(&forge, DATA, copy, n));
		assert_int_equal(go_version_read(&forge.target, &v, &err), FAILED);
		assert_int_equal(err.code, ERROR_NOT_FOUND);
		forge_done(&forge);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_is_read_out_of_its_text),
		cmocka_unit_test(what_is_no_version_is_none),
		cmocka_unit_test(an_experiment_is_named_whole_or_not_at_all),
		cmocka_unit_test(the_blob_of_118_holds_the_version_itself),
		cmocka_unit_test(the_blob_before_118_points_to_the_version),
		cmocka_unit_test(a_broken_blob_is_passed_over_for_a_good_one),
		cmocka_unit_test(a_blob_cut_anywhere_is_no_version_and_no_overrun),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
