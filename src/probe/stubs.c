#include "probe/stubs.h"

#include <assert.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/cleanup.h"
#include "insn/insn.h"
#include "probe/internal.h"

/* Stands still while somebody reads a frozen table; and before, until the detector that froze it has said
 * so: another one would end the process meanwhile. */
static void emit_park(struct builder *b)
{
	emit_cmp32_at_imm(&b->e, HEADER(watched), 0);
	size_t alone = emit_branch(&b->e, EMIT_EQUAL);
	stub_wait(b, HEADER(freeze), FREEZE_NONE, FREEZE_NOTICE_SECONDS);
	stub_wait(b, HEADER(freeze), FREEZE_FROZEN, FREEZE_NOTICE_SECONDS);
	stub_wait(b, HEADER(freeze), FREEZE_HELD, FREEZE_HOLD_SECONDS);
	emit_land(&b->e, alone);
}

static void emit_moved(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	info->moved = (uint32_t)b->e.len;
	emit_bytes(&b->e, site->original, site->end - site->addr);
	info->moved_end = (uint32_t)b->e.len;
}

/* Where the exclusive or of a site, whose result is wrong unless right holds for its flag, has met the one of another
 * write: writes who, which map and when to three words at where in the table. The flags are lost. */
static void emit_met(struct builder *b, const struct plan_site *site, enum emit_cond right,
		     uint64_t where)
{
	struct emit *e = &b->e;
	emit_test32_imm(e, site->temp_reg, b->plan->flag_mask);
	size_t ok = emit_branch(e, right);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RDX);
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	emit_store_at(e, where, AMD64_R14);
	emit_store_at(e, where + 8, stub_map_register(b, site));
	emit_rdtsc(e);
	emit_store_at(e, where + 16, AMD64_RAX);
	emit_land(e, frozen);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_land(e, ok);
}

/* Writes the line, then sets the flag. */
static void emit_set(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	struct emit *e = &b->e;
	unsigned line = stub_register(site);
	emit_push(e, line);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RDX);
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	stub_find_line(b, line, records_lines_offset());
	emit_cmp_mem(e, line, LINE(g), AMD64_R14);
	size_t search = emit_branch(e, EMIT_NOT_EQUAL);
	uint64_t found = emit_here(e);
	unsigned map = stub_map_register(b, site);
	emit_load(e, AMD64_RDX, AMD64_R14, b->plan->goid_offset);
	emit_cmp_mem(e, line, LINE(map), map);
	size_t other_map = emit_branch(e, EMIT_NOT_EQUAL);
	emit_cmp_mem(e, line, LINE(goid), AMD64_RDX);
	size_t other_goroutine = emit_branch(e, EMIT_NOT_EQUAL);
	emit_store32_imm(e, line, LINE(state), RECORD_TORN);
	uint64_t turned = emit_here(e);
	stub_seed(b, line, map, AMD64_RDX);
	emit_store32_imm(e, line, LINE(site), (uint32_t)(site->addr - b->plan->text));
	if (b->how->callers)
		stub_callers(b, line);
	stub_begin_time(b, line);
	emit_store32_imm(e, line, LINE(state), RECORD_IN_FLIGHT);
	size_t done = emit_jump(e);
	emit_land(e, search);
	size_t lost = stub_take_line(b, line, found);
	emit_land(e, other_map);
	emit_land(e, other_goroutine);
	stub_turn_line(b, site, line, map, AMD64_RDX);
	emit_jump_to(e, turned);
	emit_land(e, frozen);
	emit_land(e, done);
	emit_land(e, lost);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, line);
	emit_moved(b, site, info);
	bool is_held = b->how->holds && !b->how->meets;
	if (b->how->times)
		emit_met(b, site, EMIT_NOT_EQUAL, HEADER(found_g));
	if (is_held)
		stub_hold(b, site);
	/* and, xor and test leave the same flags for the same result: Intel SDM volume 1, A.1 */
	if (b->how->times || is_held)
		emit_test32(e, site->temp_reg);
}

/*
 * Clears the flag, then closes the line: with times only after all processors see it cleared, and all that takes time before
 * the look at frozen: a check that saw the flag has the more time to freeze the table while the line says in flight. Once
 * it is frozen the writer stays here for as long as it is read, so that its stack is that of the write that its line speaks
 * of.
 */
static void emit_clear(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	struct emit *e = &b->e;
	unsigned line = stub_register(site);
	emit_moved(b, site, info);
	/* bucket maps clear by an and */
	if (b->how->times && b->plan->clears_by_xor)
		emit_met(b, site, EMIT_EQUAL, HEADER(left_g));
	emit_push(e, line);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RDX);
	if (b->how->times)
		emit_fence(e);
	stub_find_line(b, line, records_lines_offset());
	emit_move_imm32(e, AMD64_RDX, RECORD_PROBES);
	uint64_t again = emit_here(e);
	emit_cmp_mem(e, line, LINE(g), AMD64_R14);
	size_t found = emit_branch(e, EMIT_EQUAL);
	emit_cmp_mem_imm(e, line, LINE(g), 0);
	size_t none = emit_branch(e, EMIT_EQUAL);
	emit_add_imm(e, line, sizeof(struct record));
	emit_dec32(e, AMD64_RDX);
	emit_branch_back(e, EMIT_NOT_EQUAL, again);
	size_t nowhere = emit_jump(e);
	emit_land(e, found);
	/* a write that was in flight when the recorder came has no line of its own */
	emit_cmp32_mem_imm(e, line, LINE(state), RECORD_IN_FLIGHT);
	size_t other = emit_branch(e, EMIT_NOT_EQUAL);
	if (b->how->times)
		emit_rdtsc(e);
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	if (b->how->times)
		emit_store(e, line, LINE(clear), AMD64_RAX);
	emit_store32_imm(e, line, LINE(state), RECORD_DONE);
	size_t closed = emit_jump(e);
	emit_land(e, frozen);
	stub_push_saved(e);
	emit_park(b);
	stub_pop_saved(e);
	emit_land(e, none);
	emit_land(e, nowhere);
	emit_land(e, other);
	emit_land(e, closed);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, line);
	emit_test32(e, site->temp_reg);
}

/* At the entry of runtime.gogo(buf), where a thread takes up the goroutine buf.g: writes down when. All registers but the
 * stack's are free there: it is assembly, and loads what it needs from its argument. */
static void emit_gogo(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	struct emit *e = &b->e;
	enum { BUF = AMD64_RCX, G = AMD64_RSI, PLACE = AMD64_RDI };
	static_assert(sizeof(struct record_run) == 1 << 4, "entries are shifted into place");
	static_assert(offsetof(struct record_run, since) == 8, "stored as a pair");
	const struct stub_array runs = {b->how->table + records_runs_offset(b->how->line_bits),
					RECORD_RUN_BITS, 4};
	emit_load(e, BUF, AMD64_RSP, 8);
	emit_load(e, G, BUF, PLAN_GOBUF_G);
	stub_find_entry(b, &runs, PLACE, G, BUF);
	emit_rdtsc(e);
	/* at once: else two goroutines that share the entry could mix theirs */
	emit_store_pair(e, PLACE, G, AMD64_RAX);
	emit_moved(b, site, info);
}

/* Called in the place of a fatal function: freezes the table where that was not done on the way here, tells
 * who waits for it, and goes on to fatal as if nothing had been. */
static void emit_fatal(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	size_t out = 0;
	stub_push_saved(e);
	if (site->kind == PLAN_PANIC)
		out = stub_skip_panic(b);
	emit_move_imm32(e, AMD64_RCX, 1);
	emit_xchg32_at(e, HEADER(frozen), AMD64_RCX);
	emit_test32(e, AMD64_RCX);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	emit_rdtsc(e);
	emit_store_at(e, HEADER(frozen_at), AMD64_RAX);
	size_t first = emit_jump(e);
	emit_land(e, frozen);
	emit_cmp_load_at(e, AMD64_R14, HEADER(checked_g));
	size_t second = emit_branch(e, EMIT_NOT_EQUAL);
	emit_land(e, first);
	if (site->kind != PLAN_FATAL)
		stub_tell_death(b, site);
	emit_store_at(e, HEADER(detector_g), AMD64_R14);
	emit_load(e, AMD64_RAX, AMD64_R14, b->plan->goid_offset);
	emit_store_at(e, HEADER(detector_goid), AMD64_RAX);
	emit_lea(e, AMD64_RAX, AMD64_RSP, 8 * STUB_SAVED);
	emit_store_at(e, HEADER(detector_sp), AMD64_RAX);
	emit_load(e, AMD64_RAX, AMD64_RAX, 0);
	emit_store_at(e, HEADER(detector_return), AMD64_RAX);
	emit_lea_at(e, AMD64_RAX, site->callee + b->how->bias);
	emit_store_at(e, HEADER(detector_callee), AMD64_RAX);
	emit_store32_imm_at(e, HEADER(freeze), FREEZE_FROZEN);
	/* futex(&freeze, FUTEX_WAKE, all) */
	emit_move_imm32(e, AMD64_RAX, SYS_futex);
	emit_lea_at(e, AMD64_RDI, HEADER(freeze));
	emit_move_imm32(e, AMD64_RSI, FUTEX_WAKE);
	emit_move_imm32(e, AMD64_RDX, INT32_MAX);
	emit_syscall(e);
	emit_land(e, second);
	emit_park(b);
	if (site->kind == PLAN_PANIC)
		emit_land(e, out);
	stub_pop_saved(e);
}

/* A jump, call or branch from addr to the stub that begins at to. */
static void make_patch(const struct plan_site *site, uint64_t bias, uint64_t to, struct patch *ret)
{
	int32_t distance = (int32_t)(to - (site->addr + bias + PLAN_PATCH_SIZE));
	*ret = (struct patch){.addr = site->addr + bias,
			      .interior = site->interior ? site->interior + bias : 0};
	memcpy(ret->old, site->original, PLAN_PATCH_SIZE);
	/* jmp rel32, call rel32, the condition of 0f 8x rel32 */
	ret->new[0] = stub_is_called(site)	  ? 0xe8
		      : site->kind == PLAN_BRANCH ? site->original[0]
						  : 0xe9;
	memcpy(ret->new + 1, &distance, 4);
}

bool patch_target(const uint8_t bytes[PLAN_PATCH_SIZE], uint64_t addr, uint64_t *ret)
{
	int32_t distance;
	memcpy(&distance, bytes + 1, sizeof(distance));
	*ret = addr + PLAN_PATCH_SIZE + (uint64_t)(int64_t)distance;
	return bytes[0] == 0xe9 || bytes[0] == 0xe8 || bytes[0] >> 4 == 8;
}

static bool within_reach(uint64_t a, uint64_t b)
{
	uint64_t distance = a > b ? a - b : b - a;
	return distance < (UINT64_C(1) << 31) - STUBS_SIZE_MAX;
}

/* The stub of a site: its own, or for calls of one fatal function the common one. (Functions that are called for
 * one reason are called for no other.) */
static uint64_t stub_of(struct builder *b, const struct plan_site *site, struct stubs_index *index)
{
	struct emit *e = &b->e;
	uint64_t bias = b->how->bias;
	for (size_t i = 0; i < index->count && stub_is_called(site); i++)
		if (index->list[i].moved == index->list[i].moved_end &&
		    index->list[i].site == site->callee + bias - e->addr)
			return e->addr + index->list[i].start;
	if (site->kind == PLAN_SET)
		stub_heads_near(b, site);
	/* who runs a branch's stub stands where that leads */
	uint64_t place = stub_is_called(site)	     ? site->callee
			 : site->kind == PLAN_BRANCH ? site->end
						     : site->addr;
	struct stub_info info = {
		.start = (uint32_t)e->len,
		.site = place + bias - e->addr,
		.back = (stub_is_called(site) ? site->callee : site->end) + bias - e->addr,
	};
	if (site->kind == PLAN_SET) {
		emit_set(b, site, &info);
	} else if (site->kind == PLAN_CLEAR) {
		emit_clear(b, site, &info);
	} else if (site->kind == PLAN_GOGO) {
		emit_gogo(b, site, &info);
	} else if (stub_is_checked(site)) {
		stub_checked(b, site, &info);
	} else if (site->kind == PLAN_ENTRY) {
		stub_entry(b, site, &info);
	} else {
		if (site->kind == PLAN_FAULT)
			stub_fault(b);
		else
			emit_fatal(b, site);
		info.moved = info.moved_end = (uint32_t)e->len;
	}
	emit_jump_to(e, e->addr + info.back);
	info.end = (uint32_t)e->len;
	index->list[index->count++] = info;
	return e->addr + (info.head_end > info.head ? info.head : info.start);
}

/* Writes all stubs and patches: first those that others lie near, or lead to. */
static void make_all(struct builder *b, struct stubs_index *index, struct patch *patches)
{
	const struct plan *plan = b->plan;
	static const enum plan_kind order[] = {PLAN_SET,   PLAN_CHECKED, PLAN_BRANCH, PLAN_CLEAR,
					       PLAN_FATAL, PLAN_ENTRY,	 PLAN_GOGO,   PLAN_FAULT,
					       PLAN_PANIC, PLAN_THROW};
	for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++)
		for (size_t i = 0; i < plan->count; i++) {
			const struct plan_site *site = &plan->list[i];
			if (site->kind == order[k])
				make_patch(site, b->how->bias, stub_of(b, site, index),
					   &patches[i]);
		}
}

enum status stubs_build(const struct plan *plan, const struct stubs_options *options,
			struct stubs *ret, struct error *err)
{
	struct stubs stubs = {.size = STUBS_SIZE_MAX};
	size_t index_size = sizeof(struct stubs_index) + plan->count * sizeof(struct stub_info);
	struct builder b = {.plan = plan, .how = options};
	uint64_t size = records_size_with_reads(options->line_bits);
	if (index_size > STUBS_SIZE_MAX / 2 ||
	    !within_reach(options->addr, plan->text + options->bias) ||
	    !within_reach(options->addr, plan->etext + options->bias) ||
	    !within_reach(options->addr, options->table) ||
	    !within_reach(options->addr, options->table + size))
		return error_set(err, ERROR_LIMIT,
				 "the recorder's code is out of the program's reach");
	AUTO_FREE struct stub_head *heads = calloc(plan->count, sizeof(*heads));
	if (!heads || !(stubs.bytes = calloc(1, STUBS_SIZE_MAX)) ||
	    !(stubs.patches = calloc(plan->count, sizeof(*stubs.patches)))) {
		stubs_done(&stubs);
		return error_nomem(err);
	}
	struct stubs_index *index = (struct stubs_index *)stubs.bytes;
	b.e = (struct emit){.buf = stubs.bytes,
			    .len = index_size,
			    .cap = STUBS_SIZE_MAX,
			    .addr = options->addr};
	b.heads = heads;
	make_all(&b, index, stubs.patches);
	stubs.patch_count = plan->count;
	index->version = STUBS_VERSION;
	if (b.e.failed) {
		stubs_done(&stubs);
		return error_set(err, ERROR_LIMIT, "the recorder's code does not fit");
	}
	stubs.size = b.e.len;
	*ret = stubs;
	return OK;
}

void stubs_done(struct stubs *stubs)
{
	free(stubs->bytes);
	free(stubs->patches);
	*stubs = (struct stubs){0};
}
