#include <capstone/capstone.h>

#include "insn/internal.h"

static unsigned bits(uint32_t word, unsigned hi, unsigned lo)
{
	return (word >> lo) & (0xffffffffu >> (31 - (hi - lo)));
}

/* Appends "w3", "xzr". */
static void append_register(unsigned n, bool wide, struct text *text)
{
	if (n == 31)
		text_append(text, wide ? "xzr" : "wzr");
	else
		text_printf(text, "%c%u", wide ? 'x' : 'w', n);
}

static void append_atomic(const char *name, bool acquire, bool release, uint32_t word,
			  struct text *text)
{
	static const char *const sizes[] = {"b", "h", "", ""};
	unsigned size = bits(word, 31, 30), rs = bits(word, 20, 16), rn = bits(word, 9, 5);
	text_printf(text, "%s%s%s%s ", name, acquire ? "a" : "", release ? "l" : "", sizes[size]);
	append_register(rs, size == 3, text);
	text_append(text, ", ");
	append_register(bits(word, 4, 0), size == 3, text);
	if (rn == 31)
		text_append(text, ", [sp]");
	else
		text_printf(text, ", [x%u]", rn);
}

/* The atomics of Armv8.1 (LSE), which Capstone 4 does not know; without the st... aliases. */
static bool atomic_text(uint32_t word, struct text *text)
{
	static const char *const names[] = {"ldadd",  "ldclr",	"ldeor",  "ldset",
					    "ldsmax", "ldsmin", "ldumax", "ldumin"};
	unsigned opc = bits(word, 14, 12);
	if ((word & 0x3fa07c00) == 0x08a07c00) {
		append_atomic("cas", bits(word, 22, 22), bits(word, 15, 15), word, text);
		return true;
	}
	if ((word & 0x3f200c00) != 0x38200000 || (bits(word, 15, 15) && opc != 0))
		return false;
	append_atomic(bits(word, 15, 15) ? "swp" : names[opc], bits(word, 23, 23),
		      bits(word, 22, 22), word, text);
	return true;
}

bool arm64_text(const uint8_t *code, size_t n, uint64_t addr, struct text *text)
{
	csh handle;
	cs_insn *insn;
	if (n < 4)
		return false;
	uint32_t word = (uint32_t)code[0] | (uint32_t)code[1] << 8 | (uint32_t)code[2] << 16 |
			(uint32_t)code[3] << 24;
	if (atomic_text(word, text))
		return true;
	if (word >> 16 == 0) {
		text_printf(text, "udf #%u", word);
		return true;
	}
	if (cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle) != CS_ERR_OK)
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
