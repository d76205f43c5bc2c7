#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/session.h"
#include "maps/libgomap.h"
#include "report/map.h"
#include "verdict/verdict.h"

/* Entries that are shown where the command line does not say. */
enum { ENTRIES_DEFAULT = 100 };
/* The same of buckets or groups, byte for byte. */
enum { CONTAINERS_DEFAULT = 4 };

/* The type of the map at addr: that of the crash, or of a reference to it somewhere in memory. */
static enum status find_type(struct session *s, uint64_t addr, uint64_t *ret)
{
	struct verdict verdict;
	bool found = false;
	if (verdict_judge(s->rt, NULL, &verdict, NULL) == OK) {
		found = verdict.map.has_header && verdict.map.map.addr == addr;
		if (found)
			*ret = verdict.map.map.type.type.addr;
		verdict_done(&verdict);
	}
	if (found)
		return OK;
	struct goroutines goroutines = {0};
	struct found_maps maps;
	struct error why;
	if (goroutines_read(s->rt, &goroutines, &why) != OK)
		notes_add_error(&s->notes, "go", "goroutines", &why);
	enum status status = maps_find(s->rt, &goroutines, &maps, &s->error);
	goroutines_done(&goroutines);
	if (status != OK)
		return FAILED;
	for (size_t i = 0; i < maps.count && !found; i++) {
		found = maps.list[i].addr == addr;
		if (found)
			*ret = maps.list[i].type;
	}
	found_maps_done(&maps);
	return found ? OK
		     : error_at(&s->error, ERROR_NOT_FOUND, addr,
				"no typed reference to a map at 0x%llx was found: name its type, "
				"as in "
				"'map[string]int'",
				(unsigned long long)addr);
}

static enum status choose_type(struct session *s, const char *name, uint64_t addr, uint64_t *ret)
{
	return name ? session_map_type(s, name, ret) : find_type(s, addr, ret);
}

static bool check_was_complete(const struct check_report *report)
{
	for (size_t i = 0; i < report->count; i++)
		if (report->list[i].kind == CHECK_UNREADABLE)
			return false;
	return true;
}

/* What the options ask for. false: a usage error, which is said. */
static bool choose_view(const struct options *options, struct map_view *ret)
{
	bool json = option_given(options, OPTION_JSON),
	     limited = option_given(options, OPTION_LIMIT);
	*ret = (struct map_view){
		.key = options->value[OPTION_KEY],
		.bytes = option_given(options, OPTION_HEX),
		/* A key is asked for instead of all, and bytes show the entries too. */
		.entries = limited || (!option_given(options, OPTION_KEY) &&
				       !option_given(options, OPTION_HEX)),
	};
	return option_number(options, OPTION_LIMIT,
			     json	  ? 0
			     : ret->bytes ? CONTAINERS_DEFAULT
					  : ENTRIES_DEFAULT,
			     &ret->limit);
}

/* The map in the session's target as the options ask for it; the exit status. */
static int show(struct session *s, struct runtime *rt, const struct map *map, struct map_view *view)
{
	struct check_report report = {0};
	struct lookup lookup = {0};
	if (option_given(s->options, OPTION_CHECK)) {
		if (map_check(rt, map, &report, &s->error) != OK)
			return session_fail(s);
		view->check = &report;
	}
	if (view->key) {
		if (map_lookup(rt, map, view->key, &lookup, &s->error) != OK) {
			check_report_done(&report);
			return session_fail(s);
		}
		view->lookup = &lookup;
	}
	bool complete = s->json ? map_json(stdout, rt, &s->source, map, view)
				: map_text(&s->page, rt, map, view);
	complete = complete && check_was_complete(&report);
	check_report_done(&report);
	lookup_done(&lookup);
	if (!s->json)
		page_notes(&s->page, &s->notes);
	int status = session_end(s);
	return status == EXIT_SHOWN && !complete ? EXIT_GAPS : status;
}

int map_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t addr, type = 0;
	struct map_view view;
	if (!choose_view(options, &view))
		return EXIT_USAGE;
	if (!operand_addr(options->operands[1], &addr)) {
		fprintf(stderr, "mapcrash map: not an address: %s\n", options->operands[1]);
		return EXIT_USAGE;
	}
	int status = session_begin(&s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	status = session_open_target(&s, options->operands[0]);
	/* a map of the C library needs no Go around it */
	if (s.target && libgomap_is_at(s.target, addr)) {
		struct libgomap library;
		if (libgomap_open(s.target, &s.notes, addr, &library, &s.error) != OK)
			return session_fail(&s);
		return show(&s, &library.rt, &library.map, &view);
	}
	if (status != EXIT_SHOWN)
		return session_fail(&s);
	status = session_need_run(&s);
	if (status != EXIT_SHOWN)
		return status;

	struct map map;
	const char *name = options->operand_count > 2 ? options->operands[2] : NULL;
	if (choose_type(&s, name, addr, &type) != OK ||
	    map_open(s.rt, type, addr, &map, &s.error) != OK)
		return session_fail(&s);
	return show(&s, s.rt, &map, &view);
}
