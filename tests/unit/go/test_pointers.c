#include "go/pointers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/go/forge_types.h"

enum { TFLAG_ON_DEMAND = 16, KIND_GC_PROG = 64 };

/* struct { a int; b string; c interface {}; d [2]*int }: pointers at 8, 32, 40 and 48. */
enum { SIZE = 56, PTR_BYTES = 56 };
static const uint64_t pointers = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6;

static uint64_t add_sample(struct forged_types *t, uint8_t tflag)
{
	uint64_t word = types_add(t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
	uint64_t string = types_add(t, KIND_STRING, 16, 8, 8, TFLAG_NAMED, "string");
	uint64_t any = types_add_interface(t, 0, "interface {}");
	uint64_t pointer = types_add_elem(t, KIND_POINTER, word, "*int");
	uint64_t array = types_add_array(t, pointer, 8, 2, "[2]*int");
	memcpy(t->blob.bytes + (array - TYPES_ADDR) + 8, &(uint64_t){16}, 8); /* PtrBytes */
	const struct types_field fields[] = {{"a", word, 0, false},
					     {"b", string, 8, false},
					     {"c", any, 24, false},
					     {"d", array, 40, false}};
	uint64_t at = types_add_struct(t, SIZE, tflag, fields, 4, "main.sample");
	memcpy(t->blob.bytes + (at - TYPES_ADDR) + 8, &(uint64_t){PTR_BYTES}, 8);
	return at;
}

static void set_gc_data(struct forged_types *t, uint64_t type, uint64_t value)
{
	memcpy(t->blob.bytes + (type - TYPES_ADDR) + 32, &value, 8);
}

static void assert_mask(struct forged_types *t, uint64_t type, enum pointer_source source,
			uint64_t want)
{
	struct pointer_mask mask;
	assert_int_equal(pointer_mask_read(&t->forge.rt, type, &mask, NULL), OK);
	assert_int_equal(mask.source, source);
	assert_int_equal(mask.words, PTR_BYTES / 8);
	for (size_t i = 0; i < SIZE / 8; i++)
		assert_int_equal(pointer_mask_has(&mask, i * 8), want >> i & 1);
	assert_false(pointer_mask_has(&mask, 12));
	assert_false(pointer_mask_has(&mask, SIZE));
}

static void a_stored_mask_is_read_as_it_stands(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 27);
	uint64_t type = add_sample(&t, 0);
	set_gc_data(&t, type, TYPES_ADDR + blob_u8(&t.blob, 0x15));
	assert_true(types_ready(&t));
	assert_mask(&t, type, POINTERS_STORED, 0x15);
	forge_done(&t.forge);
}

static void a_mask_of_run_time_is_followed_once_it_is_built(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 27);
	uint64_t built = add_sample(&t, TFLAG_ON_DEMAND);
	uint64_t bits = TYPES_ADDR + blob_u8(&t.blob, 0x2a);
	blob_align(&t.blob, 8);
	set_gc_data(&t, built, TYPES_ADDR + blob_u64(&t.blob, bits));
	assert_true(types_ready(&t));
	assert_mask(&t, built, POINTERS_ON_DEMAND, 0x2a);
	forge_done(&t.forge);
}

static void a_mask_that_is_not_built_comes_from_the_fields(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 27);
	uint64_t type = add_sample(&t, TFLAG_ON_DEMAND);
	set_gc_data(&t, type, TYPES_ADDR + blob_u64(&t.blob, 0));
	assert_true(types_ready(&t));
	assert_mask(&t, type, POINTERS_FIELDS, pointers);
	forge_done(&t.forge);
}

static void a_mask_that_is_being_built_comes_from_the_fields(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 27);
	uint64_t type = add_sample(&t, TFLAG_ON_DEMAND);
	uint64_t progress = TYPES_ADDR + blob_u8(&t.blob, 0);
	blob_align(&t.blob, 8);
	set_gc_data(&t, type, TYPES_ADDR + blob_u64(&t.blob, progress));
	assert_true(types_ready(&t));
	t.forge.rt.module.noptrdata = progress;
	t.forge.rt.module.enoptrbss = progress + 1;
	assert_mask(&t, type, POINTERS_FIELDS, pointers);
	forge_done(&t.forge);
}

static void a_program_is_not_taken_for_a_mask(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 23);
	uint64_t type = add_sample(&t, 0);
	t.blob.bytes[type - TYPES_ADDR + 23] |= KIND_GC_PROG;
	set_gc_data(&t, type, TYPES_ADDR + blob_u8(&t.blob, 0x15));
	assert_true(types_ready(&t));
	assert_mask(&t, type, POINTERS_FIELDS, pointers);
	forge_done(&t.forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stored_mask_is_read_as_it_stands),
		cmocka_unit_test(a_mask_of_run_time_is_followed_once_it_is_built),
		cmocka_unit_test(a_mask_that_is_not_built_comes_from_the_fields),
		cmocka_unit_test(a_mask_that_is_being_built_comes_from_the_fields),
		cmocka_unit_test(a_program_is_not_taken_for_a_mask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
