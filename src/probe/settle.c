/*
 * Where a thread that stands in a stub would stand without it: what the stub has pushed by then gives the registers, and the
 * index at the start of the stubs the place.
 */
#include <string.h>

#include "insn/insn.h"
#include "probe/stubs.h"

/* Whether the instruction of code pushes or pops a register; *ret_reg is its DWARF number. */
static int stack_move(const uint8_t *code, const struct insn *insn, unsigned *ret_reg)
{
	static const uint8_t dwarf[] = {AMD64_RAX, AMD64_RCX, AMD64_RDX, AMD64_RBX,
					AMD64_RSP, AMD64_RBP, AMD64_RSI, AMD64_RDI};
	bool high = code[0] == 0x41;
	uint8_t opcode = code[high];
	if (insn->length != 1u + high || opcode < 0x50 || opcode > 0x5f)
		return 0;
	*ret_reg = high ? 8u + (opcode & 7) : dwarf[opcode & 7];
	return opcode < 0x58 ? 1 : -1;
}

/* What a stub has pushed at one place; it never has more on the stack. */
enum { PUSHED_MAX = 16 };

/* The registers that are on the stack, the last one on top. */
struct pushed {
	unsigned list[PUSHED_MAX], count;
};

/* Follows the stub's code from one place to another. Each is written so that in the order of its bytes, too,
 * pushes and pops match. */
static bool follow_pushes(const uint8_t *stubs, uint64_t addr, uint64_t from, uint64_t to,
			  uint64_t end, struct pushed *pushed)
{
	unsigned reg;
	struct insn insn;
	for (uint64_t at = from; at < to; at += insn.length) {
		if (!insn_decode_flow(ARCH_AMD64, stubs + at, end - at, addr + at, &insn))
			return false;
		int move = stack_move(stubs + at, &insn, &reg);
		if (move > 0 && pushed->count == PUSHED_MAX)
			return false;
		if (move > 0)
			pushed->list[pushed->count++] = reg;
		if (move < 0 && pushed->count-- == 0)
			return false;
	}
	return true;
}

/* Whether the offset pc lies in the stub. */
static bool is_in(const struct stub_info *info, uint64_t pc)
{
	return (pc >= info->start && pc < info->end) || (pc >= info->head && pc < info->head_end);
}

static bool settle_in(const uint8_t *stubs, uint64_t addr, const struct stub_info *info,
		      bool (*read)(void *context, uint64_t addr, uint64_t *ret), void *context,
		      struct regs *regs)
{
	uint64_t pc = regs->pc - addr;
	bool in_head = pc < info->start;
	struct pushed pushed = {.count = 0};
	if (!follow_pushes(stubs, addr, info->head, in_head ? pc : info->head_end, info->head_end,
			   &pushed) ||
	    (!in_head && !follow_pushes(stubs, addr, info->start, pc, info->end, &pushed)))
		return false;
	unsigned depth = pushed.count;
	struct regs settled = *regs;
	/* the first push of a register has what the program had in it */
	for (unsigned i = depth; i-- > 0;)
		if (!read(context, regs->sp + 8 * (depth - 1 - i), &settled.r[pushed.list[i]]))
			return false;
	settled.sp = settled.r[AMD64_RSP] = regs->sp + 8 * depth;
	settled.fp = settled.r[AMD64_RBP];
	if (pc < info->moved)
		settled.pc = addr + info->site;
	else if (pc < info->moved_end)
		settled.pc = addr + info->site + (pc - info->moved);
	else
		settled.pc = addr + info->back;
	settled.r[AMD64_RIP] = settled.pc;
	*regs = settled;
	return true;
}

bool stubs_settle(const uint8_t *stubs, size_t n, uint64_t addr,
		  bool (*read)(void *context, uint64_t addr, uint64_t *ret), void *context,
		  struct regs *regs)
{
	struct stubs_index index;
	if (n < sizeof(index) || regs->pc < addr || regs->pc - addr >= n)
		return false;
	memcpy(&index, stubs, sizeof(index));
	if (index.version != STUBS_VERSION ||
	    index.count > (n - sizeof(index)) / sizeof(struct stub_info))
		return false;
	for (size_t i = 0; i < index.count; i++) {
		struct stub_info info;
		memcpy(&info, stubs + sizeof(index) + i * sizeof(info), sizeof(info));
		if (info.head <= info.head_end && info.head_end <= info.start &&
		    info.start <= info.moved && info.moved <= info.moved_end &&
		    info.moved_end <= info.end && info.end <= n && is_in(&info, regs->pc - addr))
			return settle_in(stubs, addr, &info, read, context, regs);
	}
	return false;
}
