/*
 * Prints the layout that the DWARF of a Go program gives, as one entry of src/go/layout_table.inc.
 * usage: layout_print EXE MIN-MINOR MAX-MINOR SWISS VERSION
 * tools/layouts runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "go/layout.h"
#include "target/target.h"

/* Entries of one line before it is wrapped. */
enum { PER_LINE = 6 };

static void part_print(const struct layout_part *part, struct layout *layout)
{
	bool any = false;
	for (size_t i = 0; i < part->count; i++)
		any |= *layout_member(layout, &part->fields[i]) != LAYOUT_NONE;
	printf("\t\t.%s = {", part->name);
	for (size_t i = 0; i < part->count; i++) {
		uint16_t v = *layout_member(layout, &part->fields[i]);
		printf("%s.%s = ", i % PER_LINE ? " " : "\n\t\t\t", part->fields[i].name);
		if (v == LAYOUT_NONE)
			printf("LAYOUT_NONE,");
		else
			printf("%u,", v);
	}
	printf("\n\t\t},%s\n", any ? "" : " /* no such struct */");
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: layout_print EXE MIN-MINOR MAX-MINOR SWISS VERSION\n");
		return 64;
	}
	AUTO_TARGET struct target *target = NULL;
	struct target_options options = {0};
	struct error err;
	struct layout layout;
	layout_clear(&layout);
	if (target_open(argv[1], &options, NULL, &target, &err) != OK ||
	    layout_from_dwarf(target, &layout, &err) != OK) {
		fprintf(stderr, "layout_print: %s\n", err.text);
		return 2;
	}
	printf("{\n\t.min_minor = %s,\n\t.max_minor = %s,\n\t.swiss = %s,\n\t.layout = {\n"
	       "\t\t.source = \"%s\",\n",
	       argv[2], argv[3], argv[4], argv[5]);
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	for (size_t i = 0; i < count; i++)
		part_print(&parts[i], &layout);
	printf("\t},\n},\n");
	return 0;
}
