/*
 * The stub on the way from a failing check to fatal: the first that comes here freezes the table, and says who it is and
 * which map it looked at.
 *
 * The write that the check saw is proven only where it is still in flight at frozen_at, or ends later, and a check's way to
 * fatal is nowhere near a processor: its code has never run. So what reads the time and freezes the table is kept short,
 * and lies where a stub begins that each write of such maps runs through.
 */
#include <assert.h>

#include "insn/insn.h"
#include "probe/internal.h"

enum {
	CACHE_LINE = 64,
	HEAD_SIZE = 24,
	/* A set stub's pushes and its look at header.frozen. */
	SET_START = 16,
	HEADS_IN_LINE = (CACHE_LINE - SET_START) / HEAD_SIZE,
};

/* Goes on with edx and eax, the time; and the register, whether the table was frozen before. */
static void emit_head(struct builder *b, size_t i)
{
	struct emit *e = &b->e;
	unsigned frozen = stub_register(&b->plan->list[i]);
	if (emit_here(e) % CACHE_LINE > CACHE_LINE - HEAD_SIZE)
		emit_pad(e, CACHE_LINE, 0);
	b->heads[i].start = (uint32_t)e->len;
	emit_push(e, frozen);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RDX);
	emit_lfence(e); /* the check has read the flag before this time */
	emit_rdtsc_halves(e);
	emit_move_imm32(e, frozen, 1);
	emit_xchg32_at(e, HEADER(frozen), frozen);
	b->heads[i].jump = emit_jump(e);
	b->heads[i].end = (uint32_t)e->len;
	assert(e->failed || b->heads[i].end - b->heads[i].start == HEAD_SIZE);
}

static bool is_near(const struct plan_site *check, const struct plan_site *set, bool reads)
{
	return stub_is_checked(check) && check->near == set->addr && check->reads == reads;
}

void stub_heads_near(struct builder *b, const struct plan_site *set)
{
	const struct plan *plan = b->plan;
	size_t own = 0, done = 0;
	for (size_t i = 0; i < plan->count; i++) {
		if (is_near(&plan->list[i], set, true))
			emit_head(b, i);
		own += is_near(&plan->list[i], set, false);
	}
	if (own <= HEADS_IN_LINE)
		emit_pad(&b->e, CACHE_LINE, 0);
	for (size_t i = 0; i < plan->count; i++) {
		if (!is_near(&plan->list[i], set, false))
			continue;
		if (own - done == HEADS_IN_LINE)
			emit_pad(&b->e, CACHE_LINE, 0);
		emit_head(b, i);
		done++;
	}
}

bool stub_check_at(const struct builder *b, uint64_t branch, uint64_t *ret)
{
	const struct plan *plan = b->plan;
	for (size_t i = 0; i < plan->count; i++)
		if (plan->list[i].kind == PLAN_BRANCH && plan->list[i].addr == branch + 1) {
			*ret = b->e.addr + b->heads[i].start;
			return true;
		}
	return false;
}

void stub_checked(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	struct emit *e = &b->e;
	const struct stub_head *head = &b->heads[site - b->plan->list];
	unsigned frozen = stub_register(site);
	if (head->start == head->end)
		emit_head(b, (size_t)(site - b->plan->list));
	info->head = head->start;
	info->head_end = head->end;
	info->start = (uint32_t)e->len;
	emit_land(e, head->jump);
	emit_test32(e, frozen);
	size_t second = emit_branch(e, EMIT_NOT_EQUAL);
	emit_join_halves(e);
	emit_store_at(e, HEADER(frozen_at), AMD64_RAX);
	if (site->map_reg != INSN_NO_REG)
		emit_store_at(e, HEADER(checked_map), stub_map_register(b, site));
	emit_store_at(e, HEADER(checked_g), AMD64_R14);
	emit_land(e, second);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, frozen);
	info->moved = (uint32_t)e->len;
	if (site->kind == PLAN_CHECKED)
		emit_lea_at(e, site->temp_reg, site->callee + b->how->bias);
	info->moved_end = (uint32_t)e->len;
}
