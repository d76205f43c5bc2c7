/*
 * Bytes as the code of two functions, searched for writes of maps and of an address. The first byte
 * chooses the machine, the second where the second function's code begins; calls can lead to map functions
 * behind them. What is found lies in the code.
 */
#include "go/stores.h"
#include "maps/generic.h"
#include "unit/go/forge_stack.h"

enum { SIZE = 0x400, OWN = 3 };

static const struct forged_function functions[] = {
	{"main.one", SIZE, 0x20},
	{"main.two[go.shape.int]", SIZE, 8},
	{"reflect.Value.SetMapIndex", SIZE, 0x10},
	{"runtime.mapassign_fast64", 0x40},
	{"runtime.mapdelete_faststr", 0x40},
	{"runtime.mapclear", 0x40},
	{"runtime.newobject", 0x40},
	{"runtime.morestack", 0x40},
};
enum { FUNCTIONS = sizeof(functions) / sizeof(functions[0]) };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void search(struct runtime *rt)
{
	struct map_sites sites;
	struct stores stores;
	if (map_writers_find(rt, 0, true, &sites, NULL) == OK) {
		for (size_t i = 0; i < sites.count; i++)
			if (sites.list[i].call < rt->module.text ||
			    sites.list[i].next > rt->module.etext ||
			    sites.list[i].call >= sites.list[i].next)
				abort();
		map_sites_done(&sites);
	}
	if (stores_by_code(rt, STACK_BSS, STACK_BSS + 8, &stores, NULL) == OK) {
		for (size_t i = 0; i < stores.count; i++)
			if (stores.list[i].pc < stores.list[i].function.entry ||
			    stores.list[i].pc >= stores.list[i].function.end)
				abort();
		stores_done(&stores);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t text[OWN * SIZE + FUNCTIONS * 0x40];
	if (size < 2)
		return 0;
	struct forged_program *p =
		program_new(functions, FUNCTIONS, data[0] & 1 ? ARCH_ARM64 : ARCH_AMD64);
	if (!p)
		return 0;
	size_t split = (size_t)data[1] * 4;
	data += 2;
	size -= 2;
	split = split < size ? split : size;
	memset(text, 0, sizeof(text));
	memcpy(text, data, split < SIZE ? split : SIZE);
	memcpy(text + SIZE, data + split, size - split < SIZE ? size - split : SIZE);
	/* The method gets the code of the first one. */
	memcpy(text + 2 * SIZE, text, SIZE);
	if (!program_lay(&p->forge, STACK_TEXT, text, sizeof(text), false))
		abort();
	p->forge.rt.module.text = STACK_TEXT;
	p->forge.rt.module.etext = STACK_TEXT + sizeof(text);
	search(&p->forge.rt);
	program_done(p);
	return 0;
}
