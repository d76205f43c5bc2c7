/*
 * Prints the flag sites of each map function of a Go executable that has some, by their offsets, one function a
 * line:
 *
 *   NAME C2d:entry F40 S7f Ceb:exit F102 R118      C check, F fatal, S set, R clear, T toggle, L iterators, o other
 *
 * and exits 1, with the reason on stderr, where what must hold in every version and build does not:
 * - the whole function can be followed
 * - each check leads to a fatal call, which belongs to it
 * - a set lies behind no set, a clear inside; a run of load, change and store is one straight piece of code that
 *   names the register with the map
 * - the call of fatal behind a check is in the fatal window, by address and by return address
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "go/runtime.h"
#include "maps/flagsites.h"

static int failures;

static void fail(const struct function *fn, uint64_t addr, const char *what)
{
	fprintf(stderr, "%s+0x%" PRIx64 ": %s\n", fn->name, addr - fn->entry, what);
	failures++;
}

static enum flag_callee callee(void *context, uint64_t addr)
{
	struct runtime *rt = context;
	struct function fn;
	return flag_callee_by_name(pclntab_find(rt->pclntab, addr, &fn) ? fn.name : NULL);
}

static const struct flag_site *site_at(const struct flagsites *sites, uint64_t addr)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->list[i].addr == addr)
			return &sites->list[i];
	}
	return NULL;
}

static void hold(struct runtime *rt, const struct function *fn, const struct flagsites *sites,
		 const struct flag_site *site)
{
	enum flag_window before = flagsites_window(sites, site->addr, true);
	enum flag_window after = flagsites_window(sites, site->end, true);
	const struct flag_site *other;
	switch (site->kind) {
	case FLAG_CHECK:
		other = site->fatal ? site_at(sites, site->fatal) : NULL;
		if (site->role == FLAG_CHECK_NONE || !other || other->check != site->addr ||
		    other->role != site->role)
			fail(fn, site->addr, "a check without its fatal call");
		if (before !=
		    (site->role == FLAG_CHECK_EXIT ? FLAG_WINDOW_INSIDE : FLAG_WINDOW_BEFORE))
			fail(fn, site->addr, "a check in the wrong window");
		break;
	case FLAG_SET:
		if (before != FLAG_WINDOW_BEFORE || after != FLAG_WINDOW_INSIDE)
			fail(fn, site->addr, "a set in the wrong window");
		break;
	case FLAG_CLEAR:
		if (before != FLAG_WINDOW_INSIDE || after != FLAG_WINDOW_AFTER)
			fail(fn, site->addr, "a clear in the wrong window");
		break;
	case FLAG_FATAL:
		if (before != FLAG_WINDOW_FATAL ||
		    flagsites_window(sites, site->end, false) != FLAG_WINDOW_FATAL ||
		    flagsites_fatal_at(sites, site->end) != site)
			fail(fn, site->addr, "a fatal call outside of its window");
		break;
	case FLAG_TOGGLE:
		fail(fn, site->addr, "a store of which paths disagree what it does");
		break;
	case FLAG_ITERATOR:
	case FLAG_OTHER:
		break;
	}
	/* 1.18 calls throw, which the compiler knows not to return: the clear then stores what the check
	 * loaded, with a branch between. */
	bool has_run = site->kind == FLAG_SET ||
		       (site->kind == FLAG_CLEAR && rt->version.minor > 18);
	if (has_run && (!site->run_is_pure || site->run == site->addr || site->map_reg >= 32))
		fail(fn, site->addr, "a store without its run");
}

static void print_function(struct runtime *rt, const struct function *fn)
{
	struct flagsites sites;
	struct error err;
	const void *code = memory_view(rt->target->memory, fn->entry, fn->end - fn->entry);
	if (!code) {
		fail(fn, fn->entry, "no code");
		return;
	}
	if (flagsites_find(rt->target->arch, rt->swiss ? MAP_SWISS : MAP_HMAP, code,
			   fn->end - fn->entry, fn->entry, callee, rt, &sites, &err) != OK) {
		fail(fn, fn->entry, err.text);
		return;
	}
	if (!sites.complete)
		fail(fn, fn->entry, "not followed to its end");
	if (sites.count)
		printf("%s", fn->name);
	for (size_t i = 0; i < sites.count; i++) {
		static const char *const roles[] = {":none", ":entry", ":exit"};
		const struct flag_site *site = &sites.list[i];
		printf(" %c%" PRIx64 "%s", "CSRTFLo"[site->kind], site -> addr - fn -> entry,
		       site -> kind == FLAG_CHECK ? roles[site->role] : "");
		hold(rt, fn, &sites, site);
	}
	if (sites.count)
		printf("\n");
	flagsites_done(&sites);
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct error err;
	if (argc != 2) {
		fprintf(stderr, "usage: flag_print EXECUTABLE\n");
		return 64;
	}
	const struct target_options options = {0};
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK) {
		fprintf(stderr, "%s: %s\n", argv[1], err.text);
		return 2;
	}
	for (size_t i = 0; i < pclntab_count(rt->pclntab); i++) {
		struct function fn;
		if (pclntab_at(rt->pclntab, i, &fn) && flagsites_is_map_function(fn.name))
			print_function(rt, &fn);
	}
	notes_done(&notes);
	return failures != 0;
}
