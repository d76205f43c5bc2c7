#include "go/module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/go/forge_table.h"

enum { DATA = 0x700000, MODULE_AT = 40, TYPES = 0x500000, TYPES_END = 0x501000 };

/* runtime.firstmoduledata of a version, in a data segment at DATA, over the forged table. */
struct forged_module {
	struct forged_table table;
	struct blob data;
};

/* Where etypes, gofunc, typelinks (0: none) and next are, by version. */
static void forge_module(struct forged_module *m, unsigned types, unsigned etypes, unsigned gofunc,
			 unsigned typelinks, unsigned next)
{
	struct blob *d = &m->data;
	forge_table(&m->table, true);
	memset(d, 0, sizeof(*d));
	d->len = 1024;
	blob_put_u64(d, MODULE_AT, TABLE_ADDR);
	blob_put_u64(d, MODULE_AT + 8, TABLE_ADDR + 72);
	blob_put_u64(d, MODULE_AT + 136, 4); /* len(ftab) */
	blob_put_u64(d, MODULE_AT + 160, TABLE_TEXT); /* minpc */
	blob_put_u64(d, MODULE_AT + 168, TABLE_TEXT + 0x70); /* maxpc */
	for (unsigned i = 0; i < 5; i++) {
		uint64_t start = i ? DATA + 0x100 * i : TABLE_TEXT;
		blob_put_u64(d, MODULE_AT + 176 + 16 * i, start);
		blob_put_u64(d, MODULE_AT + 184 + 16 * i, start + 0x80);
	}
	blob_put_u64(d, MODULE_AT + types, TYPES);
	blob_put_u64(d, MODULE_AT + etypes, TYPES_END);
	blob_put_u64(d, MODULE_AT + gofunc, m->table.gofunc);
	if (typelinks) {
		blob_put_u64(d, MODULE_AT + typelinks, TYPES + 0x800);
		blob_put_u64(d, MODULE_AT + typelinks + 8, 3);
	}
	blob_put_u64(d, MODULE_AT + next, 0x12340);
}

static enum status read_module(const struct forged_module *m, int minor, struct module *ret,
			       struct error *err)
{
	struct forge forge;
	struct pclntab *tab;
	struct go_version version = {.minor = minor};
	forge_init(&forge);
	assert_true(forge_bytes(&forge, TABLE_ADDR, m->table.blob.bytes, m->table.blob.len));
	assert_true(forge_bytes(&forge, DATA, m->data.bytes, m->data.len));
	assert_int_equal(pclntab_open(&forge.target, &tab, NULL), OK);
	enum status status = module_read(&forge.target, tab, &version, ret, err);
	pclntab_free(tab);
	forge_done(&forge);
	return status;
}

static void each_version_keeps_its_fields_where_its_runtime_has_them(void **state)
{
	(void)state;
	static const struct {
		int minor;
		unsigned types, etypes, gofunc, typelinks, next;
	} cases[] = {
		{18, 280, 288, 304, 336, 544}, {19, 280, 288, 304, 336, 544},
		{20, 296, 304, 320, 352, 560}, {21, 296, 304, 320, 352, 584},
		{22, 296, 304, 320, 352, 584}, {23, 296, 304, 320, 352, 576},
		{25, 296, 304, 320, 352, 576}, {26, 296, 304, 320, 360, 584},
		{27, 296, 312, 344, 0, 560},   {31, 296, 312, 344, 0, 560},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forged_module m;
		struct module module;
		forge_module(&m, cases[i].types, cases[i].etypes, cases[i].gofunc,
			     cases[i].typelinks, cases[i].next);
		assert_int_equal(read_module(&m, cases[i].minor, &module, NULL), OK);
		assert_int_equal(module.addr, DATA + MODULE_AT);
		assert_int_equal(module.text, TABLE_TEXT);
		assert_int_equal(module.bss, DATA + 0x300);
		assert_int_equal(module.enoptrbss, DATA + 0x480);
		assert_int_equal(module.types, TYPES);
		assert_int_equal(module.etypes, TYPES_END);
		assert_int_equal(module.gofunc, m.table.gofunc);
		assert_int_equal(module.typelink_count, cases[i].typelinks ? 3 : 0);
		assert_int_equal(module.next, 0x12340);
	}
}

static void versions_before_118_are_refused(void **state)
{
	(void)state;
	struct forged_module m;
	struct module module;
	struct error err;
	forge_module(&m, 296, 304, 320, 352, 576);
	assert_int_equal(read_module(&m, 17, &module, &err), FAILED);
	assert_int_equal(err.code, ERROR_UNSUPPORTED);
}

static void fields_out_of_order_are_refused(void **state)
{
	(void)state;
	static const unsigned ends[] = {184, 200, 216, 232, 248, 304};
	struct forged_module m;
	struct module module;
	struct error err;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		forge_module(&m, 296, 304, 320, 352, 576);
		blob_put_u64(&m.data, MODULE_AT + ends[i], 1);
		assert_int_equal(read_module(&m, 23, &module, &err), FAILED);
		assert_int_equal(err.code, ERROR_FORMAT);
		assert_int_equal(err.addr, DATA + MODULE_AT);
	}
}

static void a_module_of_another_table_is_not_taken(void **state)
{
	(void)state;
	struct forged_module m;
	struct module module;
	struct error err;
	forge_module(&m, 296, 304, 320, 352, 576);
	blob_put_u64(&m.data, MODULE_AT + 136, 9); /* functions */
	assert_int_equal(read_module(&m, 23, &module, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
	forge_module(&m, 296, 304, 320, 352, 576);
	blob_put_u64(&m.data, MODULE_AT + 8, TABLE_ADDR + 80);
	assert_int_equal(read_module(&m, 23, &module, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	forge_module(&m, 296, 304, 320, 352, 576);
	blob_put_u64(&m.data, MODULE_AT + 352 + 8, UINT64_MAX); /* typelinks */
	assert_int_equal(read_module(&m, 23, &module, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
}

static void a_pair_of_words_that_is_no_module_is_passed_over(void **state)
{
	(void)state;
	struct forged_module m;
	struct module module;
	forge_module(&m, 296, 304, 320, 352, 576);
	blob_put_u64(&m.data, 8, TABLE_ADDR);
	blob_put_u64(&m.data, 16, TABLE_ADDR + 72);
	assert_int_equal(read_module(&m, 23, &module, NULL), OK);
	assert_int_equal(module.addr, DATA + MODULE_AT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_version_keeps_its_fields_where_its_runtime_has_them),
		cmocka_unit_test(versions_before_118_are_refused),
		cmocka_unit_test(fields_out_of_order_are_refused),
		cmocka_unit_test(a_module_of_another_table_is_not_taken),
		cmocka_unit_test(a_pair_of_words_that_is_no_module_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
