/*
 * The stub of a failing check: that it freezes the table at the time of the check, tells who failed on which map, and
 * goes on as the program would have. It runs here, in this process, as a map function of our own would run it.
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

enum { CODE = 0x52000000, STUBS = 0x52200000, BITS = 4, FLAG_AT = 34, LINE = 64 };

/* What the program's lea computes, and what it returns where the flag is clear. */
enum { MESSAGE = CODE + 0x800, FINE = 7 };

struct fixture {
	uint8_t *code, *memory;
	struct plan plan;
	struct plan_site sites[3];
	size_t count;
	struct stubs stubs;
	struct records_header *table;
	uint64_t g[64];
	uint8_t map[64];
};

static void add_site(struct fixture *f, struct plan_site site, uint64_t size)
{
	memcpy(site.original, f->code + (site.addr - CODE), size);
	f->sites[f->count++] = site;
}

/* As 1.27 has it: cmpb $0,0x22(map); jne to lea message(%rip),%rax. A function of the map and g that returns what the
 * lea computes where the flag is set. */
static void make_function(struct fixture *f, unsigned map_reg, enum plan_kind kind, bool entry)
{
	struct emit e = {.buf = f->code, .cap = 256, .addr = CODE};
	static const uint8_t checks[][4] = {[AMD64_RAX] = {0x80, 0x78, FLAG_AT, 0},
					    [AMD64_RDX] = {0x80, 0x7a, FLAG_AT, 0},
					    [AMD64_RCX] = {0x80, 0x79, FLAG_AT, 0},
					    [AMD64_RBX] = {0x80, 0x7b, FLAG_AT, 0}};
	emit_push(&e, AMD64_RBP);
	emit_move(&e, AMD64_RBP, AMD64_RSP);
	emit_push(&e, AMD64_RBX);
	emit_push(&e, AMD64_R14);
	emit_move(&e, AMD64_R14, AMD64_RSI);
	emit_move(&e, map_reg, AMD64_RDI);
	uint64_t check = emit_here(&e);
	emit_bytes(&e, checks[map_reg], 4);
	uint64_t branch = emit_here(&e);
	size_t failed = emit_branch(&e, EMIT_NOT_EQUAL);
	emit_move_imm32(&e, AMD64_RAX, FINE);
	size_t fine = emit_jump(&e);
	emit_land(&e, failed);
	uint64_t lea = emit_here(&e);
	emit_lea_at(&e, AMD64_RAX, MESSAGE);
	uint64_t behind = emit_here(&e);
	emit_land(&e, fine);
	emit_pop(&e, AMD64_R14);
	emit_pop(&e, AMD64_RBX);
	emit_pop(&e, AMD64_RBP);
	emit_bytes(&e, "\xc3", 1);
	assert_false(e.failed);
	if (entry)
		add_site(f,
			 (struct plan_site){.kind = PLAN_ENTRY,
					    .addr = check,
					    .end = branch + 6,
					    .map_reg = (uint8_t)map_reg,
					    .branch = branch,
					    .callee = lea,
					    .interior = branch,
					    .reads = true},
			 branch + 6 - check);
	if (kind == PLAN_BRANCH)
		add_site(f,
			 (struct plan_site){.kind = PLAN_BRANCH,
					    .addr = branch + 1,
					    .end = lea,
					    .map_reg = (uint8_t)map_reg},
			 PLAN_PATCH_SIZE);
	else
		add_site(f,
			 (struct plan_site){.kind = PLAN_CHECKED,
					    .addr = lea,
					    .end = behind,
					    .map_reg = (uint8_t)map_reg,
					    .temp_reg = AMD64_RAX,
					    .callee = MESSAGE},
			 behind - lea);
}

static void set_up(struct fixture *f, unsigned map_reg, enum plan_kind kind, bool entry)
{
	memset(f, 0, sizeof(*f));
	f->code = map_fixed(CODE, 4096);
	f->memory = map_fixed(STUBS, STUBS_SIZE_MAX + records_size_with_reads(BITS));
	f->table = (struct records_header *)(f->memory + STUBS_SIZE_MAX);
	make_function(f, map_reg, kind, entry);
	f->plan = (struct plan){.list = f->sites,
				.count = f->count,
				.text = CODE,
				.etext = CODE + 4096,
				.goid_offset = 160,
				.lockedm_offset = 168,
				.flag_offset = FLAG_AT,
				.flag_mask = 0xff};
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	assert_int_equal(stubs_build(&f->plan, &how, &f->stubs, NULL), OK);
	memcpy(f->memory, f->stubs.bytes, f->stubs.size);
	lay_patches(&f->stubs);
	f->g[1] = (uint64_t)(uintptr_t)__builtin_frame_address(0) + 64;
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

static const unsigned map_registers[] = {AMD64_RAX, AMD64_RDX, AMD64_RCX, AMD64_RBX};
static const enum plan_kind kinds[] = {PLAN_CHECKED, PLAN_BRANCH};

static void check_freezes(unsigned map_reg, enum plan_kind kind, bool entry)
{
	struct fixture f;
	set_up(&f, map_reg, kind, entry);
	assert_int_equal(call_check(&f), FINE);
	assert_int_equal(f.table->frozen, 0);
	f.map[FLAG_AT] = 1;
	uint64_t before = records_now();
	assert_int_equal(call_check(&f), MESSAGE);
	assert_int_equal(f.table->frozen, 1);
	assert_true(f.table->frozen_at >= before && f.table->frozen_at <= records_now());
	assert_int_equal(f.table->checked_map, (uint64_t)(uintptr_t)f.map);
	assert_int_equal(f.table->checked_g, (uint64_t)(uintptr_t)f.g);
	tear_down(&f);
}

static void a_failing_check_freezes_the_table_and_tells_its_map(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(map_registers) / sizeof(map_registers[0]); i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			check_freezes(map_registers[i], kinds[k], false);
}

/* The branch is not where it was then, but in the entry check's stub. */
static void a_check_that_was_moved_freezes_the_table_too(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(map_registers) / sizeof(map_registers[0]); i++)
		for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
			check_freezes(map_registers[i], kinds[k], true);
}

static void the_second_that_fails_changes_nothing(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct fixture f;
		set_up(&f, AMD64_RBX, kinds[k], false);
		f.map[FLAG_AT] = 1;
		f.table->frozen = 1;
		assert_int_equal(call_check(&f), MESSAGE);
		assert_int_equal(f.table->frozen, 1);
		assert_int_equal(f.table->frozen_at, 0);
		assert_int_equal(f.table->checked_map, 0);
		assert_int_equal(f.table->checked_g, 0);
		tear_down(&f);
	}
}

/* Between start and end of the stub, offsets of its code: at each instruction its thread is shown on the way from the
 * check to fatal, with what the stub pushed taken off again. */
static void settle_all(struct fixture *f, uint64_t start, uint64_t end, uint64_t *stack)
{
	const struct plan_site *site = &f->sites[f->count - 1];
	uint64_t first = site->kind == PLAN_BRANCH ? site->end : site->addr;
	struct insn insn;
	for (uint64_t at = start; at < end; at += insn.length) {
		struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + at};
		assert_true(
			insn_decode(ARCH_AMD64, f->stubs.bytes + at, end - at, STUBS + at, &insn));
		regs.sp = regs.r[AMD64_RSP] = (uint64_t)(uintptr_t)stack;
		regs.r[AMD64_RBX] = 5;
		assert_true(
			stubs_settle(f->stubs.bytes, f->stubs.size, STUBS, read_ours, NULL, &regs));
		assert_true(regs.pc == first || regs.pc == site->end);
		assert_int_equal(regs.r[AMD64_RBX], 5);
		uint64_t depth = (regs.sp - (uint64_t)(uintptr_t)stack) / 8;
		assert_true(depth <= 3);
		assert_int_equal(regs.r[AMD64_RCX], depth ? 1000 + depth - 1 : 0);
	}
}

static void a_thread_in_either_part_of_the_stub_is_shown_where_it_would_be(void **state)
{
	(void)state;
	uint64_t stack[8];
	for (size_t i = 0; i < 8; i++)
		stack[i] = 1000 + i;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct fixture f;
		struct stubs_index index;
		struct stub_info info;
		set_up(&f, AMD64_RBX, kinds[k], false);
		memcpy(&index, f.stubs.bytes, sizeof(index));
		memcpy(&info, f.stubs.bytes + sizeof(index), sizeof(info));
		assert_int_equal(index.count, 1);
		assert_true(info.head < info.head_end);
		settle_all(&f, info.head, info.head_end, stack);
		settle_all(&f, info.start, info.end, stack);
		/* all is pushed at the end of the first part and the start of the other */
		struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + info.start};
		regs.sp = (uint64_t)(uintptr_t)stack;
		assert_true(
			stubs_settle(f.stubs.bytes, f.stubs.size, STUBS, read_ours, NULL, &regs));
		assert_int_equal(regs.sp, (uint64_t)(uintptr_t)(stack + 3));
		assert_int_equal(regs.r[AMD64_RCX], 1002);
		assert_int_equal(regs.r[AMD64_RAX], 1001);
		assert_int_equal(regs.r[AMD64_RDX], 1000);
		tear_down(&f);
	}
}

/* Of a description that is not ours nothing is believed. */
static void stubs_of_another_version_are_not_settled(void **state)
{
	(void)state;
	struct fixture f;
	struct stubs_index index;
	struct stub_info info;
	uint64_t stack[8] = {0};
	set_up(&f, AMD64_RBX, PLAN_BRANCH, false);
	memcpy(&index, f.stubs.bytes, sizeof(index));
	memcpy(&info, f.stubs.bytes + sizeof(index), sizeof(info));
	struct regs regs = {.arch = ARCH_AMD64, .pc = STUBS + info.start};
	regs.sp = (uint64_t)(uintptr_t)stack;
	index.version++;
	memcpy(f.stubs.bytes, &index, sizeof(index));
	assert_false(stubs_settle(f.stubs.bytes, f.stubs.size, STUBS, read_ours, NULL, &regs));
	assert_int_equal(regs.pc, STUBS + info.start);
	tear_down(&f);
}

/* The first five bytes of a jump over the lea, or of a branch but its first byte. */
static void a_patch_is_known_by_where_it_leads(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		struct fixture f;
		struct stub_info info;
		uint64_t to;
		set_up(&f, AMD64_RBX, kinds[k], false);
		memcpy(&info, f.stubs.bytes + sizeof(struct stubs_index), sizeof(info));
		const struct patch *patch = &f.stubs.patches[0];
		assert_true(patch_target(patch->new, patch->addr, &to));
		assert_int_equal(to, STUBS + info.head);
		assert_false(patch_target((const uint8_t[PLAN_PATCH_SIZE]){0xcc}, CODE, &to));
		tear_down(&f);
	}
}

/* Two checks of the function that sets the flag, one of a reader: the writer's lie in the line in which the stub of its
 * set begins, and no first part lies in two lines. */
static void what_freezes_lies_in_the_cache_line_of_the_writers_stub(void **state)
{
	(void)state;
	static const uint8_t set_run[] = {0x0f, 0xb6, 0x53, 0x22, 0x83,
					  0xf2, 0x01, 0x88, 0x53, 0x22};
	enum { CHECKS = 3, SET_START = 16 };
	struct plan_site sites[CHECKS + 1] = {[CHECKS] = {.kind = PLAN_SET,
							  .addr = CODE + 0x200,
							  .end = CODE + 0x200 + sizeof(set_run),
							  .map_reg = AMD64_RBX,
							  .temp_reg = AMD64_RDX}};
	memcpy(sites[CHECKS].original, set_run, sizeof(set_run));
	for (size_t i = 0; i < CHECKS; i++)
		sites[i] = (struct plan_site){.kind = PLAN_BRANCH,
					      .addr = CODE + 0x10 * i,
					      .end = CODE + 0x100,
					      .original = {0x85},
					      .map_reg = AMD64_RBX,
					      .near = CODE + 0x200,
					      .reads = i == 0};
	struct plan plan = {.list = sites, .count = CHECKS + 1, .text = CODE, .etext = CODE + 4096};
	struct stubs_options how = {
		.addr = STUBS, .table = STUBS + STUBS_SIZE_MAX, .line_bits = BITS, .times = true};
	struct stubs stubs;
	assert_int_equal(stubs_build(&plan, &how, &stubs, NULL), OK);
	uint64_t to[CHECKS + 1];
	for (size_t i = 0; i <= CHECKS; i++)
		assert_true(patch_target(stubs.patches[i].new, stubs.patches[i].addr, &to[i]));
	for (size_t i = 1; i < CHECKS; i++) {
		assert_int_equal(to[i] / LINE, to[CHECKS] / LINE);
		assert_true(to[i] < to[CHECKS]);
	}
	assert_int_equal(to[CHECKS] / LINE, (to[CHECKS] + SET_START - 1) / LINE);
	const struct stub_info *info =
		(const struct stub_info *)(stubs.bytes + sizeof(struct stubs_index));
	for (size_t i = 0; i <= CHECKS; i++)
		if (info[i].head_end > info[i].head)
			assert_int_equal((STUBS + info[i].head) / LINE,
					 (STUBS + info[i].head_end - 1) / LINE);
	stubs_done(&stubs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failing_check_freezes_the_table_and_tells_its_map),
		cmocka_unit_test(a_check_that_was_moved_freezes_the_table_too),
		cmocka_unit_test(the_second_that_fails_changes_nothing),
		cmocka_unit_test(a_thread_in_either_part_of_the_stub_is_shown_where_it_would_be),
		cmocka_unit_test(stubs_of_another_version_are_not_settled),
		cmocka_unit_test(a_patch_is_known_by_where_it_leads),
		cmocka_unit_test(what_freezes_lies_in_the_cache_line_of_the_writers_stub),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
