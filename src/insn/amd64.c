#include "insn/amd64.h"

#include "insn/internal.h"

const ZydisDecoder amd64_decoder = {
	.machine_mode = ZYDIS_MACHINE_MODE_LONG_64,
	.stack_width = ZYDIS_STACK_WIDTH_64,
	.decoder_mode =
		{
			[ZYDIS_DECODER_MODE_MPX] = ZYAN_TRUE,
			[ZYDIS_DECODER_MODE_CET] = ZYAN_TRUE,
			[ZYDIS_DECODER_MODE_LZCNT] = ZYAN_TRUE,
			[ZYDIS_DECODER_MODE_TZCNT] = ZYAN_TRUE,
			[ZYDIS_DECODER_MODE_WBNOINVD] = ZYAN_TRUE,
			[ZYDIS_DECODER_MODE_CLDEMOTE] = ZYAN_TRUE,
		},
};

/* The DWARF number of a general purpose register of any width; *ret_high for ah to bh. */
static uint8_t register_number(ZydisRegister reg, bool *ret_high)
{
	/* in the order of the encoding: rax rcx rdx rbx rsp rbp rsi rdi */
	static const uint8_t dwarf[] = {AMD64_RAX, AMD64_RCX, AMD64_RDX, AMD64_RBX,
					AMD64_RSP, AMD64_RBP, AMD64_RSI, AMD64_RDI};
	unsigned n;
	*ret_high = false;
	if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) {
		n = reg - ZYDIS_REGISTER_RAX;
	} else if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) {
		n = reg - ZYDIS_REGISTER_EAX;
	} else if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) {
		n = reg - ZYDIS_REGISTER_AX;
	} else if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) {
		n = reg - ZYDIS_REGISTER_AL;
	} else if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) {
		n = reg - ZYDIS_REGISTER_AH;
		*ret_high = true;
	} else if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) {
		n = reg - ZYDIS_REGISTER_SPL + 4;
	} else {
		return INSN_NO_REG;
	}
	return n < 8 ? dwarf[n] : n;
}

static uint8_t base_number(ZydisRegister reg)
{
	bool high;
	if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
		return INSN_PC;
	return register_number(reg, &high);
}

static uint64_t bit(uint8_t reg)
{
	return reg < AMD64_REGS ? 1ULL << reg : 0;
}

static void fill_flow(const ZydisDecodedInstruction *zydis, uint64_t addr, struct insn *insn)
{
	insn->addr = addr;
	insn->length = zydis->length;
	insn->flow = INSN_NEXT;
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		insn->flow = INSN_CALL;
		break;
	case ZYDIS_MNEMONIC_JMP:
		insn->flow = INSN_JUMP;
		break;
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_UIRET:
		insn->flow = INSN_RETURN;
		break;
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_HLT:
		insn->flow = INSN_TRAP;
		break;
	case ZYDIS_MNEMONIC_JZ:
		insn->cond = INSN_COND_ZERO;
		insn->flow = INSN_BRANCH;
		break;
	case ZYDIS_MNEMONIC_JNZ:
		insn->cond = INSN_COND_NOT_ZERO;
		insn->flow = INSN_BRANCH;
		break;
	case ZYDIS_MNEMONIC_JB:
		insn->cond = INSN_COND_CARRY;
		insn->flow = INSN_BRANCH;
		break;
	case ZYDIS_MNEMONIC_JNB:
		insn->cond = INSN_COND_NOT_CARRY;
		insn->flow = INSN_BRANCH;
		break;
	default:
		/* the other conditions, loop, jrcxz and xbegin */
		if (zydis->meta.category == ZYDIS_CATEGORY_COND_BR &&
		    zydis->mnemonic != ZYDIS_MNEMONIC_XEND)
			insn->flow = INSN_BRANCH;
		break;
	}
	if ((insn->flow == INSN_CALL || insn->flow == INSN_JUMP || insn->flow == INSN_BRANCH) &&
	    zydis->raw.imm[0].is_relative) {
		insn->has_target = true;
		insn->target = addr + zydis->length + (uint64_t)zydis->raw.imm[0].value.s;
		if (zydis->operand_width == 16)
			insn->target &= 0xffff;
	}
}

static enum insn_op op_of(const ZydisDecodedInstruction *zydis)
{
	if (zydis->meta.category == ZYDIS_CATEGORY_CMOV)
		return INSN_SELECT;
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
	case ZYDIS_MNEMONIC_MOVZX:
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD:
		return INSN_MOVE;
	case ZYDIS_MNEMONIC_LEA:
		return INSN_LEA;
	case ZYDIS_MNEMONIC_ADD:
		return INSN_ADD;
	case ZYDIS_MNEMONIC_SUB:
		return INSN_SUB;
	case ZYDIS_MNEMONIC_AND:
		return INSN_AND;
	case ZYDIS_MNEMONIC_OR:
		return INSN_OR;
	case ZYDIS_MNEMONIC_XOR:
		return INSN_XOR;
	case ZYDIS_MNEMONIC_CMP:
		return INSN_COMPARE;
	case ZYDIS_MNEMONIC_TEST:
		return INSN_TEST;
	case ZYDIS_MNEMONIC_BT:
		return INSN_BIT_TEST;
	case ZYDIS_MNEMONIC_XCHG:
		return INSN_EXCHANGE;
	case ZYDIS_MNEMONIC_CMPXCHG:
	case ZYDIS_MNEMONIC_CMPXCHG8B:
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		return INSN_COMPARE_EXCHANGE;
	default:
		return INSN_OTHER;
	}
}

static bool is_repeated(const ZydisDecodedInstruction *zydis)
{
	return zydis->attributes &
	       (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
}

/* Names an address without accessing it: lea, nop, prefetch and their like. */
static bool is_address_only(const ZydisDecodedInstruction *zydis, const ZydisDecodedOperand *op)
{
	if (op->mem.type == ZYDIS_MEMOP_TYPE_AGEN || op->mem.type == ZYDIS_MEMOP_TYPE_MIB)
		return true;
	switch (zydis->meta.category) {
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_PREFETCH:
	case ZYDIS_CATEGORY_PREFETCHWT1:
	case ZYDIS_CATEGORY_CLDEMOTE:
		return true;
	default:
		return false;
	}
}

/* Accesses only the elements that a mask selects. */
static bool is_masked(const ZydisDecodedInstruction *zydis)
{
	switch (zydis->mnemonic) {
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		return true;
	default:
		return zydis->avx.mask.mode > ZYDIS_MASK_MODE_DISABLED;
	}
}

/* Adds a memory operand; false when there are more than an instruction can have. */
static bool add_memory(const ZydisDecodedInstruction *zydis, const ZydisDecodedOperand *op,
		       struct insn *insn, struct insn_operand *ret)
{
	if (insn->mem_count == INSN_MEM_MAX)
		return false;
	struct insn_mem *mem = &insn->mem[insn->mem_count];
	bool conditional = is_masked(zydis) || (op->actions & (ZYDIS_OPERAND_ACTION_CONDREAD |
							       ZYDIS_OPERAND_ACTION_CONDWRITE));
	*mem = (struct insn_mem){
		.disp = op->mem.disp.has_displacement ? op->mem.disp.value : 0,
		.size = op->size / 8,
		.base = base_number(op->mem.base),
		.index = base_number(op->mem.index),
		.scale = op->mem.scale,
		.read = op->actions & ZYDIS_OPERAND_ACTION_MASK_READ,
		.write = op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE,
		.implicit = op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN ||
			    op->visibility == ZYDIS_OPERAND_VISIBILITY_IMPLICIT,
		.repeated = is_repeated(zydis),
		.scattered = op->mem.type == ZYDIS_MEMOP_TYPE_VSIB,
		.address_32 = zydis->address_width == 32,
		.conditional = conditional,
	};
	if (op->mem.segment == ZYDIS_REGISTER_FS)
		mem->segment = INSN_SEGMENT_FS;
	else if (op->mem.segment == ZYDIS_REGISTER_GS)
		mem->segment = INSN_SEGMENT_GS;
	if (mem->base == INSN_PC)
		mem->disp += (int64_t)(insn->addr + insn->length);
	if (mem->address_32 && (mem->base == INSN_PC || mem->base == INSN_NO_REG))
		mem->disp &= 0xffffffff;
	insn->reads |= bit(mem->base) | bit(mem->index);
	*ret = (struct insn_operand){.kind = INSN_MEM, .size = mem->size, .mem = insn->mem_count};
	if (is_address_only(zydis, op) || insn->flow == INSN_TRAP)
		mem->read = mem->write = false;
	/* Zydis 4.0 leaves out that cmps and scas move their pointers. */
	if (zydis->meta.category == ZYDIS_CATEGORY_STRINGOP && mem->implicit)
		insn->writes |= bit(mem->base);
	/* Zydis names the stack by rsp alone: a push writes below it, and a pop to memory counts
	 * from where rsp is after it. */
	if (mem->base == AMD64_RSP && mem->implicit && mem->write)
		mem->disp -= mem->size;
	if (mem->base == AMD64_RSP && !mem->implicit && zydis->mnemonic == ZYDIS_MNEMONIC_POP)
		mem->disp += mem->size;
	insn->mem_count++;
	return true;
}

static void add_register(const ZydisDecodedOperand *op, struct insn *insn, struct insn_operand *ret)
{
	bool high;
	uint8_t n = register_number(op->reg.value, &high);
	if (n == INSN_NO_REG)
		return;
	uint16_t size = op->size / 8;
	if (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ)
		insn->reads |= bit(n);
	if (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) {
		insn->writes |= bit(n);
		/* a byte or word write keeps the rest, and so may one that is conditional */
		if (size < 4 || (op->actions & ZYDIS_OPERAND_ACTION_CONDWRITE))
			insn->reads |= bit(n);
	}
	*ret = (struct insn_operand){.kind = INSN_REG, .size = size, .reg = n, .high = high};
}

/* Puts the explicit operands, in Intel's order, where insn.h says. */
static void fill_operands(struct insn *insn, const struct insn_operand *explicit_ops)
{
	switch (insn->op) {
	case INSN_OTHER:
	case INSN_COMPARE_EXCHANGE:
		return;
	case INSN_COMPARE:
	case INSN_TEST:
	case INSN_BIT_TEST:
		insn->src[0] = explicit_ops[0];
		insn->src[1] = explicit_ops[1];
		return;
	case INSN_MOVE:
	case INSN_LEA:
	case INSN_EXCHANGE:
		insn->dst = explicit_ops[0];
		insn->src[0] = explicit_ops[1];
		return;
	default:
		insn->dst = insn->src[0] = explicit_ops[0];
		insn->src[1] = explicit_ops[1];
	}
}

static bool fill_full(const ZydisDecodedInstruction *zydis, const ZydisDecodedOperand *ops,
		      struct insn *insn)
{
	struct insn_operand explicit_ops[ZYDIS_MAX_OPERAND_COUNT] = {0};
	for (unsigned i = 0; i < zydis->operand_count; i++) {
		const ZydisDecodedOperand *op = &ops[i];
		struct insn_operand *to = &explicit_ops[i];
		if (op->type == ZYDIS_OPERAND_TYPE_REGISTER) {
			add_register(op, insn, to);
		} else if (op->type == ZYDIS_OPERAND_TYPE_MEMORY) {
			if (!add_memory(zydis, op, insn, to))
				return false;
		} else if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
			*to = (struct insn_operand){
				.kind = INSN_IMM, .size = op->size / 8, .imm = op->imm.value.s};
		}
	}
	insn->op = op_of(zydis);
	insn->sign_extends = zydis->mnemonic == ZYDIS_MNEMONIC_MOVSX ||
			     zydis->mnemonic == ZYDIS_MNEMONIC_MOVSXD;
	fill_operands(insn, explicit_ops);
	bool locked = zydis->attributes & ZYDIS_ATTRIB_HAS_LOCK;
	insn->atomic = locked || (insn->op == INSN_EXCHANGE && insn->mem_count > 0);
	if (zydis->cpu_flags) {
		const ZydisAccessedFlags *flags = zydis->cpu_flags;
		insn->sets_flags =
			(flags->modified | flags->set_0 | flags->set_1 | flags->undefined) != 0;
	}
	return true;
}

bool amd64_decode(const uint8_t *code, size_t n, uint64_t addr, bool full, struct insn *ret)
{
	ZydisDecoderContext context;
	ZydisDecodedInstruction zydis;
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&amd64_decoder, &context, code, n, &zydis)))
		return false;
	struct insn insn = {0};
	fill_flow(&zydis, addr, &insn);
	if (full) {
		ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeOperands(&amd64_decoder, &context, &zydis, ops,
							     zydis.operand_count)) ||
		    !fill_full(&zydis, ops, &insn))
			return false;
	}
	*ret = insn;
	return true;
}
