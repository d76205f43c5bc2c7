#include "maps/heapwalk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "maps/internal.h"

enum {
	BLOCK_SIZE = 64 << 10, /* values are read so much at a time */
	ITEMS_MAX = 16 << 20, /* values waiting to be followed: 384 MB of them */
	MAPS_MAX = 4 << 20, /* maps that are listed */
	PROOF_SAMPLE = 8, /* entries whose hash must be right in a map that must prove itself */
	OWNER_MAX = 300,
	/* A closure is code and what it captured; a hostile core could name any number of functions. */
	CLOSURES_MAX = 1 << 16,
	/* Guessed objects may be taken for several things each; what reads all memory more often than
	 * this has lost its way. */
	GUESSED_PASSES = 4,
	GUESSES_MAX = 8 << 20, /* 128 MB of them; then words are followed as one thing only */
};

struct closure {
	uint64_t code;
	uint32_t node; /* 0: it captured nothing that leads to maps */
};

enum status heap_walk_init(struct heap_walk *walk, struct runtime *rt, struct error *err)
{
	*walk = (struct heap_walk){.rt = rt, .trusted = true};
	type_graph_init(&walk->graph, rt);
	/* Offsets of captured variables are in DWARF from 1.23 on. */
	walk->graph.has_closures = rt->version.minor >= 23;
	walk->block = malloc(BLOCK_SIZE);
	struct owner unnamed = {NULL, OWNER_NONE};
	if (!walk->block ||
	    !ARRAY_PUSH(walk->owners, walk->owner_count, walk->owner_cap, unnamed)) {
		heap_walk_done(walk);
		return error_nomem(err);
	}
	return OK;
}

void heap_walk_done(struct heap_walk *walk)
{
	type_graph_done(&walk->graph);
	marks_done(&walk->marks);
	u64set_done(&walk->guesses);
	for (size_t i = 0; i < walk->map_count; i++)
		free(walk->maps[i].found.owner);
	for (size_t i = 0; i < walk->owner_count; i++)
		free(walk->owners[i].text);
	free(walk->maps);
	free(walk->index);
	free(walk->items);
	free(walk->owners);
	free(walk->closures);
	free(walk->block);
	hasher_free(walk->hasher);
}

/* Bytes from addr to the end of its range of writable memory, 0 where it is in none. Maps are made at run
 * time: what cannot be written cannot lead to one. */
static uint64_t writable_left(struct heap_walk *walk, uint64_t addr)
{
	struct memory_range r = walk->range;
	if (addr < r.start || addr >= r.end) {
		if (!memory_range_at(walk->rt->target->memory, addr, &r) || r.start > addr ||
		    !r.writable || (r.origin != ORIGIN_CORE && r.origin != ORIGIN_LIVE))
			return 0;
		walk->range = r;
	}
	return r.end - addr;
}

static bool is_readable(const struct heap_walk *walk, uint64_t addr)
{
	return memory_origin(walk->rt->target->memory, addr) != ORIGIN_NONE;
}

/* Whether the word at addr is to be followed as what the edge says: for the first time. One that is only
 * guessed to be that may turn out to be something else, and is then followed as that too. */
static bool follow_once(struct heap_walk *walk, uint64_t addr, const struct edge *edge)
{
	if (walk->trusted || walk->guesses.count >= GUESSES_MAX)
		return marks_set(&walk->marks, addr);
	if (marks_has(&walk->marks, addr))
		return false;
	uint64_t what = (uint64_t)edge->node << 3 | edge->kind;
	uint64_t hash = addr ^ what * 0x9e3779b97f4a7c15;
	return u64set_add(&walk->guesses, hash ? hash : 1);
}

/* A pointer that leads nowhere: a loss where the core may lack the memory, else rubbish. */
static void lose(struct heap_walk *walk)
{
	if (walk->trusted && walk->rt->target->truncated)
		walk->lost++;
}

static void push(struct heap_walk *walk, uint64_t addr, uint32_t node, uint64_t count,
		 uint32_t owner)
{
	struct heap_item item = {addr, count, node, owner};
	if (!node || !addr || addr & 7 || !count || !walk->graph.nodes[node].leads ||
	    !walk->graph.nodes[node].size)
		return;
	uint64_t left = writable_left(walk, addr);
	if (!left) {
		if (!is_readable(walk, addr))
			lose(walk);
		return;
	}
	/* An object lies in one range, but for one that a cut or a hole in the core has shortened. */
	if (!walk->trusted && count > left / walk->graph.nodes[node].size)
		return;
	if (walk->item_count == ITEMS_MAX ||
	    !ARRAY_PUSH(walk->items, walk->item_count, walk->item_cap, item))
		walk->stopped = true;
}

/* Makes an owner of text; 0, unnamed, where there is no text, and when memory is out. */
static uint32_t add_owner(struct heap_walk *walk, const char *text, enum owner_rank rank)
{
	struct owner owner = {text ? strdup(text) : NULL, rank};
	if (!owner.text)
		return 0;
	if (!ARRAY_PUSH(walk->owners, walk->owner_count, walk->owner_cap, owner)) {
		free(owner.text);
		return 0;
	}
	return (uint32_t)walk->owner_count - 1;
}

/* Whose a map is that the edge of the value at addr leads to: "main.cache.items" where the value has a
 * name, "main.(*Cache).items of 0xc000..." where only a type around it has. The text is the caller's;
 * NULL unknown. */
static struct owner owner_of(struct heap_walk *walk, const struct heap_item *item, uint64_t addr,
			     const struct edge *edge)
{
	char text[OWNER_MAX];
	const struct owner *owner = &walk->owners[item->owner];
	const char *path = edge->path;
	if (owner->text) {
		if (path && *path == '&') /* a variable that escaped, by its address */
			path++;
		snprintf(text, sizeof(text), "%s%s%s", owner->text, path ? "." : "",
			 path ? path : "");
		return (struct owner){strdup(text), owner->rank};
	}
	if (!edge->within || !path)
		return (struct owner){NULL, OWNER_NONE};
	/* The last dot of the package, before the arguments of a generic type. */
	const char *dot = edge->within + strcspn(edge->within, "[");
	while (dot > edge->within && dot[-1] != '.')
		dot--;
	snprintf(text, sizeof(text), "%.*s(*%s).%s of 0x%" PRIx64, (int)(dot - edge->within),
		 edge->within, dot, path + edge->within_path, addr + edge->within_offset);
	return (struct owner){strdup(text), OWNER_FIELD};
}

/* The place of a header in the index: of its map, or where it belongs. */
static size_t index_place(const struct heap_walk *walk, uint64_t addr)
{
	size_t mask = ((size_t)1 << walk->index_bits) - 1;
	size_t i = (size_t)((addr * 0x9e3779b97f4a7c15) >> (64 - walk->index_bits));
	while (walk->index[i] && walk->maps[walk->index[i] - 1].found.addr != addr)
		i = (i + 1) & mask;
	return i;
}

/* Makes room in the index for one more map; false when memory is out. */
static bool index_reserve(struct heap_walk *walk)
{
	if (walk->index && walk->map_count < ((size_t)1 << walk->index_bits) / 2)
		return true;
	free(walk->index);
	walk->index_bits = walk->index_bits ? walk->index_bits + 1 : 8;
	walk->index = calloc((size_t)1 << walk->index_bits, sizeof(*walk->index));
	for (size_t i = 0; walk->index && i < walk->map_count; i++)
		walk->index[index_place(walk, walk->maps[i].found.addr)] = (uint32_t)i + 1;
	return walk->index != NULL;
}

/* Whether a key has the tag of its hash, as far as that can be told. */
static bool tag_agrees(struct hasher *hasher, const struct hash_plan *plan, const uint8_t *key,
		       const struct map *map, uint8_t tag)
{
	uint64_t hash, seed = map->design == MAP_HMAP ? map->hash0 : map->seed;
	enum hash_result result = hash_key(hasher, plan, key, seed, &hash);
	return result == HASH_RANDOM || (result == HASH_OK && map_tag(map, hash) == tag);
}

/* Whether the first entries' tags are those of their hashes, but for one that a racing writer may have
 * left half written; with no entries, whether all slots are free. */
static bool entries_prove(struct heap_walk *walk, const struct map *map)
{
	AUTO_MAP_WALK struct map_walk *w = NULL;
	const struct hash_plan *plan = NULL;
	struct check_report unused = {0};
	struct map_entry e;
	unsigned seen = 0, wrong = 0;
	if (!walk->hasher_tried) {
		walk->hasher_tried = true;
		if (hasher_new(walk->rt, &walk->hasher, NULL) != OK)
			walk->hasher = NULL;
	}
	if (walk->hasher && hasher_plan(walk->hasher, &map->type, &plan, NULL) != OK)
		plan = NULL;
	if (map->type.key_size > BLOCK_SIZE / 2 || map_walk_new(walk->rt, map, &w, NULL) != OK)
		return false;
	w->report = &unused;
	uint8_t *key = malloc(map->type.key_size + 1);
	bool good = key != NULL;
	while (good && seen < PROOF_SAMPLE && map_walk_next(w, &e)) {
		seen++;
		if (memory_read(walk->rt->target->memory, e.key, key, map->type.key_size, NULL) !=
		    OK)
			good = false;
		else if (plan)
			wrong += !tag_agrees(walk->hasher, plan, key, map, e.tag);
	}
	free(key);
	good = good && w->complete && (seen > 0) == (map->count > 0) &&
	       (!wrong || seen > 4 * wrong);
	check_report_done(&unused);
	return good;
}

/* Whether what is at addr can only be a map of its type. */
static bool proves_to_be_map(struct heap_walk *walk, const struct map *map)
{
	char text[200];
	/* More than a load factor allows, growth and racing writers included. */
	enum { ENTRIES_PER_BUCKET = 16, ENTRIES_PER_TABLE = 1024 };
	if (map_contradiction(walk->rt, map, text))
		return false;
	if (map->design == MAP_HMAP) {
		if (!map->hash0 || map->b > 40 ||
		    map->count > (uint64_t)ENTRIES_PER_BUCKET << map->b)
			return false;
		/* makemap_small: nothing but a seed. */
		return map->buckets ? entries_prove(walk, map) : !map->extra && !map->noverflow;
	}
	if (!map->seed || map->count > (map->dir_len ? map->dir_len * ENTRIES_PER_TABLE : 8) ||
	    (map->dir_len &&
	     (map->global_depth > 40 || map->dir_len != UINT64_C(1) << map->global_depth ||
	      map->global_shift != 64 - map->global_depth)))
		return false;
	return map->dir_ptr ? entries_prove(walk, map) : true;
}

/* Whether a type is the stand-in that generic code has for several: map[go.shape.string]int. */
static bool is_shape(struct heap_walk *walk, uint64_t type)
{
	const char *name = type_name(walk->rt, type);
	return name && strstr(name, "go.shape.");
}

/* Takes up the map at addr, which the word at holder refers to. A map that is there already gets a
 * better owner, if this is one. */
static void add_map(struct heap_walk *walk, uint32_t node, uint64_t addr, uint64_t holder,
		    struct owner owner)
{
	AUTO_FREE char *name = owner.text;
	struct met_map met = {
		.found = {.addr = addr, .type = walk->graph.nodes[node].ref.type, .holder = holder},
		.node = node,
		.rank = owner.rank,
	};
	struct map map;
	if (!addr || walk->stopped)
		return;
	if (walk->map_count == MAPS_MAX || !index_reserve(walk)) {
		walk->stopped = true;
		return;
	}
	size_t place = index_place(walk, addr);
	if (walk->index[place]) {
		struct met_map *old = &walk->maps[walk->index[place] - 1];
		if (is_shape(walk, old->found.type) && !is_shape(walk, met.found.type)) {
			old->found.type = met.found.type;
			old->node = node;
		}
		if (walk->trusted && owner.rank > old->rank && met.found.type == old->found.type) {
			free(old->found.owner);
			old->found.owner = TAKE(name);
			old->found.holder = holder;
			old->rank = owner.rank;
		}
		return;
	}
	if (map_open(walk->rt, met.found.type, addr, &map, NULL) != OK) {
		if (!is_readable(walk, addr))
			lose(walk);
		return;
	}
	if (!walk->trusted && (addr & 7 || !proves_to_be_map(walk, &map)))
		return;
	met.found.owner = name;
	if (!ARRAY_PUSH(walk->maps, walk->map_count, walk->map_cap, met)) {
		walk->stopped = true;
		return;
	}
	TAKE(name);
	walk->index[place] = (uint32_t)walk->map_count;
}

static uint32_t closure_node(struct heap_walk *walk, uint64_t code)
{
	for (size_t i = 0; i < walk->closure_count; i++) {
		if (walk->closures[i].code == code)
			return walk->closures[i].node;
	}
	struct closure closure = {.code = code};
	struct function fn;
	struct variable *list = NULL;
	if (walk->closure_count == CLOSURES_MAX)
		return 0;
	if (pclntab_find(walk->rt->pclntab, code, &fn) && fn.entry == code) {
		size_t count = variables_captured(walk->rt, code, &list);
		struct captured *parts = calloc(count + 1, sizeof(*parts));
		for (size_t i = 0; parts && i < count; i++)
			parts[i] = (struct captured){
				.ref = {list[i].type, list[i].type ? 0 : list[i].type_die},
				.offset = list[i].closure_offset,
				.name = list[i].name,
			};
		if (parts && count)
			closure.node = type_graph_compose(&walk->graph, parts, count);
		free(parts);
		variables_free(list, count);
	}
	if (!ARRAY_PUSH(walk->closures, walk->closure_count, walk->closure_cap, closure))
		walk->stopped = true;
	return closure.node;
}

static void follow_closure(struct heap_walk *walk, uint64_t closure)
{
	uint64_t code;
	struct function fn;
	char text[OWNER_MAX];
	if (!closure || closure & 7 ||
	    memory_read_u64(walk->rt->target->memory, closure, &code, NULL) != OK)
		return;
	uint32_t node = closure_node(walk, code);
	if (!node || !walk->graph.nodes[node].leads)
		return;
	if (pclntab_find(walk->rt->pclntab, code, &fn)) {
		/* What main.main.func1 captured was declared in main.main, most often. */
		const char *end = strstr(fn.name, ".func");
		while (end && (end[5] < '0' || end[5] > '9'))
			end = strstr(end + 1, ".func");
		int n = end ? (int)(end - fn.name) : (int)strlen(fn.name);
		snprintf(text, sizeof(text), "%.*s", n, fn.name);
		push(walk, closure, node, 1, add_owner(walk, text, OWNER_LOCAL));
	}
}

/* Follows the interface at holder, whose dynamic type is type. A map in it is named by the edge, where
 * there is one, of the value at addr that leads to the interface. */
static void follow_interface(struct heap_walk *walk, uint64_t type, uint64_t holder,
			     const struct heap_item *item, uint64_t addr, const struct edge *edge)
{
	struct type t;
	uint64_t data;
	uint32_t owner = 0;
	uint32_t node = type_graph_node(&walk->graph, (struct shape_ref){.type = type});
	if (!node || !walk->graph.nodes[node].leads || type_read(walk->rt, type, &t, NULL) != OK)
		return;
	if (t.kind == KIND_MAP && item) {
		struct owner named = owner_of(walk, item, addr, edge);
		owner = add_owner(walk, named.text, named.rank);
		free(named.text);
	}
	if (t.direct_iface)
		push(walk, holder + 8, node, 1, owner);
	else if (memory_read_u64(walk->rt->target->memory, holder + 8, &data, NULL) == OK)
		push(walk, data, node, 1, owner);
}

static void follow_chan(struct heap_walk *walk, uint64_t chan, uint32_t node)
{
	/* runtime/chan.go, hchan: qcount, dataqsiz, buf, elemsize uint16; the same in 1.18 to 1.27.
	 * Slots of the buffer that hold no value are zero. */
	uint8_t b[26];
	if (!chan || chan & 7)
		return;
	if (memory_read(walk->rt->target->memory, chan, b, sizeof(b), NULL) != OK)
		lose(walk);
	else if (load_u64(b) <= load_u64(b + 8) && load_u16(b + 24) == walk->graph.nodes[node].size)
		push(walk, load_u64(b + 16), node, load_u64(b + 8), 0);
}

/* Follows one edge of the value at addr; w has its words. */
static void follow(struct heap_walk *walk, const struct heap_item *item, const struct edge *edge,
		   uint64_t addr, const uint8_t *w)
{
	uint64_t word = load_u64(w), type, at = addr + edge->offset;
	switch (edge->kind) {
	case EDGE_POINTER:
		if (edge->path) {
			struct owner owner = owner_of(walk, item, addr, edge);
			push(walk, word, edge->node, 1, add_owner(walk, owner.text, owner.rank));
			free(owner.text);
		} else {
			push(walk, word, edge->node, 1, 0);
		}
		break;
	case EDGE_SLICE:
		if (load_u64(w + 8) <= load_u64(w + 16))
			push(walk, word, edge->node, load_u64(w + 8), 0);
		break;
	case EDGE_CHAN:
		follow_chan(walk, word, edge->node);
		break;
	case EDGE_MAP:
		if (word)
			add_map(walk, edge->node, word, at, owner_of(walk, item, addr, edge));
		break;
	case EDGE_EFACE:
		follow_interface(walk, word, at, item, addr, edge);
		break;
	case EDGE_IFACE:
		if (type_of_itab(walk->rt, word, &type))
			follow_interface(walk, type, at, item, addr, edge);
		break;
	case EDGE_FUNC:
		if (walk->graph.has_closures)
			follow_closure(walk, word);
		break;
	case EDGE_ARRAY:
		break;
	}
}

static size_t edge_words(enum edge_kind kind)
{
	switch (kind) {
	case EDGE_SLICE:
		return 24;
	case EDGE_EFACE:
	case EDGE_IFACE:
		return 16;
	default:
		return 8;
	}
}

/* Follows all edges of the value at addr, whose bytes are at bytes, or, where that is NULL, are read
 * edge by edge. */
static void follow_value(struct heap_walk *walk, const struct heap_item *item, uint64_t addr,
			 const uint8_t *bytes)
{
	/* The graph may grow and move below. */
	for (size_t i = 0; i < walk->graph.nodes[item->node].edge_count && !walk->stopped; i++) {
		struct edge edge = walk->graph.nodes[item->node].edges[i];
		uint8_t w[24];
		if (edge.kind == EDGE_ARRAY) {
			push(walk, addr + edge.offset, edge.node, edge.len, item->owner);
			continue;
		}
		if (edge.node && edge.kind != EDGE_MAP && !walk->graph.nodes[edge.node].leads)
			continue;
		size_t n = edge_words(edge.kind);
		if (bytes)
			memcpy(w, bytes + edge.offset, n);
		else if (memory_read(walk->rt->target->memory, addr + edge.offset, w, n, NULL) !=
			 OK)
			continue;
		/* Zero words may be marked again: they cost nothing. */
		if (load_u64(w) && follow_once(walk, addr + edge.offset, &edge))
			follow(walk, item, &edge, addr, w);
	}
}

/* Counts the bytes of guessed objects; false when they are out of all proportion. */
static bool spend(struct heap_walk *walk, uint64_t n)
{
	struct memory_range r;
	struct memory *memory = walk->rt->target->memory;
	for (uint64_t a = 0; !walk->budget && memory_range_at(memory, a, &r); a = r.end)
		walk->spent += r.end - r.start;
	if (!walk->budget) {
		walk->budget = GUESSED_PASSES * walk->spent + 1;
		walk->spent = 0;
	}
	if (n > walk->budget - walk->spent) {
		walk->stopped = true;
		return false;
	}
	walk->spent += n;
	return true;
}

/* Follows the values of an item, a block of them at a time. */
static void follow_item(struct heap_walk *walk, struct heap_item item)
{
	uint64_t size = walk->graph.nodes[item.node].size;
	struct error err;
	if (size > BLOCK_SIZE) {
		for (uint64_t i = 0; i < item.count && !walk->stopped; i++) {
			if (!is_readable(walk, item.addr + i * size)) {
				lose(walk);
				break;
			}
			follow_value(walk, &item, item.addr + i * size, NULL);
		}
		return;
	}
	uint64_t n = BLOCK_SIZE / size;
	if (n > item.count)
		n = item.count;
	if (!walk->trusted && !spend(walk, n * size))
		return;
	if (memory_read(walk->rt->target->memory, item.addr, walk->block, n * size, &err) != OK) {
		/* As many as are there; nothing is behind them. */
		uint64_t missing = err.addr - item.addr;
		n = err.code == ERROR_FAULT && missing < n * size ? missing / size : 0;
		item.count = n;
		lose(walk);
		if (memory_read(walk->rt->target->memory, item.addr, walk->block, n * size, NULL) !=
		    OK)
			return;
	}
	if (item.count > n)
		push(walk, item.addr + n * size, item.node, item.count - n, item.owner);
	for (uint64_t i = 0; i < n && !walk->stopped; i++)
		follow_value(walk, &item, item.addr + i * size, walk->block + i * size);
}

/* Follows the items above base. */
static void drain(struct heap_walk *walk, size_t base)
{
	while (walk->item_count > base && !walk->stopped && !walk->marks.failed &&
	       !walk->guesses.failed)
		follow_item(walk, walk->items[--walk->item_count]);
	walk->item_count = base;
	if (walk->marks.failed || walk->guesses.failed)
		walk->stopped = true;
}

/* Follows what the entries of a map lead to. */
static void follow_entries(struct heap_walk *walk, size_t i)
{
	AUTO_MAP_WALK struct map_walk *w = NULL;
	struct found_map found = walk->maps[i].found;
	uint32_t key = walk->graph.nodes[walk->maps[i].node].key;
	uint32_t elem = walk->graph.nodes[walk->maps[i].node].elem;
	struct map map;
	struct map_entry e;
	char text[OWNER_MAX];
	bool keys = key && walk->graph.nodes[key].leads;
	bool elems = elem && walk->graph.nodes[elem].leads;
	if ((!keys && !elems) || map_open(walk->rt, found.type, found.addr, &map, NULL) != OK ||
	    map_walk_new(walk->rt, &map, &w, NULL) != OK)
		return;
	snprintf(text, sizeof(text), "element of map 0x%" PRIx64, found.addr);
	uint32_t owner = add_owner(walk, text, OWNER_ELEMENT);
	while (!walk->stopped && map_walk_next(w, &e)) {
		if (keys)
			push(walk, e.key, key, 1, 0);
		if (elems)
			push(walk, e.elem, elem, 1, owner);
		drain(walk, 0);
	}
	if (!map_walk_complete(w))
		walk->lost++;
}

/* Follows all that is waiting. */
static void follow_all(struct heap_walk *walk)
{
	drain(walk, 0);
	while (walk->map_next < walk->map_count && !walk->stopped)
		follow_entries(walk, walk->map_next++);
}

void heap_walk_value(struct heap_walk *walk, struct shape_ref type, uint64_t addr,
		     const char *owner, enum owner_rank rank)
{
	uint32_t node = type_graph_node(&walk->graph, type);
	if (!node || !walk->graph.nodes[node].leads)
		return;
	push(walk, addr, node, 1, add_owner(walk, owner, rank));
	follow_all(walk);
}

void heap_walk_words(struct heap_walk *walk, struct shape_ref type, const uint64_t *words,
		     unsigned known, const char *owner, enum owner_rank rank)
{
	uint32_t node = type_graph_node(&walk->graph, type);
	if (!node || !walk->graph.nodes[node].leads)
		return;
	struct heap_item item = {.node = node, .count = 1, .owner = add_owner(walk, owner, rank)};
	for (size_t i = 0; i < walk->graph.nodes[node].edge_count; i++) {
		struct edge edge = walk->graph.nodes[node].edges[i];
		size_t n = edge_words(edge.kind) / 8, first = edge.offset / 8;
		unsigned need = ((1U << n) - 1) << (first < VARIABLE_WORDS ? first : 0);
		/* Interfaces are followed where they lie, and these lie nowhere. */
		if (first + n > VARIABLE_WORDS || (known & need) != need ||
		    edge.kind == EDGE_EFACE || edge.kind == EDGE_IFACE)
			continue;
		follow(walk, &item, &edge, 0, (const uint8_t *)&words[first]);
	}
	follow_all(walk);
}

void heap_walk_interface(struct heap_walk *walk, uint64_t type, uint64_t addr)
{
	struct edge edge = {.kind = EDGE_EFACE};
	if (!follow_once(walk, addr, &edge))
		return;
	follow_interface(walk, type, addr, NULL, 0, NULL);
	follow_all(walk);
}

void heap_walk_map(struct heap_walk *walk, uint64_t type, uint64_t addr, uint64_t holder,
		   unsigned fitting_types)
{
	const struct module *m = &walk->rt->module;
	struct owner owner = {NULL, OWNER_NONE};
	char text[OWNER_MAX];
	size_t before = walk->map_count;
	uint32_t node = type_graph_node(&walk->graph, (struct shape_ref){.type = type});
	if (!node || walk->graph.nodes[node].kind != KIND_MAP)
		return;
	if (holder >= m->noptrdata && holder < m->enoptrbss) {
		snprintf(text, sizeof(text), "package variable at 0x%" PRIx64, holder);
		owner = (struct owner){strdup(text), OWNER_FIELD};
	}
	add_map(walk, node, addr, holder, owner);
	if (walk->map_count > before)
		walk->maps[before].found.fitting_types = fitting_types;
	follow_all(walk);
}

bool heap_walk_has(const struct heap_walk *walk, uint64_t addr)
{
	return walk->index && walk->index[index_place(walk, addr)];
}
