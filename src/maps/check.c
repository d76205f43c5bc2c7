#include "maps/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "maps/internal.h"

void check_add(struct check_report *report, enum check_kind kind, uint64_t addr, const char *fmt,
	       ...)
{
	if (!report->list)
		report->list = malloc(CHECK_FINDINGS_MAX * sizeof(*report->list));
	if (!report->list || report->count == CHECK_FINDINGS_MAX) {
		report->dropped++;
		return;
	}
	struct check_finding *f = &report->list[report->count++];
	f->kind = kind;
	f->addr = addr;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
}

void check_report_done(struct check_report *report)
{
	free(report->list);
	report->list = NULL;
	report->count = 0;
}
