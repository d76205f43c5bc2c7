/*
 * The instructions that write to an address.
 */
#ifndef REPORT_STORES_H
#define REPORT_STORES_H

#include "go/stores.h"
#include "report/explain.h"

/* What is known of one address. */
struct stores_report {
	uint64_t addr;
	bool is_global; /* code is what writes there by a constant address */
	const char *variable; /* symbol that covers it; NULL none */
	uint64_t offset; /* in variable */
	struct stores code;
	bool has_goroutines; /* the target has any: it is no executable */
	struct goroutines goroutines;
	struct stores held; /* stores through what goroutines hold */
};

/* Fills in ret. On OK the caller releases it by stores_report_done. */
enum status stores_report_make(struct runtime *rt, uint64_t addr, struct stores_report *ret,
			       struct error *err);
void stores_report_done(struct stores_report *report);

/* limit: goroutines that are shown, 0 all. Returns false where some are not. */
bool stores_text(struct page *page, struct runtime *rt, const struct stores_report *report,
		 uint64_t limit);
/* The same as JSON (docs/stores.schema.json), of all goroutines. */
void stores_json(FILE *out, struct runtime *rt, const struct explain_source *source,
		 const struct stores_report *report);

#endif
