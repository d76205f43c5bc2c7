/*
 * Which locks a function's code holds at one of its instructions.
 *
 * A call of sync.(*Mutex).Lock, or the atomic instruction that it comes to where it is inlined (the
 * function table tells that), makes the lock held on all ways from there, until an Unlock of the same
 * value. Functions that lock or unlock for their caller are looked into; what is called through an
 * interface or a function value is not. Other kinds of locks (channels, atomics of the
 * program's own) are not known.
 */
#ifndef GO_LOCKFLOW_H
#define GO_LOCKFLOW_H

#include "go/dataflow.h"
#include "go/frames.h"
#include "go/mutex.h"

struct lock_hold {
	enum lock_kind kind;
	bool read; /* by RLock */
	bool certain; /* on every way to the instruction; else on some */
	flow_id lock; /* its address, a value of the dataflow; FLOW_UNKNOWN */
	uint64_t at; /* the instruction that takes it: a call, or what is left of an inlined one */
};

struct lock_holds {
	struct lock_hold *list;
	size_t count, cap;
};
void lock_holds_done(struct lock_holds *holds);
#define AUTO_LOCK_HOLDS __attribute__((cleanup(lock_holds_done)))

/* What is learned of a program's functions on the way. */
struct lockflow;
enum status lockflow_new(struct runtime *rt, const struct library *library, struct lockflow **ret,
			 struct error *err);
void lockflow_free(struct lockflow *locks);
static inline void cleanup_lockflow(struct lockflow **locks)
{
	lockflow_free(*locks);
}
#define AUTO_LOCKFLOW __attribute__((cleanup(cleanup_lockflow)))

/* Whether the function, or one of the program's own that it calls, uses locks at all; the standard
 * library's functions give back the locks that they take. */
bool lockflow_uses_locks(struct lockflow *locks, const struct function *fn);

/* What is held before the instruction at pc of the function that flow follows. */
enum status lockflow_before(struct lockflow *locks, struct dataflow *flow, uint64_t pc,
			    struct lock_holds *ret, struct error *err);

/* Whether the code of the function can get from the instruction at from to the one at to. */
bool lockflow_leads(struct dataflow *flow, uint64_t from, uint64_t to);

/* How many calls through interfaces and function values stand in the code of fn above pc: what they lead
 * to is not known. 0 for the standard library's functions. */
unsigned lockflow_unfollowed(struct lockflow *locks, const struct function *fn, uint64_t pc);

#endif
