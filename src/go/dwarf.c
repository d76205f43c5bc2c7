#include "go/dwarf.h"

#include <dwarf.h>

/* Typedefs of typedefs: Go's DWARF has one level, two for maps and channels. */
enum { TYPEDEFS_MAX = 16 };

enum status dwarf_info_begin(const struct target *target, Dwarf **ret, struct error *err)
{
	if (!target->exe)
		return error_set(err, ERROR_NOT_FOUND, "no executable to read DWARF from");
	Elf *elf = executable_elf(target->exe);
	if (!elf)
		return error_set(err, ERROR_FORMAT, "%s: libelf cannot read it",
				 executable_path(target->exe));
	Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return error_set(err, ERROR_NOT_FOUND, "%s: %s", executable_path(target->exe),
				 dwarf_errmsg(-1));
	*ret = dwarf;
	return OK;
}

bool die_first_child(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Off from = dwarf_dieoffset(die);
	Dwarf_Die child;
	if (dwarf_child(die, &child) != 0 || dwarf_dieoffset(&child) <= from)
		return false;
	*ret = child;
	return true;
}

bool die_next_sibling(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Off from = dwarf_dieoffset(die);
	Dwarf_Die next;
	if (dwarf_siblingof(die, &next) != 0 || dwarf_dieoffset(&next) <= from)
		return false;
	*ret = next;
	return true;
}

bool dwarf_info_next_unit(Dwarf *dwarf, Dwarf_Off *pos, Dwarf_Die *ret)
{
	for (;;) {
		Dwarf_Off next;
		size_t header;
		if (dwarf_next_unit(dwarf, *pos, &next, &header, NULL, NULL, NULL, NULL, NULL,
				    NULL) != 0 ||
		    next <= *pos)
			return false;
		Dwarf_Off at = *pos + header;
		*pos = next;
		if (dwarf_offdie(dwarf, at, ret) && dwarf_tag(ret) == DW_TAG_compile_unit)
			return true;
	}
}

bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	if (!dwarf_attr(die, attr, &a) || dwarf_formudata(&a, &v) != 0)
		return false;
	*ret = v;
	return true;
}

bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *ret)
{
	Dwarf_Attribute a;
	return dwarf_attr(die, attr, &a) && dwarf_formref_die(&a, ret);
}

bool die_type(Dwarf_Die *die, Dwarf_Die *ret)
{
	Dwarf_Die type = *die;
	for (int i = 0; i < TYPEDEFS_MAX; i++) {
		if (!die_ref(&type, DW_AT_type, &type))
			return false;
		int tag = dwarf_tag(&type);
		if (tag != DW_TAG_typedef && tag != DW_TAG_const_type &&
		    tag != DW_TAG_volatile_type) {
			*ret = type;
			return true;
		}
	}
	return false;
}
