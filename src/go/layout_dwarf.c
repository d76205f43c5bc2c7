#include "go/layout.h"

#include <dwarf.h>
#include <string.h>

#include "go/dwarf.h"

/* Fields of one struct that are looked at: runtime.m has about 90. */
enum { MEMBERS_MAX = 1000 };

/* The member of the struct called name (name_len bytes of it). */
static bool member_find(Dwarf_Die *structure, const char *name, size_t name_len, Dwarf_Die *ret)
{
	Dwarf_Die member;
	int seen = 0;
	for (bool more = die_first_child(structure, &member); more && seen < MEMBERS_MAX;
	     more = die_next_sibling(&member, &member), seen++) {
		if (dwarf_tag(&member) != DW_TAG_member)
			continue;
		const char *s = dwarf_diename(&member);
		if (s && strlen(s) == name_len && memcmp(s, name, name_len) == 0) {
			*ret = member;
			return true;
		}
	}
	return false;
}

/* The offset of a field, path being its name or "outer.inner"; LAYOUT_NONE when there is none. */
static uint16_t field_offset(Dwarf_Die *structure, const char *path)
{
	Dwarf_Die in = *structure;
	uint64_t sum = 0;
	for (;;) {
		size_t len = strcspn(path, ".");
		Dwarf_Die member;
		uint64_t offset;
		if (!member_find(&in, path, len, &member) ||
		    !die_udata(&member, DW_AT_data_member_location, &offset) ||
		    offset >= LAYOUT_NONE - sum)
			return LAYOUT_NONE;
		sum += offset;
		if (!path[len])
			return (uint16_t)sum;
		path += len + 1;
		if (!die_type(&member, &in))
			return LAYOUT_NONE;
	}
}

static uint16_t field_value(Dwarf_Die *structure, const struct layout_field *field)
{
	if (!field->paths[0]) {
		uint64_t size;
		return die_udata(structure, DW_AT_byte_size, &size) && size < LAYOUT_NONE
			       ? (uint16_t)size
			       : LAYOUT_NONE;
	}
	uint16_t v = LAYOUT_NONE;
	for (size_t i = 0; i < 3 && field->paths[i] && v == LAYOUT_NONE; i++)
		v = field_offset(structure, field->paths[i]);
	return v;
}

static bool part_is_called(const struct layout_part *part, const char *name)
{
	for (size_t i = 0; i < 3 && part->structs[i]; i++)
		if (strcmp(part->structs[i], name) == 0)
			return true;
	return false;
}

/* Takes the part's fields from the struct; false when it is another struct of the same name. */
static bool part_read(const struct layout_part *part, Dwarf_Die *structure, struct layout *layout)
{
	for (size_t f = 0; part->has && f < part->count; f++)
		if (strcmp(part->fields[f].name, part->has) == 0 &&
		    field_value(structure, &part->fields[f]) == LAYOUT_NONE)
			return false;
	for (size_t f = 0; f < part->count; f++)
		*layout_member(layout, &part->fields[f]) = field_value(structure, &part->fields[f]);
	return true;
}

/* Reads the parts that are among the unit's structs, each once; the linker puts every type into
 * the unit "runtime" (cmd/link/internal/ld/dwarf.go). */
static void unit_read(Dwarf_Die *unit, struct layout *layout, unsigned *done)
{
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	Dwarf_Die die;
	for (bool more = die_first_child(unit, &die); more && *done != (1U << count) - 1;
	     more = die_next_sibling(&die, &die)) {
		if (dwarf_tag(&die) != DW_TAG_structure_type)
			continue;
		const char *name = dwarf_diename(&die);
		if (!name || (name[0] != 'r' && name[0] != 'i')) /* runtime., internal/ */
			continue;
		for (size_t p = 0; p < count; p++)
			if (!(*done & 1U << p) && part_is_called(&parts[p], name) &&
			    part_read(&parts[p], &die, layout))
				*done |= 1U << p;
	}
}

enum status layout_from_dwarf(const struct target *target, struct layout *layout, struct error *err)
{
	AUTO_DWARF Dwarf *dwarf = NULL;
	if (dwarf_info_begin(target, &dwarf, err) != OK)
		return FAILED;
	struct layout found = *layout;
	unsigned done = 0;
	Dwarf_Off pos = 0;
	Dwarf_Die unit;
	while (dwarf_info_next_unit(dwarf, &pos, &unit)) {
		const char *name = dwarf_diename(&unit);
		if (name && strcmp(name, "runtime") == 0)
			unit_read(&unit, &found, &done);
	}
	if (!(done & 1U))
		return error_set(err, ERROR_NOT_FOUND, "%s: its DWARF has no runtime.g",
				 executable_path(target->exe));
	found.source = "DWARF";
	*layout = found;
	return OK;
}
