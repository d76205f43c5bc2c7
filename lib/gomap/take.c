/*
 * How a write takes a map that is not its thread's own: the second half of "Detection" in
 * gomap_inline.h.
 */
#include "internal.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread uint32_t gomap_impl_tid __attribute__((tls_model("initial-exec")));

static void forget_tid(void)
{
	gomap_impl_tid = 0;
}

__attribute__((constructor)) static void register_fork(void)
{
	pthread_atfork(NULL, NULL, forget_tid);
}

uint32_t thread_id(void)
{
	if (!gomap_impl_tid)
		gomap_impl_tid = (uint32_t)syscall(SYS_gettid);
	return gomap_impl_tid;
}

#if !defined(__x86_64__) && !defined(__aarch64__)
__attribute__((noinline)) void *gomap_impl_here(void)
{
	return __builtin_return_address(0);
}
#endif

/* The first write to a map makes it its thread's own, where the kernel lets others revoke that. */
static uint32_t settle_bias(struct gomap *m, uint32_t self)
{
	uint32_t bias = GOMAP_BIAS_NONE;
	uint32_t first = barrier_available() ? self : self | GOMAP_BIAS_REVOKED;
	if (__atomic_compare_exchange_n(&m->bias, &bias, first, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		return first;
	return bias;
}

/* As the fast path, with barriers of its own. */
static bool take_own(struct gomap *m, enum gomap_op op, uint32_t self, void *site)
{
	uint64_t turn = __atomic_load_n(&m->turn, __ATOMIC_RELAXED);
	__atomic_store_n(&m->turn, turn + 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&m->bias, __ATOMIC_SEQ_CST) == self) {
		gomap_impl_set_site(m, op, GOMAP_HELD_BY_BIAS, turn + 1, site);
		return true;
	}
	__atomic_store_n(&m->turn, turn, __ATOMIC_RELEASE);
	return false;
}

enum gomap_impl_hold gomap_impl_take(struct gomap *m, enum gomap_op op, const void *key, void *site)
{
	uint32_t self = thread_id();
	uint32_t bias = settle_bias(m, self);
	if (bias == self && take_own(m, op, self, site))
		return GOMAP_HELD_BY_BIAS;

	uint64_t writer = __atomic_load_n(&m->writer, __ATOMIC_ACQUIRE);
	uint64_t seq = ((writer >> 1) + 1) & ((UINT64_C(1) << GOMAP_SEQ_BITS) - 1);
	uint64_t mine = (uint64_t)self << (1 + GOMAP_SEQ_BITS) | seq << 1 | GOMAP_BUSY;
	if ((writer & GOMAP_BUSY) ||
	    !__atomic_compare_exchange_n(&m->writer, &writer, mine, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE)) {
		gomap_impl_conflict(m, op, key, site);
		return GOMAP_REFUSED;
	}
	/* Under writer, so that nobody else goes on before the barrier has been everywhere. */
	if (!(__atomic_load_n(&m->bias, __ATOMIC_RELAXED) & GOMAP_BIAS_REVOKED)) {
		__atomic_fetch_or(&m->bias, GOMAP_BIAS_REVOKED, __ATOMIC_SEQ_CST);
		barrier_everywhere();
	}
	if (__atomic_load_n(&m->turn, __ATOMIC_ACQUIRE) & 1) {
		__atomic_store_n(&m->writer, mine & ~(uint64_t)GOMAP_BUSY, __ATOMIC_RELEASE);
		gomap_impl_conflict(m, op, key, site);
		return GOMAP_REFUSED;
	}
	gomap_impl_set_site(m, op, GOMAP_HELD_BY_WRITER, seq, site);
	return GOMAP_HELD_BY_WRITER;
}
