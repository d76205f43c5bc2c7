/*
 * What the source calls the values of a function: DWARF's variables, held against what its code does.
 *
 * DWARF says where a variable is between two addresses; the dataflow says which value is there. So a
 * value has a name even where, at the moment that matters, the variable is in no place any more.
 */
#ifndef GO_NAMES_H
#define GO_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/dataflow.h"
#include "go/runtime.h"
#include "go/shape.h"

struct named_value {
	const char *name; /* "m", "&x" for one that escaped; lives as long as the runtime */
	const char *function; /* that declares it, inlined ones by their own name */
	struct shape_ref type; /* of the variable */
	bool is_parameter;
	bool in_frame; /* it lies in memory at the CFA plus offset; else it is the value id */
	flow_id id;
	int64_t offset;
	uint64_t size; /* bytes, where in_frame; 0 unknown */
};

struct names {
	struct named_value *list; /* outer scopes first */
	size_t count, cap;
};

/* The names in the function that flow follows. Empty without DWARF. */
void names_read(struct runtime *rt, struct dataflow *flow, struct names *ret);
void names_done(struct names *names);

/* The variable that is the value id, one that is no parameter before one that is; NULL. */
const struct named_value *names_of_value(const struct names *names, flow_id id);

/* The variable that lies in the frame at offset from the CFA, or covers it; NULL. */
const struct named_value *names_in_frame(const struct names *names, int64_t offset);

/* The type of the first result of the function with this entry, if it is one word; no type where DWARF
 * does not tell. */
struct shape_ref function_result(struct runtime *rt, uint64_t entry);

#endif
