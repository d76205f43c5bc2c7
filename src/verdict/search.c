#include "verdict/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "insn/insn.h"
#include "maps/code.h"
#include "maps/generic.h"
#include "maps/owner.h"
#include "verdict/reach.h"
#include "verdict/way.h"

/* Functions that are decoded for that, in one search: bounds the time on huge programs. */
enum { CALL_FUNCTIONS_MAX = 4000 };
/* Sites whose map's owner is asked for: the code of each function is followed for it. */
enum { OWNED_SITES_MAX = 200 };
/* Frames that a site's map is followed over: its own, and its callers. */
enum { SITE_CALLERS_MAX = 4 };
/* Direct callees of one function that are followed. */
enum { CALLEES_MAX = 256 };

/* What is known of a function: the write that its code leads to. */
struct reached_write {
	uint64_t entry;
	int site; /* index in sites, -1 none */
	unsigned depth; /* calls away; 0: in the function itself */
	uint64_t via[CALL_DEPTH_MAX]; /* depth instructions that name the next callee on the way */
	uint64_t shown; /* the instruction on the way there that is the innermost one outside Go's
			   library: the write itself, or the call that leads to it */
};

struct known_flagsites {
	uint64_t entry;
	struct flagsites sites;
};

struct search {
	struct runtime *rt;
	const struct library *library;
	struct map map;
	struct detector detector;
	struct map_sites sites; /* writes of this map type in the whole program */
	bool has_sites;
	struct reached_write *reached;
	size_t reached_count, reached_cap, decoded;
	struct known_flagsites *flagsites;
	size_t flagsites_count, flagsites_cap;
	struct stack_walk walk;
	struct frames frames;
};

enum status search_new(struct runtime *rt, const struct library *library, const struct map *map,
		       const struct detector *detector, struct search **ret, struct error *err)
{
	AUTO_SEARCH struct search *s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(err);
	s->rt = rt;
	s->library = library;
	s->map = *map;
	s->detector = *detector;
	*ret = TAKE(s);
	return OK;
}

void search_free(struct search *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->flagsites_count; i++)
		flagsites_done(&s->flagsites[i].sites);
	free(s->flagsites);
	free(s->reached);
	map_sites_done(&s->sites);
	stack_walk_done(&s->walk);
	frames_done(&s->frames);
	free(s);
}

/* Whether name is a struct's field that no other package can name: "net.(*ipv6ZoneCache).toIndex". */
static bool is_private_field(const char *name)
{
	const char *close = strstr(name, ".(*") ? strstr(name, ").") : NULL;
	return close && close[2] >= 'a' && close[2] <= 'z' && !strchr(close + 2, '.');
}

/* Whether the site is the library's own business: it writes a map that it has just made, or a private field
 * of the standard library's where this map is somebody else's. */
static bool is_foreign(struct search *s, const struct map_site *site)
{
	struct function fn;
	struct source_frame source[SOURCE_FRAMES_MAX];
	struct map_owner owner;
	if (!pclntab_find(s->rt->pclntab, site->call, &fn) ||
	    !pclntab_source(s->rt->pclntab, &fn, site->call, source) ||
	    !library_has(s->library, &source[0]) ||
	    !map_owner_of_call(s->rt, &fn, site->call, &owner))
		return false;
	const char *ours = s->detector.owner;
	bool foreign = owner.made_here ||
		       (owner.name && is_private_field(owner.name) && ours &&
			strcmp(owner.name, ours) != 0 && owner_in_library(s->rt, owner.name));
	map_owner_done(&owner);
	return foreign;
}

static void drop_foreign(struct search *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->sites.count; i++)
		if (i >= OWNED_SITES_MAX || !is_foreign(s, &s->sites.list[i]))
			s->sites.list[kept++] = s->sites.list[i];
	s->sites.count = kept;
}

enum status search_sites(struct search *s, const struct map_sites **ret, struct error *err)
{
	if (!s->has_sites &&
	    map_writers_find(s->rt, s->map.type.type.addr, false, &s->sites, err) != OK)
		return FAILED;
	if (!s->has_sites)
		drop_foreign(s);
	s->has_sites = true;
	*ret = &s->sites;
	return OK;
}

const struct flagsites *search_flagsites(struct search *s, const struct function *fn)
{
	for (size_t i = 0; i < s->flagsites_count; i++)
		if (s->flagsites[i].entry == fn->entry)
			return &s->flagsites[i].sites;
	struct known_flagsites known = {.entry = fn->entry};
	if (map_code_flagsites(s->rt, fn, &known.sites, NULL) != OK)
		return NULL;
	if (!ARRAY_PUSH(s->flagsites, s->flagsites_count, s->flagsites_cap, known)) {
		flagsites_done(&known.sites);
		return NULL;
	}
	return &s->flagsites[s->flagsites_count - 1].sites;
}

/* A write of the map's type in the function with this index itself, rather one whose type is known,
 * rather an assignment; -1. */
static int direct_site(const struct search *s, uint32_t function)
{
	int best = -1, best_worth = -1;
	for (size_t i = 0; i < s->sites.count; i++) {
		const struct map_site *site = &s->sites.list[i];
		int worth = 2 * (site->type != 0) + (site->operation == OPERATION_ASSIGN);
		if (site->function != function || worth <= best_worth)
			continue;
		best = (int)i;
		best_worth = worth;
	}
	return best;
}

/* The innermost source place at pc that the program's author wrote: library code may be inlined into it.
 * false where there is none. */
static bool own_site(struct search *s, uint64_t pc, struct site *ret)
{
	struct function fn;
	struct source_frame source[SOURCE_FRAMES_MAX];
	size_t n = pclntab_find(s->rt->pclntab, pc, &fn)
			   ? pclntab_source(s->rt->pclntab, &fn, pc, source)
			   : 0;
	for (size_t i = 0; i < n; i++) {
		if (library_has(s->library, &source[i]))
			continue;
		*ret = (struct site){source[i].function, source[i].file, source[i].line, pc};
		return true;
	}
	return false;
}

/* That, or what the library's own place is. */
static struct site shown_site(struct search *s, uint64_t pc)
{
	struct site site;
	return own_site(s, pc, &site) ? site : site_of_pc(s->rt, pc);
}

/*
 * The write of this map's type that the code of fn leads to, over at most CALL_DEPTH_MAX calls,
 * breadth first. A call into the runtime is not followed.
 */
static struct reached_write find_write(struct search *s, const struct function *fn)
{
	for (size_t i = 0; i < s->reached_count; i++)
		if (s->reached[i].entry == fn->entry)
			return s->reached[i];

	struct reached_write found = {.entry = fn->entry, .site = direct_site(s, fn->index)};
	struct callee_ref queue[CALLEES_MAX];
	size_t count = 0, from = 0, hit = 0;
	if (found.site < 0)
		count = function_callees(s->rt, fn, SIZE_MAX, queue, 0, CALLEES_MAX);
	for (unsigned depth = 1; found.site < 0 && depth <= CALL_DEPTH_MAX; depth++) {
		size_t end = count;
		for (; from < end && found.site < 0; from++) {
			struct function callee;
			if (!pclntab_find(s->rt->pclntab, queue[from].entry, &callee) ||
			    (function_is_runtime(callee.name) &&
			     strncmp(callee.name, "reflect.", 8) != 0))
				continue;
			found.site = direct_site(s, callee.index);
			found.depth = depth;
			hit = from;
			for (size_t i = hit, k = depth; k-- > 0; i = queue[i].from)
				found.via[k] = queue[i].at;
			if (found.site < 0 && depth < CALL_DEPTH_MAX &&
			    s->decoded++ < CALL_FUNCTIONS_MAX)
				count = function_callees(s->rt, &callee, from, queue, count,
							 CALLEES_MAX);
		}
	}
	if (found.site >= 0) {
		found.shown = s->sites.list[found.site].call;
		struct site own;
		for (size_t i = hit;
		     found.depth && i != SIZE_MAX && !own_site(s, found.shown, &own);
		     i = queue[i].from)
			found.shown = queue[i].at;
	}
	/* Memory gone only means that it is computed again. */
	(void)ARRAY_PUSH(s->reached, s->reached_count, s->reached_cap, found);
	return found;
}

/* Whether no call lies between the end of one call and the next call that returns to pc. */
static bool is_next_call(struct runtime *rt, const struct function *fn, uint64_t from, uint64_t pc)
{
	size_t size = (size_t)(fn->end - fn->entry);
	const uint8_t *code = memory_view(rt->target->memory, fn->entry, size);
	struct insn insn;
	if (!code || from >= pc || pc > fn->end)
		return false;
	for (uint64_t at = from; at < pc; at += insn.length) {
		size_t pos = (size_t)(at - fn->entry);
		if (!insn_decode_flow(rt->target->arch, code + pos, size - pos, at, &insn))
			return false;
		if (insn.flow == INSN_CALL && at + insn.length != pc)
			return false;
		if (insn.flow == INSN_JUMP || insn.flow == INSN_RETURN)
			return false;
	}
	return true;
}

/* The map that the write site in frame number i's function was given when it was last run, where the frame
 * still tells it. */
static bool map_of_site(struct search *s, size_t i, const struct map_site *site, uint64_t *ret)
{
	AUTO_STEPS struct steps *steps = NULL;
	struct frames near = s->frames;
	struct lock_way way = {.frames = &near, .first = i, .write_at = site->call};
	if (near.count > i + SITE_CALLERS_MAX)
		near.count = i + SITE_CALLERS_MAX;
	if (site->callee.map_word < 0 || steps_new(s->rt, &way, &steps, NULL) != OK ||
	    !steps->count || !step_open(steps, &steps->list[0]))
		return false;
	flow_id id = dataflow_argument(steps->list[0].flow, &steps->list[0].state,
				       (unsigned)site->callee.map_word);
	return step_value(steps, 0, id, ret);
}

/* What the write site in frame number i's function says, with the stack's own values at hand. */
static void weigh_site(struct search *s, size_t i, const struct map_site *site,
		       struct suspect *suspect)
{
	uint64_t map;
	const struct frame *frame = &s->frames.list[i];
	bool known = map_of_site(s, i, site, &map);
	if (known && map != s->map.addr)
		return; /* another map of this type, or one that it held then: no evidence */
	enum suspect_level level = known ? SUSPECT_WRITES : SUSPECT_TYPE;
	if (known && is_next_call(s->rt, &frame->function, site->next, frame->pc))
		level = SUSPECT_LEFT;
	/* The nearest write before the point where it stands is the likeliest to have been it. */
	bool is_nearer = site->call < frame->pc && suspect->site.pc <= site->call;
	if (level < suspect->level || (level == suspect->level && suspect->site.pc && !is_nearer))
		return;
	suspect->level = level;
	suspect->type_known = site->type != 0;
	suspect->is_remote = false;
	suspect->write_at = site->call;
	suspect->site_frame = i;
	suspect->via_count = 0;
	suspect->site = shown_site(s, site->call);
	suspect->operation = site->operation;
}

/* Holds the code on the goroutine's stack against the writes of this map's type. */
static void weigh_code(struct search *s, struct suspect *suspect)
{
	for (size_t i = 0; i < s->frames.count; i++) {
		const struct frame *frame = &s->frames.list[i];
		if (!frame->has_function || function_is_runtime(frame->function.name))
			continue;
		struct reached_write reached = find_write(s, &frame->function);
		if (reached.site < 0)
			continue;
		const struct map_site *site = &s->sites.list[reached.site];
		if (reached.depth == 0) {
			for (size_t k = 0; k < s->sites.count; k++)
				if (s->sites.list[k].function == frame->function.index)
					weigh_site(s, i, &s->sites.list[k], suspect);
		} else if (suspect->level < SUSPECT_TYPE || (!suspect->type_known && site->type)) {
			suspect->level = SUSPECT_TYPE;
			suspect->type_known = site->type != 0;
			suspect->is_remote = true;
			suspect->write_at = site->call;
			suspect->site_frame = i;
			suspect->via_count = reached.depth;
			memcpy(suspect->via, reached.via, sizeof(reached.via));
			suspect->site = shown_site(s, reached.shown);
			suspect->operation = site->operation;
		}
		if (suspect->level >= SUSPECT_WRITES)
			break;
	}
	/* Where the write is deep in the library, what the author wrote is further out. */
	struct site own;
	if (suspect->level == SUSPECT_TYPE && !own_site(s, suspect->site.pc, &own)) {
		own = frames_site(s->rt, s->library, &s->frames);
		if (own.function)
			suspect->site = own;
	}
}

static uint64_t call_of(struct search *s, const struct frame *frame)
{
	return call_returning_to(s->rt, &frame->function, frame->pc);
}

/*
 * Code that is on the detector's stack too leads to the detector's write, through whatever interfaces and
 * function values: its own stack shows the way. frames[i] is such a function for the innermost i.
 */
static void weigh_shared(struct search *s, struct suspect *suspect)
{
	const struct detector *d = &s->detector;
	if (!operation_writes(d->operation) || suspect->level >= SUSPECT_WRITES)
		return;
	for (size_t i = 0; i < s->frames.count; i++) {
		const struct frame *frame = &s->frames.list[i];
		if (!frame->has_function || function_is_runtime(frame->function.name))
			continue;
		/* In the function of the access itself its own values have told already. */
		for (size_t k = d->first + 1; k < d->frames->count; k++) {
			const struct frame *theirs = &d->frames->list[k];
			if (!theirs->has_function ||
			    theirs->function.entry != frame->function.entry)
				continue;
			suspect->level = SUSPECT_TYPE;
			suspect->type_known = suspect->is_remote = suspect->is_shared = true;
			suspect->operation = d->operation;
			suspect->site = frames_site(s->rt, s->library, d->frames);
			suspect->site_frame = i;
			suspect->via_count = 0;
			suspect->write_at = 0;
			if (k - d->first > WAY_MAX)
				return;
			while (k > d->first)
				suspect->via[suspect->via_count++] =
					call_of(s, &d->frames->list[k--]);
			suspect->write_at = call_of(s, &d->frames->list[d->first]);
			return;
		}
	}
}

/* Whether a pointer from this source is what the callee works on, not what some object says now. */
static bool source_is_certain(enum argument_source source)
{
	return source == ARGUMENT_SLOT || source == ARGUMENT_CONSTANT || source == ARGUMENT_STACK;
}

static void weigh_window(struct search *s, struct suspect *suspect)
{
	for (size_t i = suspect->call.inner; i <= suspect->call.frame; i++) {
		const struct frame *frame = &s->frames.list[i];
		if (!flagsites_is_map_function(frame->function.name))
			continue;
		const struct flagsites *sites = search_flagsites(s, &frame->function);
		if (!sites)
			continue;
		enum flag_window window = flagsites_window(sites, frame->pc, frame->is_exact);
		if (suspect->map_function && window != FLAG_WINDOW_INSIDE &&
		    window != FLAG_WINDOW_FATAL)
			continue;
		suspect->window = window;
		suspect->map_function = frame->function.name;
		suspect->map_pc = frame->pc;
		for (size_t k = 0; k < sites->count; k++) {
			const struct flag_site *site = &sites->list[k];
			if (site->kind == FLAG_SET && site->addr < frame->pc)
				suspect->set_at = site->addr - frame->function.entry;
			if (site->kind == FLAG_CLEAR && site->addr >= frame->pc &&
			    !suspect->clear_at)
				suspect->clear_at = site->addr - frame->function.entry;
		}
		if (window == FLAG_WINDOW_INSIDE || window == FLAG_WINDOW_FATAL)
			return;
	}
}

/* Fills suspect from the map call that the goroutine is in, if it writes this map or may. */
static void weigh_call(struct search *s, struct suspect *suspect)
{
	struct map_call call;
	if (!map_call_of_stack(s->rt, s->frames.list, s->frames.count, &call))
		return;
	suspect->in_call = true;
	suspect->call = call;
	if (!operation_writes(call.operation))
		return;
	bool other_map = call.has_map && call.map.value != s->map.addr;
	bool other_type = call.has_type &&
			  !map_types_alike(s->rt, call.type.value, s->map.type.type.addr);
	if (other_map || (!call.has_map && other_type))
		return;
	if (!call.has_map && !call.has_type)
		return;
	weigh_window(s, suspect);
	suspect->operation = call.operation;
	suspect->site = frames_site(s->rt, s->library, &s->frames);
	suspect->level = SUSPECT_IN_TYPE;
	if (!call.has_map)
		return;
	suspect->map_certain = source_is_certain(call.map.source);
	suspect->level = suspect->window == FLAG_WINDOW_INSIDE	? SUSPECT_INSIDE
			 : suspect->window == FLAG_WINDOW_FATAL ? SUSPECT_FATAL
								: SUSPECT_IN_MAP;
}

static bool is_parked(const struct goroutine *g)
{
	return g->status == GOROUTINE_WAITING;
}

static enum status weigh(struct search *s, const struct goroutine *g, struct suspects *ret,
			 struct error *err)
{
	struct error why;
	if (frames_collect(&s->walk, s->rt, g, FRAMES_SEARCH_MAX, &s->frames, &why) != OK) {
		notes_add(s->rt->notes, "verdict", g->g, "goroutine %llu could not be searched: %s",
			  (unsigned long long)g->id, why.text);
		return OK;
	}
	ret->searched++;
	struct suspect suspect = {.goroutine = *g, .hold_distance = -1};
	weigh_call(s, &suspect);
	if (suspect.level < SUSPECT_IN_TYPE) {
		weigh_code(s, &suspect);
		weigh_shared(s, &suspect);
	}
	struct reach reach;
	if (suspect.level == SUSPECT_NONE)
		return OK;
	if (suspect.level < SUSPECT_IN_MAP &&
	    reach_map(s->rt, g, &s->frames, s->map.addr, &reach)) {
		suspect.hold_distance = (int)reach.distance;
		suspect.hold_slot = reach.slot;
		/* A goroutine that is parked elsewhere, as main is behind what it has started, holds
		 * much that it has long done with. */
		if (suspect.level == SUSPECT_TYPE && !(suspect.is_remote && is_parked(g)))
			suspect.level = SUSPECT_HOLDS;
	}
	/* Code that can write any map, by reflection or as a generic, says nothing by itself. */
	if (suspect.level == SUSPECT_TYPE && !suspect.type_known && suspect.hold_distance < 0)
		return OK;
	suspect.now = frames_site(s->rt, s->library, &s->frames);
	suspect.weight = (is_parked(g) ? 0 : 10) - suspect.hold_distance;
	if (!ARRAY_PUSH(ret->list, ret->count, ret->cap, suspect))
		return error_nomem(err);
	return OK;
}

/* A parked goroutine that was not seen in the map or just back from it may have been there long ago,
 * as main was to fill it: whoever runs comes first. */
static bool is_aside(const struct suspect *s)
{
	return is_parked(&s->goroutine) && s->level < SUSPECT_LEFT;
}

static int best_first(const void *a, const void *b)
{
	const struct suspect *x = a, *y = b;
	if (is_aside(x) != is_aside(y))
		return is_aside(x) ? 1 : -1;
	if (x->level != y->level)
		return x->level > y->level ? -1 : 1;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return (x->goroutine.id > y->goroutine.id) - (x->goroutine.id < y->goroutine.id);
}

enum status search_run(struct search *s, const struct goroutines *goroutines, uint64_t exclude,
		       bool all, struct suspects *ret, struct error *err)
{
	struct suspects found = {0};
	const struct map_sites *sites;
	struct error why;
	size_t parked = 0;
	/* Without the code, calls that goroutines are in can still be seen. */
	if (search_sites(s, &sites, &why) != OK)
		notes_add_error(s->rt->notes, "verdict", "code that writes such maps", &why);
	for (size_t i = 0; i < goroutines->count; i++)
		parked += is_parked(&goroutines->list[i]);
	all = all || parked <= SEARCH_PARKED_MAX;
	for (size_t i = 0; i < goroutines->count; i++) {
		const struct goroutine *g = &goroutines->list[i];
		if (g->g == exclude)
			continue;
		if (is_parked(g) && !all) {
			found.parked_skipped++;
			continue;
		}
		if (weigh(s, g, &found, err) != OK) {
			suspects_done(&found);
			return FAILED;
		}
	}
	if (found.count)
		qsort(found.list, found.count, sizeof(*found.list), best_first);
	*ret = found;
	return OK;
}

void suspects_done(struct suspects *suspects)
{
	free(suspects->list);
	*suspects = (struct suspects){0};
}
