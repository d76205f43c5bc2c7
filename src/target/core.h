/*
 * ELF cores: of the kernel, of gdb's gcore, of whoever writes the same notes.
 *
 * Read by pread only: a mapped core would count as our memory, and would kill us when it shrinks.
 */
#ifndef TARGET_CORE_H
#define TARGET_CORE_H

#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "target/image.h"
#include "target/memory.h"
#include "target/target.h"

struct core;

/* Reads the headers and notes of the core in fd, which is size bytes long, and fills in target what
 * they say: arch, pid, threads, signal, mappings, command, truncated. Takes fd, also on failure.
 * ERROR_FORMAT where nothing of the process is left in the file. */
enum status core_open(int fd, uint64_t size, struct target *target, struct notes *notes,
		      struct core **ret, struct error *err);
void core_free(struct core *core);
static inline void cleanup_core(struct core **core)
{
	core_free(*core);
}
#define AUTO_CORE __attribute__((cleanup(cleanup_core)))

/* Adds the pages that the core holds; core must outlive memory. */
enum status core_lay(const struct core *core, struct memory *memory, struct error *err);

/* What the kernel told the program at its start; zeros where the core does not have it. */
const struct auxv *core_auxv(const struct core *core);

#endif
