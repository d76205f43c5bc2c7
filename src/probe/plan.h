/*
 * What the recorder will change in a program, and whether it may.
 *
 * A plan is made from the executable alone. It fails closed: unless every function that writes maps is
 * one whose flag is set once and cleared at least once by instructions that can be moved as they are,
 * nothing is planned, and the error names the function.
 *
 * At each place that sets or clears the flag, Go 1.19 to 1.27 have one run of 10 or 11 bytes without a
 * pc-relative operand, M the map's register and t a dead one (measured for all versions):
 *
 *	movzbl 0x8(M),t ; xor $4,t   ; mov tb,0x8(M)	set, bucket maps
 *	movzbl 0x8(M),t ; and $-5,t  ; mov tb,0x8(M)	clear
 *	movzbl 0x22(M),t ; xor $1,t  ; mov tb,0x22(M)	set and clear, Swiss maps
 *
 * Its first five bytes become a jump to a stub. A check that fails leads to
 *
 *	lea message(%rip),%rax ; mov $length,%ebx ; call fatal
 *
 * The lea becomes a jump to a stub that keeps M, which the next instruction may overwrite; where a branch
 * with a distance of four bytes leads to it, that branch leads to the stub instead. Of the call the four
 * bytes of its distance change, so that it calls a stub which goes on to fatal.
 *
 * At the entry of runtime.gogo, by which a thread takes up a goroutine,
 *
 *	mov 0x8(%rsp),%rbx ; mov 0x10(%rbx),%rdx
 *
 * the first instruction becomes a jump to a stub that keeps when. A program whose runtime begins it in another way is
 * recorded without.
 *
 * The entry check, at which each map function dies when the flag is set, is planned for only where it is
 * asked for:
 *
 *	movzbl 0x8(M),t ; (nop) ; test $4,tb ; jcc	bucket maps: the first two or three move
 *	cmpb $0,0x22(M) ; (nop) ; jcc			Swiss maps: the branch moves too where there is no nop
 *
 * Without optimisation (-N) the forms are the same: the runtime is never built so (go1.19 cmd/go/internal/work/gc.go,
 * go1.27 cmd/compile/internal/base/flag.go: CompilingRuntime). Without inlining (-l) M is another
 * register here and there.
 *
 * A race can also break a map such that its code faults, or finds the map to contradict itself. Of the calls by
 * which Go makes a panic of a fault (in sigpanic), ends a panic that nobody recovered (in gopanic), and gives up at
 * once (throw, in sigpanic and in map code), the distance changes as it does of the calls of fatal.
 */
#ifndef PROBE_PLAN_H
#define PROBE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

enum plan_kind {
	PLAN_SET,
	PLAN_CLEAR,
	PLAN_CHECKED,
	PLAN_BRANCH,
	PLAN_FATAL,
	PLAN_ENTRY,
	PLAN_GOGO,
	/* Calls on the way of who dies of a fault: */
	PLAN_FAULT, /* the fault becomes a panic, which may be recovered */
	PLAN_PANIC, /* a panic, of a fault or not, was not */
	PLAN_THROW, /* the fault, or what map code found, is deadly by itself */
};

/* The type that a map function works on is an argument; it may be gone by the time that the flag is set. */
enum plan_type_place {
	PLAN_TYPE_LOST,
	PLAN_TYPE_REG, /* still in a register, as the code from the entry on says */
	PLAN_TYPE_SLOT, /* in the argument's own stack slot, as the compiler says */
};

/* Minor versions of Go whose map code was measured. */
enum { PLAN_GO_FIRST = 19, PLAN_GO_LAST = 27 };

enum {
	PLAN_RUN_MAX = 24,
	PLAN_PATCH_SIZE = 5,
	PLAN_GOBUF_G = 16, /* of the g in a runtime.gobuf */
};

struct plan_site {
	enum plan_kind kind;
	uint64_t addr; /* first byte that changes; PLAN_FATAL: the call instruction; PLAN_BRANCH:
			  the second byte of the branch */
	uint64_t
		end; /* behind the run, where the stub goes back to; PLAN_BRANCH: where the branch leads */
	uint8_t original
		[PLAN_RUN_MAX]; /* the bytes from addr to end; PLAN_BRANCH: the last five of the branch */
	uint8_t map_reg; /* DWARF numbers */
	uint8_t temp_reg; /* t; PLAN_CHECKED: the register of the lea */
	enum plan_type_place
		type_place; /* PLAN_SET, PLAN_ENTRY of a writer: where the map's type is */
	uint8_t type_reg; /* PLAN_TYPE_REG */
	int32_t type_slot; /* PLAN_TYPE_SLOT: bytes from rbp on, which points to the caller's */
	uint64_t
		callee; /* PLAN_FATAL, FAULT, PANIC, THROW: what is called; PLAN_CHECKED: what the lea computes;
			    PLAN_ENTRY: where the branch at branch leads */
	uint64_t branch; /* PLAN_ENTRY: the branch that the run ends with; 0: it has none */
	bool branch_if_zero; /* that it is a jz, else a jnz */
	bool reads; /* PLAN_CHECKED, PLAN_BRANCH, PLAN_ENTRY: of a function that does not set the flag */
	/* PLAN_CHECKED, PLAN_BRANCH: the PLAN_SET whose stub is the likeliest to be in the processor's cache when the check
	 * fails: of the same function, else of one that writes maps of such keys; 0: none is known */
	uint64_t near;
	uint64_t interior; /* an instruction that starts inside the changed bytes; 0: none */
	const char *function; /* lives as long as the runtime that the plan was made from */
};

struct plan {
	struct plan_site *list; /* by address; addresses are the executable's, without load bias */
	size_t count, cap;
	size_t sets, clears, fatals;
	uint64_t text, etext; /* of the program's code */
	uint64_t image_end; /* behind its last segment */
	uint16_t goid_offset, stack_offset, lockedm_offset, panic_offset; /* in runtime.g */
	uint8_t flag_offset, flag_mask; /* the flag, in a map's header */
	bool clears_by_xor; /* as they set it */
};

/* Plans for the program that rt was opened on. ERROR_UNSUPPORTED, with the reason in one line, for what
 * cannot be recorded. */
enum status plan_make(struct runtime *rt, struct plan *ret, struct error *err);
/* ERROR_UNSUPPORTED, with version's text, for a version of Go that is not planned for. */
enum status plan_check_version(const struct go_version *version, struct error *err);
void plan_done(struct plan *plan);

/* Adds the entry checks of the functions that do not set the flag (reads), and of those that do (writes).
 * ERROR_UNSUPPORTED, with the function's name, where one of them is not of the form above. */
enum status plan_add_entries(struct runtime *rt, bool reads, bool writes, struct plan *plan,
			     struct error *err);

/* Adds the entry of runtime.gogo, where it is of the form above. */
enum status plan_add_gogo(struct runtime *rt, struct plan *plan, struct error *err);

#endif
