/*
 * The executable's DWARF, as libdw opens it.
 *
 * Private to the floor go: other floors ask variable.h and owner.h. Opening inflates all debug
 * sections (3 ms for each MB of them), so it is done once, where a name is asked for. DWARF
 * addresses are the file's: the target's less its bias.
 *
 * All of it is hostile. DIEs are walked by sibling and child only with growing offsets, which
 * bounds every walk by the section, and nothing here follows references without a limit.
 */
#ifndef GO_DWARF_H
#define GO_DWARF_H

#include <elfutils/libdw.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "target/target.h"

/* cmd/internal/dwarf/dwarf.go: Go's own attributes. */
enum {
	DW_AT_GO_KIND = 0x2900, /* reflect.Kind */
	DW_AT_GO_KEY = 0x2901,
	DW_AT_GO_ELEM = 0x2902,
	DW_AT_GO_EMBEDDED_FIELD = 0x2903,
	DW_AT_GO_RUNTIME_TYPE = 0x2904, /* of the descriptor, less moduledata's types */
	DW_AT_GO_CLOSURE_OFFSET = 0x2907, /* of a captured variable in the closure; 1.23 on */
};

/* The DWARF of the target's executable; the caller ends it with dwarf_end, before the target. Fails
 * with ERROR_NOT_FOUND where there is no executable or no DWARF in it. */
enum status dwarf_info_begin(const struct target *target, Dwarf **ret, struct error *err);
static inline void cleanup_dwarf(Dwarf **dwarf)
{
	dwarf_end(*dwarf);
}
#define AUTO_DWARF __attribute__((cleanup(cleanup_dwarf)))

/* What a runtime keeps of its DWARF: indexes made at first use. */
struct dwarf_info;

/* The runtime's DWARF, opened at the first call; NULL where there is none. */
struct dwarf_info *dwarf_info(struct runtime *rt);
void dwarf_info_free(struct dwarf_info *info);
Dwarf *dwarf_info_dwarf(const struct dwarf_info *info);

/* The subprogram whose code holds pc (an address of the file). */
bool dwarf_info_function(struct dwarf_info *info, uint64_t pc, Dwarf_Die *ret);

/* The package variable with the greatest address not above addr (of the file), and that address. */
bool dwarf_info_global(struct dwarf_info *info, uint64_t addr, Dwarf_Die *ret, uint64_t *ret_start);

/* The unit after the one at offset *pos (0: the first), whose DIE goes to *ret; moves *pos on. */
bool dwarf_info_next_unit(Dwarf *dwarf, Dwarf_Off *pos, Dwarf_Die *ret);

/* die's first child, or its next sibling; false when there is none, and where the DWARF would lead
 * backwards. ret may be die itself. */
bool die_first_child(Dwarf_Die *die, Dwarf_Die *ret);
bool die_next_sibling(Dwarf_Die *die, Dwarf_Die *ret);

/* An attribute that is a constant, an address or a flag; false when the DIE has none. */
bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret);

/* The DIE's DW_AT_location, fit for libdw's location functions; false when it has none. */
bool die_location(Dwarf_Die *die, Dwarf_Attribute *ret);

/* The DIE that a reference attribute, also of die's abstract origin, leads to; false without one. */
bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *ret);

/* The type of die (DW_AT_type), past typedefs and qualifiers. */
bool die_type(Dwarf_Die *die, Dwarf_Die *ret);

/* Size in bytes of a value of this type; 0 where DWARF does not tell. */
uint64_t die_size(Dwarf_Die *type);

/* reflect.Kind of this type, 0 where DWARF does not tell. */
unsigned die_kind(Dwarf_Die *type);

/* Address of the type's descriptor in the target, 0 where the program has none: types that are only
 * ever on a stack, and most pointer types. */
uint64_t die_runtime_type(struct runtime *rt, Dwarf_Die *type);

#endif
