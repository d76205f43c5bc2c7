/*
 * Laying stubs and table into a stopped process, and taking the jumps out again.
 */
#ifndef PROBE_LAY_H
#define PROBE_LAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "probe/plan.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "target/process.h"

/* What was laid in. */
struct laid {
	uint64_t bias;
	struct stubs stubs;
	uint64_t stubs_addr, table_addr;
	int fd; /* the table's memfd, ours; -1 none */
	struct records_header *table; /* it, mapped by us */
	size_t table_size;
};

struct lay_options {
	bool times, holds, hold_types, ordered, meets, reads; /* as in struct stubs_options */
	unsigned line_bits;
};

/* Whether a seccomp filter forbids the process what lay_in and the stubs call; inherited as in
 * process_may_call. */
enum status lay_is_allowed(const struct process *process, const struct lay_options *options,
			   bool inherited, struct error *err);

/* Maps stubs and table and writes both; the program itself is not changed yet. bias is what was added
 * to the plan's addresses. Stubs that are there from an earlier time are used again: they may never be
 * changed or unmapped, since a signal handler may yet return into them. ERROR_MISMATCH where the
 * program's code is not what its file has, or another recorder is at work. On OK the caller releases
 * *ret by laid_done. */
enum status lay_in(struct process *process, const struct plan *plan, uint64_t bias,
		   const struct lay_options *options, struct laid *ret, struct error *err);

/* Writes the jumps. No thread may stand inside the bytes (lay_is_clear). */
enum status lay_on(struct process *process, const struct laid *laid, struct error *err);

/* Puts the original bytes back. */
enum status lay_off(struct process *process, const struct laid *laid, struct error *err);

/* Whether no thread stands, and no signal handler will return, inside bytes that are to change; threads
 * that just stand there go on in the stub, by the same instruction. FAILED for other reasons. */
enum status lay_is_clear(struct process *process, const struct laid *laid, bool *ret,
			 struct error *err);

/* Unmaps our side; the process keeps its own. */
void laid_done(struct laid *laid);

#endif
