/*
 * The instructions that write a map's flag: what each is, and what it leaves in the byte.
 */
#ifndef PROBE_FLIP_H
#define PROBE_FLIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/runtime.h"
#include "insn/insn.h"
#include "maps/code.h"
#include "target/regs.h"

/* Stores that are looked at, once each: map functions have some dozens; memory that serves for something
 * else now may be written by any code. */
enum { FLIPS_MAX = 4096 };

struct flip {
	uint64_t end; /* address behind it: where a breakpoint's hit says that its thread stands */
	struct function function; /* name NULL: not known */
	bool has_insn;
	struct insn insn;
	char *text; /* NULL where there is no instruction */
	bool in_map_function;
	enum flag_site_kind change; /* FLAG_OTHER where it is no site of a map function */
};

/* Those that were looked at. */
struct flips {
	struct flip **list;
	size_t count, cap;
};

/* The store that ends at pc; lives as long as flips. NULL when out of memory, or after FLIPS_MAX. */
const struct flip *flips_at(struct flips *flips, struct runtime *rt, const struct map_codes *codes,
			    uint64_t pc);
void flips_done(struct flips *flips);

/* What the store left in the byte, by the registers behind it and, where it combines, by what the byte
 * held before. false where that is not known: only stores of that one byte are followed, as map functions
 * make them; what clears whole headers is none. */
bool flip_value(const struct flip *flip, const struct regs *regs, bool has_old, uint8_t old,
		uint8_t *ret);

/* The map function that pc is in, or NULL. */
const struct map_code *map_code_at(const struct map_codes *codes, uint64_t pc);

#endif
