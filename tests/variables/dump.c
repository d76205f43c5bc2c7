/*
 * Prints the variables of all frames of a target, and the package variables at the given addresses, in
 * the form of tests/programs/variables. usage: variables_dump TARGET [ADDR...]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "go/goroutine.h"
#include "go/stack.h"
#include "go/variable.h"

static void print_frame(struct runtime *rt, const struct frame *frame)
{
	struct variable *list = NULL;
	size_t count = variables_of_frame(rt, frame, &list);
	for (size_t i = 0; i < count; i++) {
		const struct variable *v = &list[i];
		if (v->addr)
			printf("variable %s %s address 0x%" PRIx64 "\n", v->function, v->name,
			       v->addr);
		if (v->has_value)
			printf("variable %s %s value 0x%" PRIx64 "\n", v->function, v->name,
			       v->value);
	}
	variables_free(list, count);
}

static void print_global(struct runtime *rt, uint64_t addr)
{
	struct variable var;
	uint64_t offset;
	if (!variable_global_at(rt, addr, &var, &offset)) {
		printf("no variable at 0x%" PRIx64 "\n", addr);
		return;
	}
	printf("global %s 0x%" PRIx64 " %" PRIu64 "\n", var.name, addr - offset, var.size);
	variable_done(&var);
}

static enum status print_all(struct runtime *rt, struct error *err)
{
	struct goroutines list;
	struct stack_walk walk = STACK_WALK_INIT;
	struct frame frame;
	if (goroutines_read(rt, &list, err) != OK)
		return FAILED;
	for (size_t i = 0; i < list.count; i++)
		if (stack_walk_start(&walk, rt, &list.list[i], NULL) == OK)
			while (stack_walk_next(&walk, &frame))
				print_frame(rt, &frame);
	stack_walk_done(&walk);
	goroutines_done(&list);
	return OK;
}

int main(int argc, char **argv)
{
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct target_options options = {0};
	struct notes notes = NOTES_INIT;
	struct error err;
	if (argc < 2) {
		fprintf(stderr, "usage: variables_dump TARGET [ADDR...]\n");
		return 64;
	}
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK || print_all(rt, &err) != OK) {
		fprintf(stderr, "variables_dump: %s\n", err.text);
		return 2;
	}
	for (int i = 2; i < argc; i++)
		print_global(rt, strtoull(argv[i], NULL, 0));
	notes_done(&notes);
	return 0;
}
