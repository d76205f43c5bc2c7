#include "go/shape.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "go/dwarf.h"

static bool die_at(struct runtime *rt, uint64_t offset, Dwarf_Die *ret)
{
	struct dwarf_info *info = dwarf_info(rt);
	return info && dwarf_offdie(dwarf_info_dwarf(info), offset, ret);
}

static struct shape_ref ref_of_die(struct runtime *rt, Dwarf_Die *die)
{
	uint64_t type = die_runtime_type(rt, die);
	if (type)
		return (struct shape_ref){.type = type};
	return (struct shape_ref){.die = dwarf_dieoffset(die)};
}

/* What a reference attribute of the DIE leads to; no type where there is none. */
static struct shape_ref ref_of_attr(struct runtime *rt, Dwarf_Die *die, unsigned attr)
{
	Dwarf_Die to;
	return die_ref(die, attr, &to) ? ref_of_die(rt, &to) : (struct shape_ref){0};
}

static uint64_t array_length(Dwarf_Die *die)
{
	Dwarf_Die child;
	uint64_t n;
	for (bool more = die_first_child(die, &child); more;
	     more = die_next_sibling(&child, &child)) {
		if (dwarf_tag(&child) == DW_TAG_subrange_type && die_udata(&child, DW_AT_count, &n))
			return n;
	}
	return 0;
}

static enum status shape_of_die(struct runtime *rt, uint64_t offset, struct shape *ret,
				struct error *err)
{
	Dwarf_Die die, target;
	if (!die_at(rt, offset, &die))
		return error_set(err, ERROR_FORMAT, "no type in DWARF at 0x%lx",
				 (unsigned long)offset);
	struct shape s = {
		.ref = ref_of_die(rt, &die),
		.kind = (enum kind)die_kind(&die),
		.size = die_size(&die),
	};
	switch (s.kind) {
	case KIND_INVALID:
		return error_set(err, ERROR_UNSUPPORTED, "DIE 0x%lx is not a Go type",
				 (unsigned long)offset);
	case KIND_POINTER:
	case KIND_ARRAY:
		/* A named type is a typedef of what has the element. */
		if (dwarf_tag(&die) == DW_TAG_typedef && !die_type(&die, &die))
			break;
		s.elem = ref_of_attr(rt, &die, DW_AT_type);
		if (s.kind == KIND_ARRAY)
			s.len = array_length(&die);
		break;
	case KIND_SLICE:
	case KIND_CHAN:
	case KIND_MAP:
		/* So is the unnamed type of a chan or map, and a typedef of the typedef if it is named. */
		for (int i = 0; i < TYPE_DEPTH_MAX && dwarf_tag(&die) == DW_TAG_typedef &&
				!dwarf_hasattr(&die, DW_AT_GO_ELEM);
		     i++) {
			if (!die_ref(&die, DW_AT_type, &die))
				break;
		}
		s.elem = ref_of_attr(rt, &die, DW_AT_GO_ELEM);
		s.key = ref_of_attr(rt, &die, DW_AT_GO_KEY);
		break;
	case KIND_INTERFACE: {
		/* A typedef of runtime.eface or runtime.iface. */
		const char *name = die_type(&die, &target) ? dwarf_diename(&target) : NULL;
		s.has_methods = !name || strcmp(name, "runtime.eface") != 0;
		break;
	}
	default:
		break;
	}
	*ret = s;
	return OK;
}

enum status shape_read(struct runtime *rt, struct shape_ref ref, struct shape *ret,
		       struct error *err)
{
	struct type t;
	if (!ref.type)
		return shape_of_die(rt, ref.die, ret, err);
	if (type_read(rt, ref.type, &t, err) != OK)
		return FAILED;
	*ret = (struct shape){
		.ref = {.type = ref.type},
		.kind = t.kind,
		.size = t.size,
		.elem = {.type = t.elem},
		.key = {.type = t.key},
		.len = t.kind == KIND_ARRAY ? t.len : 0,
		.has_methods = t.method_count != 0,
	};
	return OK;
}

static size_t fields_of_type(struct runtime *rt, uint64_t type, struct shape_field **ret)
{
	struct shape_field *list = NULL;
	size_t count = 0, cap = 0;
	struct type t;
	if (type_read(rt, type, &t, NULL) != OK)
		return 0;
	for (uint64_t i = 0; i < t.len && count < SHAPE_FIELDS_MAX; i++) {
		struct field f;
		if (type_field(rt, &t, i, &f, NULL) != OK)
			break;
		struct shape_field field = {f.name, f.offset, {.type = f.type}};
		if (!ARRAY_PUSH(list, count, cap, field))
			break;
	}
	*ret = list;
	return count;
}

static size_t fields_of_die(struct runtime *rt, uint64_t offset, struct shape_field **ret)
{
	struct shape_field *list = NULL;
	size_t count = 0, cap = 0;
	Dwarf_Die die, child;
	if (!die_at(rt, offset, &die) ||
	    (dwarf_tag(&die) == DW_TAG_typedef && !die_type(&die, &die)))
		return 0;
	for (bool more = die_first_child(&die, &child); more && count < SHAPE_FIELDS_MAX;
	     more = die_next_sibling(&child, &child)) {
		struct shape_field field = {.name = dwarf_diename(&child)};
		if (dwarf_tag(&child) != DW_TAG_member || !field.name ||
		    !die_udata(&child, DW_AT_data_member_location, &field.offset))
			continue;
		field.ref = ref_of_attr(rt, &child, DW_AT_type);
		if (!ARRAY_PUSH(list, count, cap, field))
			break;
	}
	*ret = list;
	return count;
}

size_t shape_fields(struct runtime *rt, const struct shape *shape, struct shape_field **ret)
{
	*ret = NULL;
	if (shape->kind != KIND_STRUCT)
		return 0;
	return shape->ref.type ? fields_of_type(rt, shape->ref.type, ret)
			       : fields_of_die(rt, shape->ref.die, ret);
}

const char *shape_name(struct runtime *rt, struct shape_ref ref)
{
	Dwarf_Die die;
	if (ref.type)
		return type_name(rt, ref.type);
	return ref.die && die_at(rt, ref.die, &die) ? dwarf_diename(&die) : NULL;
}
