#include "maps/guess.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "go/value.h"
#include "maps/internal.h"

enum {
	SCAN_SIZE = 1 << 20, /* memory is searched so much at a time */
	PREFIX_SIZE = 16384, /* of the buckets or groups, looked at to tell the type */
	PROOF_ENTRIES = 8, /* hashes that are held against tags to begin with */
	FIT_ENTRIES = 1024, /* entries that must fit a type before it is taken */
	CANDIDATES_MAX = 4 << 20,
	HEADER_SIZE = 48, /* the words that both designs have: runtime.hmap, maps.Map */
};

/* Map types whose keys lie alike and hash alike. */
struct layout_group {
	struct map_type type; /* one of them */
	const struct hash_plan *plan;
	uint64_t *types;
	size_t count, cap;
};

struct candidate {
	uint64_t addr, holder;
};

struct guesser {
	struct heap_walk *walk;
	struct hasher *hasher;
	struct layout_group *groups;
	size_t group_count, group_cap;
	uint64_t lo, hi; /* data lies in [lo, hi) */
	struct candidate *list; /* by address */
	size_t count, cap;
	struct word_marks headers; /* of the candidates */
	struct u64set hashes; /* of the keys of one */
	bool failed; /* memory is out */
};

static bool is_data(const struct memory_range *range)
{
	return range->writable && (range->origin == ORIGIN_CORE || range->origin == ORIGIN_LIVE);
}

/* Calls use with each piece of writable memory, overlap bytes of it twice. */
static void each_block(struct guesser *g, size_t overlap,
		       void (*use)(struct guesser *, uint64_t, const uint8_t *, size_t))
{
	struct memory *memory = g->walk->rt->target->memory;
	AUTO_FREE uint8_t *block = malloc(SCAN_SIZE);
	struct memory_range r;
	g->failed |= !block;
	for (uint64_t a = 0; !g->failed && memory_range_at(memory, a, &r); a = r.end) {
		if (!is_data(&r))
			continue;
		for (uint64_t at = (r.start + 7) & ~UINT64_C(7); at < r.end && r.end - at > overlap;
		     at += SCAN_SIZE - overlap) {
			size_t n = r.end - at < SCAN_SIZE ? r.end - at : SCAN_SIZE;
			if (memory_read(memory, at, block, n, NULL) == OK)
				use(g, at, block, n);
		}
	}
}

static bool in_data(const struct guesser *g, uint64_t p)
{
	return p >= g->lo && p < g->hi && p % 8 == 0;
}

/* Whether the words of a bucket map's header agree. Offsets as in struct hmap up to 1.23; clearSeq of
 * noswissmap builds stands where extra does here, and is a small number. */
static bool is_hmap(const struct guesser *g, const uint8_t *h)
{
	uint64_t count = load_u64(h), old = load_u64(h + 24), extra = load_u64(h + 40);
	uint8_t flags = h[8], b = h[9];
	return flags < 16 && b < 40 && load_u32(h + 12) && count >= GUESS_ENTRIES_MIN &&
	       count <= UINT64_C(16) << b && in_data(g, load_u64(h + 16)) &&
	       (!old || in_data(g, old)) && load_u64(h + 32) <= UINT64_C(1) << b &&
	       (extra < UINT32_MAX || in_data(g, extra));
}

static bool is_swiss(const struct guesser *g, const uint8_t *h)
{
	uint64_t used = load_u64(h), length = load_u64(h + 24);
	uint8_t depth = h[32], shift = h[33];
	if (used < GUESS_ENTRIES_MIN || !load_u64(h + 8) || !in_data(g, load_u64(h + 16)) ||
	    h[34] > 1 || h[35] > 1 || load_u64(h + 40) > UINT32_MAX)
		return false;
	if (!length)
		return used <= MAP_SLOTS && depth == 0;
	return depth < 40 && length == UINT64_C(1) << depth && shift == 64 - depth &&
	       used <= length * 1024;
}

static void find_headers(struct guesser *g, uint64_t addr, const uint8_t *bytes, size_t n)
{
	bool swiss = g->walk->rt->swiss;
	for (size_t at = 0; at + HEADER_SIZE <= n && !g->failed; at += 8) {
		struct candidate c = {.addr = addr + at};
		if (!(swiss ? is_swiss(g, bytes + at) : is_hmap(g, bytes + at)) ||
		    heap_walk_has(g->walk, c.addr))
			continue;
		if (g->count == CANDIDATES_MAX || !ARRAY_PUSH(g->list, g->count, g->cap, c))
			g->failed = true;
		else if (!marks_set(&g->headers, c.addr))
			g->count--; /* seen in the block before */
	}
}

static struct candidate *candidate_at(struct guesser *g, uint64_t addr)
{
	size_t lo = 0, hi = g->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (g->list[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < g->count && g->list[lo].addr == addr ? &g->list[lo] : NULL;
}

static void find_holders(struct guesser *g, uint64_t addr, const uint8_t *bytes, size_t n)
{
	uint64_t first = g->list[0].addr, last = g->list[g->count - 1].addr;
	for (size_t at = 0; at + 8 <= n; at += 8) {
		uint64_t word = load_u64(bytes + at);
		if (word < first || word > last || word % 8 || !marks_has(&g->headers, word))
			continue;
		struct candidate *c = candidate_at(g, word);
		if (c && !c->holder)
			c->holder = addr + at;
	}
}

/* Whether keys of two map types lie and hash alike. */
static bool same_layout(const struct layout_group *group, const struct map_type *t,
			const struct hash_plan *plan)
{
	const struct map_type *o = &group->type;
	return group->plan == plan && o->bucket_size == t->bucket_size &&
	       o->group_size == t->group_size && o->keys_off == t->keys_off &&
	       o->key_stride == t->key_stride && o->slot_key_size == t->slot_key_size &&
	       o->indirect_key == t->indirect_key;
}

/* All map types of the program, by the layout of their keys. */
static void list_types(struct guesser *g)
{
	struct runtime *rt = g->walk->rt;
	for (uint64_t addr = 0; type_next(rt, addr, KIND_MAP, &addr) && !g->failed;) {
		struct map_type t;
		const struct hash_plan *plan;
		struct layout_group *group = NULL;
		struct layout_group fresh = {0};
		if (type_read_map(rt, addr, &t, NULL) != OK || !map_type_fits(rt, &t, NULL) ||
		    hasher_plan(g->hasher, &t, &plan, NULL) != OK)
			continue;
		for (size_t i = 0; i < g->group_count && !group; i++) {
			if (same_layout(&g->groups[i], &t, plan))
				group = &g->groups[i];
		}
		if (!group) {
			fresh.type = t;
			fresh.plan = plan;
			if (!ARRAY_PUSH(g->groups, g->group_count, g->group_cap, fresh)) {
				g->failed = true;
				return;
			}
			group = &g->groups[g->group_count - 1];
		}
		g->failed |= !ARRAY_PUSH(group->types, group->count, group->cap, addr);
	}
}

/* The first bytes of a map's buckets or groups; returns how many there are. */
static size_t read_prefix(struct guesser *g, const struct map *map, uint8_t prefix[PREFIX_SIZE],
			  uint64_t *ret_addr)
{
	struct runtime *rt = g->walk->rt;
	uint64_t addr = map->design == MAP_HMAP ? map->buckets : map->dir_ptr;
	struct swiss_table table;
	if (map->design == MAP_SWISS && map->dir_len) {
		if (memory_read_u64(rt->target->memory, map->dir_ptr, &addr, NULL) != OK ||
		    swiss_table_read(rt, addr, &table, NULL) != OK)
			return 0;
		addr = table.groups;
	}
	struct error err;
	size_t n = PREFIX_SIZE;
	if (memory_read(rt->target->memory, addr, prefix, n, &err) != OK) {
		n = err.code == ERROR_FAULT && err.addr - addr < n ? err.addr - addr : 0;
		if (!n || memory_read(rt->target->memory, addr, prefix, n, NULL) != OK)
			return 0;
	}
	*ret_addr = addr;
	return n;
}

/* Whether the slots in the prefix have the tags of their keys' hashes, and enough of them do. */
static bool tags_agree(struct guesser *g, const struct layout_group *group, const struct map *map,
		       const uint8_t *prefix, size_t n)
{
	const struct map_type *t = &group->type;
	bool hmap = map->design == MAP_HMAP;
	uint64_t size = hmap ? t->bucket_size : t->group_size;
	uint64_t off = hmap ? MAP_SLOTS : t->keys_off;
	uint64_t stride = hmap ? t->slot_key_size : t->key_stride;
	uint64_t containers = hmap ? UINT64_C(1) << map->b : map->dir_len ? UINT64_MAX : 1;
	unsigned good = 0, bad = 0;
	for (uint64_t c = 0; c < containers && n - c * size >= size && n >= (c + 1) * size; c++) {
		const uint8_t *bytes = prefix + c * size;
		for (unsigned i = 0; i < MAP_SLOTS && good < PROOF_ENTRIES; i++) {
			const uint8_t *key = bytes + off + i * stride;
			uint8_t copy[CONTAINER_SIZE_MAX];
			uint64_t hash;
			if (!map_slot_full(map, bytes, i))
				continue;
			if (t->indirect_key) {
				if (t->key_size > sizeof(copy) ||
				    memory_read(g->walk->rt->target->memory, load_u64(key), copy,
						t->key_size, NULL) != OK)
					return false;
				key = copy;
			}
			enum hash_result result = hash_key(g->hasher, group->plan, key,
							   hmap ? map->hash0 : map->seed, &hash);
			if (result == HASH_RANDOM)
				continue;
			if (result == HASH_OK && map_tag(map, hash) == bytes[i])
				good++;
			else if (++bad > 1)
				return false;
		}
	}
	/* A racing writer may have left one entry half written. */
	return good >= (bad ? 2 * GUESS_ENTRIES_MIN : GUESS_ENTRIES_MIN);
}

/* Holds the words of the element at addr that its type says are pointers against memory; adds to *good
 * those that are, and are not nil. false when one is none. */
static bool pointers_agree(struct guesser *g, uint32_t node, uint64_t addr, unsigned *good)
{
	struct memory *memory = g->walk->rt->target->memory;
	const struct type_node *n = &g->walk->graph.nodes[node];
	for (size_t i = 0; i < n->edge_count; i++) {
		const struct edge *e = &n->edges[i];
		uint64_t word;
		if (e->kind == EDGE_ARRAY)
			continue;
		if (memory_read_u64(memory, addr + e->offset, &word, NULL) != OK)
			return false;
		if (!word)
			continue;
		/* Interfaces and func values lead into the program's types and code. */
		if (memory_origin(memory, word) == ORIGIN_NONE || (e->kind == EDGE_MAP && word % 8))
			return false;
		++*good;
	}
	return true;
}

/* Whether the number at addr is one that a program would have stored as a float: other bits, integers and
 * pointers among them, come out as numbers of absurd size. */
static bool float_agrees(struct guesser *g, enum kind kind, uint64_t addr)
{
	struct memory *memory = g->walk->rt->target->memory;
	union {
		uint8_t bytes[8];
		float f;
		double d;
	} v = {0};
	if (memory_read(memory, addr, v.bytes, kind == KIND_FLOAT32 ? 4 : 8, NULL) != OK)
		return false;
	double d = kind == KIND_FLOAT32 ? (double)v.f : v.d;
	return d == 0 || !isfinite(d) || (fabs(d) > 1e-30 && fabs(d) < 1e30);
}

/* Holds a string at addr, a bool or a float against what such values are; strings that are there count as good
 * pointers. */
static bool scalar_agrees(struct guesser *g, enum kind kind, uint64_t addr, unsigned *good)
{
	struct memory *memory = g->walk->rt->target->memory;
	uint8_t s[16];
	if (kind == KIND_FLOAT32 || kind == KIND_FLOAT64)
		return float_agrees(g, kind, addr);
	if (kind == KIND_BOOL)
		return memory_read(memory, addr, s, 1, NULL) == OK && s[0] <= 1;
	if (kind != KIND_STRING)
		return true;
	if (memory_read(memory, addr, s, sizeof(s), NULL) != OK)
		return false;
	uint64_t p = load_u64(s), n = load_u64(s + 8);
	if (n && (memory_origin(memory, p) == ORIGIN_NONE || n > UINT64_MAX - p ||
		  memory_origin(memory, p + n - 1) == ORIGIN_NONE))
		return false;
	*good += n != 0;
	return true;
}

/* Whether one entry's key has its tag, and is not there twice. */
static bool key_agrees(struct guesser *g, const struct layout_group *group, const struct map *map,
		       const struct map_entry *e)
{
	uint8_t key[CONTAINER_SIZE_MAX];
	uint64_t hash, seed = map->design == MAP_HMAP ? map->hash0 : map->seed;
	if (map->type.key_size > sizeof(key) ||
	    memory_read(g->walk->rt->target->memory, e->key, key, map->type.key_size, NULL) != OK)
		return false;
	enum hash_result result = hash_key(g->hasher, group->plan, key, seed, &hash);
	if (result != HASH_OK)
		return result == HASH_RANDOM;
	return map_tag(map, hash) == e->tag && u64set_add(&g->hashes, hash ? hash : 1);
}

/* How well all entries, or the first of a large map, look like those of a map type: 0 not at all, 1 they
 * may be, 2 their elements have pointers that lead somewhere. */
static int entries_fit(struct guesser *g, const struct layout_group *group, struct map *map,
		       uint64_t type)
{
	struct runtime *rt = g->walk->rt;
	AUTO_MAP_WALK struct map_walk *w = NULL;
	struct check_report unused = {0};
	struct map_entry e;
	uint64_t seen = 0, wrong = 0;
	unsigned pointers = 0;
	bool good = true;
	if (type_read_map(rt, type, &map->type, NULL) != OK || !map_type_fits(rt, &map->type, NULL))
		return 0;
	uint32_t node =
		type_graph_node(&g->walk->graph, (struct shape_ref){.type = map->type.type.elem});
	if (!node || map_walk_new(rt, map, &w, NULL) != OK)
		return 0;
	w->report = &unused;
	u64set_clear(&g->hashes);
	while (good && seen < FIT_ENTRIES && map_walk_next(w, &e)) {
		AUTO_TEXT struct text text = TEXT_INIT;
		wrong += !key_agrees(g, group, map, &e);
		good = wrong <= 1 && pointers_agree(g, node, e.elem, &pointers) &&
		       scalar_agrees(g, g->walk->graph.nodes[node].kind, e.elem, &pointers);
		/* Strings inside of structs, which no edge leads to, are read by who renders them. */
		if (good && seen < PROOF_ENTRIES)
			good = value_render(rt, map->type.type.elem, e.elem, &text);
		seen++;
	}
	check_report_done(&unused);
	/* A racing writer may have counted one entry too few or too many. */
	if (!good || !w->complete || (seen < FIT_ENTRIES && seen + 1 < map->count) ||
	    seen > map->count + 1)
		return 0;
	return pointers ? 2 : 1;
}

/* Of types that fit alike, which is the likelier one: that which uses more of the slot's bytes, then the
 * plainest. */
static unsigned likelihood(struct runtime *rt, const struct map_type *t)
{
	struct type key, elem;
	unsigned plain = !t->type.named;
	if (type_read(rt, t->type.key, &key, NULL) == OK)
		plain += key.kind == KIND_INT || (key.kind == KIND_STRING && !key.named);
	if (type_read(rt, t->type.elem, &elem, NULL) == OK)
		plain += elem.kind == KIND_INT && !elem.named;
	return (unsigned)(t->slot_key_size + t->slot_elem_size) * 4 + plain;
}

/* Finds the types that the candidate's entries allow; returns how many, the best of them in *ret. */
static size_t find_type(struct guesser *g, struct map *map, uint64_t *ret)
{
	AUTO_FREE uint8_t *prefix = malloc(PREFIX_SIZE);
	uint64_t addr;
	size_t fitting = 0;
	int best = 0;
	unsigned best_likelihood = 0;
	size_t n = prefix ? read_prefix(g, map, prefix, &addr) : 0;
	for (size_t i = 0; i < g->group_count && n; i++) {
		const struct layout_group *group = &g->groups[i];
		if (!tags_agree(g, group, map, prefix, n))
			continue;
		for (size_t k = 0; k < group->count; k++) {
			int fit = entries_fit(g, group, map, group->types[k]);
			unsigned likely = fit ? likelihood(g->walk->rt, &map->type) : 0;
			if (fit > best)
				fitting = 0;
			if (fit > best || (fit == best && likely > best_likelihood)) {
				best = fit;
				best_likelihood = likely;
				*ret = group->types[k];
			}
			fitting += fit && fit == best;
		}
	}
	return fitting;
}

static void take_candidates(struct guesser *g)
{
	struct runtime *rt = g->walk->rt;
	struct notes *notes = rt->notes;
	rt->notes = NULL; /* what a wrong type cannot read is no gap */
	for (size_t i = 0; i < g->count && !g->walk->stopped; i++) {
		struct map map;
		uint64_t type = 0;
		/* A map that others led to meanwhile, or that nothing refers to. */
		if (!g->list[i].holder || heap_walk_has(g->walk, g->list[i].addr) ||
		    map_open(rt, g->groups[0].types[0], g->list[i].addr, &map, NULL) != OK)
			continue;
		size_t fitting = find_type(g, &map, &type);
		if (fitting)
			heap_walk_map(g->walk, type, g->list[i].addr, g->list[i].holder,
				      (unsigned)fitting);
	}
	rt->notes = notes;
}

static void guesser_done(struct guesser *g)
{
	for (size_t i = 0; i < g->group_count; i++)
		free(g->groups[i].types);
	free(g->groups);
	free(g->list);
	marks_done(&g->headers);
	u64set_done(&g->hashes);
	hasher_free(g->hasher);
}

static int compare_candidates(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

enum status guess_maps(struct heap_walk *walk, struct error *err)
{
	struct guesser g = {.walk = walk, .lo = UINT64_MAX};
	struct memory_range r;
	if (hasher_new(walk->rt, &g.hasher, err) != OK)
		return FAILED;
	for (uint64_t a = 0; memory_range_at(walk->rt->target->memory, a, &r); a = r.end) {
		if (is_data(&r)) {
			g.lo = r.start < g.lo ? r.start : g.lo;
			g.hi = r.end;
		}
	}
	list_types(&g);
	if (!g.failed && g.group_count)
		each_block(&g, HEADER_SIZE - 8, find_headers);
	if (!g.failed && g.count) {
		qsort(g.list, g.count, sizeof(*g.list), compare_candidates);
		each_block(&g, 0, find_holders);
		take_candidates(&g);
	}
	bool failed = g.failed || g.headers.failed;
	guesser_done(&g);
	return failed ? error_nomem(err) : OK;
}
