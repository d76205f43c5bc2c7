#include "go/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/go/forge_types.h"

enum { DATA = 0x900000 };

/* Types that the tests share, and room for values at DATA. */
struct values {
	struct forged_types t;
	struct blob data;
	uint64_t number, byte, string, boolean, pointer, slice, empty, stringer, point, nested[12],
		list;
};

static void values_init(struct values *v)
{
	struct forged_types *t = &v->t;
	memset(v, 0, sizeof(*v));
	types_init(t, 27);
	v->number = types_add(t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
	v->byte = types_add(t, KIND_UINT8, 1, 0, 1, TFLAG_NAMED, "uint8");
	v->string = types_add(t, KIND_STRING, 16, 8, 8, TFLAG_NAMED, "string");
	v->boolean = types_add(t, KIND_BOOL, 1, 0, 1, TFLAG_NAMED, "bool");
	v->pointer = types_add_elem(t, KIND_POINTER, v->number, "*int");
	v->slice = types_add_elem(t, KIND_SLICE, v->number, "[]int");
	v->empty = types_add_interface(t, 0, "interface {}");
	v->stringer = types_add_interface(t, 1, "fmt.Stringer");
	const struct types_field fields[] = {{"X", v->number, 0, false},
					     {"label", v->string, 8, false},
					     {"_", v->byte, 24, false}};
	v->point = types_add_struct(t, 32, TFLAG_NAMED, fields, 3, "main.point");
	v->nested[0] = v->number;
	for (int i = 1; i < 12; i++)
		v->nested[i] = types_add_array(t, v->nested[i - 1], 8, 1, "nested");
	/* A slice of itself. */
	v->list = types_add_elem(t, KIND_SLICE, 0, "main.list");
	blob_put_u64(&t->blob, v->list - TYPES_ADDR + 48, v->list);
	assert_true(types_ready(t));
}

static void values_ready(struct values *v)
{
	assert_true(forge_bytes(&v->t.forge, DATA, v->data.bytes, v->data.len));
}

static void assert_value(struct values *v, uint64_t type, uint64_t addr, const char *want)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	assert_true(value_render(&v->t.forge.rt, type, addr, &text));
	assert_string_equal(text.s, want);
}

static void plain_values_are_written_as_go_writes_them(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t minus = DATA + blob_u64(&v.data, (uint64_t)-5);
	uint64_t nothing = DATA + blob_u64(&v.data, 0);
	uint64_t yes = DATA + blob_u64(&v.data, 1);
	uint64_t address = DATA + blob_u64(&v.data, 0xc000012345);
	uint64_t word = DATA + blob_u64(&v.data, DATA + 48);
	blob_u64(&v.data, 3);
	blob_string(&v.data, "a\nb");
	values_ready(&v);
	assert_value(&v, v.number, minus, "-5");
	assert_value(&v, v.byte, minus, "251");
	assert_value(&v, v.boolean, yes, "true");
	assert_value(&v, v.boolean, nothing, "false");
	assert_value(&v, v.pointer, address, "0xc000012345");
	assert_value(&v, v.pointer, nothing, "nil");
	assert_value(&v, v.string, word, "\"a\\nb\"");
	assert_value(&v, v.empty, nothing, "nil");
	forge_done(&v.t.forge);
}

static void a_struct_names_all_its_fields(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t at = DATA + blob_u64(&v.data, 7);
	blob_u64(&v.data, 0);
	blob_u64(&v.data, 0);
	blob_u64(&v.data, 9);
	values_ready(&v);
	assert_value(&v, v.point, at, "{X:7 label:\"\" _:9}");
	forge_done(&v.t.forge);
}

static void a_list_is_cut_after_sixteen(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t full = DATA + blob_u64(&v.data, DATA + 72);
	blob_u64(&v.data, 16);
	blob_u64(&v.data, 16);
	uint64_t more = DATA + blob_u64(&v.data, DATA + 72);
	blob_u64(&v.data, 17);
	blob_u64(&v.data, 20);
	uint64_t none = DATA + blob_u64(&v.data, 0);
	blob_u64(&v.data, 0);
	blob_u64(&v.data, 0);
	for (uint64_t i = 1; i <= 17; i++)
		blob_u64(&v.data, i);
	values_ready(&v);
	assert_value(&v, v.slice, full, "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16]");
	assert_value(&v, v.slice, more, "[1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 ...+1]");
	assert_value(&v, v.slice, none, "[]");
	forge_done(&v.t.forge);
}

static void an_interface_shows_its_dynamic_type(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t number = DATA + blob_u64(&v.data, v.number); /* any(42) */
	blob_u64(&v.data, DATA + 32);
	uint64_t pointer = DATA + blob_u64(&v.data, v.pointer); /* any((*int)(0x1234)) */
	blob_u64(&v.data, 0x1234);
	blob_u64(&v.data, 42);
	uint64_t itab = DATA + blob_u64(&v.data, v.stringer);
	blob_u64(&v.data, v.number);
	blob_u64(&v.data, 0x1234 + (uint32_t)(v.number - TYPES_ADDR));
	uint64_t with_methods = DATA + blob_u64(&v.data, itab);
	blob_u64(&v.data, DATA + 32);
	values_ready(&v);
	assert_value(&v, v.empty, number, "int(42)");
	assert_value(&v, v.empty, pointer, "*int(0x1234)");
	assert_value(&v, v.stringer, with_methods, "int(42)");
	forge_done(&v.t.forge);
}

static void a_type_is_no_itab_and_an_itab_no_type(void **state)
{
	(void)state;
	struct values v;
	AUTO_TEXT struct text text = TEXT_INIT;
	values_init(&v);
	blob_u64(&v.data, v.number);
	blob_u64(&v.data, DATA);
	uint64_t itab = DATA + blob_u64(&v.data, v.stringer);
	blob_u64(&v.data, v.number);
	blob_u64(&v.data, 0x1234 + (uint32_t)(v.number - TYPES_ADDR));
	uint64_t swapped = DATA + blob_u64(&v.data, itab);
	blob_u64(&v.data, DATA);
	values_ready(&v);
	assert_false(value_render(&v.t.forge.rt, v.stringer, DATA, &text));
	assert_false(value_render(&v.t.forge.rt, v.empty, swapped, &text));
	assert_int_equal(v.t.forge.notes.count, 2);
	forge_done(&v.t.forge);
}

static void what_is_eight_levels_down_is_left_out(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t at = DATA + blob_u64(&v.data, 5);
	values_ready(&v);
	assert_value(&v, v.nested[7], at, "[[[[[[[5]]]]]]]");
	assert_value(&v, v.nested[8], at, "[[[[[[[[...]]]]]]]]");
	assert_value(&v, v.nested[11], at, "[[[[[[[[...]]]]]]]]");
	forge_done(&v.t.forge);
}

static void a_slice_that_holds_itself_ends_at_the_depth(void **state)
{
	(void)state;
	struct values v;
	values_init(&v);
	uint64_t at = DATA + blob_u64(&v.data, DATA);
	blob_u64(&v.data, 1);
	blob_u64(&v.data, 1);
	values_ready(&v);
	assert_value(&v, v.list, at, "[[[[[[[[...]]]]]]]]");
	forge_done(&v.t.forge);
}

static void a_value_of_too_many_parts_is_cut_and_noted(void **state)
{
	(void)state;
	struct values v;
	AUTO_TEXT struct text text = TEXT_INIT;
	values_init(&v);
	/* 16 slices, each the list of all 16: 16 to the power of 8 in the end. */
	for (int i = 0; i < 16; i++) {
		blob_u64(&v.data, DATA);
		blob_u64(&v.data, 16);
		blob_u64(&v.data, 16);
	}
	values_ready(&v);
	assert_false(value_render(&v.t.forge.rt, v.list, DATA, &text));
	assert_in_range(text.len, 1, 100000);
	assert_int_equal(v.t.forge.notes.count, 1);
	forge_done(&v.t.forge);
}

static void a_long_string_is_cut_and_counted(void **state)
{
	(void)state;
	struct values v;
	AUTO_TEXT struct text text = TEXT_INIT;
	values_init(&v);
	blob_u64(&v.data, DATA + 16);
	blob_u64(&v.data, 5000);
	for (int i = 0; i < 5000; i++)
		blob_u8(&v.data, 'x');
	values_ready(&v);
	assert_true(value_render(&v.t.forge.rt, v.string, DATA, &text));
	assert_int_equal(text.len, VALUE_STRING_MAX + 2 + strlen(" ...+904"));
	assert_string_equal(text.s + VALUE_STRING_MAX, "x\" ...+904");
	forge_done(&v.t.forge);
}

static void what_cannot_be_read_is_said_and_the_rest_is_shown(void **state)
{
	(void)state;
	struct values v;
	AUTO_TEXT struct text text = TEXT_INIT;
	values_init(&v);
	blob_u64(&v.data, 7);
	blob_u64(&v.data, 0xdead0000);
	blob_u64(&v.data, 3);
	blob_u64(&v.data, 9);
	values_ready(&v);
	assert_false(value_render(&v.t.forge.rt, v.point, DATA, &text));
	assert_string_equal(text.s, "{X:7 label:<unreadable 0xdead0000> _:9}");
	assert_int_equal(v.t.forge.notes.count, 1);
	assert_int_equal(v.t.forge.notes.list[0].addr, 0xdead0000);
	text_clear(&text);
	assert_false(value_render(&v.t.forge.rt, v.number, 0xbeef, &text));
	assert_string_equal(text.s, "<unreadable 0xbeef>");
	text_clear(&text);
	assert_false(value_render(&v.t.forge.rt, 0xbad, DATA, &text));
	assert_string_equal(text.s, "<unreadable 0xbad>");
	text_clear(&text);
	/* Interfaces whose first word is no itab, and no type. */
	assert_false(value_render(&v.t.forge.rt, v.stringer, DATA, &text));
	assert_string_equal(text.s, "<unreadable 0x7>");
	text_clear(&text);
	assert_false(value_render(&v.t.forge.rt, v.empty, DATA, &text));
	assert_string_equal(text.s, "<unreadable 0x7>");
	forge_done(&v.t.forge);
}

static void bytes_that_we_hold_are_rendered_as_far_as_they_go(void **state)
{
	(void)state;
	struct values v;
	AUTO_TEXT struct text text = TEXT_INIT;
	values_init(&v);
	blob_u64(&v.data, 'h' | 'i' << 8);
	values_ready(&v);
	const uint64_t point[4] = {7, DATA, 2, 9};
	assert_true(value_render_bytes(&v.t.forge.rt, v.point, point, sizeof(point), &text));
	assert_string_equal(text.s, "{X:7 label:\"hi\" _:9}");
	text_clear(&text);
	assert_false(value_render_bytes(&v.t.forge.rt, v.point, point, 8, &text));
	assert_string_equal(text.s, "{X:7 label:<unreadable> _:<unreadable>}");
	text_clear(&text);
	const uint64_t direct[2] = {v.pointer, 0x1234};
	assert_true(value_render_bytes(&v.t.forge.rt, v.empty, direct, sizeof(direct), &text));
	assert_string_equal(text.s, "*int(0x1234)");
	forge_done(&v.t.forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_values_are_written_as_go_writes_them),
		cmocka_unit_test(a_struct_names_all_its_fields),
		cmocka_unit_test(a_list_is_cut_after_sixteen),
		cmocka_unit_test(an_interface_shows_its_dynamic_type),
		cmocka_unit_test(a_type_is_no_itab_and_an_itab_no_type),
		cmocka_unit_test(what_is_eight_levels_down_is_left_out),
		cmocka_unit_test(a_slice_that_holds_itself_ends_at_the_depth),
		cmocka_unit_test(a_value_of_too_many_parts_is_cut_and_noted),
		cmocka_unit_test(a_long_string_is_cut_and_counted),
		cmocka_unit_test(what_cannot_be_read_is_said_and_the_rest_is_shown),
		cmocka_unit_test(bytes_that_we_hold_are_rendered_as_far_as_they_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
