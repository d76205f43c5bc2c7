/*
 * The Go runtime of a target: what every question above this floor starts from.
 */
#ifndef GO_RUNTIME_H
#define GO_RUNTIME_H

#include <stdbool.h>

#include "base/error.h"
#include "base/notes.h"
#include "go/layout.h"
#include "go/module.h"
#include "go/pclntab.h"
#include "go/version.h"
#include "target/target.h"

struct pc_cache;
struct scheduler;
struct type_cache;
struct wait_reasons;
struct dwarf_info;

struct runtime {
	struct target *target;
	struct notes *notes;
	struct go_version version;
	struct pclntab *pclntab;
	struct module module;
	struct layout layout;
	bool swiss; /* the binary's maps are internal/runtime/maps, by its functions */
	bool layout_exact; /* false: newer than our newest table */
	struct pc_cache *pcs; /* what is known of a pc; private to pcinfo.c */
	struct scheduler *scheduler; /* threads and their m's; private to thread.c */
	struct wait_reasons *wait_reasons; /* Go's names for them; private to waitreason.c */
	struct type_cache *types; /* names and facts of types seen; private to type.c */
	struct dwarf_info *dwarf; /* opened on first use; private to dwarf.c */
	bool dwarf_tried;
};

/* Reads what all else needs: version, function table, module, layouts. The target and notes must
 * outlive the runtime. ERROR_NOT_FOUND when the target is no Go program; a core without its
 * executable fails with what to do about it. */
enum status runtime_open(struct target *target, struct notes *notes, struct runtime **ret,
			 struct error *err);
void runtime_free(struct runtime *rt);
static inline void cleanup_runtime(struct runtime **rt)
{
	runtime_free(*rt);
}
#define AUTO_RUNTIME __attribute__((cleanup(cleanup_runtime)))

#endif
