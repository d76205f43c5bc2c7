/*
 * Prints all goroutines of a target as Go's own traceback does under GOTRACEBACK=crash, so that the
 * two can be compared line by line. usage: stacks_dump TARGET [EXE]
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "go/goroutine.h"
#include "go/stack.h"

static void print_frame(struct runtime *rt, const struct frame *frame)
{
	const struct source_frame *source;
	size_t count = frame_source(rt, frame, &source);
	if (!count) {
		printf("?()\n\t?:0 sp=0x%" PRIx64 " pc=0x%" PRIx64 "\n", frame->sp, frame->pc);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		AUTO_TEXT struct text args = TEXT_INIT;
		if (source[i].inlined)
			text_append(&args, "...");
		else
			frame_args(rt, frame, &args);
		printf("%s(%s)\n\t%s:%d", source[i].function, args.s, source[i].file,
		       source[i].line);
		if (!source[i].inlined && frame->pc > frame->function.entry)
			printf(" +0x%" PRIx64, frame->pc - frame->function.entry);
		if (!source[i].inlined)
			printf(" fp=0x%" PRIx64 " sp=0x%" PRIx64 " pc=0x%" PRIx64, frame->cfa,
			       frame->sp, frame->pc);
		putchar('\n');
	}
}

static void print_creator(struct runtime *rt, const struct goroutine *goroutine)
{
	struct function fn;
	const char *file;
	int32_t line;
	uint64_t pc = goroutine->gopc;
	if (goroutine->id == 1 || !pclntab_find(rt->pclntab, pc, &fn) ||
	    !pclntab_line(rt->pclntab, &fn, pc > fn.entry ? pc - 1 : pc, &file, &line))
		return;
	printf("created by %s", fn.name);
	if (goroutine->parent)
		printf(" in goroutine %" PRIu64, goroutine->parent);
	printf("\n\t%s:%d", file, line);
	if (pc > fn.entry)
		printf(" +0x%" PRIx64, pc - fn.entry);
	putchar('\n');
}

/* Go code has its g in a register of its own (abi-internal.md), assembly may use that for others. */
static void check_regs(const struct goroutine *g, const struct frame *frame)
{
	enum { FLAG_ASM = 4 };
	if (!frame->regs || !frame->has_function || frame->function.flag & FLAG_ASM)
		return;
	unsigned number = frame->regs->arch == ARCH_ARM64 ? 28 : AMD64_R14;
	if (frame->regs->r[number] != g->g)
		printf("register %u is 0x%" PRIx64 ", not g\n", number, frame->regs->r[number]);
	if (frame->regs->pc != frame->pc || frame->regs->sp != frame->sp)
		printf("registers of another frame\n");
}

static int dump(struct runtime *rt)
{
	struct goroutines list;
	struct error err;
	struct stack_walk walk = STACK_WALK_INIT;
	if (goroutines_read(rt, &list, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	fprintf(stderr, "%zu goroutines, %zu dead, by %s\n", list.count, list.dead, list.found_by);
	struct goroutine crashed;
	if (goroutine_crashed(rt, &crashed, &err) == OK)
		printf("crashed %" PRIu64 "\n", crashed.id);
	for (size_t i = 0; i < list.count; i++) {
		const struct goroutine *g = &list.list[i];
		printf("\ngoroutine %" PRIu64 " gp=0x%" PRIx64 " [%s]:\n", g->id, g->g,
		       goroutine_state(rt, g));
		struct frame frame;
		if (stack_walk_start(&walk, rt, g, &err) != OK)
			printf("\t%s\n", err.text);
		while (stack_walk_next(&walk, &frame)) {
			check_regs(g, &frame);
			print_frame(rt, &frame);
		}
		print_creator(rt, g);
	}
	stack_walk_done(&walk);
	goroutines_done(&list);
	return 0;
}

int main(int argc, char **argv)
{
	struct notes notes = NOTES_INIT;
	struct target_options options = {.exe = argc > 2 ? argv[2] : NULL};
	struct error err;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	if (argc < 2)
		return 64;
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	int rc = dump(rt);
	for (size_t i = 0; i < notes.count; i++)
		fprintf(stderr, "note: 0x%" PRIx64 " %s: %s\n", notes.list[i].addr,
			notes.list[i].floor, notes.list[i].text);
	notes_done(&notes);
	return rc;
}
