/*
 * The stubs on the way of who dies of a fault: that only who dies freezes the table, and that it tells when the fault was.
 * They run here, in this process, as Go's functions would run them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/mman.h>

#include "insn/insn.h"
#include "probe/emit.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "unit/probe/own_code.h"

enum { CODE = 0x53000000, STUBS = 0x53200000, BITS = 4, GOID_AT = 160, PANIC_AT = 176 };

/* Three functions, of an argument and a g, that each call one which adds to that argument. */
enum { FAULT, PANIC, THROW, CALLS };
enum { ROOM = 64, CALLEE = 0x800, ADDED = 100, ARGUMENT = 23 };

struct fixture {
	uint8_t *code, *memory;
	struct plan plan;
	struct plan_site sites[CALLS];
	struct stubs stubs;
	struct records_header *table;
	uint64_t g[64], other[64];
};

static void make_callee(struct fixture *f, uint64_t addr)
{
	struct emit e = {.buf = f->code + (addr - CODE), .cap = ROOM, .addr = addr};
	emit_add(&e, AMD64_RAX, AMD64_RBX);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
}

static void make_caller(struct fixture *f, size_t i, enum plan_kind kind)
{
	uint64_t addr = CODE + ROOM * i, callee = CODE + CALLEE + ROOM * i;
	struct emit e = {.buf = f->code + ROOM * i, .cap = ROOM, .addr = addr};
	emit_push(&e, AMD64_RBX);
	emit_push(&e, AMD64_R14);
	emit_move(&e, AMD64_RAX, AMD64_RDI);
	emit_move_imm32(&e, AMD64_RBX, ADDED);
	emit_move(&e, AMD64_R14, AMD64_RSI);
	f->sites[i] = (struct plan_site){.kind = kind,
					 .addr = emit_here(&e),
					 .end = emit_here(&e) + PLAN_PATCH_SIZE,
					 .callee = callee};
	int32_t distance = (int32_t)(callee - f->sites[i].end);
	emit_bytes(&e, "\xe8", 1);
	emit_bytes(&e, &distance, sizeof(distance));
	emit_pop(&e, AMD64_R14);
	emit_pop(&e, AMD64_RBX);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
	memcpy(f->sites[i].original, f->code + (f->sites[i].addr - CODE), PLAN_PATCH_SIZE);
	make_callee(f, callee);
}

static void set_up(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->code = map_fixed(CODE, 4096);
	f->memory = map_fixed(STUBS, STUBS_SIZE_MAX + records_size(BITS));
	f->table = (struct records_header *)(f->memory + STUBS_SIZE_MAX);
	make_caller(f, FAULT, PLAN_FAULT);
	make_caller(f, PANIC, PLAN_PANIC);
	make_caller(f, THROW, PLAN_THROW);
	f->plan = (struct plan){.list = f->sites,
				.count = CALLS,
				.text = CODE,
				.etext = CODE + 4096,
				.goid_offset = GOID_AT,
				.panic_offset = PANIC_AT};
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	assert_int_equal(stubs_build(&f->plan, &how, &f->stubs, NULL), OK);
	memcpy(f->memory, f->stubs.bytes, f->stubs.size);
	lay_patches(&f->stubs);
	f->g[GOID_AT / 8] = 42;
	f->other[GOID_AT / 8] = 43;
}

static void tear_down(struct fixture *f)
{
	stubs_done(&f->stubs);
	munmap(f->code, 4096);
	munmap(f->memory, STUBS_SIZE_MAX + records_size(BITS));
}

/* What the callee is given, and gives back, is as without the stub. */
static void call(size_t i, uint64_t *g)
{
	assert_int_equal(call_at(CODE + ROOM * i, (void *)(uintptr_t)ARGUMENT, g),
			 ARGUMENT + ADDED);
}

static const struct record_fault *fault_of(const struct fixture *f, const uint64_t *g)
{
	const struct record_fault *found = NULL;
	for (size_t i = 0; i < 1 << RECORD_FAULT_BITS; i++)
		if (f->table->faults[i].g == (uint64_t)(uintptr_t)g)
			found = &f->table->faults[i];
	return found;
}

static void a_fault_is_noted_and_freezes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	uint64_t before = records_now();
	call(FAULT, f.g);
	const struct record_fault *fault = fault_of(&f, f.g);
	assert_non_null(fault);
	assert_in_range(fault->at, before, records_now());
	assert_int_equal(fault->busy, 0);
	assert_int_equal(f.table->frozen, 0);
	assert_int_equal(f.table->died_at, 0);
	tear_down(&f);
}

static void a_panic_of_a_fault_freezes_the_table_and_tells_when_the_fault_was(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	call(FAULT, f.g);
	uint64_t between = records_now();
	call(PANIC, f.g);
	assert_int_equal(f.table->frozen, 1);
	assert_int_equal(f.table->freeze, FREEZE_FROZEN);
	assert_in_range(f.table->frozen_at, between, records_now());
	assert_int_equal(f.table->died_at, fault_of(&f, f.g)->at);
	assert_true(f.table->died_at <= between);
	assert_int_equal(f.table->detector_g, (uint64_t)(uintptr_t)f.g);
	assert_int_equal(f.table->detector_goid, 42);
	assert_int_equal(f.table->detector_callee, f.sites[PANIC].callee);
	assert_int_equal(f.table->detector_return, f.sites[PANIC].end);
	tear_down(&f);
}

static void a_panic_of_nobody_who_faulted_freezes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	call(PANIC, f.g);
	assert_int_equal(f.table->frozen, 0);
	call(FAULT, f.other);
	call(PANIC, f.g);
	assert_int_equal(f.table->frozen, 0);
	assert_int_equal(f.table->freeze, FREEZE_NONE);
	tear_down(&f);
}

static void a_fault_in_a_deferred_function_is_not_the_one_that_is_told(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	call(FAULT, f.g);
	uint64_t first = fault_of(&f, f.g)->at;
	f.g[PANIC_AT / 8] = 1;
	call(FAULT, f.g);
	assert_int_equal(fault_of(&f, f.g)->at, first);
	call(FAULT, f.other);
	f.other[PANIC_AT / 8] = 1;
	call(PANIC, f.g);
	assert_int_equal(f.table->died_at, first);
	tear_down(&f);
}

static void who_finds_another_writing_its_entry_leaves_that_alone(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	call(FAULT, f.g);
	struct record_fault *fault = (struct record_fault *)fault_of(&f, f.g);
	uint64_t at = fault->at;
	fault->busy = 1;
	call(FAULT, f.g);
	assert_int_equal(fault->at, at);
	call(PANIC, f.g);
	assert_int_equal(f.table->frozen, 0);
	tear_down(&f);
}

static void who_gives_up_at_once_freezes_the_table(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	uint64_t before = records_now();
	call(THROW, f.g);
	assert_int_equal(f.table->frozen, 1);
	assert_in_range(f.table->died_at, before, records_now());
	assert_true(f.table->died_at >= f.table->frozen_at);
	assert_int_equal(f.table->detector_goid, 42);
	assert_int_equal(f.table->detector_callee, f.sites[THROW].callee);
	tear_down(&f);
}

static void the_second_that_dies_changes_nothing(void **state)
{
	(void)state;
	struct fixture f;
	set_up(&f);
	call(THROW, f.g);
	uint64_t at = f.table->died_at;
	call(THROW, f.other);
	call(FAULT, f.other);
	call(PANIC, f.other);
	assert_int_equal(f.table->died_at, at);
	assert_int_equal(f.table->detector_goid, 42);
	tear_down(&f);
}

/* At each instruction of the stubs their thread is shown at the entry of what was called, as it was called. */
static void a_thread_in_a_stub_is_shown_where_it_would_be(void **state)
{
	(void)state;
	enum { DEPTH = 16 };
	struct fixture f;
	struct stubs_index index;
	uint64_t stack[DEPTH];
	set_up(&f);
	for (size_t i = 0; i < DEPTH; i++)
		stack[i] = 1000 + i;
	memcpy(&index, f.stubs.bytes, sizeof(index));
	assert_int_equal(index.count, CALLS);
	for (size_t i = 0; i < CALLS; i++) {
		struct stub_info info;
		struct insn insn;
		memcpy(&info, f.stubs.bytes + sizeof(index) + i * sizeof(info), sizeof(info));
		for (uint64_t at = info.start; at < info.end; at += insn.length) {
			struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + at};
			assert_true(insn_decode(ARCH_AMD64, f.stubs.bytes + at, info.end - at,
						STUBS + at, &insn));
			regs.sp = regs.r[AMD64_RSP] = (uint64_t)(uintptr_t)stack;
			regs.r[AMD64_RBX] = 5;
			assert_true(stubs_settle(f.stubs.bytes, f.stubs.size, STUBS, read_ours,
						 NULL, &regs));
			assert_int_equal(regs.pc, f.sites[i].callee);
			assert_int_equal(regs.r[AMD64_RBX], 5);
			uint64_t depth = (regs.sp - (uint64_t)(uintptr_t)stack) / 8;
			assert_true(depth < DEPTH);
			assert_int_equal(regs.r[AMD64_RAX], depth ? 1000 + depth - 1 : 0);
		}
	}
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fault_is_noted_and_freezes_nothing),
		cmocka_unit_test(a_panic_of_a_fault_freezes_the_table_and_tells_when_the_fault_was),
		cmocka_unit_test(a_panic_of_nobody_who_faulted_freezes_nothing),
		cmocka_unit_test(a_fault_in_a_deferred_function_is_not_the_one_that_is_told),
		cmocka_unit_test(who_finds_another_writing_its_entry_leaves_that_alone),
		cmocka_unit_test(who_gives_up_at_once_freezes_the_table),
		cmocka_unit_test(the_second_that_dies_changes_nothing),
		cmocka_unit_test(a_thread_in_a_stub_is_shown_where_it_would_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
