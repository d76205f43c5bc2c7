#include "maps/tracecall.h"

#include <string.h>

#include "go/stack.h"

/*
 * Functions that a write calls between the set and the clear of the flag, and nobody else calls, with
 * the words that are map and type. Sources: runtime/map*.go of Go 1.18 to 1.23,
 * internal/runtime/maps/{map,table,runtime_fast*}.go of 1.24 to 1.27. A name that ends in '*' is a
 * prefix. Bucket maps also get overflow buckets for a clone, which is no write of the map that is
 * cloned: such a function counts only where the write's own frame is shown (needs_caller).
 */
static const struct inner_function {
	const char *package, *name;
	int8_t map_word, type_word; /* -1: none */
	bool needs_caller;
	enum operation operation; /* UNKNOWN: any write */
} inner_functions[] = {
	{"runtime.", "growWork*", 1, 0, true, OPERATION_UNKNOWN},
	{"runtime.", "evacuate*", 1, 0, true, OPERATION_UNKNOWN},
	{"runtime.", "hashGrow", 1, 0, true, OPERATION_UNKNOWN},
	{"runtime.", "(*hmap).newoverflow", 0, 1, true, OPERATION_UNKNOWN},
	{"runtime.", "(*hmap).createOverflow", 0, -1, true, OPERATION_UNKNOWN},
	{"runtime.", "advanceEvacuationMark", 0, 1, true, OPERATION_UNKNOWN},
	{"internal/runtime/maps.", "(*table).PutSlot", 2, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).Delete", 2, 1, false, OPERATION_DELETE},
	{"internal/runtime/maps.", "(*table).rehash", 2, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).split", 2, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).grow", 2, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).pruneTombstones", 2, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).uncheckedPutSlot*", -1, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*table).Clear", -1, 1, false, OPERATION_CLEAR},
	{"internal/runtime/maps.", "(*Map).growToSmall", 0, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*Map).growToTable", 0, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*Map).putSlotSmall*", 0, 1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*Map).deleteSmall", 0, 1, false, OPERATION_DELETE},
	{"internal/runtime/maps.", "(*Map).clearSmall", 0, 1, false, OPERATION_CLEAR},
	{"internal/runtime/maps.", "(*Map).installTableSplit", 0, -1, false, OPERATION_ASSIGN},
	{"internal/runtime/maps.", "(*Map).replaceTable", 0, -1, false, OPERATION_ASSIGN},
};

static const struct inner_function *find_inner(const char *name)
{
	for (size_t i = 0; i < sizeof(inner_functions) / sizeof(inner_functions[0]); i++) {
		const struct inner_function *f = &inner_functions[i];
		size_t package = strlen(f->package), n = strlen(f->name);
		if (strncmp(name, f->package, package) != 0)
			continue;
		if (f->name[n - 1] == '*' ? strncmp(name + package, f->name, n - 1) == 0
					  : strcmp(name + package, f->name) == 0)
			return f;
	}
	return NULL;
}

bool trace_frame_is_fatal(const char *function)
{
	static const char *const names[] = {"runtime.fatal",
					    "runtime.throw",
					    "sync.fatal",
					    "sync.throw",
					    "internal/sync.fatal",
					    "internal/sync.throw",
					    "runtime.fatalthrow",
					    "internal/runtime/maps.fatal",
					    "internal/runtime/maps.throw"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(function, names[i]) == 0)
			return true;
	return false;
}

/* What one frame shows of a word; a certain value that contradicts another takes both their certainty. */
static void read_word(const struct trace_frame *f, int word, bool *ret_conflict,
		      struct trace_word *ret)
{
	if (word < 0 || word >= f->word_count || f->inlined)
		return;
	bool certain = f->certain >> word & 1;
	uint64_t value = f->words[word];
	if (certain && ret->certain && ret->value != value)
		*ret_conflict = true;
	if (ret->certain || (ret->known && !certain))
		return;
	*ret = (struct trace_word){value, true, certain};
}

static void read_key(const struct trace_frame *f, const struct map_function *m,
		     struct trace_call *call)
{
	int last = m->key_word + (m->key_form == KEY_STRING);
	if (m->key_form == KEY_NONE || call->key_form != KEY_NONE || f->inlined ||
	    last >= f->word_count)
		return;
	for (int word = m->key_word; word <= last; word++)
		if (!(f->certain >> word & 1))
			return;
	call->key_form = m->key_form;
	call->key = f->words[m->key_word];
	call->key_len = m->key_form == KEY_STRING ? f->words[last] : 0;
}

/* As map_function_by_name. maps.clone, which is linked to a function of the runtime's, is given the map in
 * an interface: type and map. */
static bool find_map_function(const char *name, struct map_function *ret)
{
	static const struct map_function clone = {OPERATION_CLONE, 0, 1, -1, -1, KEY_NONE};
	if (strcmp(name, "maps.clone") != 0)
		return map_function_by_name(name, ret);
	*ret = clone;
	return true;
}

bool trace_call_of_stack(const struct trace_frame *frames, size_t count, struct trace_call *ret)
{
	struct trace_call call = {0};
	bool map_conflict = false, type_conflict = false, found = false, needs_caller = false;
	size_t runtime = 0;
	while (runtime < count && (function_is_runtime(frames[runtime].function) ||
				   strcmp(frames[runtime].function, "maps.clone") == 0))
		runtime++;
	/* From the outermost frame in: the caller's call names operation and key. */
	for (size_t i = runtime; i-- > 0;) {
		const struct trace_frame *f = &frames[i];
		const struct inner_function *inner = find_inner(f->function);
		struct map_function m;
		if (inner) {
			read_word(f, inner->map_word, &map_conflict, &call.map);
			read_word(f, inner->type_word, &type_conflict, &call.type);
			call.inside = true;
			call.inside_function = f->function;
			needs_caller |= inner->needs_caller;
			if (call.operation == OPERATION_UNKNOWN && !call.has_function)
				call.operation = inner->operation;
		} else if (find_map_function(f->function, &m)) {
			read_word(f, m.map_word, &map_conflict, &call.map);
			read_word(f, m.type_word, &type_conflict, &call.type);
			if (!call.has_function)
				call.operation = m.operation;
			read_key(f, &m, &call);
			call.has_function = true;
			call.handler = i;
		} else {
			if (found && trace_frame_is_fatal(f->function))
				call.fatal = true;
			if (found && strcmp(f->function, "panic") == 0)
				call.panics = true;
			continue;
		}
		if (!found)
			call.frame = i;
		found = true;
	}
	if (!found)
		return false;
	call.writes = call.inside || operation_writes(call.operation);
	if (call.has_function && !operation_writes(call.operation))
		call.writes = call.inside = false;
	if (needs_caller && !call.has_function)
		call.inside = false;
	/* A check that failed has not set the flag, or has lost it; a panic leaves the call half done. */
	if (call.fatal || call.panics)
		call.inside = false;
	call.map.certain &= !map_conflict;
	call.type.certain &= !type_conflict;
	*ret = call;
	return true;
}
