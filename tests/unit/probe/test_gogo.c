/*
 * The stub at the entry of runtime.gogo: that it writes down who runs since when, and gogo does what it did. It runs in this
 * process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "probe/emit.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "unit/probe/own_code.h"

enum { CODE = 0x52000000, STUBS = 0x52200000, BITS = 4, GOGO = 64 };

struct fixture {
	uint8_t *code, *stubs_memory;
	struct records_header *table;
	struct plan_site site;
	struct plan plan;
	struct stubs stubs;
};

/* What the plan expects at the entry of runtime.gogo, and for a test's sake a return. */
static const uint8_t gogo[] = {0x48, 0x8b, 0x5c, 0x24, 0x08, 0x48, 0x8b, 0x53, 0x10, 0xc3};

/* A function of one argument, a gobuf: hands that to gogo on the stack, and returns the g that it took from it. */
static void make_caller(struct fixture *f)
{
	struct emit e = {.buf = f->code, .cap = GOGO, .addr = CODE};
	emit_push(&e, AMD64_RBX);
	emit_push(&e, AMD64_RDI);
	int32_t distance = GOGO - (int32_t)(e.len + 5);
	emit_bytes(&e, "\xe8", 1); /* call */
	emit_bytes(&e, &distance, sizeof(distance));
	emit_move(&e, AMD64_RAX, AMD64_RDX);
	emit_pop(&e, AMD64_RDI);
	emit_pop(&e, AMD64_RBX);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
}

static void set_up(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->code = map_fixed(CODE, 4096);
	f->stubs_memory = map_fixed(STUBS, STUBS_SIZE_MAX + records_size(BITS));
	f->table = (struct records_header *)(f->stubs_memory + STUBS_SIZE_MAX);
	make_caller(f);
	memcpy(f->code + GOGO, gogo, sizeof(gogo));
	f->site = (struct plan_site){
		.kind = PLAN_GOGO, .addr = CODE + GOGO, .end = CODE + GOGO + PLAN_PATCH_SIZE};
	memcpy(f->site.original, gogo, PLAN_PATCH_SIZE);
	f->plan = (struct plan){.list = &f->site, .count = 1, .text = CODE, .etext = CODE + 4096};
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	assert_int_equal(stubs_build(&f->plan, &how, &f->stubs, NULL), OK);
	memcpy(f->stubs_memory, f->stubs.bytes, f->stubs.size);
	lay_patches(&f->stubs);
	memcpy(f->table->magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE);
	f->table->line_bits = BITS;
	f->table->size = records_size(BITS);
}

static void tear_down(struct fixture *f)
{
	stubs_done(&f->stubs);
	munmap(f->code, 4096);
	munmap(f->stubs_memory, STUBS_SIZE_MAX + records_size(BITS));
}

static void run(uint64_t g)
{
	uint64_t buf[] = {0, 0, g};
	assert_int_equal(call_at(CODE, buf, NULL), g);
}

static uint64_t since_of(struct fixture *f, uint64_t g)
{
	struct records records;
	f->table->frozen = 1;
	f->table->frozen_at = records_now();
	f->table->detector_g = g;
	assert_int_equal(records_parse(f->table, records_size(BITS), &records, NULL), OK);
	uint64_t since = records.detector_since;
	records_done(&records);
	return since;
}

static void it_is_known_since_when_a_goroutine_runs(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	assert_int_equal(since_of(&f, 0xc000002000), 0);
	uint64_t before = records_now();
	run(0xc000002000);
	uint64_t after = records_now();
	run(0xc000002380);
	assert_true(since_of(&f, 0xc000002000) > before && since_of(&f, 0xc000002000) < after);
	assert_true(since_of(&f, 0xc000002380) > after);
	run(0xc000002000);
	assert_true(since_of(&f, 0xc000002000) > since_of(&f, 0xc000002380));
	tear_down(&f);
}

static void of_two_that_share_an_entry_the_first_is_forgotten(void **state)
{
	(void)state;
	struct fixture f;
	uint64_t g = 0xc000002000, other = g;
	do
		other += 128;
	while (((uint32_t)g * RECORD_HASH_FACTOR ^ (uint32_t)other * RECORD_HASH_FACTOR) >>
	       (32 - RECORD_RUN_BITS));
	set_up(&f);
	run(g);
	run(other);
	assert_int_equal(since_of(&f, g), 0);
	assert_true(since_of(&f, other) > 0);
	tear_down(&f);
}

static void a_time_behind_the_freeze_is_none(void **state)
{
	(void)state;
	struct fixture f;
	struct records records;
	set_up(&f);
	run(0xc000002000);
	f.table->frozen = 1;
	f.table->frozen_at = 1;
	f.table->detector_g = 0xc000002000;
	assert_int_equal(records_parse(f.table, records_size(BITS), &records, NULL), OK);
	assert_int_equal(records.detector_since, 0);
	records_done(&records);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_known_since_when_a_goroutine_runs),
		cmocka_unit_test(of_two_that_share_an_entry_the_first_is_forgotten),
		cmocka_unit_test(a_time_behind_the_freeze_is_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
