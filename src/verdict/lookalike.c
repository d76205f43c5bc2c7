#include "verdict/lookalike.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/call.h"
#include "maps/flagsites.h"
#include "verdict/reach.h"
#include "verdict/search.h"

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* The runtime's way from what went wrong to the panic (runtime/panic.go, signal_unix.go). */
static bool is_panic_machinery(const char *name)
{
	return strcmp(name, "runtime.gopanic") == 0 || strcmp(name, "runtime.sigpanic") == 0 ||
	       starts_with(name, "runtime.panic") || starts_with(name, "runtime.goPanic") ||
	       starts_with(name, "runtime.sigpanic") || starts_with(name, "runtime.fatal") ||
	       strcmp(name, "runtime.throw") == 0 ||
	       strcmp(name, "internal/runtime/maps.fatal") == 0;
}

static bool is_map_code(const char *name)
{
	return flagsites_is_map_function(name) || starts_with(name, "internal/runtime/maps.") ||
	       starts_with(name, "runtime.evacuate") || starts_with(name, "runtime.growWork") ||
	       starts_with(name, "runtime.hashGrow") || starts_with(name, "runtime.(*hmap).") ||
	       starts_with(name, "runtime.(*bmap).") ||
	       starts_with(name, "runtime.advanceEvacuationMark");
}

/* What the map's code calls to look at keys: it faults where a slot holds no key. */
static bool is_key_code(const char *name)
{
	return starts_with(name, "mem") || starts_with(name, "runtime.mem") ||
	       starts_with(name, "aeshash") || starts_with(name, "runtime.strhash") ||
	       starts_with(name, "runtime.typedmem") || starts_with(name, "cmpbody") ||
	       starts_with(name, "runtime.strequal") || starts_with(name, "type:.") ||
	       starts_with(name, "type..") || starts_with(name, "runtime.bulkBarrier");
}

/* What the map's code is told of by a panic of its own: not that the map is broken. */
static bool is_misuse(const char *message)
{
	return message && (strstr(message, "nil map") || strstr(message, "unhashable") ||
			   strstr(message, "uncomparable"));
}

bool lookalike_in_map(struct runtime *rt, const struct crash *crash, char **ret)
{
	const struct frames *frames = &crash->frames;
	bool fault = false, bounds = false;
	size_t i = 0, start = 0;
	struct map_call call;
	if (crash->kind < CRASH_FATAL || is_misuse(crash->message) ||
	    !map_call_of_stack(rt, frames->list, frames->count, &call))
		return false;
	for (; i <= call.frame && is_panic_machinery(frames->list[i].function.name); i++) {
		fault |= starts_with(frames->list[i].function.name, "runtime.sigpanic");
		bounds |= starts_with(frames->list[i].function.name, "runtime.goPanic");
	}
	start = i;
	while (i <= call.frame && is_key_code(frames->list[i].function.name))
		i++;
	/* A fault in a key's code is one of the map's; a fatal error is only where the map's code calls
	 * it. */
	if (i > call.frame || !is_map_code(frames->list[i].function.name) ||
	    (i > start && !fault && crash->kind != CRASH_SIGNAL))
		return false;
	const char *what = crash->kind == CRASH_FATAL ? crash->message
			   : bounds		      ? "an index out of range"
						      : "a fault";
	return asprintf(ret, "%s inside %s: the map broke under it", what ? what : "a fatal error",
			frames->list[call.frame].function.name) >= 0;
}

bool lookalike_add_late(char **what)
{
	char *longer;
	if (asprintf(&longer,
		     "%s; its memory is in order by now, so it was changed just then, or published "
		     "without a lock or an atomic store and seen before it was whole",
		     *what) < 0)
		return false;
	free(*what);
	*what = longer;
	return true;
}

char *lookalike_hint(struct runtime *rt, const struct crash *crash,
		     const struct goroutines *goroutines)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	char *hint = NULL;
	bool run_time = crash->kind == CRASH_SIGNAL ||
			(crash->kind == CRASH_PANIC && crash->what &&
			 strcmp(crash->what, "explicit panic") != 0 && !is_misuse(crash->message));
	for (size_t i = 0; run_time && !hint && i < goroutines->count; i++) {
		const struct goroutine *g = &goroutines->list[i];
		struct map_call call;
		struct reach reach;
		/* Who waits is not in a map. */
		if (g->g == crash->goroutine.g || g->status == GOROUTINE_WAITING ||
		    frames_collect(&walk, rt, g, FRAMES_SEARCH_MAX, &frames, NULL) != OK ||
		    !map_call_of_stack(rt, frames.list, frames.count, &call) ||
		    !operation_writes(call.operation) || !call.has_map ||
		    !reach_map(rt, &crash->goroutine, &crash->frames, call.map.value, &reach))
			continue;
		if (asprintf(&hint,
			     "goroutine %llu was in %s meanwhile, on the map at 0x%llx that this "
			     "goroutine's frames lead to: a race of that map may be behind it",
			     (unsigned long long)g->id, frames.list[call.frame].function.name,
			     (unsigned long long)call.map.value) < 0)
			hint = NULL;
	}
	stack_walk_done(&walk);
	frames_done(&frames);
	return hint;
}
