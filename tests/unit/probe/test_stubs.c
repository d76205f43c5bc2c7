/*
 * The recorder's machine code: that it decodes to what was meant, and that it does what it should when it runs. It runs
 * here, in this process, as a map function of our own would run it.
 */
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "insn/insn.h"
#include "probe/emit.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "unit/probe/own_code.h"

enum { CODE = 0x50000000, STUBS = 0x50200000, BITS = 4 };
enum { GOID_AT = 160, LOCKEDM_AT = 168, MAP_FLAG = 8 };

/* What Go 1.23 has at +0x75 and at +0x2c6 of mapassign_fast64: see plan.h. */
static const uint8_t set_run[] = {0x0f, 0xb6, 0x4b, 0x08, 0x83, 0xf1, 0x04, 0x88, 0x4b, 0x08};
/* And 1.26 at +0x4f of (*Map).Clear, with the map in rax; its offset put where ours is. */
static const uint8_t set_run_rax[] = {0x0f, 0xb6, 0x48, 0x08, 0x83, 0xf1, 0x04, 0x88, 0x48, 0x08};
static const uint8_t clear_run[] = {0x0f, 0xb6, 0x4b, 0x08, 0x83, 0xe1, 0xfb, 0x88, 0x4b, 0x08};

struct fixture {
	uint8_t *code, *stubs_memory;
	struct records_header *table;
	struct plan plan;
	struct plan_site sites[2];
	struct stubs stubs;
	uint64_t g[64];
	uint8_t map[64];
};

/* A function of two arguments, the map and g, which sets or clears the flag as Go does: g is in r14, the
 * map in map_reg, and there is a frame. */
static void make_function(struct fixture *f, struct plan_site *site, uint64_t offset,
			  const uint8_t *run, size_t n, enum plan_kind kind, unsigned map_reg)
{
	struct emit e = {.buf = f->code + offset, .cap = 256, .addr = CODE + offset};
	emit_push(&e, AMD64_RBP);
	emit_move(&e, AMD64_RBP, AMD64_RSP);
	emit_push(&e, AMD64_RBX);
	emit_push(&e, AMD64_R14);
	emit_move(&e, map_reg, AMD64_RDI);
	emit_move(&e, AMD64_R14, AMD64_RSI);
	*site = (struct plan_site){
		.kind = kind, .addr = emit_here(&e), .map_reg = map_reg, .temp_reg = AMD64_RCX};
	emit_bytes(&e, run, n);
	site->end = emit_here(&e);
	memcpy(site->original, run, n);
	emit_move(&e, AMD64_RAX, AMD64_RCX);
	emit_pop(&e, AMD64_R14);
	emit_pop(&e, AMD64_RBX);
	emit_pop(&e, AMD64_RBP);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
}

/* Where the goroutine's stack ends: beyond it no frame pointer is followed, and what is there may be
 * none where this program is built without. */
static uint64_t stack_end(void)
{
	return (uint64_t)(uintptr_t)__builtin_frame_address(0) + 64;
}

static void set_up_with(struct fixture *f, bool times, bool holds, bool map_in_rax)
{
	memset(f, 0, sizeof(*f));
	f->code = map_fixed(CODE, 4096);
	f->stubs_memory = map_fixed(STUBS, STUBS_SIZE_MAX + records_size(BITS));
	f->table = (struct records_header *)(f->stubs_memory + STUBS_SIZE_MAX);
	make_function(f, &f->sites[0], 0, map_in_rax ? set_run_rax : set_run, sizeof(set_run),
		      PLAN_SET, map_in_rax ? AMD64_RAX : AMD64_RBX);
	make_function(f, &f->sites[1], 512, clear_run, sizeof(clear_run), PLAN_CLEAR, AMD64_RBX);
	f->plan = (struct plan){.list = f->sites,
				.count = 2,
				.text = CODE,
				.etext = CODE + 4096,
				.goid_offset = GOID_AT,
				.lockedm_offset = LOCKEDM_AT,
				.flag_offset = MAP_FLAG,
				.flag_mask = 4};
	struct stubs_options how = {.addr = STUBS,
				    .table = STUBS + STUBS_SIZE_MAX,
				    .line_bits = BITS,
				    .times = times,
				    .callers = true,
				    .holds = holds};
	assert_int_equal(stubs_build(&f->plan, &how, &f->stubs, NULL), OK);
	memcpy(f->stubs_memory, f->stubs.bytes, f->stubs.size);
	lay_patches(&f->stubs);
	f->g[1] = stack_end();
	f->g[GOID_AT / 8] = 42;
	memcpy(f->table->magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE);
	f->table->line_bits = BITS;
	f->table->size = records_size(BITS);
	f->table->text = CODE;
}

static void set_up(struct fixture *f, bool times, bool holds)
{
	set_up_with(f, times, holds, false);
}

static void tear_down(struct fixture *f)
{
	stubs_done(&f->stubs);
	munmap(f->code, 4096);
	munmap(f->stubs_memory, STUBS_SIZE_MAX + records_size(BITS));
}

static uint64_t call_set(struct fixture *f, void *g)
{
	return call_at(CODE, f->map, g);
}

static uint64_t call_clear(struct fixture *f, void *g)
{
	return call_at(CODE + 512, f->map, g);
}

static struct records read_table(struct fixture *f)
{
	struct records records;
	assert_int_equal(records_parse(f->table, records_size(BITS), &records, NULL), OK);
	return records;
}

static void a_write_is_recorded_from_set_to_clear(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, false);
	f.map[MAP_FLAG] = 3;
	assert_int_equal(call_set(&f, f.g) & 0xff, 7);
	assert_int_equal(f.map[MAP_FLAG], 7);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 1);
	const struct record *r = &records.list[0];
	assert_int_equal(r->g, (uint64_t)(uintptr_t)f.g);
	assert_int_equal(r->goid, 42);
	assert_int_equal(r->map, (uint64_t)(uintptr_t)f.map);
	assert_int_equal(r->state, RECORD_IN_FLIGHT);
	assert_int_equal(record_site(&records, r), f.sites[0].addr);
	assert_true(r->set > 0 && r->clear == 0);
	/* the first caller is the one who calls into our code */
	uint64_t here = (uint64_t)(uintptr_t)call_at;
	assert_true(r->callers[0] > here && r->callers[0] < here + 256);
	records_done(&records);
	assert_int_equal(call_clear(&f, f.g) & 0xff, 3);
	assert_int_equal(f.map[MAP_FLAG], 3);
	records = read_table(&f);
	assert_int_equal(records.list[0].state, RECORD_DONE);
	assert_true(records.list[0].clear > records.list[0].set);
	records_done(&records);
	tear_down(&f);
}

static void the_map_is_recorded_from_a_register_that_the_stub_uses_too(void **state)
{
	(void)state;
	struct fixture f;
	set_up_with(&f, true, false, true);
	assert_int_equal(call_set(&f, f.g) & 0xff, 4);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 1);
	assert_int_equal(records.list[0].map, (uint64_t)(uintptr_t)f.map);
	records_done(&records);
	tear_down(&f);
}

static void a_write_of_another_map_leaves_the_one_before(void **state)
{
	(void)state;
	struct fixture f;
	uint8_t other[64] = {0};
	for (int in_rax = 0; in_rax < 2; in_rax++) {
		set_up_with(&f, true, false, in_rax);
		call_set(&f, f.g);
		call_clear(&f, f.g);
		struct records records = read_table(&f);
		struct record first = records.list[0];
		assert_int_equal(records.before_count, 0);
		records_done(&records);
		call_at(CODE, other, f.g);
		records = read_table(&f);
		assert_int_equal(records.count, 1);
		assert_int_equal(records.list[0].map, (uint64_t)(uintptr_t)other);
		assert_int_equal(records.list[0].state, RECORD_IN_FLIGHT);
		assert_int_equal(records.before_count, 1);
		assert_memory_equal(&records.before[0], &first, sizeof(first));
		records_done(&records);
		/* one that was broken off is not kept as if it were over */
		call_set(&f, f.g);
		records = read_table(&f);
		assert_memory_equal(&records.before[0], &first, sizeof(first));
		records_done(&records);
		tear_down(&f);
	}
}

static void the_last_writes_of_several_maps_are_kept(void **state)
{
	(void)state;
	struct fixture f;
	enum { MAPS = 3 };
	static uint8_t maps[64 * 64];
	uint8_t *chosen[MAPS];
	unsigned taken = 0;
	size_t count = 0;
	for (size_t i = 0; i < 64 && count < MAPS; i++) {
		unsigned place = record_before_place((uint64_t)(uintptr_t)(maps + 64 * i));
		if (taken >> place & 1)
			continue;
		taken |= 1u << place;
		chosen[count++] = maps + 64 * i;
	}
	assert_int_equal(count, MAPS);
	set_up(&f, true, false);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < MAPS; i++) {
			call_at(CODE, chosen[i], f.g);
			call_at(CODE + 512, chosen[i], f.g);
		}
	struct records records = read_table(&f);
	assert_int_equal(records.count, 1);
	assert_int_equal(records.list[0].map, (uint64_t)(uintptr_t)chosen[MAPS - 1]);
	assert_int_equal(records.before_count, MAPS);
	unsigned kept = 0;
	for (size_t i = 0; i < MAPS; i++) {
		const struct record *r = &records.before[i];
		assert_true(r->state == RECORD_DONE && r->clear > r->set);
		kept |= 1u << record_before_place(r->map);
	}
	assert_int_equal(kept, taken);
	records_done(&records);
	tear_down(&f);
}

static void another_goroutine_with_the_same_g_leaves_the_write_of_the_one_before(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, false);
	call_set(&f, f.g);
	call_clear(&f, f.g);
	f.g[GOID_AT / 8] = 43;
	call_set(&f, f.g);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 1);
	assert_int_equal(records.list[0].goid, 43);
	assert_int_equal(records.before_count, 1);
	assert_int_equal(records.before[0].goid, 42);
	assert_int_equal(records.before[0].state, RECORD_DONE);
	records_done(&records);
	tear_down(&f);
}

static void a_set_that_finds_the_flag_set_says_so(void **state)
{
	(void)state;
	struct fixture f;
	for (int in_rax = 0; in_rax < 2; in_rax++) {
		set_up_with(&f, true, false, in_rax);
		f.map[MAP_FLAG] = 3;
		call_set(&f, f.g);
		assert_int_equal(f.map[MAP_FLAG], 7);
		assert_int_equal(f.table->found_g, 0);
		uint64_t before = records_now();
		assert_int_equal(call_set(&f, f.g) & 0xff, 3);
		assert_int_equal(f.map[MAP_FLAG], 3);
		assert_int_equal(f.table->found_g, (uint64_t)(uintptr_t)f.g);
		assert_int_equal(f.table->found_map, (uint64_t)(uintptr_t)f.map);
		assert_true(f.table->found_at > before && f.table->found_at < records_now());
		f.table->frozen = 1;
		f.table->found_g = 0;
		call_set(&f, f.g);
		call_set(&f, f.g);
		assert_int_equal(f.table->found_g, 0);
		tear_down(&f);
	}
}

static void a_clear_that_finds_the_flag_clear_says_so(void **state)
{
	(void)state;
	struct fixture f;
	/* the function that sets stands in for one that clears by an exclusive or */
	set_up(&f, true, false);
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	memcpy(f.code + (f.sites[0].addr - CODE), set_run, sizeof(set_run));
	memcpy(f.code + (f.sites[1].addr - CODE), clear_run, sizeof(clear_run));
	f.sites[0].kind = PLAN_CLEAR;
	f.plan.clears_by_xor = true;
	stubs_done(&f.stubs);
	assert_int_equal(stubs_build(&f.plan, &how, &f.stubs, NULL), OK);
	memcpy(f.stubs_memory, f.stubs.bytes, f.stubs.size);
	lay_patches(&f.stubs);
	f.map[MAP_FLAG] = 7;
	assert_int_equal(call_set(&f, f.g) & 0xff, 3);
	assert_int_equal(f.table->left_g, 0);
	uint64_t before = records_now();
	assert_int_equal(call_set(&f, f.g) & 0xff, 7);
	assert_int_equal(f.table->left_g, (uint64_t)(uintptr_t)f.g);
	assert_int_equal(f.table->left_map, (uint64_t)(uintptr_t)f.map);
	assert_true(f.table->left_at > before && f.table->left_at < records_now());
	assert_int_equal(f.table->found_g, 0);
	tear_down(&f);
}

static void a_full_table_counts_what_it_loses_and_sets_the_flag_all_the_same(void **state)
{
	(void)state;
	struct fixture f;
	enum { GOROUTINES = (1 << BITS) + RECORD_PROBES + 20 };
	static uint64_t gs[GOROUTINES][64];
	set_up(&f, false, false);
	for (size_t i = 0; i < GOROUTINES; i++) {
		gs[i][1] = stack_end();
		gs[i][GOID_AT / 8] = i + 1;
		f.map[MAP_FLAG] = 0;
		call_set(&f, gs[i]);
		assert_int_equal(f.map[MAP_FLAG], 4);
		call_clear(&f, gs[i]);
		assert_int_equal(f.map[MAP_FLAG], 0);
	}
	struct records records = read_table(&f);
	assert_true(records.header.lost > 0);
	assert_int_equal(records.count + records.header.lost, GOROUTINES);
	records_done(&records);
	tear_down(&f);
}

static void nothing_is_written_once_the_table_is_frozen(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, false);
	f.table->frozen = 1;
	call_set(&f, f.g);
	assert_int_equal(f.map[MAP_FLAG], 4);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 0);
	records_done(&records);
	tear_down(&f);
}

static void a_clear_without_a_set_leaves_no_line(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, true);
	f.map[MAP_FLAG] = 4;
	call_clear(&f, f.g);
	assert_int_equal(f.map[MAP_FLAG], 0);
	struct records records = read_table(&f);
	assert_int_equal(records.count, 0);
	records_done(&records);
	tear_down(&f);
}

struct writer {
	struct fixture *f;
	bool done;
};

static void *clear_in_thread(void *context)
{
	struct writer *writer = context;
	call_clear(writer->f, writer->f->g);
	__atomic_store_n(&writer->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* As the detector, and who reads the table, go on. */
static void set_freeze(struct fixture *f, enum freeze_word word)
{
	__atomic_store_n(&f->table->freeze, word, __ATOMIC_RELEASE);
	syscall(SYS_futex, &f->table->freeze, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Also while the detector has not come as far as to tell who waits for that. */
static void a_writer_stands_still_until_a_frozen_table_is_released(void **state)
{
	(void)state;
	struct fixture f;
	struct writer writer = {.f = &f};
	pthread_t thread;
	set_up(&f, true, false);
	call_set(&f, f.g);
	f.table->watched = 1;
	f.table->frozen = 1;
	assert_int_equal(pthread_create(&thread, NULL, clear_in_thread, &writer), 0);
	static const enum freeze_word words[] = {FREEZE_NONE, FREEZE_FROZEN, FREEZE_HELD};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		set_freeze(&f, words[i]);
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		assert_false(__atomic_load_n(&writer.done, __ATOMIC_ACQUIRE));
	}
	set_freeze(&f, FREEZE_RELEASED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(f.map[MAP_FLAG], 0);
	tear_down(&f);
}

/* Holds of a millisecond, at any time. */
static void switch_holds_on(struct fixture *f)
{
	set_up(f, true, true);
	f->table->hold_on = 1;
	f->table->hold_until = UINT64_MAX;
	f->table->hold_ms = 1;
	f->table->hold_ticks = 1000000;
}

static void a_writer_is_held_only_after_another_one(void **state)
{
	(void)state;
	struct fixture f;
	static uint64_t other[64];
	other[1] = stack_end();
	switch_holds_on(&f);
	f.table->first_next[1] = UINT64_MAX;
	call_set(&f, f.g);
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 0);
	call_set(&f, other);
	assert_int_equal(f.table->holds, 1);
	assert_int_equal(f.table->holder, 0);
	f.table->hold_map = 1;
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 1);
	tear_down(&f);
}

static void the_first_writer_of_a_map_is_held_and_then_none_for_a_while(void **state)
{
	(void)state;
	struct fixture f;
	static uint64_t other[64];
	other[1] = stack_end();
	switch_holds_on(&f);
	f.table->first_rest = UINT64_MAX / 2;
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 1);
	assert_true(f.table->first_next[1] > UINT64_MAX / 2);
	assert_int_equal(f.table->first_next[0], 0);
	/* as if nobody had written it */
	memset((uint8_t *)f.table + records_last_offset(BITS), 0,
	       sizeof(struct record_last) << RECORD_LAST_BITS);
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 1);
	/* one that comes after another is held all the same */
	call_set(&f, other);
	assert_int_equal(f.table->holds, 2);
	tear_down(&f);
}

static void the_main_goroutine_is_held_first_only_once_packages_are_initialized(void **state)
{
	(void)state;
	struct fixture f;
	switch_holds_on(&f);
	f.table->first_next[1] = UINT64_MAX;
	f.g[GOID_AT / 8] = 1;
	f.g[LOCKEDM_AT / 8] = 1;
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 0);
	memset((uint8_t *)f.table + records_last_offset(BITS), 0,
	       sizeof(struct record_last) << RECORD_LAST_BITS);
	f.g[LOCKEDM_AT / 8] = 0;
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 1);
	tear_down(&f);
}

/* As where the time stamp counter began anew; and where signals leave no piece of the sleep whole. */
static void a_hold_ends_by_its_pieces_or_by_the_counter_whichever_is_first(void **state)
{
	(void)state;
	struct fixture f;
	struct timespec start, end;
	switch_holds_on(&f);
	f.table->hold_ms = 20;
	f.table->hold_ticks = UINT64_MAX / 2;
	clock_gettime(CLOCK_MONOTONIC, &start);
	call_set(&f, f.g);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_int_equal(f.table->holds, 1);
	assert_true((end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec >=
		    20000000);
	/* years, if the counter did not end it */
	f.table->hold_ms = UINT32_MAX;
	f.table->hold_ticks = 1;
	memset((uint8_t *)f.table + records_last_offset(BITS), 0,
	       sizeof(struct record_last) << RECORD_LAST_BITS);
	call_set(&f, f.g);
	assert_int_equal(f.table->holds, 2);
	tear_down(&f);
}

static void stubs_call_only_what_go_itself_calls(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, true);
	/* a hold's; a writer's three waits */
	assert_int_equal(check_calls(&f.stubs, STUBS), 1 + 3);
	stubs_done(&f.stubs);
	f.sites[0] = (struct plan_site){.kind = PLAN_FATAL,
					.addr = CODE + 1024,
					.end = CODE + 1024 + PLAN_PATCH_SIZE,
					.original = {0xe8},
					.callee = CODE + 2048};
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	assert_int_equal(stubs_build(&f.plan, &how, &f.stubs, NULL), OK);
	/* and the detector's, which wakes who waits for it, and waits */
	assert_int_equal(check_calls(&f.stubs, STUBS), 3 + 1 + 3);
	tear_down(&f);
}

/* At each instruction of each stub: the place is that of the original code, and the stack pointer that
 * of the function, whatever the stub has pushed. */
static void a_thread_in_a_stub_is_shown_where_it_would_be(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f, true, true);
	uint64_t stack[32];
	for (size_t i = 0; i < 32; i++)
		stack[i] = 1000 + i;
	struct stubs_index index;
	memcpy(&index, f.stubs.bytes, sizeof(index));
	assert_int_equal(index.count, 2);
	for (size_t i = 0; i < index.count; i++) {
		struct stub_info info;
		memcpy(&info, f.stubs.bytes + sizeof(index) + i * sizeof(info), sizeof(info));
		struct insn insn;
		for (uint64_t at = info.start; at < info.end; at += insn.length) {
			struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + at};
			regs.sp = regs.r[AMD64_RSP] = (uint64_t)(uintptr_t)stack;
			assert_true(insn_decode(ARCH_AMD64, f.stubs.bytes + at, info.end - at,
						STUBS + at, &insn));
			assert_true(stubs_settle(f.stubs.bytes, f.stubs.size, STUBS, read_ours,
						 NULL, &regs));
			assert_true(regs.pc >= f.sites[i].addr && regs.pc <= f.sites[i].end);
			assert_true(regs.sp >= (uint64_t)(uintptr_t)stack &&
				    regs.sp <= (uint64_t)(uintptr_t)(stack + 16));
		}
		/* the last instruction is the jump back: nothing is pushed there */
		struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + info.end - 5};
		regs.sp = (uint64_t)(uintptr_t)stack;
		assert_true(
			stubs_settle(f.stubs.bytes, f.stubs.size, STUBS, read_ours, NULL, &regs));
		assert_int_equal(regs.sp, (uint64_t)(uintptr_t)stack);
		assert_int_equal(regs.pc, f.sites[i].end);
	}
	tear_down(&f);
}

static void a_thread_in_stubs_that_are_not_here_is_told(void **state)
{
	(void)state;
	struct records records = {.header = {.stubs = STUBS, .stubs_end = STUBS + 0x1000}};
	struct thread thread = {.has_regs = true, .regs = {.arch = ARCH_AMD64}};
	struct target target = {
		.arch = ARCH_AMD64, .memory = memory_new(), .threads = &thread, .thread_count = 1};
	assert_non_null(target.memory);
	thread.regs.pc = STUBS - 1;
	assert_true(records_settle(&records, &target));
	thread.regs.pc = STUBS + 0x1000;
	assert_true(records_settle(&records, &target));
	thread.regs.pc = STUBS + 0xfff;
	assert_false(records_settle(&records, &target));
	assert_int_equal(thread.regs.pc, STUBS + 0xfff);
	memory_free(target.memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_write_is_recorded_from_set_to_clear),
		cmocka_unit_test(the_map_is_recorded_from_a_register_that_the_stub_uses_too),
		cmocka_unit_test(a_write_of_another_map_leaves_the_one_before),
		cmocka_unit_test(the_last_writes_of_several_maps_are_kept),
		cmocka_unit_test(
			another_goroutine_with_the_same_g_leaves_the_write_of_the_one_before),
		cmocka_unit_test(a_set_that_finds_the_flag_set_says_so),
		cmocka_unit_test(a_clear_that_finds_the_flag_clear_says_so),
		cmocka_unit_test(a_full_table_counts_what_it_loses_and_sets_the_flag_all_the_same),
		cmocka_unit_test(nothing_is_written_once_the_table_is_frozen),
		cmocka_unit_test(a_clear_without_a_set_leaves_no_line),
		cmocka_unit_test(a_writer_stands_still_until_a_frozen_table_is_released),
		cmocka_unit_test(a_writer_is_held_only_after_another_one),
		cmocka_unit_test(the_first_writer_of_a_map_is_held_and_then_none_for_a_while),
		cmocka_unit_test(
			the_main_goroutine_is_held_first_only_once_packages_are_initialized),
		cmocka_unit_test(a_hold_ends_by_its_pieces_or_by_the_counter_whichever_is_first),
		cmocka_unit_test(stubs_call_only_what_go_itself_calls),
		cmocka_unit_test(a_thread_in_a_stub_is_shown_where_it_would_be),
		cmocka_unit_test(a_thread_in_stubs_that_are_not_here_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
