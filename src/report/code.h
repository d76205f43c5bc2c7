/*
 * The machine code of map functions, with what each instruction does to the flag.
 */
#ifndef REPORT_CODE_H
#define REPORT_CODE_H

#include "maps/code.h"
#include "report/explain.h"

/* Each function with its sites; all: every instruction, else only those that touch the flag. */
void code_text(struct page *page, struct runtime *rt, const struct map_codes *codes, bool all);

/* The same as JSON (docs/code.schema.json), always with every instruction. */
void code_json(FILE *out, struct runtime *rt, const struct explain_source *source,
	       const struct map_codes *codes);

#endif
