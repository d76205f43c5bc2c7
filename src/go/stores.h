/*
 * Which instructions write to an address.
 *
 * Two questions. For a package variable: which code in the whole program stores to it, or hands its
 * address on. For any address: which instructions of the functions that stand on the goroutines' stacks
 * now would write there, with what their frames and registers hold now.
 */
#ifndef GO_STORES_H
#define GO_STORES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/goroutine.h"
#include "go/pclntab.h"
#include "go/runtime.h"

/* How an instruction writes. */
enum store_form {
	STORE_MOVE, /* overwrites: mov, str, vector stores */
	STORE_MODIFY, /* reads, computes, writes: add, inc, xor, ldadd */
	STORE_EXCHANGE, /* xchg, cmpxchg, swp, cas */
	STORE_STRING, /* rep stos, rep movs */
	STORE_PASSED, /* writes nothing itself: a call that is given the address */
};

struct store {
	uint64_t pc;
	struct function function; /* that it is in */
	enum store_form form;
	bool atomic; /* LOCKed, or an atomic or exclusive access of arm64 */
	bool maybe; /* an element of an array or slice: the address is one of those it may reach */
	uint64_t callee; /* STORE_PASSED: entry of the function called, 0 for an indirect call */
	uint64_t goroutine, g; /* whose frame gives the address; 0: it is a constant in the code */
	size_t frame; /* its number in that goroutine's stack, from the inside; see stack_walk_next */
};

struct stores {
	struct store *list; /* by pc; those of goroutines by goroutine, frame and pc */
	size_t count, cap;
};

/* The code that writes to the byte at addr by a constant address, or passes on the address itself or
 * that of the variable at start which it is part of (as far as the first three arguments of calls tell).
 * start: of the variable, addr or shortly below. Functions that cannot be followed are noted where their
 * code may do so. */
enum status stores_by_code(struct runtime *rt, uint64_t start, uint64_t addr, struct stores *ret,
			   struct error *err);

/* The instructions of the functions on the goroutines' stacks that write to the byte at addr with what
 * the frames hold now. Ways through a value that is in no place any more are not found. */
enum status stores_by_goroutines(struct runtime *rt, const struct goroutines *goroutines,
				 uint64_t addr, struct stores *ret, struct error *err);

void stores_done(struct stores *stores);

#endif
