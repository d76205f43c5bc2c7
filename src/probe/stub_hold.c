/*
 * Holding a writer inside its write, so that another one runs into it: on maps that another goroutine wrote last, one at a
 * time, and a share of the time at most.
 */
#include <assert.h>

#include "probe/internal.h"

/* Whether the map is of one of the types in the header: returns the jump for one that is not. Nothing has
 * been changed but what is on the stack. */
static size_t emit_check_type(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	size_t found[RECORD_HOLD_TYPES];
	unsigned type = site->map_reg == AMD64_RAX ? AMD64_RCX : AMD64_RAX;
	if (site->type_place == PLAN_TYPE_REG)
		emit_move(e, type, site->type_reg);
	else
		emit_load(e, type, AMD64_RBP, site->type_slot);
	for (size_t i = 0; i < RECORD_HOLD_TYPES; i++) {
		emit_cmp_load_at(e, type, HEADER(hold_types[i]));
		found[i] = emit_branch(e, EMIT_EQUAL);
	}
	size_t none = emit_jump(e);
	for (size_t i = 0; i < RECORD_HOLD_TYPES; i++)
		emit_land(e, found[i]);
	return none;
}

/* Sleeps as the holder, then writes from when on the next one may: into hold_next, and into the time
 * stamp at rdi, which is hold_next or one of first_next. */
static void emit_keep(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	emit_lock_inc32_at(e, HEADER(holds));
	emit_push(e, AMD64_RDI);
	if (b->how->meets) {
		emit_push(e, AMD64_RSI);
		stub_show_held(b, site);
	}
	stub_sleep(b);
	if (b->how->meets) {
		emit_pop(e, AMD64_RSI);
		stub_hide_held(b);
	}
	emit_pop(e, AMD64_RDI);
	emit_rdtsc(e);
	/* hold_next last: rdi may point to it */
	emit_load_at(e, AMD64_RDX, HEADER(first_rest));
	emit_add(e, AMD64_RDX, AMD64_RAX);
	emit_store(e, AMD64_RDI, 0, AMD64_RDX);
	emit_load_at(e, AMD64_RDX, HEADER(hold_rest));
	emit_add(e, AMD64_RAX, AMD64_RDX);
	emit_store_at(e, HEADER(hold_next), AMD64_RAX);
	emit_store32_imm_at(e, HEADER(holder), 0);
}

/*
 * rdi = address of the time stamp from which on the writer of a map without a last writer may be held.
 * Returns the jump for a writer that is not to be held at all: the main goroutine is locked to its
 * thread for as long as packages are initialized, when nobody is there to race with, and many maps are
 * made (go1.19 to 1.27 runtime/proc.go, main). What it may use up later is its own share, since it is
 * what comes after it that races.
 */
static size_t emit_first_time(struct builder *b)
{
	struct emit *e = &b->e;
	emit_lea_at(e, AMD64_RDI, HEADER(first_next[1]));
	emit_cmp_mem_imm(e, AMD64_R14, b->plan->goid_offset, 1);
	size_t other = emit_branch(e, EMIT_NOT_EQUAL);
	emit_lea_at(e, AMD64_RDI, HEADER(first_next[0]));
	emit_cmp_mem_imm(e, AMD64_R14, b->plan->lockedm_offset, 0);
	size_t locked = emit_branch(e, EMIT_NOT_EQUAL);
	emit_land(e, other);
	return locked;
}

/*
 * Behind the instructions that set the flag: keeps the goroutine there for a while with the flag set,
 * so that another one that comes to the same map runs into Go's own check. Only where another
 * goroutine wrote this map last, or more seldom where nobody is known to have; one at a time, and with
 * pauses in between.
 */
void stub_hold(struct builder *b, const struct plan_site *site)
{
	static const uint8_t saved[] = {AMD64_RAX, AMD64_RCX, AMD64_RDX, AMD64_RSI,
					AMD64_RDI, AMD64_R10, AMD64_R11};
	struct emit *e = &b->e;
	size_t out[10], n = 0;
	for (size_t i = 0; i < sizeof(saved); i++)
		emit_push(e, saved[i]);
	emit_cmp32_at_imm(e, HEADER(hold_on), 0);
	out[n++] = emit_branch(e, EMIT_EQUAL);
	if (b->how->hold_types)
		out[n++] = emit_check_type(b, site);
	emit_move(e, AMD64_RSI, site->map_reg);
	/* a flag that stays set for that long without a line would be taken for a stray one */
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	out[n++] = emit_branch(e, EMIT_NOT_EQUAL);
	emit_cmp_at_imm(e, HEADER(hold_map), 0);
	size_t any = emit_branch(e, EMIT_EQUAL);
	emit_cmp_load_at(e, AMD64_RSI, HEADER(hold_map));
	out[n++] = emit_branch(e, EMIT_NOT_EQUAL);
	emit_land(e, any);
	static_assert(sizeof(struct record_last) == 1 << 4, "entries are shifted into place");
	const struct stub_array last = {b->how->table + records_last_offset(b->how->line_bits),
					RECORD_LAST_BITS, 4};
	stub_find_entry(b, &last, AMD64_RDI, AMD64_RSI, AMD64_RDX);
	emit_cmp_mem(e, AMD64_RDI, offsetof(struct record_last, map), AMD64_RSI);
	size_t fresh = emit_branch(e, EMIT_NOT_EQUAL);
	emit_cmp_mem(e, AMD64_RDI, offsetof(struct record_last, g), AMD64_R14);
	out[n++] = emit_branch(e, EMIT_EQUAL);
	emit_store(e, AMD64_RDI, offsetof(struct record_last, g), AMD64_R14);
	emit_lea_at(e, AMD64_RDI, HEADER(hold_next));
	size_t handed_over = emit_jump(e);
	emit_land(e, fresh);
	emit_store(e, AMD64_RDI, offsetof(struct record_last, map), AMD64_RSI);
	emit_store(e, AMD64_RDI, offsetof(struct record_last, g), AMD64_R14);
	out[n++] = emit_first_time(b);
	emit_land(e, handed_over);
	emit_rdtsc(e);
	emit_cmp_load(e, AMD64_RAX, AMD64_RDI, 0);
	out[n++] = emit_branch(e, EMIT_BELOW);
	emit_cmp_load_at(e, AMD64_RAX, HEADER(hold_next));
	out[n++] = emit_branch(e, EMIT_BELOW);
	emit_cmp_load_at(e, AMD64_RAX, HEADER(hold_until));
	out[n++] = emit_branch(e, EMIT_NOT_BELOW);
	emit_zero(e, AMD64_RAX);
	emit_move_imm32(e, AMD64_RCX, 1);
	emit_lock_cmpxchg32_at(e, HEADER(holder), AMD64_RCX);
	out[n++] = emit_branch(e, EMIT_NOT_EQUAL);
	emit_keep(b, site);
	for (size_t i = 0; i < n; i++)
		emit_land(e, out[i]);
	assert(n <= sizeof(out) / sizeof(out[0]));
	for (size_t i = sizeof(saved); i-- > 0;)
		emit_pop(e, saved[i]);
}
