/*
 * The search for all maps of a target, over a heap of any bytes.
 *
 * byte 0: bit 0 Swiss, bit 1 the core is truncated; the rest is the heap. Words of it that are the
 * address of a type (0x501000 + 160 * n for the map types of forge_map.h) make interfaces.
 */
#include <stdint.h>

#include "forge_map.h"
#include "maps/find.h"

enum { INPUT_HEADER = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= INPUT_HEADER)
		return 0;
	struct forge *f = forge_new(data[0] & 1);
	struct goroutines none = {0};
	struct found_maps maps;
	f->target.truncated = data[0] & 2;
	forge_add(f, FORGE_HEAP, data + INPUT_HEADER, size - INPUT_HEADER);
	if (maps_find(f->rt, &none, &maps, NULL) == OK)
		found_maps_done(&maps);
	forge_free(f);
	return 0;
}
