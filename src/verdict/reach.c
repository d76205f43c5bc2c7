#include "verdict/reach.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"

/* Stack bytes that are looked through: a goroutine that is deeper has more frames than its part in a
 * race. */
enum { REACH_STACK_MAX = 64 << 10 };
/* Bytes of an object in which its map is looked for: a struct's fields, not an array's elements. */
enum { REACH_OBJECT_MAX = 512 };
/* Objects that are looked at one pointer further. */
enum { REACH_SECOND_MAX = 32768 };

static uint64_t used_top(const struct goroutine *g, const struct frames *frames)
{
	uint64_t top = frames->count ? frames->list[frames->count - 1].cfa : 0;
	return top > g->stack_lo && top <= g->stack_hi ? top : g->stack_hi;
}

static bool may_be_pointer(struct runtime *rt, uint64_t word)
{
	return word >= 4096 && word % 8 == 0 &&
	       memory_origin(rt->target->memory, word) != ORIGIN_NONE;
}

/* Reads what is readable of the object at addr, up to REACH_OBJECT_MAX; returns words. */
static size_t read_object(struct runtime *rt, uint64_t addr, uint64_t *ret)
{
	/* An object may end where its memory does: fall back to fewer words. */
	for (size_t n = REACH_OBJECT_MAX; n >= 8; n /= 2)
		if (memory_read(rt->target->memory, addr, ret, n, NULL) == OK)
			return n / 8;
	return 0;
}

bool reach_map(struct runtime *rt, const struct goroutine *goroutine, const struct frames *frames,
	       uint64_t map, struct reach *ret)
{
	if (!frames->count)
		return false;
	uint64_t from = frames->list[0].sp, to = used_top(goroutine, frames);
	if (from >= to)
		return false;
	size_t size = to - from < REACH_STACK_MAX ? (size_t)(to - from) & ~(size_t)7
						  : REACH_STACK_MAX;
	AUTO_FREE uint64_t *words = malloc(size ? size : 8);
	if (!words || memory_read(rt->target->memory, from, words, size, NULL) != OK)
		return false;
	size_t count = size / 8;
	for (size_t i = 0; i < count; i++)
		if (words[i] == map) {
			*ret = (struct reach){0, from + i * 8, 0};
			return true;
		}
	uint64_t object[REACH_OBJECT_MAX / 8];
	for (size_t i = 0; i < count; i++) {
		if (!may_be_pointer(rt, words[i]))
			continue;
		size_t n = read_object(rt, words[i], object);
		for (size_t k = 0; k < n; k++)
			if (object[k] == map) {
				*ret = (struct reach){1, from + i * 8, words[i]};
				return true;
			}
	}
	size_t looked = 0;
	for (size_t i = 0; i < count; i++) {
		if (!may_be_pointer(rt, words[i]))
			continue;
		size_t n = read_object(rt, words[i], object);
		for (size_t k = 0; k < n && looked < REACH_SECOND_MAX; k++) {
			uint64_t second[REACH_OBJECT_MAX / 8];
			if (!may_be_pointer(rt, object[k]))
				continue;
			looked++;
			size_t m = read_object(rt, object[k], second);
			for (size_t j = 0; j < m; j++)
				if (second[j] == map) {
					*ret = (struct reach){2, from + i * 8, words[i]};
					return true;
				}
		}
	}
	return false;
}
