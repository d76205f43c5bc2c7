#include "go/tracenames.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Strings are cut from pieces of this size; a longer one is no function and no file. */
enum { PIECE_SIZE = 64 << 10 };

struct piece {
	struct piece *next;
	char bytes[PIECE_SIZE];
};

struct trace_names {
	struct piece *pieces; /* the newest first */
	size_t used; /* bytes in it */
	size_t total;
	const char **slots; /* open addressing */
	size_t count, slot_count; /* slot_count: a power of two */
	bool full;
};

enum status trace_names_new(struct trace_names **ret, struct error *err)
{
	enum { SLOTS_FIRST = 1024 };
	struct trace_names *names = calloc(1, sizeof(*names));
	if (names)
		names->slots = calloc(SLOTS_FIRST, sizeof(*names->slots));
	if (!names || !names->slots) {
		free(names);
		return error_nomem(err);
	}
	names->slot_count = SLOTS_FIRST;
	*ret = names;
	return OK;
}

void trace_names_free(struct trace_names *names)
{
	if (!names)
		return;
	for (struct piece *piece = names->pieces, *next; piece; piece = next) {
		next = piece->next;
		free(piece);
	}
	free(names->slots);
	free(names);
}

bool trace_names_is_full(const struct trace_names *names)
{
	return names->full;
}

/* FNV-1a, eight bytes a step. */
static uint64_t hash_of(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325 ^ n;
	for (; n >= 8; s += 8, n -= 8) {
		uint64_t v;
		memcpy(&v, s, 8);
		h = (h ^ v) * 0x9e3779b97f4a7c15;
		h ^= h >> 32;
	}
	for (; n; s++, n--)
		h = (h ^ (uint8_t)*s) * 0x100000001b3;
	return h ^ h >> 29;
}

static void grow(struct trace_names *names)
{
	size_t n = names->slot_count * 2;
	const char **slots = calloc(n, sizeof(*slots));
	if (!slots)
		return; /* the old table works on until it is full */
	for (size_t i = 0; i < names->slot_count; i++) {
		const char *s = names->slots[i];
		if (!s)
			continue;
		size_t at = hash_of(s, strlen(s)) & (n - 1);
		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = s;
	}
	free(names->slots);
	names->slots = slots;
	names->slot_count = n;
}

static char *cut(struct trace_names *names, size_t n)
{
	if (n > PIECE_SIZE || n > TRACE_NAMES_BYTES_MAX - names->total)
		return NULL;
	if (!names->pieces || n > PIECE_SIZE - names->used) {
		struct piece *piece = malloc(sizeof(*piece));
		if (!piece)
			return NULL;
		piece->next = names->pieces;
		names->pieces = piece;
		names->used = 0;
	}
	char *s = names->pieces->bytes + names->used;
	names->used += n;
	names->total += n;
	return s;
}

const char *trace_names_keep(struct trace_names *names, const char *s, size_t n)
{
	/* A NUL would end the string: what stands behind it is not kept. */
	n = strnlen(s, n);
	size_t at = hash_of(s, n) & (names->slot_count - 1);
	for (; names->slots[at]; at = (at + 1) & (names->slot_count - 1))
		if (strncmp(names->slots[at], s, n) == 0 && !names->slots[at][n])
			return names->slots[at];
	char *kept = names->count + 1 < names->slot_count ? cut(names, n + 1) : NULL;
	if (!kept) {
		names->full = true;
		return "?";
	}
	memcpy(kept, s, n);
	kept[n] = '\0';
	names->slots[at] = kept;
	if (++names->count > names->slot_count / 4 * 3)
		grow(names);
	return kept;
}
