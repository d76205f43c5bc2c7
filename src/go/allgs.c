#include "go/allgs.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"

enum {
	/* A goroutine takes 2 KB of stack at the least: this many would be 200 GB. */
	GOROUTINES_MAX = 100 * 1000 * 1000,
	/* Bytes that a search looks at in one go. */
	CHUNK = 256 * 1024,
	/* Entries of a candidate for allgs that are looked at, besides the last. */
	SAMPLES = 16,
	/* A slice header of three words. */
	SLICE = 24,
};

struct found {
	uint64_t *list;
	size_t count, cap;
};

/* Bytes of a g from its start that tell whether it is one. */
static size_t g_prefix(const struct layout *l)
{
	size_t end = l->g.sched + l->gobuf.g + 8;
	if (end < l->g.goid + 8u)
		end = l->g.goid + 8u;
	return end < l->g.atomicstatus + 4u ? l->g.atomicstatus + 4u : end;
}

/* Whether bytes, read at addr, look like a goroutine's g: it names itself in its saved registers, has
 * a stack or none, a status that exists, and an id (g0 and gsignal have 0). */
static bool is_g(const struct layout *l, const uint8_t *bytes, uint64_t addr)
{
	uint64_t lo = load_u64(bytes + l->g.stack), hi = load_u64(bytes + l->g.stack + 8);
	uint32_t status = load_u32(bytes + l->g.atomicstatus);
	return load_u64(bytes + l->g.sched + l->gobuf.g) == addr && (lo < hi || (!lo && !hi)) &&
	       (status & ~0x1000u) <= 11 && load_u64(bytes + l->g.goid) != 0;
}

static bool is_g_at(struct runtime *rt, uint64_t addr)
{
	uint8_t bytes[1024];
	size_t n = g_prefix(&rt->layout);
	return addr && addr % 8 == 0 && n <= sizeof(bytes) &&
	       memory_read(rt->target->memory, addr, bytes, n, NULL) == OK &&
	       is_g(&rt->layout, bytes, addr);
}

/* Reads count pointers at addr; false where it had to stop. */
static bool read_list(struct runtime *rt, uint64_t addr, uint64_t count, struct found *found,
		      struct error *err)
{
	uint64_t buf[512];
	for (uint64_t i = 0; i < count;) {
		size_t n = count - i < 512 ? count - i : 512;
		if (memory_read(rt->target->memory, addr + i * 8, buf, n * 8, err) != OK)
			return false;
		for (size_t k = 0; k < n; k++) {
			if (buf[k] && !ARRAY_PUSH(found->list, found->count, found->cap, buf[k])) {
				(void)error_nomem(err);
				return false;
			}
		}
		i += n;
	}
	return true;
}

static bool slice_is_sane(uint64_t addr, uint64_t len, uint64_t cap)
{
	return addr && addr % 8 == 0 && len && len <= cap && cap <= GOROUTINES_MAX &&
	       addr <= UINT64_MAX - cap * 8;
}

/* Whether the slice's elements are g's, as far as a sample of them tells. */
static bool slice_is_of_gs(struct runtime *rt, uint64_t addr, uint64_t len)
{
	uint64_t step = len > SAMPLES ? len / SAMPLES : 1;
	for (uint64_t i = 0; i < len; i += step) {
		uint64_t g;
		if (memory_read_u64(rt->target->memory, addr + i * 8, &g, NULL) != OK ||
		    !is_g_at(rt, g))
			return false;
	}
	uint64_t last;
	return memory_read_u64(rt->target->memory, addr + (len - 1) * 8, &last, NULL) == OK &&
	       is_g_at(rt, last);
}

/* Looks through [start, end) of the program's data for slice headers whose elements are g's, and
 * keeps the longest. */
static void search_data(struct runtime *rt, uint64_t start, uint64_t end, uint64_t *addr,
			uint64_t *len)
{
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	if (!buf || start >= end || end - start < SLICE)
		return;
	for (uint64_t at = start; end - at >= SLICE;) {
		size_t n = end - at < CHUNK ? end - at : CHUNK;
		if (memory_read(rt->target->memory, at, buf, n, NULL) != OK)
			return;
		for (size_t i = 0; i + SLICE <= n; i += 8) {
			uint64_t p = load_u64(buf + i), count = load_u64(buf + i + 8);
			if (!slice_is_sane(p, count, load_u64(buf + i + 16)) || count <= *len ||
			    !slice_is_of_gs(rt, p, count))
				continue;
			*addr = p;
			*len = count;
		}
		at += n - SLICE + 8; /* a header may lie across two chunks */
	}
}

/* Collects all g's in [start, end), which lie 8-aligned in writable memory. */
static void search_range(struct runtime *rt, uint64_t start, uint64_t end, uint8_t *buf,
			 struct found *found)
{
	const struct layout *l = &rt->layout;
	size_t need = g_prefix(l), self = l->g.sched + l->gobuf.g;
	for (uint64_t at = start; end - at >= need && found->count < GOROUTINES_MAX;) {
		size_t n = end - at < CHUNK ? end - at : CHUNK;
		if (memory_read(rt->target->memory, at, buf, n, NULL) != OK)
			return;
		for (size_t i = 0; i + need <= n; i += 8) {
			if (load_u64(buf + i + self) == at + i && is_g(l, buf + i, at + i) &&
			    !ARRAY_PUSH(found->list, found->count, found->cap, at + i))
				return;
		}
		at += (n - need) / 8 * 8 + 8;
	}
}

static void search_memory(struct runtime *rt, struct found *found)
{
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	struct memory_range range;
	for (uint64_t at = 0; buf && memory_range_at(rt->target->memory, at, &range);
	     at = range.end) {
		if (range.writable && (range.origin == ORIGIN_CORE || range.origin == ORIGIN_LIVE))
			search_range(rt, (range.start + 7) & ~7ull, range.end, buf, found);
	}
}

/* runtime.allgs, by its symbol or by search of the program's data; 0 elements when neither finds
 * it. */
static const char *find_slice(struct runtime *rt, uint64_t *addr, uint64_t *len)
{
	struct symbol symbol;
	uint64_t slice[3];
	if (target_symbol(rt->target, "runtime.allgs", &symbol) &&
	    memory_read(rt->target->memory, symbol.addr, slice, sizeof(slice), NULL) == OK &&
	    slice_is_sane(slice[0], slice[1], slice[2])) {
		*addr = slice[0];
		*len = slice[1];
		return "runtime.allgs";
	}
	*addr = *len = 0;
	search_data(rt, rt->module.bss, rt->module.ebss, addr, len);
	if (!*len)
		search_data(rt, rt->module.data, rt->module.edata, addr, len);
	return "search for runtime.allgs";
}

static int word_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

enum status allgs_find(struct runtime *rt, uint64_t **ret, size_t *ret_count, bool *ret_complete,
		       const char **ret_found_by, struct error *err)
{
	struct found found = {0};
	uint64_t addr, len;
	struct error why;
	bool complete = true;
	const char *by = find_slice(rt, &addr, &len);
	if (len && !read_list(rt, addr, len, &found, &why)) {
		notes_add_error(rt->notes, "go", "the list of all goroutines breaks off", &why);
		complete = false;
	}
	if (!found.count) {
		by = "search of all memory";
		complete = false;
		search_memory(rt, &found);
		notes_add(rt->notes, "go", 0,
			  "runtime.allgs was not found: all memory was searched for goroutines");
	}
	if (!found.count) {
		free(found.list);
		return error_set(err, ERROR_NOT_FOUND,
				 "no goroutine was found in the target's memory");
	}
	qsort(found.list, found.count, sizeof(*found.list), word_order);
	*ret = found.list;
	*ret_count = found.count;
	*ret_complete = complete;
	*ret_found_by = by;
	return OK;
}
