#include "maps/owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "go/type.h"
#include "go/variable.h"

/* Frames outside the runtime whose variables are asked: the map's user, and a few helpers' callers. */
enum { OWNER_FRAMES_MAX = 8 };
/* Structs that are looked through from one variable, by value and over pointers, breadth first; and
 * the pointers that are followed in a row. */
enum { OWNER_STRUCTS_MAX = 256, OWNER_POINTERS_MAX = 2 };

/* Package variables with pointers: some hundred KB in large programs. */
enum { OWNER_DATA_MAX = 64 << 20 };

struct place {
	uint64_t type, addr; /* a struct's type and address */
	unsigned pointers; /* followed to get here */
};

struct places {
	struct place *list;
	size_t count, cap;
};

static void add_place(struct places *places, uint64_t type, uint64_t addr, unsigned pointers)
{
	for (size_t i = 0; i < places->count; i++)
		if (places->list[i].type == type && places->list[i].addr == addr)
			return;
	/* Memory gone, or too many: an owner less to be told. */
	if (places->count < OWNER_STRUCTS_MAX)
		(void)ARRAY_PUSH(places->list, places->count, places->cap,
				 ((struct place){type, addr, pointers}));
}

/* Adds what a value of the type at addr leads to: a struct itself, or the one that a pointer is to. */
static void add_value(struct runtime *rt, struct places *places, uint64_t type, uint64_t addr,
		      unsigned pointers)
{
	struct type t, elem;
	uint64_t pointer;
	if (type_read(rt, type, &t, NULL) != OK)
		return;
	if (t.kind == KIND_STRUCT)
		add_place(places, type, addr, pointers);
	else if (t.kind == KIND_POINTER && pointers < OWNER_POINTERS_MAX &&
		 type_read(rt, t.elem, &elem, NULL) == OK && elem.kind == KIND_STRUCT &&
		 memory_read_u64(rt->target->memory, addr, &pointer, NULL) == OK && pointer)
		add_place(places, t.elem, pointer, pointers + 1);
}

/* The field of one of the places, or of what they lead to, that holds the map: "main.(*T).field". */
static char *field_that_holds(struct runtime *rt, struct places *places, uint64_t map,
			      uint64_t *ret_type)
{
	for (size_t i = 0; i < places->count; i++) {
		struct place place = places->list[i];
		struct type t;
		if (type_read(rt, place.type, &t, NULL) != OK)
			continue;
		for (uint64_t k = 0; k < t.len && k < OWNER_STRUCTS_MAX; k++) {
			struct field field;
			struct type ft;
			uint64_t word;
			if (type_field(rt, &t, k, &field, NULL) != OK ||
			    type_read(rt, field.type, &ft, NULL) != OK)
				continue;
			if (ft.kind != KIND_MAP) {
				add_value(rt, places, field.type, place.addr + field.offset,
					  place.pointers);
				continue;
			}
			if (memory_read_u64(rt->target->memory, place.addr + field.offset, &word,
					    NULL) != OK ||
			    word != map)
				continue;
			const char *name = type_name(rt, place.type);
			const char *dot = name ? strrchr(name, '.') : NULL;
			char *owner = NULL;
			/* A generic type's arguments have dots of their own, behind a bracket. */
			const char *bracket = name ? strchr(name, '[') : NULL;
			if (bracket && dot > bracket)
				dot = memrchr(name, '.', (size_t)(bracket - name));
			if (dot && t.named &&
			    asprintf(&owner, "%.*s(*%s).%s", (int)(dot - name + 1), name, dot + 1,
				     field.name) < 0)
				owner = NULL;
			if (!owner)
				continue;
			*ret_type = field.type;
			return owner;
		}
	}
	return NULL;
}

/* A variable that leads to structs: by its value, or behind the pointer of one that escaped ("&x"). */
static void add_variable(struct runtime *rt, struct places *places, const struct variable *var)
{
	struct type t, elem;
	if (!var->type || type_read(rt, var->type, &t, NULL) != OK)
		return;
	if (var->addr) {
		add_value(rt, places, var->type, var->addr, 0);
	} else if (var->has_value && t.kind == KIND_POINTER && var->value &&
		   type_read(rt, t.elem, &elem, NULL) == OK) {
		if (elem.kind == KIND_STRUCT)
			add_place(places, t.elem, var->value, 1);
		else
			add_value(rt, places, t.elem, var->value, 0);
	}
}

static bool is_map(struct runtime *rt, uint64_t type)
{
	struct type t;
	return type && type_read(rt, type, &t, NULL) == OK && t.kind == KIND_MAP;
}

/* "function.name" of a local variable that is the map. */
static char *local_name(struct runtime *rt, const struct variable *var, uint64_t map)
{
	uint64_t word = var->value;
	const char *name = var->name[0] == '&' ? var->name + 1 : var->name;
	char *owner;
	bool escaped = name != var->name;
	if (escaped ? !var->has_value ||
			      memory_read_u64(rt->target->memory, var->value, &word, NULL) != OK
		    : !var->has_value || !is_map(rt, var->type))
		return NULL;
	if (word != map || asprintf(&owner, "%s.%s", var->function ? var->function : "?", name) < 0)
		return NULL;
	return owner;
}

/* The receiver of a method, by the type that its linked name tells: "main.(*Cache).Put". */
static void add_receiver(struct runtime *rt, struct places *places, const struct frames *frames,
			 size_t i)
{
	char name[512];
	const char *linked = frames->list[i].function.name;
	const char *open = strstr(linked, ".(*"), *close = open ? strchr(open, ')') : NULL;
	struct argument receiver;
	uint64_t type;
	if (!close || (size_t)(close - linked) >= sizeof(name))
		return;
	/* The runtime names types by the last element of their package's path. */
	const char *slash = memrchr(linked, '/', (size_t)(open - linked));
	const char *package = slash ? slash + 1 : linked;
	snprintf(name, sizeof(name), "%.*s.%.*s", (int)(open - package), package,
		 (int)(close - open - 3), open + 3);
	if (type_by_name(rt, name, &type) &&
	    frame_argument(rt, frames->list, frames->count, i, 0, false, &receiver))
		add_place(places, type, receiver.value, 1);
}

/* The package variable whose word at addr is the map, or a field's in it. */
static char *global_name(struct runtime *rt, uint64_t map, uint64_t addr, uint64_t *ret_type)
{
	struct variable var;
	uint64_t offset;
	if (!variable_global_at(rt, addr, &var, &offset))
		return NULL;
	char *owner = NULL;
	if (offset && var.type) {
		struct places places = {0};
		add_value(rt, &places, var.type, var.addr, 0);
		owner = field_that_holds(rt, &places, map, ret_type);
		free(places.list);
	}
	if (!owner)
		owner = strdup(var.name);
	variable_done(&var);
	return owner;
}

/* The package variable that holds the map: its data is looked through for the pointer. */
static char *find_global(struct runtime *rt, uint64_t map, uint64_t *ret_type)
{
	const struct module *m = &rt->module;
	const uint64_t ranges[][2] = {{m->data, m->edata}, {m->bss, m->ebss}};
	char *owner = NULL;
	for (size_t i = 0; i < 2 && !owner; i++) {
		uint64_t start = ranges[i][0], end = ranges[i][1];
		if (end <= start || end - start > OWNER_DATA_MAX)
			continue;
		size_t size = (size_t)(end - start);
		AUTO_FREE uint8_t *data = malloc(size);
		if (!data || memory_read(rt->target->memory, start, data, size, NULL) != OK)
			continue;
		for (size_t at = 0; at + 8 <= size && !owner; at += 8)
			if (load_u64(data + at) == map)
				owner = global_name(rt, map, start + at, ret_type);
	}
	return owner;
}

char *map_owner(struct runtime *rt, const struct frames *frames, uint64_t map, uint64_t *ret_type)
{
	struct places places = {0};
	char *local = NULL, *owner = NULL;
	*ret_type = 0;
	unsigned asked = 0;
	for (size_t i = 0; !owner && i < frames->count && asked < OWNER_FRAMES_MAX; i++) {
		const struct frame *frame = &frames->list[i];
		struct variable *list = NULL;
		if (!frame->has_function || function_is_runtime(frame->function.name))
			continue;
		asked++;
		places.count = 0;
		size_t count = variables_of_frame(rt, frame, &list);
		for (size_t k = 0; k < count; k++) {
			add_variable(rt, &places, &list[k]);
			/* The outermost frame that knows it has the name it was made by. */
			char *name = local_name(rt, &list[k], map);
			if (name) {
				free(local);
				local = name;
			}
		}
		variables_free(list, count);
		add_receiver(rt, &places, frames, i);
		owner = field_that_holds(rt, &places, map, ret_type);
	}
	free(places.list);
	if (!owner)
		owner = find_global(rt, map, ret_type);
	if (!owner)
		return local;
	free(local);
	return owner;
}
