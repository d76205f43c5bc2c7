#include "insn/insn.h"

#include "insn/internal.h"

bool insn_decode(enum arch arch, const uint8_t *code, size_t n, uint64_t addr, struct insn *ret)
{
	if (arch == ARCH_ARM64)
		return arm64_decode(code, n, addr, true, ret);
	return amd64_decode(code, n, addr, true, ret);
}

bool insn_decode_flow(enum arch arch, const uint8_t *code, size_t n, uint64_t addr,
		      struct insn *ret)
{
	if (arch == ARCH_ARM64)
		return arm64_decode(code, n, addr, false, ret);
	return amd64_decode(code, n, addr, false, ret);
}

unsigned insn_step(enum arch arch)
{
	return arch == ARCH_ARM64 ? 4 : 1;
}

bool insn_sweep_next(struct insn_sweep *s, struct insn *ret)
{
	while (s->pos < s->n) {
		if ((s->full ? insn_decode : insn_decode_flow)(
			    s->arch, s->code + s->pos, s->n - s->pos, s->addr + s->pos, ret)) {
			s->pos += ret->length;
			return true;
		}
		s->pos += insn_step(s->arch);
	}
	return false;
}

void insn_text(enum arch arch, const uint8_t *code, size_t n, uint64_t addr, struct text *text)
{
	if (arch == ARCH_ARM64) {
		if (arm64_text(code, n, addr, text) || n == 0)
			return;
		if (n >= 4)
			text_printf(text, ".inst 0x%02x%02x%02x%02x", code[3], code[2], code[1],
				    code[0]);
		else
			text_printf(text, ".byte 0x%02x", code[0]);
		return;
	}
	if (!amd64_text(code, n, addr, text) && n > 0)
		text_printf(text, ".byte 0x%02x", code[0]);
}
