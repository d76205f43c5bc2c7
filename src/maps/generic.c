#include "maps/generic.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/u64set.h"
#include "go/dataflow.h"
#include "go/references.h"
#include "go/type.h"

enum {
	LOADS_MAX = 6, /* dictionaries in dictionaries, and closures around them */
	ROUNDS_MAX = 6, /* generic callers of generic callers */
	NEEDS_MAX =
		1 << 13, /* ways that are followed, all sites together: kubectl has some hundred */
	FOUND_MAX = 1 << 13, /* types of sites */
};

/* A site's map type as a function that leads to it has it: what the caller hands in, or the closure,
 * and the words that are loaded from there, one from the other. */
struct need {
	uint64_t entry; /* of the function */
	uint32_t site; /* number in the list */
	bool closure;
	uint8_t word; /* of the arguments, unless closure */
	uint8_t count; /* of loads */
	int32_t loads[LOADS_MAX]; /* offsets, first to last */
};

struct found_type {
	uint32_t site;
	uint64_t type;
};

struct resolver {
	struct runtime *rt;
	struct map_sites *sites;
	struct need *needs; /* of this round and those before, each once */
	size_t need_count, need_cap;
	size_t first, last; /* of this round */
	struct found_type *found;
	size_t found_count, found_cap;
	bool *open; /* by site: some way to it is not known */
	bool *reached; /* by need: something leads there */
	struct u64set entries; /* of the functions of this round */
	bool failed; /* memory is out */
	struct dataflow *flow; /* of the caller that is looked at */
};

static void give_up(struct resolver *r, uint32_t site)
{
	r->open[site] = true;
}

static bool is_same(const struct need *a, const struct need *b)
{
	return a->entry == b->entry && a->site == b->site && a->closure == b->closure &&
	       a->word == b->word && a->count == b->count &&
	       memcmp(a->loads, b->loads, a->count * sizeof(*a->loads)) == 0;
}

static void add_need(struct resolver *r, const struct need *need)
{
	for (size_t i = 0; i < r->need_count; i++) {
		if (is_same(&r->needs[i], need))
			return;
	}
	if (r->need_count == NEEDS_MAX)
		give_up(r, need->site);
	else if (!ARRAY_PUSH(r->needs, r->need_count, r->need_cap, *need))
		r->failed = true;
}

static void add_found(struct resolver *r, uint32_t site, uint64_t type)
{
	struct found_type found = {site, type};
	for (size_t i = 0; i < r->found_count; i++) {
		if (r->found[i].site == site && r->found[i].type == type)
			return;
	}
	if (r->found_count == FOUND_MAX)
		give_up(r, site);
	else if (!ARRAY_PUSH(r->found, r->found_count, r->found_cap, found))
		r->failed = true;
}

/* The type that loads lead to from a constant; 0 where it is none of a map. */
static uint64_t evaluate(struct resolver *r, uint64_t value, const int32_t *loads, unsigned count)
{
	struct type t;
	for (unsigned i = 0; i < count; i++) {
		if (memory_read_u64(r->rt->target->memory, value + (uint64_t)loads[i], &value,
				    NULL) != OK)
			return 0;
	}
	return type_is_plausible(r->rt, value) && type_read(r->rt, value, &t, NULL) == OK &&
			       t.kind == KIND_MAP
		       ? value
		       : 0;
}

/* Takes up that, in the function that flow follows, the site's type is what old's loads (those from skip
 * on) lead to from value id. */
static void follow(struct resolver *r, flow_id id, const struct need *old, unsigned skip)
{
	struct need need = {.entry = dataflow_function(r->flow)->entry, .site = old->site};
	int32_t back[LOADS_MAX];
	unsigned n = 0;
	const struct flow_value *value = dataflow_value(r->flow, id);
	while (value->kind == FLOW_LOAD && n < LOADS_MAX && value->n == (int32_t)value->n) {
		back[n++] = (int32_t)value->n;
		value = dataflow_value(r->flow, value->base);
	}
	if (n + old->count - skip > LOADS_MAX) {
		give_up(r, old->site);
		return;
	}
	while (n)
		need.loads[need.count++] = back[--n];
	for (unsigned i = skip; i < old->count; i++)
		need.loads[need.count++] = old->loads[i];
	if (value->kind == FLOW_NUMBER) {
		uint64_t type = evaluate(r, (uint64_t)value->n, need.loads, need.count);
		if (type)
			add_found(r, old->site, type);
		else
			give_up(r, old->site);
	} else if (value->kind == FLOW_ARG && value->n >= 0 && value->n <= UINT8_MAX) {
		need.word = (uint8_t)value->n;
		add_need(r, &need);
	} else if (value->kind == FLOW_CLOSURE) {
		need.closure = true;
		add_need(r, &need);
	} else {
		give_up(r, old->site);
	}
}

/* What a call hands to the functions that are asked about. */
static bool visit_call(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct resolver *r = context;
	if (!insn->has_target || !u64set_has(&r->entries, insn->target))
		return !r->failed;
	for (size_t i = r->first; i < r->last; i++) {
		struct need need = r->needs[i];
		if (need.closure || need.entry != insn->target ||
		    (insn->flow != INSN_CALL && need.entry == dataflow_function(r->flow)->entry))
			continue;
		r->reached[i] = true;
		follow(r, dataflow_argument(r->flow, state, need.word), &need, 0);
	}
	return !r->failed;
}

/* What the function puts into closures of the functions that are asked about. */
static void follow_closures(struct resolver *r)
{
	for (size_t i = r->first; i < r->last; i++) {
		struct need need = r->needs[i];
		if (!need.closure || !need.count)
			continue;
		flow_id closure = dataflow_made_with(r->flow, need.entry);
		if (closure == FLOW_UNKNOWN) {
			/* It names the code, and makes its closure in a way that is not followed. */
			if (dataflow_number(r->flow, need.entry) != FLOW_UNKNOWN)
				give_up(r, need.site);
			continue;
		}
		r->reached[i] = true;
		follow(r, dataflow_stored(r->flow, closure, need.loads[0]), &need, 1);
	}
}

static enum status look_at(void *context, const struct function *fn, struct error *err)
{
	struct resolver *r = context;
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	if (dataflow_new(r->rt, fn, &flow, NULL) != OK) {
		/* One of its calls may be a way to any of them. */
		for (size_t i = r->first; i < r->last; i++)
			give_up(r, r->needs[i].site);
		return OK;
	}
	r->flow = flow;
	dataflow_walk(flow, visit_call, r);
	follow_closures(r);
	r->flow = NULL;
	return r->failed ? error_nomem(err) : OK;
}

/* Looks at each function that may refer to those of this round. */
static enum status look_for_callers(struct resolver *r, struct error *err)
{
	u64set_clear(&r->entries);
	for (size_t i = r->first; i < r->last; i++)
		u64set_add(&r->entries, r->needs[i].entry);
	if (r->entries.failed)
		return error_nomem(err);
	return functions_referring(r->rt, &r->entries, false, look_at, r, err);
}

/* Where the types of the sites without one come from, in their own functions. */
static void start(struct resolver *r)
{
	AUTO_DATAFLOW struct dataflow *flow = NULL;
	for (size_t i = 0; i < r->sites->count; i++) {
		const struct map_site *site = &r->sites->list[i];
		struct flow_state state;
		struct insn insn;
		struct function fn;
		struct need none = {.site = (uint32_t)i};
		if (site->type || site->callee.type_word < 0)
			continue;
		if (!pclntab_at(r->rt->pclntab, site->function, &fn))
			continue;
		if (!flow || dataflow_function(flow)->entry != fn.entry) {
			dataflow_free(flow);
			flow = NULL;
			if (dataflow_new(r->rt, &fn, &flow, NULL) != OK) {
				flow = NULL;
				give_up(r, none.site);
				continue;
			}
		}
		r->flow = flow;
		if (!dataflow_call(flow, site->next, &insn, &state))
			give_up(r, none.site);
		else
			follow(r, dataflow_argument(flow, &state, (unsigned)site->callee.type_word),
			       &none, 0);
	}
	r->flow = NULL;
}

static int by_site(const void *a, const void *b)
{
	const struct found_type *x = a, *y = b;
	if (x->site != y->site)
		return x->site < y->site ? -1 : 1;
	return (x->type > y->type) - (x->type < y->type);
}

/* Puts what was found into the list. */
static enum status rewrite(struct resolver *r, struct error *err)
{
	struct map_sites out = {0};
	size_t next = 0;
	if (r->found_count)
		qsort(r->found, r->found_count, sizeof(*r->found), by_site);
	for (size_t i = 0; i < r->sites->count; i++) {
		struct map_site site = r->sites->list[i];
		bool stays = site.type != 0 || r->open[i] || next == r->found_count ||
			     r->found[next].site != i;
		if (stays && !ARRAY_PUSH(out.list, out.count, out.cap, site))
			goto nomem;
		for (; next < r->found_count && r->found[next].site == i; next++) {
			site.type = r->found[next].type;
			if (site.how != SITE_REFLECT)
				site.how = SITE_DICTIONARY;
			if (!ARRAY_PUSH(out.list, out.count, out.cap, site))
				goto nomem;
		}
	}
	map_sites_done(r->sites);
	*r->sites = out;
	return OK;
nomem:
	map_sites_done(&out);
	return error_nomem(err);
}

enum status map_sites_resolve_generic(struct runtime *rt, struct map_sites *sites,
				      struct error *err)
{
	struct resolver r = {.rt = rt, .sites = sites};
	enum status status = OK;
	r.open = calloc(sites->count + 1, sizeof(*r.open));
	r.reached = calloc(NEEDS_MAX, sizeof(*r.reached));
	if (!r.open || !r.reached)
		r.failed = true;
	else
		start(&r);
	for (unsigned round = 0; r.need_count > r.last && !r.failed && status == OK; round++) {
		r.first = r.last;
		r.last = r.need_count;
		if (round < ROUNDS_MAX)
			status = look_for_callers(&r, err);
		for (size_t i = r.first; i < r.last; i++) {
			if (!r.reached[i])
				give_up(&r, r.needs[i].site);
		}
	}
	if (status == OK)
		status = r.failed ? error_nomem(err) : rewrite(&r, err);
	free(r.needs);
	free(r.found);
	free(r.open);
	free(r.reached);
	u64set_done(&r.entries);
	return status;
}

/* Drops sites of other types. */
static void keep_type(struct runtime *rt, uint64_t type, struct map_sites *sites)
{
	size_t kept = 0;
	for (size_t i = 0; i < sites->count; i++) {
		if (!sites->list[i].type || map_types_alike(rt, sites->list[i].type, type))
			sites->list[kept++] = sites->list[i];
	}
	sites->count = kept;
}

enum status map_writers_find(struct runtime *rt, uint64_t type, bool reflect, struct map_sites *ret,
			     struct error *err)
{
	AUTO_MAP_CALLEES struct map_callees *callees = NULL;
	struct map_sites sites = {0};
	if (map_callees_new(rt, &callees, err) != OK ||
	    map_sites_in_program(rt, callees, type, true, &sites, err) != OK ||
	    (reflect && map_sites_resolve_reflect(rt, &sites, err) != OK) ||
	    map_sites_resolve_generic(rt, &sites, err) != OK) {
		map_sites_done(&sites);
		return FAILED;
	}
	if (type)
		keep_type(rt, type, &sites);
	*ret = sites;
	return OK;
}
