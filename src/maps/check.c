#include "maps/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "maps/entry.h"
#include "maps/internal.h"
#include "maps/libgomap.h"

/* Entries whose hash is recomputed first. When most of them disagree, it is our hash that is wrong (a
 * newer Go, keys that are not the process's), not the map. */
enum { SAMPLE = 64 };

/* Bytes of a key's text that a finding quotes. */
enum { KEY_TEXT_MAX = 60 };

void check_add(struct check_report *report, enum check_kind kind, uint64_t addr, const char *fmt,
	       ...)
{
	if (!report->list)
		report->list = malloc(CHECK_FINDINGS_MAX * sizeof(*report->list));
	if (!report->list || report->count == CHECK_FINDINGS_MAX) {
		report->dropped++;
		return;
	}
	struct check_finding *f = &report->list[report->count++];
	f->kind = kind;
	f->addr = addr;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void check_report_done(struct check_report *report)
{
	free(report->list);
	report->list = NULL;
	report->count = 0;
}

void check_add_slot(struct checker *checker, enum check_kind kind, const struct container *c,
		    unsigned i, const char *fmt, ...)
{
	char what[100];
	AUTO_TEXT struct text key = TEXT_INIT;
	struct map_entry e;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	map_walk_entry(checker->walk, c, i, &e);
	if (checker->report->count < CHECK_FINDINGS_MAX)
		map_key_text(checker->rt, checker->map, e.key, NULL, &key);
	bool hmap = checker->map->design == MAP_HMAP;
	check_add(checker->report, kind, e.slot, "key %.*s%s in slot %u of %s %" PRIu64 ": %s",
		  KEY_TEXT_MAX, key.s, key.len > KEY_TEXT_MAX ? "..." : "", i,
		  hmap ? (c->old ? "old bucket" : "bucket") : "group", c->number, what);
}

uint8_t map_tag(const struct map *map, uint64_t hash)
{
	if (map->design == MAP_SWISS)
		return hash & 0x7f;
	uint8_t top = hash >> 56;
	return top < TOPHASH_MIN ? top + TOPHASH_MIN : top;
}

static uint64_t map_seed(const struct map *map)
{
	return map->design == MAP_HMAP ? map->hash0 : map->seed;
}

/* The key's bytes in slot i; NULL where they are stored elsewhere and cannot be read. */
static const uint8_t *key_bytes(struct checker *checker, const struct container *c, unsigned i,
				uint64_t *ret_addr)
{
	struct map_entry e;
	map_walk_entry(checker->walk, c, i, &e);
	*ret_addr = e.key;
	if (!checker->map->type.indirect_key)
		return c->bytes + (e.key - c->addr);
	if (memory_read(checker->rt->target->memory, e.key, checker->indirect,
			checker->map->type.key_size, NULL) != OK)
		return NULL;
	return checker->indirect;
}

enum hash_result check_hash(struct checker *checker, const struct container *c, unsigned i,
			    uint64_t *ret)
{
	uint64_t addr;
	const uint8_t *key = key_bytes(checker, c, i, &addr);
	enum hash_result result = HASH_UNREADABLE;
	if (key && checker->map->library)
		result = libgomap_hash_key(checker->map->library, key, ret);
	else if (key)
		result = hash_key(checker->hasher, checker->plan, key, map_seed(checker->map), ret);
	if (result == HASH_UNREADABLE)
		check_add_slot(checker, CHECK_UNREADABLE, c, i, "cannot be read");
	return result;
}

bool check_hash_is_new(struct checker *checker, uint64_t hash)
{
	return u64set_add(&checker->hashes, hash ? hash : 1);
}

/* Holds the recomputed hashes of the first entries against their tags; false, with why_not, when
 * they are not to be trusted. */
static bool hashes_agree(struct checker *checker)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	struct check_report unused = {0};
	struct checker sample = *checker;
	struct container c;
	unsigned seen = 0, agree = 0, random = 0;
	if (map_walk_new(checker->rt, checker->map, &walk, NULL) != OK)
		return false;
	walk->report = sample.report = &unused;
	sample.walk = walk;
	while (seen + random < SAMPLE && map_walk_container(walk, &c)) {
		for (unsigned i = 0; i < MAP_SLOTS; i++) {
			uint64_t hash;
			if (!map_slot_full(checker->map, c.bytes, i))
				continue;
			enum hash_result result = check_hash(&sample, &c, i, &hash);
			random += result == HASH_RANDOM;
			if (result != HASH_OK)
				continue;
			seen++;
			agree += map_tag(checker->map, hash) == c.bytes[i];
		}
	}
	check_report_done(&unused);
	if (agree * 2 >= seen)
		return true;
	snprintf(checker->report->why_not, sizeof(checker->report->why_not),
		 "the hash that we compute agrees with only %u of the first %u entries", agree,
		 seen);
	return false;
}

/* Makes ready what recomputes hashes; where that fails, why_not says why. */
static void prepare_hashes(struct checker *checker)
{
	struct check_report *report = checker->report;
	const struct map_type *type = &checker->map->type;
	const struct libgomap *library = checker->map->library;
	struct error err;
	if (library ? libgomap_can_hash(library, &err) != OK
		    : hasher_new(checker->rt, &checker->hasher, &err) != OK ||
			      hasher_plan(checker->hasher, type, &checker->plan, &err) != OK) {
		snprintf(report->why_not, sizeof(report->why_not), "%.*s",
			 (int)sizeof(report->why_not) - 1, err.text);
		return;
	}
	/* Both refuse keys that are too large to be read. */
	checker->indirect = malloc(type->key_size ? type->key_size : 1);
	if (!checker->indirect) {
		snprintf(report->why_not, sizeof(report->why_not), "out of memory");
		return;
	}
	checker->can_hash = report->hashes_checked = hashes_agree(checker);
}

enum status map_check(struct runtime *rt, const struct map *map, struct check_report *ret,
		      struct error *err)
{
	struct check_report report = {0};
	struct checker checker = {.rt = rt, .map = map, .report = &report};
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	char text[200];
	if (map_walk_new(rt, map, &walk, err) != OK)
		return FAILED;
	walk->report = &report;
	checker.walk = walk;
	if (map_contradiction(rt, map, text))
		check_add(&report, CHECK_CONTRADICTION, map->addr, "%s", text);
	prepare_hashes(&checker);
	if (map->design == MAP_HMAP)
		hmap_check(&checker);
	else
		swiss_check(&checker);
	if (walk->complete && report.slots_used != map->count)
		check_add(&report, CHECK_COUNT, map->addr,
			  "count is %" PRId64 ", but %" PRIu64 " slots are in use%s",
			  (int64_t)map->count, report.slots_used,
			  map->writing ? " (a write is in progress)" : "");
	hasher_free(checker.hasher);
	free(checker.indirect);
	u64set_done(&checker.hashes);
	*ret = report;
	return OK;
}
