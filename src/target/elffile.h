/*
 * What executables and cores have in common: the ELF header, program headers and notes, 64-bit
 * little endian. Everything is compared against what is left; nothing here trusts the file.
 */
#ifndef TARGET_ELFFILE_H
#define TARGET_ELFFILE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "target/executable.h"
#include "target/regs.h"

struct elf_header {
	uint16_t type; /* ET_EXEC ... */
	enum arch arch;
	uint64_t entry;
	uint64_t phoff, shoff;
	uint32_t phnum; /* PN_XNUM: the first section header's sh_info has it */
};

/* Reads the header at the start of the n bytes at p: ERROR_FORMAT where it is none,
 * ERROR_UNSUPPORTED for 32-bit, big-endian and other machines. The text goes behind "FILE: ". */
enum status elf_header_parse(const void *p, size_t n, struct elf_header *ret, struct error *err);

struct elf_note {
	uint32_t type;
	const char *name; /* name_len bytes, not counting a NUL at the end */
	size_t name_len;
	const uint8_t *desc;
	size_t desc_len;
};

/* The next note; false at the end and where a note does not fit into what is left. align is the
 * segment's p_align: 8 for 8, 4 for all else (gABI and what binutils and elfutils do). */
bool elf_note_next(struct bytes *notes, uint64_t align, struct elf_note *ret);
bool elf_note_is(const struct elf_note *note, const char *name, uint32_t type);

/* Takes build ids out of the notes; what is not among them stays as it is in *id. */
void build_id_collect(struct build_id *id, struct bytes notes, uint64_t align);

#endif
