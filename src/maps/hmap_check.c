/*
 * The integrity of a bucket map, chain by chain: a lookup goes to one chain, by the low bits of the
 * hash, and reads it up to the first emptyRest mark (runtime/map.go, mapaccess1).
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "maps/internal.h"

/* The chain that is being checked. */
struct chain {
	uint64_t number;
	bool old;
	bool evacuated; /* old: its first slot says that all has moved */
	bool shadowed; /* current: lookups still go to the old bucket that feeds this one */
	bool ended; /* an emptyRest mark was passed */
};

static bool is_evacuated(uint8_t tophash)
{
	return tophash > TOPHASH_EMPTY_ONE && tophash < TOPHASH_MIN;
}

/* Whether lookups of the keys of a current bucket still go to the old bucket. */
static bool is_shadowed(struct checker *checker, uint64_t bucket)
{
	const struct map *map = checker->map;
	bool moved;
	if (!map->growing)
		return false;
	uint64_t old = bucket & (hmap_old_count(map) - 1);
	return hmap_has_moved(checker->rt, map, old, &moved, NULL) == OK && !moved;
}

static void start_chain(struct checker *checker, const struct container *c, struct chain *chain)
{
	*chain = (struct chain){.number = c->number, .old = c->old};
	u64set_clear(&checker->hashes);
	if (!c->old) {
		chain->shadowed = is_shadowed(checker, c->number);
		return;
	}
	chain->evacuated = is_evacuated(c->bytes[0]);
	if (!chain->evacuated && c->number < checker->map->nevacuate)
		check_add(checker->report, CHECK_GROWTH, c->addr,
			  "old bucket %" PRIu64 " has not moved although nevacuate is %" PRIu64,
			  c->number, checker->map->nevacuate);
}

/* A slot that holds no entry. */
static void check_mark(struct checker *checker, const struct container *c, unsigned i,
		       struct chain *chain)
{
	uint8_t tag = c->bytes[i];
	if (tag == TOPHASH_EMPTY_REST)
		chain->ended = true;
	if (is_evacuated(tag) && !chain->evacuated)
		check_add(checker->report, CHECK_GROWTH, c->addr + i,
			  "slot %u of %sbucket %" PRIu64
			  " is marked as moved (tophash %u), its bucket is not",
			  i, c->old ? "old " : "", c->number, tag);
	if (!is_evacuated(tag) && chain->evacuated)
		check_add(checker->report, CHECK_GROWTH, c->addr + i,
			  "slot %u of old bucket %" PRIu64
			  " is not marked as moved (tophash %u), its bucket is",
			  i, c->number, tag);
}

static void check_key_hash(struct checker *checker, const struct container *c, unsigned i,
			   uint64_t hash)
{
	const struct map *map = checker->map;
	uint64_t count = c->old ? hmap_old_count(map) : UINT64_C(1) << map->b;
	uint64_t bucket = hash & (count - 1);
	if (map_tag(map, hash) != c->bytes[i])
		check_add_slot(checker, CHECK_TAG, c, i, "tophash is 0x%02x, its hash has 0x%02x",
			       c->bytes[i], map_tag(map, hash));
	if (bucket != c->number)
		check_add_slot(checker, CHECK_PLACE, c, i, "its hash belongs into bucket %" PRIu64,
			       bucket);
	if (!check_hash_is_new(checker, hash))
		check_add_slot(checker, CHECK_DUPLICATE, c, i,
			       "the same key stands before it in the chain");
}

static void check_slot(struct checker *checker, const struct container *c, unsigned i,
		       const struct chain *chain)
{
	uint64_t hash;
	checker->report->slots_used++;
	if (chain->evacuated)
		check_add_slot(checker, CHECK_GROWTH, c, i,
			       "has not moved, although its bucket is marked as moved");
	else if (chain->shadowed)
		check_add_slot(checker, CHECK_LOST, c, i,
			       "lookups go to the old bucket, which has not moved yet");
	if (chain->ended)
		check_add_slot(checker, CHECK_LOST, c, i,
			       "stands behind an emptyRest mark, where lookups end");
	if (checker->can_hash && check_hash(checker, c, i, &hash) == HASH_OK)
		check_key_hash(checker, c, i, hash);
}

void hmap_check(struct checker *checker)
{
	struct chain chain = {0};
	struct container c;
	while (map_walk_container(checker->walk, &c)) {
		if (c.chain == 0)
			start_chain(checker, &c, &chain);
		for (unsigned i = 0; i < MAP_SLOTS; i++) {
			if (c.bytes[i] < TOPHASH_MIN)
				check_mark(checker, &c, i, &chain);
			else
				check_slot(checker, &c, i, &chain);
		}
	}
}
