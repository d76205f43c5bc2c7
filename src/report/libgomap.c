#include "report/libgomap.h"

#include <inttypes.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/map.h"

static void writer_text(struct page *page, const struct libgomap *m)
{
	struct symbol symbol;
	struct target *target = m->rt.target;
	if (!m->thread)
		return;
	page_printf(page, "  %-14s ", m->writing ? "writing now" : "last write");
	page_printf(page, "thread %u", m->thread);
	if (m->has_site) {
		page_printf(page, ", %s, called in ", libgomap_operation_name(m->operation));
		if (target->exe &&
		    executable_symbol_at(target->exe, m->site - target->bias, &symbol)) {
			page_text(page, symbol.name);
			page_printf(page, "+0x%" PRIx64, m->site - target->bias - symbol.addr);
		} else {
			page_printf(page, "0x%" PRIx64, m->site);
		}
	}
	fputc('\n', page->out);
	page_printf(page, "  %-14s %s, %" PRIu64 " writes as the owner\n", "owner",
		    m->owned ? "that thread, since the first write"
			     : "none any more: a second thread has come to write",
		    m->writes);
}

static bool entries_text(struct page *page, const struct libgomap *m, uint64_t limit)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text key = TEXT_INIT;
	AUTO_TEXT struct text elem = TEXT_INIT;
	struct runtime *rt = (struct runtime *)&m->rt;
	struct map_entry entry;
	struct error why;
	uint64_t shown = 0;
	bool readable = true;
	if (map_walk_new(rt, &m->map, &walk, &why) != OK) {
		notes_add_error(rt->notes, "maps", "the entries", &why);
		return false;
	}
	while (map_walk_next(walk, &entry)) {
		if (limit && shown == limit) {
			page_printf(page, "  ... (--limit 0 shows all)\n");
			return readable;
		}
		text_clear(&key);
		text_clear(&elem);
		readable &= libgomap_key(m, &entry, &key);
		readable &= libgomap_elem(m, &entry, &elem);
		page_printf(page, "  ");
		page_text(page, key.s);
		page_printf(page, ": ");
		page_text(page, elem.s);
		fputc('\n', page->out);
		shown++;
	}
	return map_walk_complete(walk) && readable;
}

bool libgomap_text(struct page *page, const struct libgomap *m, uint64_t limit)
{
	char contradiction[200];
	page_text(page, m->type[0] ? m->type : "map");
	page_printf(page, " at 0x%" PRIx64 ", %" PRIu64 " entries, bucket map, libgomap\n",
		    m->map.addr, m->map.count);
	map_header_text(page, &m->map);
	writer_text(page, m);
	if (map_contradiction((struct runtime *)&m->rt, &m->map, contradiction)) {
		page_style(page, STYLE_RED, "  the header contradicts itself: ");
		page_text(page, contradiction);
		fputc('\n', page->out);
	}
	fputc('\n', page->out);
	return entries_text(page, m, limit);
}
