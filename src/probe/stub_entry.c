#include <string.h>
#include <sys/syscall.h>

#include "probe/internal.h"

enum {
	/* A writer that was held waits for another one's flag to be clear for so many pauses, a
	 * millisecond or less, before it runs into it. */
	CLEAR_PAUSES = 1 << 14,
	/* Two that have met are let go at the same time: the one that was held lets the other one write
	 * first, which takes much less. */
	PART_NS = 1000000,
};

void stub_show_held(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	emit_lea_at(e, AMD64_RCX, HEADER(held));
	stub_describe(b, site, AMD64_RCX, AMD64_RSI);
	stub_begin_time(b, AMD64_RCX);
	emit_store32_imm(e, AMD64_RCX, LINE(state), RECORD_IN_FLIGHT);
	emit_store_at(e, HEADER(held_map), AMD64_RSI);
}

/* nanosleep(); a signal ends it early. */
static void sleep_ns(struct emit *e, uint32_t ns)
{
	emit_move_imm32(e, AMD64_RAX, ns);
	emit_push(e, AMD64_RAX);
	emit_zero(e, AMD64_RAX);
	emit_push(e, AMD64_RAX);
	emit_move_imm32(e, AMD64_RAX, SYS_nanosleep);
	emit_move(e, AMD64_RDI, AMD64_RSP);
	emit_zero(e, AMD64_RSI);
	emit_syscall(e);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, AMD64_RAX);
}

/*
 * It goes on as if it came only now: nothing of the map has been looked at before the entry check, so what
 * others did to it meanwhile harms no more than if it had been late by itself. One that writes just now is
 * given the time to end, since the check that comes next would kill the program.
 */
void stub_hide_held(struct builder *b)
{
	struct emit *e = &b->e;
	emit_zero(e, AMD64_RAX);
	emit_store_at(e, HEADER(held_map), AMD64_RAX);
	emit_push(e, AMD64_RSI);
	emit_push(e, AMD64_R8);
	emit_cmp32_at_imm(e, HEADER(met), MEET_READY);
	size_t alone = emit_branch(e, EMIT_NOT_EQUAL);
	stub_wait(b, HEADER(met), MEET_READY, MEET_SECONDS);
	sleep_ns(e, PART_NS);
	emit_land(e, alone);
	emit_pop(e, AMD64_R8);
	emit_pop(e, AMD64_RSI);
	emit_move_imm32(e, AMD64_RCX, CLEAR_PAUSES);
	uint64_t again = emit_here(e);
	emit_test8_mem_imm(e, AMD64_RSI, b->plan->flag_offset, b->plan->flag_mask);
	size_t clear = emit_branch(e, EMIT_EQUAL);
	emit_pause(e);
	emit_dec32(e, AMD64_RCX);
	emit_branch_back(e, EMIT_NOT_EQUAL, again);
	emit_land(e, clear);
}

/* Another goroutine came to the map, rsi, of the one that is held: writes down who it is, and waits until
 * that was looked at. One at a time; the next goes on as if nothing were. */
static void meet(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	emit_zero(e, AMD64_RAX);
	emit_move_imm32(e, AMD64_RCX, MEET_WRITING);
	emit_lock_cmpxchg32_at(e, HEADER(met), AMD64_RCX);
	size_t busy = emit_branch(e, EMIT_NOT_EQUAL);
	emit_lea_at(e, AMD64_RCX, HEADER(comer));
	stub_describe(b, site, AMD64_RCX, AMD64_RSI);
	stub_begin_time(b, AMD64_RCX);
	emit_load_at(e, AMD64_RAX, HEADER(held) + offsetof(struct record, set));
	emit_store(e, AMD64_RCX, LINE(clear), AMD64_RAX);
	emit_store32_imm(e, AMD64_RCX, LINE(state), RECORD_IN_FLIGHT);
	emit_lock_inc32_at(e, HEADER(meetings));
	emit_store32_imm_at(e, HEADER(met), MEET_READY);
	stub_wait(b, HEADER(met), MEET_READY, MEET_SECONDS);
	emit_land(e, busy);
}

/* Who comes to a held map meets its writer; returns the jump for who does not, where map is the register
 * that holds the map at the check. */
static size_t meet_if_held(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	emit_cmp_load_at(e, site->map_reg, HEADER(held_map));
	size_t alone = emit_branch(e, EMIT_NOT_EQUAL);
	stub_push_saved(e);
	emit_move(e, AMD64_RSI, site->map_reg);
	meet(b, site);
	stub_pop_saved(e);
	return alone;
}

/* A line of the readers' for who comes to the check of a function that only reads. */
static void note_read(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	uint64_t lines = records_reads_offset(b->how->line_bits);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RCX);
	emit_push(e, AMD64_RDX);
	emit_push(e, AMD64_RSI);
	emit_move(e, AMD64_RSI, site->map_reg);
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	stub_find_line(b, AMD64_RCX, lines);
	emit_cmp_mem(e, AMD64_RCX, LINE(g), AMD64_R14);
	size_t search = emit_branch(e, EMIT_NOT_EQUAL);
	uint64_t found = emit_here(e);
	emit_store32_imm(e, AMD64_RCX, LINE(state), RECORD_TORN);
	stub_describe(b, site, AMD64_RCX, AMD64_RSI);
	stub_begin_time(b, AMD64_RCX);
	emit_store(e, AMD64_RCX, LINE(clear), AMD64_RAX);
	emit_store32_imm(e, AMD64_RCX, LINE(state), RECORD_DONE);
	size_t done = emit_jump(e);
	emit_land(e, search);
	size_t lost = stub_take_line(b, AMD64_RCX, found);
	emit_land(e, frozen);
	emit_land(e, done);
	emit_land(e, lost);
	emit_pop(e, AMD64_RSI);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RCX);
	emit_pop(e, AMD64_RAX);
}

void stub_entry(struct builder *b, const struct plan_site *site, struct stub_info *info)
{
	struct emit *e = &b->e;
	uint64_t checked;
	size_t length = (site->branch ? site->branch : site->end) - site->addr;
	if (b->how->meets) {
		size_t alone = meet_if_held(b, site);
		size_t met = emit_jump(e);
		emit_land(e, alone);
		if (!site->reads)
			stub_hold(b, site);
		emit_land(e, met);
	}
	if (site->reads && b->how->reads)
		note_read(b, site);
	info->moved = (uint32_t)e->len;
	emit_bytes(e, site->original, length);
	info->moved_end = (uint32_t)e->len;
	if (!site->branch)
		return;
	/* a thread that stands at the branch stands at the program's */
	info->moved_end++;
	uint64_t target = site->callee + b->how->bias;
	if (stub_check_at(b, site->branch, &checked))
		target = checked;
	emit_branch_back(e, site->branch_if_zero ? EMIT_EQUAL : EMIT_NOT_EQUAL, target);
}
