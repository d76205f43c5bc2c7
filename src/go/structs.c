#include "go/structs.h"

#include <dwarf.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/dwarf.h"
#include "go/type.h"

/* Fields of one struct: runtime.m has about 90, generated code some thousands. */
enum { FIELDS_MAX = 10000 };

/* Types within types, when the alignment of one is looked for in DWARF. */
enum { ALIGN_DEPTH = 16, ALIGN_STEPS = 10000 };

const char *struct_source_name(enum struct_source source)
{
	static const char *const names[] = {
		[STRUCT_DESCRIPTOR] = "type descriptor",
		[STRUCT_DWARF] = "DWARF",
		[STRUCT_TABLE] = "table",
	};
	return names[source];
}

void struct_layout_done(struct struct_layout *layout)
{
	for (size_t i = 0; i < layout->count; i++) {
		free(layout->list[i].name);
		free(layout->list[i].type);
	}
	free(layout->list);
	free(layout->name);
	*layout = (struct struct_layout){0};
}

uint64_t struct_padding(const struct struct_layout *layout, size_t i)
{
	const struct struct_field *f = &layout->list[i];
	bool last = i + 1 == layout->count;
	if (!f->has_size || (last && !layout->has_size))
		return 0;
	uint64_t next = last ? layout->size : layout->list[i + 1].offset;
	return next > f->offset && next - f->offset > f->size ? next - f->offset - f->size : 0;
}

const struct struct_field *struct_find(const struct struct_layout *layout, const char *name)
{
	for (size_t i = 0; i < layout->count; i++)
		if (strcmp(layout->list[i].name, name) == 0)
			return &layout->list[i];
	return NULL;
}

/* Adds a copy of field, whose strings stay the caller's. */
static enum status add_field(struct struct_layout *layout, const struct struct_field *field,
			     struct error *err)
{
	struct struct_field copy = *field;
	copy.name = strdup(field->name ? field->name : "?");
	copy.type = field->type ? strdup(field->type) : NULL;
	if (!copy.name || (field->type && !copy.type) ||
	    !ARRAY_PUSH(layout->list, layout->count, layout->cap, copy)) {
		free(copy.name);
		free(copy.type);
		return error_nomem(err);
	}
	return OK;
}

/* Hands a layout to *ret, or releases it where filling it failed. */
static enum status finish(struct struct_layout *layout, const char *name, enum status filled,
			  struct struct_layout *ret, struct error *err)
{
	if (filled == OK && !(layout->name = strdup(name)))
		filled = error_nomem(err);
	if (filled == OK)
		*ret = *layout;
	else
		struct_layout_done(layout);
	return filled;
}

static enum status fill_from_type(struct runtime *rt, const struct type *type,
				  struct struct_layout *layout, struct error *err)
{
	for (uint64_t i = 0; i < type->len; i++) {
		struct field field;
		struct type t;
		if (i == FIELDS_MAX)
			return error_at(err, ERROR_LIMIT, type->addr,
					"a struct of more than %d fields", FIELDS_MAX);
		if (type_field(rt, type, i, &field, err) != OK ||
		    type_read(rt, field.type, &t, err) != OK)
			return FAILED;
		struct struct_field f = {
			.name = (char *)field.name,
			.type = (char *)type_name(rt, field.type),
			.offset = field.offset,
			.size = t.size,
			.has_size = true,
			.align = t.align,
		};
		if (add_field(layout, &f, err) != OK)
			return FAILED;
	}
	return OK;
}

enum status struct_layout_of_type(struct runtime *rt, uint64_t addr, struct struct_layout *ret,
				  struct error *err)
{
	struct type type;
	if (type_read(rt, addr, &type, err) != OK)
		return FAILED;
	const char *name = type_name(rt, addr);
	if (type.kind != KIND_STRUCT)
		return error_at(err, ERROR_MISMATCH, addr, "%.100s is no struct but a %s",
				name ? name : "the type", kind_name(type.kind));
	struct struct_layout layout = {
		.source = STRUCT_DESCRIPTOR,
		.type = addr,
		.size = type.size,
		.has_size = true,
		.align = type.align,
	};
	return finish(&layout, name ? name : "?", fill_from_type(rt, &type, &layout, err), ret,
		      err);
}

/* The part of "internal/runtime/maps.Map" that descriptors have as the name: "maps.Map". */
static const char *short_name(const char *name)
{
	/* The slashes of a type argument are not the package's. */
	const char *slash = memrchr(name, '/', strcspn(name, "["));
	return slash ? slash + 1 : name;
}

/* Whether the descriptor is of a struct called name, by its import path where name has one. */
static bool type_is_called(struct runtime *rt, uint64_t addr, const char *name)
{
	const char *tail = short_name(name), *has = type_name(rt, addr);
	struct type type;
	if (!has || strcmp(has, tail) != 0 || type_read(rt, addr, &type, NULL) != OK ||
	    type.kind != KIND_STRUCT)
		return false;
	const char *dot = strchr(tail, '.'), *package = type_package(rt, addr);
	size_t len = dot ? (size_t)(dot - name) : 0;
	/* Without a slash, the name may be that of a package with any path. */
	return tail == name || (package && strlen(package) == len && !memcmp(package, name, len));
}

static bool find_type(struct runtime *rt, const char *name, uint64_t *ret)
{
	uint64_t addr;
	if (type_by_name(rt, short_name(name), &addr) && type_is_called(rt, addr, name)) {
		*ret = addr;
		return true;
	}
	/* Another package may have a type of that name. */
	for (uint64_t at = 0; type_next(rt, at, KIND_STRUCT, &addr); at = addr) {
		if (type_is_called(rt, addr, name)) {
			*ret = addr;
			return true;
		}
	}
	return false;
}

/*
 * The alignment of a type, which Go's DWARF does not give: that of the largest of the scalars in it.
 * An explicit stack, because the DWARF decides how deep types nest.
 */
static unsigned die_align(Dwarf_Die *type)
{
	Dwarf_Die stack[ALIGN_DEPTH];
	unsigned align = 1, steps = 0;
	int depth = 0;
	Dwarf_Die die = *type;
	for (;;) {
		int tag = dwarf_tag(&die);
		bool is_member = tag == DW_TAG_member && depth > 0;
		if (is_member)
			stack[depth - 1] = die;
		Dwarf_Die inner = die;
		if ((is_member || tag == DW_TAG_typedef || tag == DW_TAG_array_type) &&
		    !die_type(&die, &inner))
			return 0;
		if (++steps == ALIGN_STEPS)
			return 0;
		if (dwarf_tag(&inner) == DW_TAG_array_type) {
			die = inner;
			continue;
		}
		if (dwarf_tag(&inner) == DW_TAG_structure_type) {
			if (depth == ALIGN_DEPTH)
				return 0;
			if (die_first_child(&inner, &die)) {
				stack[depth++] = die;
				if (dwarf_tag(&die) == DW_TAG_member)
					continue;
			}
		} else {
			uint64_t size = die_size(&inner);
			if (dwarf_tag(&inner) == DW_TAG_base_type &&
			    (die_kind(&inner) == KIND_COMPLEX64 ||
			     die_kind(&inner) == KIND_COMPLEX128))
				size /= 2;
			if (size > align && size <= 8)
				align = (unsigned)size;
		}
		/* On to the next member of the innermost struct that has one left. */
		for (;; depth--) {
			if (depth == 0)
				return align;
			bool more = die_next_sibling(&stack[depth - 1], &die);
			while (more && dwarf_tag(&die) != DW_TAG_member)
				more = die_next_sibling(&die, &die);
			if (more)
				break;
		}
	}
}

static enum status fill_from_die(Dwarf_Die *structure, struct struct_layout *layout,
				 struct error *err)
{
	Dwarf_Die member, type;
	int seen = 0;
	for (bool more = die_first_child(structure, &member); more;
	     more = die_next_sibling(&member, &member)) {
		if (dwarf_tag(&member) != DW_TAG_member)
			continue;
		struct struct_field f = {.name = (char *)dwarf_diename(&member)};
		if (seen++ == FIELDS_MAX)
			return error_set(err, ERROR_LIMIT, "a struct of more than %d fields",
					 FIELDS_MAX);
		if (!die_udata(&member, DW_AT_data_member_location, &f.offset) ||
		    !die_ref(&member, DW_AT_type, &type))
			return error_set(err, ERROR_FORMAT, "a field without offset or type");
		f.type = (char *)dwarf_diename(&type);
		f.size = die_size(&type);
		f.has_size = true;
		f.align = die_align(&type);
		if (f.align > layout->align)
			layout->align = f.align;
		if (add_field(layout, &f, err) != OK)
			return FAILED;
	}
	return OK;
}

/* Whether a struct of DWARF, which has full import paths, is the one called name. */
static bool die_is_called(const char *die_name, const char *name)
{
	return strcmp(die_name, name) == 0 ||
	       (!strchr(name, '/') && strcmp(short_name(die_name), name) == 0);
}

static enum status find_die(Dwarf *dwarf, const char *name, Dwarf_Die *ret, struct error *err)
{
	Dwarf_Off pos = 0;
	Dwarf_Die unit, die;
	bool any = false;
	/* The linker puts all types into the unit "runtime" (cmd/link/internal/ld/dwarf.go). */
	while (dwarf_info_next_unit(dwarf, &pos, &unit)) {
		const char *unit_name = dwarf_diename(&unit);
		if (!unit_name || strcmp(unit_name, "runtime") != 0)
			continue;
		for (bool more = die_first_child(&unit, &die); more;
		     more = die_next_sibling(&die, &die)) {
			if (dwarf_tag(&die) != DW_TAG_structure_type)
				continue;
			const char *die_name = dwarf_diename(&die);
			any = true;
			if (die_name && die_is_called(die_name, name)) {
				*ret = die;
				return OK;
			}
		}
	}
	if (!any)
		return error_set(err, ERROR_FORMAT, "the DWARF shows no structs");
	return error_set(err, ERROR_NOT_FOUND, "no struct called %.100s", name);
}

static enum status read_from_dwarf(struct runtime *rt, const char *name, struct struct_layout *ret,
				   struct error *err)
{
	struct dwarf_info *info = dwarf_info(rt);
	struct section section;
	Dwarf_Die die;
	if (!info && target_section(rt->target, ".debug_info", &section))
		return error_set(err, ERROR_FORMAT, "the DWARF cannot be opened");
	if (!info)
		return error_set(err, ERROR_NOT_FOUND, "no DWARF");
	if (find_die(dwarf_info_dwarf(info), name, &die, err) != OK)
		return FAILED;
	struct struct_layout layout = {.source = STRUCT_DWARF, .align = 1};
	layout.has_size = die_udata(&die, DW_AT_byte_size, &layout.size);
	return finish(&layout, dwarf_diename(&die), fill_from_die(&die, &layout, err), ret, err);
}

static int compare_offsets(const void *a, const void *b)
{
	const struct struct_field *x = a, *y = b;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static enum status fill_from_table(struct runtime *rt, const struct layout_part *part,
				   struct struct_layout *layout, struct error *err)
{
	for (size_t i = 0; i < part->count; i++) {
		uint16_t v = *layout_member(&rt->layout, &part->fields[i]);
		struct struct_field f = {.name = (char *)part->fields[i].paths[0], .offset = v};
		if (v == LAYOUT_NONE)
			continue;
		if (!f.name) {
			layout->size = v;
			layout->has_size = true;
		} else if (add_field(layout, &f, err) != OK) {
			return FAILED;
		}
	}
	if (layout->count)
		qsort(layout->list, layout->count, sizeof(*layout->list), compare_offsets);
	return OK;
}

static enum status read_from_table(struct runtime *rt, const char *name, struct struct_layout *ret,
				   struct error *err)
{
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	for (size_t i = 0; i < count; i++) {
		struct struct_layout layout = {.source = STRUCT_TABLE};
		if (!die_is_called(parts[i].structs[0], name))
			continue;
		enum status filled = fill_from_table(rt, &parts[i], &layout, err);
		if (filled == OK && layout.count == 0)
			break;
		return finish(&layout, parts[i].structs[0], filled, ret, err);
	}
	return error_set(err, ERROR_NOT_FOUND, "the binary has no struct called %.100s", name);
}

/* Whether the next source is to be asked after this one failed: always where it just has no such struct;
 * else what it lacks is noted, except for memory, which nothing else would have either. */
static bool try_next(struct runtime *rt, const char *name, const struct error *why)
{
	if (why->code == ERROR_NOMEM)
		return false;
	if (why->code != ERROR_NOT_FOUND)
		notes_add_error(rt->notes, "go", name, why);
	return true;
}

enum status struct_layout_read(struct runtime *rt, const char *name, struct struct_layout *ret,
			       struct error *err)
{
	uint64_t type;
	struct error why;
	if (find_type(rt, name, &type)) {
		if (struct_layout_of_type(rt, type, ret, &why) == OK)
			return OK;
		if (!try_next(rt, name, &why))
			return error_nomem(err);
	}
	if (read_from_dwarf(rt, name, ret, &why) == OK)
		return OK;
	if (!try_next(rt, name, &why))
		return error_nomem(err);
	return read_from_table(rt, name, ret, err);
}
