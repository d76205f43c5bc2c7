#include "go/names.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/dwarf.h"
#include "go/scope.h"

/* Names of one function, and ranges of its variables, that are looked at. */
enum { NAMES_MAX = 1 << 14, NAMED_RANGES_MAX = 1 << 14 };

void names_done(struct names *names)
{
	free(names->list);
}

static struct shape_ref variable_type(struct runtime *rt, Dwarf_Die *die, uint64_t *ret_size)
{
	Dwarf_Die type;
	if (!die_ref(die, DW_AT_type, &type))
		return (struct shape_ref){0};
	*ret_size = die_size(&type);
	return (struct shape_ref){die_runtime_type(rt, &type), dwarf_dieoffset(&type)};
}

struct reader {
	struct runtime *rt;
	struct dataflow *flow;
	struct names *names;
	struct named_value like; /* what all places of the variable share */
	unsigned ranges;
};

static void add(struct reader *r, const struct named_value *value)
{
	for (size_t i = 0; i < r->names->count; i++) {
		const struct named_value *v = &r->names->list[i];
		if (v->name == value->name && v->in_frame == value->in_frame &&
		    v->id == value->id && v->offset == value->offset)
			return;
	}
	/* A name less where memory is out. */
	if (r->names->count < NAMES_MAX)
		(void)ARRAY_PUSH(r->names->list, r->names->count, r->names->cap, *value);
}

static bool add_range(void *context, uint64_t start, uint64_t end, const struct place *places,
		      size_t count)
{
	struct reader *r = context;
	struct named_value value = r->like;
	struct flow_state state;
	uint64_t pc = start + r->rt->target->bias;
	if (r->ranges++ == NAMED_RANGES_MAX)
		return false;
	if (count != 1)
		return true;
	bool everywhere = end - start >
			  dataflow_function(r->flow)->end - dataflow_function(r->flow)->entry;
	if (places[0].kind == PLACE_CFA) {
		value.in_frame = true;
		value.offset = places[0].offset;
		add(r, &value);
	}
	/* Before anything is stored there it is what a frame before left; from the start of its range
	 * on it is the variable. */
	if (everywhere || !dataflow_at(r->flow, pc, &state))
		return true;
	value.in_frame = false;
	if (places[0].kind == PLACE_CFA)
		value.id = dataflow_slot(&state, places[0].offset);
	else if (places[0].kind == PLACE_REGISTER && places[0].reg < 33)
		value.id = state.regs[places[0].reg];
	if (dataflow_is_known(r->flow, value.id))
		add(r, &value);
	return true;
}

void names_read(struct runtime *rt, struct dataflow *flow, struct names *ret)
{
	struct dwarf_info *info = dwarf_info(rt);
	struct reader r = {.rt = rt, .flow = flow, .names = ret};
	struct scope_variable *vars = NULL;
	*ret = (struct names){0};
	if (!info)
		return;
	uint64_t pc = dataflow_function(flow)->entry - rt->target->bias;
	size_t count = scope_all_variables(info, pc, &vars);
	for (size_t i = 0; i < count; i++) {
		/* ".autotmp_3", "~r0": the compiler's, not the source's */
		if (vars[i].name[0] == '.' || vars[i].name[0] == '~')
			continue;
		r.like = (struct named_value){
			.name = vars[i].name,
			.function = vars[i].function,
			.is_parameter = vars[i].is_parameter,
		};
		r.like.type = variable_type(rt, &vars[i].die, &r.like.size);
		scope_ranges(&vars[i], add_range, &r);
	}
	free(vars);
}

const struct named_value *names_of_value(const struct names *names, flow_id id)
{
	const struct named_value *parameter = NULL;
	for (size_t i = 0; id && i < names->count; i++) {
		const struct named_value *v = &names->list[i];
		if (v->in_frame || v->id != id)
			continue;
		if (!v->is_parameter)
			return v;
		if (!parameter)
			parameter = v;
	}
	return parameter;
}

const struct named_value *names_in_frame(const struct names *names, int64_t offset)
{
	for (size_t i = 0; i < names->count; i++) {
		const struct named_value *v = &names->list[i];
		if (v->in_frame && offset >= v->offset &&
		    (uint64_t)(offset - v->offset) < (v->size ? v->size : 1))
			return v;
	}
	return NULL;
}

struct shape_ref function_result(struct runtime *rt, uint64_t entry)
{
	struct dwarf_info *info = dwarf_info(rt);
	struct shape_ref none = {0};
	Dwarf_Die fn, die;
	if (!info || !dwarf_info_function(info, entry - rt->target->bias, &fn))
		return none;
	/* One that is inlined elsewhere too has its parameters' types in its abstract origin; die_ref
	 * looks there. */
	for (bool more = die_first_child(&fn, &die); more; more = die_next_sibling(&die, &die)) {
		uint64_t is_result = 0, size = 0;
		Dwarf_Attribute attr;
		bool flag = false;
		if (dwarf_tag(&die) != DW_TAG_formal_parameter)
			continue;
		if (dwarf_attr_integrate(&die, DW_AT_variable_parameter, &attr) &&
		    dwarf_formflag(&attr, &flag) == 0)
			is_result = flag;
		if (!is_result)
			continue;
		struct shape_ref type = variable_type(rt, &die, &size);
		return size == 8 ? type : none;
	}
	return none;
}
