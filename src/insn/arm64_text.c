#include <capstone/capstone.h>

#include "insn/internal.h"

bool arm64_text(const uint8_t *code, size_t n, uint64_t addr, struct text *text)
{
	csh handle;
	cs_insn *insn;
	if (n < 4 || cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle) != CS_ERR_OK)
		return false;
	size_t count = cs_disasm(handle, code, 4, addr, 1, &insn);
	if (count > 0) {
		text_append(text, insn[0].mnemonic);
		if (insn[0].op_str[0]) {
			text_append_char(text, ' ');
			text_append(text, insn[0].op_str);
		}
		cs_free(insn, count);
	}
	cs_close(&handle);
	return count > 0;
}
