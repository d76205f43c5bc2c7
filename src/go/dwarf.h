/*
 * The executable's DWARF, as libdw opens it.
 *
 * Private to the floor go: other floors ask variable.h and owner.h. Opening inflates all debug
 * sections, so it is done once, where a name is asked for. DWARF addresses are the file's: the
 * target's less its bias.
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
#include "target/target.h"

/* The DWARF of the target's executable; the caller ends it with dwarf_end, before the target. Fails
 * with ERROR_NOT_FOUND where there is no executable or no DWARF in it. */
enum status dwarf_info_begin(const struct target *target, Dwarf **ret, struct error *err);
static inline void cleanup_dwarf(Dwarf **dwarf)
{
	dwarf_end(*dwarf);
}
#define AUTO_DWARF __attribute__((cleanup(cleanup_dwarf)))

/* die's first child, or its next sibling; false when there is none, and where the DWARF would lead
 * backwards. ret may be die itself. */
bool die_first_child(Dwarf_Die *die, Dwarf_Die *ret);
bool die_next_sibling(Dwarf_Die *die, Dwarf_Die *ret);

/* The unit after the one at offset *pos (0: the first), whose DIE goes to *ret; moves *pos on. */
bool dwarf_info_next_unit(Dwarf *dwarf, Dwarf_Off *pos, Dwarf_Die *ret);

/* An unsigned constant attribute; false when the DIE has none. */
bool die_udata(Dwarf_Die *die, unsigned attr, uint64_t *ret);

/* The DIE that a reference attribute leads to; false when the DIE has none. */
bool die_ref(Dwarf_Die *die, unsigned attr, Dwarf_Die *ret);

/* The type of die (DW_AT_type), past typedefs and qualifiers. */
bool die_type(Dwarf_Die *die, Dwarf_Die *ret);

#endif
