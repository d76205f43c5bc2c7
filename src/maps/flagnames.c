#include <string.h>

#include "maps/flagsites.h"

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

enum flag_callee flag_callee_by_name(const char *name)
{
	/* None of these returns: runtime/panic.go, runtime/error.go, and the stubs that jump to
	 * runtime.goPanicIndex and its like. */
	static const char *const noreturn[] = {
		"runtime.gopanic",	     "runtime.goexit", "runtime.goPanic", "runtime.panic",
		"runtime.unreachableMethod",
	};
	if (!name)
		return FLAG_CALLEE_OTHER;
	if (strcmp(name, "runtime.fatal") == 0 || strcmp(name, "internal/runtime/maps.fatal") == 0)
		return FLAG_CALLEE_FATAL;
	if (strcmp(name, "runtime.throw") == 0)
		return FLAG_CALLEE_THROW;
	/* panicCheck1 and 2 look whether a panic is allowed here, and return */
	if (has_prefix(name, "runtime.panicCheck"))
		return FLAG_CALLEE_OTHER;
	for (size_t i = 0; i < sizeof(noreturn) / sizeof(noreturn[0]); i++) {
		if (has_prefix(name, noreturn[i]))
			return FLAG_CALLEE_NORETURN;
	}
	return FLAG_CALLEE_OTHER;
}

bool flagsites_is_map_function(const char *name)
{
	/* runtime/map.go, map_fast*.go up to 1.23; internal/runtime/maps and runtime/map_swiss.go
	 * (1.26: map.go) from 1.24 on */
	static const char *const prefixes[] = {
		"runtime.mapaccess",
		"runtime.mapassign",
		"runtime.mapdelete",
		"runtime.mapclear",
		"runtime.mapiterinit",
		"runtime.mapiternext",
		"runtime.mapclone",
		"runtime.mapIterStart",
		"runtime.mapIterNext",
		"internal/runtime/maps.(*Map).",
		"internal/runtime/maps.(*Iter).",
		"internal/runtime/maps.runtime_map",
		"internal/runtime/maps.mapaccess",
		"internal/runtime/maps.mapassign",
	};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (has_prefix(name, prefixes[i]))
			return true;
	}
	return false;
}
