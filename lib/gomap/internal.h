/*
 * What the files of libgomap share. Not installed.
 */
#ifndef GOMAP_INTERNAL_H
#define GOMAP_INTERNAL_H

#include "gomap.h"

/* A Go slice: so that a reader of Go's maps finds extra.overflow as it expects it. */
struct gomap_slice {
	void **ptr;
	size_t len, cap;
};

/* One bucket array and what hangs on it. The map has a current one, an old one while growing, and
 * retired ones that an open iteration still walks. */
struct gomap_table {
	char *buckets;
	size_t bytes; /* of buckets: 2^B of them and the spare overflow buckets */
	uint64_t iterators; /* open iterations that may look into it; atomic, readers count too */
	struct gomap_slice slabs; /* more overflow buckets, slab_buckets each */
	size_t slabs_used; /* slabs that nextOverflow has come to */
	size_t spare; /* unused overflow buckets at extra.nextOverflow */
	size_t released; /* bytes given back through allocator.release */
	size_t huge_pages; /* that the array begins with; 0 where the kernel gave small ones */
	size_t fetched; /* of them, while the array is extra.waiting */
	struct gomap_table *next; /* in extra.retired */
	uint8_t B;
};

/* Go's mapextra in the first three words (go1.23 runtime/map.go). */
struct gomap_extra {
	struct gomap_slice *overflow, *oldoverflow; /* the tables' slabs */
	char *nextOverflow;
	struct gomap_table *table, *oldtable, *retired;
	struct gomap_table *waiting; /* made for a growth that is near; mostly NULL */
	struct gomap_slice grave; /* indirect keys that an open iteration may still compare */
};

/* From so many bytes on the default allocator maps memory, which is zero without being written and goes
 * back at once: less is zeroed by the insert that needs it, and trimmed by free when it likes. */
enum { MAP_FROM = 64 << 10 };

/* From so many bytes on gomap_huge_pages asks for them: of less, too much would be zeroed that is never used. Other
 * sizes of huge pages are not made use of (512 MB, on arm64 with pages of 64 KB). */
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE };

/* Overflow buckets are taken from the system this many at a time: a page or two for a small map, as few as
 * are mapped for an array of many chains. */
static inline size_t slab_buckets(const struct gomap *m, const struct gomap_table *table)
{
	enum { FEW = 32 };
	size_t mapped = MAP_FROM / gomap_impl_bucket_size(&m->shape) + 1;
	return table->B < 12 || mapped < FEW ? FEW : mapped;
}

/* Outgrown memory is given back in steps of so many bytes: 16 pages, which take a write some 15 us, or one
 * huge page, which takes less. Giving back a part of one would split it. */
static inline size_t release_step(const struct gomap_table *table)
{
	return table->huge_pages ? HUGE_PAGE : 64 << 10;
}

#define HIDDEN __attribute__((visibility("hidden")))

/* alloc.c */
extern const struct gomap_allocator gomap_default_allocator HIDDEN;

/* How many huge pages an array of so many bytes of m begins with, where the kernel gives them. 0 with any
 * allocator but gomap_huge_pages. */
HIDDEN size_t huge_pages_of(const struct gomap *m, size_t size);
/* Brings in the huge page at p, whose bytes are still zero. */
HIDDEN void huge_page_fetch(char *p);
/* The same, and whether it is one: whether its second page came with its first. */
HIDDEN bool huge_page_given(char *p);

static inline void *map_alloc(struct gomap *m, size_t size)
{
	return m->allocator.alloc(m->allocator.ctx, size);
}

static inline void map_free(struct gomap *m, void *p, size_t size)
{
	if (p)
		m->allocator.free(m->allocator.ctx, p, size);
}

/* Whether so many elements are too many for 2^B buckets: more than 6.5 in each. */
static inline bool over_load(size_t count, uint8_t B)
{
	return count > GOMAP_SLOTS && count > 13 * (((size_t)1 << B) / 2);
}

/* Go tolerates as many overflow buckets as buckets, 2^15 at most. */
static inline bool many_overflows(const struct gomap *m)
{
	return m->noverflow >= (uint16_t)(1u << (m->B > 15 ? 15 : m->B));
}

/* random.c: 64 bits that nobody can guess, and a seed of them. */
HIDDEN uint64_t random_word(void);
HIDDEN void random_seed(struct gomap_seed *ret);

/* table.c: the arrays of a map. False or NULL: errno is ENOMEM and the map is as it was. */
HIDDEN uint8_t table_B_for(size_t hint);
HIDDEN void table_set_B(struct gomap *m, uint8_t B);
HIDDEN bool table_first(struct gomap *m);
HIDDEN bool table_due(struct gomap *m);
HIDDEN bool table_grow(struct gomap *m);
HIDDEN bool table_reserve(struct gomap *m, size_t n);
HIDDEN char *table_overflow(struct gomap *m, char *bucket);
HIDDEN void table_grown(struct gomap *m);
HIDDEN void table_release(struct gomap *m, struct gomap_table *old, size_t end);
HIDDEN void table_release_retired(struct gomap *m);
HIDDEN void table_clear(struct gomap *m);
HIDDEN void table_free_all(struct gomap *m);
HIDDEN bool table_bury(struct gomap *m, void *key);

/* evacuate.c: the two steps of growth that a write to hash does. */
HIDDEN bool evacuate_for(struct gomap *m, uint64_t hash);

/* type.c: checks a type and works out its shape; false with errno EINVAL. */
HIDDEN bool shape_of(const struct gomap_type *type, struct gomap_shape *ret);

/* barrier.c: every other thread of the process passes a full memory barrier. Where the kernel
 * cannot do that, barrier_available says so, and the threads must pass their own. */
HIDDEN bool barrier_available(void);
HIDDEN void barrier_everywhere(void);

/* take.c: this thread's id, from the kernel the first time. */
HIDDEN uint32_t thread_id(void);

#endif
