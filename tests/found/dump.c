/*
 * Prints all maps of a target that a search finds: "ADDRESS TYPE COUNT<TAB>OWNER", without the address of
 * the object that a field is in; "-" where no owner is known. usage: found_dump TARGET [EXE]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "maps/find.h"

static void print_map(struct runtime *rt, const struct found_map *found)
{
	struct map map;
	struct error err;
	const char *type = type_name(rt, found->type);
	if (map_open(rt, found->type, found->addr, &map, &err) != OK) {
		fprintf(stderr, "0x%" PRIx64 ": %s\n", found->addr, err.text);
		return;
	}
	const char *owner = found->owner ? found->owner : "-";
	const char *end = strstr(owner, " of 0x");
	if (!end && strncmp(owner, "element of map ", strlen("element of map ")) == 0)
		end = owner + strlen("element of map");
	/* A type that is one of several that fit is marked. */
	printf("0x%" PRIx64 " %s%s %" PRIu64 "\t%.*s\n", found->addr,
	       found->fitting_types > 1 ? "~" : "", type ? type : "?", map.count,
	       end ? (int)(end - owner) : (int)strlen(owner), owner);
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	struct target_options options = {.exe = argc > 2 ? argv[2] : NULL};
	struct error err;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct goroutines goroutines;
	struct found_maps maps;
	if (argc < 2)
		return 64;
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK ||
	    goroutines_read(rt, &goroutines, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	int failed = maps_find(rt, &goroutines, &maps, &err) != OK;
	if (failed)
		fprintf(stderr, "%s\n", err.text);
	for (size_t i = 0; !failed && i < maps.count; i++)
		print_map(rt, &maps.list[i]);
	for (size_t i = 0; i < notes.count; i++)
		fprintf(stderr, "note: 0x%" PRIx64 " %s: %s\n", notes.list[i].addr,
			notes.list[i].floor, notes.list[i].text);
	if (!failed)
		fprintf(stderr, "%zu maps, %s\n", maps.count,
			maps.complete ? "complete" : "not complete");
	if (!failed)
		found_maps_done(&maps);
	goroutines_done(&goroutines);
	notes_done(&notes);
	return failed;
}
