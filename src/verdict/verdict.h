/*
 * The verdict on a target: what it died of, and if of a map, who touched that map.
 *
 * Grades are defined in docs/ARCHITECTURE.md and in enum grade below. Nothing is claimed beyond the
 * evidence: each claim has its words in evidence, and what they rest on can be looked up.
 */
#ifndef VERDICT_VERDICT_H
#define VERDICT_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "go/mutex.h"
#include "go/runtime.h"
#include "go/stack.h"
#include "maps/call.h"
#include "maps/map.h"
#include "probe/records.h"

enum cause {
	CAUSE_RACE, /* a map used by two goroutines at once */
	CAUSE_CORRUPTION, /* the map's header contradicts itself and no second accessor exists */
	CAUSE_OTHER, /* no crash of a map: verdict.what says which */
	CAUSE_NONE, /* not crashed at all: a process that lives, or a core of one */
};

enum grade {
	GRADE_NONE, /* no race to grade */
	/* Nobody left: sites lists the code that can write such a map. */
	GRADE_UNKNOWN,
	/* Several could have been the other side; ranked. */
	GRADE_POSSIBLE,
	/* In a map function on the same map without proof, or the only other goroutine whose frames
	 * hold this map and contain code that can write it. */
	GRADE_LIKELY,
	/* Two accesses of one map, one of them a write, shown to overlap. */
	GRADE_PROVEN,
};

struct stack_entry {
	struct site site;
	uint64_t sp, entry; /* entry: of the physical function */
	uint64_t offset; /* of the PC from there, where site.pc is not known; 0 none */
	bool inlined;
	char *args; /* owned; NULL for inlined frames */
};

struct stack {
	struct stack_entry *list;
	size_t count;
	bool cut; /* it goes on, but could not be read (noted) or was not asked for */
};

/* A key as the program would print it. Strings are owned, or NULL where unknown. */
struct key {
	char *type, *text, *hex;
};

/* A lock that has to do with one side. */
struct side_lock {
	char *name; /* "main.(*hub).mu", "main.mu", "main.main.mu"; NULL: not known */
	enum lock_kind kind;
	uint64_t addr; /* 0: not known */
	bool held; /* this side's code has it when it does the access; else it stands beside the map */
	bool certain; /* held: on every way there; else on some */
	bool read; /* held: by RLock */
	struct site taken_by; /* held: where it was taken */
	char *state; /* as it stands in memory now, in words; NULL: not known */
};

/* What the two sides' locks come to. */
enum locking {
	LOCKING_UNKNOWN,
	LOCKING_NONE, /* neither side takes one */
	LOCKING_ONE_SIDE, /* one holds a lock, the other none */
	LOCKING_DIFFERENT, /* both hold locks, but none that is the same */
	LOCKING_READ, /* a side that writes holds one by RLock only */
	LOCKING_SAME, /* both hold the same one: then it is not these two accesses that met */
};

/* One side of the race. */
struct access {
	enum grade grade; /* of the claim that this is a side; detector: proven */
	enum operation operation;
	uint64_t goroutine; /* id */
	uint64_t g;
	pid_t thread; /* 0: on none */
	const char *state;
	struct key key;
	struct site site; /* first frame outside Go's runtime and reflect */
	struct site created_by;
	uint64_t created_by_goroutine;
	struct stack stack;
	bool has_registers; /* registers are those of the innermost frame */
	struct regs registers;
	char **evidence; /* owned sentences */
	size_t evidence_count;
	struct side_lock *locks; /* those it holds first */
	size_t lock_count;
	bool locks_known; /* the code on its way was looked through: it takes no others */
	unsigned locks_unfollowed; /* calls on that way whose callee is not known */
};

struct candidate {
	uint64_t goroutine;
	struct site site;
	int rank; /* higher is more suspect */
	char *why;
};

struct write_site {
	struct site site;
	enum operation operation;
	bool type_known; /* false: generic code or reflection, which may write other maps */
};

struct map_facts {
	bool known; /* address and type are */
	bool has_header; /* map was read */
	struct map map;
	const char *type; /* name */
	char *owner; /* "main.(*Cache).items", or NULL */
	char *contradiction;
};

struct verdict {
	enum cause cause;
	enum grade grade;
	char *message; /* what Go printed after "fatal error: " or "panic: "; NULL unknown */
	bool is_panic; /* message was printed after "panic: " */
	bool is_broken; /* a map's own code broke or gave up: no check of its flag failed */
	char *what; /* in words, of what was not a map's check: the kind of crash, and where */
	char *advice; /* what would tell more next time; NULL none */
	char *check; /* which of the runtime's checks failed, in words; NULL unknown */
	struct map_facts map;
	struct access detector;
	bool has_detector;
	struct access other;
	bool has_other;
	enum locking locking;
	char *locking_text; /* one sentence; NULL where LOCKING_UNKNOWN */
	struct candidate *candidates;
	size_t candidate_count;
	struct write_site *sites;
	size_t site_count;
	bool sites_searched;
	size_t goroutine_count;
	size_t searched; /* goroutines whose stacks were searched for the other side */
	size_t parked_skipped; /* parked goroutines that were left out of that: there are too many */
};

struct verdict_options {
	bool search_all; /* search the stacks of all parked goroutines, however many */
	bool sites; /* list the write sites also where the grade does not need them */
	const struct records *records; /* the recorder's table, where there is one; or NULL */
};

/* Judges the target. Fails only where nothing at all can be said. */
enum status verdict_judge(struct runtime *rt, const struct verdict_options *options,
			  struct verdict *ret, struct error *err);
void verdict_done(struct verdict *verdict);

const char *cause_name(enum cause cause);
/* "none", "one side", "different", "read", "same"; NULL for LOCKING_UNKNOWN. */
const char *locking_name(enum locking locking);
const char *grade_name(enum grade grade);

#endif
