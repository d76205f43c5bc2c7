/*
 * Holds the table of layouts for a program's version against the layout in use, which is that of the
 * program's own types: prints each difference, then how many there are.
 * usage: layout_types EXE DIFFERENCES: how many there are to be
 */
#include <stdio.h>
#include <stdlib.h>

#include "go/runtime.h"

int main(int argc, char **argv)
{
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct target_options options = {0};
	struct error err;
	unsigned equal = 0, differ = 0;
	bool exact;
	if (argc != 3)
		return 64;
	if (target_open(argv[1], &options, NULL, &target, &err) != OK ||
	    runtime_open(target, NULL, &rt, &err) != OK) {
		fprintf(stderr, "layout_types: %s\n", err.text);
		return 2;
	}
	struct layout table = *layout_for(&rt->version, rt->swiss, &exact);
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	for (size_t p = 0; p < count; p++) {
		for (size_t i = 0; i < parts[p].count; i++) {
			const struct layout_field *field = &parts[p].fields[i];
			uint16_t said = *layout_member(&table, field),
				 own = *layout_member(&rt->layout, field);
			equal += said == own;
			differ += said != own;
			if (said != own)
				printf("%s.%s: the table has %d, the program %d\n", parts[p].name,
				       field->name, said, own);
		}
	}
	printf("%u offsets equal, %u differ\n", equal, differ);
	return differ != strtoul(argv[2], NULL, 10);
}
