/*
 * A recorder's table whose bytes may be anything, and the places of threads in stubs that may be anything.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/records.h"
#include "probe/stubs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_word(void *context, uint64_t addr, uint64_t *ret)
{
	(void)context;
	*ret = addr;
	return addr % 3 != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct records records;
	struct regs regs = {.arch = ARCH_AMD64};
	/* a table is large: the input is its start, and zeros follow */
	size_t whole = records_size_with_reads(RECORD_LINE_BITS_MIN);
	AUTO_FREE uint8_t *table = calloc(1, whole);
	if (!table || size < 2)
		return 0;
	memcpy(table, data, size < whole ? size : whole);
	if (records_parse(table, whole, &records, NULL) == OK)
		records_done(&records);
	if (records_parse(data, size, &records, NULL) == OK)
		records_done(&records);
	for (unsigned i = 0; i < 16; i++) {
		regs.pc = 0x40600000 + (data[i % size] << 4 | i);
		regs.sp = 0xc000000000;
		stubs_settle(data, size, 0x40600000, read_word, NULL, &regs);
	}
	return 0;
}
