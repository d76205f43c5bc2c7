#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "maps/flagsites.h"
#include "unit/maps/flagsites_code.h"

enum { START = 0x400000 };

/* flagsites_code.h: what a call target is, by its distance. */
static enum flag_callee callee_by_distance(void *context, uint64_t addr)
{
	const uint64_t *fatal = context;
	if (fatal)
		return addr == START + *fatal ? FLAG_CALLEE_FATAL : FLAG_CALLEE_OTHER;
	switch ((addr - START) >> 12) {
	case 1:
		return FLAG_CALLEE_FATAL;
	case 3:
		return FLAG_CALLEE_THROW;
	case 4:
		return FLAG_CALLEE_NORETURN;
	default:
		return FLAG_CALLEE_OTHER;
	}
}

static struct flagsites find(enum arch arch, enum map_design design, const uint8_t *code,
			     size_t size, uint64_t *fatal)
{
	struct flagsites sites;
	struct error err;
	/* a copy without a byte behind it, for the sanitizer */
	uint8_t *copy = malloc(size);
	assert_non_null(copy);
	memcpy(copy, code, size);
	assert_int_equal(flagsites_find(arch, design, copy, size, START, callee_by_distance, fatal,
					&sites, &err),
			 OK);
	free(copy);
	return sites;
}

#define FIND(design, code) find(ARCH_AMD64, design, code, sizeof(code), NULL)

static enum flag_window window_at(const struct flagsites *sites, uint64_t offset)
{
	return flagsites_window(sites, START + offset, true);
}

static void expect_site(const struct flagsites *sites, size_t index, enum flag_site_kind kind,
			uint64_t offset)
{
	assert_true(index < sites->count);
	assert_int_equal(sites->list[index].kind, kind);
	assert_int_equal(sites->list[index].addr, START + offset);
}

static void a_place_reached_with_and_without_a_set_is_unknown(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, disagreeing);
	assert_true(sites.complete);
	assert_int_equal(window_at(&sites, 0x5), FLAG_WINDOW_BEFORE);
	assert_int_equal(window_at(&sites, 0xf), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void a_place_reached_before_a_set_or_after_its_clear_is_outside(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, early_return);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 0, FLAG_SET, 0xc);
	expect_site(&sites, 1, FLAG_CLEAR, 0x17);
	/* the store itself has not happened yet */
	assert_int_equal(window_at(&sites, 0xc), FLAG_WINDOW_BEFORE);
	assert_int_equal(window_at(&sites, 0xf), FLAG_WINDOW_INSIDE);
	assert_int_equal(window_at(&sites, 0x17), FLAG_WINDOW_INSIDE);
	assert_int_equal(window_at(&sites, 0x1a), FLAG_WINDOW_OUTSIDE);
	flagsites_done(&sites);
}

static void the_middle_of_an_instruction_is_unknown(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, early_return);
	assert_int_equal(window_at(&sites, 0x12), FLAG_WINDOW_UNKNOWN);
	assert_int_equal(window_at(&sites, sizeof(early_return)), FLAG_WINDOW_UNKNOWN);
	assert_int_equal(flagsites_window(&sites, START - 1, true), FLAG_WINDOW_UNKNOWN);
	assert_int_equal(flagsites_window(&sites, START, false), FLAG_WINDOW_UNKNOWN);
	assert_int_equal(flagsites_window(&sites, UINT64_MAX, false), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void code_with_an_indirect_jump_proves_nothing(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, indirect_jump);
	assert_false(sites.complete);
	expect_site(&sites, 0, FLAG_SET, 0x7);
	assert_int_equal(window_at(&sites, 0xa), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void code_that_jumps_into_its_own_instructions_proves_nothing(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, overlapping);
	assert_false(sites.complete);
	assert_int_equal(window_at(&sites, 0xa), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void code_that_runs_off_its_end_proves_nothing(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, falling_off);
	assert_false(sites.complete);
	assert_int_equal(window_at(&sites, 0xa), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void behind_a_store_of_an_unknown_byte_nothing_is_known(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, unknown_store);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 1, FLAG_OTHER, 0xb);
	assert_int_equal(window_at(&sites, 0xa), FLAG_WINDOW_INSIDE);
	assert_int_equal(window_at(&sites, 0xe), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void checks_and_toggles_in_memory_are_sites(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_SWISS, in_memory);
	assert_int_equal(sites.count, 5);
	expect_site(&sites, 0, FLAG_CHECK, 0x0);
	expect_site(&sites, 1, FLAG_SET, 0x6);
	expect_site(&sites, 2, FLAG_CHECK, 0xb);
	expect_site(&sites, 3, FLAG_CLEAR, 0x11);
	assert_int_equal(sites.list[0].role, FLAG_CHECK_ENTRY);
	assert_int_equal(sites.list[2].role, FLAG_CHECK_EXIT);
	assert_int_equal(sites.list[1].map_reg, AMD64_RBX);
	flagsites_done(&sites);
}

static void a_fatal_call_of_two_different_checks_tells_no_role(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_SWISS, shared_fatal);
	assert_int_equal(sites.count, 3);
	expect_site(&sites, 2, FLAG_FATAL, 0xd);
	assert_int_equal(sites.list[2].role, FLAG_CHECK_NONE);
	assert_ptr_equal(flagsites_fatal_at(&sites, START + 0x12), &sites.list[2]);
	assert_null(flagsites_fatal_at(&sites, START + 0xd));
	flagsites_done(&sites);
}

static void a_bit_test_is_a_check(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, bit_test);
	assert_int_equal(sites.count, 4);
	expect_site(&sites, 0, FLAG_CHECK, 0x4);
	assert_int_equal(sites.list[0].role, FLAG_CHECK_ENTRY);
	assert_int_equal(sites.list[0].run, START);
	expect_site(&sites, 1, FLAG_SET, 0xa);
	expect_site(&sites, 2, FLAG_CLEAR, 0xf);
	assert_int_equal(window_at(&sites, 0xe), FLAG_WINDOW_INSIDE);
	flagsites_done(&sites);
}

static void a_conditional_move_of_other_bits_keeps_the_window(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, selected);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 1, FLAG_OTHER, 0x1c);
	assert_int_equal(window_at(&sites, 0x1f), FLAG_WINDOW_INSIDE);
	flagsites_done(&sites);
}

static void a_flag_loaded_before_a_store_is_stale_after_it(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, stale);
	expect_site(&sites, 1, FLAG_OTHER, 0xe);
	assert_int_equal(window_at(&sites, 0x11), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void a_flag_loaded_before_a_call_is_no_flag_behind_it(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, across_call);
	assert_int_equal(sites.count, 1);
	expect_site(&sites, 0, FLAG_FATAL, 0xf);
	assert_int_equal(sites.list[0].check, 0);
	flagsites_done(&sites);
}

static void a_toggle_in_a_loop_is_neither_set_nor_clear(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_SWISS, twice);
	assert_int_equal(sites.count, 1);
	expect_site(&sites, 0, FLAG_TOGGLE, 0x7);
	assert_int_equal(window_at(&sites, 0xa), FLAG_WINDOW_UNKNOWN);
	flagsites_done(&sites);
}

static void only_a_check_makes_throw_a_fatal_call(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, throwing);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 0, FLAG_CHECK, 0x4);
	expect_site(&sites, 1, FLAG_FATAL, 0xf);
	flagsites_done(&sites);
}

static void a_panic_does_not_lead_to_the_code_behind_it(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, panicking);
	assert_int_equal(window_at(&sites, 0x19), FLAG_WINDOW_AFTER);
	assert_int_equal(window_at(&sites, 0x20), FLAG_WINDOW_UNKNOWN);
	/* its return address stands where its call stands */
	assert_int_equal(flagsites_window(&sites, START + 0x1f, false), FLAG_WINDOW_INSIDE);
	flagsites_done(&sites);
}

static void another_bit_of_the_byte_is_no_check(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, other_bit);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 0, FLAG_OTHER, 0xc);
	expect_site(&sites, 1, FLAG_FATAL, 0x10);
	flagsites_done(&sites);
}

static void the_stack_other_offsets_and_indexed_bytes_are_not_the_flag(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_HMAP, other_place);
	assert_int_equal(sites.count, 1);
	expect_site(&sites, 0, FLAG_FATAL, 0x21);
	assert_int_equal(window_at(&sites, 0x1f), FLAG_WINDOW_BEFORE);
	flagsites_done(&sites);
}

static void one_design_has_no_sites_by_the_others_offset(void **state)
{
	(void)state;
	struct flagsites sites = FIND(MAP_SWISS, early_return);
	assert_int_equal(sites.count, 0);
	assert_int_equal(window_at(&sites, 0xf), FLAG_WINDOW_BEFORE);
	flagsites_done(&sites);
}

static void atomic_marks_of_iterators_are_told_from_the_flag(void **state)
{
	(void)state;
	struct flagsites sites =
		find(ARCH_ARM64, MAP_HMAP, iterators_arm64, sizeof(iterators_arm64), NULL);
	assert_int_equal(sites.count, 2);
	expect_site(&sites, 0, FLAG_ITERATOR, 0x8);
	expect_site(&sites, 1, FLAG_ITERATOR, 0x14);
	assert_int_equal(window_at(&sites, 0x1c), FLAG_WINDOW_BEFORE);
	flagsites_done(&sites);
}

static void a_real_function_has_its_sites_on_both_machines(void **state)
{
	(void)state;
	static const uint64_t offsets[2][6] = {{0x2d, 0x40, 0x56, 0x94, 0xa6, 0xb7},
					       {0x38, 0x48, 0x5c, 0xac, 0xbc, 0xcc}};
	static const enum flag_site_kind kinds[] = {FLAG_CHECK, FLAG_FATAL, FLAG_SET,
						    FLAG_CHECK, FLAG_FATAL, FLAG_CLEAR};
	for (int machine = 0; machine < 2; machine++) {
		uint64_t fatal = machine ? CLEAR_ARM64_FATAL : CLEAR_AMD64_FATAL;
		struct flagsites sites = machine ? find(ARCH_ARM64, MAP_SWISS, clear_arm64,
							sizeof(clear_arm64), &fatal)
						 : find(ARCH_AMD64, MAP_SWISS, clear_amd64,
							sizeof(clear_amd64), &fatal);
		assert_true(sites.complete);
		assert_int_equal(sites.count, 6);
		for (size_t i = 0; i < 6; i++)
			expect_site(&sites, i, kinds[i], offsets[machine][i]);
		assert_int_equal(sites.list[0].fatal, sites.list[1].addr);
		assert_int_equal(sites.list[4].check, sites.list[3].addr);
		assert_int_equal(sites.list[1].role, FLAG_CHECK_ENTRY);
		assert_int_equal(sites.list[4].role, FLAG_CHECK_EXIT);
		assert_true(sites.list[2].run_is_pure && sites.list[2].run < sites.list[2].addr);
		assert_int_equal(flagsites_window(&sites, sites.list[1].end, false),
				 FLAG_WINDOW_FATAL);
		assert_int_equal(flagsites_window(&sites, sites.list[3].addr, true),
				 FLAG_WINDOW_INSIDE);
		assert_int_equal(flagsites_window(&sites, START, true), FLAG_WINDOW_BEFORE);
		flagsites_done(&sites);
	}
}

static void a_function_that_is_too_large_or_empty_is_refused(void **state)
{
	(void)state;
	struct flagsites sites;
	struct error err;
	uint8_t byte = 0xc3;
	assert_int_equal(flagsites_find(ARCH_AMD64, MAP_HMAP, &byte, 0, START, callee_by_distance,
					NULL, &sites, &err),
			 FAILED);
	assert_int_equal(flagsites_find(ARCH_AMD64, MAP_HMAP, &byte, FLAGSITES_CODE_MAX + 1, START,
					callee_by_distance, NULL, &sites, &err),
			 FAILED);
	assert_int_equal(err.code, ERROR_LIMIT);
}

static void callees_are_known_by_their_names(void **state)
{
	(void)state;
	assert_int_equal(flag_callee_by_name("runtime.fatal"), FLAG_CALLEE_FATAL);
	assert_int_equal(flag_callee_by_name("internal/runtime/maps.fatal"), FLAG_CALLEE_FATAL);
	assert_int_equal(flag_callee_by_name("runtime.throw"), FLAG_CALLEE_THROW);
	assert_int_equal(flag_callee_by_name("runtime.panicIndex"), FLAG_CALLEE_NORETURN);
	assert_int_equal(flag_callee_by_name("runtime.gopanic"), FLAG_CALLEE_NORETURN);
	/* these two look whether a panic is allowed, and come back */
	assert_int_equal(flag_callee_by_name("runtime.panicCheck1"), FLAG_CALLEE_OTHER);
	assert_int_equal(flag_callee_by_name("runtime.fatalthrow"), FLAG_CALLEE_OTHER);
	assert_int_equal(flag_callee_by_name(NULL), FLAG_CALLEE_OTHER);
}

static void map_functions_are_known_by_their_names(void **state)
{
	(void)state;
	assert_true(flagsites_is_map_function("runtime.mapassign_fast64ptr"));
	assert_true(flagsites_is_map_function("internal/runtime/maps.(*Map).Delete"));
	assert_true(flagsites_is_map_function("internal/runtime/maps.(*Iter).Next"));
	assert_false(flagsites_is_map_function("runtime.makemap"));
	assert_false(flagsites_is_map_function("internal/runtime/maps.(*table).Delete"));
	assert_false(flagsites_is_map_function("main.runtime.mapassign"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_place_reached_with_and_without_a_set_is_unknown),
		cmocka_unit_test(a_place_reached_before_a_set_or_after_its_clear_is_outside),
		cmocka_unit_test(the_middle_of_an_instruction_is_unknown),
		cmocka_unit_test(code_with_an_indirect_jump_proves_nothing),
		cmocka_unit_test(code_that_jumps_into_its_own_instructions_proves_nothing),
		cmocka_unit_test(code_that_runs_off_its_end_proves_nothing),
		cmocka_unit_test(behind_a_store_of_an_unknown_byte_nothing_is_known),
		cmocka_unit_test(checks_and_toggles_in_memory_are_sites),
		cmocka_unit_test(a_fatal_call_of_two_different_checks_tells_no_role),
		cmocka_unit_test(a_bit_test_is_a_check),
		cmocka_unit_test(a_conditional_move_of_other_bits_keeps_the_window),
		cmocka_unit_test(a_flag_loaded_before_a_store_is_stale_after_it),
		cmocka_unit_test(a_flag_loaded_before_a_call_is_no_flag_behind_it),
		cmocka_unit_test(a_toggle_in_a_loop_is_neither_set_nor_clear),
		cmocka_unit_test(only_a_check_makes_throw_a_fatal_call),
		cmocka_unit_test(a_panic_does_not_lead_to_the_code_behind_it),
		cmocka_unit_test(another_bit_of_the_byte_is_no_check),
		cmocka_unit_test(the_stack_other_offsets_and_indexed_bytes_are_not_the_flag),
		cmocka_unit_test(one_design_has_no_sites_by_the_others_offset),
		cmocka_unit_test(atomic_marks_of_iterators_are_told_from_the_flag),
		cmocka_unit_test(a_real_function_has_its_sites_on_both_machines),
		cmocka_unit_test(a_function_that_is_too_large_or_empty_is_refused),
		cmocka_unit_test(callees_are_known_by_their_names),
		cmocka_unit_test(map_functions_are_known_by_their_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
