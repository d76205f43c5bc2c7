/*
 * Which place in the source a record of the recorder stands for, and what it does there to maps of which
 * type: by the program's code alone.
 */
#ifndef VERDICT_PLACE_H
#define VERDICT_PLACE_H

#include <stdbool.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/runtime.h"
#include "maps/writers.h"
#include "probe/records.h"

/* What is known of the program for that. */
struct places {
	struct library library;
	struct map_sites sites;
};

/* rt: the program's executable. reads: also of code that only reads maps. */
enum status places_init(struct places *places, struct runtime *rt, bool reads, struct error *err);
void places_done(struct places *places);

/* Strings live as long as the runtime. */
struct place {
	struct site site; /* function NULL: not known */
	const char *type; /* NULL: not a constant in the code */
	enum operation operation;
};

/* The place of a record of a table whose addresses are bias above the executable's. ret_frames: the callers
 * as frames with the executable's addresses, innermost first, RECORD_CALLERS of them at most. */
void place_find(const struct places *places, struct runtime *rt, uint64_t bias, uint64_t site,
		const uint64_t callers[RECORD_CALLERS], struct frame ret_frames[RECORD_CALLERS],
		size_t *ret_count, struct place *ret);

#endif
