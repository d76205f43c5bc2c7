/*
 * An ELF executable, mapped read-only. Addresses are as in the file: no load bias is added here.
 *
 * Everything that can be had without section headers is had from program headers; sections and
 * symbols may be missing (stripped, sections removed).
 */
#ifndef TARGET_EXECUTABLE_H
#define TARGET_EXECUTABLE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "target/regs.h"

struct executable;

/* One PT_LOAD. offset and filesz are clamped to what the file holds. */
struct segment {
	uint64_t addr, filesz, memsz, offset;
	bool writable, executable;
	bool cut; /* the file ends within it: what is behind filesz is lost, not zero */
};

struct section {
	uint64_t addr, size, offset;
	bool has_bytes; /* not SHT_NOBITS, and wholly inside the file */
};

struct symbol {
	uint64_t addr, size;
	const char *name; /* lives as long as the executable */
};

/* The identity of an executable: the GNU build id (bytes) and Go's (text); either may be absent. */
struct build_id {
	uint8_t gnu[64];
	size_t gnu_len; /* 0: absent */
	char go[160]; /* "": absent */
};

/* Opens path: a regular file only (ERROR_IO otherwise, never blocking on a FIFO); ERROR_FORMAT for
 * what is no ELF file, ERROR_UNSUPPORTED for 32-bit, big-endian, other machines and relocatables. */
enum status executable_open(const char *path, struct executable **ret, struct error *err);
/* As executable_open, for an open regular file of size bytes; path is for display. fd stays the
 * caller's and may be closed at once. */
enum status executable_open_fd(int fd, uint64_t size, const char *path, struct executable **ret,
			       struct error *err);
void executable_free(struct executable *exe);
static inline void cleanup_executable(struct executable **exe)
{
	executable_free(*exe);
}
#define AUTO_EXECUTABLE __attribute__((cleanup(cleanup_executable)))

const char *executable_path(const struct executable *exe);
enum arch executable_arch(const struct executable *exe);
bool executable_is_pie(const struct executable *exe); /* ET_DYN */
const struct build_id *executable_build_id(const struct executable *exe);
uint64_t executable_entry(const struct executable *exe);

/* The PT_LOADs in file order. */
size_t executable_segments(const struct executable *exe, const struct segment **ret);

/* All program headers, in file order. */
size_t executable_phdrs(const struct executable *exe, const Elf64_Phdr **ret);

/* The section called name; false when there is none. */
bool executable_section(struct executable *exe, const char *name, struct section *ret);

/* The symbol called name, or the one that covers addr (largest start not above it; one of size 0
 * covers up to the next); false when there is none or no symbol table. The tables are read and
 * sorted at the first call. */
bool executable_symbol(struct executable *exe, const char *name, struct symbol *ret);
bool executable_symbol_at(struct executable *exe, uint64_t addr, struct symbol *ret);

/* The file's bytes, size in *ret_size. */
const uint8_t *executable_bytes(const struct executable *exe, size_t *ret_size);

/* A pointer to the n bytes that the file gives for address addr, or NULL. */
const void *executable_view(const struct executable *exe, uint64_t addr, size_t n);

/* Changes the n bytes that the file gives for address addr, in our memory only; false, and nothing
 * changed, where it does not give as many. */
bool executable_overwrite(struct executable *exe, uint64_t addr, const void *bytes, size_t n);

/* An Elf of libelf over the file, opened at the first call, for libdw; NULL on failure. Owned by
 * the executable. */
struct Elf;
struct Elf *executable_elf(struct executable *exe);

#endif
