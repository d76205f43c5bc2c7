#include "go/dwarf.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/nomem.h"

/* Typedefs of typedefs: Go's DWARF has one level, two for maps and channels. */
enum { TYPEDEFS_MAX = 16 };
/* Address ranges of all units, or of one: a program of 100 MB has some thousands. */
enum { RANGES_MAX = 1 << 20 };
/* Package variables: a program of 100 MB has some ten thousands. */
enum { GLOBALS_MAX = 1 << 22 };

/* A range of code, and the DIE that it belongs to. */
struct extent {
	uint64_t low, high;
	Dwarf_Off die;
};

struct extents {
	struct extent *list;
	size_t count, cap;
	bool read;
};

struct dwarf_info {
	Dwarf *dwarf;
	struct extents units; /* sorted by low */
	struct extents globals; /* sorted by low, high unused */
	struct extents functions; /* of the unit that was asked for last, sorted by low */
	Dwarf_Off functions_unit;
};

/* libdw's own handler prints, and exits as if there were a report with gaps. */
__attribute__((noreturn)) static void out_of_memory(void)
{
	nomem_exit();
	abort();
}

enum status dwarf_info_begin(const struct target *target, Dwarf **ret, struct error *err)
{
	if (!target->exe)
		return error_set(err, ERROR_NOT_FOUND, "no executable to read DWARF from");
	Elf *elf = executable_elf(target->exe);
	if (!elf)
		return error_set(err, ERROR_FORMAT, "%.160s: libelf cannot read it",
				 executable_path(target->exe));
	Dwarf *dwarf = dwarf_begin_elf(elf, DWARF_C_READ, NULL);
	if (!dwarf)
		return error_set(err, ERROR_NOT_FOUND, "%.160s: %s", executable_path(target->exe),
				 dwarf_errmsg(-1));
	dwarf_new_oom_handler(dwarf, out_of_memory);
	*ret = dwarf;
	return OK;
}

struct dwarf_info *dwarf_info(struct runtime *rt)
{
	if (rt->dwarf_tried)
		return rt->dwarf;
	rt->dwarf_tried = true;
	AUTO_DWARF Dwarf *dwarf = NULL;
	if (dwarf_info_begin(rt->target, &dwarf, NULL) != OK)
		return NULL;
	struct dwarf_info *info = calloc(1, sizeof(*info));
	if (!info)
		return NULL;
	info->dwarf = TAKE(dwarf);
	rt->dwarf = info;
	return info;
}

void dwarf_info_free(struct dwarf_info *info)
{
	if (!info)
		return;
	free(info->units.list);
	free(info->globals.list);
	free(info->functions.list);
	dwarf_end(info->dwarf);
	free(info);
}

Dwarf *dwarf_info_dwarf(const struct dwarf_info *info)
{
	return info->dwarf;
}

static int extent_compare(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;
	return x->low < y->low ? -1 : x->low > y->low;
}

static void extents_sort(struct extents *e)
{
	if (e->count)
		qsort(e->list, e->count, sizeof(*e->list), extent_compare);
}

/* The last extent that starts at or below addr, or NULL. */
static const struct extent *extents_find(const struct extents *e, uint64_t addr)
{
	size_t lo = 0, hi = e->count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (e->list[mid].low <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &e->list[lo - 1] : NULL;
}

/* Adds the ranges of a unit or function; false when memory is out or a limit is hit. */
static bool extents_add(struct extents *e, Dwarf_Die *die)
{
	Dwarf_Off at = dwarf_dieoffset(die);
	Dwarf_Addr base, low, high;
	for (ptrdiff_t next = 0; (next = dwarf_ranges(die, next, &base, &low, &high)) > 0;) {
		struct extent one = {low, high, at};
		if (e->count >= RANGES_MAX)
			return false;
		if (low < high && !ARRAY_PUSH(e->list, e->count, e->cap, one))
			return false;
	}
	return true;
}

static void units_read(struct dwarf_info *info)
{
	if (info->units.read)
		return;
	info->units.read = true;
	Dwarf_Off pos = 0;
	Dwarf_Die unit;
	while (dwarf_info_next_unit(info->dwarf, &pos, &unit))
		if (!extents_add(&info->units, &unit))
			break;
	extents_sort(&info->units);
}

/* Indexes the functions of the unit at this offset, unless that was done last. */
static bool functions_read(struct dwarf_info *info, Dwarf_Off unit_offset)
{
	struct extents *fns = &info->functions;
	if (fns->read && info->functions_unit == unit_offset)
		return true;
	fns->count = 0;
	fns->read = false;
	Dwarf_Die unit, die;
	if (!dwarf_offdie(info->dwarf, unit_offset, &unit))
		return false;
	for (bool more = die_first_child(&unit, &die); more; more = die_next_sibling(&die, &die))
		if (dwarf_tag(&die) == DW_TAG_subprogram && !extents_add(fns, &die))
			break;
	extents_sort(fns);
	fns->read = true;
	info->functions_unit = unit_offset;
	return true;
}

bool dwarf_info_function(struct dwarf_info *info, uint64_t pc, Dwarf_Die *ret)
{
	units_read(info);
	const struct extent *unit = extents_find(&info->units, pc);
	if (!unit || pc >= unit->high || !functions_read(info, unit->die))
		return false;
	const struct extent *fn = extents_find(&info->functions, pc);
	return fn && pc < fn->high && dwarf_offdie(info->dwarf, fn->die, ret);
}

/* The address that a variable's location is, where it is nothing but one. */
static bool location_is_address(Dwarf_Die *die, uint64_t *ret)
{
	Dwarf_Attribute attr, operand;
	Dwarf_Op *ops;
	size_t count;
	if (!die_location(die, &attr) || dwarf_getlocation(&attr, &ops, &count) != 0 || count != 1)
		return false;
	Dwarf_Addr addr;
	if (ops[0].atom == DW_OP_addr) {
		*ret = ops[0].number;
		return true;
	}
	if (ops[0].atom == DW_OP_addrx && dwarf_getlocation_attr(&attr, &ops[0], &operand) == 0 &&
	    dwarf_formaddr(&operand, &addr) == 0) {
		*ret = addr;
		return true;
	}
	return false;
}

static void globals_read(struct dwarf_info *info)
{
	struct extents *vars = &info->globals;
	if (vars->read)
		return;
	vars->read = true;
	Dwarf_Off pos = 0;
	Dwarf_Die unit, die;
	while (dwarf_info_next_unit(info->dwarf, &pos, &unit)) {
		for (bool more = die_first_child(&unit, &die); more;
		     more = die_next_sibling(&die, &die)) {
			struct extent one = {0, 0, dwarf_dieoffset(&die)};
			if (dwarf_tag(&die) != DW_TAG_variable ||
			    !location_is_address(&die, &one.low))
				continue;
			if (vars->count >= GLOBALS_MAX ||
			    !ARRAY_PUSH(vars->list, vars->count, vars->cap, one))
				break;
		}
	}
	extents_sort(vars);
}

bool dwarf_info_global(struct dwarf_info *info, uint64_t addr, Dwarf_Die *ret, uint64_t *ret_start)
{
	globals_read(info);
	const struct extent *var = extents_find(&info->globals, addr);
	if (!var || !dwarf_offdie(info->dwarf, var->die, ret))
		return false;
	*ret_start = var->low;
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

bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret)
{
	Dwarf_Attribute a;
	Dwarf_Word v;
	bool flag;
	if (!dwarf_attr(die, attr, &a))
		return false;
	if (dwarf_hasform(&a, DW_FORM_flag) && dwarf_formflag(&a, &flag) == 0)
		v = flag;
	else if (dwarf_formudata(&a, &v) != 0 && dwarf_formaddr(&a, &v) != 0)
		return false;
	*ret = v;
	return true;
}

bool die_location(Dwarf_Die *die, Dwarf_Attribute *ret)
{
	Dwarf_Block block;
	if (!dwarf_attr(die, DW_AT_location, ret))
		return false;
	/* Go gives expressions the form block1, which libdw takes from DWARF 3 only. Up to 127 bytes
	 * the two forms are the same bytes: a length, then the expression. */
	if (dwarf_whatform(ret) == DW_FORM_block1 && dwarf_formblock(ret, &block) == 0 &&
	    block.length < 0x80)
		ret->form = DW_FORM_exprloc;
	return true;
}

bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *ret)
{
	Dwarf_Attribute a;
	return dwarf_attr_integrate(die, attr, &a) && dwarf_formref_die(&a, ret);
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

/* The first of type and what its typedefs lead to that has the attribute, not 0. */
static bool typedefs_udata(Dwarf_Die *type, unsigned attr, uint64_t *ret)
{
	Dwarf_Die die = *type;
	for (int i = 0; i < TYPEDEFS_MAX; i++) {
		if (die_udata(&die, attr, ret) && *ret)
			return true;
		if (dwarf_tag(&die) != DW_TAG_typedef || !die_ref(&die, DW_AT_type, &die))
			return false;
	}
	return false;
}

uint64_t die_size(Dwarf_Die *type)
{
	Dwarf_Die die = *type;
	uint64_t size;
	if (dwarf_tag(&die) == DW_TAG_typedef && !die_type(&die, &die))
		return 0;
	if (die_udata(&die, DW_AT_byte_size, &size))
		return size;
	/* Go gives these no size: pointers, maps and channels behind their typedefs, funcs. */
	int tag = dwarf_tag(&die);
	return tag == DW_TAG_pointer_type || tag == DW_TAG_subroutine_type ? 8 : 0;
}

unsigned die_kind(Dwarf_Die *type)
{
	uint64_t kind;
	return typedefs_udata(type, DW_AT_GO_KIND, &kind) && kind < 32 ? (unsigned)kind : 0;
}

uint64_t die_runtime_type(struct runtime *rt, Dwarf_Die *type)
{
	uint64_t offset;
	/* An address by its form, an offset by its value: cmd/link's AddSectionOffset, in static, PIE
	 * and externally linked programs of 1.19 to 1.27 alike. */
	if (!typedefs_udata(type, DW_AT_GO_RUNTIME_TYPE, &offset) ||
	    offset >= rt->module.etypes - rt->module.types)
		return 0;
	return rt->module.types + offset;
}
