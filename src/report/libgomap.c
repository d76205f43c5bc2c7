#include "report/libgomap.h"

#include <inttypes.h>

void libgomap_writer_text(struct page *page, const struct libgomap *m)
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

void libgomap_writer_json(struct json *json, const struct libgomap *m)
{
	struct symbol symbol;
	struct target *target = m->rt.target;
	if (!m->thread) {
		json_null(json, "writer");
		return;
	}
	bool named = m->has_site && target->exe &&
		     executable_symbol_at(target->exe, m->site - target->bias, &symbol);
	json_object(json, "writer");
	json_bool(json, "writing", m->writing);
	json_uint(json, "thread", m->thread);
	json_bool(json, "owner", m->owned);
	json_uint(json, "owner_writes", m->writes);
	json_string(json, "operation", m->has_site ? libgomap_operation_name(m->operation) : NULL);
	json_addr(json, "site", m->has_site ? m->site : 0);
	json_string(json, "function", named ? symbol.name : NULL);
	json_end_object(json);
}
