#include "report/page.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "report/escape.h"

static const char *const style_codes[] = {"",	      "\033[1m",  "\033[1;31m",
					  "\033[33m", "\033[32m", "\033[2m"};

void page_style(struct page *page, enum style style, const char *fmt, ...)
{
	va_list ap;
	bool colour = page->colour && style != STYLE_PLAIN;
	if (colour)
		fputs(style_codes[style], page->out);
	va_start(ap, fmt);
	vfprintf(page->out, fmt, ap);
	va_end(ap);
	if (colour)
		fputs("\033[0m", page->out);
}

void page_printf(struct page *page, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vfprintf(page->out, fmt, ap);
	va_end(ap);
}

void page_text(struct page *page, const char *s)
{
	if (!s)
		s = "?";
	escape_terminal(page->out, s, strlen(s));
}

void page_cell(struct page *page, const char *s, size_t width)
{
	size_t used = s ? escape_width(s, strlen(s)) : 1;
	page_text(page, s);
	for (; used < width; used++)
		fputc(' ', page->out);
}

void page_place(struct page *page, const struct site *site)
{
	if (!site->file) {
		fputc('?', page->out);
		return;
	}
	page_text(page, site->file);
	fprintf(page->out, ":%" PRId32, site->line);
}

/* Lines shown before and after the one that is meant. */
enum { SOURCE_BEFORE = 2, SOURCE_AFTER = 1 };

void page_source(struct page *page, const struct site *site)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	if (!page->source || !site->file || site->line <= 0)
		return;
	for (int32_t line = site->line - SOURCE_BEFORE; line <= site->line + SOURCE_AFTER; line++) {
		text_clear(&text);
		if (line < 1 || !page->source(page->source_context, site->file, line, &text))
			continue;
		bool here = line == site->line;
		page_style(page, here ? STYLE_BOLD : STYLE_DIM, "      %s %5" PRId32 " | ",
			   here ? ">" : " ", line);
		/* A tab is the source's own indentation: four columns say enough. */
		for (size_t i = 0, from = 0; i <= text.len; i++) {
			if (i < text.len && text.s[i] != '\t')
				continue;
			escape_terminal(page->out, text.s + from, i - from);
			if (i < text.len)
				fputs("    ", page->out);
			from = i + 1;
		}
		fputc('\n', page->out);
	}
}

static void print_entry(struct page *page, const struct stack_entry *entry, bool marked)
{
	fputs(marked ? "  > " : "    ", page->out);
	if (!entry->site.function) {
		page_printf(page, "0x%" PRIx64 "  (not Go's code)\n", entry->site.pc);
		return;
	}
	page_text(page, entry->site.function);
	fputc('(', page->out);
	page_text(page, entry->inlined ? "..." : entry->args ? entry->args : "");
	fputs(")\n        ", page->out);
	page_place(page, &entry->site);
	if (entry->inlined)
		page_style(page, STYLE_DIM, "  inlined");
	else if (!entry->site.pc || !entry->sp)
		page_style(page, STYLE_DIM, "  +0x%" PRIx64, entry->offset);
	else
		page_style(page, STYLE_DIM, "  +0x%" PRIx64 " sp=0x%" PRIx64 " pc=0x%" PRIx64,
			   entry->site.pc - entry->entry, entry->sp, entry->site.pc);
	fputc('\n', page->out);
	if (marked)
		page_source(page, &entry->site);
}

void page_stack(struct page *page, const struct stack *stack, size_t max, int mark)
{
	size_t head = stack->count, tail = 0;
	if (stack->count > max) {
		tail = max / 4;
		head = max - tail;
		if (mark >= 0 && (size_t)mark >= head && (size_t)mark < stack->count - tail)
			head = (size_t)mark + 1;
	}
	for (size_t i = 0; i < head; i++)
		print_entry(page, &stack->list[i], mark >= 0 && (size_t)mark == i);
	if (head + tail < stack->count)
		page_style(page, STYLE_DIM, "    ... %zu more frames\n",
			   stack->count - tail - head);
	for (size_t i = stack->count - (head < stack->count ? tail : 0); i < stack->count; i++)
		print_entry(page, &stack->list[i], mark >= 0 && (size_t)mark == i);
	if (stack->cut)
		page_style(page, STYLE_DIM, "    ... and the stack goes on\n");
}

void page_notes(struct page *page, const struct notes *notes)
{
	if (!notes->count && !notes->dropped)
		return;
	page_style(page, STYLE_YELLOW, "\nWhat could not be read\n");
	for (size_t i = 0; i < notes->count; i++) {
		page_printf(page, "  - ");
		page_text(page, notes->list[i].text);
		if (notes->list[i].addr)
			page_printf(page, " (0x%" PRIx64 ")", notes->list[i].addr);
		fputc('\n', page->out);
	}
	if (notes->dropped)
		page_printf(page, "  - and %zu more\n", notes->dropped);
}
