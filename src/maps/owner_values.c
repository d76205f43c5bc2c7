#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/u64set.h"
#include "go/type.h"
#include "go/variable.h"
#include "maps/owner_internal.h"
#include "maps/writers.h"

/* Frames whose variables are asked: between the map's user and who knows it by name may stand a
 * library's. */
enum { FRAMES_MAX = 48 };
/* Values that are looked through from one frame or package, and pointers followed in a row. */
enum { VALUES_MAX = 4096, POINTERS_MAX = 3 };
/* Parts of one value, and elements of one array or slice. */
enum { PARTS_MAX = 512, ELEMENTS_MAX = 64 };
/* Bytes of one value: larger ones are not read to their end. */
enum { VALUE_BYTES_MAX = 16 << 10 };
/* Package variables with pointers: some hundred KB in large programs. */
enum { DATA_MAX = 64 << 20 };

/* A value in memory, or the words of one that is not. */
struct value {
	struct shape_ref ref;
	uint64_t addr; /* 0: words */
	uint64_t words[VARIABLE_WORDS];
	unsigned known; /* bits, of words */
	unsigned pointers; /* followed to get here */
	const struct variable *variable; /* it is this one; NULL: some object */
};

struct values {
	struct runtime *rt;
	uint64_t map;
	struct value *list; /* a queue: nearest first */
	size_t count, cap;
	struct u64set seen; /* addresses of objects */
	struct map_owner *ret;
	struct map_owner local; /* a local variable that is the map; the last that was met */
	struct map_owner library; /* a field of a library's struct; the first that was met */
	bool found;
};

static void values_done(struct values *v)
{
	free(v->list);
	map_owner_done(&v->local);
	map_owner_done(&v->library);
	u64set_done(&v->seen);
}
#define AUTO_VALUES __attribute__((cleanup(values_done)))

static void push(struct values *v, const struct value *value)
{
	/* Memory gone, or too many: an owner less to be told. */
	if (v->count < VALUES_MAX)
		(void)ARRAY_PUSH(v->list, v->count, v->cap, *value);
}

static void add_object(struct values *v, struct shape_ref ref, uint64_t addr,
		       const struct value *from)
{
	uint64_t key = addr ^ (ref.type ? ref.type : ref.die) << 20;
	struct value value = {.ref = ref, .addr = addr, .pointers = from->pointers + 1};
	if (addr && key && value.pointers <= POINTERS_MAX && u64set_add(&v->seen, key))
		push(v, &value);
}

/* Takes a name that the map has. Only a struct's field, or a package variable, ends the search: a frame
 * further out may know the field that a local variable was set from, or the variable that a parameter
 * was, and an object of the program's own that shares its map with a library's. */
static void take(struct values *v, char *name, const struct map_owner *found, bool is_local)
{
	struct map_owner owner = *found, *to = v->ret;
	bool in_library = !is_local && owner_in_library(v->rt, name);
	if (is_local)
		to = &v->local;
	else if (in_library)
		to = &v->library;
	owner.name = name;
	owner.certainty = OWNER_SEEN;
	if (!name || (in_library && v->library.name)) {
		free(name);
		return;
	}
	map_owner_done(to);
	*to = owner;
	v->found = to == v->ret;
}

/* The map is at offset in the value: how the source calls that. */
static void match(struct values *v, const struct value *value, uint64_t offset)
{
	AUTO_TEXT struct text name = TEXT_INIT;
	const struct variable *var = value->variable;
	struct member member;
	if (!member_find(v->rt, value->ref, offset, &member))
		return;
	struct map_owner owner = {
		.type = member.ref.type,
		.holder = value->addr ? value->addr + offset : 0,
	};
	if (member.within.type || member.within.die) {
		if (!owner_field_name(v->rt, member.within, member.path, &name))
			return;
		owner.object = value->addr ? value->addr + member.within_offset : 0;
		owner.object_type = member.within;
		take(v, text_take(&name), &owner, false);
	} else if (var) {
		const char *own = var->name[0] == '&' ? var->name + 1 : var->name;
		bool sub = member.path[0] && member.path[0] != '[';
		text_printf(&name, "%s%s%s%s%s", var->function ? var->function : "",
			    var->function ? "." : "", own, sub ? "." : "", member.path);
		take(v, text_take(&name), &owner, var->function != NULL);
	}
}

/* The bytes of a value; returns how many, from its start, are at hand. */
static size_t value_bytes(struct values *v, const struct value *value, uint64_t size, uint8_t *ret)
{
	if (value->addr) {
		size_t n = size < VALUE_BYTES_MAX ? (size_t)size : VALUE_BYTES_MAX;
		return memory_read(v->rt->target->memory, value->addr, ret, n, NULL) == OK ? n : 0;
	}
	size_t count = 0;
	while (count < VARIABLE_WORDS && value->known >> count & 1)
		count++;
	memcpy(ret, value->words, count * 8);
	return count * 8;
}

static void follow_slice(struct values *v, const struct value *value, struct shape_ref ref,
			 const uint8_t *word)
{
	struct shape elem;
	uint64_t data = load_u64(word), len = load_u64(word + 8);
	if (shape_read(v->rt, ref, &elem, NULL) != OK || !elem.size)
		return;
	if (elem.kind != KIND_STRUCT && elem.kind != KIND_POINTER && elem.kind != KIND_MAP &&
	    elem.kind != KIND_INTERFACE)
		return;
	for (uint64_t i = 0; i < len && i < ELEMENTS_MAX; i++)
		add_object(v, ref, data + i * elem.size, value);
}

static void follow_interface(struct values *v, const struct value *value, bool has_methods,
			     uint64_t offset, const uint8_t *word)
{
	uint64_t type = load_u64(word), data = load_u64(word + 8);
	struct type t;
	if (!type || (has_methods && !type_of_itab(v->rt, type, &type)) ||
	    type_read(v->rt, type, &t, NULL) != OK)
		return;
	if (!t.direct_iface)
		add_object(v, (struct shape_ref){.type = type}, data, value);
	else if (t.kind == KIND_POINTER)
		add_object(v, (struct shape_ref){.type = t.elem}, data, value);
	else if (t.kind == KIND_MAP && data == v->map && value->variable && offset == 0)
		match(v, value, 0);
}

/* The variables that a closure has captured, where DWARF says so (from 1.23 on). */
static void follow_closure(struct values *v, const struct value *value, uint64_t closure)
{
	struct variable *list = NULL;
	uint64_t code;
	if (!closure || memory_read_u64(v->rt->target->memory, closure, &code, NULL) != OK)
		return;
	size_t count = variables_captured(v->rt, code, &list);
	for (size_t i = 0; i < count; i++)
		if (list[i].closure_offset)
			add_object(v,
				   (struct shape_ref){list[i].type,
						      list[i].type ? 0 : list[i].type_die},
				   closure + list[i].closure_offset, value);
	variables_free(list, count);
}

struct part {
	struct shape_ref ref;
	uint64_t offset;
};

struct parts {
	struct part list[PARTS_MAX];
	size_t count;
};

static void add_part(struct parts *parts, struct shape_ref ref, uint64_t offset)
{
	if (parts->count < PARTS_MAX)
		parts->list[parts->count++] = (struct part){ref, offset};
}

static void add_parts(struct values *v, struct parts *parts, const struct shape *shape,
		      uint64_t offset)
{
	struct shape_field *fields;
	struct shape elem;
	if (shape->kind == KIND_STRUCT) {
		size_t count = shape_fields(v->rt, shape, &fields);
		for (size_t i = count; i-- > 0;)
			add_part(parts, fields[i].ref, offset + fields[i].offset);
		free(fields);
	} else if (shape_read(v->rt, shape->elem, &elem, NULL) == OK) {
		uint64_t len = shape->len < ELEMENTS_MAX ? shape->len : ELEMENTS_MAX;
		for (uint64_t i = 0; i < len; i++)
			add_part(parts, shape->elem, offset + i * elem.size);
	}
}

/* Looks through one value for the map, and notes what else its words lead to. */
static void look_through(struct values *v, struct value value, uint8_t *bytes)
{
	struct parts parts;
	struct shape whole, shape;
	if (shape_read(v->rt, value.ref, &whole, NULL) != OK)
		return;
	size_t size = value_bytes(v, &value, whole.size, bytes);
	parts.count = 0;
	add_part(&parts, value.ref, 0);
	for (unsigned i = 0; parts.count && i < PARTS_MAX && !v->found; i++) {
		struct part part = parts.list[--parts.count];
		if (shape_read(v->rt, part.ref, &shape, NULL) != OK || shape.size > size ||
		    part.offset > size - shape.size)
			continue;
		const uint8_t *word = bytes + part.offset;
		switch (shape.kind) {
		case KIND_STRUCT:
		case KIND_ARRAY:
			add_parts(v, &parts, &shape, part.offset);
			break;
		case KIND_MAP:
			if (load_u64(word) == v->map)
				match(v, &value, part.offset);
			break;
		case KIND_POINTER:
			add_object(v, shape.elem, load_u64(word), &value);
			break;
		case KIND_SLICE:
			follow_slice(v, &value, shape.elem, word);
			break;
		case KIND_INTERFACE:
			follow_interface(v, &value, shape.has_methods, part.offset, word);
			break;
		case KIND_FUNC:
			follow_closure(v, &value, load_u64(word));
			break;
		default:
			break;
		}
	}
}

/* Nearest first, until the map is found. */
static void drain(struct values *v, uint8_t *bytes)
{
	for (size_t i = 0; i < v->count && !v->found; i++)
		look_through(v, v->list[i], bytes);
	v->count = 0;
}

static void add_variable(struct values *v, const struct variable *var)
{
	struct shape shape;
	struct value value = {
		.ref = {var->type, var->type ? 0 : var->type_die},
		.addr = var->addr,
		.known = var->words_known,
		.variable = var,
	};
	memcpy(value.words, var->words, sizeof(value.words));
	/* "&x": the variable is what it points to. */
	if (var->name[0] == '&' && var->has_value &&
	    shape_read(v->rt, value.ref, &shape, NULL) == OK && shape.kind == KIND_POINTER) {
		value.ref = shape.elem;
		value.addr = var->value;
	}
	if (value.addr || value.known)
		push(v, &value);
}

bool owner_by_variables(struct runtime *rt, const struct frames *frames, uint64_t map,
			struct map_owner *ret)
{
	struct map_owner owner = {0};
	AUTO_VALUES struct values v = {.rt = rt, .map = map, .ret = &owner};
	AUTO_FREE uint8_t *bytes = malloc(VALUE_BYTES_MAX);
	const char *function = NULL;
	if (!bytes)
		return false;
	for (size_t i = 0; i < frames->count && i < FRAMES_MAX && !v.found; i++) {
		const struct frame *frame = &frames->list[i];
		struct variable *list = NULL;
		if (!frame->has_function || function_is_runtime(frame->function.name))
			continue;
		size_t count = variables_of_frame(rt, frame, &list);
		for (size_t k = 0; k < count; k++)
			add_variable(&v, &list[k]);
		drain(&v, bytes);
		variables_free(list, count);
		function = frame->function.name;
	}
	if (!v.found) {
		struct map_owner *second = v.library.name ? &v.library : &v.local;
		if (!second->name)
			return false;
		owner = *second;
		*second = (struct map_owner){0};
	}
	if (asprintf(&owner.how, "found from the variables of %s", function ? function : "?") < 0)
		owner.how = NULL;
	*ret = owner;
	return true;
}

/* The package variable that holds the map itself: its data is looked through for the pointer. */
static bool find_in_data(struct values *v, uint64_t start, uint64_t end)
{
	if (end <= start || end - start > DATA_MAX)
		return false;
	size_t size = (size_t)(end - start);
	AUTO_FREE uint8_t *data = malloc(size);
	if (!data || memory_read(v->rt->target->memory, start, data, size, NULL) != OK)
		return false;
	for (size_t at = 0; at + 8 <= size && !v->found; at += 8) {
		struct variable var;
		uint64_t offset;
		if (load_u64(data + at) != v->map ||
		    !variable_global_at(v->rt, start + at, &var, &offset))
			continue;
		struct value value = {
			.ref = {var.type, var.type ? 0 : var.type_die},
			.addr = var.addr,
			.variable = &var,
		};
		match(v, &value, offset);
		if (!v->found && !var.type && !var.type_die && offset == 0) {
			struct map_owner owner = {.holder = start + at};
			take(v, TAKE(var.name), &owner, false);
		}
		variable_done(&var);
	}
	return v->found;
}

static bool is_own(const char *name)
{
	return strncmp(name, "runtime.", 8) != 0 && strncmp(name, "internal/", 9) != 0 &&
	       strncmp(name, "syscall.", 8) != 0;
}

/* The package variables that lead to the map over pointers. */
static void follow_package_variables(struct values *v, uint64_t start, uint64_t end, uint8_t *bytes)
{
	for (uint64_t addr = start; addr < end && !v->found;) {
		struct variable var;
		uint64_t offset, step = 8 - addr % 8;
		if (!variable_global_at(v->rt, addr, &var, &offset)) {
			addr += step;
			continue;
		}
		if ((var.type || var.type_die) && is_own(var.name)) {
			add_variable(v, &var);
			drain(v, bytes);
		}
		uint64_t next = var.addr + var.size;
		addr = next > addr ? next : addr + step;
		variable_done(&var);
	}
}

bool owner_by_package(struct runtime *rt, uint64_t map, struct map_owner *ret)
{
	struct map_owner owner = {0};
	AUTO_VALUES struct values v = {.rt = rt, .map = map, .ret = &owner};
	const struct module *m = &rt->module;
	AUTO_FREE uint8_t *bytes = malloc(VALUE_BYTES_MAX);
	if (!bytes)
		return false;
	if (!find_in_data(&v, m->data, m->edata) && !find_in_data(&v, m->bss, m->ebss)) {
		follow_package_variables(&v, m->data, m->edata, bytes);
		follow_package_variables(&v, m->bss, m->ebss, bytes);
	}
	if (!v.found && v.library.name) {
		owner = v.library;
		v.library = (struct map_owner){0};
	} else if (!v.found) {
		return false;
	}
	owner.how = strdup("found from the package's variables");
	*ret = owner;
	return true;
}
