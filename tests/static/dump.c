/*
 * What mapcrash reads of a target's functions and types, in the form in which tests/static/program
 * prints what Go itself knows of them.
 *
 * usage: static_dump TARGET functions       each function's entry as distance from main.anchor, and name
 *        static_dump TARGET < TRUTH         the lines of the program's output again, answered by us
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "go/runtime.h"
#include "go/type.h"

static int fail(const struct error *err)
{
	fprintf(stderr, "static_dump: %s\n", err->text);
	return 1;
}

static int print_functions(const struct runtime *rt)
{
	struct function anchor, fn;
	if (!pclntab_by_name(rt->pclntab, "main.anchor", &anchor)) {
		fprintf(stderr, "static_dump: no main.anchor\n");
		return 1;
	}
	for (size_t i = 0; i < pclntab_count(rt->pclntab); i++) {
		if (!pclntab_at(rt->pclntab, i, &fn)) {
			fprintf(stderr, "static_dump: function %zu is broken\n", i);
			return 1;
		}
		printf("%" PRId64 " %" PRIu64 " 0x%" PRIx64 " %s\n", fn.entry - anchor.entry,
		       fn.end - fn.entry, fn.entry, fn.name);
	}
	return 0;
}

static void print_pc(const struct runtime *rt, uint64_t pc)
{
	struct function fn;
	struct source_frame frames[SOURCE_FRAMES_MAX];
	printf("pc 0x%" PRIx64, pc);
	size_t n = pclntab_find(rt->pclntab, pc, &fn) ? pclntab_source(rt->pclntab, &fn, pc, frames)
						      : 0;
	for (size_t i = 0; i < n; i++) {
		/* runtime.CallersFrames leaves wrappers out, unless one is asked for by its PC. */
		if (i == 0 || !frames[i].is_wrapper)
			printf(" %s|%s:%d", frames[i].function, frames[i].file, frames[i].line);
	}
	printf("\n");
}

static int print_type(struct runtime *rt, uint64_t addr)
{
	struct type t;
	struct field field;
	struct error err;
	if (type_read(rt, addr, &t, &err) != OK)
		return fail(&err);
	const char *name = type_name(rt, addr), *package = type_package(rt, addr);
	printf("type 0x%" PRIx64 " %s %" PRIu64 " %d %s %s\n", addr, kind_name(t.kind), t.size,
	       t.named, package ? package : "-", name ? name : "?");
	if (t.elem)
		printf("elem 0x%" PRIx64 "\n", t.elem);
	if (t.key)
		printf("key 0x%" PRIx64 "\n", t.key);
	if (t.kind == KIND_ARRAY || t.kind == KIND_STRUCT)
		printf("len %" PRIu64 "\n", t.len);
	if (t.kind == KIND_INTERFACE)
		printf("methods %" PRIu64 "\n", t.method_count);
	for (uint64_t i = 0; t.kind == KIND_STRUCT && i < t.len; i++) {
		if (type_field(rt, &t, i, &field, &err) != OK)
			return fail(&err);
		printf("field %" PRIu64 " 0x%" PRIx64 " %" PRIu64 " %d %s\n", i, field.type,
		       field.offset, field.embedded, field.name);
	}
	return 0;
}

static int answer(struct runtime *rt, const char *line)
{
	uint64_t addr, type;
	if (sscanf(line, "pc 0x%" SCNx64, &addr) == 1)
		print_pc(rt, addr);
	else if (sscanf(line, "type 0x%" SCNx64, &addr) == 1)
		return print_type(rt, addr);
	else if (sscanf(line, "word 0x%" SCNx64, &addr) == 1)
		printf("word 0x%" PRIx64 " 0x%" PRIx64 "\n", addr,
		       type_of_itab(rt, addr, &type) ? type : 0);
	return 0;
}

int main(int argc, char **argv)
{
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct notes notes = NOTES_INIT;
	struct target_options options = {0};
	struct error err;
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: static_dump TARGET [functions] < TRUTH\n");
		return 64;
	}
	if (target_open(argv[1], &options, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK)
		return fail(&err);
	int failed = 0;
	if (argc == 3) {
		failed = print_functions(rt);
	} else {
		char *line = NULL;
		size_t cap = 0;
		while (!failed && getline(&line, &cap, stdin) > 0)
			failed = answer(rt, line);
		free(line);
	}
	for (size_t i = 0; i < notes.count; i++)
		fprintf(stderr, "note: %s\n", notes.list[i].text);
	notes_done(&notes);
	return failed;
}
