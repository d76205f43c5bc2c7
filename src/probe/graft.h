/*
 * The recorder inside an executable file: a copy of a program that records its map writes wherever it
 * runs, without a tracer.
 *
 * Stubs and table are those of stubs.h and records.h, in two segments more (target/extend.h). Of the
 * table only the first page stands in the file; nobody watches it (header.watched is 0), so the first
 * detector freezes it and dies at once, and the core has it. Behind the stubs stands what they replaced,
 * so that the program can be read as it was compiled.
 */
#ifndef PROBE_GRAFT_H
#define PROBE_GRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "go/runtime.h"
#include "target/executable.h"

struct graft_options {
	bool no_times;
	unsigned line_bits; /* 0: RECORD_LINE_BITS */
};

/* What a copy records. */
struct graft {
	size_t sets, clears, fatals;
	bool moved_headers; /* the program headers lie at the file's end: see extend.h */
};

/* Writes into the empty file fd a copy of the program that rt was opened on. file is the same program,
 * opened anew: of rt's, relocations may have been applied; it is changed. ERROR_UNSUPPORTED, with the
 * reason, for what cannot be recorded and for what is such a copy already. */
enum status graft_write(struct runtime *rt, struct executable *file,
			const struct graft_options *options, int fd, struct graft *ret,
			struct error *err);

/* Whether exe is such a copy. */
bool graft_is_in(const struct executable *exe);

/* Puts the program's own instructions back, in our memory. false, and nothing is changed, where exe is no
 * such copy, or one that does not agree with itself. */
bool graft_restore(struct executable *exe);

#endif
