/*
 * Swiss maps: internal/runtime/maps of Go 1.24 to 1.27.
 *
 * A map of at most 8 entries is one group, which dirPtr points to. A larger one has a directory of
 * dirLen pointers to tables; a table serves one or more neighbouring entries of it, and is one array of
 * groups. Nothing moves bit by bit here: a table is replaced by a larger one, or two, at once.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "maps/internal.h"

/* Entries of a directory that are read at a time, and at most: 2^24 tables of up to 896 entries are
 * more than the memory of any machine that Go runs on holds. */
enum { DIRECTORY_BLOCK = 8192, DIRECTORY_MAX = 1 << 24 };

enum status swiss_table_read(struct runtime *rt, uint64_t addr, struct swiss_table *ret,
			     struct error *err)
{
	const struct layout *l = &rt->layout;
	uint8_t bytes[128]; /* table is 32 bytes; a layout from DWARF may say anything */
	if (l->table.size < 32 || l->table.size > sizeof(bytes))
		return error_set(err, ERROR_UNSUPPORTED, "a table header of %u bytes",
				 l->table.size);
	if (addr & 7)
		return error_at(err, ERROR_FORMAT, addr, "misaligned table");
	if (memory_read(rt->target->memory, addr, bytes, l->table.size, err) != OK)
		return FAILED;
	*ret = (struct swiss_table){
		.addr = addr,
		.used = load_u16(bytes + l->table.used),
		.capacity = load_u16(bytes + l->table.capacity),
		.growth_left = load_u16(bytes + l->table.growth_left),
		.local_depth = bytes[l->table.local_depth],
		.index = (int64_t)load_u64(bytes + l->table.index),
		.groups = load_u64(bytes + l->table.groups_data),
		.mask = load_u64(bytes + l->table.groups_mask),
	};
	return OK;
}

/* Reads as much of the directory as memory has: nothing is allocated for what is not there. */
static enum status read_directory(struct map_walk *walk, struct error *err)
{
	struct swiss_walk *s = &walk->swiss;
	const struct map *map = &walk->map;
	uint64_t want = map->dir_len;
	if (want > DIRECTORY_MAX || map->dir_ptr > UINT64_MAX - 8 * want) {
		map_walk_trouble(walk, CHECK_CONTRADICTION, map->addr,
				 "no entries read: dirLen is %" PRIu64, map->dir_len);
		return OK;
	}
	while (s->directory_count < want) {
		uint64_t n = want - s->directory_count;
		if (n > DIRECTORY_BLOCK)
			n = DIRECTORY_BLOCK;
		uint64_t *grown =
			reallocarray(s->directory, s->directory_count + n, sizeof(*grown));
		if (!grown)
			return error_nomem(err);
		s->directory = grown;
		uint64_t addr = map->dir_ptr + 8 * s->directory_count;
		struct error fault;
		if (memory_read(walk->rt->target->memory, addr, grown + s->directory_count, 8 * n,
				&fault) != OK) {
			/* Once more, up to the missing byte. */
			uint64_t missing = fault.addr - addr;
			if (fault.code != ERROR_FAULT || missing >= 8 * n)
				missing = 0;
			n = missing / 8;
			if (n && memory_read(walk->rt->target->memory, addr,
					     grown + s->directory_count, 8 * n, &fault) != OK)
				n = 0;
			s->directory_count += n;
			map_walk_trouble(walk, CHECK_UNREADABLE, addr + 8 * n,
					 "directory unreadable from entry %zu of %" PRIu64 " on",
					 s->directory_count, want);
			return OK;
		}
		s->directory_count += n;
	}
	return OK;
}

/* Makes table the current one and reads its groups. */
static enum status read_groups(struct map_walk *walk, const struct swiss_table *table,
			       struct error *err)
{
	struct swiss_walk *s = &walk->swiss;
	struct memory *memory = walk->rt->target->memory;
	uint64_t size = walk->map.type.group_size, count = table->mask + 1;
	if (count * size > s->groups_cap) {
		free(s->groups);
		s->groups = malloc(count * size);
		s->groups_cap = s->groups ? count * size : 0;
		if (!s->groups)
			return error_nomem(err);
	}
	s->table = *table;
	s->group_count = count;
	s->group_next = 0;
	s->has_missing = false;
	if (memory_read(memory, table->groups, s->groups, count * size, NULL) == OK)
		return OK;
	memset(s->missing, 0, sizeof(s->missing));
	uint64_t missing = 0;
	for (uint64_t i = 0; i < count;) {
		struct error fault;
		if (memory_read(memory, table->groups + i * size, s->groups + i * size, size,
				&fault) == OK) {
			i++;
			continue;
		}
		/* On to the first group that begins behind the hole. */
		struct memory_range r;
		uint64_t next = count;
		if (memory_range_at(memory, fault.addr, &r)) {
			uint64_t from = r.start > fault.addr ? r.start : fault.addr + 1;
			uint64_t to = from > table->groups ? from - table->groups : 0;
			next = to > count * size ? count : (to + size - 1) / size;
		}
		if (next <= i)
			next = i + 1;
		for (; i < next; i++, missing++)
			s->missing[i / 8] |= 1 << i % 8;
	}
	s->has_missing = missing > 0;
	if (missing)
		map_walk_trouble(walk, CHECK_UNREADABLE, table->groups,
				 "%" PRIu64 " of the %" PRIu64 " groups at 0x%" PRIx64
				 " are unreadable",
				 missing, count, table->groups);
	return OK;
}

/* Why a table cannot be walked, or NULL. */
static const char *table_trouble(const struct swiss_table *table, uint64_t group_size)
{
	if (table->mask & (table->mask + 1) || table->mask >= TABLE_GROUPS_MAX)
		return "its number of groups is no power of two up to 8192";
	if (table->groups & 7 || table->groups > UINT64_MAX - (table->mask + 1) * group_size)
		return "its groups lie at no possible address";
	return NULL;
}

/* Goes on with the next table that the directory has; false at its end. */
static bool next_table(struct map_walk *walk)
{
	struct swiss_walk *s = &walk->swiss;
	while (s->directory_next < s->directory_count) {
		size_t i = s->directory_next++;
		uint64_t addr = s->directory[i];
		struct swiss_table table;
		struct error err;
		if (i > 0 && addr == s->directory[i - 1])
			continue;
		if (!addr) {
			map_walk_trouble(walk, CHECK_UNREADABLE, walk->map.dir_ptr + 8 * i,
					 "entry %zu of the directory is nil", i);
			continue;
		}
		if (!u64set_add(&s->seen, addr))
			continue;
		if (swiss_table_read(walk->rt, addr, &table, &err) != OK) {
			map_walk_trouble(walk, CHECK_UNREADABLE, addr,
					 "the table of directory entry %zu: %.100s", i, err.text);
			continue;
		}
		const char *why = table_trouble(&table, walk->map.type.group_size);
		if (why) {
			map_walk_trouble(walk, CHECK_GROWTH, addr, "table of entry %zu: %s", i,
					 why);
			continue;
		}
		if (!map_walk_spend(walk, (table.mask + 1) * walk->map.type.group_size))
			return false;
		if (read_groups(walk, &table, &err) != OK) {
			map_walk_trouble(walk, CHECK_UNREADABLE, addr,
					 "the table of directory entry %zu: %s", i, err.text);
			return false;
		}
		s->table_number++;
		return true;
	}
	return false;
}

enum status swiss_walk_start(struct map_walk *walk, struct error *err)
{
	struct swiss_walk *s = &walk->swiss;
	const struct map *map = &walk->map;
	if (!map->dir_ptr)
		return OK;
	if (map->dir_len)
		return read_directory(walk, err);
	struct swiss_table only = {.capacity = MAP_SLOTS, .groups = map->dir_ptr};
	if (table_trouble(&only, map->type.group_size)) {
		map_walk_trouble(walk, CHECK_CONTRADICTION, map->addr,
				 "no entries read: dirPtr is 0x%" PRIx64, map->dir_ptr);
		return OK;
	}
	s->table_number = 1;
	return read_groups(walk, &only, err);
}

void swiss_walk_done(struct map_walk *walk)
{
	free(walk->swiss.directory);
	free(walk->swiss.groups);
	u64set_done(&walk->swiss.seen);
}

bool swiss_walk_container(struct map_walk *walk, struct container *ret)
{
	struct swiss_walk *s = &walk->swiss;
	uint64_t size = walk->map.type.group_size;
	for (;;) {
		while (s->group_next < s->group_count) {
			uint64_t i = s->group_next++;
			if (s->has_missing && s->missing[i / 8] >> i % 8 & 1)
				continue;
			*ret = (struct container){
				.addr = s->table.groups + i * size,
				.bytes = s->groups + i * size,
				.number = i,
				.chain = s->table_number - 1,
			};
			return true;
		}
		if (!next_table(walk))
			return false;
	}
}
