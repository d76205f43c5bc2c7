/*
 * The memory of a target: ordered ranges of bytes, each with an origin.
 *
 * Ranges may overlap; one that was added later covers the earlier ones. So an executable is laid
 * first and a core's pages on top:
 *
 *	added 1st   file  [----------- text ----------]
 *	added 2nd   core       [-page-]
 *	read        file  [---][ core ][---- file ----]
 *
 * A read gives exactly the bytes that were asked for, or fails at the first address that has none
 * (ERROR_FAULT with that address): there are no short reads and no zeros for missing bytes. Only
 * what is read is fetched. Not thread safe: reads share a cache.
 */
#ifndef TARGET_MEMORY_H
#define TARGET_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum origin {
	ORIGIN_NONE, /* no byte there */
	ORIGIN_FILE, /* an executable's read-only bytes */
	ORIGIN_CORE,
	ORIGIN_LIVE,
};

struct memory;

struct memory_range {
	uint64_t start, end; /* half open */
	enum origin origin;
	bool writable, executable; /* as the target had it mapped */
};

/* An empty memory; NULL when out of memory. memory_free(NULL) is fine. */
struct memory *memory_new(void);
void memory_free(struct memory *memory);

/*
 * Fetches n bytes at addr, which lies in one added range; offset is addr's distance from the start
 * of that range as it was added. Fails with ERROR_FAULT at the first missing address. context is
 * as added.
 */
typedef enum status memory_fetch_fn(void *context, uint64_t addr, uint64_t offset, void *buf,
				    size_t n, struct error *err);

/* Adds a range on top of all earlier ones. context must outlive the memory. */
enum status memory_add(struct memory *memory, const struct memory_range *range,
		       memory_fetch_fn *fetch, void *context, struct error *err);

/* As memory_add, for bytes that lie in our own memory (a mapped file, a test's array): base is the
 * byte at range->start and must outlive the memory. Only such ranges have views. */
enum status memory_add_bytes(struct memory *memory, const struct memory_range *range,
			     const void *base, struct error *err);

/* Copies n bytes at addr to buf. On failure buf's content is unspecified and err->addr is the first
 * address that could not be read. */
enum status memory_read(struct memory *memory, uint64_t addr, void *buf, size_t n,
			struct error *err);

/* A pointer to the n bytes at addr that lives as long as the memory, or NULL where they are not all
 * inside one memory_add_bytes range: then use memory_read. */
const void *memory_view(struct memory *memory, uint64_t addr, size_t n);

/* The visible range that addr lies in, or the first one above it; false when there is none. Walk
 * them all: for (a = 0; memory_range_at(m, a, &r); a = r.end) */
bool memory_range_at(struct memory *memory, uint64_t addr, struct memory_range *ret);

/* Where the byte at addr comes from. */
enum origin memory_origin(struct memory *memory, uint64_t addr);

/* Bytes fetched from cores and processes so far, cache fills included (views are not counted). */
uint64_t memory_fetched(const struct memory *memory);

static inline enum status memory_read_u8(struct memory *m, uint64_t addr, uint8_t *ret,
					 struct error *err)
{
	return memory_read(m, addr, ret, 1, err);
}

static inline enum status memory_read_u16(struct memory *m, uint64_t addr, uint16_t *ret,
					  struct error *err)
{
	return memory_read(m, addr, ret, 2, err);
}

static inline enum status memory_read_u32(struct memory *m, uint64_t addr, uint32_t *ret,
					  struct error *err)
{
	return memory_read(m, addr, ret, 4, err);
}

static inline enum status memory_read_u64(struct memory *m, uint64_t addr, uint64_t *ret,
					  struct error *err)
{
	return memory_read(m, addr, ret, 8, err);
}

#endif
