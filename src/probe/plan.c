#include "probe/plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/dataflow.h"
#include "go/stack.h"
#include "insn/insn.h"
#include "maps/call.h"
#include "maps/code.h"
#include "maps/map.h"
#include "probe/internal.h"

/* Whether a function of this name sets the flag itself: runtime/map.go and map_fast*.go up to 1.23;
 * since 1.24 runtime.mapassign* still do (linknamed into internal/runtime/maps), but mapdelete* and
 * mapclear only call the methods of maps.Map. */
static bool must_set(const char *name, bool swiss)
{
	static const char *const swiss_methods[] = {
		"internal/runtime/maps.(*Map).Delete",
		"internal/runtime/maps.(*Map).Clear",
		"internal/runtime/maps.(*Map).PutSlot",
	};
	if (strncmp(name, "runtime.mapassign", 17) == 0)
		return true;
	if (!swiss)
		return strncmp(name, "runtime.mapdelete", 17) == 0 ||
		       strcmp(name, "runtime.mapclear") == 0;
	for (size_t i = 0; i < sizeof(swiss_methods) / sizeof(swiss_methods[0]); i++)
		if (strcmp(name, swiss_methods[i]) == 0)
			return true;
	return false;
}

static enum status refuse(const struct map_code *code, const char *what, struct error *err)
{
	return error_at(err, ERROR_UNSUPPORTED, code->function.entry,
			"the code of %.100s is not as expected (%s): nothing was changed",
			code->function.name, what);
}

/* Whether the run from addr to end is what a stub can stand for: a load of the flag into a register,
 * operations on that, its store; nothing pc-relative. Fills in the registers. */
static bool run_is_movable(const struct map_code *code, struct plan_site *site)
{
	const uint8_t *bytes = code->bytes + (site->addr - code->function.entry);
	uint64_t at = site->addr;
	struct insn insn;
	for (unsigned i = 0; at < site->end; i++) {
		if (!insn_decode(ARCH_AMD64, bytes + (at - site->addr), site->end - at, at,
				 &insn) ||
		    insn.flow != INSN_NEXT)
			return false;
		for (unsigned k = 0; k < insn.mem_count; k++)
			if (insn.mem[k].base != site->map_reg || insn.mem[k].size != 1)
				return false;
		if (i == 0) {
			if (insn.op != INSN_MOVE || insn.dst.kind != INSN_REG ||
			    insn.mem_count != 1 || insn.dst.high)
				return false;
			site->temp_reg = insn.dst.reg;
		}
		at += insn.length;
		if (at > site->addr && at < site->addr + PLAN_PATCH_SIZE)
			site->interior = at;
	}
	return at == site->end && insn.op == INSN_MOVE && insn.src[0].kind == INSN_REG &&
	       insn.src[0].reg == site->temp_reg && site->temp_reg != site->map_reg &&
	       site->map_reg < AMD64_RIP && site->map_reg != AMD64_RSP &&
	       site->temp_reg != AMD64_RSP && site->temp_reg != AMD64_RBP &&
	       site->temp_reg != AMD64_R14;
}

void plan_find_type(struct runtime *rt, const struct map_code *code, struct plan_site *site)
{
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	struct flow_state state;
	struct map_function f;
	int32_t offset;
	if (!map_function_by_name(code->function.name, &f) || f.type_word < 0)
		return;
	/* rbp is two words below the CFA: the return address and the caller's rbp lie between */
	if (function_arg_slot(rt, site->addr, (unsigned)f.type_word, &offset)) {
		site->type_place = PLAN_TYPE_SLOT;
		site->type_slot = offset + 16;
		return;
	}
	if (dataflow_new(rt, &code->function, &flow, NULL) != OK ||
	    !dataflow_at(flow, site->addr, &state))
		return;
	for (uint8_t reg = 0; reg < AMD64_RIP && site->type_place == PLAN_TYPE_LOST; reg++) {
		const struct flow_value *value = dataflow_value(flow, state.regs[reg]);
		if (value->kind == FLOW_ARG && value->n == f.type_word && reg != site->temp_reg &&
		    reg != AMD64_RSP) {
			site->type_place = PLAN_TYPE_REG;
			site->type_reg = reg;
		}
	}
}

static enum status plan_store(struct runtime *rt, const struct map_code *code,
			      const struct flag_site *flag, struct plan *plan, struct error *err)
{
	struct plan_site site = {
		.kind = flag->kind == FLAG_SET ? PLAN_SET : PLAN_CLEAR,
		.addr = flag->run,
		.end = flag->end,
		.map_reg = flag->map_reg,
		.function = code->function.name,
	};
	if (!flag->run_is_pure || site.end - site.addr < PLAN_PATCH_SIZE ||
	    site.end - site.addr > PLAN_RUN_MAX)
		return refuse(code, "the flag is changed in another way", err);
	memcpy(site.original, code->bytes + (site.addr - code->function.entry),
	       site.end - site.addr);
	if (!run_is_movable(code, &site))
		return refuse(code, "the flag is changed by other instructions", err);
	if (site.kind == PLAN_SET)
		plan_find_type(rt, code, &site);
	return ARRAY_PUSH(plan->list, plan->count, plan->cap, site) ? OK : error_nomem(err);
}

bool plan_call(const uint8_t *bytes, uint64_t addr, const char *function, struct plan_site *ret)
{
	struct insn insn;
	/* e8: call rel32 (Intel SDM volume 2, CALL) */
	if (bytes[0] != 0xe8 ||
	    !insn_decode_flow(ARCH_AMD64, bytes, PLAN_PATCH_SIZE, addr, &insn) || !insn.has_target)
		return false;
	*ret = (struct plan_site){
		.addr = addr,
		.end = addr + PLAN_PATCH_SIZE,
		.map_reg = INSN_NO_REG,
		.temp_reg = INSN_NO_REG,
		.callee = insn.target,
		.function = function,
	};
	memcpy(ret->original, bytes, PLAN_PATCH_SIZE);
	return true;
}

static enum status plan_fatal(const struct map_code *code, const struct flag_site *flag,
			      struct plan *plan, struct error *err)
{
	struct plan_site site;
	const uint8_t *bytes = code->bytes + (flag->addr - code->function.entry);
	if (flag->end - flag->addr != PLAN_PATCH_SIZE ||
	    !plan_call(bytes, flag->addr, code->function.name, &site))
		return refuse(code, "fatal is called in another way", err);
	site.kind = PLAN_FATAL;
	return ARRAY_PUSH(plan->list, plan->count, plan->cap, site) ? OK : error_nomem(err);
}

/* The instruction at addr of the function. */
static bool decode_at(const struct map_code *code, uint64_t addr, struct insn *ret)
{
	if (addr < code->function.entry || addr - code->function.entry >= code->size)
		return false;
	return insn_decode(ARCH_AMD64, code->bytes + (addr - code->function.entry),
			   code->size - (addr - code->function.entry), addr, ret);
}

/* Where the way to the fatal call at fatal begins behind the branch of a check: straight code from
 * start to it. */
static bool leads_to(const struct map_code *code, uint64_t start, uint64_t fatal)
{
	enum { STEPS_MAX = 8 };
	struct insn insn;
	for (int i = 0; i < STEPS_MAX && start < fatal; i++) {
		if (!decode_at(code, start, &insn) || insn.flow != INSN_NEXT)
			return false;
		start += insn.length;
	}
	return start == fatal;
}

/* Whether the branch has a distance of four bytes. */
static bool is_long_branch(const struct map_code *code, const struct insn *branch)
{
	const uint8_t *bytes = code->bytes + (branch->addr - code->function.entry);
	/* 0f 80 to 0f 8f: Intel SDM volume 2, Jcc */
	return branch->length == 1 + PLAN_PATCH_SIZE && bytes[0] == 0x0f && bytes[1] >> 4 == 8;
}

static enum status plan_branch(const struct map_code *code, const struct flag_site *check,
			       const struct insn *branch, struct plan *plan, struct error *err)
{
	struct plan_site site = {
		.kind = PLAN_BRANCH,
		.addr = branch->addr + 1,
		.end = branch->target,
		.map_reg = check->map_reg,
		.temp_reg = INSN_NO_REG,
		.function = code->function.name,
	};
	memcpy(site.original, code->bytes + (site.addr - code->function.entry), PLAN_PATCH_SIZE);
	return ARRAY_PUSH(plan->list, plan->count, plan->cap, site) ? OK : error_nomem(err);
}

/* Plans to keep the map of a failing check, where the code is of the form that is known; where it is
 * not, the map has to be found otherwise. */
static enum status plan_checked(const struct map_code *code, const struct flag_site *check,
				struct plan *plan, struct error *err)
{
	enum { STEPS_MAX = 4 };
	struct insn insn, branch = {0};
	uint64_t at = check->end, start = 0;
	if (!check->fatal || check->map_reg >= AMD64_RIP || check->map_reg == AMD64_RSP)
		return OK;
	for (int i = 0; i < STEPS_MAX && !start; i++) {
		if (!decode_at(code, at, &branch) || (branch.writes >> check->map_reg & 1))
			return OK;
		at += branch.length;
		if (branch.flow == INSN_BRANCH)
			start = leads_to(code, at, check->fatal) ? at : branch.target;
		else if (branch.flow != INSN_NEXT)
			return OK;
	}
	if (!start || !leads_to(code, start, check->fatal) || !decode_at(code, start, &insn) ||
	    insn.op != INSN_LEA || insn.length < PLAN_PATCH_SIZE ||
	    insn.mem[insn.src[0].mem].base != INSN_PC || insn.dst.kind != INSN_REG)
		return OK;
	if (start != at && is_long_branch(code, &branch))
		return plan_branch(code, check, &branch, plan, err);
	struct plan_site site = {
		.kind = PLAN_CHECKED,
		.addr = start,
		.end = start + insn.length,
		.map_reg = check->map_reg,
		.temp_reg = insn.dst.reg,
		.callee = (uint64_t)insn.mem[insn.src[0].mem].disp,
		.function = code->function.name,
	};
	memcpy(site.original, code->bytes + (start - code->function.entry), insn.length);
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_site *known = &plan->list[i];
		if (known->kind != PLAN_CHECKED || known->addr != start)
			continue;
		/* two checks that share the way: which of them failed is not known */
		if (known->map_reg != site.map_reg)
			known->map_reg = INSN_NO_REG;
		return OK;
	}
	return ARRAY_PUSH(plan->list, plan->count, plan->cap, site) ? OK : error_nomem(err);
}

static enum status plan_function(struct runtime *rt, const struct map_code *code, struct plan *plan,
				 struct error *err)
{
	size_t sets = 0, clears = 0;
	if (!code->sites.complete)
		return refuse(code, "it cannot be followed to its end", err);
	for (size_t i = 0; i < code->sites.count; i++) {
		const struct flag_site *site = &code->sites.list[i];
		enum status status = OK;
		if (site->kind == FLAG_TOGGLE)
			return refuse(code, "what sets and what clears cannot be told", err);
		if (site->kind == FLAG_SET || site->kind == FLAG_CLEAR)
			status = plan_store(rt, code, site, plan, err);
		else if (site->kind == FLAG_CHECK)
			status = plan_checked(code, site, plan, err);
		else if (site->kind == FLAG_FATAL)
			status = plan_fatal(code, site, plan, err);
		if (status != OK)
			return FAILED;
		sets += site->kind == FLAG_SET;
		clears += site->kind == FLAG_CLEAR;
		plan->fatals += site->kind == FLAG_FATAL;
	}
	/* With a profile (-pgo) the compiler inlines writers into other map functions: Clear into
	 * runtime.mapclear. */
	bool writes = must_set(code->function.name, rt->swiss) || sets || clears;
	if (writes && (sets != 1 || !clears))
		return refuse(code, "it should set the flag once and clear it", err);
	plan->sets += sets;
	plan->clears += clears;
	return OK;
}

/* What the runtime has map functions of their own for: "fast64" of runtime.mapaccess1_fast64; "" of those
 * for keys of all kinds. */
static const char *key_kind(const char *function)
{
	const char *fast = strstr(function, "_fast");
	return fast ? fast + 1 : "";
}

/* How near the writer of set is to the function of a check: 0 where it is not. */
static unsigned nearness(const struct plan_site *set, const struct plan_site *check)
{
	const char *kind = key_kind(check->function);
	if (strcmp(set->function, check->function) == 0)
		return 3;
	if (strncmp(set->function, "runtime.mapassign", 17) != 0)
		return 0;
	if (strcmp(key_kind(set->function), kind) == 0)
		return 2;
	/* fast64 reads what fast64ptr writes */
	return kind[0] && strncmp(key_kind(set->function), kind, strlen(kind)) == 0;
}

/* Fills in what of each failing check's way is known only from all sites together. */
static void find_near(struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		struct plan_site *check = &plan->list[i];
		unsigned best = 0;
		if (!stub_is_checked(check))
			continue;
		for (size_t k = 0; k < plan->count; k++) {
			const struct plan_site *set = &plan->list[k];
			if (set->kind != PLAN_SET || nearness(set, check) <= best)
				continue;
			best = nearness(set, check);
			check->near = set->addr;
		}
		check->reads = best < 3;
	}
}

static int by_address(const void *a, const void *b)
{
	const struct plan_site *x = a, *y = b;
	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

void plan_sort(struct plan *plan)
{
	qsort(plan->list, plan->count, sizeof(*plan->list), by_address);
}

/* A write path without a site would be one that we do not see: each function that must set the flag
 * has to be among those that do. */
static enum status check_all_covered(struct runtime *rt, const struct plan *plan, struct error *err)
{
	size_t functions = 0;
	for (size_t i = 0; i < pclntab_count(rt->pclntab); i++) {
		struct function fn;
		bool found = false;
		if (!pclntab_at(rt->pclntab, i, &fn) || !must_set(fn.name, rt->swiss))
			continue;
		for (size_t k = 0; k < plan->count && !found; k++)
			found = plan->list[k].kind == PLAN_SET && plan->list[k].addr >= fn.entry &&
				plan->list[k].addr < fn.end;
		if (!found)
			return error_at(err, ERROR_UNSUPPORTED, fn.entry,
					"%.100s writes maps, and where it sets the flag is not "
					"known: nothing was changed",
					fn.name);
		functions++;
	}
	if (!functions)
		return error_set(err, ERROR_UNSUPPORTED,
				 "the program has no function that writes maps");
	return OK;
}

enum status plan_check_version(const struct go_version *version, struct error *err)
{
	/* R14 holds g in all Go code since the register ABI: go1.17, cmd/compile/abi-internal.md. The
	 * sites were measured from 1.19 on. */
	if (version->minor >= PLAN_GO_FIRST && version->minor <= PLAN_GO_LAST)
		return OK;
	return error_set(err, ERROR_UNSUPPORTED,
			 "the program is built by %.60s, and only Go 1.%d to 1.%d can be recorded",
			 version->text, PLAN_GO_FIRST, PLAN_GO_LAST);
}

static enum status check_program(struct runtime *rt, struct error *err)
{
	if (rt->target->arch != ARCH_AMD64)
		return error_set(err, ERROR_UNSUPPORTED,
				 "only amd64 programs can be recorded: this one is for arm64");
	if (plan_check_version(&rt->version, err) != OK)
		return FAILED;
	if (!rt->layout_exact)
		return error_set(err, ERROR_UNSUPPORTED,
				 "the layouts of %.60s are not known for sure", rt->version.text);
	if (rt->layout.g.goid == LAYOUT_NONE || rt->layout.g.stack == LAYOUT_NONE ||
	    rt->layout.g.lockedm == LAYOUT_NONE)
		return error_set(err, ERROR_UNSUPPORTED, "the layout of runtime.g is not known");
	return OK;
}

static uint64_t image_end(const struct executable *exe)
{
	const struct segment *segments;
	size_t count = executable_segments(exe, &segments);
	uint64_t end = 0;
	for (size_t i = 0; i < count; i++)
		if (segments[i].memsz <= UINT64_MAX - segments[i].addr &&
		    segments[i].addr + segments[i].memsz > end)
			end = segments[i].addr + segments[i].memsz;
	return end;
}

enum status plan_make(struct runtime *rt, struct plan *ret, struct error *err)
{
	if (check_program(rt, err) != OK)
		return FAILED;
	struct map_codes codes;
	if (map_codes_find(rt, NULL, &codes, err) != OK)
		return error_prefix(err, "the program cannot be recorded");
	struct plan plan = {
		.text = rt->module.text,
		.etext = rt->module.etext,
		.image_end = image_end(rt->target->exe),
		.goid_offset = rt->layout.g.goid,
		.stack_offset = rt->layout.g.stack,
		.lockedm_offset = rt->layout.g.lockedm,
		.panic_offset = rt->layout.g.panic,
		/* runtime/map.go type hmap, hashWriting; internal/runtime/maps/map.go type Map */
		.flag_offset = rt->swiss ? 34 : 8,
		.flag_mask = rt->swiss ? 0xff : HMAP_WRITING,
		.clears_by_xor = rt->swiss,
	};
	enum status status = OK;
	for (size_t i = 0; i < codes.count && status == OK; i++)
		status = plan_function(rt, &codes.list[i], &plan, err);
	map_codes_done(&codes);
	if (status == OK)
		status = check_all_covered(rt, &plan, err);
	if (status == OK)
		status = plan_add_deaths(rt, &plan, err);
	if (status != OK) {
		plan_done(&plan);
		return FAILED;
	}
	plan_sort(&plan);
	find_near(&plan);
	*ret = plan;
	return OK;
}

enum status plan_add_gogo(struct runtime *rt, struct plan *plan, struct error *err)
{
	/* go1.19 to go1.27 runtime/asm_amd64.s: MOVQ buf+0(FP), BX; MOVQ gobuf_g(BX), DX */
	static const uint8_t start[] = {0x48, 0x8b, 0x5c, 0x24,	       0x08,
					0x48, 0x8b, 0x53, PLAN_GOBUF_G};
	uint8_t bytes[sizeof(start)];
	struct function fn;
	if (!pclntab_by_name(rt->pclntab, "runtime.gogo", &fn) ||
	    fn.end - fn.entry < sizeof(bytes) ||
	    memory_read(rt->target->memory, fn.entry, bytes, sizeof(bytes), NULL) != OK ||
	    memcmp(bytes, start, sizeof(bytes)) != 0)
		return OK;
	struct plan_site site = {
		.kind = PLAN_GOGO,
		.addr = fn.entry,
		.end = fn.entry + PLAN_PATCH_SIZE,
		.map_reg = INSN_NO_REG,
		.temp_reg = INSN_NO_REG,
		.function = fn.name,
	};
	memcpy(site.original, bytes, PLAN_PATCH_SIZE);
	if (!ARRAY_PUSH(plan->list, plan->count, plan->cap, site))
		return error_nomem(err);
	plan_sort(plan);
	return OK;
}

void plan_done(struct plan *plan)
{
	free(plan->list);
	*plan = (struct plan){0};
}
