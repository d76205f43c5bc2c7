#include "report/map.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "maps/entry.h"
#include "report/escape.h"
#include "report/libgomap.h"
#include "report/mapbytes.h"

const char *check_kind_name(enum check_kind kind)
{
	static const char *const names[] = {
		[CHECK_CONTRADICTION] = "contradiction",
		[CHECK_COUNT] = "count",
		[CHECK_TAG] = "tag",
		[CHECK_PLACE] = "place",
		[CHECK_LOST] = "lost",
		[CHECK_DUPLICATE] = "duplicate",
		[CHECK_GROWTH] = "growth",
		[CHECK_CHAIN] = "chain",
		[CHECK_UNREADABLE] = "unreadable",
	};
	return names[kind];
}

[[gnu::format(printf, 3, 4)]] static void field(struct page *page, const char *name,
						const char *fmt, ...)
{
	va_list ap;
	page_printf(page, "  %-14s ", name);
	va_start(ap, fmt);
	vfprintf(page->out, fmt, ap);
	va_end(ap);
	fputc('\n', page->out);
}

static void hmap_header(struct page *page, const struct map *m)
{
	field(page, "flags", "0x%02x%s%s%s%s", m->flag, m->flag & HMAP_WRITING ? " writing" : "",
	      m->flag & HMAP_ITERATOR ? " iterator" : "",
	      m->flag & HMAP_OLD_ITERATOR ? " oldIterator" : "",
	      m->flag & HMAP_SAME_SIZE_GROW ? " sameSizeGrow" : "");
	if (m->b < 48)
		field(page, "B", "%u (%" PRIu64 " buckets)", m->b, UINT64_C(1) << m->b);
	else
		field(page, "B", "%u", m->b);
	field(page, "noverflow", "%u", m->noverflow);
	field(page, "hash0", "0x%08" PRIx32, m->hash0);
	field(page, "buckets", "0x%" PRIx64, m->buckets);
	field(page, "oldbuckets", "0x%" PRIx64 "%s", m->old_buckets,
	      m->growing ? " (growing)" : "");
	field(page, "nevacuate", "%" PRIu64, m->nevacuate);
	field(page, "extra", "0x%" PRIx64, m->extra);
}

static void swiss_header(struct page *page, const struct map *m)
{
	field(page, "writing", "%u%s", m->flag, m->writing ? " (a write is in progress)" : "");
	field(page, "seed", "0x%016" PRIx64, m->seed);
	field(page, "dirPtr", "0x%" PRIx64, m->dir_ptr);
	field(page, "dirLen", "%" PRIu64 "%s", m->dir_len,
	      m->dir_len ? "" : " (small: one group, no table)");
	field(page, "globalDepth", "%u", m->global_depth);
	field(page, "globalShift", "%u", m->global_shift);
	field(page, "clearSeq", "%" PRIu64, m->clear_seq);
}

void map_header_text(struct page *page, const struct map *map)
{
	if (map->design == MAP_HMAP)
		hmap_header(page, map);
	else
		swiss_header(page, map);
}

static void check_text(struct page *page, const struct check_report *report)
{
	size_t found = report->count + report->dropped;
	page_style(page, STYLE_BOLD, "\ncheck     ");
	if (found)
		page_style(page, STYLE_RED, "%zu finding%s\n", found, found == 1 ? "" : "s");
	else
		page_style(page, STYLE_GREEN, "nothing wrong");
	if (!found)
		page_printf(page, " in %" PRIu64 " entries\n", report->slots_used);
	if (!report->hashes_checked) {
		page_printf(page, "          hashes were not checked: ");
		page_text(page, report->why_not);
		fputc('\n', page->out);
	}
	for (size_t i = 0; i < report->count; i++) {
		page_printf(page, "  %-13s 0x%" PRIx64 "  ", check_kind_name(report->list[i].kind),
			    report->list[i].addr);
		page_text(page, report->list[i].text);
		fputc('\n', page->out);
	}
	if (report->dropped)
		page_printf(page, "  ... and %" PRIu64 " more\n", report->dropped);
}

/* Renders key and element of an entry; false where a part could not be read. */
static bool render(struct runtime *rt, const struct map *map, const struct map_entry *entry,
		   struct text *key, struct text *elem)
{
	text_clear(key);
	text_clear(elem);
	bool ok = map_key_text(rt, map, entry->key, entry->key_bytes, key);
	bool elem_ok = map_elem_text(rt, map, entry->elem, entry->elem_bytes, elem);
	return ok && elem_ok;
}

static bool entries_text(struct page *page, struct runtime *rt, const struct map *map,
			 uint64_t limit)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text key = TEXT_INIT;
	AUTO_TEXT struct text elem = TEXT_INIT;
	struct map_entry entry;
	struct error why;
	uint64_t shown = 0;
	if (map_walk_new(rt, map, &walk, &why) != OK) {
		notes_add_error(rt->notes, "maps", "the entries", &why);
		return false;
	}
	while (map_walk_next(walk, &entry)) {
		if (limit && shown == limit) {
			page_printf(page, "  ... (--limit 0 shows all)\n");
			return true;
		}
		render(rt, map, &entry, &key, &elem);
		fwrite_unlocked("  ", 1, 2, page->out);
		escape_terminal(page->out, key.s, key.len);
		fwrite_unlocked(": ", 1, 2, page->out);
		escape_terminal(page->out, elem.s, elem.len);
		putc_unlocked('\n', page->out);
		shown++;
	}
	return map_walk_complete(walk);
}

bool map_text(struct page *page, struct runtime *rt, const struct map *map,
	      const struct map_view *view)
{
	char contradiction[200];
	const char *name = map_type_name(rt, map);
	page_text(page, name ? name : "map");
	page_printf(page, " at 0x%" PRIx64 ", %" PRIu64 " entries, %s, ", map->addr, map->count,
		    map->design == MAP_SWISS ? "Swiss map" : "bucket map");
	page_text(page, map->library ? "libgomap" : rt->version.text);
	fputc('\n', page->out);
	map_header_text(page, map);
	if (map->library)
		libgomap_writer_text(page, map->library);
	if (map_contradiction(rt, map, contradiction)) {
		page_style(page, STYLE_RED, "  the header contradicts itself: ");
		page_text(page, contradiction);
		fputc('\n', page->out);
	}
	if (view->check)
		check_text(page, view->check);
	if (view->lookup)
		lookup_text(page, rt, map, view->lookup, view->key);
	if (view->bytes) {
		page_style(page, STYLE_BOLD, "\nheader at 0x%" PRIx64 "\n", map->addr);
		header_bytes_text(page, rt, map);
		fputc('\n', page->out);
		return container_bytes_text(page, rt, map, view->limit);
	}
	if (!view->entries)
		return true;
	fputc('\n', page->out);
	return entries_text(page, rt, map, view->limit);
}

static void json_header_fields(struct json *json, const struct map *m)
{
	json_object(json, "header");
	if (m->design == MAP_HMAP) {
		json_uint(json, "flags", m->flag);
		json_uint(json, "b", m->b);
		json_uint(json, "noverflow", m->noverflow);
		json_uint(json, "hash0", m->hash0);
		json_addr(json, "buckets", m->buckets);
		json_addr(json, "oldbuckets", m->old_buckets);
		json_uint(json, "nevacuate", m->nevacuate);
		json_addr(json, "extra", m->extra);
	} else {
		json_uint(json, "writing", m->flag);
		json_uint(json, "seed", m->seed);
		json_addr(json, "dir_ptr", m->dir_ptr);
		json_uint(json, "dir_len", m->dir_len);
		json_uint(json, "global_depth", m->global_depth);
		json_uint(json, "global_shift", m->global_shift);
		json_uint(json, "clear_seq", m->clear_seq);
	}
	json_end_object(json);
}

static void check_json(struct json *json, const struct check_report *report)
{
	json_object(json, "check");
	json_uint(json, "entries", report->slots_used);
	json_bool(json, "hashes_checked", report->hashes_checked);
	json_string(json, "why_not", report->hashes_checked ? NULL : report->why_not);
	json_array(json, "findings");
	for (size_t i = 0; i < report->count; i++) {
		json_object(json, NULL);
		json_string(json, "kind", check_kind_name(report->list[i].kind));
		json_addr(json, "address", report->list[i].addr);
		json_string(json, "text", report->list[i].text);
		json_end_object(json);
	}
	json_end_array(json);
	json_uint(json, "dropped", report->dropped);
	json_end_object(json);
}

static bool entries_json(struct json *json, struct runtime *rt, const struct map *map,
			 uint64_t limit)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text key = TEXT_INIT;
	AUTO_TEXT struct text elem = TEXT_INIT;
	struct map_entry entry;
	struct error why;
	uint64_t shown = 0;
	json_array(json, "entries");
	bool ok = map_walk_new(rt, map, &walk, &why) == OK;
	if (!ok)
		notes_add_error(rt->notes, "maps", "the entries", &why);
	while (ok && (!limit || shown < limit) && map_walk_next(walk, &entry)) {
		render(rt, map, &entry, &key, &elem);
		json_object(json, NULL);
		json_string(json, "key", key.s);
		json_string(json, "value", elem.s);
		json_addr(json, "slot", entry.slot);
		json_uint(json, "bucket", entry.bucket);
		json_uint(json, "chain", entry.chain);
		json_uint(json, "index", entry.index);
		json_uint(json, "tag", entry.tag);
		json_bool(json, "old", entry.old);
		json_end_object(json);
		shown++;
	}
	json_end_array(json);
	return ok && ((limit && shown == limit) || map_walk_complete(walk));
}

bool map_json(FILE *out, struct runtime *rt, const struct explain_source *source,
	      const struct map *map, const struct map_view *view)
{
	struct json json = JSON_INIT(out);
	char contradiction[200];
	json_object(&json, NULL);
	json_header(&json, "mapcrash.map/1", rt, source);
	json_addr(&json, "address", map->addr);
	json_string(&json, "kind", map->design == MAP_SWISS ? "swiss" : "hmap");
	json_string(&json, "type", map_type_name(rt, map));
	json_uint(&json, "count", map->count);
	json_bool(&json, "writing", map->writing);
	json_bool(&json, "growing", map->growing);
	json_header_fields(&json, map);
	if (map->library)
		libgomap_writer_json(&json, map->library);
	json_string(&json, "contradiction",
		    map_contradiction(rt, map, contradiction) ? contradiction : NULL);
	if (view->check)
		check_json(&json, view->check);
	if (view->lookup)
		lookup_json(&json, rt, map, view->lookup, view->key);
	bool complete = true;
	if (view->entries)
		complete = entries_json(&json, rt, map, view->limit);
	if (view->bytes)
		complete &= container_bytes_json(&json, rt, map, view->limit);
	json_bool(&json, "complete", complete);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
	return complete;
}

/* A found map with what its header says. */
struct row {
	const struct found_map *found;
	struct map map;
};

static int biggest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->map.count != y->map.count)
		return x->map.count > y->map.count ? -1 : 1;
	return (x->map.addr > y->map.addr) - (x->map.addr < y->map.addr);
}

static enum status make_rows(struct runtime *rt, const struct found_maps *found, struct row **ret,
			     size_t *ret_count, struct error *err)
{
	AUTO_FREE struct row *rows = calloc(found->count ? found->count : 1, sizeof(*rows));
	size_t count = 0;
	struct error why;
	if (!rows)
		return error_nomem(err);
	for (size_t i = 0; i < found->count; i++) {
		const struct found_map *f = &found->list[i];
		if (map_open(rt, f->type, f->addr, &rows[count].map, &why) != OK) {
			notes_add_error(rt->notes, "maps", "a map's header", &why);
			continue;
		}
		rows[count++].found = f;
	}
	qsort(rows, count, sizeof(*rows), biggest_first);
	*ret = TAKE(rows);
	*ret_count = count;
	return OK;
}

enum status maps_text(struct page *page, struct runtime *rt, const struct found_maps *found,
		      uint64_t limit, struct error *err)
{
	AUTO_FREE struct row *rows = NULL;
	size_t count;
	if (make_rows(rt, found, &rows, &count, err) != OK)
		return FAILED;
	page_printf(page, "%zu maps\n\n", count);
	page_style(page, STYLE_BOLD, "%-16s %10s %12s  %-32s %s\n", "address", "entries", "bytes",
		   "type", "owner");
	for (size_t i = 0; i < count && (!limit || i < limit); i++) {
		const struct row *row = &rows[i];
		page_printf(page, "0x%-14" PRIx64 " %10" PRIu64 " ", row->map.addr, row->map.count);
		uint64_t bytes = map_bytes(rt, &row->map);
		if (bytes)
			page_printf(page, "%12" PRIu64 "  ", bytes);
		else
			page_printf(page, "%12s  ", "?");
		page_cell(page, type_name(rt, row->found->type), 32);
		page_printf(page, " ");
		page_text(page, row->found->owner ? row->found->owner : "");
		if (row->map.writing)
			page_style(page, STYLE_RED, "  flag set");
		fputc('\n', page->out);
	}
	if (limit && count > limit)
		page_printf(page, "... and %" PRIu64 " more (--limit 0 shows all)\n",
			    count - limit);
	if (!found->complete)
		page_style(page, STYLE_YELLOW, "There may be more: see the notes.\n");
	return OK;
}

enum status maps_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		      const struct found_maps *found, uint64_t limit, struct error *err)
{
	AUTO_FREE struct row *rows = NULL;
	size_t count;
	struct json json = JSON_INIT(out);
	if (make_rows(rt, found, &rows, &count, err) != OK)
		return FAILED;
	json_object(&json, NULL);
	json_header(&json, "mapcrash.maps/1", rt, source);
	json_uint(&json, "count", count);
	json_bool(&json, "complete", found->complete);
	json_array(&json, "maps");
	for (size_t i = 0; i < count && (!limit || i < limit); i++) {
		const struct row *row = &rows[i];
		uint64_t bytes = map_bytes(rt, &row->map);
		json_object(&json, NULL);
		json_addr(&json, "address", row->map.addr);
		json_string(&json, "kind", row->map.design == MAP_SWISS ? "swiss" : "hmap");
		json_string(&json, "type", type_name(rt, row->found->type));
		json_uint(&json, "count", row->map.count);
		if (bytes)
			json_uint(&json, "bytes", bytes);
		else
			json_null(&json, "bytes");
		json_bool(&json, "writing", row->map.writing);
		json_bool(&json, "growing", row->map.growing);
		json_string(&json, "owner", row->found->owner);
		json_addr(&json, "holder", row->found->holder);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
	return OK;
}
