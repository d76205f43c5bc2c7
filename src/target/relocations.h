/*
 * What the loader does to the data of a position-independent executable, for one that is looked at
 * without being run.
 */
#ifndef TARGET_RELOCATIONS_H
#define TARGET_RELOCATIONS_H

#include <stddef.h>

#include "target/executable.h"

/*
 * Writes the addends of the relative relocations into the words of writable segments that hold 0, as
 * the loader would at a load bias of 0; returns how many. GNU's linkers and Go's own put the addends
 * there themselves; lld and mold do not. The file stays as it is: the change is in our private mapping,
 * and seen through executable_view and the memory of a target that is this executable.
 */
size_t relocations_apply(struct executable *exe);

#endif
