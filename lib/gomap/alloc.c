/*
 * Memory: malloc for what is small, mmap for large bucket arrays.
 *
 * A large array is mapped at a huge page's boundary and asks for huge pages: a random access then
 * misses the cache but not the TLB as well. Mapped memory is zero without being written, so a
 * growth costs nothing for the pages that it has not reached yet, and what is evacuated can go
 * back before the rest (release): the last step of a growth has little left to free.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>

enum {
	ALIGNMENT = 64,
	HUGE_PAGE = 2 << 20,
	MAP_FROM = 4 * HUGE_PAGE, /* below this, a partly used huge page weighs too much */
};

static void *map_pages(size_t size)
{
	/* enough to cut an aligned piece out of */
	size_t room = size + HUGE_PAGE;
	if (room < size)
		return NULL;
	char *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	char *aligned = (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	size_t end = ((uintptr_t)aligned + size + 4095) & ~(uintptr_t)4095;
	if (aligned > p)
		munmap(p, (size_t)(aligned - p));
	if ((uintptr_t)p + room > end)
		munmap((void *)end, (uintptr_t)p + room - end);
	madvise(aligned, size, MADV_HUGEPAGE);
	return aligned;
}

static void *default_alloc(void *ctx, size_t size)
{
	(void)ctx;
	if (size >= MAP_FROM)
		return map_pages(size);
	void *p = NULL;
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
	char *from = (char *)(((uintptr_t)p + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
	char *to = (char *)(((uintptr_t)p + size) & ~(uintptr_t)(HUGE_PAGE - 1));
	if (from < to)
		madvise(from, (size_t)(to - from), MADV_DONTNEED);
}

const struct gomap_allocator gomap_default_allocator = {default_alloc, default_free,
							default_release, NULL};
