#include "verdict/readiness.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "go/type.h"
#include "maps/code.h"

struct items {
	struct readiness_item *list;
	size_t count;
};

[[gnu::format(printf, 5, 6)]] static void add(struct items *items, const char *name,
					      enum readiness state, const char *advice,
					      const char *fmt, ...)
{
	struct readiness_item *item = &items->list[items->count++];
	va_list ap;
	*item = (struct readiness_item){
		.name = name, .state = state, .advice = state == READY ? NULL : advice};
	va_start(ap, fmt);
	vsnprintf(item->found, sizeof(item->found), fmt, ap);
	va_end(ap);
}

static void version_item(struct items *items, const struct runtime *rt)
{
	if (!rt->layout_exact)
		add(items, "version", READY_LESS,
		    "use a mapcrash that knows this version: the layouts of an older one are "
		    "assumed",
		    "%s, newer than what this mapcrash knows", rt->version.text);
	else if (!rt->version.from_build)
		add(items, "version", READY_LESS,
		    "keep the build information: it says surely which Go built the program",
		    "%s, from a string: no build information", rt->version.text);
	else
		add(items, "version", READY, NULL, "%s, %s", rt->version.text,
		    rt->swiss ? "Swiss maps" : "bucket maps");
}

static void types_item(struct items *items, struct runtime *rt)
{
	uint64_t count = 0, addr;
	for (uint64_t at = 0; type_next(rt, at, KIND_MAP, &addr); at = addr)
		count++;
	add(items, "types", count ? READY : READY_LESS,
	    "no map type was found: keys have no values then", "%" PRIu64 " map types", count);
}

static void build_id_item(struct items *items, const struct runtime *rt)
{
	const struct build_id *id = rt->target->exe ? executable_build_id(rt->target->exe) : NULL;
	if (id && (id->go[0] || id->gnu_len))
		add(items, "build id", READY, NULL, "%s%s%s", id->go[0] ? "Go's" : "",
		    id->go[0] && id->gnu_len ? " and " : "", id->gnu_len ? "GNU's" : "");
	else
		add(items, "build id", READY_LESS,
		    "do not link with -buildid=: nothing tells then whether this file and a core "
		    "belong together",
		    "none");
}

static void names_item(struct items *items, const struct runtime *rt)
{
	struct section section;
	if (target_section(rt->target, ".debug_info", &section) ||
	    target_section(rt->target, ".zdebug_info", &section))
		add(items, "names", READY, NULL, "DWARF");
	else
		add(items, "names", READY_LESS,
		    "keep a copy that is linked without -s -w, and give it with --exe: maps and "
		    "arguments get their names",
		    "no DWARF: functions, lines and types have names, variables have none");
}

static enum status map_functions_item(struct items *items, struct runtime *rt, struct error *err)
{
	struct map_codes codes;
	size_t sets = 0, clears = 0, checks = 0, open = 0;
	if (map_codes_find(rt, NULL, &codes, err) != OK) {
		if (err->code == ERROR_NOMEM)
			return FAILED;
		add(items, "map code", READY_NOT,
		    "no goroutine can be shown to be inside a write without them", "%.120s",
		    err->text);
		return OK;
	}
	for (size_t i = 0; i < codes.count; i++) {
		const struct flagsites *sites = &codes.list[i].sites;
		open += !sites->complete;
		for (size_t s = 0; s < sites->count; s++) {
			sets += sites->list[s].kind == FLAG_SET;
			clears += sites->list[s].kind == FLAG_CLEAR;
			checks += sites->list[s].kind == FLAG_CHECK;
		}
	}
	bool all = sets && clears && checks && !open;
	add(items, "map code", all ? READY : READY_LESS,
	    "part of the code that sets the flag is not understood: fewer races are proven",
	    "%zu functions recognised: %zu checks, %zu sets, %zu clears", codes.count, checks, sets,
	    clears);
	map_codes_done(&codes);
	return OK;
}

enum status readiness_of_binary(struct runtime *rt, struct readiness_item ret[READINESS_MAX],
				size_t *ret_count, struct error *err)
{
	struct items items = {ret, 0};
	version_item(&items, rt);
	add(&items, "functions", READY, NULL, "%zu, with lines", pclntab_count(rt->pclntab));
	types_item(&items, rt);
	build_id_item(&items, rt);
	names_item(&items, rt);
	if (map_functions_item(&items, rt, err) != OK)
		return FAILED;
	*ret_count = items.count;
	return OK;
}

static void limit_item(struct items *items, const struct core_settings *s)
{
	if (!s->has_limit)
		return;
	if (s->goes == CORE_PROGRAM)
		add(items, "core limit", READY, NULL, "does not hold for a core that is piped");
	else if (s->soft == UINT64_MAX)
		add(items, "core limit", READY, NULL, "unlimited");
	else if (!s->soft)
		add(items, "core limit", READY_LESS,
		    s->hard ? "ulimit -c unlimited (systemd: LimitCORE=infinity; docker: --ulimit "
			      "core=-1)"
			    : "root must raise the hard limit (systemd: LimitCORE=infinity; "
			      "docker: --ulimit core=-1)",
		    "0: no core is written");
	else
		add(items, "core limit", READY_LESS,
		    "ulimit -c unlimited: a core that is cut off has no heap to its end",
		    "%" PRIu64 " bytes", s->soft);
}

static void pattern_item(struct items *items, const struct core_settings *s)
{
	char dir[256];
	if (!s->has_pattern)
		return;
	switch (s->goes) {
	case CORE_NOWHERE:
		add(items, "core file", READY_LESS, "sysctl kernel.core_pattern=core",
		    "core_pattern is empty: no core is written");
		break;
	case CORE_WORKING_DIR:
		add(items, "core file", READY, NULL,
		    "%.100s in the process's working directory, which it must be able to write",
		    s->pattern[0] ? s->pattern : ".PID");
		break;
	case CORE_DIR:
		if (core_settings_dir(s, dir, sizeof(dir)) && access(dir, W_OK) != 0)
			add(items, "core file", READY_LESS,
			    "make the directory, writable for the service's user",
			    "%.100s, which cannot be written from here", s->pattern);
		else
			add(items, "core file", READY, NULL, "%.120s", s->pattern);
		break;
	case CORE_PROGRAM:
		if (strstr(s->pattern, "systemd-coredump"))
			add(items, "core file", READY, NULL,
			    "kept by systemd: coredumpctl dump -o core PID");
		else if (strstr(s->pattern, "apport"))
			add(items, "core file", READY_LESS,
			    "sysctl kernel.core_pattern=core: apport drops cores of programs that "
			    "are in no package",
			    "piped to apport");
		else
			add(items, "core file", READY_LESS,
			    "see what that program does with it, or sysctl "
			    "kernel.core_pattern=core",
			    "piped to %.100s", s->pattern + 1);
		break;
	}
}

static void filter_item(struct items *items, const struct core_settings *s)
{
	if (!s->has_filter)
		return;
	add(items, "core content", s->filter & 1 ? READY : READY_LESS,
	    "echo 0x33 > /proc/PID/coredump_filter before the program starts: it inherits it",
	    "coredump_filter 0x%" PRIx32 "%s", s->filter,
	    s->filter & 1 ? ": heap and stacks" : ": heap and stacks are left out");
}

static void traceback_item(struct items *items, const struct runtime *rt, const char *traceback)
{
	if (!traceback || !*traceback || strcmp(traceback, "single") == 0 ||
	    strcmp(traceback, "1") == 0)
		/* runtime1.go, gotraceback: all is throwing >= throwTypeUser up to 1.25, > from 1.26 on */
		add(items, "GOTRACEBACK", READY_LESS,
		    "GOTRACEBACK=crash: without it, Go prints and exits, and no core is left",
		    "%s: %s", traceback && *traceback ? traceback : "not set",
		    rt->version.minor >= 26 ? "one goroutine is printed, the other side is left out"
					    : "goroutines are printed without the map's address");
	else if (strcmp(traceback, "crash") == 0)
		add(items, "GOTRACEBACK", READY, NULL, "crash");
	else if (strcmp(traceback, "none") == 0 || strcmp(traceback, "0") == 0)
		add(items, "GOTRACEBACK", READY_LESS, "GOTRACEBACK=crash",
		    "none: no goroutine is printed, and no core is left");
	else
		add(items, "GOTRACEBACK", READY_LESS,
		    "GOTRACEBACK=crash: without it, Go prints and exits, and no core is left",
		    "%.40s: no core is left", traceback);
}

size_t readiness_of_machine(const struct runtime *rt, const struct core_settings *settings,
			    const char *traceback, struct readiness_item ret[READINESS_MAX])
{
	struct items items = {ret, 0};
	limit_item(&items, settings);
	pattern_item(&items, settings);
	filter_item(&items, settings);
	traceback_item(&items, rt, traceback);
	return items.count;
}

enum readiness readiness_worst(const struct readiness_item *items, size_t count)
{
	enum readiness worst = READY;
	for (size_t i = 0; i < count; i++)
		if (items[i].state > worst)
			worst = items[i].state;
	return worst;
}

const char *readiness_name(enum readiness state)
{
	static const char *const names[] = {
		[READY] = "ok",
		[READY_LESS] = "less",
		[READY_NOT] = "not",
	};
	return names[state];
}
