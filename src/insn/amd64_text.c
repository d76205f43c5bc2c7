#include <string.h>

#include <Zydis/Zydis.h>

#include "insn/amd64.h"
#include "insn/internal.h"

/* Zydis writes Intel's names of instructions in AT&T syntax too; binutils, and so everybody's eyes, have
 * other ones for these. */
static const struct {
	const char *zydis, *binutils;
} names[] = {
	{"jz", "je"},	      {"jnz", "jne"},	    {"jnb", "jae"},	  {"jnbe", "ja"},
	{"jnl", "jge"},	      {"jnle", "jg"},	    {"setz", "sete"},	  {"setnz", "setne"},
	{"setnb", "setae"},   {"setnbe", "seta"},   {"setnl", "setge"},	  {"setnle", "setg"},
	{"cmovz", "cmove"},   {"cmovnz", "cmovne"}, {"cmovnb", "cmovae"}, {"cmovnbe", "cmova"},
	{"cmovnl", "cmovge"}, {"cmovnle", "cmovg"}, {"cdqe", "cltq"},	  {"cqo", "cqto"},
	{"cdq", "cltd"},      {"cwde", "cwtl"},	    {"cbw", "cbtw"},
};

static char size_letter(unsigned bits)
{
	switch (bits) {
	case 8:
		return 'b';
	case 16:
		return 'w';
	case 32:
		return 'l';
	default:
		return 'q';
	}
}

static bool has_vector(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops)
{
	for (unsigned i = 0; i < insn->operand_count_visible; i++) {
		if (ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(ops[i].reg.value) >= ZYDIS_REGCLASS_XMM)
			return true;
	}
	return false;
}

/* Appends the instruction's name; zydis_name is Zydis's own. */
static void append_name(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops,
			const char *zydis_name, struct text *text)
{
	char letter[2] = {size_letter(ops[1].size), size_letter(ops[0].size)};
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_MOVZX:
		text_printf(text, "movz%c%c", letter[0], letter[1]);
		return;
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		text_printf(text, "movs%c%c", letter[0], letter[1]);
		return;
	case ZYDIS_MNEMONIC_MOV:
		if (insn->raw.imm[0].size == 64)
			zydis_name = "movabs";
		break;
	case ZYDIS_MNEMONIC_NOP:
		if (insn->operand_count_visible == 2) {
			text_printf(text, "nop%c", letter[1]);
			return;
		}
		break;
	case ZYDIS_MNEMONIC_CVTSI2SD:
	case ZYDIS_MNEMONIC_CVTSI2SS:
	case ZYDIS_MNEMONIC_VCVTSI2SD:
	case ZYDIS_MNEMONIC_VCVTSI2SS:
		break;
	default:
		/* Zydis gives a size to names that have theirs already: movsdq */
		if (has_vector(insn, ops))
			zydis_name = ZydisMnemonicGetString(insn->mnemonic);
		break;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(zydis_name, names[i].zydis) == 0) {
			text_append(text, names[i].binutils);
			return;
		}
	}
	text_append(text, zydis_name);
}

/* Whether word, n bytes, stands before the name: lock, rep, rex and so on. */
static bool is_prefix(const char *word, size_t n)
{
	static const char *const prefixes[] = {"lock",	 "rep",	     "repe",	"repz",
					       "repne",	 "repnz",    "bnd",	"notrack",
					       "data16", "xacquire", "xrelease"};
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strlen(prefixes[i]) == n && memcmp(prefixes[i], word, n) == 0)
			return true;
	}
	return false;
}

/* Appends Zydis's line as objdump would write it. */
static void append_line(const ZydisDecodedInstruction *insn, const ZydisDecodedOperand *ops,
			char *line, struct text *text)
{
	size_t n;
	while (n = strcspn(line, " "), line[n] && is_prefix(line, n)) {
		text_append_bytes(text, line, n + 1);
		line += n + 1;
	}
	bool has_operands = line[n] != '\0';
	line[n] = '\0';
	append_name(insn, ops, line, text);
	if (!has_operands)
		return;
	text_append_char(text, ' ');
	bool direct = ops[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE && ops[0].imm.is_relative;
	if (!direct &&
	    (insn->mnemonic == ZYDIS_MNEMONIC_CALL || insn->mnemonic == ZYDIS_MNEMONIC_JMP))
		text_append_char(text, '*');
	if (direct && strncmp(line + n + 1, "0x", 2) == 0)
		n += 2; /* targets are addresses: no 0x */
	const char *operands = line + n + 1;
	/* of a long nop only the memory operand is shown: Zydis writes it last */
	if (insn->mnemonic == ZYDIS_MNEMONIC_NOP && strchr(operands, ' '))
		operands = strchr(operands, ' ');
	for (const char *c = operands; *c; c++) {
		if (*c != ' ')
			text_append_char(text, *c);
	}
}

static bool set_style(ZydisFormatter *formatter)
{
	static const struct {
		ZydisFormatterProperty property;
		ZyanUPointer value;
	} style[] = {
		{ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE, ZYDIS_PADDING_DISABLED},
		{ZYDIS_FORMATTER_PROP_ADDR_PADDING_RELATIVE, ZYDIS_PADDING_DISABLED},
		{ZYDIS_FORMATTER_PROP_DISP_PADDING, ZYDIS_PADDING_DISABLED},
		{ZYDIS_FORMATTER_PROP_IMM_PADDING, ZYDIS_PADDING_DISABLED},
		{ZYDIS_FORMATTER_PROP_IMM_SIGNEDNESS, ZYDIS_SIGNEDNESS_UNSIGNED},
		{ZYDIS_FORMATTER_PROP_HEX_UPPERCASE, ZYAN_FALSE},
		{ZYDIS_FORMATTER_PROP_FORCE_RELATIVE_RIPREL, ZYAN_TRUE},
	};
	if (!ZYAN_SUCCESS(ZydisFormatterInit(formatter, ZYDIS_FORMATTER_STYLE_ATT)))
		return false;
	for (size_t i = 0; i < sizeof(style) / sizeof(style[0]); i++) {
		if (!ZYAN_SUCCESS(ZydisFormatterSetProperty(formatter, style[i].property,
							    style[i].value)))
			return false;
	}
	return true;
}

bool amd64_text(const uint8_t *code, size_t n, uint64_t addr, struct text *text)
{
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	ZydisFormatter formatter;
	/* longer than any instruction's text: the longest have a prefix, four operands and a mask */
	char line[256];
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&amd64_decoder, code, n, &insn, ops)) ||
	    !set_style(&formatter) ||
	    !ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter, &insn, ops,
							  insn.operand_count_visible, line,
							  sizeof(line), addr, NULL)))
		return false;
	append_line(&insn, ops, line, text);
	return true;
}
