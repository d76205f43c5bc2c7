/*
 * What the three files of the dataflow share: the values (flow_values.c), the effect of one
 * instruction (flow_step.c), the walk over the function (dataflow.c).
 */
#ifndef GO_DATAFLOW_INTERNAL_H
#define GO_DATAFLOW_INTERNAL_H

#include "go/dataflow.h"

/* Different values of one function; a function of 256 KB has some thousands. */
enum { FLOW_VALUES_MAX = 1 << 14 };
/* Stack objects: variables whose address the function gives away. */
enum { FLOW_OBJECTS_MAX = 256 };
/* Integer argument registers: 9 on amd64, 16 on arm64. */
enum { FLOW_ARGS_MAX = 16 };

/* Stores into such objects that are kept; a function that fills more of them loses the rest. */
enum { FLOW_STORES_MAX = 1 << 12 };

/* A call in the function, and what its first arguments are. */
struct flow_call {
	uint64_t addr;
	uint64_t target; /* 0: indirect */
	flow_id args[FLOW_CALL_ARGS];
	bool seen;
};

/* A word of an object that the function got from a call, mostly one that it has just made. */
struct flow_store {
	flow_id base, value;
	int64_t n;
};

struct flow_object {
	int64_t start, end; /* from the CFA */
};

struct dataflow {
	struct runtime *rt;
	struct function fn;
	enum arch arch;
	const uint8_t *code; /* all of the function */
	uint8_t *copied; /* owns code where there is no view of it */
	size_t size;

	struct flow_value *values; /* [0] is FLOW_UNKNOWN */
	size_t value_count, value_cap;
	uint16_t *value_table; /* open addressing, 0: free; FLOW_VALUES_MAX * 2 places */

	struct flow_call *calls; /* by address */
	size_t call_count, call_cap;
	struct flow_store *stores;
	size_t store_count, store_cap;
	struct flow_object objects[FLOW_OBJECTS_MAX];
	size_t object_count;
	bool objects_complete; /* false: any word of the frame may be written by others */

	struct flow_block *blocks; /* by start */
	size_t block_count, block_cap;
	struct flow_edge *edges; /* of jump tables */
	size_t edge_count, edge_cap;
	bool lost; /* a jump leads to where we cannot tell */
};

/* A run of instructions that is entered at its start only. */
struct flow_block {
	uint64_t start;
	bool reached;
	bool queued;
	struct flow_state in;
};

/* The number of a value, made at its first use; FLOW_UNKNOWN for one that says nothing, and when
 * there are too many. */
flow_id flow_intern(struct dataflow *flow, struct flow_value value);

/* base + n, in the form that equal sums share. */
flow_id flow_add(struct dataflow *flow, flow_id base, int64_t n);

/* The address that a memory operand of the instruction names, in the state before it. */
flow_id flow_address(struct dataflow *flow, const struct insn *insn, const struct flow_state *state,
		     const struct insn_mem *mem);

/* The call at addr; NULL when memory is out. The pointer lives until the next call of this. */
struct flow_call *flow_call_at(struct dataflow *flow, uint64_t addr);

/* The DWARF numbers of the integer argument registers, in order; returns how many. */
unsigned flow_argument_regs(enum arch arch, const uint8_t **ret);

/* The state at the function's entry. */
void flow_entry(struct dataflow *flow, struct flow_state *ret);

/* Notes that the word at base + n, of an object that a call gave, becomes value. */
void flow_note_store(struct dataflow *flow, flow_id base, int64_t n, flow_id value);

/* The table of addresses that an indirect jump takes its target from; 0: none that we know. */
uint64_t flow_jump_table(struct dataflow *flow, const struct insn *insn,
			 const struct flow_state *state);

/* Changes state by the instruction. Returns false when control does not go on behind it: a jump, a
 * return, a call that does not come back. */
bool flow_step(struct dataflow *flow, const struct insn *insn, struct flow_state *state);

#endif
