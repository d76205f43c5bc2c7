#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/dataflow.h"
#include "go/names.h"
#include "go/type.h"
#include "go/variable.h"
#include "maps/call.h"
#include "maps/owner_internal.h"

/* Functions that one map is followed through: callers, and makers of closures. */
enum { PLACES_MAX = 16 };
/* Steps of one search, all ways together. */
enum { STEPS_MAX = 64 };

/* One function's code, at a call in it. */
struct place {
	struct dataflow *flow;
	struct names names;
	bool names_read;
	struct flow_state state; /* before the call */
	const struct frame *frame; /* that stands in that call; NULL: none is at hand */
	size_t index; /* of frame */
	flow_id closure; /* in the place of who made it: not known yet if 0 */
};

struct search {
	struct runtime *rt;
	const struct goroutine *goroutine;
	const struct frames *frames; /* NULL: by the code alone */
	uint64_t map, type; /* 0: by the code alone; type 0: not known */
	struct place *places[PLACES_MAX];
	size_t count;
	unsigned steps;
	/* What is known of a map without a name: */
	int64_t offset; /* that it was loaded from, of an object of unknown type; -1 */
	uint64_t made; /* address of the call that made it; 0 */
	uint64_t variable; /* address of the package variable that it was loaded from; 0 */
};

/* A value at a place. */
struct spot {
	struct place *place;
	flow_id id;
};

/* What a pointer leads to. */
struct object {
	struct shape_ref ref;
	uint64_t offset; /* where in it the pointer leads */
	bool element; /* of an array, a slice or a map */
	char variable[300]; /* its name, where it is a variable; "" otherwise */
};

static void search_done(struct search *s)
{
	for (size_t i = 0; i < s->count; i++) {
		dataflow_free(s->places[i]->flow);
		names_done(&s->places[i]->names);
		free(s->places[i]);
	}
}

/* The place of fn at the call that returns to return_addr, or with return_addr 0 at its entry. */
static struct place *place_at(struct search *s, const struct function *fn, uint64_t return_addr,
			      size_t index)
{
	struct insn call;
	if (s->count == PLACES_MAX)
		return NULL;
	struct place *place = calloc(1, sizeof(*place));
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

static const struct names *names_at(struct search *s, struct place *place)
{
	if (!place->names_read) {
		place->names_read = true;
		names_read(s->rt, place->flow, &place->names);
	}
	return &place->names;
}

static const struct flow_value *value_at(struct spot spot)
{
	return dataflow_value(spot.place->flow, spot.id);
}

static struct spot with_id(struct spot spot, flow_id id)
{
	return (struct spot){spot.place, id};
}

/* The caller's value that is our argument number n. */
static bool hop_to_caller(struct search *s, struct spot spot, unsigned n, struct spot *ret)
{
	size_t up = spot.place->index + 1;
	if (!spot.place->frame || up >= s->frames->count)
		return false;
	const struct frame *caller = &s->frames->list[up];
	if (!caller->has_function || caller->is_exact)
		return false;
	struct place *place = place_at(s, &caller->function, caller->pc, up);
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
static flow_id captured(struct place *place, uint64_t entry, int64_t n)
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
static struct place *creator_of(struct search *s, const struct place *place)
{
	struct function fn;
	if (!s->goroutine || !s->goroutine->gopc || !place->frame ||
	    place->index + 2 != s->frames->count || /* goexit stands below the entry */
	    place->flow == NULL || dataflow_function(place->flow)->entry != s->goroutine->startpc ||
	    !pclntab_find(s->rt->pclntab, s->goroutine->gopc - 1, &fn))
		return NULL;
	struct place *creator = place_at(s, &fn, s->goroutine->gopc, SIZE_MAX);
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
static flow_id captured_by_caller(struct search *s, struct place *place, uint64_t entry, int64_t n,
				  struct place **ret)
{
	size_t end = s->frames ? s->frames->count : 0;
	for (size_t i = place->index + 1; place->frame && i < end && i <= place->index + 4; i++) {
		const struct frame *frame = &s->frames->list[i];
		if (!frame->has_function || frame->is_exact)
			return 0;
		struct place *maker = place_at(s, &frame->function, frame->pc, i);
		flow_id id = maker ? captured(maker, entry, n) : 0;
		*ret = maker;
		if (id)
			return id;
	}
	return 0;
}

/* The value that the maker of our closure put at offset n of it. */
static bool hop_to_maker(struct search *s, struct spot spot, int64_t n, struct spot *ret)
{
	const struct function *closure = dataflow_function(spot.place->flow);
	struct place *maker = creator_of(s, spot.place);
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
		maker = place_at(s, &fn, return_addr, index);
		id = maker ? captured(maker, closure->entry, n) : 0;
	}
	if (!id)
		id = captured_by_caller(s, spot.place, closure->entry, n, &maker);
	*ret = (struct spot){maker, id};
	return id != 0;
}

/* The same value in the function that we got it from; false where it is our own. */
static bool hop(struct search *s, struct spot spot, struct spot *ret)
{
	struct flow_value v = *value_at(spot);
	if (s->steps++ >= STEPS_MAX)
		return false;
	if (v.kind == FLOW_ARG)
		return hop_to_caller(s, spot, (unsigned)v.n, ret);
	if (v.kind == FLOW_LOAD && value_at(with_id(spot, v.base))->kind == FLOW_CLOSURE)
		return hop_to_maker(s, spot, v.n, ret);
	return false;
}

static bool pointee(struct search *s, struct spot spot, struct object *ret);

static bool has_type(struct shape_ref ref)
{
	return ref.type || ref.die;
}

static bool callee_is(const struct function *fn, const char *prefix)
{
	return strncmp(fn->name, prefix, strlen(prefix)) == 0;
}

/* The type of a value that is one word; no type where it cannot be told. */
static struct shape_ref type_of(struct search *s, struct spot spot)
{
	struct flow_value v = *value_at(spot);
	const struct named_value *named = names_of_value(names_at(s, spot.place), spot.id);
	struct shape_ref none = {0};
	struct object object;
	struct member member;
	struct function fn;
	if (named)
		return named->type;
	switch (v.kind) {
	case FLOW_LOAD:
		if (pointee(s, with_id(spot, v.base), &object) &&
		    member_find(s->rt, object.ref, object.offset + (uint64_t)v.n, &member))
			return member.ref;
		break;
	case FLOW_RESULT:
		if (v.n == 0 && dataflow_callee(spot.place->flow, v.call, &fn))
			return function_result(s->rt, fn.entry);
		break;
	default:
		break;
	}
	struct spot from;
	return hop(s, spot, &from) ? type_of(s, from) : none;
}

static bool set_object(struct object *ret, struct shape_ref ref, uint64_t offset)
{
	*ret = (struct object){.ref = ref, .offset = offset};
	return has_type(ref);
}

/* The package variable at an address. */
static bool object_at(struct search *s, uint64_t addr, struct object *ret)
{
	struct variable var;
	uint64_t offset;
	if (!variable_global_at(s->rt, addr, &var, &offset))
		return false;
	set_object(ret, (struct shape_ref){var.type, var.type_die}, offset);
	snprintf(ret->variable, sizeof(ret->variable), "%s", var.name);
	variable_done(&var);
	return true;
}

/* A variable of the function, by its name "x" or "&x". */
static void set_variable(struct object *ret, const struct named_value *named)
{
	snprintf(ret->variable, sizeof(ret->variable), "%s.%s",
		 named->function ? named->function : "?",
		 named->name[0] == '&' ? named->name + 1 : named->name);
}

/* The object that a call returns a pointer to, by what the callee is. */
static bool object_of_call(struct search *s, struct spot spot, struct object *ret)
{
	struct flow_value v = *value_at(spot);
	struct function fn;
	struct shape shape;
	if (v.n != 0 || !dataflow_callee(spot.place->flow, v.call, &fn))
		return false;
	/* newobject(typ), mallocgc(size, typ, needzero) and its variants by size (from 1.27 on):
	 * runtime/malloc.go. mapaccess, mapassign(t, m, key): the element. */
	bool element = callee_is(&fn, "runtime.mapaccess") || callee_is(&fn, "runtime.mapassign");
	bool by_size = callee_is(&fn, "runtime.mallocgc");
	if (!element && !by_size && !callee_is(&fn, "runtime.newobject"))
		return false;
	flow_id id = dataflow_call_argument(spot.place->flow, v.call, by_size ? 1 : 0);
	struct flow_value type = *dataflow_value(spot.place->flow, id);
	struct shape_ref ref = {.type = (uint64_t)type.n};
	if (type.kind != FLOW_NUMBER || shape_read(s->rt, ref, &shape, NULL) != OK)
		return false;
	set_object(ret, element ? shape.elem : ref, 0);
	ret->element = element;
	return has_type(ret->ref);
}

/* What a pointer of a known type leads to. */
static bool object_of_type(struct search *s, struct shape_ref ref, struct object *ret)
{
	struct shape shape;
	if (!has_type(ref) || shape_read(s->rt, ref, &shape, NULL) != OK ||
	    (shape.kind != KIND_POINTER && shape.kind != KIND_SLICE))
		return false;
	set_object(ret, shape.elem, 0);
	ret->element = shape.kind == KIND_SLICE;
	return has_type(shape.elem);
}

/* A value that is given to us: what it leads to is known best where it comes from, if that has a
 * name there; else by its own type. */
static bool object_of_given(struct search *s, struct spot spot, struct object *ret)
{
	const struct named_value *named = names_of_value(names_at(s, spot.place), spot.id);
	struct flow_value v = *value_at(spot);
	struct spot from;
	struct shape_ref receiver;
	struct object theirs;
	/* "&x" is the address of a variable of an enclosing function. */
	bool is_variable = named && named->name[0] == '&';
	if (named && !is_variable && object_of_type(s, named->type, ret))
		return true;
	const char *name = dataflow_function(spot.place->flow)->name;
	if (v.kind == FLOW_ARG && v.n == receiver_is_second(name) &&
	    receiver_of_name(s->rt, name, &receiver))
		return set_object(ret, receiver, 0);
	/* A method value: its closure holds the receiver. */
	const char *suffix = strstr(name, "-fm");
	if (v.kind == FLOW_LOAD && v.n == 8 && suffix && !suffix[3] &&
	    receiver_of_name(s->rt, name, &receiver))
		return set_object(ret, receiver, 0);
	if (hop(s, spot, &from) && pointee(s, from, &theirs)) {
		*ret = theirs;
		return true;
	}
	if (!is_variable || !object_of_type(s, named->type, ret))
		return false;
	set_variable(ret, named);
	return true;
}

/* What the value, a pointer, leads to. */
static bool pointee(struct search *s, struct spot spot, struct object *ret)
{
	struct flow_value v = *value_at(spot);
	const struct named_value *named;
	if (s->steps++ >= STEPS_MAX)
		return false;
	switch (v.kind) {
	case FLOW_NUMBER:
		return object_at(s, (uint64_t)v.n, ret);
	case FLOW_FRAME:
		named = names_in_frame(names_at(s, spot.place), v.n);
		if (!named)
			return false;
		set_object(ret, named->type, (uint64_t)(v.n - named->offset));
		set_variable(ret, named);
		return has_type(ret->ref);
	case FLOW_OFFSET:
	case FLOW_ELEMENT:
		if (!pointee(s, with_id(spot, v.base), ret))
			return false;
		ret->offset += (uint64_t)v.n;
		ret->element |= v.kind == FLOW_ELEMENT;
		return true;
	case FLOW_ARG:
		return object_of_given(s, spot, ret);
	case FLOW_RESULT:
		named = names_of_value(names_at(s, spot.place), spot.id);
		if (named && named->name[0] == '&' && object_of_type(s, named->type, ret)) {
			set_variable(ret, named);
			return true;
		}
		return object_of_call(s, spot, ret) || object_of_type(s, type_of(s, spot), ret);
	case FLOW_LOAD:
		if (value_at(with_id(spot, v.base))->kind == FLOW_CLOSURE)
			return object_of_given(s, spot, ret);
		return object_of_type(s, type_of(s, spot), ret);
	default:
		return false;
	}
}

static bool name_map(struct search *s, struct spot spot, struct map_owner *ret);

/* Where in memory the word is that a load takes, if our frame still leads there. */
static uint64_t holder_of(struct search *s, struct spot spot)
{
	struct flow_value v = *value_at(spot);
	uint64_t base, word;
	if (!spot.place->frame ||
	    !dataflow_eval(spot.place->flow, &spot.place->state, v.base, spot.place->frame,
			   &base) ||
	    memory_read_u64(s->rt->target->memory, base + (uint64_t)v.n, &word, NULL) != OK ||
	    word != s->map)
		return 0;
	return base + (uint64_t)v.n;
}

/* "element of main.(*tally).byHost" for a pointer that a map call has returned. */
static bool name_element(struct search *s, struct spot spot, struct text *text)
{
	struct flow_value v = *value_at(spot);
	struct map_function f;
	struct function fn;
	struct map_owner outer = {0};
	if (v.kind != FLOW_RESULT || !dataflow_callee(spot.place->flow, v.call, &fn) ||
	    !map_function_by_name(fn.name, &f) || f.map_word < 0)
		return false;
	flow_id id = dataflow_call_argument(spot.place->flow, v.call, (unsigned)f.map_word);
	if (!name_map(s, with_id(spot, id), &outer))
		return false;
	if (outer.name)
		text_printf(text, "element of %s", outer.name);
	bool ok = outer.name != NULL;
	map_owner_done(&outer);
	return ok;
}

/* Whether two map types lay out their entries alike, as one instance and its shape do. */
static bool same_slots(struct runtime *rt, uint64_t a, uint64_t b)
{
	struct map_type x, y;
	struct type key_x, key_y;
	return type_read_map(rt, a, &x, NULL) == OK && type_read_map(rt, b, &y, NULL) == OK &&
	       x.key_size == y.key_size && x.elem_size == y.elem_size &&
	       type_read(rt, x.type.key, &key_x, NULL) == OK &&
	       type_read(rt, y.type.key, &key_y, NULL) == OK && key_x.kind == key_y.kind;
}

/*
 * The instance of a generic struct that is meant, where all that is known is the shape that its code
 * was compiled for ("Cache[go.shape.string,go.shape.int]"): the one with such a map at offset.
 */
static struct shape_ref concrete(struct search *s, struct shape_ref ref, uint64_t offset)
{
	const char *name = shape_name(s->rt, ref), *bracket = name ? strchr(name, '[') : NULL;
	struct shape_ref found = ref;
	unsigned count = 0;
	uint64_t type;
	if (!bracket || !strstr(bracket, "go.shape."))
		return ref;
	/* Descriptors' names have no path before the package. */
	const char *slash = memrchr(name, '/', (size_t)(bracket - name));
	const char *prefix = slash ? slash + 1 : name;
	size_t len = (size_t)(bracket - prefix) + 1;
	for (uint64_t at = 0; s->type && type_next(s->rt, at, KIND_STRUCT, &type); at = type) {
		const char *candidate = type_name(s->rt, type);
		struct member member;
		if (!candidate || strncmp(candidate, prefix, len) != 0 ||
		    strstr(candidate, "go.shape.") ||
		    !member_find(s->rt, (struct shape_ref){.type = type}, offset, &member) ||
		    !same_slots(s->rt, member.ref.type, s->type))
			continue;
		found = (struct shape_ref){.type = type};
		count++;
	}
	return count == 1 ? found : ref;
}

/* Names the map that is loaded from where spot's value says. */
static bool name_loaded(struct search *s, struct spot spot, struct map_owner *ret)
{
	struct flow_value v = *value_at(spot);
	AUTO_TEXT struct text name = TEXT_INIT;
	struct object object;
	struct member member;
	bool is_field = false, ok;
	if (!pointee(s, with_id(spot, v.base), &object)) {
		struct flow_value base = *value_at(with_id(spot, v.base));
		s->offset = v.n;
		if (base.kind == FLOW_NUMBER)
			s->variable = (uint64_t)base.n + (uint64_t)v.n;
		return false;
	}
	if (!member_find(s->rt, object.ref, object.offset + (uint64_t)v.n, &member) ||
	    member.kind != KIND_MAP)
		return false;
	if (has_type(member.within)) {
		ok = is_field = owner_field_name(
			s->rt,
			concrete(s, member.within,
				 object.offset + (uint64_t)v.n - member.within_offset),
			member.path, &name);
	} else if (object.variable[0]) {
		text_printf(&name, "%s%s%s", object.variable,
			    member.path[0] && member.path[0] != '[' ? "." : "", member.path);
		ok = true;
	} else {
		ok = object.element && name_element(s, with_id(spot, v.base), &name);
	}
	if (!ok || !(ret->name = text_take(&name)))
		return false;
	ret->type = member.ref.type;
	ret->holder = holder_of(s, spot);
	if (ret->holder && is_field) {
		ret->object = ret->holder - object.offset - (uint64_t)v.n + member.within_offset;
		ret->object_type = member.within;
	}
	return true;
}

struct slot_name {
	const struct names *names;
	flow_id id;
	const struct named_value *found;
};

static bool find_slot_name(void *context, const struct insn *insn, const struct flow_state *state)
{
	struct slot_name *n = context;
	(void)insn;
	for (size_t i = 0; !n->found && i < state->slot_count; i++) {
		if (state->slots[i].value != n->id)
			continue;
		n->found = names_in_frame(n->names, state->slots[i].offset);
		if (n->found && n->found->offset != state->slots[i].offset)
			n->found = NULL;
	}
	return !n->found;
}

/* The variable that lies where the function's frame holds the value somewhere: without optimization
 * DWARF tells no ranges, and a variable is in one place all the time. */
static const struct named_value *name_in_slots(struct search *s, struct spot spot)
{
	struct slot_name n = {.names = names_at(s, spot.place), .id = spot.id};
	if (find_slot_name(&n, NULL, &spot.place->state))
		dataflow_walk(spot.place->flow, find_slot_name, &n);
	return n.found;
}

static bool name_variable(struct search *s, struct spot spot, struct map_owner *ret)
{
	const struct named_value *named = names_of_value(names_at(s, spot.place), spot.id);
	if (!named)
		named = name_in_slots(s, spot);
	if (!named)
		return false;
	ret->name = NULL;
	return asprintf(&ret->name, "%s.%s", named->function ? named->function : "?",
			named->name) >= 0;
}

/* Names the map that a value is: as it is called where it comes from, or else here. */
static bool name_map(struct search *s, struct spot spot, struct map_owner *ret)
{
	struct flow_value v = *value_at(spot);
	struct spot from;
	if (s->steps++ >= STEPS_MAX || !spot.id)
		return false;
	if (v.kind == FLOW_LOAD && value_at(with_id(spot, v.base))->kind != FLOW_CLOSURE &&
	    name_loaded(s, spot, ret))
		return true;
	if (hop(s, spot, &from) && name_map(s, from, ret))
		return true;
	struct function fn;
	if (v.kind == FLOW_RESULT && dataflow_callee(spot.place->flow, v.call, &fn) &&
	    callee_is(&fn, "runtime.makemap"))
		s->made = v.call;
	return name_variable(s, spot, ret);
}

struct iterator_call {
	struct search *search;
	struct spot iterator;
	flow_id map;
	bool differs;
};

/* Finds what the calls that start our iterator are given. */
static bool visit_iterator_start(void *context, const struct insn *insn,
				 const struct flow_state *state)
{
	struct iterator_call *c = context;
	struct dataflow *flow = c->iterator.place->flow;
	struct map_function f;
	struct function fn;
	if (insn->flow != INSN_CALL || !insn->has_target ||
	    !pclntab_find(c->search->rt->pclntab, insn->target, &fn) ||
	    !map_function_by_name(fn.name, &f) || f.iter_word < 0 || f.map_word < 0 ||
	    dataflow_argument(flow, state, (unsigned)f.iter_word) != c->iterator.id)
		return true;
	flow_id map = dataflow_argument(flow, state, (unsigned)f.map_word);
	c->differs |= c->map && c->map != map;
	c->map = map;
	return true;
}

/* The value that the call of a map function is given as its map. */
static bool map_of_call(struct search *s, struct place *place, const struct map_function *f,
			struct spot *ret)
{
	if (f->map_word >= 0) {
		*ret = (struct spot){place, dataflow_argument(place->flow, &place->state,
							      (unsigned)f->map_word)};
		return ret->id != 0;
	}
	if (f->iter_word < 0)
		return false;
	struct iterator_call c = {
		s,
		{place, dataflow_argument(place->flow, &place->state, (unsigned)f->iter_word)},
	};
	if (c.iterator.id)
		dataflow_walk(place->flow, visit_iterator_start, &c);
	*ret = (struct spot){place, c.map};
	return c.map && !c.differs;
}

static void say_how(struct runtime *rt, struct map_owner *owner, uint64_t call)
{
	struct site site = site_of_pc(rt, call);
	if (asprintf(&owner->how, "the code at %s:%d takes it from there",
		     site.file ? site.file : "?", site.line) < 0)
		owner->how = NULL;
}

/* What is known of a map whose owner has no name; false where that is nothing. */
static bool say_nameless(struct search *s, struct map_owner *owner)
{
	struct site site = site_of_pc(s->rt, s->made);
	int n = -1;
	if (s->made && site.function)
		n = asprintf(&owner->how, "made in %s at %s:%d", site.function, site.file,
			     site.line);
	else if (s->variable)
		n = asprintf(&owner->how, "the package variable at 0x%" PRIx64, s->variable);
	if (n < 0)
		owner->how = NULL;
	return n >= 0;
}

bool owner_by_code(struct runtime *rt, const struct goroutine *goroutine,
		   const struct frames *frames, uint64_t map, uint64_t type, struct map_owner *ret,
		   int64_t *ret_offset)
{
	__attribute__((cleanup(search_done))) struct search s = {.rt = rt,
								 .goroutine = goroutine,
								 .frames = frames,
								 .map = map,
								 .type = type,
								 .offset = -1};
	struct map_owner owner = {.certainty = OWNER_BY_CODE};
	*ret_offset = -1;
	struct map_call call;
	struct map_function f;
	struct spot spot;
	if (!map_call_of_stack(rt, frames->list, frames->count, &call) ||
	    call.frame + 1 >= frames->count)
		return false;
	const struct frame *frame = &frames->list[call.frame], *caller = frame + 1;
	if (!caller->has_function || !map_function_by_name(frame->function.name, &f))
		return false;
	struct place *place = place_at(&s, &caller->function, caller->pc, call.frame + 1);
	if (!place || !map_of_call(&s, place, &f, &spot))
		return false;
	if (!name_map(&s, spot, &owner)) {
		*ret_offset = s.offset;
		*ret = owner;
		return say_nameless(&s, ret);
	}
	if (owner.holder)
		owner.certainty = OWNER_SEEN;
	say_how(rt, &owner, caller->pc - 1);
	*ret = owner;
	return true;
}

bool map_owner_of_call(struct runtime *rt, const struct function *fn, uint64_t call,
		       struct map_owner *ret)
{
	__attribute__((cleanup(search_done))) struct search s = {.rt = rt};
	struct map_owner owner = {.certainty = OWNER_BY_CODE};
	struct map_function f;
	struct function callee;
	struct spot spot;
	struct place *place = place_at(&s, fn, 0, 0);
	if (!place || !dataflow_at(place->flow, call, &place->state) ||
	    !dataflow_callee(place->flow, call, &callee) ||
	    !map_function_by_name(callee.name, &f) || !map_of_call(&s, place, &f, &spot))
		return false;
	flow_id type_arg = f.type_word >= 0 ? dataflow_argument(place->flow, &place->state,
								(unsigned)f.type_word)
					    : 0;
	const struct flow_value *t = dataflow_value(place->flow, type_arg);
	if (t->kind == FLOW_NUMBER)
		s.type = (uint64_t)t->n;
	if (!name_map(&s, spot, &owner) && !s.made)
		return false;
	owner.made_here = s.made != 0 && s.count == 1;
	say_how(rt, &owner, call);
	*ret = owner;
	return true;
}
