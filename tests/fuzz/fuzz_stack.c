/*
 * Bytes as changes to the memory of a small program that is in order: its goroutines, the m, the list,
 * the stacks, the registers of its thread. The first byte chooses the machine; then each record of 5
 * bytes puts one word: where (u16), what kind of value (u8), which (u16). The function table is sound
 * (fuzz_pclntab breaks those); its functions have every role that a walk knows.
 */
#include "base/bytes.h"
#include "unit/go/forge_stack.h"

static const struct forged_function functions[] = {
	{"runtime.goexit", 0x10, 0, FLAG_TOP},
	{"main.start", 0x40, 0x20},
	{"main.leaf", 0x40, 0},
	{"runtime.systemstack_switch", 0x10, 8},
	{"runtime.fatalthrow", 0x40, 0x18},
	{"runtime.sigpanic", 0x40, 0x30},
	{"runtime.asyncPreempt", 0x40, 0xf0},
	{"runtime.cgocallback", 0x40, 0x20, FLAG_SPWRITE},
	{"main.assembly", 0x40, 0x10, FLAG_SPWRITE},
	{"main.unknown", 0x40, -1},
	{"main.args", 0x40, 8, 0, "\x00\x08\xfe\x08\x01\xfd\x10\x04\xff", "\x08\x02", 9, 2, 1},
};

/* A walk ends after as many frames as the stack has words, and two that an arm64 leaf adds. */
enum { FRAMES_MAX = STACK_COUNT * STACK_SIZE / 8 + 2 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A value that can matter: an address of code, of a stack or of the heap, or a small number. */
static uint64_t value_of(const struct forged_program *p, uint8_t kind, uint16_t which)
{
	enum { COUNT = sizeof(functions) / sizeof(functions[0]) };
	switch (kind % 5) {
	case 0:
		return p->entries[which % COUNT] + (which >> 8) % 0x48;
	case 1:
		return STACK_STACKS + which % (STACK_COUNT * STACK_SIZE) - (which & 1);
	case 2:
		return STACK_HEAP + which % STACK_HEAP_SIZE;
	case 3:
		return which;
	default:
		return 0 - (uint64_t)which;
	}
}

/* Words that records can reach: registers, the start of bss, g's and the m, the tops of the stacks. */
static void put(struct forged_program *p, uint16_t where, uint64_t value)
{
	struct regs *regs = &p->threads[0].regs;
	uint64_t *const words[] = {&regs->pc,		&regs->sp,    &regs->fp,	 &regs->tls,
				   &regs->r[AMD64_R14], &regs->r[28], &regs->r[ARM64_LR]};
	unsigned index = where & 0x3ff;
	switch (where >> 12) {
	case 0:
		*words[index % 7] = value;
		break;
	case 1:
		program_put(p, STACK_BSS + index % (STACK_BSS_SIZE / 8) * 8, value);
		break;
	case 2:
	case 3:
	case 4:
		program_put(p, STACK_HEAP + ((where >> 12) - 2) * 0x1000 + index % 0x200 * 8,
			    value);
		break;
	default:
		program_put(p, program_stack_hi(where >> 12 & 7) - 8 - index % 0x200 * 8, value);
	}
}

/* Goroutine 7 is parked, 8 runs and was interrupted by a signal, 9 called systemstack; arm64's stacks
 * make less sense, which is as well. */
static void base_state(struct forged_program *p)
{
	uint64_t allgs = STACK_HEAP + 0x1000, sp;
	for (unsigned i = 0; i < 3; i++) {
		program_put(
			p, allgs + i * 8,
			program_add_g(p, i, 7 + i, i == 1 ? GOROUTINE_RUNNING : GOROUTINE_WAITING));
		sp = program_stack_hi(i) - 0x100;
		program_sched(p, program_g(i), i == 2 ? p->entries[3] + 8 : p->entries[6] + 8, sp,
			      sp + 0x20, 0);
		for (uint64_t at = sp; at < program_stack_hi(i); at += 8)
			program_put(p, at, p->entries[at / 8 % 3] + (at / 8 % 3 ? 8 : 1));
	}
	program_put(p, STACK_BSS + 0x10, allgs);
	program_put(p, STACK_BSS + 0x18, 3);
	program_put(p, STACK_BSS + 0x20, 4);
	program_run(p, program_g(1), 100);
	uint64_t uc = program_stack_hi(7) - 0x300, size = STACK_SIZE;
	program_put(p, uc + 16, program_stack_lo(7));
	program_put(p, uc + 32, size);
	program_put(p, uc + 160, program_stack_hi(1) - 0x100);
	program_put(p, uc + 168, p->entries[5] + 8);
	program_regs(p, p->entries[2], uc - 0x100, 0);
}

static void walk_all(struct runtime *rt, const struct goroutines *list)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frame frame;
	const struct source_frame *source;
	AUTO_TEXT struct text text = TEXT_INIT;
	for (size_t i = 0; i < list->count; i++) {
		size_t frames = 0;
		uint64_t word, sp = 0;
		bool live;
		(void)goroutine_state(rt, &list->list[i]);
		(void)stack_walk_start(&walk, rt, &list->list[i], NULL);
		while (stack_walk_next(&walk, &frame)) {
			if (++frames > FRAMES_MAX || frame.sp < sp)
				abort();
			sp = frame.sp;
			text_clear(&text);
			frame_args(rt, &frame, &text);
			(void)frame_arg_word(rt, &frame, 1, &word, &live);
			(void)frame_source(rt, &frame, &source);
		}
	}
	stack_walk_done(&walk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct goroutines list;
	struct goroutine crashed;
	if (size < 1)
		return 0;
	struct forged_program *p = program_new(functions, sizeof(functions) / sizeof(functions[0]),
					       data[0] & 1 ? ARCH_ARM64 : ARCH_AMD64);
	if (!p)
		return 0;
	base_state(p);
	for (size_t at = 1; size - at >= 5; at += 5)
		put(p, load_u16(data + at), value_of(p, data[at + 2], load_u16(data + at + 3)));
	if (goroutines_read(&p->forge.rt, &list, NULL) == OK) {
		walk_all(&p->forge.rt, &list);
		goroutines_done(&list);
	}
	(void)goroutine_crashed(&p->forge.rt, &crashed, NULL);
	program_done(p);
	return 0;
}
