/*
 * What is known of one pc, looked up once: the stacks of 100,000 goroutines consist of a few
 * hundred places.
 */
#ifndef GO_PCINFO_H
#define GO_PCINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/pclntab.h"
#include "go/runtime.h"

/* Functions at which a walk does something of its own. */
enum pc_role {
	PC_PLAIN,
	PC_INJECTED, /* sigpanic, asyncPreempt, debugCallV2: a signal faked the call to them */
	PC_ASYNC_PREEMPT, /* the one of those that keeps the registers of what it interrupted */
	PC_SWITCH, /* systemstack_switch: stands in g.sched for the call of systemstack */
	PC_CGOCALLBACK, /* writes SP, and yet has a frame on either stack */
	PC_DYING, /* fatalthrow, fatalpanic: below them Go is on its way out */
};

/* One step of what printArgs does (runtime/traceback.go), for one pc. */
struct arg_step {
	enum {
		ARG_WORD,
		ARG_START, /* { */
		ARG_END, /* } */
		ARG_MORE, /* ... */
		ARG_FAR, /* _: its offset is too large for the table */
	} what;
	uint8_t offset, size; /* ARG_WORD: bytes from the arguments' start */
	bool live;
};

struct pc_info {
	uint64_t pc; /* as it is looked up */
	bool has_function, has_sp_delta;
	struct function function;
	int32_t sp_delta; /* see pclntab_sp_delta */
	enum pc_role role;
	bool has_source, has_args; /* filled in on first use: */
	uint32_t source_count, arg_count;
	struct source_frame *source;
	struct arg_step *args;
};

/* What is known of pc; it lives as long as the runtime. NULL when out of memory, or after
 * PC_INFO_MAX different ones (noted). */
struct pc_info *pc_info_at(struct runtime *rt, uint64_t pc);

/* A walk over forged memory could ask for any address: this many take about 150 MB, and are more
 * than the calls in the largest Go programs that we have seen (some 500,000). */
enum { PC_INFO_MAX = 1 << 20 };

void pc_cache_free(struct pc_cache *cache);

#endif
