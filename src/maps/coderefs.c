#include "maps/coderefs.h"

#include "insn/insn.h"

/* The address of a memory operand, where it is constant. */
static bool operand_addr(const struct code_registers *registers, const struct insn_mem *mem,
			 uint64_t *ret)
{
	uint64_t base = 0;
	if (mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE)
		return false;
	if (mem->base != INSN_PC) {
		if (mem->base >= ARM64_REGS || !(registers->valid >> mem->base & 1))
			return false;
		base = registers->value[mem->base];
	}
	*ret = base + (uint64_t)mem->disp;
	return true;
}

/* Follows what adrp and add leave in arm64's registers; true where an address is complete. */
static bool follow(struct code_registers *registers, const struct insn *insn, uint64_t *ret)
{
	uint64_t value = 0;
	bool page = insn->op == INSN_MOVE && insn->dst.kind == INSN_REG && insn->dst.size == 8 &&
		    insn->src[0].kind == INSN_IMM;
	bool sum = insn->op == INSN_ADD && insn->dst.kind == INSN_REG &&
		   insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_IMM &&
		   insn->src[0].reg < ARM64_REGS && registers->valid >> insn->src[0].reg & 1;
	if (page)
		value = (uint64_t)insn->src[0].imm;
	else if (sum)
		value = registers->value[insn->src[0].reg] + (uint64_t)insn->src[1].imm;
	registers->valid &= ~(uint32_t)insn->writes;
	if ((page || sum) && insn->dst.reg < ARM64_REGS) {
		registers->valid |= UINT32_C(1) << insn->dst.reg;
		registers->value[insn->dst.reg] = value;
	}
	*ret = value;
	return sum;
}

size_t code_references(enum arch arch, const uint8_t *code, size_t n, uint64_t addr,
		       struct code_registers *registers,
		       struct code_reference ret[CODE_REFERENCES_MAX], size_t *ret_length)
{
	_Static_assert((int)CODE_REFERENCES_MAX > (int)INSN_MEM_MAX, "");
	struct insn insn;
	size_t count = 0;
	*ret_length = 0;
	if (!insn_decode(arch, code, n, addr, &insn))
		return 0;
	*ret_length = insn.length;
	for (unsigned i = 0; i < insn.mem_count; i++) {
		uint64_t at;
		if (!operand_addr(registers, &insn.mem[i], &at))
			continue;
		if (insn.mem[i].read)
			ret[count++] = (struct code_reference){at, insn.mem[i].size};
		else if (insn.op == INSN_LEA)
			ret[count++] = (struct code_reference){at, 0};
	}
	uint64_t value;
	if (arch == ARCH_ARM64 && follow(registers, &insn, &value))
		ret[count++] = (struct code_reference){value, 0};
	return count;
}
