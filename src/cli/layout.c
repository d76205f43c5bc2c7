#include "report/layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/session.h"

struct layouts {
	struct shown_layout *list;
	size_t count, cap;
};

static void layouts_done(struct layouts *layouts)
{
	for (size_t i = 0; i < layouts->count; i++) {
		struct_layout_done(&layouts->list[i].layout);
		struct_layout_done(&layouts->list[i].slot);
	}
	free(layouts->list);
}
#define AUTO_LAYOUTS __attribute__((cleanup(layouts_done)))

static enum status add(struct layouts *layouts, struct shown_layout *shown, struct error *err)
{
	if (ARRAY_PUSH(layouts->list, layouts->count, layouts->cap, *shown))
		return OK;
	struct_layout_done(&shown->layout);
	struct_layout_done(&shown->slot);
	return error_nomem(err);
}

/* A map type's bucket; of a group, whose slots are an array, the slot as well. */
static enum status add_map(struct session *s, struct layouts *layouts, uint64_t type)
{
	struct shown_layout shown = {.is_map = true};
	struct type slots, slot;
	if (type_read_map(s->rt, type, &shown.map, &s->error) != OK ||
	    struct_layout_of_type(s->rt, shown.map.bucket, &shown.layout, &s->error) != OK)
		return FAILED;
	struct type group;
	struct field field;
	shown.has_slot = s->rt->swiss && type_read(s->rt, shown.map.bucket, &group, NULL) == OK &&
			 type_field(s->rt, &group, 1, &field, NULL) == OK &&
			 type_read(s->rt, field.type, &slots, NULL) == OK &&
			 slots.kind == KIND_ARRAY &&
			 type_read(s->rt, slots.elem, &slot, NULL) == OK &&
			 slot.kind == KIND_STRUCT && strcmp(field.name, "slots") == 0 &&
			 struct_layout_of_type(s->rt, slots.elem, &shown.slot, NULL) == OK;
	return add(layouts, &shown, &s->error);
}

/* The struct called name; of the runtime's, the package may be left out ("hmap", "Map"). */
static enum status read_struct(struct session *s, const char *name, struct struct_layout *ret)
{
	static const char *const packages[] = {"", "runtime.", "internal/runtime/maps."};
	enum status status = FAILED;
	for (size_t i = 0; i < 3 && status != OK; i++) {
		AUTO_TEXT struct text full = TEXT_INIT;
		text_append(&full, packages[i]);
		text_append(&full, name);
		status = struct_layout_read(s->rt, full.s, ret, &s->error);
		if (s->error.code != ERROR_NOT_FOUND || strchr(name, '.'))
			break;
	}
	return status;
}

/* What the user named: a map type, or a struct by its name or its descriptor's address. */
static enum status add_named(struct session *s, struct layouts *layouts, const char *name)
{
	uint64_t addr;
	struct type type;
	struct shown_layout shown = {0};
	bool is_addr = strncmp(name, "0x", 2) == 0 && operand_addr(name, &addr);
	if (is_addr || type_by_name(s->rt, name, &addr)) {
		if (type_read(s->rt, addr, &type, &s->error) != OK)
			return FAILED;
		if (type.kind == KIND_MAP)
			return add_map(s, layouts, addr);
	}
	enum status status = is_addr ? struct_layout_of_type(s->rt, addr, &shown.layout, &s->error)
				     : read_struct(s, name, &shown.layout);
	if (status != OK && s->error.code == ERROR_NOT_FOUND)
		return error_set(&s->error, ERROR_NOT_FOUND,
				 "the binary has no struct or map type called %.100s", name);
	return status == OK ? add(layouts, &shown, &s->error) : FAILED;
}

/* The structs of maps and goroutines. Those that a binary has no trace of are noted. */
static enum status add_runtime(struct session *s, struct layouts *layouts)
{
	static const char *const bucket_maps[] = {"runtime.hmap", "runtime.bmap",
						  "runtime.mapextra", "runtime.hiter"};
	static const char *const swiss_maps[] = {
		"internal/runtime/maps.Map", "internal/runtime/maps.table",
		"internal/runtime/maps.groupsReference", "internal/runtime/maps.Iter"};
	static const char *const common[] = {"runtime.gobuf", "runtime.g", "runtime.m"};
	const char *const *maps = s->rt->swiss ? swiss_maps : bucket_maps;
	for (size_t i = 0; i < 7; i++) {
		const char *name = i < 4 ? maps[i] : common[i - 4];
		struct shown_layout shown = {0};
		struct error why;
		if (struct_layout_read(s->rt, name, &shown.layout, &why) != OK)
			notes_add_error(&s->notes, "go", "layout", &why);
		else if (add(layouts, &shown, &s->error) != OK)
			return FAILED;
	}
	return OK;
}

int layout_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	AUTO_LAYOUTS struct layouts layouts = {0};
	struct claim claims[CLAIMS_MAX];
	size_t claim_count = 0;
	bool check = option_given(options, OPTION_CHECK);
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;
	for (int i = 1; i < options->operand_count; i++)
		if (add_named(&s, &layouts, options->operands[i]) != OK)
			return session_fail(&s);
	if (check)
		claim_count = claims_measure(s.rt, claims);
	else if (options->operand_count == 1 && add_runtime(&s, &layouts) != OK)
		return session_fail(&s);
	if (s.json) {
		layout_json(stdout, s.rt, &s.source, layouts.list, layouts.count, claims,
			    claim_count);
		return session_end(&s);
	}
	if (check)
		claims_text(&s.page, s.rt, claims, claim_count);
	if (layouts.count)
		layout_text(&s.page, s.rt, layouts.list, layouts.count,
			    option_given(options, OPTION_ALL));
	page_notes(&s.page, &s.notes);
	return session_end(&s);
}
