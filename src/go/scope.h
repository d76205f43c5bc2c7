/*
 * The variables that DWARF has at a PC, and where it says that they are.
 *
 * Private to the floor go. PCs and addresses are the file's. What is said here needs no memory and
 * no frame: a place may be "at the frame's CFA less 24", or "in rax".
 */
#ifndef GO_SCOPE_H
#define GO_SCOPE_H

#include "go/dwarf.h"

enum place_kind {
	PLACE_ADDRESS, /* in memory at offset */
	PLACE_CFA, /* in memory at the CFA plus offset */
	PLACE_INDIRECT, /* in memory at register reg plus offset */
	PLACE_REGISTER, /* in register reg */
	PLACE_VALUE, /* nowhere; its value is offset */
	PLACE_NONE, /* nowhere: this piece was optimised away, or DWARF says it in a way that
		       Go's compiler does not use */
};

/* Where a variable is, or a piece of it. */
struct place {
	enum place_kind kind;
	unsigned reg; /* DWARF number */
	int64_t offset;
	uint64_t size; /* bytes of the piece; 0: the whole variable */
};

/* Pieces of one variable: Go splits values of up to four words (cmd/compile/internal/ssa
 * MaxStruct), a hostile file may say more. */
enum { PLACES_MAX = 16 };

struct scope_variable {
	Dwarf_Die die; /* with the location; name and type may be its abstract origin's */
	const char *name; /* lives as long as the DWARF */
	const char *function; /* that declares it, inlined ones by their own name */
	bool is_parameter;
	uint64_t closure_offset; /* in the closure that captured it; 0: it was not */
};

/* Variables at one PC that are looked at; generated functions have some thousands of locals. */
enum { SCOPE_VARIABLES_MAX = 4096 };

/* All variables and parameters of the functions and blocks that cover pc, of outer scopes first. The
 * caller frees *ret. Returns how many. */
size_t scope_variables(struct dwarf_info *info, uint64_t pc, struct scope_variable **ret);

/* As scope_variables, of all scopes of the function that pc is in, whether they cover pc or not. */
size_t scope_all_variables(struct dwarf_info *info, uint64_t pc, struct scope_variable **ret);

/* Calls visit for each range of code, half open, in which the variable is somewhere, with the places
 * there, until it returns false; once, for all addresses, where it never moves. */
void scope_ranges(struct scope_variable *var,
		  bool (*visit)(void *context, uint64_t start, uint64_t end,
				const struct place *places, size_t count),
		  void *context);

/* Where the variable is at pc; returns the number of pieces, 0: it is nowhere there. */
size_t scope_places(struct scope_variable *var, uint64_t pc, struct place ret[PLACES_MAX]);

#endif
