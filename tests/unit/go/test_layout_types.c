#include "go/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/go/forge_types.h"

/* A runtime.gobuf of go1.27 with one more word in front of lr, as a point release might have it. */
struct forged_gobuf {
	struct forged_types types;
	uint64_t addr;
};

/* last: offset of bp; name: of the field that is lr; package: where gobuf is. */
static void forge_gobuf(struct forged_gobuf *f, uint64_t last, const char *name,
			const char *package)
{
	struct forged_types *t = &f->types;
	types_init(t, 27);
	uint64_t word = types_add(t, KIND_UINTPTR, 8, 0, 8, TFLAG_NAMED, "uintptr");
	uint64_t path = types_name(t, 0, package);
	const struct types_field fields[] = {{"sp", word, 0, false},	 {"pc", word, 8, false},
					     {"g", word, 16, false},	 {"ctxt", word, 24, false},
					     {"added", word, 32, false}, {name, word, 40, false},
					     {"bp", word, last, false}};
	f->addr = types_add_struct(t, 56, TFLAG_NAMED | TFLAG_UNCOMMON, fields, 7, "runtime.gobuf");
	/* The package stands first in abi.UncommonType, behind abi.StructType. */
	blob_put_u32(&t->blob, f->addr - TYPES_ADDR + 80, (uint32_t)(path - TYPES_ADDR));
	assert_true(types_ready(t));
}

static void a_field_that_moved_is_found_where_the_program_has_it(void **state)
{
	(void)state;
	struct forged_gobuf f;
	forge_gobuf(&f, 48, "lr", "runtime");
	struct runtime *rt = &f.types.forge.rt;
	assert_int_equal(rt->layout.gobuf.lr, 32);
	uint16_t goid = rt->layout.g.goid;
	layout_from_types(rt);
	assert_int_equal(rt->layout.gobuf.sp, 0);
	assert_int_equal(rt->layout.gobuf.lr, 40);
	assert_int_equal(rt->layout.gobuf.bp, 48);
	/* There is no runtime.g: what the table has stays. */
	assert_int_equal(rt->layout.g.goid, goid);
	assert_int_equal(rt->notes->count, 0);
	forge_done(&f.types.forge);
}

static void a_struct_that_lacks_a_field_is_not_believed(void **state)
{
	(void)state;
	struct forged_gobuf f;
	forge_gobuf(&f, 48, "link", "runtime");
	struct runtime *rt = &f.types.forge.rt;
	layout_from_types(rt);
	assert_int_equal(rt->layout.gobuf.lr, 32);
	assert_int_equal(rt->layout.gobuf.bp, 40);
	assert_int_equal(rt->notes->count, 1);
	forge_done(&f.types.forge);
}

static void a_field_that_does_not_lie_inside_its_struct_is_not_believed(void **state)
{
	(void)state;
	struct forged_gobuf f;
	forge_gobuf(&f, 50, "lr", "runtime");
	struct runtime *rt = &f.types.forge.rt;
	layout_from_types(rt);
	assert_int_equal(rt->layout.gobuf.bp, 40);
	assert_int_equal(rt->notes->count, 1);
	forge_done(&f.types.forge);
}

static void another_package_of_that_name_says_nothing(void **state)
{
	(void)state;
	struct forged_gobuf f;
	forge_gobuf(&f, 48, "lr", "example.com/runtime");
	struct runtime *rt = &f.types.forge.rt;
	layout_from_types(rt);
	assert_int_equal(rt->layout.gobuf.lr, 32);
	assert_int_equal(rt->notes->count, 0);
	forge_done(&f.types.forge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_field_that_moved_is_found_where_the_program_has_it),
		cmocka_unit_test(a_struct_that_lacks_a_field_is_not_believed),
		cmocka_unit_test(a_field_that_does_not_lie_inside_its_struct_is_not_believed),
		cmocka_unit_test(another_package_of_that_name_says_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
