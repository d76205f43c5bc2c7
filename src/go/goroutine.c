#include "go/goroutine.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/allgs.h"
#include "go/thread.h"

enum {
	/* runtime.g of 1.27 is 456 bytes long; what we read of it must fit. */
	G_MAX = 1024,
	/* g's lie side by side in the heap, so they are read in pieces of this many bytes, */
	BATCH = 64 * 1024,
	/* unless more than this many bytes between two of them would be read for nothing. */
	GAP = 2048,
};

/* Bytes from the start of a g up to the end of the last field that goroutine_decode looks at; 0 when
 * the layout cannot be right. */
static size_t g_extent(const struct layout *l)
{
	const uint16_t must[] = {l->g.stack,  l->g.m,	   l->g.sched,	   l->g.atomicstatus,
				 l->g.goid,   l->g.gopc,   l->g.startpc,   l->g.waitreason,
				 l->gobuf.sp, l->gobuf.pc, l->g.syscallsp, l->g.syscallpc};
	const uint16_t may[] = {l->g.syscallbp, l->g.parent_goid, l->g.lockedm, l->g.sig,
				l->g.sigpc};
	size_t end = 0;
	for (size_t i = 0; i < sizeof(must) / sizeof(must[0]); i++) {
		if (must[i] == LAYOUT_NONE)
			return 0;
		if (must[i] + 16u > end)
			end = must[i] + 16u;
	}
	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++) {
		if (may[i] != LAYOUT_NONE && may[i] + 8u > end)
			end = may[i] + 8u;
	}
	const uint16_t saved[] = {l->gobuf.lr, l->gobuf.bp, l->gobuf.g};
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
		if (saved[i] != LAYOUT_NONE && l->g.sched + saved[i] + 8u > end)
			end = l->g.sched + saved[i] + 8u;
	}
	return end <= G_MAX ? end : 0;
}

/* The word at offset, or 0 where this version has no such field. */
static uint64_t word(const uint8_t *bytes, uint16_t offset)
{
	return offset == LAYOUT_NONE ? 0 : load_u64(bytes + offset);
}

static void goroutine_decode(struct runtime *rt, uint64_t addr, const uint8_t *g,
			     struct goroutine *ret)
{
	const struct layout *l = &rt->layout;
	const uint8_t *sched = g + l->g.sched;
	uint32_t status = load_u32(g + l->g.atomicstatus);
	*ret = (struct goroutine){
		.g = addr,
		.id = load_u64(g + l->g.goid),
		.m = load_u64(g + l->g.m),
		.status = status & ~0x1000u, /* runtime2.go: _Gscan */
		.scan = status & 0x1000,
		.wait_reason = g[l->g.waitreason],
		.stack_lo = load_u64(g + l->g.stack),
		.stack_hi = load_u64(g + l->g.stack + 8),
		.sched_pc = load_u64(sched + l->gobuf.pc),
		.sched_sp = load_u64(sched + l->gobuf.sp),
		.sched_bp = word(sched, l->gobuf.bp),
		.sched_lr = word(sched, l->gobuf.lr),
		.syscall_pc = load_u64(g + l->g.syscallpc),
		.syscall_sp = load_u64(g + l->g.syscallsp),
		.syscall_bp = word(g, l->g.syscallbp),
		.gopc = load_u64(g + l->g.gopc),
		.startpc = load_u64(g + l->g.startpc),
		.parent = word(g, l->g.parent_goid),
		.locked_m = word(g, l->g.lockedm),
		.sig = l->g.sig == LAYOUT_NONE ? 0 : load_u32(g + l->g.sig),
		.sig_pc = word(g, l->g.sigpc),
	};
	ret->thread = thread_running(rt, addr, ret->m);
}

enum status goroutine_read(struct runtime *rt, uint64_t g, struct goroutine *ret, struct error *err)
{
	uint8_t bytes[G_MAX];
	size_t n = g_extent(&rt->layout);
	if (!n)
		return error_set(err, ERROR_UNSUPPORTED,
				 "the layout of runtime.g of %s is not known", rt->version.text);
	if (memory_read(rt->target->memory, g, bytes, n, err) != OK)
		return error_prefix(err, "goroutine at 0x%llx", (unsigned long long)g);
	goroutine_decode(rt, g, bytes, ret);
	return OK;
}

static bool is_alive(const struct goroutine *goroutine)
{
	return goroutine->status != GOROUTINE_DEAD && goroutine->status != GOROUTINE_DEAD_EXTRA;
}

struct reading {
	struct runtime *rt;
	struct goroutines *list;
	size_t cap;
};

static bool add(struct reading *reading, const struct goroutine *goroutine)
{
	struct goroutines *list = reading->list;
	if (!is_alive(goroutine)) {
		list->dead++;
		return true;
	}
	return ARRAY_PUSH(list->list, list->count, reading->cap, *goroutine);
}

/* Reads the g's at addrs one by one: some of them cannot be read. */
static bool read_singly(struct reading *reading, const uint64_t *addrs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct goroutine goroutine;
		struct error err;
		if (goroutine_read(reading->rt, addrs[i], &goroutine, &err) != OK) {
			reading->list->complete = false;
			notes_add_error(reading->rt->notes, "go", "a goroutine is missing", &err);
		} else if (!add(reading, &goroutine)) {
			return false;
		}
	}
	return true;
}

/* How many of the g's at addrs (ascending) one piece of BATCH bytes holds. */
static size_t batch_length(const uint64_t *addrs, size_t count, size_t extent)
{
	size_t n = 1;
	while (n < count && addrs[n] - addrs[n - 1] <= GAP && addrs[n] - addrs[0] <= BATCH - extent)
		n++;
	return n;
}

static enum status read_all(struct reading *reading, const uint64_t *addrs, size_t count,
			    struct error *err)
{
	struct runtime *rt = reading->rt;
	size_t extent = g_extent(&rt->layout);
	AUTO_FREE uint8_t *buf = malloc(BATCH);
	if (!buf)
		return error_nomem(err);
	if (!extent)
		return error_set(err, ERROR_UNSUPPORTED,
				 "the layout of runtime.g of %s is not known", rt->version.text);
	for (size_t i = 0, n; i < count; i += n) {
		n = batch_length(addrs + i, count - i, extent);
		size_t size = addrs[i + n - 1] - addrs[i] + extent;
		bool room = true;
		if (memory_read(rt->target->memory, addrs[i], buf, size, NULL) != OK) {
			room = read_singly(reading, addrs + i, n);
		} else {
			for (size_t k = i; k < i + n && room; k++) {
				struct goroutine goroutine;
				goroutine_decode(rt, addrs[k], buf + (addrs[k] - addrs[i]),
						 &goroutine);
				room = add(reading, &goroutine);
			}
		}
		if (!room)
			return error_nomem(err);
	}
	return OK;
}

static int id_order(const void *a, const void *b)
{
	const struct goroutine *x = a, *y = b;
	return x->id != y->id ? (x->id < y->id ? -1 : 1) : (x->g < y->g ? -1 : x->g > y->g);
}

enum status goroutines_read(struct runtime *rt, struct goroutines *ret, struct error *err)
{
	AUTO_FREE uint64_t *addrs = NULL;
	size_t count;
	struct goroutines list = {0};
	if (allgs_find(rt, &addrs, &count, &list.complete, &list.found_by, err) != OK)
		return FAILED;
	struct reading reading = {.rt = rt, .list = &list};
	if (read_all(&reading, addrs, count, err) != OK) {
		goroutines_done(&list);
		return FAILED;
	}
	if (!list.count && !list.complete) {
		goroutines_done(&list);
		return error_set(err, ERROR_NOT_FOUND, "none of %zu goroutines could be read",
				 count);
	}
	qsort(list.list, list.count, sizeof(*list.list), id_order);
	*ret = list;
	return OK;
}

void goroutines_done(struct goroutines *list)
{
	free(list->list);
	*list = (struct goroutines){0};
}

const struct goroutine *goroutines_by_id(const struct goroutines *list, uint64_t id)
{
	for (size_t low = 0, high = list->count; low < high;) {
		size_t mid = low + (high - low) / 2;
		if (list->list[mid].id == id)
			return &list->list[mid];
		if (list->list[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

const struct goroutine *goroutines_by_g(const struct goroutines *list, uint64_t g)
{
	for (size_t i = 0; i < list->count; i++) {
		if (list->list[i].g == g)
			return &list->list[i];
	}
	return NULL;
}
