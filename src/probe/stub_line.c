/*
 * What stubs do with a goroutine's line in the table: find it or take one, and write down who writes which map from where.
 */
#include <assert.h>

#include "probe/internal.h"

unsigned stub_map_register(struct builder *b, const struct plan_site *site)
{
	if (site->map_reg != AMD64_RAX && site->map_reg != AMD64_RDX)
		return site->map_reg;
	emit_load(&b->e, AMD64_RAX, AMD64_RSP, site->map_reg == AMD64_RAX ? 8 : 0);
	return AMD64_RAX;
}

void stub_find_entry(struct builder *b, const struct stub_array *array, unsigned entry,
		     unsigned key, unsigned temp)
{
	struct emit *e = &b->e;
	emit_imul32(e, temp, key, RECORD_HASH_FACTOR);
	emit_shr32(e, temp, 32 - array->bits);
	emit_shl(e, temp, array->shift);
	emit_lea_at(e, entry, array->addr);
	emit_add(e, entry, temp);
}

void stub_find_line(struct builder *b, unsigned line, uint64_t lines)
{
	static_assert(sizeof(struct record) == 1 << 7, "lines are shifted into place");
	const struct stub_array array = {b->how->table + lines, b->how->line_bits, 7};
	stub_find_entry(b, &array, line, AMD64_R14, AMD64_RAX);
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
void stub_callers(struct builder *b, unsigned line)
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
void stub_seed(struct builder *b, unsigned line, unsigned map, unsigned temp)
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
	stub_seed(b, line, map, AMD64_RAX);
	emit_load(e, AMD64_RAX, AMD64_R14, b->plan->goid_offset);
	emit_store(e, line, LINE(goid), AMD64_RAX);
	emit_store32_imm(e, line, LINE(site), (uint32_t)(site->addr - b->plan->text));
	stub_callers(b, line);
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

void stub_turn_line(struct builder *b, const struct plan_site *site, unsigned line, unsigned map,
		    unsigned goid)
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
