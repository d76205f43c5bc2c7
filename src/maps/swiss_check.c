/*
 * The integrity of a Swiss map, table by table: the top bits of a hash choose the table, the others
 * where in it a lookup begins; it goes on from group to group until one has an empty slot
 * (internal/runtime/maps/table.go, getWithKey).
 */
#include <inttypes.h>

#include "base/bytes.h"
#include "maps/internal.h"

/* A table keeps one slot in eight empty: maxAvgGroupLoad of 8, group.go. */
enum { MAX_AVG_GROUP_LOAD = 7 };

static const uint8_t *group_at(const struct checker *checker, uint64_t i)
{
	return checker->walk->swiss.groups + i * checker->map->type.group_size;
}

static bool group_is_missing(const struct swiss_walk *s, uint64_t i)
{
	return s->has_missing && s->missing[i / 8] >> i % 8 & 1;
}

static bool has_empty(const uint8_t *group)
{
	for (unsigned i = 0; i < MAP_SLOTS; i++) {
		if (group[i] == CTRL_EMPTY)
			return true;
	}
	return false;
}

/* Whether a lookup by hash comes to group wanted: table.go, probeSeq. Groups that are missing do not
 * stop it. */
static bool lookup_reaches(const struct checker *checker, uint64_t hash, uint64_t wanted)
{
	const struct swiss_walk *s = &checker->walk->swiss;
	uint64_t mask = s->table.mask, at = (hash >> 7) & mask;
	for (uint64_t step = 1; step <= mask + 1; step++) {
		if (at == wanted)
			return true;
		if (!group_is_missing(s, at) && has_empty(group_at(checker, at)))
			return false;
		at = (at + step) & mask;
	}
	return false;
}

/* The table that a lookup by hash goes to; 0 where the directory does not say. */
static uint64_t table_of(const struct checker *checker, uint64_t hash)
{
	const struct swiss_walk *s = &checker->walk->swiss;
	const struct map *map = checker->map;
	uint64_t i = map->dir_len == 1 ? 0 : hash >> (map->global_shift & 63);
	return i < s->directory_count ? s->directory[i] : 0;
}

static void check_slot(struct checker *checker, const struct container *c, unsigned i)
{
	const struct map *map = checker->map;
	uint64_t hash;
	if (!checker->can_hash || check_hash(checker, c, i, &hash) != HASH_OK)
		return;
	if (map_tag(map, hash) != c->bytes[i])
		check_add_slot(checker, CHECK_TAG, c, i,
			       "control byte is 0x%02x, its hash has 0x%02x", c->bytes[i],
			       map_tag(map, hash));
	if (!check_hash_is_new(checker, hash))
		check_add_slot(checker, CHECK_DUPLICATE, c, i,
			       "the same key stands before it in the table");
	if (!map->dir_len)
		return;
	if (table_of(checker, hash) != checker->walk->swiss.table.addr)
		check_add_slot(checker, CHECK_PLACE, c, i,
			       "its hash belongs into another table, 0x%" PRIx64,
			       table_of(checker, hash));
	else if (!lookup_reaches(checker, hash, c->number))
		check_add_slot(checker, CHECK_LOST, c, i,
			       "lookups meet an empty slot before they come here");
}

/* What the slots of one table add up to. */
struct slot_counts {
	uint64_t used, deleted, empty;
};

static void check_group(struct checker *checker, const struct container *c,
			struct slot_counts *counts)
{
	for (unsigned i = 0; i < MAP_SLOTS; i++) {
		uint8_t ctrl = c->bytes[i];
		if (!(ctrl & 0x80)) {
			counts->used++;
			checker->report->slots_used++;
			check_slot(checker, c, i);
		} else if (ctrl == CTRL_DELETED) {
			counts->deleted++;
			if (!checker->map->dir_len || !checker->map->tombstone_possible)
				check_add(checker->report, CHECK_GROWTH, c->addr + i,
					  "slot %u of group %" PRIu64
					  " is marked as deleted, which the map's header rules "
					  "out",
					  i, c->number);
		} else {
			counts->empty++;
			if (ctrl != CTRL_EMPTY)
				check_add(checker->report, CHECK_TAG, c->addr + i,
					  "slot %u of group %" PRIu64
					  ": no control byte of Go is 0x%02x",
					  i, c->number, ctrl);
		}
	}
}

/* The sums of a table's slots against its header: table_debug.go, checkInvariants. */
static void check_counts(struct checker *checker, const struct swiss_table *t,
			 const struct slot_counts *n)
{
	struct check_report *report = checker->report;
	if (t->used != n->used)
		check_add(report, CHECK_COUNT, t->addr,
			  "the table's used is %u, but %" PRIu64 " of its slots are in use",
			  t->used, n->used);
	if (t->capacity != (t->mask + 1) * MAP_SLOTS)
		check_add(report, CHECK_GROWTH, t->addr,
			  "the table's capacity is %u, but it has %" PRIu64 " groups", t->capacity,
			  t->mask + 1);
	int64_t room = (int64_t)((t->mask + 1) * MAX_AVG_GROUP_LOAD);
	int64_t left = room - (int64_t)n->used - (int64_t)n->deleted;
	if (t->growth_left != left)
		check_add(report, CHECK_GROWTH, t->addr,
			  "the table's growthLeft is %u, but room for %" PRId64 " of %" PRId64
			  " entries is left",
			  t->growth_left, left, room);
	if (!n->empty)
		check_add(report, CHECK_GROWTH, t->addr,
			  "the table has no empty slot: lookups of absent keys never end");
}

/* A table stands in the 1 << (globalDepth - localDepth) entries from its index on. */
static void check_entries(struct checker *checker, const struct swiss_table *t)
{
	const struct swiss_walk *s = &checker->walk->swiss;
	const struct map *map = checker->map;
	size_t first = s->directory_next - 1, count = 1;
	while (first + count < s->directory_count && s->directory[first + count] == t->addr)
		count++;
	if (t->local_depth > map->global_depth ||
	    (map->global_depth - t->local_depth < 64 &&
	     count != UINT64_C(1) << (map->global_depth - t->local_depth)))
		check_add(checker->report, CHECK_GROWTH, t->addr,
			  "the table's localDepth is %u, but %zu entries of the directory (depth "
			  "%u) lead to it",
			  t->local_depth, count, map->global_depth);
	if (t->index != (int64_t)first)
		check_add(checker->report, CHECK_GROWTH, t->addr,
			  "the table's index is %" PRId64 ", but entry %zu is the first that leads "
			  "to it",
			  t->index, first);
}

static void check_directory(struct checker *checker)
{
	const struct map *map = checker->map;
	if (!map->dir_len)
		return;
	if (map->global_depth > 63 || map->dir_len != UINT64_C(1) << map->global_depth)
		check_add(checker->report, CHECK_GROWTH, map->addr,
			  "dirLen is %" PRIu64 ", but globalDepth is %u", map->dir_len,
			  map->global_depth);
	if (map->global_shift != 64 - map->global_depth)
		check_add(checker->report, CHECK_GROWTH, map->addr,
			  "globalShift is %u, but globalDepth is %u", map->global_shift,
			  map->global_depth);
}

void swiss_check(struct checker *checker)
{
	struct map_walk *walk = checker->walk;
	const struct swiss_walk *s = &walk->swiss;
	struct slot_counts counts = {0};
	struct container c;
	unsigned table = 0;
	check_directory(checker);
	while (map_walk_container(walk, &c)) {
		if (s->table_number != table) {
			table = s->table_number;
			counts = (struct slot_counts){0};
			u64set_clear(&checker->hashes);
			if (s->table.addr)
				check_entries(checker, &s->table);
		}
		check_group(checker, &c, &counts);
		/* Sums say something only where all groups could be read. */
		if (s->table.addr && s->group_next == s->group_count && !s->has_missing)
			check_counts(checker, &s->table, &counts);
	}
}
