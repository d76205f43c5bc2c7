#include "probe/graft.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "probe/plan.h"
#include "probe/records.h"
#include "probe/stubs.h"
#include "target/extend.h"

/* Of amd64, and the size of a table's header. */
enum { PAGE = 4096 };

/* Behind the stubs, at the next multiple of its size: how many places changed, and each of them. */
struct replaced {
	uint64_t addr; /* as linked */
	uint8_t old[PLAN_PATCH_SIZE];
	uint8_t pad[3];
};
struct replaced_list {
	uint64_t count, pad;
	struct replaced list[];
};
static_assert(sizeof(struct replaced) == sizeof(struct replaced_list), "written as one array");

static uint64_t list_offset(uint64_t stubs_size)
{
	return (stubs_size + sizeof(struct replaced) - 1) / sizeof(struct replaced) *
	       sizeof(struct replaced);
}

/* The header of the table in exe: at the start of a segment, or behind a page of program headers. */
static bool find_header(const struct executable *exe, struct records_header *ret)
{
	const struct segment *segments;
	size_t count = executable_segments(exe, &segments);
	for (size_t i = 0; i < 2 * count; i++) {
		const struct segment *s = &segments[i / 2];
		uint64_t at = (s->addr / PAGE + i % 2) * PAGE;
		const void *view = s->writable ? executable_view(exe, at, PAGE) : NULL;
		struct records_header h;
		if (!view || !records_header_parse(view, PAGE, &h) || h.linked_at != at)
			continue;
		*ret = h;
		return true;
	}
	return false;
}

bool graft_is_in(const struct executable *exe)
{
	struct records_header header;
	return find_header(exe, &header);
}

/* Whether a jump or call into the stubs stands at the place, in code of the program. */
static bool is_ours(const struct executable *exe, const struct records_header *h,
		    const struct replaced *place)
{
	const struct segment *segments;
	size_t count = executable_segments(exe, &segments);
	const uint8_t *now = executable_view(exe, place->addr, PLAN_PATCH_SIZE);
	uint64_t to;
	if (!now || !patch_target(now, place->addr, &to))
		return false;
	for (size_t i = 0; i < count; i++)
		if (place->addr >= segments[i].addr &&
		    place->addr - segments[i].addr < segments[i].filesz)
			return segments[i].executable && to >= h->stubs && to < h->stubs_end;
	return false;
}

bool graft_restore(struct executable *exe)
{
	struct records_header h;
	struct replaced_list head;
	if (!find_header(exe, &h))
		return false;
	uint64_t at = h.stubs + list_offset(h.stubs_end - h.stubs);
	const void *view = executable_view(exe, at, sizeof(head));
	if (!view)
		return false;
	memcpy(&head, view, sizeof(head));
	if (head.count > STUBS_SIZE_MAX / sizeof(struct replaced))
		return false;
	const uint8_t *list =
		executable_view(exe, at + sizeof(head), head.count * sizeof(struct replaced));
	struct replaced place;
	for (size_t i = 0; list && i < head.count; i++) {
		memcpy(&place, list + i * sizeof(place), sizeof(place));
		if (!is_ours(exe, &h, &place))
			return false;
	}
	for (size_t i = 0; list && i < head.count; i++) {
		memcpy(&place, list + i * sizeof(place), sizeof(place));
		executable_overwrite(exe, place.addr, place.old, sizeof(place.old));
	}
	return list != NULL;
}

/* Builds the stubs, and behind them the list of what they replace: *ret_size bytes. */
static enum status make_code(const struct plan *plan, const struct stubs_options *how,
			     struct stubs *stubs, uint8_t **ret, size_t *ret_size,
			     struct error *err)
{
	if (stubs_build(plan, how, stubs, err) != OK)
		return FAILED;
	size_t at = list_offset(stubs->size);
	size_t size =
		at + sizeof(struct replaced_list) + stubs->patch_count * sizeof(struct replaced);
	size = (size + PAGE - 1) / PAGE * PAGE;
	uint8_t *code = calloc(1, size);
	if (!code)
		return error_nomem(err);
	memcpy(code, stubs->bytes, stubs->size);
	struct replaced_list head = {.count = stubs->patch_count};
	memcpy(code + at, &head, sizeof(head));
	at += sizeof(head);
	for (size_t i = 0; i < stubs->patch_count; i++, at += sizeof(struct replaced)) {
		struct replaced place = {.addr = stubs->patches[i].addr};
		memcpy(place.old, stubs->patches[i].old, sizeof(place.old));
		memcpy(code + at, &place, sizeof(place));
	}
	*ret = code;
	*ret_size = size;
	return OK;
}

/* Writes the jumps into our copy of the file. */
static enum status redirect(struct executable *file, const struct stubs *stubs, struct error *err)
{
	for (size_t i = 0; i < stubs->patch_count; i++) {
		const struct patch *patch = &stubs->patches[i];
		const void *now = executable_view(file, patch->addr, sizeof(patch->old));
		if (!now || memcmp(now, patch->old, sizeof(patch->old)) != 0 ||
		    !executable_overwrite(file, patch->addr, patch->new, sizeof(patch->new)))
			return error_at(err, ERROR_MISMATCH, patch->addr,
					"the code at 0x%" PRIx64 " changed while it was being read",
					patch->addr);
	}
	return OK;
}

static void cleanup_plan(struct plan *plan)
{
	plan_done(plan);
}

static void cleanup_stubs(struct stubs *stubs)
{
	stubs_done(stubs);
}

#define AUTO_STUBS __attribute__((cleanup(cleanup_stubs)))

/* Where stubs and table will lie depends on their sizes, and those on nothing that is not known: first
 * they are built for where they might lie. */
static enum status find_place(const struct plan *plan, const struct executable *file,
			      struct extension_parts *parts, struct stubs_options *how,
			      struct extension *ret, struct error *err)
{
	AUTO_STUBS struct stubs stubs = {0};
	AUTO_FREE uint8_t *code = NULL;
	how->addr = plan->etext;
	how->table = plan->etext + STUBS_SIZE_MAX;
	if (make_code(plan, how, &stubs, &code, &parts->code_size, err) != OK ||
	    extension_place(file, parts, ret, err) != OK)
		return FAILED;
	how->addr = ret->code_addr;
	how->table = ret->data_addr;
	return OK;
}

enum status graft_write(struct runtime *rt, struct executable *file,
			const struct graft_options *options, int fd, struct graft *ret,
			struct error *err)
{
	__attribute__((cleanup(cleanup_plan))) struct plan plan = {0};
	AUTO_STUBS struct stubs stubs = {0};
	AUTO_FREE uint8_t *code = NULL;
	struct extension place;
	struct stubs_options how = {
		.line_bits = options->line_bits ? options->line_bits : RECORD_LINE_BITS,
		.times = !options->no_times,
		.callers = true,
	};
	struct records_header header = {
		.line_bits = how.line_bits,
		.flags = how.times ? RECORDS_TIMES : 0,
		.size = records_size(how.line_bits),
	};
	struct extension_parts parts = {
		.code_name = ".mapcrash.stubs",
		.data = &header,
		.data_size = sizeof(header),
		.data_memsz = header.size,
		.data_name = ".mapcrash.table",
		.zeros_name = ".mapcrash.lines",
	};
	if (graft_is_in(file))
		return error_set(err, ERROR_UNSUPPORTED,
				 "the program is patched already: it records by itself");
	if (plan_make(rt, &plan, err) != OK || (how.times && plan_add_gogo(rt, &plan, err) != OK) ||
	    find_place(&plan, file, &parts, &how, &place, err) != OK ||
	    make_code(&plan, &how, &stubs, &code, &parts.code_size, err) != OK ||
	    redirect(file, &stubs, err) != OK)
		return FAILED;
	memcpy(header.magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE);
	header.text = plan.text;
	header.stubs = place.code_addr;
	header.stubs_end = place.code_addr + stubs.size;
	header.linked_at = place.data_addr;
	parts.code = code;
	if (extension_write(file, &parts, &place, fd, err) != OK)
		return FAILED;
	*ret = (struct graft){plan.sets, plan.clears, plan.fatals, place.moves_headers};
	return OK;
}
