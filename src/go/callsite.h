/*
 * What a call was given, recovered from the caller's machine code.
 *
 * Go passes arguments in registers and keeps them on the stack only where it needs them again, so a
 * frame's own argument slots are often stale. What the caller loaded the register from is mostly
 * still there: a constant in the code, a stack slot, a field of an object that another argument
 * leads to. The code before the call is followed backwards, in a straight line: where control flow
 * joins, or a call came in between, nothing is claimed.
 *
 * Source: the ABIInternal of cmd/compile, abi-internal.md: no register survives a call but the stack
 * pointer, the frame pointer and g.
 */
#ifndef GO_CALLSITE_H
#define GO_CALLSITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/runtime.h"
#include "go/stack.h"
#include "insn/insn.h"

enum argument_source {
	ARGUMENT_SLOT, /* the callee's own slot, which the compiler says is live */
	ARGUMENT_CONSTANT, /* in the caller's code: a type, a global's address, a number */
	ARGUMENT_STACK, /* a stack slot of a caller, or an address in its frame */
	ARGUMENT_MEMORY, /* loaded from an object; it may have been changed since */
	ARGUMENT_STALE, /* the callee's slot, which the compiler does not vouch for */
	ARGUMENT_RECORDED, /* the register that the callee used, kept as it did */
};

struct argument {
	uint64_t value;
	enum argument_source source;
	uint64_t loaded_from; /* ARGUMENT_STACK, ARGUMENT_MEMORY: the word's address, else 0 */
};

/* Integer word number word of the arguments of frames[i]'s function. frames is a whole stack,
 * innermost first. stale: whether a slot that the compiler does not vouch for may be returned as a
 * last resort. false where it cannot be told. */
bool frame_argument(struct runtime *rt, const struct frame *frames, size_t count, size_t i,
		    unsigned word, bool stale, struct argument *ret);

/* The same for a call in a function that is not on a stack, or has gone past it: word number word
 * of the call instruction at call (its own address) in fn. Where fn is the function of frames[index],
 * that stack gives the values of stack slots; frames NULL: only constants and package variables
 * resolve. */
bool call_argument(struct runtime *rt, const struct function *fn, uint64_t call,
		   const struct frame *frames, size_t count, size_t index, unsigned word,
		   struct argument *ret);

/* A call instruction with a constant target. */
struct direct_call {
	uint64_t addr, next; /* of the call, and its return address */
	uint64_t target;
};

/* The code of one function, decoded once so that many of its calls can be asked about. */
struct function_code;
/* Decodes fn's code into *code, which is made where it is NULL and otherwise reused for another function.
 * false where the code is not at hand or too large, and when memory is out; *code then answers for none
 * of its calls, or for the first ones, and is still the caller's to free. It is valid as long as rt. */
bool function_code_read(struct runtime *rt, const struct function *fn, struct function_code **code);
void function_code_free(struct function_code *code);
/* The direct calls, by address. */
size_t function_code_calls(const struct function_code *code, const struct direct_call **ret);
/* As call_argument. */
bool function_code_argument(const struct function_code *code, uint64_t call,
			    const struct frame *frames, size_t count, size_t index, unsigned word,
			    struct argument *ret);
static inline void cleanup_function_code(struct function_code **code)
{
	function_code_free(*code);
}
#define AUTO_FUNCTION_CODE __attribute__((cleanup(cleanup_function_code)))

/* A sweep over all instructions of fn; over none, and code NULL, where its code cannot be read. */
struct insn_sweep function_sweep(struct runtime *rt, const struct function *fn);

/* The address of the call instruction in fn that returns to pc; 0 when there is none. */
uint64_t call_returning_to(struct runtime *rt, const struct function *fn, uint64_t pc);

#endif
