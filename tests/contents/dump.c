/*
 * Prints maps of a target as tests/programs/contents prints them itself, so that the two texts can be
 * compared, and on stderr what a check of them finds. usage: contents_dump TARGET [EXE] <LISTING
 *
 * LISTING is what the program printed: of it the lines "ADDRESS TYPE COUNT" are read. Exits 1 when
 * something could not be read or a check finds something, 2 when nothing could be read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/value.h"
#include "maps/check.h"
#include "maps/map.h"

static int compare_lines(const void *a, const void *b)
{
	const struct text *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int order = memcmp(x->s, y->s, n);
	return order ? order : (x->len > y->len) - (x->len < y->len);
}

static int print_entries(struct runtime *rt, const struct map *map)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	struct error err;
	struct map_entry e;
	struct text *lines = NULL;
	size_t count = 0, cap = 0;
	if (map_walk_new(rt, map, &walk, &err) != OK) {
		fprintf(stderr, "0x%" PRIx64 ": %s\n", map->addr, err.text);
		return 1;
	}
	while (map_walk_next(walk, &e)) {
		struct text line = TEXT_INIT;
		value_render(rt, map->type.type.key, e.key, &line);
		text_append_char(&line, '\t');
		value_render(rt, map->type.type.elem, e.elem, &line);
		if (line.failed || !ARRAY_PUSH(lines, count, cap, line))
			abort();
	}
	if (count)
		qsort(lines, count, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < count; i++) {
		fwrite(lines[i].s, 1, lines[i].len, stdout);
		putchar('\n');
		text_done(&lines[i]);
	}
	free(lines);
	return !map_walk_complete(walk);
}

/* Go wrote these maps without a race: a finding is ours. Hashes of NaNs alone cannot be checked. */
static int check(struct runtime *rt, const struct map *map, const char *type_name)
{
	struct check_report report;
	struct error err;
	if (map_check(rt, map, &report, &err) != OK) {
		fprintf(stderr, "0x%" PRIx64 ": %s\n", map->addr, err.text);
		return 1;
	}
	for (size_t i = 0; i < report.count; i++)
		fprintf(stderr, "0x%" PRIx64 " %s: finding %d at 0x%" PRIx64 ": %s\n", map->addr,
			type_name, report.list[i].kind, report.list[i].addr, report.list[i].text);
	if (!report.hashes_checked)
		fprintf(stderr, "0x%" PRIx64 " %s: hashes not checked: %s\n", map->addr, type_name,
			report.why_not);
	int bad = report.count || report.dropped || !report.hashes_checked;
	check_report_done(&report);
	return bad;
}

static int print_map(struct runtime *rt, uint64_t addr, const char *type_name)
{
	struct map map;
	struct error err;
	uint64_t type;
	if (!type_by_name(rt, type_name, &type)) {
		fprintf(stderr, "no type %s\n", type_name);
		return 1;
	}
	if (map_open(rt, type, addr, &map, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	printf("0x%" PRIx64 " %s %" PRIu64 "\n", addr, type_name, map.count);
	int bad = print_entries(rt, &map);
	return bad | check(rt, &map, type_name);
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	struct target_options options = {.exe = argc > 2 ? argv[2] : NULL};
	struct error err;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	if (argc < 2 || target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK) {
		fprintf(stderr, "%s\n", argc < 2 ? "no target" : err.text);
		return 2;
	}
	char *line = NULL;
	size_t cap = 0;
	int bad = 0;
	for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) {
		/* Entries that begin with an address have a tabulator. */
		char *type = strchr(line, ' '), *count = strrchr(line, ' ');
		if (strncmp(line, "0x", 2) != 0 || strchr(line, '\t') || !type || type == count)
			continue;
		*count = '\0';
		bad |= print_map(rt, strtoull(line, NULL, 16), type + 1);
	}
	free(line);
	for (size_t i = 0; i < notes.count; i++)
		fprintf(stderr, "note: 0x%" PRIx64 " %s: %s\n", notes.list[i].addr,
			notes.list[i].floor, notes.list[i].text);
	notes_done(&notes);
	return bad;
}
