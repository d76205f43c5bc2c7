/*
 * The first byte chooses machine and design, the rest is the code of a function. Whatever it is, sites lie in it, and
 * a window is given only where the whole can be followed.
 */
#include <stdint.h>
#include <stdlib.h>

#include "maps/flagsites.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

enum { START = 0x400000 };

static enum flag_callee callee(void *context, uint64_t addr)
{
	(void)context;
	return (addr >> 12) & 3;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct flagsites sites;
	if (size < 2 || size > 4096)
		return 0;
	enum arch arch = data[0] & 1 ? ARCH_ARM64 : ARCH_AMD64;
	enum map_design design = data[0] & 2 ? MAP_SWISS : MAP_HMAP;
	if (flagsites_find(arch, design, data + 1, size - 1, START, callee, NULL, &sites, NULL) !=
	    OK)
		return 0;
	for (size_t i = 0; i < sites.count; i++) {
		const struct flag_site *site = &sites.list[i];
		expect(site->addr >= START && site->end <= START + size - 1 &&
		       site->run <= site->addr && site->addr < site->end);
		expect(i == 0 || sites.list[i - 1].addr <= site->addr);
		if (site->kind == FLAG_FATAL)
			expect(flagsites_fatal_at(&sites, site->end) != NULL);
	}
	for (uint64_t pc = START - 1; pc <= START + size; pc++) {
		enum flag_window exact = flagsites_window(&sites, pc, true);
		enum flag_window returned = flagsites_window(&sites, pc, false);
		expect(exact <= FLAG_WINDOW_FATAL && returned <= FLAG_WINDOW_FATAL);
		expect(sites.complete ||
		       (exact == FLAG_WINDOW_UNKNOWN && returned == FLAG_WINDOW_UNKNOWN));
	}
	flagsites_done(&sites);
	return 0;
}
