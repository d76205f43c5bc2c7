#include "report/writers.h"

#include <inttypes.h>
#include <string.h>

#include "go/frames.h"
#include "go/type.h"
#include "insn/insn.h"

/* Names as the JSON has them. */
static const char *const how_names[] = {
	[SITE_CODE] = "constant",
	[SITE_SHAPE] = "shape",
	[SITE_DICTIONARY] = "dictionary",
	[SITE_REFLECT] = "reflection",
};

/* One site with its places in the source. */
struct row {
	const struct map_site *site;
	struct function fn;
	struct source_frame source[SOURCE_FRAMES_MAX];
	size_t source_count; /* at least 1 */
	const char *callee; /* NULL unknown */
};

static void read_row(struct runtime *rt, const struct map_site *site, struct row *ret)
{
	struct insn insn;
	struct function callee;
	uint8_t code[INSN_LENGTH_MAX];
	size_t n = site->next - site->call;
	*ret = (struct row){.site = site};
	if (pclntab_at(rt->pclntab, site->function, &ret->fn))
		ret->source_count = pclntab_source(rt->pclntab, &ret->fn, site->call, ret->source);
	if (n <= sizeof(code) && memory_read(rt->target->memory, site->call, code, n, NULL) == OK &&
	    insn_decode_flow(rt->target->arch, code, n, site->call, &insn) && insn.has_target &&
	    pclntab_find(rt->pclntab, insn.target, &callee))
		ret->callee = callee.name;
}

/* Whether the site writes maps of the type, and not only perhaps. */
static bool is_sure(const struct map_site *site)
{
	return site->type && site->how != SITE_SHAPE;
}

static const char *how_name(const struct map_site *site)
{
	return site->type || site->how == SITE_REFLECT ? how_names[site->how] : "unknown";
}

/* Columns of the function's name; longer ones push. */
enum { FUNCTION_COLUMNS = 40 };

static void row_text(struct page *page, struct runtime *rt, const struct row *row, bool any_type)
{
	const struct map_site *site = row->site;
	page_printf(page, "  %-7s ", operation_name(site->operation));
	page_cell(page, row->source[0].function, FUNCTION_COLUMNS);
	page_printf(page, " 0x%" PRIx64 "  ", site->call);
	page_text(page, row->source[0].file);
	page_printf(page, ":%" PRId32, row->source[0].line);
	if (any_type && site->type) {
		page_printf(page, "  ");
		page_text(page, type_name(rt, site->type));
	}
	if (site->how == SITE_REFLECT)
		page_style(page, STYLE_DIM, "  %sreflection", site->type ? "" : "any type: ");
	else if (!site->type)
		page_style(page, STYLE_DIM, "  any type: not all ways to it are known");
	else if (site->how == SITE_SHAPE)
		page_style(page, STYLE_DIM, "  generic: any type of this shape");
	else if (site->how == SITE_DICTIONARY)
		page_style(page, STYLE_DIM, "  generic: the type comes from its callers");
	fputc('\n', page->out);
	for (size_t i = 1; i < row->source_count; i++) {
		page_printf(page, "            inlined into ");
		page_text(page, row->source[i].function);
		page_printf(page, "  ");
		page_text(page, row->source[i].file);
		page_printf(page, ":%" PRId32 "\n", row->source[i].line);
	}
}

void writers_text(struct page *page, struct runtime *rt, uint64_t type,
		  const struct map_sites *sites)
{
	size_t known = 0;
	for (size_t i = 0; i < sites->count; i++)
		known += is_sure(&sites->list[i]);
	page_text(page, rt->version.text);
	page_printf(page, ", %s: ", rt->target->arch == ARCH_ARM64 ? "arm64" : "amd64");
	if (type) {
		page_text(page, type_name(rt, type));
		page_printf(page,
			    " (0x%" PRIx64 ") is written at %zu places, and maybe at %zu more\n\n",
			    type, known, sites->count - known);
	} else {
		page_printf(page,
			    "maps are written at %zu places, %zu of them of more than one type\n\n",
			    sites->count, sites->count - known);
	}
	/* What is sure stands first. */
	for (int sure = 1; sure >= 0; sure--) {
		for (size_t i = 0; i < sites->count; i++) {
			struct row row;
			if (is_sure(&sites->list[i]) != sure)
				continue;
			read_row(rt, &sites->list[i], &row);
			row_text(page, rt, &row, !type);
		}
	}
}

static void place_members(struct json *json, const struct source_frame *frame)
{
	json_string(json, "function", frame->function);
	json_string(json, "file", frame->file);
	json_int(json, "line", frame->line);
}

static void row_member(struct json *json, struct runtime *rt, const struct row *row)
{
	const struct map_site *site = row->site;
	json_object(json, NULL);
	json_string(json, "operation", operation_name(site->operation));
	place_members(json, &row->source[0]);
	json_addr(json, "pc", site->call);
	json_array(json, "inlined_into");
	for (size_t i = 1; i < row->source_count; i++) {
		json_object(json, NULL);
		place_members(json, &row->source[i]);
		json_end_object(json);
	}
	json_end_array(json);
	json_string(json, "calls", row->callee);
	json_string(json, "type_from", how_name(site));
	json_string(json, "type", site->type ? type_name(rt, site->type) : NULL);
	json_addr(json, "type_address", site->type);
	json_end_object(json);
}

void writers_json(FILE *out, struct runtime *rt, const struct explain_source *source, uint64_t type,
		  const struct map_sites *sites)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.writers/1", rt, source);
	json_string(&json, "type", type ? type_name(rt, type) : NULL);
	json_addr(&json, "type_address", type);
	json_array(&json, "sites");
	for (size_t i = 0; i < sites->count; i++) {
		struct row row;
		read_row(rt, &sites->list[i], &row);
		row_member(&json, rt, &row);
	}
	json_end_array(&json);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
}
