/*
 * A report for which memory ran out says so.
 *
 * Much of what is read is kept for the report's detail alone, and where there is no memory for it the
 * detail is left out. So that none is left out silently, each allocation of our own code passes by here
 * (the linker's --wrap, in CMakeLists.txt), and one that fails is a note.
 */
#ifndef CLI_NOMEM_H
#define CLI_NOMEM_H

#include "base/notes.h"

/* From here on, allocations that fail are added to notes; NULL: no more. */
void nomem_note(struct notes *notes);

#endif
