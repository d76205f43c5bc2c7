#include "go/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/go/forge_types.h"

static void a_descriptor_is_read_field_by_field(void **state)
{
	(void)state;
	for (int minor = 23; minor <= 27; minor += 4) {
		struct forged_types t;
		struct type type;
		types_init(&t, minor);
		uint64_t number = types_add(&t, KIND_INT32, 4, 0, 4, TFLAG_NAMED | TFLAG_STAR,
					    "*main.number");
		uint64_t pointer = types_add_elem(&t, KIND_POINTER, number, "*main.number");
		assert_true(types_ready(&t));
		struct runtime *rt = &t.forge.rt;
		assert_int_equal(type_read(rt, number, &type, NULL), OK);
		assert_int_equal(type.kind, KIND_INT32);
		assert_int_equal(type.size, 4);
		assert_true(type.named);
		assert_false(type.direct_iface);
		assert_string_equal(type_name(rt, number), "main.number");
		assert_int_equal(type_read(rt, pointer, &type, NULL), OK);
		assert_int_equal(type.elem, number);
		assert_false(type.named);
		assert_true(type.direct_iface);
		assert_string_equal(type_name(rt, pointer), "*main.number");
		/* The same string again, not a second copy. */
		assert_ptr_equal(type_name(rt, pointer), type_name(rt, pointer));
		forge_done(&t.forge);
	}
}

static void fields_have_names_types_and_offsets(void **state)
{
	(void)state;
	static const int minors[] = {18, 19, 27};
	for (size_t i = 0; i < sizeof(minors) / sizeof(minors[0]); i++) {
		struct forged_types t;
		struct type type;
		struct field field;
		struct error err;
		types_init(&t, minors[i]);
		uint64_t word = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
		const struct types_field fields[] = {{"a", word, 0, false}, {"int", word, 8, true}};
		uint64_t at = types_add_struct(&t, 16, 0, fields, 2, "struct { a int; int }");
		assert_true(types_ready(&t));
		assert_int_equal(type_read(&t.forge.rt, at, &type, NULL), OK);
		assert_int_equal(type.len, 2);
		assert_int_equal(type_field(&t.forge.rt, &type, 0, &field, NULL), OK);
		assert_string_equal(field.name, "a");
		assert_int_equal(field.offset, 0);
		assert_false(field.embedded);
		assert_int_equal(type_field(&t.forge.rt, &type, 1, &field, NULL), OK);
		assert_string_equal(field.name, "int");
		assert_int_equal(field.type, word);
		assert_int_equal(field.offset, 8);
		assert_true(field.embedded);
		assert_int_equal(type_field(&t.forge.rt, &type, 2, &field, &err), FAILED);
		assert_int_equal(err.code, ERROR_NOT_FOUND);
		forge_done(&t.forge);
	}
}

static void a_scan_finds_each_descriptor_once_and_nothing_else(void **state)
{
	(void)state;
	struct forged_types t;
	uint64_t added[6], found = 0;
	types_init(&t, 23);
	added[0] = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
	added[1] = types_add_elem(&t, KIND_SLICE, added[0], "[]int");
	for (int i = 0; i < 40; i++)
		blob_u64(&t.blob, 0x0102030405060708u * (unsigned)i);
	added[2] = types_add_array(&t, added[0], 8, 3, "[3]int");
	added[3] = types_add_interface(&t, 0, "interface {}");
	const struct types_field fields[] = {{"x", added[0], 0, false}};
	added[4] = types_add_struct(&t, 8, TFLAG_NAMED, fields, 1, "main.T");
	added[5] = types_add_elem(&t, KIND_POINTER, added[4], "*main.T");
	assert_true(types_ready(&t));
	struct runtime *rt = &t.forge.rt;
	for (size_t i = 0; i < 6; i++) {
		assert_true(type_next(rt, found, KIND_INVALID, &found));
		assert_int_equal(found, added[i]);
		assert_true(type_is_plausible(rt, found));
		assert_false(type_is_plausible(rt, found + 8));
	}
	assert_false(type_next(rt, found, KIND_INVALID, &found));
	found = 0;
	assert_true(type_next(rt, 0, KIND_STRUCT, &found));
	assert_int_equal(found, added[4]);
	assert_false(type_next(rt, found, KIND_STRUCT, &found));
	assert_true(type_by_name(rt, "[3]int", &found));
	assert_int_equal(found, added[2]);
	assert_false(type_by_name(rt, "[4]int", &found));
	assert_false(type_is_plausible(rt, 0));
	assert_false(type_is_plausible(rt, TYPES_ADDR - 48));
	forge_done(&t.forge);
}

/* A bucket map type of go1.23: 88 bytes. */
static void a_bucket_map_type_tells_what_a_slot_holds(void **state)
{
	(void)state;
	struct forged_types t;
	struct map_type map;
	types_init(&t, 23);
	uint64_t key = types_add(&t, KIND_INT32, 4, 0, 4, TFLAG_NAMED, "int32");
	uint64_t elem = types_add_array(&t, key, 4, 50, "[50]int32");
	uint64_t bucket = types_add_array(&t, key, 4, 28, "map.bucket[int32][50]int32");
	uint64_t at = types_add(&t, KIND_MAP, 8, 8, 8, 0, "map[int32][50]int32");
	blob_u64(&t.blob, key);
	blob_u64(&t.blob, elem);
	blob_u64(&t.blob, bucket);
	blob_u64(&t.blob, 0xabc0);
	blob_u8(&t.blob, 4);
	blob_u8(&t.blob, 8);
	blob_add(&t.blob, "\x70\0", 2);
	blob_u32(&t.blob, 2 | 4 | 8); /* indirectelem, reflexivekey, needkeyupdate */
	assert_true(types_ready(&t));
	assert_int_equal(type_read_map(&t.forge.rt, at, &map, NULL), OK);
	assert_int_equal(map.type.key, key);
	assert_int_equal(map.key_size, 4);
	assert_int_equal(map.elem_size, 200);
	assert_int_equal(map.slot_key_size, 4);
	assert_int_equal(map.slot_elem_size, 8);
	assert_int_equal(map.bucket_size, 0x70);
	assert_int_equal(map.hasher, 0xabc0);
	assert_false(map.indirect_key);
	assert_true(map.indirect_elem);
	assert_true(map.need_key_update);
	assert_false(map.hash_might_panic);
	struct error err;
	assert_int_equal(type_read_map(&t.forge.rt, key, &map, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
	forge_done(&t.forge);
}

/* Swiss map types of go1.24 (112 bytes, a slot of key and element) and of go1.27 (136, strides). */
static void a_swiss_map_type_tells_where_keys_and_elements_are(void **state)
{
	(void)state;
	for (int minor = 24; minor <= 27; minor += 3) {
		struct forged_types t;
		struct map_type map;
		types_init(&t, minor);
		uint64_t key = types_add(&t, KIND_INT32, 4, 0, 4, TFLAG_NAMED, "int32");
		uint64_t elem = types_add(&t, KIND_STRING, 16, 8, 8, TFLAG_NAMED, "string");
		uint64_t at = types_add(&t, KIND_MAP, 8, 8, 8, 0, "map[int32]string");
		blob_u64(&t.blob, key);
		blob_u64(&t.blob, elem);
		blob_u64(&t.blob, key);
		blob_u64(&t.blob, 0xabc0);
		blob_u64(&t.blob, 200); /* GroupSize */
		if (minor == 24) {
			blob_u64(&t.blob, 24); /* SlotSize */
			blob_u64(&t.blob, 8); /* ElemOff */
		} else {
			blob_u64(&t.blob, 8); /* KeysOff */
			blob_u64(&t.blob, 24);
			blob_u64(&t.blob, 16); /* ElemsOff */
			blob_u64(&t.blob, 24);
			blob_u64(&t.blob, 8); /* ElemOff */
		}
		blob_u64(&t.blob, 1 | 4); /* NeedKeyUpdate, IndirectKey */
		assert_true(types_ready(&t));
		assert_int_equal(type_read_map(&t.forge.rt, at, &map, NULL), OK);
		assert_int_equal(map.group_size, 200);
		assert_int_equal(map.keys_off, 8);
		assert_int_equal(map.key_stride, 24);
		assert_int_equal(map.elems_off, 16);
		assert_int_equal(map.elem_stride, 24);
		assert_int_equal(map.slot_key_size, 8);
		assert_int_equal(map.slot_elem_size, 16);
		assert_true(map.indirect_key);
		assert_false(map.indirect_elem);
		assert_true(map.need_key_update);
		forge_done(&t.forge);
	}
}

static void a_package_is_that_of_a_named_type(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 23);
	uint64_t package = types_name(&t, 0, "example.com/app/cache");
	uint64_t named = types_add_struct(&t, 0, TFLAG_NAMED | TFLAG_UNCOMMON, NULL, 0, "cache.T");
	blob_put_u32(&t.blob, named - TYPES_ADDR + 80, (uint32_t)(package - TYPES_ADDR));
	uint64_t literal = types_add_struct(&t, 0, TFLAG_UNCOMMON, NULL, 0, "struct {}");
	assert_true(types_ready(&t));
	assert_string_equal(type_package(&t.forge.rt, named), "example.com/app/cache");
	assert_null(type_package(&t.forge.rt, literal));
	forge_done(&t.forge);
}

static void an_itab_leads_to_the_type_whose_hash_it_copies(void **state)
{
	(void)state;
	struct forged_types t;
	struct blob itabs = {0};
	uint64_t found = 0;
	types_init(&t, 23);
	uint64_t inter = types_add_interface(&t, 1, "fmt.Stringer");
	uint64_t number = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "main.T");
	uint32_t hash = 0x1234 + (uint32_t)(number - TYPES_ADDR);
	assert_true(types_ready(&t));
	const uint32_t hashes[] = {hash, hash + 1};
	for (int i = 0; i < 2; i++) {
		blob_u64(&itabs, inter);
		blob_u64(&itabs, number);
		blob_u64(&itabs, hashes[i]);
	}
	assert_true(forge_bytes(&t.forge, 0x900000, itabs.bytes, itabs.len));
	assert_true(type_of_itab(&t.forge.rt, 0x900000, &found));
	assert_int_equal(found, number);
	found = 0;
	assert_false(type_of_itab(&t.forge.rt, 0x900018, &found));
	assert_false(type_of_itab(&t.forge.rt, 0x900008, &found));
	assert_false(type_of_itab(&t.forge.rt, 0, &found));
	assert_false(type_of_itab(&t.forge.rt, 0xdead0000, &found));
	/* An interface without methods holds the type itself. */
	assert_true(type_of_itab(&t.forge.rt, number, &found));
	assert_int_equal(found, number);
	forge_done(&t.forge);
}

/* Descriptors on the heap, as reflect makes them, with name offsets below zero. */
static void types_that_reflect_made_are_named_by_their_parts(void **state)
{
	(void)state;
	enum { HEAP = 0xc000010000 };
	struct forged_types t, heap;
	types_init(&t, 23);
	types_init(&heap, 23);
	uint64_t word = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
	/* Addresses of the second blob are moved to where it is laid. */
	uint64_t move = (uint64_t)HEAP - TYPES_ADDR;
	uint64_t slice = types_add_elem(&heap, KIND_SLICE, word, "") + move;
	uint64_t pointer = types_add_elem(&heap, KIND_POINTER, slice, "") + move;
	uint64_t map = types_add(&heap, KIND_MAP, 8, 8, 8, 0, "") + move;
	blob_u64(&heap.blob, word);
	blob_u64(&heap.blob, pointer);
	uint64_t array = types_add_array(&heap, map, 8, 7, "") + move;
	uint64_t loop = types_add_elem(&heap, KIND_SLICE, 0, "") + move;
	blob_put_u64(&heap.blob, loop - HEAP + 48, loop);
	uint64_t function = types_add(&heap, KIND_FUNC, 8, 8, 8, 0, "") + move;
	uint64_t made[] = {slice, pointer, map, array, loop, function};
	for (size_t i = 0; i < 6; i++)
		blob_put_u32(&heap.blob, made[i] - HEAP + 40, (uint32_t) - (int)(i + 1));
	for (int i = 0; i < 10; i++)
		blob_u64(&heap.blob, 0);
	assert_true(types_ready(&t));
	assert_true(forge_bytes(&t.forge, HEAP, heap.blob.bytes, heap.blob.len));
	struct runtime *rt = &t.forge.rt;
	assert_string_equal(type_name(rt, array), "[7]map[int]*[]int");
	assert_string_equal(type_name(rt, pointer), "*[]int");
	assert_null(type_name(rt, loop));
	assert_null(type_name(rt, function));
	assert_false(type_is_plausible(rt, slice));
	forge_done(&t.forge);
}

static void descriptors_that_cannot_be_are_refused(void **state)
{
	(void)state;
	struct forged_types t;
	struct type type;
	struct error err;
	types_init(&t, 23);
	uint64_t good = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, "int");
	uint64_t wide = types_add(&t, KIND_INT, 16, 0, 8, TFLAG_NAMED, "int");
	uint64_t unaligned = types_add(&t, KIND_INT, 8, 0, 3, TFLAG_NAMED, "int");
	uint64_t unknown = types_add(&t, (enum kind)29, 8, 0, 8, TFLAG_NAMED, "int");
	uint64_t pointers = types_add(&t, KIND_INT, 8, 16, 8, TFLAG_NAMED, "int");
	uint64_t many = types_add_struct(&t, 8, 0, NULL, 0, "struct {}");
	blob_put_u64(&t.blob, many - TYPES_ADDR + 64, (uint64_t)1 << 60);
	blob_put_u64(&t.blob, many - TYPES_ADDR + 72, (uint64_t)1 << 60);
	assert_true(types_ready(&t));
	const uint64_t bad[] = {wide, unaligned, unknown, pointers, many};
	assert_int_equal(type_read(&t.forge.rt, good, &type, &err), OK);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(type_read(&t.forge.rt, bad[i], &type, &err), FAILED);
		assert_int_equal(err.code, ERROR_FORMAT);
		assert_int_equal(err.addr, bad[i]);
		assert_false(type_is_plausible(&t.forge.rt, bad[i]));
		assert_null(type_name(&t.forge.rt, bad[i]));
	}
	assert_int_equal(type_read(&t.forge.rt, 0, &type, &err), FAILED);
	assert_int_equal(type_read(&t.forge.rt, 0xdead0000, &type, &err), FAILED);
	assert_int_equal(err.code, ERROR_FAULT);
	forge_done(&t.forge);
}

static void a_name_that_runs_out_of_memory_is_none(void **state)
{
	(void)state;
	struct forged_types t;
	types_init(&t, 23);
	uint64_t type = types_add(&t, KIND_INT, 8, 0, 8, 0, "int");
	assert_true(types_ready(&t));
	/* A length of 0x3fff in a few hundred bytes. */
	blob_put_u32(&t.blob, type - TYPES_ADDR + 40, (uint32_t)(t.blob.len - 8));
	memcpy(t.blob.bytes + t.blob.len - 8, "\1\xff\x7f", 3);
	assert_null(type_name(&t.forge.rt, type));
	/* The second time from the cache. */
	assert_null(type_name(&t.forge.rt, type));
	forge_done(&t.forge);
}

static void many_names_stay_apart(void **state)
{
	(void)state;
	struct forged_types t;
	uint64_t types[60];
	char name[24];
	types_init(&t, 23);
	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "main.T%d", i);
		types[i] = types_add(&t, KIND_INT, 8, 0, 8, TFLAG_NAMED, name);
	}
	assert_true(types_ready(&t));
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 60; i++) {
			uint64_t found;
			snprintf(name, sizeof(name), "main.T%d", i);
			assert_string_equal(type_name(&t.forge.rt, types[i]), name);
			assert_true(type_by_name(&t.forge.rt, name, &found));
			assert_int_equal(found, types[i]);
		}
	}
	forge_done(&t.forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_is_read_field_by_field),
		cmocka_unit_test(fields_have_names_types_and_offsets),
		cmocka_unit_test(a_scan_finds_each_descriptor_once_and_nothing_else),
		cmocka_unit_test(a_bucket_map_type_tells_what_a_slot_holds),
		cmocka_unit_test(a_swiss_map_type_tells_where_keys_and_elements_are),
		cmocka_unit_test(a_package_is_that_of_a_named_type),
		cmocka_unit_test(an_itab_leads_to_the_type_whose_hash_it_copies),
		cmocka_unit_test(types_that_reflect_made_are_named_by_their_parts),
		cmocka_unit_test(descriptors_that_cannot_be_are_refused),
		cmocka_unit_test(a_name_that_runs_out_of_memory_is_none),
		cmocka_unit_test(many_names_stay_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
