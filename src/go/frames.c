#include "go/frames.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum status frames_collect(struct stack_walk *walk, struct runtime *rt,
			   const struct goroutine *goroutine, size_t max, struct frames *frames,
			   struct error *err)
{
	struct frame frame;
	frames->count = frames->regs_count = 0;
	frames->cut = false;
	if (stack_walk_start(walk, rt, goroutine, err) != OK)
		return FAILED;
	while (stack_walk_next(walk, &frame)) {
		if (frames->count == max) {
			frames->cut = true;
			break;
		}
		if (frame.regs) {
			struct frame_regs kept = {frames->count, *frame.regs};
			if (!ARRAY_PUSH(frames->regs, frames->regs_count, frames->regs_cap, kept))
				return error_nomem(err);
		}
		if (!ARRAY_PUSH(frames->list, frames->count, frames->cap, frame))
			return error_nomem(err);
	}
	/* The walk's own copy goes with its next step. */
	for (size_t i = 0; i < frames->count; i++)
		frames->list[i].regs = NULL;
	for (size_t i = 0; i < frames->regs_count; i++)
		frames->list[frames->regs[i].frame].regs = &frames->regs[i].regs;
	return OK;
}

void frames_done(struct frames *frames)
{
	free(frames->list);
	free(frames->regs);
	*frames = (struct frames){0};
}

void library_init(struct library *library, struct runtime *rt)
{
	static const char tail[] = "runtime/proc.go";
	struct function fn;
	const char *file;
	int32_t line;
	*library = (struct library){"", 0};
	if (!pclntab_by_name(rt->pclntab, "runtime.main", &fn) ||
	    !pclntab_line(rt->pclntab, &fn, fn.entry, &file, &line))
		return;
	size_t n = strlen(file);
	if (n < sizeof(tail) - 1 || strcmp(file + n - (sizeof(tail) - 1), tail) != 0)
		return;
	*library = (struct library){file, n - (sizeof(tail) - 1)};
}

bool library_has(const struct library *library, const struct source_frame *source)
{
	if (strncmp(source->function, "main.", 5) == 0)
		return false;
	if (library->root_len)
		return strncmp(source->file, library->root, library->root_len) == 0;
	/* Under -trimpath a module's files begin with its path, whose first element has a dot. */
	const char *slash = strchr(source->file, '/');
	const char *dot = strchr(source->file, '.');
	return source->file[0] != '/' && slash && (!dot || dot > slash);
}

struct site frames_site(struct runtime *rt, const struct library *library,
			const struct frames *frames)
{
	struct site first = {0};
	for (size_t i = 0; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		const struct source_frame *source;
		size_t n = frame->has_function ? frame_source(rt, frame, &source) : 0;
		for (size_t k = 0; k < n; k++) {
			if (function_is_runtime(source[k].function))
				continue;
			struct site site = {source[k].function, source[k].file, source[k].line,
					    frame->pc};
			if (!library_has(library, &source[k]))
				return site;
			if (!first.function)
				first = site;
		}
	}
	return first;
}

static struct site site_at(struct runtime *rt, uint64_t pc, uint64_t lookup)
{
	struct function fn;
	struct source_frame source[SOURCE_FRAMES_MAX];
	struct site site = {.pc = pc};
	if (!pc || !pclntab_find(rt->pclntab, lookup, &fn) ||
	    !pclntab_source(rt->pclntab, &fn, lookup, source))
		return site;
	site.function = source[0].function;
	site.file = source[0].file;
	site.line = source[0].line;
	return site;
}

struct site site_of_return(struct runtime *rt, uint64_t pc)
{
	return site_at(rt, pc, pc - 1);
}

struct site site_of_pc(struct runtime *rt, uint64_t pc)
{
	return site_at(rt, pc, pc);
}

struct site goroutine_creator(struct runtime *rt, const struct goroutine *goroutine)
{
	/* The main goroutine is started by assembly: Go names no creator for it either. */
	if (goroutine->id == 1)
		return (struct site){0};
	return site_of_return(rt, goroutine->gopc);
}
