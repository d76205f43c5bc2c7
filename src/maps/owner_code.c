#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "go/dataflow.h"
#include "go/names.h"
#include "go/origin.h"
#include "go/type.h"
#include "go/variable.h"
#include "maps/call.h"
#include "maps/owner_internal.h"

struct search {
	struct origins origins;
	uint64_t map, type; /* 0: by the code alone; type 0: not known */
	/* What is known of a map without a name: */
	int64_t offset; /* that it was loaded from, of an object of unknown type; -1 */
	uint64_t made; /* address of the call that made it; 0 */
	uint64_t variable; /* address of the package variable that it was loaded from; 0 */
};

static void search_done(struct search *s)
{
	origins_done(&s->origins);
}

/* What a pointer leads to. */
struct object {
	struct shape_ref ref;
	uint64_t offset; /* where in it the pointer leads */
	bool element; /* of an array, a slice or a map */
	char variable[300]; /* its name, where it is a variable; "" otherwise */
};

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
	struct flow_value v = *spot_value(spot);
	const struct named_value *named =
		names_of_value(origin_names(&s->origins, spot.place), spot.id);
	struct shape_ref none = {0};
	struct object object;
	struct member member;
	struct function fn;
	if (named)
		return named->type;
	switch (v.kind) {
	case FLOW_LOAD:
		if (pointee(s, spot_with(spot, v.base), &object) &&
		    member_find(s->origins.rt, object.ref, object.offset + (uint64_t)v.n, &member))
			return member.ref;
		break;
	case FLOW_RESULT:
		if (v.n == 0 && dataflow_callee(spot.place->flow, v.call, &fn))
			return function_result(s->origins.rt, fn.entry);
		break;
	default:
		break;
	}
	struct spot from;
	return origin_hop(&s->origins, spot, &from) ? type_of(s, from) : none;
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
	if (!variable_global_at(s->origins.rt, addr, &var, &offset))
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
	struct flow_value v = *spot_value(spot);
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
	if (type.kind != FLOW_NUMBER || shape_read(s->origins.rt, ref, &shape, NULL) != OK)
		return false;
	set_object(ret, element ? shape.elem : ref, 0);
	ret->element = element;
	return has_type(ret->ref);
}

/* What a pointer of a known type leads to. */
static bool object_of_type(struct search *s, struct shape_ref ref, struct object *ret)
{
	struct shape shape;
	if (!has_type(ref) || shape_read(s->origins.rt, ref, &shape, NULL) != OK ||
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
	const struct named_value *named =
		names_of_value(origin_names(&s->origins, spot.place), spot.id);
	struct flow_value v = *spot_value(spot);
	struct spot from;
	struct shape_ref receiver;
	struct object theirs;
	/* "&x" is the address of a variable of an enclosing function. */
	bool is_variable = named && named->name[0] == '&';
	if (named && !is_variable && object_of_type(s, named->type, ret))
		return true;
	const char *name = dataflow_function(spot.place->flow)->name;
	if (v.kind == FLOW_ARG && v.n == receiver_is_second(name) &&
	    receiver_of_name(s->origins.rt, name, &receiver))
		return set_object(ret, receiver, 0);
	/* A method value: its closure holds the receiver. */
	const char *suffix = strstr(name, "-fm");
	if (v.kind == FLOW_LOAD && v.n == 8 && suffix && !suffix[3] &&
	    receiver_of_name(s->origins.rt, name, &receiver))
		return set_object(ret, receiver, 0);
	if (origin_hop(&s->origins, spot, &from) && pointee(s, from, &theirs)) {
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
	struct flow_value v = *spot_value(spot);
	const struct named_value *named;
	if (!origin_step(&s->origins))
		return false;
	switch (v.kind) {
	case FLOW_NUMBER:
		return object_at(s, (uint64_t)v.n, ret);
	case FLOW_FRAME:
		named = names_in_frame(origin_names(&s->origins, spot.place), v.n);
		if (!named)
			return false;
		set_object(ret, named->type, (uint64_t)(v.n - named->offset));
		set_variable(ret, named);
		return has_type(ret->ref);
	case FLOW_OFFSET:
	case FLOW_ELEMENT:
		if (!pointee(s, spot_with(spot, v.base), ret))
			return false;
		ret->offset += (uint64_t)v.n;
		ret->element |= v.kind == FLOW_ELEMENT;
		return true;
	case FLOW_ARG:
		return object_of_given(s, spot, ret);
	case FLOW_RESULT:
		named = names_of_value(origin_names(&s->origins, spot.place), spot.id);
		if (named && named->name[0] == '&' && object_of_type(s, named->type, ret)) {
			set_variable(ret, named);
			return true;
		}
		return object_of_call(s, spot, ret) || object_of_type(s, type_of(s, spot), ret);
	case FLOW_LOAD:
		if (spot_value(spot_with(spot, v.base))->kind == FLOW_CLOSURE)
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
	struct flow_value v = *spot_value(spot);
	uint64_t base, word;
	if (!spot.place->frame ||
	    !dataflow_eval(spot.place->flow, &spot.place->state, v.base, spot.place->frame,
			   &base) ||
	    memory_read_u64(s->origins.rt->target->memory, base + (uint64_t)v.n, &word, NULL) !=
		    OK ||
	    word != s->map)
		return 0;
	return base + (uint64_t)v.n;
}

/* "element of main.(*tally).byHost" for a pointer that a map call has returned. */
static bool name_element(struct search *s, struct spot spot, struct text *text)
{
	struct flow_value v = *spot_value(spot);
	struct map_function f;
	struct function fn;
	struct map_owner outer = {0};
	if (v.kind != FLOW_RESULT || !dataflow_callee(spot.place->flow, v.call, &fn) ||
	    !map_function_by_name(fn.name, &f) || f.map_word < 0)
		return false;
	flow_id id = dataflow_call_argument(spot.place->flow, v.call, (unsigned)f.map_word);
	if (!name_map(s, spot_with(spot, id), &outer))
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
	const char *name = shape_name(s->origins.rt, ref),
		   *bracket = name ? strchr(name, '[') : NULL;
	struct shape_ref found = ref;
	unsigned count = 0;
	uint64_t type;
	if (!bracket || !strstr(bracket, "go.shape."))
		return ref;
	/* Descriptors' names have no path before the package. */
	const char *slash = memrchr(name, '/', (size_t)(bracket - name));
	const char *prefix = slash ? slash + 1 : name;
	size_t len = (size_t)(bracket - prefix) + 1;
	for (uint64_t at = 0; s->type && type_next(s->origins.rt, at, KIND_STRUCT, &type);
	     at = type) {
		const char *candidate = type_name(s->origins.rt, type);
		struct member member;
		if (!candidate || strncmp(candidate, prefix, len) != 0 ||
		    strstr(candidate, "go.shape.") ||
		    !member_find(s->origins.rt, (struct shape_ref){.type = type}, offset,
				 &member) ||
		    !same_slots(s->origins.rt, member.ref.type, s->type))
			continue;
		found = (struct shape_ref){.type = type};
		count++;
	}
	return count == 1 ? found : ref;
}

/* Names the map that is loaded from where spot's value says. */
static bool name_loaded(struct search *s, struct spot spot, struct map_owner *ret)
{
	struct flow_value v = *spot_value(spot);
	AUTO_TEXT struct text name = TEXT_INIT;
	struct object object;
	struct member member;
	bool is_field = false, ok;
	if (!pointee(s, spot_with(spot, v.base), &object)) {
		struct flow_value base = *spot_value(spot_with(spot, v.base));
		s->offset = v.n;
		if (base.kind == FLOW_NUMBER)
			s->variable = (uint64_t)base.n + (uint64_t)v.n;
		return false;
	}
	if (!member_find(s->origins.rt, object.ref, object.offset + (uint64_t)v.n, &member) ||
	    member.kind != KIND_MAP)
		return false;
	if (has_type(member.within)) {
		ok = is_field = owner_field_name(
			s->origins.rt,
			concrete(s, member.within,
				 object.offset + (uint64_t)v.n - member.within_offset),
			member.path, &name);
	} else if (object.variable[0]) {
		text_printf(&name, "%s%s%s", object.variable,
			    member.path[0] && member.path[0] != '[' ? "." : "", member.path);
		ok = true;
	} else {
		ok = object.element && name_element(s, spot_with(spot, v.base), &name);
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
	struct slot_name n = {.names = origin_names(&s->origins, spot.place), .id = spot.id};
	if (find_slot_name(&n, NULL, &spot.place->state))
		dataflow_walk(spot.place->flow, find_slot_name, &n);
	return n.found;
}

static bool name_variable(struct search *s, struct spot spot, struct map_owner *ret)
{
	const struct named_value *named =
		names_of_value(origin_names(&s->origins, spot.place), spot.id);
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
	struct flow_value v = *spot_value(spot);
	struct spot from;
	if (!origin_step(&s->origins) || !spot.id)
		return false;
	if (v.kind == FLOW_LOAD && spot_value(spot_with(spot, v.base))->kind != FLOW_CLOSURE &&
	    name_loaded(s, spot, ret))
		return true;
	if (origin_hop(&s->origins, spot, &from) && name_map(s, from, ret))
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
	    !pclntab_find(c->search->origins.rt->pclntab, insn->target, &fn) ||
	    !map_function_by_name(fn.name, &f) || f.iter_word < 0 || f.map_word < 0 ||
	    dataflow_argument(flow, state, (unsigned)f.iter_word) != c->iterator.id)
		return true;
	flow_id map = dataflow_argument(flow, state, (unsigned)f.map_word);
	c->differs |= c->map && c->map != map;
	c->map = map;
	return true;
}

/* The value that the call of a map function is given as its map. */
static bool map_of_call(struct search *s, struct origin_place *place, const struct map_function *f,
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
	struct site site = site_of_pc(s->origins.rt, s->made);
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
	__attribute__((cleanup(search_done))) struct search s = {
		.origins = {.rt = rt, .goroutine = goroutine, .frames = frames},
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
	struct origin_place *place =
		origin_place(&s.origins, &caller->function, caller->pc, call.frame + 1);
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
	__attribute__((cleanup(search_done))) struct search s = {.origins = {.rt = rt}};
	struct map_owner owner = {.certainty = OWNER_BY_CODE};
	struct map_function f;
	struct function callee;
	struct spot spot;
	struct origin_place *place = origin_place(&s.origins, fn, 0, 0);
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
	owner.made_here = s.made != 0 && s.origins.count == 1;
	say_how(rt, &owner, call);
	*ret = owner;
	return true;
}
