#include "go/variable.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "go/dwarf.h"
#include "go/scope.h"

void variable_done(struct variable *variable)
{
	free(variable->name);
	free(variable->type_name);
	free(variable->function);
}

void variables_free(struct variable *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		variable_done(&list[i]);
	free(list);
}

/* A copy of s, NULL for NULL; clears *ok when memory is out. */
static char *copy(const char *s, bool *ok)
{
	char *c = s ? strdup(s) : NULL;
	if (s && !c)
		*ok = false;
	return c;
}

/* Fills in name, types and size from the variable's DIE; false when memory is out. */
static bool describe(struct runtime *rt, Dwarf_Die *die, const char *name, struct variable *var)
{
	Dwarf_Die type;
	bool ok = true;
	var->name = copy(name, &ok);
	if (!die_ref(die, DW_AT_type, &type))
		return ok;
	var->type_name = copy(dwarf_diename(&type), &ok);
	var->type_die = dwarf_dieoffset(&type);
	var->type = die_runtime_type(rt, &type);
	var->size = die_size(&type);
	return ok;
}

/* The address in the target that a place is, where the frame lets us tell. */
static bool place_addr(struct runtime *rt, const struct frame *frame, const struct place *place,
		       uint64_t *ret)
{
	uint64_t offset = (uint64_t)place->offset;
	switch (place->kind) {
	case PLACE_ADDRESS:
		*ret = offset + rt->target->bias;
		return true;
	case PLACE_CFA:
		*ret = frame->cfa + offset;
		return frame->cfa != 0;
	case PLACE_INDIRECT:
		if (!frame->regs || place->reg >= regs_count(frame->regs->arch))
			return false;
		*ret = frame->regs->r[place->reg] + offset;
		return true;
	default:
		return false;
	}
}

/* The first n bytes of what is at a place, n at most 8; false where they cannot be had. */
static bool place_word(struct runtime *rt, const struct frame *frame, const struct place *place,
		       uint64_t n, uint64_t *ret)
{
	uint64_t addr, word = 0;
	if (place->kind == PLACE_VALUE) {
		*ret = (uint64_t)place->offset;
		return true;
	}
	if (place->kind == PLACE_REGISTER) {
		if (!frame->regs || place->reg >= regs_count(frame->regs->arch))
			return false;
		*ret = frame->regs->r[place->reg];
		return true;
	}
	if (!place_addr(rt, frame, place, &addr) ||
	    memory_read(rt->target->memory, addr, &word, n, NULL) != OK)
		return false;
	*ret = word;
	return true;
}

/* Whether the pieces lie in memory one behind the other; then the variable has an address. */
static bool places_join(struct runtime *rt, const struct frame *frame, const struct place *places,
			size_t count, uint64_t *ret)
{
	uint64_t end = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t addr;
		if (!place_addr(rt, frame, &places[i], &addr) || (i && addr != end))
			return false;
		if (i == 0)
			*ret = addr;
		end = addr + places[i].size;
	}
	return count > 0;
}

static void locate(struct runtime *rt, const struct frame *frame, const struct place *places,
		   size_t count, struct variable *var)
{
	uint64_t offset = 0;
	uint64_t n = var->size && var->size < 8 ? var->size : 8;
	if (places_join(rt, frame, places, count, &var->addr)) {
		struct place first = {.kind = PLACE_ADDRESS,
				      .offset = (int64_t)(var->addr - rt->target->bias)};
		var->has_value = place_word(rt, frame, &first, n, &var->value);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t size = places[i].size ? places[i].size : n;
		uint64_t word = offset / 8;
		if (offset % 8 == 0 && word < VARIABLE_WORDS && size <= 8 && size > 0 &&
		    place_word(rt, frame, &places[i], size, &var->words[word]))
			var->words_known |= 1U << word;
		if (size > 8 * VARIABLE_WORDS - offset)
			break;
		offset += size;
	}
	var->has_value = var->words_known & 1U;
	var->value = var->words[0];
}

size_t variables_of_frame(struct runtime *rt, const struct frame *frame, struct variable **ret)
{
	struct dwarf_info *info = dwarf_info(rt);
	struct scope_variable *found;
	struct variable *list = NULL;
	size_t count = 0, cap = 0;
	if (!info || !frame->has_function)
		return 0;
	uint64_t pc = frame->lookup_pc - rt->target->bias;
	size_t found_count = scope_variables(info, pc, &found);
	for (size_t i = 0; i < found_count; i++) {
		struct place places[PLACES_MAX];
		size_t place_count = scope_places(&found[i], pc, places);
		struct variable var = {
			.is_parameter = found[i].is_parameter,
			.closure_offset = found[i].closure_offset,
		};
		if (!place_count)
			continue;
		bool ok = describe(rt, &found[i].die, found[i].name, &var);
		var.function = copy(found[i].function, &ok);
		locate(rt, frame, places, place_count, &var);
		if (!ok || !ARRAY_PUSH(list, count, cap, var)) {
			variable_done(&var);
			break;
		}
	}
	free(found);
	*ret = list;
	return count;
}

size_t variables_captured(struct runtime *rt, uint64_t pc, struct variable **ret)
{
	struct dwarf_info *info = dwarf_info(rt);
	struct scope_variable *found;
	struct variable *list = NULL;
	size_t count = 0, cap = 0;
	if (!info)
		return 0;
	size_t found_count = scope_variables(info, pc - rt->target->bias, &found);
	for (size_t i = 0; i < found_count; i++) {
		struct variable var = {.closure_offset = found[i].closure_offset};
		if (!found[i].closure_offset)
			continue;
		if (!describe(rt, &found[i].die, found[i].name, &var) ||
		    !ARRAY_PUSH(list, count, cap, var)) {
			variable_done(&var);
			break;
		}
	}
	free(found);
	*ret = list;
	return count;
}

static bool in_module_data(const struct module *m, uint64_t addr)
{
	return (addr >= m->noptrdata && addr < m->enoptrdata) ||
	       (addr >= m->data && addr < m->edata) || (addr >= m->bss && addr < m->ebss) ||
	       (addr >= m->noptrbss && addr < m->enoptrbss);
}

bool variable_global_at(struct runtime *rt, uint64_t addr, struct variable *ret,
			uint64_t *ret_offset)
{
	struct dwarf_info *info;
	struct symbol symbol;
	Dwarf_Die die;
	uint64_t start;
	if (!in_module_data(&rt->module, addr))
		return false;
	info = dwarf_info(rt);
	if (info && dwarf_info_global(info, addr - rt->target->bias, &die, &start)) {
		struct variable var = {.addr = start + rt->target->bias};
		const char *name = dwarf_diename(&die);
		bool ok = name && describe(rt, &die, name, &var);
		if (ok && addr - var.addr < var.size) {
			*ret_offset = addr - var.addr;
			*ret = var;
			return true;
		}
		variable_done(&var);
	}
	if (!target_symbol_at(rt->target, addr, &symbol) ||
	    (symbol.size && addr - symbol.addr >= symbol.size))
		return false;
	struct variable var = {.addr = symbol.addr, .size = symbol.size};
	bool ok = true;
	var.name = copy(symbol.name, &ok);
	if (!ok)
		return false;
	*ret_offset = addr - symbol.addr;
	*ret = var;
	return true;
}
