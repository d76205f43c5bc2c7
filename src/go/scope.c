#include "go/scope.h"

#include <dwarf.h>
#include <stdlib.h>

#include "base/array.h"

/* Scopes of one function: nested blocks and inlined calls. */
enum { SCOPES_MAX = 1024 };
/* Ranges of code between which one variable moves; spills and reloads of a large function. */
enum { RANGES_MAX = 1 << 14 };
/* Values on the stack of a location expression; Go's compiler uses two. */
enum { STACK_MAX = 8 };
/* Operations of an expression: a piece takes three. */
enum { OPS_MAX = 8 * PLACES_MAX };

struct scope {
	Dwarf_Die die;
	const char *function;
};

static bool is_inner_scope(Dwarf_Die *die, uint64_t pc, bool all)
{
	int tag = dwarf_tag(die);
	return (tag == DW_TAG_lexical_block || tag == DW_TAG_inlined_subroutine) &&
	       (all || dwarf_haspc(die, pc) > 0);
}

static size_t collect(struct dwarf_info *info, uint64_t pc, bool all, struct scope_variable **ret)
{
	struct scope scopes[SCOPES_MAX];
	struct scope_variable *list = NULL;
	size_t count = 0, cap = 0, scope_count = 1;
	Dwarf_Die unit;
	*ret = NULL;
	/* C code has frame bases of its own, and no goroutine's variables. */
	if (!dwarf_info_function(info, pc, &scopes[0].die) ||
	    !dwarf_diecu(&scopes[0].die, &unit, NULL, NULL) || dwarf_srclang(&unit) != DW_LANG_Go)
		return 0;
	scopes[0].function = dwarf_diename(&scopes[0].die);
	for (size_t s = 0; s < scope_count; s++) {
		Dwarf_Die die;
		for (bool more = die_first_child(&scopes[s].die, &die); more;
		     more = die_next_sibling(&die, &die)) {
			int tag = dwarf_tag(&die);
			if (is_inner_scope(&die, pc, all) && scope_count < SCOPES_MAX) {
				scopes[scope_count++] = (struct scope){
					die, tag == DW_TAG_lexical_block ? scopes[s].function
									 : dwarf_diename(&die)};
				continue;
			}
			if (tag != DW_TAG_variable && tag != DW_TAG_formal_parameter)
				continue;
			uint64_t is_result = 0;
			die_udata(&die, DW_AT_variable_parameter, &is_result);
			struct scope_variable var = {
				.die = die,
				.name = dwarf_diename(&die),
				.function = scopes[s].function,
				.is_parameter = tag == DW_TAG_formal_parameter && !is_result,
			};
			die_udata(&die, DW_AT_GO_CLOSURE_OFFSET, &var.closure_offset);
			if (var.name &&
			    (count >= SCOPE_VARIABLES_MAX || !ARRAY_PUSH(list, count, cap, var)))
				break;
		}
	}
	*ret = list;
	return count;
}

size_t scope_variables(struct dwarf_info *info, uint64_t pc, struct scope_variable **ret)
{
	return collect(info, pc, false, ret);
}

size_t scope_all_variables(struct dwarf_info *info, uint64_t pc, struct scope_variable **ret)
{
	return collect(info, pc, true, ret);
}

/* A value on the expression's stack: a place without size. */
struct term {
	enum place_kind kind; /* PLACE_VALUE, PLACE_ADDRESS, PLACE_CFA or PLACE_INDIRECT */
	unsigned reg;
	int64_t offset;
};

struct machine {
	Dwarf_Attribute *attr;
	struct term stack[STACK_MAX];
	size_t depth;
	struct place pending; /* of a register, or of a value, until a piece or the end */
	bool has_pending;
};

static bool push(struct machine *m, struct term term)
{
	if (m->depth == STACK_MAX)
		return false;
	m->stack[m->depth++] = term;
	return true;
}

/* Adds the top to the term below it; only one of both may be more than a number. */
static bool add(struct machine *m)
{
	if (m->depth < 2)
		return false;
	struct term b = m->stack[--m->depth], *a = &m->stack[m->depth - 1];
	if (a->kind != PLACE_VALUE && b.kind != PLACE_VALUE)
		return false;
	int64_t sum = (int64_t)((uint64_t)a->offset + (uint64_t)b.offset);
	if (a->kind == PLACE_VALUE)
		*a = b;
	a->offset = sum;
	return true;
}

static bool push_address(struct machine *m, const Dwarf_Op *op)
{
	Dwarf_Attribute operand;
	Dwarf_Addr addr = op->number;
	if (op->atom == DW_OP_addrx && (dwarf_getlocation_attr(m->attr, op, &operand) != 0 ||
					dwarf_formaddr(&operand, &addr) != 0))
		return false;
	return push(m, (struct term){.kind = PLACE_ADDRESS, .offset = (int64_t)addr});
}

static bool set_register(struct machine *m, unsigned reg)
{
	m->pending = (struct place){.kind = PLACE_REGISTER, .reg = reg};
	m->has_pending = true;
	return true;
}

/* Runs one operation that is no piece; false for one that Go's compiler does not use. */
static bool step(struct machine *m, const Dwarf_Op *op)
{
	int64_t n = (int64_t)op->number;
	if (op->atom >= DW_OP_reg0 && op->atom <= DW_OP_reg31)
		return set_register(m, op->atom - DW_OP_reg0);
	if (op->atom >= DW_OP_breg0 && op->atom <= DW_OP_breg31)
		return push(m,
			    (struct term){PLACE_INDIRECT, (unsigned)(op->atom - DW_OP_breg0), n});
	if (op->atom >= DW_OP_lit0 && op->atom <= DW_OP_lit31)
		return push(m, (struct term){.kind = PLACE_VALUE, .offset = op->atom - DW_OP_lit0});
	switch (op->atom) {
	case DW_OP_addr:
	case DW_OP_addrx:
		return push_address(m, op);
	case DW_OP_call_frame_cfa:
		return push(m, (struct term){.kind = PLACE_CFA});
	case DW_OP_fbreg: /* DW_AT_frame_base is DW_OP_call_frame_cfa in all that Go compiles */
		return push(m, (struct term){.kind = PLACE_CFA, .offset = n});
	case DW_OP_regx:
		return op->number <= UINT8_MAX && set_register(m, (unsigned)op->number);
	case DW_OP_bregx:
		return op->number <= UINT8_MAX &&
		       push(m, (struct term){PLACE_INDIRECT, (unsigned)op->number,
					     (int64_t)op->number2});
	case DW_OP_const1u:
	case DW_OP_const1s:
	case DW_OP_const2u:
	case DW_OP_const2s:
	case DW_OP_const4u:
	case DW_OP_const4s:
	case DW_OP_const8u:
	case DW_OP_const8s:
	case DW_OP_constu:
	case DW_OP_consts:
		return push(m, (struct term){.kind = PLACE_VALUE, .offset = n});
	case DW_OP_plus:
		return add(m);
	case DW_OP_plus_uconst:
		return push(m, (struct term){.kind = PLACE_VALUE, .offset = n}) && add(m);
	case DW_OP_stack_value:
		if (!m->depth || m->stack[m->depth - 1].kind != PLACE_VALUE)
			return false;
		m->pending =
			(struct place){.kind = PLACE_VALUE, .offset = m->stack[--m->depth].offset};
		m->has_pending = true;
		return true;
	default:
		return false;
	}
}

/* What the operations so far have said: the place of a piece, or of the whole variable. */
static struct place conclude(struct machine *m, uint64_t size)
{
	struct place place = {.kind = PLACE_NONE};
	if (m->has_pending) {
		place = m->pending;
	} else if (m->depth) {
		struct term top = m->stack[m->depth - 1];
		place = (struct place){.kind = top.kind == PLACE_VALUE ? PLACE_ADDRESS : top.kind,
				       .reg = top.reg,
				       .offset = top.offset};
	}
	place.size = size;
	m->has_pending = false;
	m->depth = 0;
	return place;
}

/* What a location expression says. */
static size_t places_of(Dwarf_Attribute *attr, const Dwarf_Op *ops, size_t op_count,
			struct place ret[PLACES_MAX])
{
	struct machine m = {.attr = attr};
	size_t count = 0;
	bool after_piece = false;
	if (op_count > OPS_MAX)
		return 0;
	for (size_t i = 0; i < op_count; i++) {
		after_piece = ops[i].atom == DW_OP_piece;
		if (!after_piece) {
			if (!step(&m, &ops[i]))
				return 0;
			continue;
		}
		if (count == PLACES_MAX)
			return 0;
		ret[count++] = conclude(&m, ops[i].number);
	}
	if (!after_piece && op_count && count < PLACES_MAX)
		ret[count++] = conclude(&m, 0);
	return count;
}

size_t scope_places(struct scope_variable *var, uint64_t pc, struct place ret[PLACES_MAX])
{
	Dwarf_Attribute attr;
	Dwarf_Op *ops;
	size_t count;
	if (!die_location(&var->die, &attr) ||
	    dwarf_getlocation_addr(&attr, pc, &ops, &count, 1) != 1)
		return 0;
	return places_of(&attr, ops, count, ret);
}

void scope_ranges(struct scope_variable *var,
		  bool (*visit)(void *context, uint64_t start, uint64_t end,
				const struct place *places, size_t count),
		  void *context)
{
	Dwarf_Attribute attr;
	Dwarf_Addr base, start, end;
	Dwarf_Op *ops;
	size_t count;
	struct place places[PLACES_MAX];
	ptrdiff_t next = 0;
	if (!die_location(&var->die, &attr))
		return;
	for (unsigned i = 0; i < RANGES_MAX; i++) {
		next = dwarf_getlocations(&attr, next, &base, &start, &end, &ops, &count);
		if (next <= 0)
			return;
		size_t n = places_of(&attr, ops, count, places);
		if (n && !visit(context, start, end, places, n))
			return;
	}
}
