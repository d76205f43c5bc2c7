/* Bytes as a function table: the first is the version that it is bound to, the table follows. */
#include <stdlib.h>

#include "go/pclntab.h"

enum { ADDR = 0x600000, TEXT = 0x400000, FUNCTIONS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct pclntab *tab, const struct function *fn, uint64_t pc)
{
	struct source_frame frames[SOURCE_FRAMES_MAX];
	int32_t value;
	uint64_t addr;
	(void)pclntab_sp_delta(tab, fn, pc, &value);
	for (unsigned i = 0; i < 6; i++)
		(void)pclntab_pcdata(tab, fn, i, pc, &value);
	for (unsigned i = 0; i < 9; i++)
		(void)pclntab_funcdata(tab, fn, i, &addr);
	size_t n = pclntab_source(tab, fn, pc, frames);
	if (n == 0 || n > SOURCE_FRAMES_MAX)
		abort();
	for (size_t i = 0; i < n; i++) {
		if (!frames[i].function || !frames[i].file || frames[i].inlined != (i + 1 < n))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pclntab *tab;
	if (size < 1)
		return 0;
	struct go_version version = {.minor = 18 + data[0] % 10};
	if (pclntab_parse(data + 1, size - 1, ADDR, &tab, NULL) != OK)
		return 0;
	/* From go1.26 on funcdata lies behind the table. */
	pclntab_bind(tab, &version, TEXT, ADDR + (size - 1) / 2);
	size_t count = pclntab_count(tab);
	struct function fn, found;
	for (size_t i = 0; i < count && i < FUNCTIONS; i++) {
		if (!pclntab_at(tab, i, &fn))
			continue;
		const uint64_t pcs[] = {fn.entry, fn.entry + 1, fn.end - 1, fn.end};
		for (size_t j = 0; j < sizeof(pcs) / sizeof(pcs[0]); j++) {
			ask(tab, &fn, pcs[j]);
			if (pclntab_find(tab, pcs[j], &found) &&
			    (pcs[j] < found.entry || pcs[j] >= found.end))
				abort();
		}
	}
	(void)pclntab_by_name(tab, "main.main", &fn);
	pclntab_free(tab);
	return 0;
}
