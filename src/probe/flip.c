#include "probe/flip.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/text.h"

void flips_done(struct flips *flips)
{
	for (size_t i = 0; i < flips->count; i++) {
		free(flips->list[i]->text);
		free(flips->list[i]);
	}
	free(flips->list);
	*flips = (struct flips){0};
}

const struct map_code *map_code_at(const struct map_codes *codes, uint64_t pc)
{
	for (size_t i = 0; i < codes->count; i++) {
		const struct map_code *code = &codes->list[i];
		if (pc >= code->function.entry && pc < code->function.end)
			return code;
	}
	return NULL;
}

/* Decodes fn's code up to the instruction that ends at pc. */
static bool insn_before(struct runtime *rt, const struct function *fn, uint64_t pc,
			struct insn *ret)
{
	size_t size = (size_t)(fn->end - fn->entry);
	const uint8_t *code = memory_view(rt->target->memory, fn->entry, size);
	if (!code || size > FLAGSITES_CODE_MAX)
		return false;
	for (size_t at = 0; at < size;) {
		struct insn insn;
		if (!insn_decode(rt->target->arch, code + at, size - at, fn->entry + at, &insn))
			return false;
		at += insn.length;
		if (fn->entry + at == pc) {
			*ret = insn;
			return true;
		}
		if (fn->entry + at > pc)
			return false;
	}
	return false;
}

/* An operand's low byte behind the instruction; false where that is not known. */
static bool operand_byte(const struct insn_operand *operand, const struct regs *regs, uint8_t *ret)
{
	if (operand->kind == INSN_IMM) {
		*ret = (uint8_t)operand->imm;
		return true;
	}
	if (operand->kind != INSN_REG || operand->reg >= AMD64_RIP)
		return false;
	*ret = (uint8_t)(regs->r[operand->reg] >> (operand->high ? 8 : 0));
	return true;
}

bool flip_value(const struct flip *flip, const struct regs *regs, bool has_old, uint8_t old,
		uint8_t *ret)
{
	const struct insn *insn = &flip->insn;
	uint8_t operand;
	if (!flip->has_insn || insn->dst.kind != INSN_MEM || insn->dst.size != 1)
		return false;
	if (insn->op == INSN_MOVE)
		return operand_byte(&insn->src[0], regs, ret);
	if (!has_old || !operand_byte(&insn->src[1], regs, &operand))
		return false;
	switch (insn->op) {
	case INSN_OR:
		*ret = old | operand;
		return true;
	case INSN_AND:
		*ret = (uint8_t)(old & operand);
		return true;
	case INSN_XOR:
		*ret = old ^ operand;
		return true;
	default:
		return false;
	}
}

/* Fills in what is known of the store that ends at flip->end. */
static void look_at(struct flip *flip, struct runtime *rt, const struct map_codes *codes)
{
	flip->change = FLAG_OTHER;
	if (!pclntab_find(rt->pclntab, flip->end - 1, &flip->function))
		flip->function.name = NULL;
	flip->has_insn = flip->function.name &&
			 insn_before(rt, &flip->function, flip->end, &flip->insn);
	if (!flip->has_insn)
		return;
	uint64_t addr = flip->insn.addr;
	AUTO_TEXT struct text text = TEXT_INIT;
	insn_text(rt->target->arch, memory_view(rt->target->memory, addr, flip->insn.length),
		  flip->insn.length, addr, &text);
	flip->text = text_take(&text);
	const struct map_code *code = map_code_at(codes, addr);
	flip->in_map_function = code != NULL;
	for (size_t i = 0; code && i < code->sites.count; i++) {
		const struct flag_site *site = &code->sites.list[i];
		if (site->addr == addr && site->kind != FLAG_CHECK)
			flip->change = site->kind;
	}
}

const struct flip *flips_at(struct flips *flips, struct runtime *rt, const struct map_codes *codes,
			    uint64_t pc)
{
	for (size_t i = 0; i < flips->count; i++)
		if (flips->list[i]->end == pc)
			return flips->list[i];
	struct flip *flip = flips->count < FLIPS_MAX ? calloc(1, sizeof(*flip)) : NULL;
	if (!flip || !ARRAY_PUSH(flips->list, flips->count, flips->cap, flip)) {
		free(flip);
		return NULL;
	}
	flip->end = pc;
	look_at(flip, rt, codes);
	return flip;
}
