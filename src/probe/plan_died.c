/*
 * The calls on the way of who dies of a fault, or of what map code found in a map: go1.19 to 1.27
 * runtime/signal_unix.go sigpanic, runtime/panic.go gopanic; runtime/map.go and map_fast*.go up to 1.23. Others give
 * up too, but what they found is not the map's.
 */
#include <string.h>

#include "base/array.h"
#include "go/layout.h"
#include "insn/insn.h"
#include "maps/flagsites.h"
#include "probe/internal.h"

struct deaths {
	struct runtime *rt;
	struct plan *plan;
	/* Entries; panicmem and panicmemAddr are there only without inlining, else 0. */
	uint64_t gopanic, fatalpanic, throw, panicmem, panicmem_addr;
	size_t faults, panics, throws; /* calls found in sigpanic and gopanic */
};

/* Whether it is map code that may find a map to contradict itself; up to 1.23. */
static bool finds_damage(const char *name)
{
	return flagsites_is_map_function(name) || strncmp(name, "runtime.evacuate", 16) == 0 ||
	       strncmp(name, "runtime.growWork", 16) == 0 || strcmp(name, "runtime.hashGrow") == 0;
}

/* The kind of a call of target in the function called name; false where it is none of these. */
static bool kind_of(const struct deaths *d, const char *name, uint64_t target, enum plan_kind *ret)
{
	bool is_sigpanic = strcmp(name, "runtime.sigpanic") == 0;
	if (is_sigpanic &&
	    (target == d->gopanic || target == d->panicmem || target == d->panicmem_addr))
		*ret = PLAN_FAULT;
	else if (strcmp(name, "runtime.gopanic") == 0 && target == d->fatalpanic)
		*ret = PLAN_PANIC;
	else if (target == d->throw &&(is_sigpanic || finds_damage(name)))
		*ret = PLAN_THROW;
	else
		return false;
	return true;
}

static enum status add_call(struct deaths *d, const struct function *fn, const struct insn *insn,
			    const uint8_t *bytes, struct error *err)
{
	struct plan_site site;
	if (insn->length != PLAN_PATCH_SIZE || !plan_call(bytes, insn->addr, fn->name, &site) ||
	    !kind_of(d, fn->name, site.callee, &site.kind))
		return OK;
	d->faults += site.kind == PLAN_FAULT;
	d->panics += site.kind == PLAN_PANIC;
	d->throws += site.kind == PLAN_THROW && strcmp(fn->name, "runtime.sigpanic") == 0;
	return ARRAY_PUSH(d->plan->list, d->plan->count, d->plan->cap, site) ? OK
									     : error_nomem(err);
}

static enum status add_calls(struct deaths *d, const struct function *fn, struct error *err)
{
	const uint8_t *code = memory_view(d->rt->target->memory, fn->entry, fn->end - fn->entry);
	struct insn_sweep sweep = {
		.arch = ARCH_AMD64, .code = code, .n = fn->end - fn->entry, .addr = fn->entry};
	struct insn insn;
	while (code && insn_sweep_next(&sweep, &insn))
		if (insn.flow == INSN_CALL && insn.has_target &&
		    add_call(d, fn, &insn, code + (insn.addr - fn->entry), err) != OK)
			return FAILED;
	return OK;
}

enum status plan_add_deaths(struct runtime *rt, struct plan *plan, struct error *err)
{
	struct deaths d = {.rt = rt, .plan = plan};
	struct function gopanic, fatalpanic, throw, panicmem, panicmem_addr;
	size_t before = plan->count;
	bool known = rt->layout.g.panic != LAYOUT_NONE &&
		     pclntab_by_name(rt->pclntab, "runtime.gopanic", &gopanic) &&
		     pclntab_by_name(rt->pclntab, "runtime.fatalpanic", &fatalpanic) &&
		     pclntab_by_name(rt->pclntab, "runtime.throw", &throw);
	if (known) {
		d.gopanic = gopanic.entry;
		d.fatalpanic = fatalpanic.entry;
		d.throw = throw.entry;
	}
	if (pclntab_by_name(rt->pclntab, "runtime.panicmem", &panicmem))
		d.panicmem = panicmem.entry;
	if (pclntab_by_name(rt->pclntab, "runtime.panicmemAddr", &panicmem_addr))
		d.panicmem_addr = panicmem_addr.entry;
	for (size_t i = 0; known && i < pclntab_count(rt->pclntab); i++) {
		struct function fn;
		if (pclntab_at(rt->pclntab, i, &fn) && fn.end > fn.entry &&
		    (strcmp(fn.name, "runtime.sigpanic") == 0 ||
		     strcmp(fn.name, "runtime.gopanic") == 0 || finds_damage(fn.name)) &&
		    add_calls(&d, &fn, err) != OK)
			return FAILED;
	}
	if (d.faults && d.panics == 1 && d.throws)
		return OK;
	plan->count = before;
	notes_add(rt->notes, "probe", 0,
		  "how the program dies of a fault is not as expected: of such deaths no report is "
		  "made");
	return OK;
}
