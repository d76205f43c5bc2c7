/*
 * Bucket maps: runtime/map.go up to Go 1.23, and map_noswiss.go of 1.24 and 1.25.
 *
 * A map has an array of 2^B buckets, and each bucket may have a chain of overflow buckets behind it.
 * While it grows, the former array is there as well, and its buckets move over ("are evacuated") one
 * chain at a time. A slot whose entry has moved keeps a mark instead of its tophash. So the entries are
 * those slots of both arrays that have a tophash: what mapiternext, which asks for the mark of a
 * chain's first slot, finds too, except while a chain is just being moved, when we see those of its
 * entries that have not left yet.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "maps/internal.h"

/* Buckets are read this many bytes at a time. */
enum { BLOCK_SIZE = 256 << 10 };

/* Unreadable stretches of one bucket array that are stepped over before the rest is given up. Memory
 * is missing in few large pieces; a core with more than this is not worth the time. */
enum { HOLES_MAX = 1000 };

uint64_t hmap_old_count(const struct map *map)
{
	if (map->flag & HMAP_SAME_SIZE_GROW || map->b == 0)
		return UINT64_C(1) << map->b;
	return UINT64_C(1) << (map->b - 1);
}

enum status hmap_has_moved(struct runtime *rt, const struct map *map, uint64_t number, bool *ret,
			   struct error *err)
{
	uint8_t first = TOPHASH_EVACUATED_EMPTY;
	if (!(map->library && number < map->nevacuate) &&
	    memory_read_u8(rt->target->memory, map->old_buckets + number * map->type.bucket_size,
			   &first, err) != OK)
		return FAILED;
	*ret = first > TOPHASH_EMPTY_ONE && first < TOPHASH_MIN;
	return OK;
}

enum status hmap_walk_start(struct map_walk *walk, struct error *err)
{
	struct hmap_walk *h = &walk->hmap;
	uint64_t size = walk->map.type.bucket_size;
	/* More buckets than 2^47 bytes hold: map_contradiction says so. */
	if (walk->map.b >= 47 || size > (UINT64_C(1) << 47) >> walk->map.b ||
	    walk->map.buckets >> 63) {
		map_walk_trouble(walk, CHECK_CONTRADICTION, walk->map.addr,
				 "no entries read: B is %u, buckets 0x%" PRIx64, walk->map.b,
				 walk->map.buckets);
		walk->stopped = true;
		return OK;
	}
	uint64_t count = UINT64_C(1) << walk->map.b;
	h->array = walk->map.buckets;
	h->count = h->array ? count : 0;
	h->block_max = count < BLOCK_SIZE / size ? count : BLOCK_SIZE / size;
	h->block = malloc(h->block_max * size);
	h->link = malloc(size);
	return h->block && h->link ? OK : error_nomem(err);
}

void hmap_walk_done(struct map_walk *walk)
{
	free(walk->hmap.block);
	free(walk->hmap.link);
	u64set_done(&walk->hmap.visited);
}

/* Steps over the buckets that the missing byte at addr makes unreadable. */
static void skip_hole(struct map_walk *walk, uint64_t addr)
{
	struct hmap_walk *h = &walk->hmap;
	uint64_t size = walk->map.type.bucket_size, first = h->next;
	struct memory_range r;
	h->next = h->count;
	if (++h->holes <= HOLES_MAX && memory_range_at(walk->rt->target->memory, addr, &r)) {
		/* A range that is there and yet cannot be read is left a page at a time. */
		uint64_t resume = r.start > addr ? r.start : (addr | 0xfff) + 1;
		if (resume > h->array && resume - h->array <= (h->count - 1) * size)
			h->next = (resume - h->array + size - 1) / size;
	}
	if (h->next <= first)
		h->next = first + 1;
	map_walk_trouble(walk, CHECK_UNREADABLE, addr,
			 "%" PRIu64 " %sbuckets unreadable from number %" PRIu64 " on",
			 h->next - first, h->old ? "old " : "", first);
}

/* Reads the next main buckets into the block; false at the end of the array. */
static bool fill_block(struct map_walk *walk)
{
	struct hmap_walk *h = &walk->hmap;
	struct memory *memory = walk->rt->target->memory;
	uint64_t size = walk->map.type.bucket_size;
	while (h->next < h->count) {
		uint64_t n = h->count - h->next, addr = h->array + h->next * size;
		struct error err;
		if (n > h->block_max)
			n = h->block_max;
		if (memory_read(memory, addr, h->block, n * size, &err) != OK) {
			uint64_t missing = err.addr - addr;
			if (err.code != ERROR_FAULT || missing >= n * size)
				missing = 0;
			n = missing / size;
			if (!n || memory_read(memory, addr, h->block, n * size, &err) != OK) {
				skip_hole(walk, addr + missing);
				continue;
			}
		}
		if (!map_walk_spend(walk, n * size))
			return false;
		h->block_first = h->next;
		h->block_count = n;
		return true;
	}
	return false;
}

/* Goes on with the old array after the current one. */
static bool start_old(struct map_walk *walk)
{
	struct hmap_walk *h = &walk->hmap;
	if (h->old || !walk->map.old_buckets)
		return false;
	h->old = true;
	if (walk->map.old_buckets >> 63) {
		map_walk_trouble(walk, CHECK_CONTRADICTION, walk->map.addr,
				 "old entries not read: oldbuckets 0x%" PRIx64,
				 walk->map.old_buckets);
		return false;
	}
	h->array = walk->map.old_buckets;
	h->count = hmap_old_count(&walk->map);
	h->next = h->block_first = h->block_count = 0;
	/* see hmap_has_moved */
	if (walk->map.library)
		h->next = walk->map.nevacuate < h->count ? walk->map.nevacuate : h->count;
	return true;
}

/* Reads the next overflow bucket of the chain; false where the chain breaks. */
static bool read_overflow(struct map_walk *walk)
{
	struct hmap_walk *h = &walk->hmap;
	uint64_t size = walk->map.type.bucket_size, addr = h->overflow;
	struct error err;
	h->overflow = 0;
	h->chain++;
	if (addr & 7) {
		map_walk_trouble(walk, CHECK_CHAIN, addr,
				 "the chain of bucket %" PRIu64 " goes on at a misaligned address",
				 h->bucket);
		return false;
	}
	if (!u64set_add(&h->visited, addr)) {
		map_walk_trouble(walk, CHECK_CHAIN, addr,
				 "the chain of bucket %" PRIu64 " comes back to where it was",
				 h->bucket);
		return false;
	}
	if (memory_read(walk->rt->target->memory, addr, h->link, size, &err) != OK) {
		map_walk_trouble(walk, CHECK_CHAIN, addr,
				 "the chain of bucket %" PRIu64 " leads out of memory", h->bucket);
		return false;
	}
	return map_walk_spend(walk, size);
}

bool hmap_walk_container(struct map_walk *walk, struct container *ret)
{
	struct hmap_walk *h = &walk->hmap;
	uint64_t size = walk->map.type.bucket_size;
	for (;;) {
		uint64_t addr = h->overflow;
		const uint8_t *bytes = h->link;
		if (addr) {
			if (!read_overflow(walk))
				continue;
		} else if (h->next < h->block_first + h->block_count) {
			bytes = h->block + (h->next - h->block_first) * size;
			addr = h->array + h->next * size;
			h->bucket = h->next++;
			h->chain = 0;
			u64set_clear(&h->visited);
		} else if (fill_block(walk) || (!walk->stopped && start_old(walk))) {
			continue;
		} else {
			return false;
		}
		h->overflow = load_u64(bytes + size - 8);
		*ret = (struct container){
			.addr = addr,
			.bytes = bytes,
			.number = h->bucket,
			.chain = h->chain,
			.old = h->old,
		};
		return true;
	}
}
