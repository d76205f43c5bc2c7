/*
 * The bytes of the program itself, for what can only be found by looking: the executable's segments
 * as the file has them, or what a core or process holds of the mapped files.
 */
#ifndef GO_PROGRAM_H
#define GO_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

/* Which segments are looked at, by how the executable maps them. */
enum program_part {
	PROGRAM_WRITABLE = 1, /* data, and what is read-only after relocation */
	PROGRAM_READ_ONLY = 2, /* neither writable nor executable */
	PROGRAM_TEXT = 4,
};

/* One run of bytes. Pointers that stand in it need slide added to be the target's: the load bias
 * where the bytes are the file's, 0 where the loader has been over them. */
struct program_piece {
	uint64_t addr; /* the target's address of the first byte */
	uint64_t slide;
	const uint8_t *bytes;
	size_t size;
	bool is_file; /* bytes live as long as the target; otherwise only for the call */
};

/* Called for each piece; true ends the scan. */
typedef bool program_visit_fn(void *context, const struct program_piece *piece);

/* Shows visit the executable file's segments, those of parts, in file order. False when visit never
 * said true, or there is no executable. */
bool program_scan_file(struct target *target, unsigned parts, program_visit_fn *visit,
		       void *context);

/* The same for the target's memory, after the loader: the executable's writable segments where it is
 * known, else all file mappings, code left out. Unreadable runs are passed over. */
bool program_scan_memory(struct target *target, program_visit_fn *visit, void *context);

/* A pointer to the n bytes at the target's address addr as the executable file has them, or NULL. For
 * bytes that the loader does not change. */
const void *program_file_bytes(const struct target *target, uint64_t addr, size_t n);

#endif
