/*
 * Go's table of functions: names, extents, lines, stack sizes, inlining (runtime.pclntab).
 *
 * The table lies in the executable's read-only bytes and is parsed in place; names and paths that
 * are handed out point into it and live as long as the target. All PCs are the target's (load bias
 * included). A PC is looked up as it stands: who holds a return address looks up pc - 1.
 *
 * Source: cmd/link/internal/ld/pcln.go, runtime/symtab.go and runtime/runtime2.go of Go 1.18 to 1.27.
 */
#ifndef GO_PCLNTAB_H
#define GO_PCLNTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "go/version.h"
#include "target/target.h"

struct pclntab;

struct function {
	uint64_t entry, end; /* half open; end is the next function's entry */
	const char *name; /* as linked: "main.(*Cache).Put", "runtime.mapassign_fast64" */
	uint32_t index; /* in the function table */
	int32_t args; /* bytes of stack arguments, or a negative number: unknown */
	int32_t start_line; /* line of "func"; 0 before 1.20 */
	uint8_t flag; /* funcFlag: 1 TOPFRAME, 2 SPWRITE, 4 ASM */
	bool is_wrapper; /* generated (method wrappers, hash, ==): runtime.Callers leaves it out */
	uint64_t func; /* address of the _func record */
};

/* Funcdata and pcdata indexes: cmd/internal/objabi/funcdata.go. */
enum { PCDATA_UNSAFE_POINT, PCDATA_STACK_MAP, PCDATA_INL_TREE, PCDATA_ARG_LIVE };
enum {
	FUNCDATA_ARGS_POINTER_MAPS,
	FUNCDATA_LOCALS_POINTER_MAPS,
	FUNCDATA_STACK_OBJECTS,
	FUNCDATA_INL_TREE,
	FUNCDATA_OPEN_CODED_DEFER,
	FUNCDATA_ARG_INFO,
	FUNCDATA_ARG_LIVE_INFO,
	FUNCDATA_WRAP_INFO,
};

/* One level of the source at a PC, innermost first: inlined callees, then the function itself. */
struct source_frame {
	const char *function; /* name as linked */
	const char *file; /* as the compiler wrote it; "?" where the table has none */
	int32_t line; /* 0 unknown */
	bool inlined; /* inlined into the next entry */
	bool is_wrapper; /* as in struct function */
};

/* Levels of inlining that are followed: the compiler's own budget keeps real trees far below. */
enum { SOURCE_FRAMES_MAX = 64 };

/* Finds and parses the table: by section, else by search of the executable's read-only bytes.
 * ERROR_NOT_FOUND when there is none, ERROR_UNSUPPORTED for the format of Go 1.17 and older. */
enum status pclntab_open(struct target *target, struct pclntab **ret, struct error *err);
void pclntab_free(struct pclntab *tab);

/* Address of the table's header in the target (moduledata points to it). */
uint64_t pclntab_addr(const struct pclntab *tab);
/* Address of the function name table, which moduledata's second word points to. */
uint64_t pclntab_names_addr(const struct pclntab *tab);

/* Tells what moduledata knows and the table does not: start of text, funcdata base (moduledata's
 * gofunc), and the layout of _func by version. Must be called before any lookup below. */
void pclntab_bind(struct pclntab *tab, const struct go_version *version, uint64_t text,
		  uint64_t gofunc);

size_t pclntab_count(const struct pclntab *tab);
/* The function number index; false when the entry is broken. */
bool pclntab_at(const struct pclntab *tab, size_t index, struct function *ret);
/* The function whose code holds pc. */
bool pclntab_find(const struct pclntab *tab, uint64_t pc, struct function *ret);
/* The function called name (linear; for a handful of names). */
bool pclntab_by_name(const struct pclntab *tab, const char *name, struct function *ret);

/* Distance in bytes from the stack pointer at pc up to the frame's return address (amd64) or to the
 * caller's frame (arm64): what cmd/internal calls pcsp. */
bool pclntab_sp_delta(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		      int32_t *ret);
/* The value of pcdata table number table at pc; -1 where the table has none. */
bool pclntab_pcdata(const struct pclntab *tab, const struct function *fn, unsigned table,
		    uint64_t pc, int32_t *ret);
/* Address of funcdata number i; false when the function has none. */
bool pclntab_funcdata(const struct pclntab *tab, const struct function *fn, unsigned i,
		      uint64_t *ret);
/* File and line at pc without inlining's callers: of the innermost source function there. */
bool pclntab_line(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		  const char **ret_file, int32_t *ret_line);
/* All source frames at pc, innermost first; returns how many (at least 1). */
size_t pclntab_source(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		      struct source_frame ret[SOURCE_FRAMES_MAX]);

/* Parses the table at bytes, for tests and fuzzing: bytes stands for address addr and must outlive
 * the table. */
enum status pclntab_parse(const void *bytes, size_t size, uint64_t addr, struct pclntab **ret,
			  struct error *err);

#endif
