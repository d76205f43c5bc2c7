#include "report/readiness.h"

static enum readiness worst_of(const struct readiness_report *report)
{
	enum readiness binary = readiness_worst(report->binary, report->binary_count);
	enum readiness machine = readiness_worst(report->machine, report->machine_count);
	return binary > machine ? binary : machine;
}

static size_t gaps_of(const struct readiness_item *items, size_t count)
{
	size_t gaps = 0;
	for (size_t i = 0; i < count; i++)
		gaps += items[i].state != READY;
	return gaps;
}

static void items_text(struct page *page, const struct readiness_item *items, size_t count)
{
	static const enum style styles[] = {
		[READY] = STYLE_GREEN,
		[READY_LESS] = STYLE_YELLOW,
		[READY_NOT] = STYLE_RED,
	};
	for (size_t i = 0; i < count; i++) {
		page_style(page, styles[items[i].state], "  %-5s", readiness_name(items[i].state));
		page_printf(page, " %-13s ", items[i].name);
		page_text(page, items[i].found);
		fputc('\n', page->out);
		if (items[i].advice)
			page_style(page, STYLE_BOLD, "  %19s -> %s\n", "", items[i].advice);
	}
}

void readiness_text(struct page *page, const struct runtime *rt,
		    const struct readiness_report *report)
{
	size_t gaps = gaps_of(report->binary, report->binary_count) +
		      gaps_of(report->machine, report->machine_count);
	switch (worst_of(report)) {
	case READY:
		page_style(page, STYLE_GREEN, "A crash would be explainable.\n");
		break;
	case READY_LESS:
		page_style(page, STYLE_YELLOW,
			   "A crash would be explained in part: %zu thing%s to mend.\n", gaps,
			   gaps == 1 ? "" : "s");
		break;
	case READY_NOT:
		page_style(page, STYLE_RED, "A crash could not be explained.\n");
		break;
	}
	page_printf(page, "\nthe binary");
	if (rt->target->exe) {
		page_printf(page, "  ");
		page_text(page, executable_path(rt->target->exe));
	}
	fputc('\n', page->out);
	items_text(page, report->binary, report->binary_count);
	if (!report->machine_count)
		return;
	if (report->pid)
		page_printf(page, "\nprocess %ld\n", (long)report->pid);
	else
		page_printf(page, "\nprograms started from here\n");
	items_text(page, report->machine, report->machine_count);
}

static void items_json(struct json *json, const char *name, const struct readiness_item *items,
		       size_t count)
{
	json_array(json, name);
	for (size_t i = 0; i < count; i++) {
		json_object(json, NULL);
		json_string(json, "name", items[i].name);
		json_string(json, "state", readiness_name(items[i].state));
		json_string(json, "found", items[i].found);
		json_string(json, "advice", items[i].advice);
		json_end_object(json);
	}
	json_end_array(json);
}

void readiness_json(FILE *out, const struct runtime *rt, const struct explain_source *source,
		    const struct readiness_report *report)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.check/1", rt, source);
	json_string(&json, "state", readiness_name(worst_of(report)));
	items_json(&json, "binary", report->binary, report->binary_count);
	items_json(&json, "machine", report->machine, report->machine_count);
	json_notes(&json, rt->notes);
	json_end_object(&json);
	json_done(&json);
}
