#include "target/memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum {
	BLOCK_SIZE = 4096, /* a goroutine's stack is 2 to 8 KB: one or two reads fetch it */
	CACHE_BLOCKS = 2048, /* 8 MB at most, touched only as it fills */
	RUN_MAX = 16, /* blocks fetched at once when blocks are missed one after the other */
	THROUGH_SIZE = 4 * BLOCK_SIZE, /* a read from this size on does not go through the cache */
};

/* A range as it was added. */
struct source {
	struct memory_range range;
	memory_fetch_fn *fetch; /* NULL: the bytes lie at base */
	void *context;
	const uint8_t *base;
};

/* A part of a source that no later one covers. */
struct piece {
	uint64_t start, end;
	uint32_t source;
};

/* Which block of which source a cache slot holds. */
struct slot {
	uint64_t block;
	uint32_t source;
	bool filled;
};

struct memory {
	struct source *sources; /* as added */
	size_t source_count, source_cap;
	struct piece *pieces; /* sorted, disjoint; room for 2 * source_cap */
	size_t piece_count;
	uint32_t *order; /* scratch of settle, source_cap each */
	uint32_t *heap;
	bool settled; /* pieces are up to date with sources */
	size_t last; /* piece of the last lookup */

	struct slot slots[CACHE_BLOCKS];
	uint8_t *blocks; /* CACHE_BLOCKS * BLOCK_SIZE, from the first fetch on */
	uint32_t miss_source; /* where the last miss ended, to see a sequence */
	uint64_t miss_next;
	size_t miss_run; /* blocks that it fetched */
	uint64_t fetched;
};

struct memory *memory_new(void)
{
	return calloc(1, sizeof(struct memory));
}

void memory_free(struct memory *memory)
{
	if (!memory)
		return;
	free(memory->sources);
	free(memory->pieces);
	free(memory->order);
	free(memory->heap);
	free(memory->blocks);
	free(memory);
}

/* Makes room for one more source and all that settle needs for it, so that settle cannot fail. */
static bool reserve(struct memory *m)
{
	if (m->source_count < m->source_cap)
		return true;
	size_t cap = m->source_cap ? m->source_cap * 2 : 16;
	if (cap > UINT32_MAX)
		return false;
	void *p;
	if (!(p = reallocarray(m->pieces, cap, 2 * sizeof(*m->pieces))))
		return false;
	m->pieces = p;
	if (!(p = reallocarray(m->order, cap, sizeof(*m->order))))
		return false;
	m->order = p;
	if (!(p = reallocarray(m->heap, cap, sizeof(*m->heap))))
		return false;
	m->heap = p;
	if (!(p = reallocarray(m->sources, cap, sizeof(*m->sources))))
		return false;
	m->sources = p;
	m->source_cap = cap;
	return true;
}

static enum status add(struct memory *m, const struct source *source, struct error *err)
{
	const struct memory_range *r = &source->range;
	if (r->start > r->end)
		return error_at(err, ERROR_FORMAT, r->start,
				"range ends (0x%" PRIx64 ") before it starts (0x%" PRIx64 ")",
				r->end, r->start);
	if (r->start == r->end)
		return OK;
	if (!reserve(m))
		return error_nomem(err);
	m->sources[m->source_count++] = *source;
	m->settled = false;
	return OK;
}

enum status memory_add(struct memory *memory, const struct memory_range *range,
		       memory_fetch_fn *fetch, void *context, struct error *err)
{
	assert(fetch);
	return add(memory, &(struct source){.range = *range, .fetch = fetch, .context = context},
		   err);
}

enum status memory_add_bytes(struct memory *memory, const struct memory_range *range,
			     const void *base, struct error *err)
{
	return add(memory, &(struct source){.range = *range, .base = base}, err);
}

/* order's comparison: by start, then as added. */
static int compare_starts(const void *a, const void *b, void *sources)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	uint64_t x = ((struct source *)sources)[i].range.start;
	uint64_t y = ((struct source *)sources)[j].range.start;
	if (x != y)
		return x < y ? -1 : 1;
	return i < j ? -1 : 1;
}

/* heap is a binary heap of sources, the one that was added last on top. */
static void heap_push(uint32_t *heap, size_t *count, uint32_t source)
{
	size_t i = (*count)++;
	while (i > 0 && heap[(i - 1) / 2] < source) {
		heap[i] = heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	heap[i] = source;
}

static void heap_pop(uint32_t *heap, size_t *count)
{
	uint32_t moved = heap[--*count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < *count; i = child) {
		if (child + 1 < *count && heap[child + 1] > heap[child])
			child++;
		if (heap[child] <= moved)
			break;
		heap[i] = heap[child];
	}
	heap[i] = moved;
}

static void emit(struct memory *m, uint64_t start, uint64_t end, uint32_t source)
{
	struct piece *before = m->piece_count ? &m->pieces[m->piece_count - 1] : NULL;
	if (before && before->end == start && before->source == source) {
		before->end = end;
		return;
	}
	assert(m->piece_count < 2 * m->source_cap);
	m->pieces[m->piece_count++] = (struct piece){start, end, source};
}

/*
 * Computes the visible pieces in one sweep over the starts, with the sources that are open at the
 * moment in a heap: n log n whatever the sources look like, where inserting one by one is quadratic
 * for nested ones, and a core may bring a million.
 */
static void settle(struct memory *m)
{
	if (m->settled)
		return;
	m->settled = true;
	m->piece_count = 0;
	m->last = 0;
	for (size_t i = 0; i < m->source_count; i++)
		m->order[i] = (uint32_t)i;
	if (m->source_count)
		qsort_r(m->order, m->source_count, sizeof(*m->order), compare_starts, m->sources);

	size_t next = 0, open = 0;
	uint64_t pos = 0;
	while (next < m->source_count || open) {
		if (!open)
			pos = m->sources[m->order[next]].range.start;
		while (next < m->source_count && m->sources[m->order[next]].range.start <= pos)
			heap_push(m->heap, &open, m->order[next++]);
		while (open && m->sources[m->heap[0]].range.end <= pos)
			heap_pop(m->heap, &open);
		if (!open)
			continue;
		uint64_t end = m->sources[m->heap[0]].range.end;
		if (next < m->source_count && m->sources[m->order[next]].range.start < end)
			end = m->sources[m->order[next]].range.start;
		emit(m, pos, end, m->heap[0]);
		pos = end;
	}
}

/* The piece that addr lies in, or the first one above it, or NULL. */
static const struct piece *piece_at(struct memory *m, uint64_t addr)
{
	settle(m);
	if (m->last < m->piece_count) {
		const struct piece *p = &m->pieces[m->last];
		if (addr >= p->start && addr < p->end)
			return p;
	}
	size_t low = 0, high = m->piece_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (m->pieces[mid].end <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == m->piece_count)
		return NULL;
	m->last = low;
	return &m->pieces[low];
}

static enum status fetch(struct memory *m, const struct source *s, uint64_t offset, void *buf,
			 size_t n, struct error *err)
{
	enum status status = s->fetch(s->context, s->range.start + offset, offset, buf, n, err);
	if (status == OK)
		m->fetched += n;
	return status;
}

/* How many blocks to fetch for a miss at block: more and more while misses follow each other. They
 * take neighbouring slots, so a run ends where the slots do. */
static size_t run_length(const struct memory *m, uint32_t source, uint64_t block, size_t slot,
			 uint64_t blocks)
{
	size_t run = 1;
	if (source == m->miss_source && block == m->miss_next && m->miss_run)
		run = m->miss_run * 2;
	if (run > RUN_MAX)
		run = RUN_MAX;
	if (run > CACHE_BLOCKS - slot)
		run = CACHE_BLOCKS - slot;
	if (run > blocks - block)
		run = (size_t)(blocks - block);
	return run;
}

/* A block of a source out of the cache; NULL where it cannot be fetched as a whole. */
static const uint8_t *block_get(struct memory *m, uint32_t source, uint64_t block)
{
	/* The factor keeps the first blocks of many small sources in different slots. */
	size_t slot = (size_t)((block + source * UINT64_C(61)) % CACHE_BLOCKS);
	struct slot *tag = &m->slots[slot];
	if (tag->filled && tag->block == block && tag->source == source)
		return m->blocks + slot * BLOCK_SIZE;
	if (!m->blocks && !(m->blocks = malloc((size_t)CACHE_BLOCKS * BLOCK_SIZE)))
		return NULL;

	const struct source *s = &m->sources[source];
	uint64_t length = s->range.end - s->range.start;
	uint64_t blocks = length / BLOCK_SIZE + (length % BLOCK_SIZE != 0);
	size_t run = run_length(m, source, block, slot, blocks);
	uint64_t left = length - block * BLOCK_SIZE;
	size_t n = left < run * BLOCK_SIZE ? (size_t)left : run * BLOCK_SIZE;
	bool got = fetch(m, s, block * BLOCK_SIZE, m->blocks + slot * BLOCK_SIZE, n, NULL) == OK;
	for (size_t i = 0; i < run; i++)
		tag[i] = (struct slot){block + i, source, got};
	m->miss_source = source;
	m->miss_next = block + run;
	m->miss_run = got ? run : 0;
	return got ? m->blocks + slot * BLOCK_SIZE : NULL;
}

static enum status read_cached(struct memory *m, uint32_t source, uint64_t offset, uint8_t *buf,
			       size_t n, struct error *err)
{
	while (n) {
		size_t skip = (size_t)(offset % BLOCK_SIZE);
		size_t take = BLOCK_SIZE - skip < n ? BLOCK_SIZE - skip : n;
		const uint8_t *block = block_get(m, source, offset / BLOCK_SIZE);
		if (!block) /* what was asked for may be there although the block is not */
			return fetch(m, &m->sources[source], offset, buf, n, err);
		memcpy(buf, block + skip, take);
		buf += take;
		offset += take;
		n -= take;
	}
	return OK;
}

enum status memory_read(struct memory *memory, uint64_t addr, void *buf, size_t n,
			struct error *err)
{
	uint8_t *to = buf;
	while (n) {
		const struct piece *p = piece_at(memory, addr);
		if (!p || addr < p->start)
			return error_at(err, ERROR_FAULT, addr, "no memory at 0x%" PRIx64, addr);
		uint64_t left = p->end - addr;
		size_t take = n < left ? n : (size_t)left;
		const struct source *s = &memory->sources[p->source];
		uint64_t offset = addr - s->range.start;
		enum status status = OK;
		if (!s->fetch)
			memcpy(to, s->base + offset, take);
		else if (take >= THROUGH_SIZE)
			status = fetch(memory, s, offset, to, take, err);
		else
			status = read_cached(memory, p->source, offset, to, take, err);
		if (status != OK)
			return FAILED;
		to += take;
		addr += take;
		n -= take;
	}
	return OK;
}

const void *memory_view(struct memory *memory, uint64_t addr, size_t n)
{
	const struct piece *p = piece_at(memory, addr);
	if (!p || addr < p->start || n > p->end - addr)
		return NULL;
	const struct source *s = &memory->sources[p->source];
	return s->fetch ? NULL : s->base + (addr - s->range.start);
}

bool memory_range_at(struct memory *memory, uint64_t addr, struct memory_range *ret)
{
	const struct piece *p = piece_at(memory, addr);
	if (!p)
		return false;
	*ret = memory->sources[p->source].range;
	ret->start = p->start;
	ret->end = p->end;
	return true;
}

enum origin memory_origin(struct memory *memory, uint64_t addr)
{
	const struct piece *p = piece_at(memory, addr);
	return p && addr >= p->start ? memory->sources[p->source].range.origin : ORIGIN_NONE;
}

uint64_t memory_fetched(const struct memory *memory)
{
	return memory->fetched;
}
