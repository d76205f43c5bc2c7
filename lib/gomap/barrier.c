/*
 * A full memory barrier in every thread of the process, on behalf of the one that asks.
 *
 * Where two threads each store to one word and load the other's, at least one must see the other's
 * store. Both can pass a full barrier between store and load; or the frequent side passes none and
 * the rare side makes the kernel put one into every thread that runs (membarrier(2), Linux 4.14): a
 * thread that does not run has passed one when it was switched out.
 */
#include "internal.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool available;

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static void ask_kernel(void)
{
	long commands = membarrier(MEMBARRIER_CMD_QUERY);
	available = commands > 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) &&
		    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

bool barrier_available(void)
{
	pthread_once(&once, ask_kernel);
	return available;
}

void barrier_everywhere(void)
{
	int saved = errno;
	GOMAP_FENCE(__ATOMIC_SEQ_CST);
	/* a child of fork may have to register anew */
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0 &&
	    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0)
		membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	errno = saved;
}
