#include "target/relocations.h"

#include <elf.h>
#include <string.h>

#include "base/bytes.h"

/* The dynamic section's entries; real ones have some 30. */
enum { DYNAMIC_MAX = 1024 };

struct rela_table {
	uint64_t addr, size;
};

static bool find_table(const struct executable *exe, struct rela_table *ret)
{
	const Elf64_Phdr *phdrs;
	size_t count = executable_phdrs(exe, &phdrs);
	struct rela_table found = {0};
	for (size_t i = 0; i < count; i++) {
		if (phdrs[i].p_type != PT_DYNAMIC)
			continue;
		for (uint64_t j = 0; j < DYNAMIC_MAX && j < phdrs[i].p_filesz / sizeof(Elf64_Dyn);
		     j++) {
			Elf64_Dyn dyn;
			const void *p = executable_view(exe, phdrs[i].p_vaddr + j * sizeof(dyn),
							sizeof(dyn));
			if (!p)
				break;
			memcpy(&dyn, p, sizeof(dyn));
			if (dyn.d_tag == DT_NULL)
				break;
			if (dyn.d_tag == DT_RELA)
				found.addr = dyn.d_un.d_ptr;
			else if (dyn.d_tag == DT_RELASZ)
				found.size = dyn.d_un.d_val;
			else if (dyn.d_tag == DT_RELAENT && dyn.d_un.d_val != sizeof(Elf64_Rela))
				return false;
		}
	}
	*ret = found;
	return found.addr && found.size;
}

/* The word at addr in a writable segment, in our private copy of the file; NULL where there is none. */
static void *word_at(const struct executable *exe, uint64_t addr)
{
	const struct segment *segments;
	size_t count = executable_segments(exe, &segments);
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		if (s->writable && addr >= s->addr && addr - s->addr < s->filesz)
			return (void *)(uintptr_t)executable_view(exe, addr, sizeof(uint64_t));
	}
	return NULL;
}

size_t relocations_apply(struct executable *exe)
{
	struct rela_table table;
	uint32_t relative = executable_arch(exe) == ARCH_AMD64 ? R_X86_64_RELATIVE
							       : R_AARCH64_RELATIVE;
	size_t changed = 0;
	if (!find_table(exe, &table))
		return 0;
	const uint8_t *p = executable_view(exe, table.addr, table.size);
	for (uint64_t n = p ? table.size / sizeof(Elf64_Rela) : 0; n > 0; n--) {
		Elf64_Rela rela;
		memcpy(&rela, p, sizeof(rela));
		p += sizeof(rela);
		void *word = ELF64_R_TYPE(rela.r_info) == relative ? word_at(exe, rela.r_offset)
								   : NULL;
		if (word && load_u64(word) == 0) {
			memcpy(word, &rela.r_addend, sizeof(rela.r_addend));
			changed++;
		}
	}
	return changed;
}
