/*
 * Memory: malloc for what is small, mmap for large bucket arrays.
 *
 * Mapped memory is zero without being written, so a growth costs nothing for the pages that it has
 * not reached yet, and what is evacuated can go back before the rest (release): no single insert
 * has to zero or to free a large array. Huge pages would make lookups in a map of 10 M entries some
 * 10 % quicker, but the fault of one zeroes 2 MB at once, in a virtual machine for up to 11 ms.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	ALIGNMENT = 64,
	PAGE = 4096, /* or a divisor of the machine's */
};

static void *default_alloc(void *ctx, size_t size)
{
	(void)ctx;
	void *p = NULL;
	if (size >= MAP_FROM) {
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		return p == MAP_FAILED ? NULL : p;
	}
	if (size > SIZE_MAX - ALIGNMENT)
		return NULL;
	size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (posix_memalign(&p, ALIGNMENT, rounded ? rounded : ALIGNMENT) != 0)
		return NULL;
	return memset(p, 0, rounded);
}

static void default_free(void *ctx, void *p, size_t size)
{
	(void)ctx;
	if (size >= MAP_FROM)
		munmap(p, size);
	else
		free(p);
}

static void default_release(void *ctx, void *p, size_t size)
{
	(void)ctx;
	char *from = (char *)(((uintptr_t)p + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	char *to = (char *)(((uintptr_t)p + size) & ~(uintptr_t)(PAGE - 1));
	if (from < to)
		madvise(from, (size_t)(to - from), MADV_DONTNEED);
}

const struct gomap_allocator gomap_default_allocator = {default_alloc, default_free,
							default_release, NULL};
