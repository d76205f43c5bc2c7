/* Operations as input: the first byte chooses the type, the rest is what ops.h makes of it. Linked
 * with libFuzzer under -DMAPCRASH_FUZZ=ON, with tests/fuzz/replay.c elsewhere. */
#include "ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		ops_run(data[0], data + 1, size - 1, NULL);
	return 0;
}
