#include "maps/mapcalls.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "insn/insn.h"

enum {
	BLOCK_SIZE = 1 << 20, /* code is searched so much at a time */
	CALLS_MAX =
		1 << 20, /* calls that are listed; the largest programs have some ten thousand */
	CALLEES_MAX = 64, /* there are some twenty */
};

struct callee {
	uint64_t entry;
	const char *name; /* lives as long as the target */
};

struct search {
	struct runtime *rt;
	struct callee callees[CALLEES_MAX];
	size_t callee_count;
	uint64_t lo, hi; /* their entries lie in [lo, hi] */
	struct map_calls calls;
	size_t cap;
	bool failed; /* memory is out */
};

/* A function that compiled code calls with the map's type and the map. */
static bool is_callee(const char *name)
{
	static const char *const prefixes[] = {
		"runtime.mapassign", "runtime.mapaccess",   "runtime.mapdelete",
		"runtime.mapclear",  "runtime.mapiterinit", "runtime.mapIterStart",
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

static void find_callees(struct search *search)
{
	const struct pclntab *tab = search->rt->pclntab;
	search->lo = UINT64_MAX;
	for (size_t i = 0; i < pclntab_count(tab) && search->callee_count < CALLEES_MAX; i++) {
		struct function fn;
		if (!pclntab_at(tab, i, &fn) || !is_callee(fn.name))
			continue;
		search->callees[search->callee_count++] = (struct callee){fn.entry, fn.name};
		search->lo = fn.entry < search->lo ? fn.entry : search->lo;
		search->hi = fn.entry > search->hi ? fn.entry : search->hi;
	}
}

static const char *callee_at(const struct search *search, uint64_t entry)
{
	if (entry < search->lo || entry > search->hi)
		return NULL;
	for (size_t i = 0; i < search->callee_count; i++) {
		if (search->callees[i].entry == entry)
			return search->callees[i].name;
	}
	return NULL;
}

/* Whether an instruction of the function begins at addr: the bytes of a call may also be part of
 * another one. */
static bool is_instruction(const struct search *search, const struct function *fn, uint64_t addr)
{
	enum { CODE_MAX = 1 << 20 };
	size_t n = addr - fn->entry + INSN_LENGTH_MAX, at = 0;
	if (n > CODE_MAX)
		return false;
	AUTO_FREE uint8_t *code = malloc(n);
	if (!code || memory_read(search->rt->target->memory, fn->entry, code, n, NULL) != OK)
		return false;
	while (fn->entry + at < addr) {
		struct insn insn;
		if (insn_decode_flow(search->rt->target->arch, code + at, n - at, fn->entry + at,
				     &insn))
			at += insn.length;
		else
			at += insn_step(search->rt->target->arch);
	}
	return fn->entry + at == addr;
}

static void add_call(struct search *search, uint64_t addr, const char *callee)
{
	struct map_call call = {.addr = addr, .callee = callee};
	if (!pclntab_find(search->rt->pclntab, addr, &call.caller) ||
	    strncmp(call.caller.name, "runtime.map", strlen("runtime.map")) == 0 ||
	    !is_instruction(search, &call.caller, addr))
		return;
	if (search->calls.count == CALLS_MAX)
		search->calls.complete = false;
	else if (!ARRAY_PUSH(search->calls.list, search->calls.count, search->cap, call))
		search->failed = true;
}

/* amd64: E8 and a distance of 4 bytes from behind it. */
static void search_amd64(struct search *search, uint64_t addr, const uint8_t *code, size_t n)
{
	for (size_t at = 0; at + 5 <= n && !search->failed; at++) {
		const uint8_t *p = memchr(code + at, 0xe8, n - 4 - at);
		if (!p)
			return;
		at = (size_t)(p - code);
		uint64_t target = addr + at + 5 + (uint64_t)(int64_t)(int32_t)load_u32(p + 1);
		const char *callee = callee_at(search, target);
		if (callee)
			add_call(search, addr + at, callee);
	}
}

/* arm64: BL, 100101 and a distance in words of 26 bits. */
static void search_arm64(struct search *search, uint64_t addr, const uint8_t *code, size_t n)
{
	for (size_t at = 0; at + 4 <= n && !search->failed; at += 4) {
		uint32_t word = load_u32(code + at);
		if (word >> 26 != 0x25)
			continue;
		int64_t distance = (int64_t)((uint64_t)word << 38) >> 36;
		const char *callee = callee_at(search, addr + at + (uint64_t)distance);
		if (callee)
			add_call(search, addr + at, callee);
	}
}

enum status map_calls_find(struct runtime *rt, struct map_calls *ret, struct error *err)
{
	struct search search = {.rt = rt, .calls.complete = true};
	AUTO_FREE uint8_t *code = malloc(BLOCK_SIZE);
	if (!code)
		return error_nomem(err);
	find_callees(&search);
	if (!search.callee_count)
		return error_set(err, ERROR_NOT_FOUND, "the program has no map functions");
	/* Blocks overlap, so that no call is cut; 4 bytes keep arm64's aligned. */
	for (uint64_t addr = rt->module.text; addr < rt->module.etext; addr += BLOCK_SIZE - 4) {
		uint64_t left = rt->module.etext - addr;
		size_t n = left < BLOCK_SIZE ? left : BLOCK_SIZE;
		if (memory_read(rt->target->memory, addr, code, n, NULL) != OK)
			search.calls.complete = false;
		else if (rt->target->arch == ARCH_AMD64)
			search_amd64(&search, addr, code, n);
		else
			search_arm64(&search, addr, code, n);
	}
	if (search.failed) {
		map_calls_done(&search.calls);
		return error_nomem(err);
	}
	*ret = search.calls;
	return OK;
}

void map_calls_done(struct map_calls *calls)
{
	free(calls->list);
	*calls = (struct map_calls){0};
}
