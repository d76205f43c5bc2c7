#include "maps/find.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "go/stack.h"
#include "go/variable.h"
#include "maps/guess.h"
#include "maps/heapwalk.h"
#include "maps/writers.h"

enum {
	SCAN_SIZE = 1 << 20, /* memory is searched so much at a time */
	/* Frames whose variables are looked up. A program with more has them in goroutines that do the
	 * same thing; each look-up costs some microseconds. */
	FRAMES_MAX = 2000000,
	CACHE_BITS = 14,
};

void found_maps_done(struct found_maps *maps)
{
	for (size_t i = 0; i < maps->count; i++)
		free(maps->list[i].owner);
	free(maps->list);
	*maps = (struct found_maps){0};
}

static struct shape_ref ref_of(const struct variable *var)
{
	return (struct shape_ref){var->type, var->type ? 0 : var->type_die};
}

/* Package variables in [start, end), which DWARF gives types; returns how many it does. */
static size_t follow_globals(struct heap_walk *walk, uint64_t start, uint64_t end)
{
	size_t typed = 0;
	for (uint64_t addr = start; addr < end;) {
		struct variable var;
		uint64_t offset;
		if (!variable_global_at(walk->rt, addr, &var, &offset)) {
			addr = (addr | 7) + 1;
			continue;
		}
		if (var.type || var.type_die) {
			heap_walk_value(walk, ref_of(&var), var.addr, var.name, OWNER_FIELD);
			typed++;
		}
		uint64_t next = var.addr + var.size;
		addr = next > addr ? next : (addr | 7) + 1;
		variable_done(&var);
	}
	return typed;
}

/* A variable of a frame: in memory, in registers, or, when it escaped, behind the pointer "&x". */
static void follow_variable(struct heap_walk *walk, const struct variable *var)
{
	struct shape_ref ref = ref_of(var);
	struct shape shape;
	char owner[300];
	const char *name = var->name[0] == '&' ? var->name + 1 : var->name;
	snprintf(owner, sizeof(owner), "%s.%s", var->function ? var->function : "?", name);
	if (name != var->name && var->has_value && shape_read(walk->rt, ref, &shape, NULL) == OK &&
	    shape.kind == KIND_POINTER)
		heap_walk_value(walk, shape.elem, var->value, owner, OWNER_LOCAL);
	else if (var->addr)
		heap_walk_value(walk, ref, var->addr, owner, OWNER_LOCAL);
	else if (var->words_known)
		heap_walk_words(walk, ref, var->words, var->words_known, owner, OWNER_LOCAL);
}

static void follow_frame(struct heap_walk *walk, const struct frame *frame)
{
	struct variable *list = NULL;
	size_t count = variables_of_frame(walk->rt, frame, &list);
	for (size_t i = 0; i < count; i++) {
		if (list[i].type || list[i].type_die)
			follow_variable(walk, &list[i]);
	}
	variables_free(list, count);
}

/* The variables of all frames; false when there were more frames than are looked at. */
static bool follow_stacks(struct heap_walk *walk, const struct goroutines *goroutines)
{
	struct stack_walk stack = STACK_WALK_INIT;
	size_t frames = 0;
	for (size_t i = 0; i < goroutines->count && frames < FRAMES_MAX; i++) {
		struct frame frame;
		if (stack_walk_start(&stack, walk->rt, &goroutines->list[i], NULL) != OK)
			continue;
		while (frames < FRAMES_MAX && stack_walk_next(&stack, &frame)) {
			frames++;
			if (frame.has_function && !function_is_runtime(frame.function.name))
				follow_frame(walk, &frame);
		}
	}
	stack_walk_done(&stack);
	return frames < FRAMES_MAX;
}

/* Maps in package variables, as the code of their users names them: where DWARF is missing, a call of a
 * map function still has the map's type beside it. */
static void follow_code(struct heap_walk *walk)
{
	AUTO_MAP_CALLEES struct map_callees *callees = NULL;
	AUTO_FUNCTION_CODE struct function_code *code = NULL;
	struct function fn = {0};
	struct map_sites sites = {0};
	if (map_callees_new(walk->rt, &callees, NULL) != OK ||
	    map_sites_in_program(walk->rt, callees, 0, false, &sites, NULL) != OK) {
		map_sites_done(&sites);
		return;
	}
	for (size_t i = 0; i < sites.count && !walk->stopped; i++) {
		const struct map_site *site = &sites.list[i];
		struct argument map;
		if (!site->type || site->callee.map_word < 0)
			continue;
		/* The calls of a function stand together. */
		if ((!code || fn.index != site->function) &&
		    (!pclntab_at(walk->rt->pclntab, site->function, &fn) ||
		     !function_code_read(walk->rt, &fn, &code)))
			continue;
		if (function_code_argument(code, site->call, NULL, 0, 0,
					   (unsigned)site->callee.map_word, &map) &&
		    map.source == ARGUMENT_MEMORY)
			heap_walk_map(walk, site->type, map.value, map.loaded_from, 0);
	}
	map_sites_done(&sites);
}

/*
 * The search for interfaces: a word that is a type's address or an itab, and behind it a pointer. What
 * looks like one may be something else, so nothing that is found this way is trusted.
 */
struct search {
	struct heap_walk *walk;
	uint64_t image_lo, image_hi; /* where types and itabs lie */
	uint64_t data_lo, data_hi; /* where values may lie */
	struct { /* what words were found to be: their type, or 0 */
		uint64_t word, type;
	} cache[1 << CACHE_BITS];
};

static uint64_t type_of_word(struct search *search, uint64_t word)
{
	size_t i = (size_t)((word * 0x9e3779b97f4a7c15) >> (64 - CACHE_BITS));
	if (search->cache[i].word != word) {
		uint64_t type = 0;
		if (!type_of_itab(search->walk->rt, word, &type))
			type = 0;
		search->cache[i].word = word;
		search->cache[i].type = type;
	}
	return search->cache[i].type;
}

static void search_block(struct search *search, uint64_t addr, const uint8_t *bytes, size_t n)
{
	uint64_t image = search->image_hi - search->image_lo;
	uint64_t data = search->data_hi - search->data_lo;
	for (size_t at = 0; at + 16 <= n && !search->walk->stopped; at += 8) {
		uint64_t word = load_u64(bytes + at);
		if (word - search->image_lo >= image || word & 7 ||
		    load_u64(bytes + at + 8) - search->data_lo >= data)
			continue;
		uint64_t type = type_of_word(search, word);
		if (type)
			heap_walk_interface(search->walk, type, addr + at);
	}
}

static void search_range(struct search *search, const struct memory_range *range, uint8_t *block)
{
	struct memory *memory = search->walk->rt->target->memory;
	/* Blocks overlap by a word: an interface may lie across their border. */
	for (uint64_t addr = (range->start + 7) & ~UINT64_C(7);
	     addr < range->end && range->end - addr >= 16; addr += SCAN_SIZE - 8) {
		size_t n = range->end - addr < SCAN_SIZE ? range->end - addr : SCAN_SIZE;
		if (memory_read(memory, addr, block, n, NULL) == OK)
			search_block(search, addr, block, n);
		else if (search->walk->rt->target->truncated)
			search->walk->lost++;
	}
}

static bool is_data(const struct memory_range *range)
{
	return range->writable && (range->origin == ORIGIN_CORE || range->origin == ORIGIN_LIVE);
}

static enum status search_interfaces(struct heap_walk *walk, struct error *err)
{
	struct memory *memory = walk->rt->target->memory;
	const struct module *m = &walk->rt->module;
	AUTO_FREE struct search *search = calloc(1, sizeof(*search));
	AUTO_FREE uint8_t *block = malloc(SCAN_SIZE);
	struct memory_range r;
	if (!search || !block)
		return error_nomem(err);
	search->walk = walk;
	search->image_lo = m->text < m->types ? m->text : m->types;
	search->image_hi = m->etypes > m->enoptrbss ? m->etypes : m->enoptrbss;
	search->data_lo = UINT64_MAX;
	for (uint64_t a = 0; memory_range_at(memory, a, &r); a = r.end) {
		if (is_data(&r)) {
			search->data_lo = r.start < search->data_lo ? r.start : search->data_lo;
			search->data_hi = r.end;
		}
	}
	for (uint64_t a = 0; memory_range_at(memory, a, &r) && !walk->stopped; a = r.end) {
		if (is_data(&r))
			search_range(search, &r, block);
	}
	return OK;
}

static int compare_maps(const void *a, const void *b)
{
	const struct found_map *x = a, *y = b;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* Hands the maps out, by address. */
static enum status take_maps(struct heap_walk *walk, struct found_maps *ret, struct error *err)
{
	struct found_map *list = calloc(walk->map_count + 1, sizeof(*list));
	if (!list)
		return error_nomem(err);
	for (size_t i = 0; i < walk->map_count; i++) {
		list[i] = walk->maps[i].found;
		walk->maps[i].found.owner = NULL;
	}
	qsort(list, walk->map_count, sizeof(*list), compare_maps);
	*ret = (struct found_maps){.list = list, .count = walk->map_count};
	return OK;
}

/* Without DWARF: maps that nothing typed leads to. */
static void guess(struct heap_walk *walk)
{
	struct error err;
	size_t before = walk->map_count;
	if (guess_maps(walk, &err) != OK)
		notes_add_error(walk->rt->notes, "maps", "search for maps by their bytes", &err);
	notes_add(walk->rt->notes, "maps", 0,
		  "no DWARF: %zu maps were found by their bytes, and maps of fewer than %d entries "
		  "may be missing",
		  walk->map_count - before, GUESS_ENTRIES_MIN);
}

enum status maps_find(struct runtime *rt, const struct goroutines *goroutines,
		      struct found_maps *ret, struct error *err)
{
	const struct module *m = &rt->module;
	struct heap_walk walk;
	if (heap_walk_init(&walk, rt, err) != OK)
		return FAILED;
	bool typed = follow_globals(&walk, m->noptrdata, m->enoptrbss) > 0;
	bool all_frames = follow_stacks(&walk, goroutines);
	walk.trusted = false;
	if (!typed)
		follow_code(&walk);
	enum status status = search_interfaces(&walk, err);
	if (status == OK && !typed)
		guess(&walk);
	if (status != OK) {
		heap_walk_done(&walk);
		return FAILED;
	}
	if (walk.lost)
		notes_add(rt->notes, "maps", 0,
			  "%" PRIu64 " objects could not be read: maps may be missing in the list",
			  walk.lost);
	if (walk.stopped || walk.graph.full)
		notes_add(rt->notes, "maps", 0,
			  "the search for maps was given up at a limit: the list is not complete");
	if (!all_frames)
		notes_add(rt->notes, "maps", 0,
			  "variables of the first %d frames only were searched for maps",
			  FRAMES_MAX);
	status = take_maps(&walk, ret, err);
	if (status == OK)
		ret->complete = typed && !walk.lost && !walk.stopped && !walk.graph.full &&
				all_frames;
	heap_walk_done(&walk);
	return status;
}
