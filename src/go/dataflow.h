/*
 * Where the values in a function's registers come from, by its machine code.
 *
 * A Go function that has passed on a value for the last time keeps it nowhere: `c.items[k] = v` leaves
 * the frame without c. But the instructions tell that the map of that call was the word at c + 24, and
 * c the first argument. Here each register, and each word of the frame that the function alone can
 * write, is followed through the code from the entry, on all paths at once; where paths disagree the
 * value is unknown. Nothing of the target's data is read.
 *
 * The calling convention is Go's ABIInternal (cmd/compile/abi-internal.md, from 1.17 on amd64 and 1.18
 * on arm64): a call keeps no register but the stack pointer, the frame pointer and g.
 */
#ifndef GO_DATAFLOW_H
#define GO_DATAFLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/pclntab.h"
#include "go/runtime.h"
#include "go/stack.h"
#include "insn/insn.h"

/* Number of a value in its dataflow; equal numbers are the same value, except FLOW_UNKNOWN. */
typedef uint16_t flow_id;

enum flow_kind {
	FLOW_UNKNOWN, /* always number 0 */
	FLOW_ARG, /* integer argument register number n, at the entry */
	FLOW_CLOSURE, /* the closure that was called: context register at the entry */
	FLOW_NUMBER, /* n: a number, or an address in the target */
	FLOW_FRAME, /* the address CFA + n */
	FLOW_OFFSET, /* base + n */
	FLOW_ELEMENT, /* base + n + some multiple of scale */
	FLOW_LOAD, /* the word at base + n, as it was at the load; base may be unknown */
	FLOW_RESULT, /* result register number n of a call */
};

struct flow_value {
	enum flow_kind kind;
	int64_t n;
	flow_id base;
	uint32_t scale; /* FLOW_ELEMENT: bytes */
	uint64_t call; /* FLOW_RESULT: address of the call instruction */
};

/* Words of the frame that are followed; more are not (unknown). */
enum { FLOW_SLOTS_MAX = 64 };

struct flow_slot {
	int32_t offset; /* from the CFA */
	flow_id value;
};

/* What is known before one instruction. */
struct flow_state {
	flow_id regs[33]; /* by DWARF number */
	struct flow_slot slots[FLOW_SLOTS_MAX];
	size_t slot_count;
};

struct dataflow;

/* Follows the function's code. ERROR_LIMIT for one larger than we follow, ERROR_FORMAT for code that
 * does not decode. The runtime must outlive the result. */
enum status dataflow_new(struct runtime *rt, const struct function *fn, struct dataflow **ret,
			 struct error *err);
void dataflow_free(struct dataflow *flow);
static inline void cleanup_dataflow(struct dataflow **flow)
{
	dataflow_free(*flow);
}
#define AUTO_DATAFLOW __attribute__((cleanup(cleanup_dataflow)))

const struct function *dataflow_function(const struct dataflow *flow);

/* The value with this number. The pointer lives until the next call of any function here. */
const struct flow_value *dataflow_value(const struct dataflow *flow, flow_id id);

/* Whether nothing unknown is part of the value: then equal numbers mean the same word. */
bool dataflow_is_known(const struct dataflow *flow, flow_id id);

/* The state before the instruction at pc; false where the code does not lead there. */
bool dataflow_at(struct dataflow *flow, uint64_t pc, struct flow_state *ret);

/* The call instruction that returns to return_addr, and the state before it. */
bool dataflow_call(struct dataflow *flow, uint64_t return_addr, struct insn *ret_call,
		   struct flow_state *ret);

/* Calls visit for each instruction that the code leads to, by address, with the state before it,
 * until it returns false. */
void dataflow_walk(struct dataflow *flow,
		   bool (*visit)(void *context, const struct insn *insn,
				 const struct flow_state *state),
		   void *context);

/* Where a jump through a table leads. */
struct flow_edge {
	uint64_t from, to; /* addresses of the jump, and of one target */
};
/* All of them, by no order; returns how many. The list is the dataflow's. */
size_t dataflow_edges(const struct dataflow *flow, const struct flow_edge **ret);

/* Decodes the length and flow of the instruction at pc; false outside of the function. */
bool dataflow_decode(const struct dataflow *flow, uint64_t pc, struct insn *ret);

/* Whether control comes back from a call: not from the runtime's panics and fatal errors. */
bool dataflow_returns(const struct dataflow *flow, const struct insn *call);

/* The value of integer argument n (a register) in a state before a call. */
flow_id dataflow_argument(const struct dataflow *flow, const struct flow_state *state, unsigned n);

/* The value at the frame's offset from the CFA, where the state knows one; else FLOW_UNKNOWN. */
flow_id dataflow_slot(const struct flow_state *state, int64_t offset);

/* The function that the call at addr calls directly; false for an indirect one. */
bool dataflow_callee(const struct dataflow *flow, uint64_t call, struct function *ret);
/* Arguments of a call that are kept. */
enum { FLOW_CALL_ARGS = 3 };
/* Argument n of the call at addr, n below FLOW_CALL_ARGS. */
flow_id dataflow_call_argument(const struct dataflow *flow, uint64_t call, unsigned n);

/* What the function stores at base + n, where base is an object that a call gave: a closure, say,
 * that it fills. FLOW_UNKNOWN where it stores nothing there, or different values. */
flow_id dataflow_stored(const struct dataflow *flow, flow_id base, int64_t n);
/* The object that a call gave into whose first word the function stores number: a closure of the code
 * at that address. FLOW_UNKNOWN where there is none, or several. */
flow_id dataflow_made_with(const struct dataflow *flow, uint64_t number);

/* The value that is this number; FLOW_UNKNOWN where the function has none such. */
flow_id dataflow_number(const struct dataflow *flow, uint64_t number);

/* The number that the value is in a frame of this function that stands at state, by what its slots
 * hold and what they lead to in memory now; false where nothing that is left tells. */
bool dataflow_eval(const struct dataflow *flow, const struct flow_state *state, flow_id id,
		   const struct frame *frame, uint64_t *ret);

#endif
