#include "go/pclntab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/forge_table.h"

struct opened {
	struct forged_table forged;
	struct pclntab *tab;
};

static void open_table(struct opened *o, bool new_format)
{
	struct go_version version = {.minor = new_format ? 23 : 19};
	struct error err;
	forge_table(&o->forged, new_format);
	assert_int_equal(
		pclntab_parse(o->forged.blob.bytes, o->forged.blob.len, TABLE_ADDR, &o->tab, &err),
		OK);
	pclntab_bind(o->tab, &version, TABLE_TEXT, o->forged.gofunc);
}

static void a_pc_belongs_to_the_function_it_lies_in(void **state)
{
	(void)state;
	struct function fn;
	struct opened o;
	for (int new_format = 0; new_format < 2; new_format++) {
		open_table(&o, new_format);
		assert_int_equal(pclntab_count(o.tab), 3);
		assert_false(pclntab_find(o.tab, TABLE_TEXT - 1, &fn));
		assert_true(pclntab_find(o.tab, TABLE_TEXT, &fn));
		assert_string_equal(fn.name, "main.main");
		assert_int_equal(fn.entry, TABLE_TEXT);
		assert_int_equal(fn.end, TABLE_TEXT + 0x40);
		assert_int_equal(fn.args, 16);
		assert_int_equal(fn.flag, 4);
		assert_int_equal(fn.start_line, new_format ? 9 : 0);
		assert_true(pclntab_find(o.tab, TABLE_TEXT + 0x3f, &fn));
		assert_string_equal(fn.name, "main.main");
		assert_false(fn.is_wrapper);
		assert_true(pclntab_find(o.tab, TABLE_TEXT + 0x40, &fn));
		assert_string_equal(fn.name, "main.wrapper");
		assert_true(fn.is_wrapper);
		assert_true(pclntab_find(o.tab, TABLE_TEXT + 0x6f, &fn));
		assert_string_equal(fn.name, "runtime.asm");
		assert_false(pclntab_find(o.tab, TABLE_TEXT + 0x70, &fn));
		assert_true(pclntab_by_name(o.tab, "main.wrapper", &fn));
		assert_int_equal(fn.index, 1);
		assert_false(pclntab_by_name(o.tab, "main.inner", &fn));
		pclntab_free(o.tab);
	}
}

static void the_stack_pointer_moves_at_the_byte_the_table_says(void **state)
{
	(void)state;
	struct opened o;
	struct function fn;
	int32_t delta = 77;
	open_table(&o, true);
	assert_true(pclntab_at(o.tab, 0, &fn));
	assert_true(pclntab_sp_delta(o.tab, &fn, fn.entry + 3, &delta));
	assert_int_equal(delta, 0);
	assert_true(pclntab_sp_delta(o.tab, &fn, fn.entry + 4, &delta));
	assert_int_equal(delta, 0x20);
	assert_true(pclntab_sp_delta(o.tab, &fn, fn.entry + 0x3f, &delta));
	assert_int_equal(delta, 0x20);
	delta = 77;
	assert_false(pclntab_sp_delta(o.tab, &fn, fn.entry + 0x40, &delta));
	assert_true(pclntab_at(o.tab, 2, &fn));
	assert_false(pclntab_sp_delta(o.tab, &fn, fn.entry, &delta));
	assert_int_equal(delta, 77);
	pclntab_free(o.tab);
}

static void inlined_calls_come_innermost_first_with_the_line_of_each_call(void **state)
{
	(void)state;
	struct opened o;
	struct function fn;
	struct source_frame frames[SOURCE_FRAMES_MAX];
	for (int new_format = 0; new_format < 2; new_format++) {
		open_table(&o, new_format);
		assert_true(pclntab_at(o.tab, 0, &fn));
		assert_int_equal(pclntab_source(o.tab, &fn, fn.entry, frames), 1);
		assert_string_equal(frames[0].function, "main.main");
		assert_string_equal(frames[0].file, "a.go");
		assert_int_equal(frames[0].line, 10);
		assert_false(frames[0].inlined);

		assert_int_equal(pclntab_source(o.tab, &fn, fn.entry + 0x11, frames), 3);
		assert_string_equal(frames[0].function, "main.inner");
		assert_string_equal(frames[0].file, "b.go");
		assert_int_equal(frames[0].line, 20);
		assert_true(frames[0].inlined);
		assert_string_equal(frames[1].function, "main.outer");
		assert_string_equal(frames[1].file, "a.go");
		assert_int_equal(frames[1].line, 30);
		assert_true(frames[1].inlined);
		assert_string_equal(frames[2].function, "main.main");
		assert_int_equal(frames[2].line, 11);
		assert_false(frames[2].inlined);
		pclntab_free(o.tab);
	}
}

static void what_has_no_lines_has_one_frame_without_a_file(void **state)
{
	(void)state;
	struct opened o;
	struct function fn;
	struct source_frame frames[SOURCE_FRAMES_MAX];
	const char *file;
	int32_t line;
	open_table(&o, true);
	assert_true(pclntab_at(o.tab, 2, &fn));
	assert_int_equal(pclntab_source(o.tab, &fn, fn.entry, frames), 1);
	assert_string_equal(frames[0].function, "runtime.asm");
	assert_string_equal(frames[0].file, "?");
	assert_int_equal(frames[0].line, 0);
	assert_false(pclntab_line(o.tab, &fn, fn.entry, &file, &line));
	pclntab_free(o.tab);
}

static void pcdata_that_a_function_lacks_is_minus_one_and_funcdata_is_missing(void **state)
{
	(void)state;
	struct opened o;
	struct function fn;
	int32_t value = 0;
	uint64_t addr = 0;
	open_table(&o, true);
	assert_true(pclntab_at(o.tab, 0, &fn));
	assert_true(pclntab_pcdata(o.tab, &fn, PCDATA_INL_TREE, fn.entry + 0x10, &value));
	assert_int_equal(value, 1);
	assert_true(pclntab_pcdata(o.tab, &fn, PCDATA_UNSAFE_POINT, fn.entry, &value));
	assert_int_equal(value, -1);
	value = 0;
	assert_true(pclntab_pcdata(o.tab, &fn, PCDATA_ARG_LIVE, fn.entry, &value));
	assert_int_equal(value, -1);
	assert_true(pclntab_funcdata(o.tab, &fn, FUNCDATA_INL_TREE, &addr));
	assert_int_equal(addr, o.forged.gofunc);
	assert_false(pclntab_funcdata(o.tab, &fn, FUNCDATA_ARGS_POINTER_MAPS, &addr));
	assert_false(pclntab_funcdata(o.tab, &fn, FUNCDATA_ARG_INFO, &addr));
	pclntab_free(o.tab);
}

static void an_inline_tree_that_goes_round_ends(void **state)
{
	(void)state;
	struct opened o;
	struct function fn;
	struct source_frame frames[SOURCE_FRAMES_MAX];
	open_table(&o, true);
	/* main.outer is inlined at a PC inside main.outer. */
	blob_put_u32(&o.forged.blob, o.forged.inline_parent, 0x20);
	assert_true(pclntab_at(o.tab, 0, &fn));
	assert_int_equal(pclntab_source(o.tab, &fn, fn.entry + 0x11, frames), SOURCE_FRAMES_MAX);
	assert_string_equal(frames[SOURCE_FRAMES_MAX - 1].function, "main.main");
	pclntab_free(o.tab);
}

static enum error_code parse_error(const void *bytes, size_t n)
{
	struct pclntab *tab = NULL;
	struct error err = {0};
	if (pclntab_parse(bytes, n, TABLE_ADDR, &tab, &err) == OK)
		pclntab_free(tab);
	return err.code;
}

static void headers_that_contradict_themselves_are_refused(void **state)
{
	(void)state;
	struct forged_table good, bad;
	forge_table(&good, true);
	assert_int_equal(parse_error(good.blob.bytes, good.blob.len), ERROR_NONE);

	bad = good;
	blob_put_u32(&bad.blob, 0, 0xfffffffa);
	assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_UNSUPPORTED);
	bad = good;
	blob_put_u32(&bad.blob, 0, 0xfffffff7);
	assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_FORMAT);
	bad = good;
	bad.blob.bytes[7] = 4;
	assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_UNSUPPORTED);
	for (size_t part = 32; part < 72; part += 8) {
		bad = good;
		blob_put_u64(&bad.blob, part, bad.blob.len + 1);
		assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_FORMAT);
		blob_put_u64(&bad.blob, part, UINT64_MAX);
		assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_FORMAT);
		blob_put_u64(&bad.blob, part, 8);
		assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_FORMAT);
	}
	for (uint64_t count = 0; count < 64; count++) {
		bad = good;
		blob_put_u64(&bad.blob, 8, count ? UINT64_MAX >> count : 0);
		if (UINT64_MAX >> count > 1000 || !count)
			assert_int_equal(parse_error(bad.blob.bytes, bad.blob.len), ERROR_FORMAT);
	}
}

/* Asks everything of a table; what comes back is not looked at, only that all of it can be read. */
static void ask_all(const struct pclntab *tab)
{
	struct function fn;
	struct source_frame frames[SOURCE_FRAMES_MAX];
	for (uint64_t pc = TABLE_TEXT; pc < TABLE_TEXT + 0x80; pc += 3) {
		int32_t v;
		uint64_t addr;
		if (!pclntab_find(tab, pc, &fn))
			continue;
		assert_in_range(strlen(fn.name), 0, sizeof(((struct blob *)0)->bytes));
		(void)pclntab_sp_delta(tab, &fn, pc, &v);
		(void)pclntab_pcdata(tab, &fn, PCDATA_STACK_MAP, pc, &v);
		(void)pclntab_funcdata(tab, &fn, FUNCDATA_ARG_INFO, &addr);
		size_t n = pclntab_source(tab, &fn, pc, frames);
		assert_in_range(n, 1, SOURCE_FRAMES_MAX);
		for (size_t i = 0; i < n; i++) {
			assert_non_null(frames[i].function);
			assert_in_range(strlen(frames[i].file), 0,
					sizeof(((struct blob *)0)->bytes));
		}
	}
}

/* In a buffer of exactly that length, so that the sanitizer sees each byte too far. */
static void ask_all_of_bytes(const struct forged_table *forged, const void *bytes, size_t n)
{
	struct go_version version = {.minor = 23};
	struct pclntab *tab;
	void *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	if (pclntab_parse(copy, n, TABLE_ADDR, &tab, NULL) == OK) {
		pclntab_bind(tab, &version, TABLE_TEXT, forged->gofunc);
		ask_all(tab);
		pclntab_free(tab);
	}
	free(copy);
}

static void a_table_cut_anywhere_is_never_read_past_its_end(void **state)
{
	(void)state;
	struct forged_table forged;
	for (int new_format = 0; new_format < 2; new_format++) {
		forge_table(&forged, new_format);
		for (size_t n = 0; n <= forged.blob.len; n++)
			ask_all_of_bytes(&forged, forged.blob.bytes, n);
	}
}

static void a_table_with_any_byte_changed_is_never_read_past_its_end(void **state)
{
	(void)state;
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct forged_table forged;
	forge_table(&forged, true);
	for (size_t at = 0; at < forged.blob.len; at++) {
		for (size_t i = 0; i < sizeof(values); i++) {
			struct forged_table bad = forged;
			bad.blob.bytes[at] = values[i];
			ask_all_of_bytes(&forged, bad.blob.bytes, bad.blob.len);
		}
	}
}

static void a_table_is_found_in_memory_where_no_executable_is(void **state)
{
	(void)state;
	struct forge forge;
	struct forged_table forged;
	struct pclntab *tab;
	struct function fn;
	struct go_version version = {.minor = 23};
	uint8_t page[sizeof(forged.blob.bytes) + 64] = {0};
	forge_table(&forged, true);
	memcpy(page + 48, forged.blob.bytes, forged.blob.len);
	forge_init(&forge);
	assert_true(forge_bytes(&forge, TABLE_ADDR - 48, page, sizeof(page)));
	assert_int_equal(pclntab_open(&forge.target, &tab, NULL), OK);
	assert_int_equal(pclntab_addr(tab), TABLE_ADDR);
	assert_int_equal(pclntab_names_addr(tab), TABLE_ADDR + 72);
	pclntab_bind(tab, &version, TABLE_TEXT, forged.gofunc);
	assert_true(pclntab_by_name(tab, "main.main", &fn));
	pclntab_free(tab);
	forge_done(&forge);
}

static void a_target_without_a_table_is_said_to_have_none(void **state)
{
	(void)state;
	struct forge forge;
	struct pclntab *tab;
	struct error err = {0};
	static const uint8_t page[4096];
	forge_init(&forge);
	assert_true(forge_bytes(&forge, 0x1000, page, sizeof(page)));
	assert_int_equal(pclntab_open(&forge.target, &tab, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	forge_done(&forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pc_belongs_to_the_function_it_lies_in),
		cmocka_unit_test(the_stack_pointer_moves_at_the_byte_the_table_says),
		cmocka_unit_test(inlined_calls_come_innermost_first_with_the_line_of_each_call),
		cmocka_unit_test(what_has_no_lines_has_one_frame_without_a_file),
		cmocka_unit_test(pcdata_that_a_function_lacks_is_minus_one_and_funcdata_is_missing),
		cmocka_unit_test(an_inline_tree_that_goes_round_ends),
		cmocka_unit_test(headers_that_contradict_themselves_are_refused),
		cmocka_unit_test(a_table_cut_anywhere_is_never_read_past_its_end),
		cmocka_unit_test(a_table_with_any_byte_changed_is_never_read_past_its_end),
		cmocka_unit_test(a_table_is_found_in_memory_where_no_executable_is),
		cmocka_unit_test(a_target_without_a_table_is_said_to_have_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
