/*
 * The stub of an entry check: that the check is what it was, that readers leave lines, and that who comes to the map of
 * a held writer is shown. It runs here, in this process, as a map function of our own would run it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "probe/emit.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "unit/probe/own_code.h"

enum { CODE = 0x51000000, STUBS = 0x51200000, BITS = 4, GOID_AT = 160, LOCKEDM_AT = 168 };

struct fixture {
	uint8_t *code, *memory;
	struct records_header *table;
	struct plan plan;
	struct plan_site site;
	struct stubs stubs;
	uint64_t g[64];
	uint8_t map[64];
};

/* As 1.27 has it in mapaccess2_fast64: cmpb $0,0x22(%rbx); jne. A function of the map and g that returns 1
 * where the flag is set, else 0. */
static void make_swiss(struct fixture *f)
{
	struct emit e = {.buf = f->code, .cap = 256, .addr = CODE};
	emit_push(&e, AMD64_RBP);
	emit_move(&e, AMD64_RBP, AMD64_RSP);
	emit_push(&e, AMD64_RBX);
	emit_push(&e, AMD64_R14);
	emit_move(&e, AMD64_RBX, AMD64_RDI);
	emit_move(&e, AMD64_R14, AMD64_RSI);
	emit_move_imm32(&e, AMD64_RAX, 1);
	f->site = (struct plan_site){.kind = PLAN_ENTRY,
				     .addr = emit_here(&e),
				     .map_reg = AMD64_RBX,
				     .branch = emit_here(&e) + 4,
				     .interior = emit_here(&e) + 4,
				     .reads = true};
	emit_bytes(&e, "\x80\x7b\x22\x00", 4);
	size_t set = emit_branch(&e, EMIT_NOT_EQUAL);
	f->site.end = emit_here(&e);
	emit_zero(&e, AMD64_RAX);
	emit_land(&e, set);
	f->site.callee = emit_here(&e);
	emit_pop(&e, AMD64_R14);
	emit_pop(&e, AMD64_RBX);
	emit_pop(&e, AMD64_RBP);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
	memcpy(f->site.original, f->code + (f->site.addr - CODE), f->site.end - f->site.addr);
}

static void set_up(struct fixture *f, bool meets, bool reads)
{
	memset(f, 0, sizeof(*f));
	f->code = map_fixed(CODE, 4096);
	f->memory = map_fixed(STUBS, STUBS_SIZE_MAX + records_size_with_reads(BITS));
	f->table = (struct records_header *)(f->memory + STUBS_SIZE_MAX);
	make_swiss(f);
	f->plan = (struct plan){.list = &f->site,
				.count = 1,
				.text = CODE,
				.etext = CODE + 4096,
				.goid_offset = GOID_AT,
				.lockedm_offset = LOCKEDM_AT,
				.flag_offset = 34,
				.flag_mask = 0xff};
	struct stubs_options how = {.addr = STUBS,
				    .table = STUBS + STUBS_SIZE_MAX,
				    .line_bits = BITS,
				    .times = true,
				    .ordered = true,
				    .holds = meets,
				    .meets = meets,
				    .reads = reads};
	assert_int_equal(stubs_build(&f->plan, &how, &f->stubs, NULL), OK);
	memcpy(f->memory, f->stubs.bytes, f->stubs.size);
	const struct patch *patch = &f->stubs.patches[0];
	memcpy((void *)(uintptr_t)patch->addr, patch->new, PLAN_PATCH_SIZE);
	f->g[1] = (uint64_t)(uintptr_t)__builtin_frame_address(0) + 64;
	f->g[GOID_AT / 8] = 42;
	memcpy(f->table->magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE);
	f->table->line_bits = BITS;
	f->table->flags = RECORDS_TIMES | RECORDS_READS | RECORDS_SEEDS;
	f->table->size = records_size_with_reads(BITS);
	f->table->text = CODE;
}

static void tear_down(struct fixture *f)
{
	stubs_done(&f->stubs);
	munmap(f->code, 4096);
	munmap(f->memory, STUBS_SIZE_MAX + records_size_with_reads(BITS));
}

static uint64_t call_check(struct fixture *f)
{
	return call_at(CODE, f->map, f->g);
}

static struct records read_table(struct fixture *f)
{
	struct records records;
	assert_int_equal(records_parse(f->table, f->table->size, &records, NULL), OK);
	return records;
}

static void the_check_branches_as_it_did(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct fixture f;
		set_up(&f, how & 1, how & 2);
		assert_int_equal(call_check(&f), 0);
		f.map[34] = 1;
		assert_int_equal(call_check(&f), 1);
		tear_down(&f);
	}
}

static void a_reader_leaves_a_line_of_its_own(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, false, true);
	f.map[8] = 99;
	uint64_t before = records_now();
	call_check(&f);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 0);
	assert_int_equal(records.read_count, 1);
	const struct record *r = &records.reads[0];
	assert_int_equal(r->g, (uint64_t)(uintptr_t)f.g);
	assert_int_equal(r->goid, 42);
	assert_int_equal(r->map, (uint64_t)(uintptr_t)f.map);
	assert_int_equal(r->state, RECORD_DONE);
	assert_int_equal(record_site(&records, r), f.site.addr);
	assert_int_equal(records.read_seeds[0], 99);
	assert_true(r->set > before && r->set == r->clear && r->set < records_now());
	uint64_t here = (uint64_t)(uintptr_t)call_at;
	assert_true(r->callers[0] > here && r->callers[0] < here + 256);
	records_done(&records);
	tear_down(&f);
}

static void *check_in_thread(void *context)
{
	struct fixture *f = context;
	f->g[1] = (uint64_t)(uintptr_t)__builtin_frame_address(0) + 64;
	return (void *)(uintptr_t)call_check(f);
}

static void who_comes_to_a_held_map_is_shown_and_waits(void **state)
{
	(void)state;
	struct fixture f;
	pthread_t thread;
	set_up(&f, true, false);
	f.table->held.set = 7;
	f.table->held_map = (uint64_t)(uintptr_t)f.map;
	assert_int_equal(pthread_create(&thread, NULL, check_in_thread, &f), 0);
	while (__atomic_load_n(&f.table->met, __ATOMIC_ACQUIRE) != MEET_READY)
		sched_yield();
	assert_int_equal(f.table->meetings, 1);
	assert_int_equal(f.table->comer.map, (uint64_t)(uintptr_t)f.map);
	assert_int_equal(f.table->comer.goid, 42);
	assert_int_equal(f.table->comer.clear, 7);
	/* the next one goes on while the first one waits */
	struct fixture *same = &f;
	assert_int_equal(call_check(same), 0);
	__atomic_store_n(&f.table->met, MEET_NONE, __ATOMIC_RELEASE);
	syscall(SYS_futex, &f.table->met, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	void *result;
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_int_equal(f.table->meetings, 1);
	tear_down(&f);
}

static void who_comes_to_a_held_map_goes_on_where_nobody_looks(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, false);
	assert_int_equal(check_calls(&f.stubs, STUBS), 1);
	f.table->held_map = (uint64_t)(uintptr_t)f.map;
	int64_t start = clock_ms();
	assert_int_equal(call_check(&f), 0);
	assert_true(clock_ms() - start >= MEET_SECONDS * 1000 / 2);
	assert_int_equal(f.table->meetings, 1);
	assert_int_equal(f.table->met, MEET_READY);
	tear_down(&f);
}

static void a_writer_is_held_before_its_check(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, false);
	/* the same function, as if it were a writer's */
	f.site.reads = false;
	struct stubs_options how = {.addr = STUBS,
				    .table = STUBS + STUBS_SIZE_MAX,
				    .line_bits = BITS,
				    .times = true,
				    .holds = true,
				    .meets = true};
	stubs_done(&f.stubs);
	assert_int_equal(stubs_build(&f.plan, &how, &f.stubs, NULL), OK);
	memcpy(f.memory, f.stubs.bytes, f.stubs.size);
	const struct patch *patch = &f.stubs.patches[0];
	memcpy((void *)(uintptr_t)patch->addr, patch->new, PLAN_PATCH_SIZE);
	f.table->hold_on = 1;
	f.table->hold_until = UINT64_MAX;
	f.table->hold_ms = 1;
	f.table->hold_ticks = 1000000;
	uint64_t before = records_now();
	assert_int_equal(call_check(&f), 0);
	assert_true(f.table->held.set > before && f.table->held.set < records_now());
	assert_int_equal(f.table->held.goid, 42);
	assert_int_equal(f.table->held.map, (uint64_t)(uintptr_t)f.map);
	assert_int_equal(f.table->holds, 1);
	assert_int_equal(f.table->held_map, 0);
	assert_int_equal(f.table->holder, 0);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_check_branches_as_it_did),
		cmocka_unit_test(a_reader_leaves_a_line_of_its_own),
		cmocka_unit_test(who_comes_to_a_held_map_is_shown_and_waits),
		cmocka_unit_test(who_comes_to_a_held_map_goes_on_where_nobody_looks),
		cmocka_unit_test(a_writer_is_held_before_its_check),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
