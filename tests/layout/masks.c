/*
 * Holds the pointer masks that we make from fields against those that the compiler stored, for every type of
 * a program: prints each difference, then how many were compared.
 * usage: layout_masks EXE AT-LEAST
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "go/pointers.h"
#include "go/type.h"

int main(int argc, char **argv)
{
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct target_options options = {0};
	struct error err;
	unsigned long compared = 0, differ = 0, failed = 0;
	if (argc != 3)
		return 64;
	if (target_open(argv[1], &options, NULL, &target, &err) != OK ||
	    runtime_open(target, NULL, &rt, &err) != OK) {
		fprintf(stderr, "layout_masks: %s\n", err.text);
		return 2;
	}
	uint64_t type;
	for (uint64_t at = 0; type_next(rt, at, KIND_INVALID, &type); at = type) {
		struct pointer_mask stored, made;
		if (pointer_mask_read(rt, type, &stored, &err) != OK ||
		    pointer_mask_of_fields(rt, type, &made, &err) != OK) {
			printf("0x%" PRIx64 " %s: %s\n", type, type_name(rt, type), err.text);
			failed++;
			continue;
		}
		if (stored.source != POINTERS_STORED || !stored.words)
			continue;
		compared++;
		if (stored.words == made.words &&
		    !memcmp(stored.bits, made.bits, sizeof(made.bits)))
			continue;
		differ++;
		printf("0x%" PRIx64 " %s: %zu words %02x %02x.., made %zu %02x %02x..\n", type,
		       type_name(rt, type), stored.words, stored.bits[0], stored.bits[1],
		       made.words, made.bits[0], made.bits[1]);
	}
	printf("%lu masks compared, %lu differ, %lu failed\n", compared, differ, failed);
	return differ || failed || compared < strtoul(argv[2], NULL, 10);
}
