#include "report/goroutines.h"

#include <inttypes.h>

/* Ids that a group's heading names. */
enum { HEADING_IDS_MAX = 12 };

static const char *role_of(const struct racers *racers, uint64_t id)
{
	return id && id == racers->detector ? "detector"
	       : id && id == racers->other  ? "other"
					    : NULL;
}

static void print_frames(struct page *page, struct runtime *rt, const struct frames *frames)
{
	for (size_t i = 0; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		const struct source_frame *source;
		size_t n = frame->has_function ? frame_source(rt, frame, &source) : 0;
		if (!n)
			page_printf(page, "    0x%" PRIx64 "  (not Go's code)\n", frame->pc);
		for (size_t k = 0; k < n; k++) {
			struct site site = {source[k].function, source[k].file, source[k].line,
					    frame->pc};
			page_printf(page, "    ");
			page_text(page, site.function);
			page_printf(page, "  ");
			page_place(page, &site);
			if (source[k].inlined)
				page_style(page, STYLE_DIM, "  inlined\n");
			else
				page_style(page, STYLE_DIM, "  +0x%" PRIx64 "\n",
					   frame->pc - frame->function.entry);
		}
	}
	if (frames->cut)
		page_style(page, STYLE_DIM, "    ... and the stack goes on\n");
}

static void print_creator(struct page *page, struct runtime *rt, const struct goroutine *g)
{
	struct site site = goroutine_creator(rt, g);
	if (!site.function)
		return;
	page_printf(page, "    created by ");
	page_text(page, site.function);
	if (g->parent)
		page_printf(page, " in goroutine %" PRIu64, g->parent);
	page_printf(page, "  ");
	page_place(page, &site);
	fputc('\n', page->out);
}

static void print_role(struct page *page, const char *role)
{
	if (role)
		page_style(page, STYLE_RED, "  <- %s of the race", role);
}

static void print_group(struct page *page, struct runtime *rt, const struct stack_group *group,
			const struct racers *racers)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	if (group->count == 1) {
		page_style(page, STYLE_BOLD, "goroutine %" PRIu64, group->first->id);
	} else {
		page_style(page, STYLE_BOLD, "%zu goroutines", group->count);
	}
	page_printf(page, " [");
	page_text(page, group->state);
	page_printf(page, "]");
	if (group->count > 1) {
		page_printf(page, ": ");
		for (size_t i = 0; i < group->kept && i < HEADING_IDS_MAX; i++)
			page_printf(page, "%s%" PRIu64, i ? ", " : "", group->members[i]->id);
		if (group->count > HEADING_IDS_MAX)
			page_printf(page, ", ...");
	}
	for (size_t i = 0; i < group->kept; i++)
		print_role(page, role_of(racers, group->members[i]->id));
	fputc('\n', page->out);
	if (group->error) {
		page_printf(page, "    ");
		page_text(page, group->error);
		fputc('\n', page->out);
	}
	if (!group->error &&
	    frames_collect(&walk, rt, group->first, FRAMES_REPORT_MAX, &frames, NULL) == OK)
		print_frames(page, rt, &frames);
	stack_walk_done(&walk);
	frames_done(&frames);
	print_creator(page, rt, group->first);
	fputc('\n', page->out);
}

static bool has_racer(const struct stack_group *group, const struct racers *racers)
{
	for (size_t i = 0; i < group->kept; i++)
		if (role_of(racers, group->members[i]->id))
			return true;
	return false;
}

void goroutines_groups_text(struct page *page, struct runtime *rt,
			    const struct goroutines *goroutines, const struct stack_groups *groups,
			    const struct racers *racers, size_t limit)
{
	size_t shown = 0;
	page_printf(page, "%zu goroutines, %zu different stacks", goroutines->count, groups->count);
	page_style(page, STYLE_DIM, "  (found by %s)\n\n", goroutines->found_by);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < groups->count && (!limit || shown < limit); i++) {
			if (has_racer(&groups->list[i], racers) != (pass == 0))
				continue;
			print_group(page, rt, &groups->list[i], racers);
			shown++;
		}
	}
	if (shown < groups->count)
		page_printf(page, "... and %zu more groups (--limit 0 shows all)\n",
			    groups->count - shown);
}

/* What a walk over all goroutines does with each. */
typedef void each_fn(void *context, struct runtime *rt, const struct goroutine *g,
		     const struct frames *frames, const char *error);

static void for_each(struct runtime *rt, const struct goroutines *goroutines,
		     const struct racers *racers, size_t limit, each_fn *each, void *context)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	struct error why;
	size_t shown = 0;
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < goroutines->count && (!limit || shown < limit); i++) {
			const struct goroutine *g = &goroutines->list[i];
			if ((role_of(racers, g->id) != NULL) != (pass == 0))
				continue;
			bool ok = frames_collect(&walk, rt, g, FRAMES_REPORT_MAX, &frames, &why) ==
				  OK;
			if (!ok) {
				frames.count = 0;
				notes_add(rt->notes, "go", g->g,
					  "stack of goroutine %" PRIu64 ": %s", g->id, why.text);
			}
			each(context, rt, g, &frames, ok ? NULL : why.text);
			shown++;
		}
	}
	stack_walk_done(&walk);
	frames_done(&frames);
}

struct all_context {
	struct page *page;
	const struct racers *racers;
};

static void print_one(void *context, struct runtime *rt, const struct goroutine *g,
		      const struct frames *frames, const char *error)
{
	struct all_context *all = context;
	struct page *page = all->page;
	page_style(page, STYLE_BOLD, "goroutine %" PRIu64, g->id);
	page_printf(page, " [");
	page_text(page, goroutine_state(rt, g));
	page_printf(page, "]");
	if (g->thread >= 0)
		page_printf(page, " thread %d", (int)rt->target->threads[g->thread].tid);
	print_role(page, role_of(all->racers, g->id));
	fputc('\n', page->out);
	if (error) {
		page_printf(page, "    ");
		page_text(page, error);
		fputc('\n', page->out);
	}
	print_frames(page, rt, frames);
	print_creator(page, rt, g);
	fputc('\n', page->out);
}

void goroutines_all_text(struct page *page, struct runtime *rt, const struct goroutines *goroutines,
			 const struct racers *racers, size_t limit)
{
	struct all_context all = {page, racers};
	page_printf(page, "%zu goroutines", goroutines->count);
	page_style(page, STYLE_DIM, "  (found by %s)\n\n", goroutines->found_by);
	for_each(rt, goroutines, racers, limit, print_one, &all);
}

struct json_context {
	struct json json;
	const struct racers *racers;
};

static void json_frames(struct json *json, struct runtime *rt, const struct frames *frames)
{
	json_array(json, "stack");
	for (size_t i = 0; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		const struct source_frame *source = NULL;
		size_t n = frame->has_function ? frame_source(rt, frame, &source) : 0;
		for (size_t k = 0; k < (n ? n : 1); k++) {
			AUTO_TEXT struct text args = TEXT_INIT;
			bool inlined = n && source[k].inlined;
			json_object(json, NULL);
			json_string(json, "function", n ? source[k].function : NULL);
			json_string(json, "file", n ? source[k].file : NULL);
			if (n)
				json_int(json, "line", source[k].line);
			else
				json_null(json, "line");
			json_addr(json, "pc", frame->pc);
			json_addr(json, "entry", frame->function.entry);
			json_addr(json, "sp", frame->sp);
			json_addr(json, "cfa", frame->cfa);
			json_bool(json, "inlined", inlined);
			if (!inlined && n)
				frame_args(rt, frame, &args);
			json_string(json, "args", inlined || !n ? NULL : args.s);
			json_end_object(json);
		}
	}
	json_end_array(json);
}

static void json_one(void *context, struct runtime *rt, const struct goroutine *g,
		     const struct frames *frames, const char *error)
{
	struct json_context *c = context;
	struct json *json = &c->json;
	struct site creator = goroutine_creator(rt, g);
	json_object(json, NULL);
	json_uint(json, "goroutine", g->id);
	json_addr(json, "g", g->g);
	json_string(json, "role", role_of(c->racers, g->id));
	json_string(json, "state", goroutine_state(rt, g));
	if (g->thread >= 0)
		json_int(json, "thread", rt->target->threads[g->thread].tid);
	else
		json_null(json, "thread");
	json_site(json, "created_by", &creator);
	if (g->parent)
		json_uint(json, "parent", g->parent);
	else
		json_null(json, "parent");
	json_string(json, "error", error);
	json_frames(json, rt, frames);
	json_end_object(json);
}

void goroutines_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		     const struct goroutines *goroutines, const struct racers *racers, size_t limit)
{
	struct json_context c = {.json = JSON_INIT(out), .racers = racers};
	json_object(&c.json, NULL);
	json_header(&c.json, "mapcrash.goroutines/1", rt, source);
	json_uint(&c.json, "count", goroutines->count);
	json_string(&c.json, "found_by", goroutines->found_by);
	json_array(&c.json, "goroutines");
	for_each(rt, goroutines, racers, limit, json_one, &c);
	json_end_array(&c.json);
	json_notes(&c.json, rt->notes);
	json_end_object(&c.json);
	json_done(&c.json);
}
