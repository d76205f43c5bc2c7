/*
 * Epoch-based reclamation.
 *
 * A global number, the epoch, counts up with every attempt to free. A thread that enters notes the
 * number that it finds (active); what is retired is marked with the number of that moment. A thread
 * inside that could have found an object before it was retired noted a number not above the
 * object's mark, so what is marked below every noted number is free for all.
 *
 * The one race: a thread has stored active, but the store is still on its way while it already
 * reads pointers. Who frees therefore first makes every thread pass a barrier: a store from before
 * it is then visible, and a thread that stores after it reads pointers after it too, and does not
 * find what was unlinked before.
 *
 * Limits: a thread that stays inside (gomap_shared_each with a slow function) keeps all that is
 * retired meanwhile. A thread that retires little keeps up to RETIRE_BATCH objects until its end.
 */
#include "epoch.h"

#include <pthread.h>
#include <stdlib.h>

enum { RETIRE_BATCH = 128 }; /* objects for one barrier, which costs about a microsecond */

struct retired {
	void *p;
	size_t size;
	uint64_t epoch;
};

struct epoch_thread {
	uint64_t active; /* the epoch at entry, 0 outside */
	unsigned depth, index;
	bool fenced; /* no membarrier: entering passes a barrier itself */
	struct retired *list;
	size_t count, cap, next_try; /* an attempt to free is made when count gets to next_try */
	struct epoch_thread *next;
	bool used; /* by a living thread; guarded by lock */
} __attribute__((aligned(128)));

static uint64_t epoch = 1;
static struct epoch_thread *threads; /* only ever grows: records are used again */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t at_exit;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static __thread struct epoch_thread *mine;

/* The record keeps what it has not freed yet; the next thread that gets it goes on. */
static void give_up_record(void *record)
{
	struct epoch_thread *self = record;
	pthread_mutex_lock(&lock);
	self->used = false;
	pthread_mutex_unlock(&lock);
}

/* In the child of fork only the calling thread is left. */
static void forget_others(void)
{
	for (struct epoch_thread *t = threads; t; t = t->next) {
		if (t != mine) {
			t->active = 0;
			t->used = false;
		}
	}
	pthread_mutex_unlock(&lock);
}

static void take_lock(void)
{
	pthread_mutex_lock(&lock);
}

static void drop_lock(void)
{
	pthread_mutex_unlock(&lock);
}

static void set_up(void)
{
	pthread_key_create(&at_exit, give_up_record);
	pthread_atfork(take_lock, drop_lock, forget_others);
}

static struct epoch_thread *register_thread(void)
{
	pthread_once(&once, set_up);
	pthread_mutex_lock(&lock);
	unsigned n = 0;
	struct epoch_thread *self = threads;
	for (; self && self->used; self = self->next)
		++n;
	if (!self) {
		void *p = NULL;
		if (posix_memalign(&p, __alignof__(*self), sizeof(*self)) == 0) {
			self = memset(p, 0, sizeof(*self));
			self->index = n;
			self->next_try = RETIRE_BATCH;
			self->fenced = !barrier_available();
			self->next = threads;
			__atomic_store_n(&threads, self, __ATOMIC_RELEASE);
		}
	}
	if (self)
		self->used = true;
	pthread_mutex_unlock(&lock);
	if (!self) {
		errno = ENOMEM;
		return NULL;
	}
	mine = self;
	pthread_setspecific(at_exit, self);
	return self;
}

struct epoch_thread *epoch_enter(void)
{
	struct epoch_thread *self = mine;
	if (GOMAP_UNLIKELY(!self)) {
		self = register_thread();
		if (!self)
			return NULL;
	}
	if (self->depth++ == 0) {
		__atomic_store_n(&self->active, __atomic_load_n(&epoch, __ATOMIC_ACQUIRE),
				 __ATOMIC_RELAXED);
		__atomic_signal_fence(__ATOMIC_SEQ_CST); /* the other half is in try_free */
		if (GOMAP_UNLIKELY(self->fenced))
			GOMAP_FENCE(__ATOMIC_SEQ_CST);
	}
	return self;
}

void epoch_leave(struct epoch_thread *self)
{
	if (--self->depth == 0)
		__atomic_store_n(&self->active, 0, __ATOMIC_RELEASE);
}

unsigned epoch_index(const struct epoch_thread *self)
{
	return self->index;
}

/* Frees what nobody can see any more. The calling thread is inside and sees what it retired since
 * it came: that stays for the next attempt. */
static void try_free(struct epoch_thread *self)
{
	uint64_t min = __atomic_add_fetch(&epoch, 1, __ATOMIC_SEQ_CST);
	if (self->fenced)
		GOMAP_FENCE(__ATOMIC_SEQ_CST);
	else
		barrier_everywhere();
	struct epoch_thread *t = __atomic_load_n(&threads, __ATOMIC_ACQUIRE);
	for (; t; t = t->next) {
		uint64_t active = __atomic_load_n(&t->active, __ATOMIC_ACQUIRE);
		if (active && active < min)
			min = active;
	}
	size_t kept = 0;
	for (size_t i = 0; i < self->count; ++i) {
		struct retired *r = &self->list[i];
		if (r->epoch < min)
			gomap_default_allocator.free(NULL, r->p, r->size);
		else
			self->list[kept++] = *r;
	}
	self->count = kept;
	self->next_try = kept + RETIRE_BATCH;
}

/* Where there is no memory for the list, p is lost: it cannot be freed while others may see it, and
 * the caller, who is inside itself, cannot wait for them. */
void epoch_retire(struct epoch_thread *self, void *p, size_t size)
{
	if (!p)
		return;
	if (self->count == self->cap) {
		size_t cap = self->cap ? self->cap * 2 : 2 * RETIRE_BATCH;
		struct retired *grown = reallocarray(self->list, cap, sizeof(*grown));
		if (!grown)
			return;
		self->list = grown;
		self->cap = cap;
	}
	/* An exchange rather than a load: what unlinked p must not still be on its way when the
	 * number is read, or a thread could enter at a higher one and yet find p. */
	struct retired r = {p, size, __atomic_fetch_add(&epoch, 0, __ATOMIC_SEQ_CST)};
	self->list[self->count++] = r;
	/* a large array is worth an attempt of its own, soon */
	if (size >= 1 << 20 && self->next_try > self->count + 8)
		self->next_try = self->count + 8;
	if (self->count >= self->next_try)
		try_free(self);
}
