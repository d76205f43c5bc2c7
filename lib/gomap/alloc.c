/*
 * Memory: malloc for what is small, mmap for large bucket arrays.
 *
 * Mapped memory is zero without being written, so a growth costs nothing for the pages that it has
 * not reached yet, and what is evacuated can go back before the rest (release): no single insert
 * has to zero or to free a large array.
 *
 * With gomap_huge_pages an array from HUGE_FROM bytes on lies at a multiple of HUGE_PAGE, and the kernel is asked for huge
 * pages (madvise(2), MADV_HUGEPAGE; it gives them where transparent_hugepage/enabled is madvise or
 * always). The fault of one zeroes 2 MB, which takes some 90 us, where 512 faults of small pages take
 * 700 us. Growth writes all over a new array, so these would be several faults in the first inserts:
 * the array is made some inserts before it is needed, and its huge pages are brought in one by one
 * (table.c: table_due). It is not the default: where a virtual machine's host has taken back what was free,
 * such a fault makes it find 512 pages, and takes 5 to 20 ms.
 */
#include "internal.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	ALIGNMENT = 64,
	PAGE = 4096, /* or a divisor of the machine's */
};

static void *map_pages(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* As map_pages, at a multiple of HUGE_PAGE; anywhere where there is too little address space. */
static void *map_huge_pages(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (size > SIZE_MAX - HUGE_PAGE - page)
		return NULL;
	char *p = map_pages(size + HUGE_PAGE);
	if (!p)
		return map_pages(size);
	size_t mapped = (size + HUGE_PAGE + page - 1) & ~(page - 1);
	size_t before = -(uintptr_t)p & (HUGE_PAGE - 1);
	size_t end = (before + size + page - 1) & ~(page - 1);
	if (before)
		munmap(p, before);
	if (end < mapped)
		munmap(p + end, mapped - end);
	/* a kernel without huge pages refuses, and gives small ones */
	madvise(p + before, size, MADV_HUGEPAGE);
	return p + before;
}

size_t huge_pages_of(const struct gomap *m, size_t size)
{
	bool ours = m->allocator.alloc == gomap_huge_pages.alloc;
	return ours && size >= HUGE_FROM ? size / HUGE_PAGE : 0;
}

void huge_page_fetch(char *p)
{
	*(volatile char *)p = 0;
}

bool huge_page_given(char *p)
{
	unsigned char resident = 0;
	huge_page_fetch(p);
	return mincore(p + PAGE, 1, &resident) == 0 && (resident & 1);
}

static void *alloc_small(size_t size)
{
	void *p = NULL;
	if (size > SIZE_MAX - ALIGNMENT)
		return NULL;
	size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (posix_memalign(&p, ALIGNMENT, rounded ? rounded : ALIGNMENT) != 0)
		return NULL;
	return memset(p, 0, rounded);
}

static void *default_alloc(void *ctx, size_t size)
{
	(void)ctx;
	return size >= MAP_FROM ? map_pages(size) : alloc_small(size);
}

static void *alloc_of_huge_pages(void *ctx, size_t size)
{
	return size >= HUGE_FROM ? map_huge_pages(size) : default_alloc(ctx, size);
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
const struct gomap_allocator gomap_huge_pages = {alloc_of_huge_pages, default_free, default_release,
						 NULL};
