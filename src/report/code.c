#include "report/code.h"

#include <inttypes.h>
#include <string.h>

#include "go/frames.h"
#include "insn/insn.h"

/* Names as the JSON has them. */
static const char *const kind_names[] = {
	[FLAG_CHECK] = "check",	  [FLAG_SET] = "set",	  [FLAG_CLEAR] = "clear",
	[FLAG_TOGGLE] = "toggle", [FLAG_FATAL] = "fatal", [FLAG_ITERATOR] = "iterator",
	[FLAG_OTHER] = "other",
};
static const char *const role_names[] = {
	[FLAG_CHECK_NONE] = NULL,
	[FLAG_CHECK_ENTRY] = "entry",
	[FLAG_CHECK_EXIT] = "exit",
};
static const char *const window_names[] = {
	[FLAG_WINDOW_UNKNOWN] = "unknown", [FLAG_WINDOW_BEFORE] = "before",
	[FLAG_WINDOW_INSIDE] = "inside",   [FLAG_WINDOW_AFTER] = "after",
	[FLAG_WINDOW_OUTSIDE] = "outside", [FLAG_WINDOW_FATAL] = "fatal",
};

/* One instruction, or bytes that are none. */
struct line {
	uint64_t addr;
	const uint8_t *bytes;
	unsigned length;
	bool has_target;
	uint64_t target;
	const struct flag_site *site; /* NULL: does nothing to the flag */
	bool part; /* leads up to the site */
	enum flag_window window;
	struct source_frame source; /* innermost; file NULL unknown */
};

/* Decodes the line at offset of the code; returns how far the next one is. */
static unsigned read_line(struct runtime *rt, const struct map_code *code, uint64_t offset,
			  struct line *ret)
{
	struct insn insn;
	enum arch arch = rt->target->arch;
	uint64_t addr = code->function.entry + offset;
	struct line line = {.addr = addr, .bytes = code->bytes + offset};
	if (insn_decode_flow(arch, line.bytes, code->size - offset, addr, &insn)) {
		line.length = insn.length;
		line.has_target = insn.has_target;
		line.target = insn.target;
	} else {
		line.length = insn_step(arch);
		if (line.length > code->size - offset)
			line.length = (unsigned)(code->size - offset);
	}
	line.site = map_code_site(code, addr, &line.part);
	if (code->sites.windows)
		line.window = flagsites_window(&code->sites, addr, true);
	struct source_frame frames[SOURCE_FRAMES_MAX];
	if (pclntab_source(rt->pclntab, &code->function, addr, frames) > 0)
		line.source = frames[0];
	*ret = line;
	return line.length;
}

/* Whether target is in a known function, which is *ret. */
static bool target_function(struct runtime *rt, const struct line *line, struct function *ret)
{
	return line->has_target && pclntab_find(rt->pclntab, line->target, ret);
}

/* What the instruction does to the flag, in words; "" nothing. */
static void append_effect(const struct map_code *code, const struct line *line, struct text *text)
{
	const struct flag_site *site = line->site;
	if (!site)
		return;
	if (line->part) {
		text_printf(text, "  for +%" PRIx64, site->addr - code->function.entry);
		return;
	}
	switch (site->kind) {
	case FLAG_CHECK:
		if (site->role == FLAG_CHECK_NONE)
			text_append(text, "tests it");
		else
			text_printf(text, "check at %s, else +%" PRIx64, role_names[site->role],
				    site->fatal - code->function.entry);
		break;
	case FLAG_SET:
		text_append(text, "SET");
		break;
	case FLAG_CLEAR:
		text_append(text, "CLEAR");
		break;
	case FLAG_TOGGLE:
		text_append(text, "set or clear");
		break;
	case FLAG_FATAL:
		text_append(text, "FATAL");
		if (site->check)
			text_printf(text, " of +%" PRIx64, site->check - code->function.entry);
		break;
	case FLAG_ITERATOR:
		text_append(text, "marks an iterator");
		break;
	case FLAG_OTHER:
		text_append(text, "another bit of it");
		break;
	}
}

/* Columns of bytes and of text: most instructions fit, longer ones push. */
enum { BYTES_COLUMNS = 30, TEXT_COLUMNS = 44 };

static enum style style_of(const struct line *line)
{
	if (!line->site || line->part)
		return STYLE_PLAIN;
	switch (line->site->kind) {
	case FLAG_FATAL:
		return STYLE_RED;
	case FLAG_CHECK:
		return STYLE_YELLOW;
	default:
		return STYLE_BOLD;
	}
}

static void line_text(struct page *page, struct runtime *rt, const struct map_code *code,
		      const struct line *line)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	AUTO_TEXT struct text effect = TEXT_INIT;
	struct function callee;
	int used = 0;
	page_printf(page, "  %" PRIx64 " %5s%-4" PRIx64 "%s ", line->addr, "+",
		    line->addr - code->function.entry,
		    line->window == FLAG_WINDOW_INSIDE	? "|"
		    : line->window == FLAG_WINDOW_FATAL ? "!"
							: " ");
	for (unsigned i = 0; i < line->length; i++)
		used += fprintf(page->out, "%02x ", line->bytes[i]);
	page_printf(page, "%*s", used < BYTES_COLUMNS ? BYTES_COLUMNS - used : 0, "");
	insn_text(rt->target->arch, line->bytes, line->length, line->addr, &text);
	if (target_function(rt, line, &callee)) {
		bool here = callee.entry == code->function.entry;
		text_printf(&text, " <%s", here ? "" : callee.name);
		if (here || line->target != callee.entry)
			text_printf(&text, "+%" PRIx64, line->target - callee.entry);
		text_append_char(&text, '>');
	}
	append_effect(code, line, &effect);
	if (effect.len == 0) {
		page_text(page, text.s);
	} else {
		page_cell(page, text.s, TEXT_COLUMNS);
		page_style(page, style_of(line), " %s", effect.s);
	}
	fputc('\n', page->out);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

/* The source line that the next instructions come from. */
static void source_text(struct page *page, const struct source_frame *frame)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	if (!frame->file)
		return;
	page_printf(page, "\n  ");
	page_text(page, base_name(frame->file));
	page_printf(page, ":%" PRId32, frame->line);
	if (page->source && page->source(page->source_context, frame->file, frame->line, &text)) {
		size_t from = 0;
		while (from < text.len && (text.s[from] == '\t' || text.s[from] == ' '))
			from++;
		page_printf(page, "    ");
		page_text(page, text.s + from);
	}
	if (frame->inlined) {
		page_style(page, STYLE_DIM, "    inlined from ");
		page_text(page, frame->function);
	}
	fputc('\n', page->out);
}

/* "checks +37 +2a0, sets +7c": the offsets of each kind of site. */
static void summary_text(struct page *page, const struct map_code *code)
{
	static const char *const words[] = {
		[FLAG_CHECK] = "checks",     [FLAG_SET] = "sets",
		[FLAG_CLEAR] = "clears",     [FLAG_TOGGLE] = "toggles",
		[FLAG_FATAL] = "fatal",	     [FLAG_ITERATOR] = "marks iterators",
		[FLAG_OTHER] = "other bits",
	};
	const char *gap = "  ";
	for (unsigned kind = 0; kind < sizeof(words) / sizeof(words[0]); kind++) {
		bool any = false;
		for (size_t i = 0; i < code->sites.count; i++) {
			const struct flag_site *site = &code->sites.list[i];
			if (site->kind != kind)
				continue;
			page_printf(page, "%s%s +%" PRIx64, any ? "" : gap, any ? "" : words[kind],
				    site->addr - code->function.entry);
			any = true;
		}
		if (any)
			gap = ", ";
	}
	if (code->sites.count)
		fputc('\n', page->out);
}

static void function_text(struct page *page, struct runtime *rt, const struct map_code *code,
			  bool all)
{
	struct source_frame shown = {0};
	page_text(page, code->function.name);
	page_printf(page, "  0x%" PRIx64 "-0x%" PRIx64 ", %" PRIu64 " bytes", code->function.entry,
		    code->function.entry + code->size, code->size);
	if (code->has_file_offset)
		page_printf(page, ", file offset 0x%" PRIx64, code->file_offset);
	fputc('\n', page->out);
	summary_text(page, code);
	for (uint64_t at = 0; at < code->size;) {
		struct line line;
		at += read_line(rt, code, at, &line);
		if (!all && !line.site)
			continue;
		if (line.source.file != shown.file || line.source.line != shown.line) {
			source_text(page, &line.source);
			shown = line.source;
		}
		line_text(page, rt, code, &line);
	}
	fputc('\n', page->out);
}

void code_text(struct page *page, struct runtime *rt, const struct map_codes *codes, bool all)
{
	page_text(page, rt->version.text);
	page_printf(page, ", %s, %s: the flag is %s of the map's header\n",
		    rt->target->arch == ARCH_ARM64 ? "arm64" : "amd64",
		    rt->swiss ? "Swiss maps" : "bucket maps",
		    rt->swiss ? "the byte at 34 (writing)" : "bit 4 of the byte at 8 (flags)");
	page_printf(page, "At the left: | between set and clear, ! on the way to fatal.\n\n");
	for (size_t i = 0; i < codes->count; i++)
		function_text(page, rt, &codes->list[i], all);
}

static void hex_member(struct json *json, const uint8_t *bytes, unsigned n)
{
	char hex[2 * INSN_LENGTH_MAX + 1] = "";
	for (unsigned i = 0; i < n && i < INSN_LENGTH_MAX; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	json_string(json, "bytes", hex);
}

static void line_member(struct json *json, struct runtime *rt, const struct line *line)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	struct function callee;
	insn_text(rt->target->arch, line->bytes, line->length, line->addr, &text);
	json_object(json, NULL);
	json_addr(json, "address", line->addr);
	hex_member(json, line->bytes, line->length);
	json_string(json, "text", text.s);
	json_string(json, "target", target_function(rt, line, &callee) ? callee.name : NULL);
	json_string(json, "file", line->source.file);
	json_int(json, "line", line->source.line);
	json_string(json, "inlined", line->source.inlined ? line->source.function : NULL);
	json_string(json, "flag", line->site ? kind_names[line->site->kind] : NULL);
	json_bool(json, "part", line->part);
	json_string(json, "window", window_names[line->window]);
	json_end_object(json);
}

static void site_member(struct json *json, struct runtime *rt, const struct flag_site *site)
{
	json_object(json, NULL);
	json_string(json, "kind", kind_names[site->kind]);
	json_string(json, "role", role_names[site->role]);
	json_addr(json, "address", site->addr);
	json_addr(json, "end", site->end);
	json_addr(json, "run", site->run);
	json_bool(json, "run_is_pure", site->run_is_pure);
	json_string(json, "map_register",
		    site->map_reg == INSN_NO_REG ? NULL
						 : regs_name(rt->target->arch, site->map_reg));
	json_addr(json, "fatal", site->fatal);
	json_addr(json, "check", site->check);
	json_end_object(json);
}

static void function_member(struct json *json, struct runtime *rt, const struct map_code *code)
{
	json_object(json, NULL);
	json_string(json, "name", code->function.name);
	json_addr(json, "address", code->function.entry);
	json_uint(json, "size", code->size);
	if (code->has_file_offset)
		json_uint(json, "file_offset", code->file_offset);
	else
		json_null(json, "file_offset");
	if (flagsites_is_map_function(code->function.name))
		json_bool(json, "complete", code->sites.complete);
	else
		json_null(json, "complete");
	json_array(json, "sites");
	for (size_t i = 0; i < code->sites.count; i++)
		site_member(json, rt, &code->sites.list[i]);
	json_end_array(json);
	json_array(json, "instructions");
	for (uint64_t at = 0; at < code->size;) {
		struct line line;
		at += read_line(rt, code, at, &line);
		line_member(json, rt, &line);
	}
	json_end_array(json);
	json_end_object(json);
}

void code_json(FILE *out, struct runtime *rt, const struct explain_source *source,
	       const struct map_codes *codes)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.code/1", rt, source);
	json_string(&json, "kind", rt->swiss ? "swiss" : "hmap");
	json_array(&json, "functions");
	for (size_t i = 0; i < codes->count; i++)
		function_member(&json, rt, &codes->list[i]);
	json_end_array(&json);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
}
