#include "go/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Steps of one search, all ways together. */
enum { STEPS_MAX = 64 };

void origins_done(struct origins *s)
{
	for (size_t i = 0; i < s->count; i++) {
		dataflow_free(s->places[i]->flow);
		names_done(&s->places[i]->names);
		free(s->places[i]);
	}
}

struct origin_place *origin_place(struct origins *s, const struct function *fn,
				  uint64_t return_addr, size_t index)
{
	struct insn call;
	if (s->count == ORIGIN_PLACES_MAX)
		return NULL;
	struct origin_place *place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	s->places[s->count++] = place;
	place->index = index;
	if (s->frames && index < s->frames->count)
		place->frame = &s->frames->list[index];
	if (dataflow_new(s->rt, fn, &place->flow, NULL) != OK ||
	    (return_addr ? !dataflow_call(place->flow, return_addr, &call, &place->state)
			 : !dataflow_at(place->flow, fn->entry, &place->state)))
		return NULL;
	return place;
}

const struct names *origin_names(struct origins *s, struct origin_place *place)
{
	if (!place->names_read) {
		place->names_read = true;
		names_read(s->rt, place->flow, &place->names);
	}
	return &place->names;
}

const struct flow_value *spot_value(struct spot spot)
{
	return dataflow_value(spot.place->flow, spot.id);
}

struct spot spot_with(struct spot spot, flow_id id)
{
	return (struct spot){spot.place, id};
}

bool origin_step(struct origins *s)
{
	return s->steps++ < STEPS_MAX;
}

/* The caller's value that is our argument number n. */
static bool hop_to_caller(struct origins *s, struct spot spot, unsigned n, struct spot *ret)
{
	size_t up = spot.place->index + 1;
	if (!spot.place->frame || up >= s->frames->count)
		return false;
	const struct frame *caller = &s->frames->list[up];
	if (!caller->has_function || caller->is_exact)
		return false;
	struct origin_place *place = origin_place(s, &caller->function, caller->pc, up);
	if (!place)
		return false;
	*ret = (struct spot){place, dataflow_argument(place->flow, &place->state, n)};
	return ret->id != 0;
}

struct maker {
	flow_id code;
	struct flow_state found;
	int64_t offset;
	bool is_found;
};

/* Stops where a word of the frame is the closure's code: the closure lies there. */
static bool find_frame_closure(void *context, const struct insn *insn,
			       const struct flow_state *state)
{
	struct maker *m = context;
	(void)insn;
	for (size_t i = 0; i < state->slot_count; i++) {
		if (state->slots[i].value != m->code)
			continue;
		/* Its other words follow: the state with most of them is wanted. */
		if (!m->is_found || state->slot_count > m->found.slot_count) {
			m->found = *state;
			m->offset = state->slots[i].offset;
			m->is_found = true;
		}
	}
	return true;
}

/* What the function at place put at offset n of the closure that it made of the code at entry. */
static flow_id captured(struct origin_place *place, uint64_t entry, int64_t n)
{
	flow_id object = place->closure ? place->closure : dataflow_made_with(place->flow, entry);
	flow_id value = object ? dataflow_stored(place->flow, object, n) : 0;
	if (value)
		return value;
	struct maker maker = {.code = dataflow_number(place->flow, entry)};
	if (!maker.code)
		return 0;
	dataflow_walk(place->flow, find_frame_closure, &maker);
	return maker.is_found ? dataflow_slot(&maker.found, maker.offset + n) : 0;
}

/* The function whose go statement started the goroutine that our closure is the entry of. */
static struct origin_place *creator_of(struct origins *s, const struct origin_place *place)
{
	struct function fn;
	if (!s->goroutine || !s->goroutine->gopc || !place->frame ||
	    place->index + 2 != s->frames->count || /* goexit stands below the entry */
	    place->flow == NULL || dataflow_function(place->flow)->entry != s->goroutine->startpc ||
	    !pclntab_find(s->rt->pclntab, s->goroutine->gopc - 1, &fn))
		return NULL;
	struct origin_place *creator = origin_place(s, &fn, s->goroutine->gopc, SIZE_MAX);
	/* runtime.newproc takes the closure */
	if (creator)
		creator->closure = dataflow_argument(creator->flow, &creator->state, 0);
	return creator;
}

/* The function that the linked name of a closure says it stands in: "main.main" for "main.main.func2",
 * "main.main.gowrap1", "main.main.func2.1". */
static bool enclosing_function(struct runtime *rt, const char *closure, struct function *ret)
{
	char name[512];
	if (snprintf(name, sizeof(name), "%s", closure) >= (int)sizeof(name))
		return false;
	for (;;) {
		/* dots inside of type arguments and of a package's path are no ends */
		char *dot = strrchr(name, '.');
		if (!dot || strpbrk(dot, "/)]"))
			return false;
		*dot = 0;
		if (!strchr(name, '.'))
			return false;
		if (pclntab_by_name(rt->pclntab, name, ret))
			return true;
	}
}

/* One of our callers that makes closures of the code at entry: where a closure's function was inlined
 * its name does not tell. */
static flow_id captured_by_caller(struct origins *s, struct origin_place *place, uint64_t entry,
				  int64_t n, struct origin_place **ret)
{
	size_t end = s->frames ? s->frames->count : 0;
	for (size_t i = place->index + 1; place->frame && i < end && i <= place->index + 4; i++) {
		const struct frame *frame = &s->frames->list[i];
		if (!frame->has_function || frame->is_exact)
			return 0;
		struct origin_place *maker = origin_place(s, &frame->function, frame->pc, i);
		flow_id id = maker ? captured(maker, entry, n) : 0;
		*ret = maker;
		if (id)
			return id;
	}
	return 0;
}

/* The value that the maker of our closure put at offset n of it. */
static bool hop_to_maker(struct origins *s, struct spot spot, int64_t n, struct spot *ret)
{
	const struct function *closure = dataflow_function(spot.place->flow);
	struct origin_place *maker = creator_of(s, spot.place);
	struct function fn;
	flow_id id = maker ? captured(maker, closure->entry, n) : 0;
	if (!id && enclosing_function(s->rt, closure->name, &fn)) {
		/* Its own frame may stand further out, with what it has been called with. */
		size_t index = SIZE_MAX;
		uint64_t return_addr = 0;
		for (size_t i = 0; s->frames && i < s->frames->count; i++) {
			const struct frame *frame = &s->frames->list[i];
			if (frame->has_function && frame->function.entry == fn.entry &&
			    !frame->is_exact && i > spot.place->index) {
				index = i;
				return_addr = frame->pc;
				break;
			}
		}
		maker = origin_place(s, &fn, return_addr, index);
		id = maker ? captured(maker, closure->entry, n) : 0;
	}
	if (!id)
		id = captured_by_caller(s, spot.place, closure->entry, n, &maker);
	*ret = (struct spot){maker, id};
	return id != 0;
}

bool origin_hop(struct origins *s, struct spot spot, struct spot *ret)
{
	struct flow_value v = *spot_value(spot);
	if (!origin_step(s))
		return false;
	if (v.kind == FLOW_ARG)
		return hop_to_caller(s, spot, (unsigned)v.n, ret);
	if (v.kind == FLOW_LOAD && spot_value(spot_with(spot, v.base))->kind == FLOW_CLOSURE)
		return hop_to_maker(s, spot, v.n, ret);
	return false;
}
