/*
 * When memory that readers without locks may still look at can be freed.
 *
 * A thread that is about to follow pointers of a shared map enters, and leaves afterwards; inside,
 * nothing that was retired since is freed. Entering costs two plain stores: the barrier between
 * "I am inside" and the first pointer read is made by who frees (barrier.c).
 *
 * Entries of one thread nest. Nothing here fails but epoch_enter, which needs memory the first time
 * a thread comes.
 */
#ifndef GOMAP_EPOCH_H
#define GOMAP_EPOCH_H

#include "internal.h"

struct epoch_thread;

/* The calling thread's record, entered; NULL with errno ENOMEM. */
HIDDEN struct epoch_thread *epoch_enter(void);
HIDDEN void epoch_leave(struct epoch_thread *self);

/* A number for the calling thread, small where there are few threads. */
HIDDEN unsigned epoch_index(const struct epoch_thread *self);

/* Frees p, of size bytes of the default allocator, when nobody can look at it any more. It must be
 * unreachable for who enters from now on. The caller is inside. */
HIDDEN void epoch_retire(struct epoch_thread *self, void *p, size_t size);

#endif
