/*
 * Holds the addresses of the hash functions' keys that the code of an executable gives against those of
 * its symbols. usage: hashkeys_check EXECUTABLE
 *
 * Bytes that tell their own address are laid over the program's data, so that keys that are read from
 * another place differ.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "maps/hashkeys.h"

static int compare(struct runtime *rt, const char *what)
{
	struct memhash_keys by_symbol, by_code;
	struct error err;
	if (hashkeys_read(rt, &by_symbol, &err) != OK ||
	    hashkeys_read_by_code(rt, &by_code, &err) != OK) {
		printf("%s, %s: %s\n", rt->version.text, what, err.text);
		return 1;
	}
	if (memcmp(&by_symbol, &by_code, sizeof(by_symbol)) != 0) {
		printf("%s, %s: the code names another place than the symbols\n", rt->version.text,
		       what);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	struct target_options options = {0};
	struct error err;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	if (argc < 2)
		return 64;
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK) {
		printf("%s\n", err.text);
		return 2;
	}
	const struct module *m = &rt->module;
	struct memory_range range = {m->noptrdata, m->enoptrbss, ORIGIN_LIVE, true, false};
	size_t n = m->enoptrbss - m->noptrdata;
	uint8_t *bytes = malloc(n);
	struct symbol flag;
	if (!bytes || memory_add_bytes(target->memory, &range, bytes, &err) != OK)
		return 2;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)((i * 0x9e3779b97f4a7c15) >> 56) | 1;
	int bad = compare(rt, "AES");
	if (!target_symbol(target,
			   rt->version.minor >= 27 ? "internal/runtime/maps.UseAeshash"
						   : "runtime.useAeshash",
			   &flag))
		return 2;
	bytes[flag.addr - m->noptrdata] = 0;
	bad |= compare(rt, "no AES");
	notes_done(&notes);
	free(bytes);
	return bad;
}
