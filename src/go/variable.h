/*
 * Names and types of variables, from DWARF where the executable has it.
 */
#ifndef GO_VARIABLE_H
#define GO_VARIABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/stack.h"

/* Words of a value that are kept where it lies in pieces: the compiler splits values of up to four
 * words (cmd/compile/internal/ssa). */
enum { VARIABLE_WORDS = 4 };

struct variable {
	char *name; /* "m", "c", "&x" for one that escaped to the heap */
	char *type_name; /* DWARF name of its type; NULL unknown */
	char *function; /* source function that declares it; NULL for a package variable */
	uint64_t type; /* runtime type descriptor (DW_AT_go_runtime_type), 0 unknown */
	uint64_t type_die; /* offset of the type in .debug_info, 0 unknown */
	uint64_t size; /* bytes of a package variable; 0 unknown */
	uint64_t addr; /* where it lies, 0 when in a register or in pieces */
	bool has_value; /* value holds its first word */
	uint64_t value;
	uint64_t words[VARIABLE_WORDS]; /* of one that has no addr, those in words_known (bits) */
	unsigned words_known;
	bool is_parameter;
	uint64_t closure_offset; /* where it lies in the closure that captured it; 0: not captured,
				    or before 1.23 */
};

/* The variables of the source function at this frame's pc that have a location there, inlined ones
 * included, outer scopes first. 0 without DWARF. The list and its strings are the caller's:
 * variables_free. */
size_t variables_of_frame(struct runtime *rt, const struct frame *frame, struct variable **ret);
void variables_free(struct variable *list, size_t count);
/* The variables that a closure with its code at pc has captured: name, types and closure_offset only.
 * 0 without DWARF, and before Go 1.23. The list is the caller's: variables_free. */
size_t variables_captured(struct runtime *rt, uint64_t pc, struct variable **ret);
/* Frees what one variable owns. */
void variable_done(struct variable *variable);

/* The package variable that holds the byte at addr ("main.cache"): by DWARF, else by symbol; false
 * when there is none. type is 0 where unknown. offset: distance of addr from its start. The caller
 * owns *ret: variable_done. */
bool variable_global_at(struct runtime *rt, uint64_t addr, struct variable *ret,
			uint64_t *ret_offset);

#endif
