#include "report/layout.h"

#include <inttypes.h>
#include <string.h>

#include "go/pointers.h"

/* The part of struct layout that a struct of the runtime is, or NULL. */
static const struct layout_part *part_of(const char *name)
{
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	for (size_t p = 0; p < count; p++) {
		for (size_t i = 0; i < 3 && parts[p].structs[i]; i++) {
			const char *slash = strrchr(parts[p].structs[i], '/');
			if (strcmp(parts[p].structs[i], name) == 0 ||
			    (slash && strcmp(slash + 1, name) == 0))
				return &parts[p];
		}
	}
	return NULL;
}

static bool part_reads(const struct layout_part *part, const char *field)
{
	for (size_t i = 0; i < part->count; i++) {
		for (size_t n = 0; n < 3 && part->fields[i].paths[n]; n++)
			if (strcmp(part->fields[i].paths[n], field) == 0)
				return true;
	}
	return false;
}

/* Structs of more fields than this show those only that mapcrash reads, unless all are asked for. */
enum { FIELDS_SHORT = 20 };

/* Masks of more words than this, which fit into no line, are shown only where all is asked for. */
enum { WORDS_SHORT = 64 };

static void source_text(struct page *page, const struct runtime *rt, const struct struct_layout *s)
{
	page_style(page, STYLE_DIM, "  (%s%s%s)\n", struct_source_name(s->source),
		   s->source == STRUCT_TABLE ? " of " : "",
		   s->source == STRUCT_TABLE ? rt->layout.source : "");
}

static void title_text(struct page *page, const struct runtime *rt, const struct struct_layout *s)
{
	uint64_t padding = 0;
	if (s->has_size)
		page_printf(page, "  %" PRIu64 " bytes", s->size);
	if (s->align) {
		for (size_t i = 0; i < s->count; i++)
			padding += struct_padding(s, i);
		page_printf(page, ", align %u, ", s->align);
		if (padding)
			page_printf(page, "%" PRIu64 " of padding", padding);
		else
			page_printf(page, "no padding");
	}
	source_text(page, rt, s);
}

/* One character a word: which the collector follows. */
static void mask_text(struct page *page, struct runtime *rt, uint64_t type, bool all)
{
	struct pointer_mask mask;
	struct type t;
	struct error why;
	if (!type)
		return;
	if (type_read(rt, type, &t, &why) == OK && t.size / 8 > WORDS_SHORT && !all)
		return;
	if (type_read(rt, type, &t, &why) != OK || pointer_mask_read(rt, type, &mask, &why) != OK) {
		notes_add_error(rt->notes, "go", "pointer mask", &why);
		return;
	}
	page_printf(page, "  pointers  ");
	if (!mask.words) {
		page_printf(page, "none: the collector does not look into it\n");
		return;
	}
	/* Words behind the last pointer are not looked at either. */
	for (uint64_t i = 0; i < t.size / 8 && i < POINTER_WORDS_MAX; i++)
		fputc(pointer_mask_has(&mask, i * 8) ? '*' : '.', page->out);
	page_printf(page, "  (a word each; %s", pointer_source_name(mask.source));
	if (mask.addr)
		page_printf(page, " at 0x%" PRIx64, mask.addr);
	page_printf(page, ")\n");
}

static void fields_text(struct page *page, const struct struct_layout *s, bool all)
{
	const struct layout_part *part = all || s->count <= FIELDS_SHORT ? NULL : part_of(s->name);
	size_t left_out = 0;
	page_style(page, STYLE_DIM, "  %8s %6s %6s  %-16s %s\n", "offset", "size", "align", "field",
		   "type");
	for (size_t i = 0; i < s->count; i++) {
		const struct struct_field *f = &s->list[i];
		uint64_t padding = struct_padding(s, i);
		if (part && !part_reads(part, f->name)) {
			left_out++;
			continue;
		}
		page_printf(page, "  %8" PRIu64 " ", f->offset);
		if (f->has_size)
			page_printf(page, "%6" PRIu64 " ", f->size);
		else
			page_printf(page, "%6s ", "");
		if (f->align)
			page_printf(page, "%6u  ", f->align);
		else
			page_printf(page, "%6s  ", "");
		page_cell(page, f->name, 16);
		fputc(' ', page->out);
		page_text(page, f->type ? f->type : "");
		fputc('\n', page->out);
		if (padding && !part)
			page_style(page, STYLE_YELLOW, "  %8" PRIu64 " %6" PRIu64 " %6s  padding\n",
				   f->offset + f->size, padding, "");
	}
	if (left_out)
		page_style(page, STYLE_DIM,
			   "  ... %zu fields that mapcrash does not read (--all)\n", left_out);
}

static void map_type_text(struct page *page, struct runtime *rt, const struct shown_layout *l)
{
	const struct map_type *t = &l->map;
	page_text(page, type_name(rt, t->type.addr));
	page_printf(page,
		    "  map type 0x%" PRIx64 ": keys of %" PRIu64 " bytes%s, elements of %" PRIu64
		    "%s\n",
		    t->type.addr, t->key_size, t->indirect_key ? " (slots point to them)" : "",
		    t->elem_size, t->indirect_elem ? " (slots point to them)" : "");
	page_style(page, STYLE_BOLD, "%s", rt->swiss ? "group" : "bucket");
}

void layout_text(struct page *page, struct runtime *rt, const struct shown_layout *list,
		 size_t count, bool all)
{
	page_text(page, rt->version.text);
	page_printf(page, " %s, %s\n", rt->target->arch == ARCH_ARM64 ? "arm64" : "amd64",
		    rt->swiss ? "Swiss maps" : "bucket maps");
	for (size_t i = 0; i < count; i++) {
		const struct shown_layout *l = &list[i];
		fputc('\n', page->out);
		if (l->is_map)
			map_type_text(page, rt, l);
		else
			page_text(page, l->layout.name);
		title_text(page, rt, &l->layout);
		fields_text(page, &l->layout, all);
		mask_text(page, rt, l->layout.type, all || l->is_map);
		if (l->has_slot) {
			page_style(page, STYLE_BOLD, "slot");
			title_text(page, rt, &l->slot);
			fields_text(page, &l->slot, all);
		}
	}
}

static void mask_json(struct json *json, struct runtime *rt, uint64_t type)
{
	struct pointer_mask mask;
	struct error why;
	if (!type || pointer_mask_read(rt, type, &mask, &why) != OK) {
		if (type)
			notes_add_error(rt->notes, "go", "pointer mask", &why);
		json_null(json, "pointers");
		return;
	}
	json_object(json, "pointers");
	json_string(json, "source", pointer_source_name(mask.source));
	json_addr(json, "address", mask.addr);
	json_array(json, "offsets");
	for (size_t i = 0; i < mask.words; i++)
		if (pointer_mask_has(&mask, i * 8))
			json_uint(json, NULL, i * 8);
	json_end_array(json);
	json_end_object(json);
}

static void json_optional(struct json *json, const char *name, bool has, uint64_t value)
{
	if (has)
		json_uint(json, name, value);
	else
		json_null(json, name);
}

static void struct_json(struct json *json, struct runtime *rt, const char *name,
			const struct struct_layout *s)
{
	json_object(json, name);
	json_string(json, "name", s->name);
	json_string(json, "from", struct_source_name(s->source));
	json_addr(json, "type_address", s->type);
	json_optional(json, "size", s->has_size, s->size);
	json_optional(json, "align", s->align, s->align);
	json_array(json, "fields");
	for (size_t i = 0; i < s->count; i++) {
		const struct struct_field *f = &s->list[i];
		json_object(json, NULL);
		json_string(json, "name", f->name);
		json_string(json, "type", f->type);
		json_uint(json, "offset", f->offset);
		json_optional(json, "size", f->has_size, f->size);
		json_optional(json, "align", f->align, f->align);
		json_optional(json, "padding", f->has_size, struct_padding(s, i));
		json_end_object(json);
	}
	json_end_array(json);
	mask_json(json, rt, s->type);
	json_end_object(json);
}

static void map_type_json(struct json *json, struct runtime *rt, const struct shown_layout *l)
{
	const struct map_type *t = &l->map;
	json_object(json, NULL);
	json_string(json, "type", type_name(rt, t->type.addr));
	json_addr(json, "address", t->type.addr);
	json_uint(json, "key_size", t->key_size);
	json_uint(json, "elem_size", t->elem_size);
	json_bool(json, "indirect_key", t->indirect_key);
	json_bool(json, "indirect_elem", t->indirect_elem);
	struct_json(json, rt, rt->swiss ? "group" : "bucket", &l->layout);
	if (l->has_slot)
		struct_json(json, rt, "slot", &l->slot);
	json_end_object(json);
}

static void claims_json(struct json *json, const struct claim *claims, size_t count)
{
	if (!count) {
		json_null(json, "claims");
		return;
	}
	json_array(json, "claims");
	for (size_t i = 0; i < count; i++) {
		json_object(json, NULL);
		json_string(json, "chapter", claims[i].chapter);
		json_string(json, "said", claims[i].said);
		json_string(json, "verdict", claim_verdict_name(claims[i].verdict));
		json_string(json, "measured", claims[i].measured);
		json_end_object(json);
	}
	json_end_array(json);
}

void layout_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		 const struct shown_layout *list, size_t count, const struct claim *claims,
		 size_t claim_count)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.layout/1", rt, source);
	json_string(&json, "kind", rt->swiss ? "swiss" : "hmap");
	json_array(&json, "structs");
	for (size_t i = 0; i < count; i++)
		if (!list[i].is_map)
			struct_json(&json, rt, NULL, &list[i].layout);
	json_end_array(&json);
	json_array(&json, "maps");
	for (size_t i = 0; i < count; i++)
		if (list[i].is_map)
			map_type_json(&json, rt, &list[i]);
	json_end_array(&json);
	claims_json(&json, claims, claim_count);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
}

void claims_text(struct page *page, const struct runtime *rt, const struct claim *claims,
		 size_t count)
{
	static const enum style styles[] = {
		[CLAIM_FALSE] = STYLE_RED,
		[CLAIM_TRUE] = STYLE_GREEN,
		[CLAIM_UNDECIDED] = STYLE_YELLOW,
	};
	unsigned of[3] = {0};
	for (size_t i = 0; i < count; i++)
		of[claims[i].verdict]++;
	page_text(page, rt->version.text);
	page_printf(page, " %s: of %zu claims %u are true, %u false",
		    rt->target->arch == ARCH_ARM64 ? "arm64" : "amd64", count, of[CLAIM_TRUE],
		    of[CLAIM_FALSE]);
	if (of[CLAIM_UNDECIDED])
		page_printf(page, ", %u undecided", of[CLAIM_UNDECIDED]);
	page_style(page, STYLE_BOLD, "\n\nchapter\n");
	for (size_t i = 0; i < count; i++) {
		page_printf(page, "%7s  ", claims[i].chapter);
		page_style(page, styles[claims[i].verdict], "%-9s",
			   claim_verdict_name(claims[i].verdict));
		page_printf(page, "  %s\n%20s", claims[i].said, "");
		page_text(page, claims[i].measured);
		fputc('\n', page->out);
	}
}
