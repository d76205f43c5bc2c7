/*
 * The first byte chooses the machine, the rest is code. Each instruction keeps to its bytes, flow alone agrees with
 * the whole, and each place has a text.
 */
#include <stdint.h>
#include <stdlib.h>

#include "insn/insn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool holds)
{
	if (!holds)
		abort();
}

static void look_at(const struct insn *insn)
{
	expect(insn->mem_count <= INSN_MEM_MAX);
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		expect(mem->base < 32 || mem->base == INSN_NO_REG || mem->base == INSN_PC);
		expect(mem->index < 32 || mem->index == INSN_NO_REG);
	}
	const struct insn_operand *ops[] = {&insn->dst, &insn->src[0], &insn->src[1]};
	for (unsigned i = 0; i < 3; i++) {
		if (ops[i]->kind == INSN_MEM)
			expect(ops[i]->mem < insn->mem_count);
		if (ops[i]->kind == INSN_REG)
			expect(ops[i]->reg < 32);
	}
	if (insn->dst.kind == INSN_REG)
		expect(insn->writes & 1ULL << insn->dst.reg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0 || size > 4096)
		return 0;
	enum arch arch = data[0] & 1 ? ARCH_ARM64 : ARCH_AMD64;
	data++;
	size--;
	AUTO_TEXT struct text text = TEXT_INIT;
	for (size_t at = 0; at < size;) {
		struct insn whole, flow;
		uint64_t addr = 0x400000 + at;
		bool decoded = insn_decode(arch, data + at, size - at, addr, &whole);
		text_clear(&text);
		insn_text(arch, data + at, size - at, addr, &text);
		expect(text.failed || text.len > 0);
		if (!decoded) {
			at += insn_step(arch);
			continue;
		}
		expect(whole.length > 0 && whole.length <= INSN_LENGTH_MAX &&
		       whole.length <= size - at);
		expect(insn_decode_flow(arch, data + at, size - at, addr, &flow));
		expect(flow.length == whole.length && flow.flow == whole.flow &&
		       flow.cond == whole.cond && flow.has_target == whole.has_target &&
		       flow.target == whole.target);
		look_at(&whole);
		at += whole.length;
	}
	return 0;
}
