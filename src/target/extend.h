/*
 * A copy of an executable with two more segments: code, and data whose first bytes stand in the file
 * and whose rest is zeros.
 *
 * All that the program had keeps its address and its place in the file, except for the tables of
 * program and section headers. Two program headers more need room: behind the others, where nothing
 * is (Go's own linker keeps a page for headers and puts section headers there, which move to the
 * file's end). Where there is none, all of them move into a page before the data, as patchelf does it.
 * Addresses and offsets of both segments then lie as far apart as the program's first ones, since Linux
 * before 5.18 reckons where the program headers are from those (fs/binfmt_elf.c, create_elf_tables:
 * load_addr + e_phoff; later: the segment that covers e_phoff). binutils' strip puts such headers
 * right behind the bytes of the segment before: since that ends with a page, they stay where they are.
 *
 * Where the file has section headers, three more describe what came in, so that strip keeps it.
 */
#ifndef TARGET_EXTEND_H
#define TARGET_EXTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "target/executable.h"

/* What comes in; code_size and data_size are whole pages. The names are those of the sections. */
struct extension_parts {
	const void *code;
	size_t code_size;
	const char *code_name;
	const void *data;
	size_t data_size; /* in the file */
	uint64_t data_memsz; /* in memory: more than data_size */
	const char *data_name, *zeros_name;
};

/* Where it comes: addresses as linked. */
struct extension {
	uint64_t code_addr, data_addr;
	uint64_t code_offset, data_offset;
	bool moves_headers; /* the program headers move into the page before the data */
};

/* Finds the places; of parts only the sizes matter. ERROR_UNSUPPORTED or ERROR_FORMAT where there are
 * none. */
enum status extension_place(const struct executable *exe, const struct extension_parts *parts,
			    struct extension *ret, struct error *err);

/* Writes the copy into the empty file fd: exe's bytes as they are in our memory (executable_overwrite),
 * and parts at the places that extension_place found for their sizes. */
enum status extension_write(const struct executable *exe, const struct extension_parts *parts,
			    const struct extension *place, int fd, struct error *err);

#endif
