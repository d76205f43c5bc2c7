/*
 * The machine code of a program's map functions, with what each instruction does to the flag.
 */
#ifndef MAPS_CODE_H
#define MAPS_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "maps/flagsites.h"

struct map_code {
	struct function function;
	const uint8_t *bytes; /* lives as long as the target */
	uint64_t size; /* without the padding before the next function */
	bool has_file_offset;
	uint64_t file_offset; /* of its first byte in the executable */
	struct flagsites sites; /* none of a function that is no map function */
};

struct map_codes {
	struct map_code *list; /* by address */
	size_t count, cap;
};

/* The flag sites of a function; callees are known by their names. ERROR_FAULT where its code cannot be
 * had. On OK the caller releases *ret by flagsites_done. */
enum status map_code_flagsites(struct runtime *rt, const struct function *fn, struct flagsites *ret,
			       struct error *err);

/* Those functions that handle the flag, where name is NULL; else all that are called name: as linked
 * ("runtime.mapassign_fast64") or the end of it behind a dot or slash ("mapassign_fast64",
 * "maps.(*Map).Delete"). Map functions that cannot be read or followed are noted. ERROR_NOT_FOUND when
 * there is none. */
enum status map_codes_find(struct runtime *rt, const char *name, struct map_codes *ret,
			   struct error *err);
void map_codes_done(struct map_codes *codes);

/* The site that the instruction at addr is (*ret_part false) or is part of, in the run that leads up to
 * it (true); NULL. Where two sites share a run, the first. */
const struct flag_site *map_code_site(const struct map_code *code, uint64_t addr, bool *ret_part);

#endif
