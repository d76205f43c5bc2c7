/*
 * runtime.firstmoduledata: where the parts of a Go program lie. Addresses are the target's.
 */
#ifndef GO_MODULE_H
#define GO_MODULE_H

#include <stdint.h>

#include "base/error.h"
#include "go/pclntab.h"
#include "go/version.h"
#include "target/target.h"

struct module {
	uint64_t addr; /* of the moduledata itself */
	uint64_t text, etext;
	uint64_t noptrdata, enoptrdata, data, edata, bss, ebss, noptrbss, enoptrbss;
	uint64_t gcdata, gcbss; /* pointer bitmaps of data and bss, one bit a word */
	uint64_t types, etypes;
	uint64_t gofunc;
	uint64_t typelinks, typelink_count; /* int32 offsets from types; 0 from 1.27 on */
	uint64_t next; /* next moduledata (plugins), 0 */
};

/* Finds the moduledata by its first two words (pclntab and function names) in the writable data of
 * the target, core bytes before file bytes, and reads it by the version's layout. Fields that are
 * out of order or outside the target are ERROR_FORMAT. */
enum status module_read(struct target *target, const struct pclntab *tab,
			const struct go_version *version, struct module *ret, struct error *err);

#endif
