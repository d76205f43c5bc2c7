#include "report/stores.h"

#include <inttypes.h>
#include <string.h>

#include "go/frames.h"
#include "insn/insn.h"

/* Names as the JSON has them. */
static const char *const form_names[] = {
	[STORE_MOVE] = "store",	   [STORE_MODIFY] = "modify",	 [STORE_EXCHANGE] = "exchange",
	[STORE_STRING] = "string", [STORE_PASSED] = "passes on",
};

enum status stores_report_make(struct runtime *rt, uint64_t addr, struct stores_report *ret,
			       struct error *err)
{
	const struct module *m = &rt->module;
	struct stores_report report = {.addr = addr};
	struct symbol symbol;
	report.is_global = addr >= m->noptrdata && addr < m->enoptrbss;
	if (report.is_global && target_symbol_at(rt->target, addr, &symbol)) {
		report.variable = symbol.name;
		report.offset = addr - symbol.addr;
	}
	report.has_goroutines = rt->target->kind != TARGET_EXECUTABLE;
	if ((report.is_global &&
	     stores_by_code(rt, addr - report.offset, addr, &report.code, err) != OK) ||
	    (report.has_goroutines &&
	     (goroutines_read(rt, &report.goroutines, err) != OK ||
	      stores_by_goroutines(rt, &report.goroutines, addr, &report.held, err) != OK))) {
		stores_report_done(&report);
		return FAILED;
	}
	*ret = report;
	return OK;
}

void stores_report_done(struct stores_report *report)
{
	stores_done(&report->code);
	stores_done(&report->held);
	goroutines_done(&report->goroutines);
}

/* An instruction as text, with what it calls. */
static void append_insn(struct runtime *rt, const struct store *store, struct text *text)
{
	uint8_t code[INSN_LENGTH_MAX];
	struct function callee;
	uint64_t left = store->function.end - store->pc;
	size_t n = left < sizeof(code) ? (size_t)left : sizeof(code);
	if (memory_read(rt->target->memory, store->pc, code, n, NULL) != OK)
		return;
	insn_text(rt->target->arch, code, n, store->pc, text);
	if (store->callee && pclntab_find(rt->pclntab, store->callee, &callee))
		text_printf(text, " <%s>", callee.name);
}

/* Columns of function and place; longer ones push. */
enum { FUNCTION_COLUMNS = 40, PLACE_COLUMNS = 24 };

static const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path;
}

static void store_text(struct page *page, struct runtime *rt, const struct store *store)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	AUTO_TEXT struct text place = TEXT_INIT;
	struct source_frame source[SOURCE_FRAMES_MAX];
	size_t count = pclntab_source(rt->pclntab, &store->function, store->pc, source);
	page_printf(page, "  %-9s %-7s ", form_names[store->form], store->atomic ? "atomic" : "");
	page_cell(page, source[0].function, FUNCTION_COLUMNS);
	text_printf(&place, " %s:%" PRId32, base_name(source[0].file), source[0].line);
	page_cell(page, place.s, PLACE_COLUMNS);
	page_printf(page, " 0x%" PRIx64 "  ", store->pc);
	append_insn(rt, store, &text);
	page_text(page, text.s);
	if (store->maybe)
		page_style(page, STYLE_DIM, "  one of several addresses");
	fputc('\n', page->out);
	for (size_t i = 1; i < count; i++) {
		page_printf(page, "                      inlined into ");
		page_text(page, source[i].function);
		page_printf(page, "  ");
		page_text(page, source[i].file);
		page_printf(page, ":%" PRId32 "\n", source[i].line);
	}
}

/* The number of the last store, from first on, of the same goroutine, plus one. */
static size_t goroutine_end(const struct stores *stores, size_t first)
{
	size_t end = first;
	while (end < stores->count && stores->list[end].g == stores->list[first].g)
		end++;
	return end;
}

static bool frame_holds(const struct stores *stores, size_t first, size_t end, size_t frame)
{
	for (size_t i = first; i < end; i++)
		if (stores->list[i].frame == frame)
			return true;
	return false;
}

/* Frames of a stack on the page. */
enum { TEXT_FRAMES_MAX = 40 };

/* The stack of a goroutine, with the frames marked that hold the address. */
static void stack_text(struct page *page, struct runtime *rt, const struct stores *stores,
		       size_t first, size_t end, const struct goroutine *goroutine)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frame frame;
	if (stack_walk_start(&walk, rt, goroutine, NULL) == OK) {
		for (size_t n = 0; n < TEXT_FRAMES_MAX && stack_walk_next(&walk, &frame); n++) {
			const struct source_frame *source;
			size_t count = frame_source(rt, &frame, &source);
			for (size_t i = 0; i < count; i++) {
				page_printf(page, "    %s ",
					    i + 1 == count && frame_holds(stores, first, end, n)
						    ? ">"
						    : " ");
				page_text(page, source[i].function);
				page_printf(page, "  ");
				page_text(page, source[i].file);
				page_printf(page, ":%" PRId32 "\n", source[i].line);
			}
		}
	}
	stack_walk_done(&walk);
}

static bool held_text(struct page *page, struct runtime *rt, const struct stores_report *report,
		      uint64_t limit)
{
	uint64_t shown = 0;
	for (size_t i = 0, end; i < report->held.count; i = end) {
		const struct goroutine *goroutine =
			goroutines_by_id(&report->goroutines, report->held.list[i].goroutine);
		end = goroutine_end(&report->held, i);
		if (limit && shown++ == limit) {
			page_printf(page, "\n... and more goroutines (--limit 0 shows all)\n");
			return false;
		}
		page_style(page, STYLE_BOLD, "\ngoroutine %" PRIu64, goroutine->id);
		page_printf(page, " [%s]\n", goroutine_state(rt, goroutine));
		for (size_t k = i; k < end; k++)
			store_text(page, rt, &report->held.list[k]);
		stack_text(page, rt, &report->held, i, end, goroutine);
	}
	return true;
}

bool stores_text(struct page *page, struct runtime *rt, const struct stores_report *report,
		 uint64_t limit)
{
	page_printf(page, "0x%" PRIx64, report->addr);
	if (report->variable) {
		page_printf(page, " is ");
		page_text(page, report->variable);
		if (report->offset)
			page_printf(page, "+0x%" PRIx64, report->offset);
	} else if (report->is_global) {
		page_printf(page, " is in a package variable");
	}
	fputc('\n', page->out);
	if (report->is_global) {
		page_style(page, STYLE_BOLD, "\nWritten by its address in the code: %zu places\n",
			   report->code.count);
		for (size_t i = 0; i < report->code.count; i++)
			store_text(page, rt, &report->code.list[i]);
	}
	if (!report->has_goroutines)
		return true;
	page_style(page, STYLE_BOLD, "\nWritten through what goroutines hold now: %zu places\n",
		   report->held.count);
	return held_text(page, rt, report, limit);
}

static void store_members(struct json *json, struct runtime *rt, const struct store *store)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	struct source_frame source[SOURCE_FRAMES_MAX];
	struct function callee;
	size_t count = pclntab_source(rt->pclntab, &store->function, store->pc, source);
	json_string(json, "form", form_names[store->form]);
	json_bool(json, "atomic", store->atomic);
	json_bool(json, "maybe", store->maybe);
	json_string(json, "function", source[0].function);
	json_string(json, "file", source[0].file);
	json_int(json, "line", source[0].line);
	json_addr(json, "pc", store->pc);
	append_insn(rt, store, &text);
	json_string(json, "text", text.s);
	json_string(json, "calls",
		    store->callee && pclntab_find(rt->pclntab, store->callee, &callee) ? callee.name
										       : NULL);
	json_array(json, "inlined_into");
	for (size_t i = 1; i < count; i++) {
		json_object(json, NULL);
		json_string(json, "function", source[i].function);
		json_string(json, "file", source[i].file);
		json_int(json, "line", source[i].line);
		json_end_object(json);
	}
	json_end_array(json);
}

static void stack_member(struct json *json, struct runtime *rt, const struct goroutine *goroutine)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frame frame;
	json_array(json, "stack");
	if (stack_walk_start(&walk, rt, goroutine, NULL) == OK) {
		for (size_t n = 0; n < FRAMES_REPORT_MAX && stack_walk_next(&walk, &frame); n++) {
			const struct source_frame *source;
			size_t count = frame_source(rt, &frame, &source);
			for (size_t i = 0; i < count; i++) {
				json_object(json, NULL);
				json_uint(json, "frame", n);
				json_string(json, "function", source[i].function);
				json_string(json, "file", source[i].file);
				json_int(json, "line", source[i].line);
				json_addr(json, "pc", frame.pc);
				json_end_object(json);
			}
		}
	}
	json_end_array(json);
	stack_walk_done(&walk);
}

static void held_member(struct json *json, struct runtime *rt, const struct stores_report *report)
{
	json_array(json, "goroutines");
	for (size_t i = 0, end; i < report->held.count; i = end) {
		const struct goroutine *goroutine =
			goroutines_by_id(&report->goroutines, report->held.list[i].goroutine);
		end = goroutine_end(&report->held, i);
		json_object(json, NULL);
		json_uint(json, "goroutine", goroutine->id);
		json_string(json, "state", goroutine_state(rt, goroutine));
		json_array(json, "stores");
		for (size_t k = i; k < end; k++) {
			json_object(json, NULL);
			store_members(json, rt, &report->held.list[k]);
			json_uint(json, "frame", report->held.list[k].frame);
			json_end_object(json);
		}
		json_end_array(json);
		stack_member(json, rt, goroutine);
		json_end_object(json);
	}
	json_end_array(json);
}

void stores_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		 const struct stores_report *report)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.stores/1", rt, source);
	json_addr(&json, "address", report->addr);
	json_string(&json, "variable", report->variable);
	json_uint(&json, "offset", report->offset);
	json_array(&json, "code");
	for (size_t i = 0; i < report->code.count; i++) {
		json_object(&json, NULL);
		store_members(&json, rt, &report->code.list[i]);
		json_end_object(&json);
	}
	json_end_array(&json);
	held_member(&json, rt, report);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
}
