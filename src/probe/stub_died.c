/*
 * Who dies of a fault, or gives a broken map up. Go makes a panic of a fault, and that may be recovered: so the fault is
 * noted as it becomes a panic, when the goroutine still is in the call that broke and holds the locks that it held there,
 * and the table freezes only once the panic is known to be deadly. Deferred functions run in between.
 */
#include <assert.h>
#include <stddef.h>

#include "probe/internal.h"

#define FAULT(field) ((int32_t)offsetof(struct record_fault, field))

/* rcx = the goroutine's entry; rax is lost. */
static void emit_find_fault(struct builder *b)
{
	static_assert(sizeof(struct record_fault) == 1 << 5, "entries are shifted into place");
	const struct stub_array array = {HEADER(faults), RECORD_FAULT_BITS, 5};
	stub_find_entry(b, &array, AMD64_RCX, AMD64_R14, AMD64_RAX);
}

void stub_fault(struct builder *b)
{
	struct emit *e = &b->e;
	emit_push(e, AMD64_RAX);
	emit_push(e, AMD64_RCX);
	emit_push(e, AMD64_RDX);
	/* A deferred function that faults while its goroutine panics is not what that dies of first. */
	emit_cmp_mem_imm(e, AMD64_R14, b->plan->panic_offset, 0);
	size_t again = emit_branch(e, EMIT_NOT_EQUAL);
	emit_find_fault(b);
	emit_zero(e, AMD64_RAX);
	emit_lock_cmpxchg(e, AMD64_RCX, FAULT(busy), AMD64_R14);
	size_t busy = emit_branch(e, EMIT_NOT_EQUAL);
	emit_store(e, AMD64_RCX, FAULT(g), AMD64_R14);
	emit_rdtsc(e);
	emit_store(e, AMD64_RCX, FAULT(at), AMD64_RAX);
	emit_store_imm(e, AMD64_RCX, FAULT(busy), 0);
	emit_land(e, again);
	emit_land(e, busy);
	emit_pop(e, AMD64_RDX);
	emit_pop(e, AMD64_RCX);
	emit_pop(e, AMD64_RAX);
}

size_t stub_skip_panic(struct builder *b)
{
	struct emit *e = &b->e;
	emit_find_fault(b);
	emit_cmp_mem_imm(e, AMD64_RCX, FAULT(busy), 0);
	size_t other = emit_branch(e, EMIT_NOT_EQUAL);
	emit_cmp_mem(e, AMD64_RCX, FAULT(g), AMD64_R14);
	size_t faulted = emit_branch(e, EMIT_EQUAL);
	emit_land(e, other);
	/* while somebody looks at the death of another, nobody ends the process */
	emit_cmp32_at_imm(e, HEADER(frozen), 0);
	size_t out = emit_branch(e, EMIT_EQUAL);
	emit_land(e, faulted);
	return out;
}

void stub_tell_death(struct builder *b, const struct plan_site *site)
{
	struct emit *e = &b->e;
	if (site->kind == PLAN_PANIC) {
		emit_find_fault(b);
		emit_load(e, AMD64_RAX, AMD64_RCX, FAULT(at));
	} else {
		emit_rdtsc(e);
	}
	emit_store_at(e, HEADER(died_at), AMD64_RAX);
}
