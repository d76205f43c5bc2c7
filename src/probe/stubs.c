#include "probe/stubs.h"

#include <assert.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "insn/insn.h"
#include "probe/internal.h"

unsigned stub_map_register(struct builder *b, const struct plan_site *site)
{
	if (site->map_reg != AMD64_RAX && site->map_reg != AMD64_RDX)
		return site->map_reg;
	emit_load(&b->e, AMD64_RAX, AMD64_RSP, site->map_reg == AMD64_RAX ? 8 : 0);
	return AMD64_RAX;
}

void stub_find_line(struct builder *b, unsigned line, uint64_t lines)
{
	struct emit *e = &b->e;
	emit_imul32(e, AMD64_RAX, AMD64_R14, RECORD_HASH_FACTOR);
	emit_shr32(e, AMD64_RAX, 32 - b->how->line_bits);
	static_assert(sizeof(struct record) == 1 << 7, "lines are shifted into place");
	emit_shl(e, AMD64_RAX, 7);
	emit_lea_at(e, line, b->how->table + lines);
	emit_add(e, line, AMD64_RAX);
}

void stub_begin_time(struct builder *b, unsigned line)
{
	if (!b->how->times)
		return;
	/* else it might be read before what the program waited for has come */
	if (b->how->ordered)
		emit_lfence(&b->e);
	emit_rdtsc(&b->e);
	emit_store(&b->e, line, LINE(set), AMD64_RAX);
}

/*
 * The return addresses up the frame pointers. rbp is the map function's; each saved one above is
 * followed only when it lies between the stack pointer and the end of the goroutine's stack, since C
 * code that called back into Go may have left anything in it.
 */
static void emit_callers(struct builder *b, unsigned line)
{
	struct emit *e = &b->e;
	size_t stops[2 * RECORD_CALLERS];
	/* the last one's place is the seed's */
	const unsigned count = b->how->ordered ? RECORD_CALLERS - 1 : RECORD_CALLERS;
	int32_t stack_hi = b->plan->stack_offset + 8;
	emit_move(e, AMD64_RAX, AMD64_RBP);
	for (unsigned i = 0; i < count; i++) {
		if (i > 0) {
			emit_load(e, AMD64_RAX, AMD64_RAX, 0);
			emit_cmp_reg(e, AMD64_RAX, AMD64_RSP);
			stops[2 * i] = emit_branch(e, EMIT_NOT_ABOVE);
			emit_lea(e, AMD64_RDX, AMD64_RAX, 8);
			emit_cmp_load(e, AMD64_RDX, AMD64_R14, stack_hi);
			stops[2 * i + 1] = emit_branch(e, EMIT_NOT_BELOW);
		}
		emit_load(e, AMD64_RDX, AMD64_RAX, 8);
		emit_store(e, line, LINE(callers) + 8 * (int32_t)i, AMD64_RDX);
	}
	size_t all = emit_jump(e);
	size_t ends[RECORD_CALLERS];
	for (unsigned i = 1; i < count; i++) {
		emit_land(e, stops[2 * i]);
		emit_land(e, stops[2 * i + 1]);
		emit_store_imm(e, line, LINE(callers) + 8 * (int32_t)i, 0);
		ends[i] = emit_jump(e);
	}
	for (unsigned i = 1; i < count; i++)
		emit_land(e, ends[i]);
	emit_land(e, all);
}

/* ordered: stores the part of the map's header that has its seed, go1.19 to 1.23 runtime/map.go type hmap,
 * hash0, and go1.24 on internal/runtime/maps/map.go type Map, seed. */
static void emit_seed(struct builder *b, unsigned line, unsigned map, unsigned temp)
{
	if (!b->how->ordered)
		return;
	emit_load(&b->e, temp, map, 8);
	emit_store(&b->e, line, LINE(callers) + 8 * (RECORD_CALLERS - 1), temp);
}

void stub_describe(struct builder *b, const struct plan_site *site, unsigned line, unsigned map)
{
	struct emit *e = &b->e;
	emit_store(e, line, LINE(g), AMD64_R14);
	emit_store(e, line, LINE(map), map);
	emit_seed(b, line, map, AMD64_RAX);
	emit_load(e, AMD64_RAX, AMD64_R14, b->plan->goid_offset);
	emit_store(e, line, LINE(goid), AMD64_RAX);
	emit_store32_imm(e, line, LINE(site), (uint32_t)(site->addr - b->plan->text));
	emit_callers(b, line);
}

size_t stub_take_line(struct builder *b, unsigned line, uint64_t found)
{
	struct emit *e = &b->e;
	emit_move_imm32(e, AMD64_RDX, RECORD_PROBES);
	uint64_t again = emit_here(e);
	emit_cmp_mem(e, line, LINE(g), AMD64_R14);
	emit_branch_back(e, EMIT_EQUAL, found);
	emit_cmp_mem_imm(e, line, LINE(g), 0);
	size_t taken = emit_branch(e, EMIT_NOT_EQUAL);
	emit_zero(e, AMD64_RAX);
	emit_lock_cmpxchg(e, line, LINE(g), AMD64_R14);
	emit_branch_back(e, EMIT_EQUAL, found);
	emit_land(e, taken);
	emit_add_imm(e, line, sizeof(struct record));
	emit_dec32(e, AMD64_RDX);
	emit_branch_back(e, EMIT_NOT_EQUAL, again);
	emit_lock_inc32_at(e, HEADER(lost));
	return emit_jump(e);
}

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
	uint64_t last = b->how->table + records_last_offset(b->how->line_bits);
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
	emit_imul32(e, AMD64_RDI, AMD64_RSI, RECORD_HASH_FACTOR);
	emit_shr32(e, AMD64_RDI, 32 - RECORD_LAST_BITS);
	static_assert(sizeof(struct record_last) == 1 << 4, "entries are shifted into place");
	emit_shl(e, AMD64_RDI, 4);
	emit_lea_at(e, AMD64_RDX, last);
	emit_add(e, AMD64_RDI, AMD64_RDX);
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
	/* and, xor and test leave the same flags for the same result: Intel SDM volume 1, A.1 */
	if (site->kind == PLAN_SET)
		emit_test32(e, site->temp_reg);
}

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

/*
 * The line becomes one of another map or another goroutine than it was: what it says of a write that is over goes to the
 * place of before of that map. map and goid are the registers that have what it is to be; the latter is lost, and loaded
 * again.
 */
static void emit_turn_line(struct builder *b, const struct plan_site *site, unsigned line,
			   unsigned map, unsigned goid)
{
	enum { WORD = sizeof(uint64_t), SITE_WORD = offsetof(struct record, site) };
	static_assert(SITE_WORD % WORD == 0 &&
			      offsetof(struct record, state) == SITE_WORD + WORD / 2,
		      "site and state are one word");
	struct emit *e = &b->e;
	unsigned place = site->map_reg == AMD64_RDI ? AMD64_R8 : AMD64_RDI;
	unsigned line_bits = b->how->line_bits;
	int32_t there = (int32_t)(records_before_offset(line_bits) - records_lines_offset());
	emit_cmp32_mem_imm(e, line, LINE(state), RECORD_DONE);
	size_t broken_off = emit_branch(e, EMIT_NOT_EQUAL);
	emit_push(e, place);
	emit_load(e, goid, line, LINE(map));
	emit_imul32(e, place, goid, RECORD_HASH_FACTOR);
	emit_shr32(e, place, 32 - RECORD_BEFORE_BITS);
	emit_imul32(e, place, place, (uint32_t)records_lines_size(line_bits));
	emit_add(e, place, line);
	emit_store32_imm(e, place, there + LINE(state), RECORD_TORN);
	for (int32_t at = 0; at < (int32_t)sizeof(struct record); at += WORD) {
		if (at == SITE_WORD)
			continue;
		emit_load(e, goid, line, at);
		emit_store(e, place, there + at, goid);
	}
	emit_load(e, goid, line, SITE_WORD);
	emit_store(e, place, there + SITE_WORD, goid);
	emit_pop(e, place);
	emit_land(e, broken_off);
	emit_store32_imm(e, line, LINE(state), RECORD_TORN);
	emit_load(e, goid, AMD64_R14, b->plan->goid_offset);
	emit_store(e, line, LINE(map), map);
	emit_store(e, line, LINE(goid), goid);
}

/* A set is an exclusive or. One that has left the flag clear found it set, though the check before had not: another write
 * began meanwhile, or one that began earlier has ended by now. */
static void emit_found(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	emit_test32_imm(e, site->temp_reg, b->plan->flag_mask);
	size_t set = emit_branch(e, EMIT_NOT_EQUAL);
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RDX);
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t frozen = emit_branch(e, EMIT_NOT_EQUAL);
	emit_store_at(e, HEADER(found_g), AMD64_R14);
	emit_store_at(e, HEADER(found_map), stub_map_register(b, site));
	emit_rdtsc(e);
	emit_store_at(e, HEADER(found_at), AMD64_RAX);
	emit_land(e, frozen);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_land(e, set);
	/* as the exclusive or left the flags: Intel SDM volume 1, A.1 */
	emit_test32(e, site->temp_reg);
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
	emit_seed(b, line, map, AMD64_RDX);
	emit_store32_imm(e, line, LINE(site), (uint32_t)(site->addr - b->plan->text));
	if (b->how->callers)
		emit_callers(b, line);
	stub_begin_time(b, line);
	emit_store32_imm(e, line, LINE(state), RECORD_IN_FLIGHT);
	size_t done = emit_jump(e);
	emit_land(e, search);
	size_t lost = stub_take_line(b, line, found);
	emit_land(e, other_map);
	emit_land(e, other_goroutine);
	emit_turn_line(b, site, line, map, AMD64_RDX);
	emit_jump_to(e, turned);
	emit_land(e, frozen);
	emit_land(e, done);
	emit_land(e, lost);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, line);
	emit_moved(b, site, info);
	if (b->how->times)
		emit_found(b, site);
	if (b->how->holds && !b->how->meets)
		stub_hold(b, site);
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
	emit_load(e, BUF, AMD64_RSP, 8);
	emit_load(e, G, BUF, PLAN_GOBUF_G);
	emit_imul32(e, PLACE, G, RECORD_HASH_FACTOR);
	emit_shr32(e, PLACE, 32 - RECORD_RUN_BITS);
	emit_shl(e, PLACE, 4);
	emit_lea_at(e, BUF, b->how->table + records_runs_offset(b->how->line_bits));
	emit_add(e, PLACE, BUF);
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
