/*
 * A page of text for a person: styles, aligned cells, stacks, source lines; coloured only where the
 * reader's terminal can show it. All text of a target goes through escape_terminal here.
 */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/notes.h"
#include "base/text.h"
#include "verdict/verdict.h"

/* Appends line number line of a source file to text, without its newline; false where it cannot be
 * had. */
typedef bool source_line_fn(void *context, const char *file, int32_t line, struct text *text);

struct page {
	FILE *out;
	bool colour;
	source_line_fn *source; /* NULL: no source lines */
	void *source_context;
};

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_RED, STYLE_YELLOW, STYLE_GREEN, STYLE_DIM };

/* printf in a style; what goes in by %s is our own text, never a target's. */
[[gnu::format(printf, 3, 4)]] void page_style(struct page *page, enum style style, const char *fmt,
					      ...);
[[gnu::format(printf, 2, 3)]] void page_printf(struct page *page, const char *fmt, ...);
/* Text of a target, escaped; NULL is "?". */
void page_text(struct page *page, const char *s);
/* The same, padded with spaces to width columns. */
void page_cell(struct page *page, const char *s, size_t width);
/* "file:line", escaped; "?" where unknown. */
void page_place(struct page *page, const struct site *site);
/* Lines around a place in the source, where the file can be had. */
void page_source(struct page *page, const struct site *site);
/* A stack, two lines a frame, of at most max frames: of a longer one the ends. mark: index of the
 * frame to point at, with its source lines, or -1. */
void page_stack(struct page *page, const struct stack *stack, size_t max, int mark);
/* The notes, if any, as the page's end. */
void page_notes(struct page *page, const struct notes *notes);

#endif
