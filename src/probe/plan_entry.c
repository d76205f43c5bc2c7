#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "insn/insn.h"
#include "maps/code.h"
#include "probe/internal.h"

static enum status refuse(const struct map_code *code, const struct flag_site *check,
			  struct error *err)
{
	return error_at(err, ERROR_UNSUPPORTED, check->addr,
			"the entry check of %.100s is not as expected: nothing was changed",
			code->function.name);
}

/* Whether the n bytes are what the assembler keeps a branch off the end of 32 bytes with (go1.19 to go1.27
 * cmd/internal/obj/x86/asm6.go, nop). The longer ones name memory by rax, and access none. */
static bool is_padding(const uint8_t *bytes, size_t n)
{
	static const struct {
		uint8_t length, bytes[9];
	} known[] = {
		{1, {0x90}},
		{2, {0x66, 0x90}},
		{3, {0x0f, 0x1f, 0x00}},
		{4, {0x0f, 0x1f, 0x40, 0x00}},
		{5, {0x0f, 0x1f, 0x44, 0x00, 0x00}},
		{6, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00}},
		{7, {0x0f, 0x1f, 0x80, 0x00, 0x00, 0x00, 0x00}},
		{8, {0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}},
		{9, {0x66, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x00, 0x00, 0x00}},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (known[i].length == n && memcmp(known[i].bytes, bytes, n) == 0)
			return true;
	return false;
}

/* Whether an instruction of the run does nothing that depends on where it stands, and reads no memory but
 * the map's. */
static bool is_movable(const struct insn *insn, const uint8_t *bytes, uint8_t map_reg)
{
	if (is_padding(bytes, insn->length))
		return true;
	for (unsigned i = 0; i < insn->mem_count; i++)
		if (insn->mem[i].base != map_reg || insn->mem[i].index != INSN_NO_REG ||
		    insn->mem[i].write)
			return false;
	return insn->flow == INSN_NEXT &&
	       !(insn->writes &
		 (UINT64_C(1) << map_reg | UINT64_C(1) << AMD64_RSP | UINT64_C(1) << AMD64_RBP));
}

/* Takes instructions from the check's run on until they have room for a jump. */
static bool take_run(const struct map_code *code, const struct flag_site *check,
		     struct plan_site *site)
{
	const uint8_t *bytes = code->bytes + (site->addr - code->function.entry);
	uint64_t left = code->size - (site->addr - code->function.entry);
	struct insn insn;
	for (site->end = site->addr; site->end - site->addr < PLAN_PATCH_SIZE;) {
		uint64_t done = site->end - site->addr;
		if (!insn_decode(ARCH_AMD64, bytes + done, left - done, site->end, &insn))
			return false;
		/* with five bytes to fill, at most two instructions begin inside of them; one can be
		 * looked for on stacks */
		if (done && site->interior)
			return false;
		if (done)
			site->interior = site->end;
		site->end += insn.length;
		if (insn.flow == INSN_BRANCH && insn.addr >= check->end && insn.has_target &&
		    (insn.cond == INSN_COND_ZERO || insn.cond == INSN_COND_NOT_ZERO)) {
			site->branch = insn.addr;
			site->callee = insn.target;
			site->branch_if_zero = insn.cond == INSN_COND_ZERO;
			break;
		}
		if (!is_movable(&insn, bytes + done, site->map_reg))
			return false;
	}
	return site->end - site->addr >= PLAN_PATCH_SIZE && site->end - site->addr <= PLAN_RUN_MAX;
}

/* Whether no branch of the function leads behind the run's first instruction, and the frame pointer is the
 * function's own at the run: callers are found by it. */
static bool stands_alone(const struct map_code *code, const struct plan_site *site)
{
	struct insn_sweep sweep = {.arch = ARCH_AMD64,
				   .code = code->bytes,
				   .n = code->size,
				   .addr = code->function.entry,
				   .full = true};
	struct insn insn;
	bool has_frame = false;
	while (insn_sweep_next(&sweep, &insn)) {
		if (insn.has_target && insn.target > site->addr && insn.target < site->end)
			return false;
		/* mov %rsp,%rbp, or up to 1.20 lea x(%rsp),%rbp */
		if (insn.addr < site->addr && insn.dst.kind == INSN_REG &&
		    insn.dst.reg == AMD64_RBP &&
		    (insn.op == INSN_LEA || (insn.op == INSN_MOVE && insn.src[0].kind == INSN_REG &&
					     insn.src[0].reg == AMD64_RSP)))
			has_frame = true;
	}
	return has_frame;
}

static enum status add_entry(struct runtime *rt, const struct map_code *code,
			     const struct flag_site *check, bool reads, struct plan *plan,
			     struct error *err)
{
	struct plan_site site = {
		.kind = PLAN_ENTRY,
		.addr = check->run,
		.map_reg = check->map_reg,
		.temp_reg = INSN_NO_REG,
		.function = code->function.name,
		.reads = reads,
	};
	if (site.map_reg >= AMD64_RIP || site.map_reg == AMD64_RSP || site.map_reg == AMD64_R14 ||
	    site.addr < code->function.entry || site.addr - code->function.entry >= code->size ||
	    !take_run(code, check, &site) || !stands_alone(code, &site))
		return refuse(code, check, err);
	memcpy(site.original, code->bytes + (site.addr - code->function.entry),
	       site.end - site.addr);
	if (!reads)
		plan_find_type(rt, code, &site);
	return ARRAY_PUSH(plan->list, plan->count, plan->cap, site) ? OK : error_nomem(err);
}

static bool sets_flag(const struct map_code *code)
{
	for (size_t i = 0; i < code->sites.count; i++)
		if (code->sites.list[i].kind == FLAG_SET)
			return true;
	return false;
}

static enum status add_function(struct runtime *rt, const struct map_code *code, bool reads,
				bool writes, struct plan *plan, struct error *err)
{
	bool is_writer = sets_flag(code);
	if (is_writer ? !writes : !reads)
		return OK;
	for (size_t i = 0; i < code->sites.count; i++) {
		const struct flag_site *site = &code->sites.list[i];
		if (site->kind == FLAG_CHECK && site->role == FLAG_CHECK_ENTRY &&
		    add_entry(rt, code, site, !is_writer, plan, err) != OK)
			return FAILED;
	}
	return OK;
}

enum status plan_add_entries(struct runtime *rt, bool reads, bool writes, struct plan *plan,
			     struct error *err)
{
	struct map_codes codes;
	if (map_codes_find(rt, NULL, &codes, err) != OK)
		return FAILED;
	enum status status = OK;
	for (size_t i = 0; i < codes.count && status == OK; i++)
		status = add_function(rt, &codes.list[i], reads, writes, plan, err);
	map_codes_done(&codes);
	if (status == OK)
		plan_sort(plan);
	return status;
}
