/*
 * Where the machine code of one map function checks, sets and clears the flag that says "a write is
 * going on", and where it calls fatal.
 *
 * The flag is the bit hashWriting (4) of hmap.flags, byte 8 of the header, for bucket maps (runtime/
 * map.go up to 1.23), and Map.writing, byte 34, for Swiss maps (internal/runtime/maps/map.go from 1.24
 * on). Sites are found by meaning: the code is decoded along its control flow from the function's
 * entry, each register is followed as "the flag byte, with these bits kept, inverted, set or cleared",
 * and a branch on it, or a store of it, is a site. No offset and no byte pattern is known beforehand.
 *
 * Before a function sets the flag it checks that it is clear (entry check), before it clears the flag
 * it checks that it is still set (exit check); a check that fails calls runtime.fatal, which does not
 * return. A Swiss map's flag is toggled both times: what a toggle does follows from what has been done
 * on all paths that lead to it.
 */
#ifndef MAPS_FLAGSITES_H
#define MAPS_FLAGSITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"
#include "base/error.h"
#include "maps/map.h"

enum flag_site_kind {
	FLAG_CHECK, /* the instruction that tests the flag */
	FLAG_SET, /* the store that sets it */
	FLAG_CLEAR, /* the store that clears it */
	FLAG_TOGGLE, /* a store that sets or clears it: paths that lead here disagree */
	FLAG_FATAL, /* a call of runtime.fatal (maps.fatal) */
	FLAG_ITERATOR, /* hmap: marks iterators, by a LOCKed or (arm64: an atomic) of bits 1 and 2 */
	FLAG_OTHER, /* a store to the byte that leaves the writing bit as it was (sameSizeGrow), or
			  that cannot be told */
};

enum flag_check_role {
	FLAG_CHECK_NONE, /* leads to no fatal call */
	FLAG_CHECK_ENTRY, /* dies when the flag is set: another goroutine is writing */
	FLAG_CHECK_EXIT, /* dies when the flag is clear: another goroutine cleared it meanwhile */
};

struct flag_site {
	enum flag_site_kind kind;
	uint64_t addr; /* of the instruction named above */
	uint64_t end; /* behind it; of FLAG_FATAL: the return address */
	uint64_t
		run; /* where the run of instructions begins that loads, changes and tests or stores
			   the flag; addr where one instruction does it all */
	bool run_is_pure; /* run to end is straight code that does nothing else, and no branch
			     leads into it */
	uint8_t map_reg; /* DWARF number of the register that holds the map at addr; FLAG_FATAL and
			     where it is not in a register: INSN_NO_REG */
	enum flag_check_role role; /* FLAG_CHECK; FLAG_FATAL: of its check, NONE where several
				      checks with different roles lead to it */
	uint64_t fatal; /* FLAG_CHECK: address of the FLAG_FATAL that it leads to, 0 for none */
	uint64_t check; /* FLAG_FATAL: address of the FLAG_CHECK that leads to it, 0 for none
			   (putSlotSmall: "small map with no empty slot") */
};

/* Where a PC stands, by all paths from the function's entry to it. */
enum flag_window {
	FLAG_WINDOW_UNKNOWN, /* not an instruction of this function that its entry leads to, or
				paths disagree */
	FLAG_WINDOW_BEFORE, /* this call has not set the flag */
	FLAG_WINDOW_INSIDE, /* it set the flag and has not cleared it */
	FLAG_WINDOW_AFTER, /* it set the flag and cleared it */
	FLAG_WINDOW_OUTSIDE, /* before or after, depending on the path: not inside */
	FLAG_WINDOW_FATAL, /* fatal is about to be called, or has been */
};

struct flagsites {
	uint64_t start, end; /* the function's code */
	struct flag_site *list; /* by address */
	size_t count;
	bool complete; /* false: code that cannot be followed (an indirect jump, bytes that do not
			  decode) is reachable; every window is then unknown */
	uint8_t *
		windows; /* enum flag_window before the instruction at start + i; 0xff inside one */
};

/* What a call's target is, as far as flags care. */
enum flag_callee {
	FLAG_CALLEE_OTHER, /* returns */
	FLAG_CALLEE_FATAL, /* runtime.fatal, internal/runtime/maps.fatal */
	FLAG_CALLEE_THROW, /* runtime.throw: a FLAG_FATAL where a check leads to it (Go 1.18) */
	FLAG_CALLEE_NORETURN, /* runtime.gopanic, runtime.panicIndex and their like */
};

/* By the name of the function that holds the target, as linked; NULL is FLAG_CALLEE_OTHER. */
enum flag_callee flag_callee_by_name(const char *name);

/* A function's code is looked at up to this size: the largest map function of Go 1.18 to 1.27 has 2 KB,
 * without optimisation 6 KB. */
enum { FLAGSITES_CODE_MAX = 64 << 10 };

/* Finds the sites in size bytes of code at start: the whole of one function. callee tells what stands
 * at an address that the code calls. ERROR_LIMIT when size is over FLAGSITES_CODE_MAX. On OK the caller
 * releases *ret by flagsites_done. */
enum status flagsites_find(enum arch arch, enum map_design design, const uint8_t *code, size_t size,
			   uint64_t start, enum flag_callee (*callee)(void *context, uint64_t addr),
			   void *context, struct flagsites *ret, struct error *err);
void flagsites_done(struct flagsites *sites);

/* Where pc stands. An exact pc is the instruction to run next; a return address (is_exact false)
 * stands where the call before it stands. Never more than what is true on every path: INSIDE is
 * fit for a proof. */
enum flag_window flagsites_window(const struct flagsites *sites, uint64_t pc, bool is_exact);

/* The FLAG_FATAL whose call returns to pc, or NULL. */
const struct flag_site *flagsites_fatal_at(const struct flagsites *sites, uint64_t pc);

/* Whether a function's name is that of a map function whose code handles the flag of a design
 * ("runtime.mapassign_fast64", "internal/runtime/maps.(*Map).Delete", ...). */
bool flagsites_is_map_function(const char *name);

#endif
