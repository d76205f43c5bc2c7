/*
 * What is known of a map's flag at one place of a function: the abstract state that flagsites.c carries
 * along the control flow, and what one instruction does to it.
 */
#ifndef MAPS_FLAGSTATE_H
#define MAPS_FLAGSTATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arch.h"
#include "insn/insn.h"
#include "maps/flagsites.h"

/* The header whose flag it is. */
struct flag_header {
	enum arch arch;
	enum map_design design;
};

enum { FLAGSTATE_REGS = 32 };

/* What is known of a byte, bit by bit: flag bits that are kept, each then inverted if its invert bit
 * is set; constant bits, whose value is in invert; unknown ones. All zero: the constant 0. */
struct flag_value {
	uint8_t keep;
	uint8_t invert;
	uint8_t unknown;
	bool wide; /* bits above the byte may be other than zero */
	bool flag_addr; /* the register holds the address of a flag byte */
};

/* What the condition flags say of the flag. */
enum flag_cond_kind {
	COND_NOTHING,
	COND_ZERO_IS_CLEAR, /* zero: the flag was clear */
	COND_ZERO_IS_SET,
	COND_CARRY_IS_SET,
};

struct flag_cond {
	uint8_t kind; /* enum flag_cond_kind */
	uint64_t test; /* address of the testing instruction */
};

/* Where a path stands: before the flag is set, while it is, after it is cleared, on the way to fatal. */
enum { WINDOW_BEFORE = 1, WINDOW_INSIDE = 2, WINDOW_AFTER = 4, WINDOW_FATAL = 8, WINDOW_ANY = 15 };

/* What holds before an instruction, whichever way led there. */
struct flagstate {
	bool reached;
	uint8_t windows; /* WINDOW_BEFORE, WINDOW_INSIDE, ...: some path comes with it */
	struct flag_cond cond;
	struct flag_value reg[FLAGSTATE_REGS];
};

/* Nothing is known of it. */
extern const struct flag_value flag_value_unknown;

/* Offset of the flag byte in the map's header. */
uint64_t flagstate_offset(const struct flag_header *h);

/* Where paths meet: joins from into to; true when to changed. */
bool flagstate_join(struct flagstate *to, const struct flagstate *from);

/* Whether a memory operand, or an operand of insn in memory, is the flag byte. */
bool flagstate_is_flag(const struct flag_header *h, const struct flagstate *state,
		       const struct insn_mem *mem);
bool flagstate_operand_is_flag(const struct flag_header *h, const struct flagstate *state,
			       const struct insn *insn, const struct insn_operand *op);

/* The condition that a COMPARE, TEST, BIT_TEST or a flag-setting AND leaves. */
enum flag_cond_kind flagstate_cond(const struct flag_header *h, const struct flagstate *state,
				   const struct insn *insn);

/* The memory operand of a store to the flag byte, or NULL; what is stored there, as far as the operation is
 * one that we follow; and what a store of v does to the flag. */
const struct insn_mem *flagstate_store(const struct flag_header *h, const struct flagstate *state,
				       const struct insn *insn);
struct flag_value flagstate_stored(const struct flag_header *h, const struct flagstate *state,
				   const struct insn *insn);
enum flag_site_kind flagstate_store_kind(const struct flag_header *h, struct flag_value v);

/* Makes the state before the instruction the one behind it, on all its ways out. */
void flagstate_step(const struct flag_header *h, const struct insn *insn, struct flagstate *state);

#endif
