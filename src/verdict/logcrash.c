#include "verdict/logcrash.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/stack.h"
#include "go/type.h"
#include "maps/code.h"

void log_crash_text_init(struct log_crash_text *crash, uint64_t line)
{
	*crash = (struct log_crash_text){
		.line = line, .last_line = line, .shown = U64SET_INIT, .stacks = U64SET_INIT};
}

static void kept_done(struct kept *k)
{
	free(k->frames);
	free(k->args);
	*k = (struct kept){0};
}

void log_crash_text_done(struct log_crash_text *crash)
{
	kept_done(&crash->detector);
	for (size_t i = 0; i < crash->suspect_count; i++)
		kept_done(&crash->suspects[i]);
	free(crash->suspects);
	free(crash->message);
	u64set_done(&crash->shown);
	u64set_done(&crash->stacks);
	*crash = (struct log_crash_text){0};
}

/* The message as Go has it; of one that another was printed into, the message of a map that it begins
 * with. */
static char *message_text(const struct trace_message *m)
{
	static const char *const maps[] = {
		"concurrent map writes", "concurrent map read and map write",
		"concurrent map iteration and map write", "concurrent map clone and map write",
		"small map with no empty slot (concurrent map writes?)"};
	for (size_t i = 0; m->glued && i < sizeof(maps) / sizeof(maps[0]); i++)
		if (strlen(maps[i]) <= m->len && memcmp(m->text, maps[i], strlen(maps[i])) == 0)
			return strdup(maps[i]);
	return strndup(m->text, m->len);
}

void log_crash_message(struct log_crash_text *crash, const struct trace_message *m)
{
	crash->last_line = m->line;
	crash->from_signal |= m->kind == TRACE_SIGNAL;
	crash->quit |= m->kind == TRACE_QUIT || m->kind == TRACE_SEPARATOR;
	if (m->kind == TRACE_FATAL)
		crash->fatals += m->glued ? 2 : 1;
	/* The fatal error is what ended it, the first one; of panics, the last. */
	bool is_better = m->kind == TRACE_FATAL ? !crash->is_fatal
						: m->kind == TRACE_PANIC && !crash->is_fatal;
	if (!is_better)
		return;
	char *text = message_text(m);
	if (!text) {
		crash->out_of_memory = true;
		return;
	}
	free(crash->message);
	crash->message = text;
	crash->is_fatal = m->kind == TRACE_FATAL;
	crash->kind = crash->is_fatal ? crash_kind_of_message(text) : CRASH_PANIC;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

static bool is_running(const struct trace_goroutine *g)
{
	return strcmp(g->state, "running") == 0;
}

bool log_crash_ends_at_goroutine(const struct log_crash_text *crash,
				 const struct trace_goroutine *g)
{
	if (!g->id || !crash->goroutines)
		return false;
	/* A process prints each goroutine once. */
	if (u64set_has(&crash->shown, g->id))
		return true;
	return crash->has_detector && is_running(g) && !g->unavailable && g->count &&
	       crash->fatals < 2 && !crash->quit;
}

/* Whether a file is the standard library's: the folder is that of the package's path below a src, and
 * the path's first element has no dot. Under -trimpath it is the path itself. */
static bool is_library(const struct trace_frame *f)
{
	const char *slash = strrchr(f->function, '/');
	const char *dot = strchr(slash ? slash : f->function, '.');
	const char *first_slash = strchr(f->function, '/'), *first_dot = strchr(f->function, '.');
	if (!dot || !f->file || starts_with(f->function, "main.") ||
	    (first_slash && first_dot < first_slash))
		return false;
	/* time.Sleep and maps.clone are the runtime's, under the names of those who call them. */
	if (strstr(f->file, "/src/runtime/") || starts_with(f->file, "runtime/"))
		return true;
	const char *base = strrchr(f->file, '/');
	size_t package = (size_t)(dot - f->function);
	if (!base || (size_t)(base - f->file) < package)
		return false;
	const char *folder = base - package;
	if (memcmp(folder, f->function, package) != 0)
		return false;
	return folder == f->file ||
	       ((size_t)(folder - f->file) >= 5 && memcmp(folder - 5, "/src/", 5) == 0);
}

size_t trace_site(const struct trace_frame *frames, size_t count)
{
	size_t first = count;
	for (size_t i = 0; i < count; i++) {
		if (function_is_runtime(frames[i].function))
			continue;
		if (!is_library(&frames[i]))
			return i;
		if (first == count)
			first = i;
	}
	return first;
}

/* Index of the frame that frame i is inlined into, itself where it is not. */
static size_t physical(const struct trace_goroutine *g, size_t i)
{
	while (i + 1 < g->count && g->frames[i].inlined)
		i++;
	return i;
}

static uint64_t hash_stack(const struct trace_goroutine *g)
{
	uint64_t h = 0x9e3779b97f4a7c15 ^ g->count ^ (g->unavailable ? 1u << 16 : 0);
	for (size_t i = 0; i < g->count; i++) {
		const struct trace_frame *f = &g->frames[i];
		/* Names are kept once: their addresses are their identity. */
		h = (h ^ (uintptr_t)f->function) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
		h = (h ^ (uint64_t)(uint32_t)f->line << 32 ^ f->offset) * 0xc4ceb9fe1a85ec53;
		h ^= h >> 29;
	}
	h = (h ^ (uintptr_t)g->creator) * 0xff51afd7ed558ccd;
	return h ? h : 1;
}

static bool keep(const struct trace_goroutine *g, struct kept *k)
{
	size_t bytes = 0;
	for (size_t i = 0; i < g->count; i++)
		bytes += g->frames[i].args_len;
	k->frames = calloc(g->count ? g->count : 1, sizeof(*k->frames));
	k->args = malloc(bytes ? bytes : 1);
	if (!k->frames || !k->args) {
		kept_done(k);
		return false;
	}
	memcpy(k->frames, g->frames, g->count * sizeof(*k->frames));
	char *to = k->args;
	for (size_t i = 0; i < g->count; i++) {
		memcpy(to, g->frames[i].args, g->frames[i].args_len);
		k->frames[i].args = to;
		to += g->frames[i].args_len;
	}
	k->g = *g;
	k->g.frames = k->frames;
	return true;
}

static bool has_fatal(const struct trace_goroutine *g)
{
	for (size_t i = 0; i < g->count && function_is_runtime(g->frames[i].function); i++)
		if (trace_frame_is_fatal(g->frames[i].function))
			return true;
	return false;
}

/* Go's heap lies high up, on words; small numbers, types and tables of methods do not. */
static bool is_heap_pointer(uint64_t value)
{
	return value >= UINT64_C(1) << 32 && value < UINT64_C(1) << 47 && value % 8 == 0;
}

/* Whether some word that is surely value was given to code that its author wrote. */
static bool was_given(const struct trace_goroutine *g, uint64_t value)
{
	for (size_t i = 0; i < g->count; i++) {
		const struct trace_frame *f = &g->frames[i];
		for (unsigned w = 0; w < f->word_count; w++)
			if (f->words[w] == value && f->certain >> w & 1 &&
			    !function_is_runtime(f->function) && !is_library(f))
				return true;
	}
	return false;
}

static void add_pointers(struct log_crash_text *crash)
{
	const struct trace_goroutine *g = &crash->detector.g;
	for (size_t i = 0; i < g->count; i++) {
		const struct trace_frame *f = &g->frames[i];
		if (function_is_runtime(f->function) || is_library(f))
			continue;
		for (unsigned w = 0; w < f->word_count; w++)
			if (f->certain >> w & 1 && is_heap_pointer(f->words[w]) &&
			    crash->pointer_count < POINTERS_MAX)
				crash->pointers[crash->pointer_count++] = f->words[w];
	}
}

bool trace_is_awake(const struct trace_goroutine *g)
{
	return is_running(g) || strcmp(g->state, "runnable") == 0 ||
	       strcmp(g->state, "preempted") == 0;
}

/* How much of a function's name says whose code it is: a method's type, the function that a closure stands
 * in, else all. */
static size_t owner_length(const char *function)
{
	const char *slash = strrchr(function, '/');
	const char *base = slash ? slash : function;
	const char *receiver = strstr(base, ").");
	if (receiver)
		return (size_t)(receiver + 2 - function);
	const char *closure = strstr(base, ".func");
	if (closure)
		return (size_t)(closure + 1 - function);
	const char *first = strchr(base, '.'), *last = strrchr(base, '.');
	return last && last != first ? (size_t)(last + 1 - function) : strlen(function);
}

/* Whether the detector's site is in code of the same owner as some frame of g. */
static bool shares_code(const struct log_crash_text *crash, const struct trace_goroutine *g,
			bool *ret_same)
{
	const struct kept *d = &crash->detector;
	bool found = false;
	if (d->site == d->g.count)
		return false;
	const char *site = d->g.frames[d->site].function;
	size_t n = owner_length(site);
	for (size_t i = 0; i < g->count; i++) {
		const char *function = g->frames[i].function;
		bool whole = function[n - 1] != '.' && strlen(site) == n;
		if (strncmp(function, site, n) != 0 || (whole && function[n]))
			continue;
		found = true;
		*ret_same |= function == site;
	}
	return found;
}

/* The map type that a call's word names, at the executable's addresses; 0: not to be had. A
 * position-independent program was moved by what a printed PC tells. */
static uint64_t type_of_word(struct log_exe *exe, const struct kept *k)
{
	struct runtime *rt = log_exe_runtime(exe);
	uint64_t bias = 0, pc;
	struct function fn;
	struct type t;
	if (!k->in_call || !k->call.type.certain)
		return 0;
	for (size_t i = 0; i < k->g.count; i++)
		if (k->g.frames[i].pc && log_exe_frame(exe, &k->g.frames[i], &fn, &pc))
			bias = k->g.frames[i].pc - pc;
	uint64_t type = k->call.type.value - bias;
	return type_is_plausible(rt, type) && type_read(rt, type, &t, NULL) == OK &&
			       t.kind == KIND_MAP
		       ? type
		       : 0;
}

/* The map call that the innermost frame outside the runtime stands in. */
static const struct map_site *call_of(struct log_exe *exe, const struct trace_goroutine *g)
{
	struct function fn;
	uint64_t pc;
	size_t i = 0;
	while (i < g->count && function_is_runtime(g->frames[i].function))
		i++;
	if (i == g->count)
		return NULL;
	return log_exe_frame(exe, &g->frames[physical(g, i)], &fn, &pc) ? log_exe_call(exe, &fn, pc)
									: NULL;
}

/* Whether all frames that say where they stand are the executable's. */
static void check_frames(struct log_crash_text *crash, struct log_exe *exe,
			 const struct trace_goroutine *g)
{
	struct function fn;
	uint64_t pc;
	for (size_t i = 0; i < g->count; i++) {
		const struct trace_frame *f = &g->frames[i];
		if (f->inlined || !f->file || !f->offset)
			continue;
		if (log_exe_frame(exe, f, &fn, &pc))
			crash->frames_matched++;
		else
			crash->frames_strange++;
	}
	crash->exe_refused = crash->frames_strange > 0;
}

static enum operation operation_of(enum crash_kind kind)
{
	switch (kind) {
	case CRASH_MAP_READ_WRITE:
		return OPERATION_READ;
	case CRASH_MAP_ITERATE_WRITE:
		return OPERATION_ITERATE;
	case CRASH_MAP_CLONE_WRITE:
		return OPERATION_CLONE;
	default:
		return OPERATION_UNKNOWN;
	}
}

static void set_detector(struct log_crash_text *crash, struct log_exe *exe,
			 const struct trace_goroutine *g)
{
	struct kept *d = &crash->detector;
	if (!keep(g, d)) {
		crash->out_of_memory = true;
		return;
	}
	crash->has_detector = true;
	d->site = trace_site(d->frames, g->count);
	d->in_call = trace_call_of_stack(d->frames, g->count, &d->call);
	add_pointers(crash);
	if (exe)
		check_frames(crash, exe, &d->g);
	if (exe && !crash->exe_refused) {
		const struct map_site *site = call_of(exe, &d->g);
		crash->map_type = site && site->type ? site->type : type_of_word(exe, d);
		if (site) {
			crash->detector_site = *site;
			crash->has_detector_site = true;
		}
	}
	if (!d->in_call)
		d->call.operation = crash->has_detector_site ? crash->detector_site.operation
							     : operation_of(crash->kind);
}

/* Whether the executable's code shows that the call stands between the set and the clear of the flag.
 * Whether the printed PC is a return address is not always told: it must hold for both. */
static bool window_shows(struct log_exe *exe, struct kept *k)
{
	struct flagsites sites;
	struct function fn;
	uint64_t pc;
	const struct trace_frame *f = &k->g.frames[k->call.handler];
	if (!k->call.has_function || k->call.fatal || k->call.panics ||
	    !log_exe_frame(exe, f, &fn, &pc) ||
	    map_code_flagsites(log_exe_runtime(exe), &fn, &sites, NULL) != OK)
		return false;
	bool inside = flagsites_window(&sites, pc, true) == FLAG_WINDOW_INSIDE &&
		      flagsites_window(&sites, pc, false) == FLAG_WINDOW_INSIDE;
	for (size_t i = 0; inside && i < sites.count; i++) {
		const struct flag_site *s = &sites.list[i];
		if (s->kind != FLAG_SET && s->kind != FLAG_CLEAR && s->kind != FLAG_TOGGLE)
			continue;
		if (s->addr < pc)
			k->set_at = s->addr - fn.entry;
		else if (!k->clear_at)
			k->clear_at = s->addr - fn.entry;
	}
	k->window_at = pc - fn.entry;
	k->window_function = f->function;
	flagsites_done(&sites);
	return inside;
}

static enum tie tie_of_call(const struct log_crash_text *crash, struct log_exe *exe, struct kept *k)
{
	const struct kept *d = &crash->detector;
	const struct trace_word *mine = &k->call.map, *its = &d->call.map;
	bool both = d->in_call && mine->known && its->known && mine->value && its->value;
	if (!k->call.writes)
		return TIE_NONE;
	if (both && mine->value == its->value && (mine->certain || its->certain)) {
		k->map_agrees = mine->certain && its->certain;
		if (k->call.fatal)
			return TIE_FATAL_MAP;
		if (k->call.inside) {
			k->window_function = k->call.inside_function;
			return TIE_INSIDE;
		}
		return exe && window_shows(exe, k) ? TIE_INSIDE : TIE_IN_MAP;
	}
	if (both && mine->certain && its->certain)
		return TIE_NONE; /* another map */
	const struct trace_word *type = &k->call.type, *its_type = &d->call.type;
	if (d->in_call && type->certain && its_type->certain)
		return type->value == its_type->value ? TIE_IN_TYPE : TIE_NONE;
	if (exe && crash->map_type) {
		uint64_t mine_type = type_of_word(exe, k);
		if (mine_type)
			return map_types_alike(log_exe_runtime(exe), mine_type, crash->map_type)
				       ? TIE_IN_TYPE
				       : TIE_NONE;
	}
	return TIE_SOME_MAP;
}

/* What the executable knows of the goroutine's code: whether it stands in a write of such a map, and
 * whether some function on its stack writes such maps. */
static void look_at_code(const struct log_crash_text *crash, struct log_exe *exe, struct kept *k)
{
	const struct map_site *site = call_of(exe, &k->g);
	struct function fn;
	uint64_t pc;
	k->at_write =
		site && operation_writes(site->operation) &&
		(!site->type || map_types_alike(log_exe_runtime(exe), site->type, crash->map_type));
	if (!k->at_write)
		site = NULL;
	for (size_t i = 0; i < k->g.count && !site; i++) {
		const struct trace_frame *f = &k->g.frames[i];
		if (!f->inlined && !function_is_runtime(f->function) &&
		    log_exe_frame(exe, f, &fn, &pc))
			site = log_exe_write(exe, &fn, pc, crash->map_type);
	}
	k->writer = site;
	k->write = site ? site_of_pc(log_exe_runtime(exe), site->call) : (struct site){0};
	k->write_operation = site ? site->operation : OPERATION_UNKNOWN;
}

static enum tie find_tie(const struct log_crash_text *crash, struct log_exe *exe, struct kept *k)
{
	const struct trace_goroutine *g = &k->g;
	bool same = false,
	     died_writing = crash->kind == CRASH_MAP_WRITES || crash->kind == CRASH_MAP_SMALL_FULL;
	if (k->in_call) {
		enum tie tie = tie_of_call(crash, exe, k);
		if (tie != TIE_NONE || k->call.writes)
			return tie;
	}
	if (has_fatal(g) || (crash->fatals > 1 && is_running(g) && g->count))
		return TIE_FATAL;
	/* Who has waited for minutes has not written just now. */
	if (g->minutes)
		return TIE_NONE;
	if (g->unavailable)
		return TIE_UNSEEN;
	bool code = shares_code(crash, g, &same);
	k->writer = same && died_writing;
	if (k->writer) {
		const struct trace_frame *f = &crash->detector.frames[crash->detector.site];
		k->write = (struct site){f->function, f->file, f->line, 0};
		k->write_operation = crash->detector.call.operation;
	}
	if (exe && crash->map_type)
		look_at_code(crash, exe, k);
	const struct trace_word *map = &crash->detector.call.map;
	if (crash->detector.in_call && map->certain && was_given(g, map->value)) {
		k->shared = map->value;
		return TIE_MAP;
	}
	for (size_t i = 0; i < crash->pointer_count; i++) {
		if (!was_given(g, crash->pointers[i]))
			continue;
		k->shared = crash->pointers[i];
		return TIE_OBJECT;
	}
	if (k->writer && exe && crash->map_type)
		return TIE_TYPE;
	if (code)
		return TIE_CODE;
	bool is_own = k->site < g->count && !is_library(&g->frames[k->site]);
	return is_own && trace_is_awake(g) ? TIE_AWAKE : TIE_NONE;
}

int kept_strength(const struct kept *k)
{
	return (int)k->tie * 16 + k->at_write * 8 + k->writer * 4 + trace_is_awake(&k->g) * 2;
}

static void add_suspect(struct log_crash_text *crash, struct kept *k)
{
	for (size_t i = 0; i < crash->suspect_count; i++) {
		struct kept *s = &crash->suspects[i];
		if (s->hash == k->hash && s->tie == k->tie && s->tie < TIE_FATAL &&
		    s->shared == k->shared) {
			s->alike++;
			return;
		}
	}
	if (!crash->suspects)
		crash->suspects = calloc(SUSPECTS_MAX, sizeof(*crash->suspects));
	size_t at = crash->suspect_count;
	if (at == SUSPECTS_MAX) {
		at = 0;
		for (size_t i = 1; i < SUSPECTS_MAX; i++)
			if (kept_strength(&crash->suspects[i]) <
			    kept_strength(&crash->suspects[at]))
				at = i;
		crash->suspects_dropped++;
		if (kept_strength(&crash->suspects[at]) >= kept_strength(k))
			return;
		crash->suspects_dropped += crash->suspects[at].alike;
		kept_done(&crash->suspects[at]);
	}
	struct kept copy = *k;
	struct trace_goroutine g = k->g;
	if (!crash->suspects || !keep(&g, &copy)) {
		crash->out_of_memory = true;
		return;
	}
	crash->suspects[at] = copy;
	crash->suspect_count += at == crash->suspect_count;
}

void log_crash_goroutine(struct log_crash_text *crash, struct log_exe *exe,
			 const struct trace_goroutine *g)
{
	crash->last_line = g->last_line;
	crash->foreign += g->foreign;
	for (size_t i = 0; i < g->count && !crash->minor; i++)
		if (g->frames[i].file)
			crash->minor = trace_version(g->frames[i].file, crash->version,
						     sizeof(crash->version));
	if (!g->id)
		return; /* the runtime's own stack */
	crash->goroutines++;
	if (g->count)
		(void)u64set_add(&crash->shown, g->id);
	struct kept k = {.g = *g, .hash = hash_stack(g)};
	(void)u64set_add(&crash->stacks, k.hash);
	if (!crash->has_detector && g->count && (is_running(g) || has_fatal(g))) {
		set_detector(crash, exe, g);
		return;
	}
	crash->others += !g->creator || !starts_with(g->creator, "runtime.");
	if (!crash->has_detector || crash->kind < CRASH_MAP_WRITES ||
	    crash->kind > CRASH_MAP_SMALL_FULL)
		return;
	k.in_call = trace_call_of_stack(g->frames, g->count, &k.call);
	k.site = trace_site(g->frames, g->count);
	k.tie = find_tie(crash, crash->exe_refused ? NULL : exe, &k);
	if (k.tie != TIE_NONE)
		add_suspect(crash, &k);
}
