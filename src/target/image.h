/*
 * The main program as it lies in a target's memory: where, with which build ids, and whether a given
 * file is that program.
 */
#ifndef TARGET_IMAGE_H
#define TARGET_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "target/executable.h"
#include "target/memory.h"

/* From the auxiliary vector (Linux include/uapi/linux/auxvec.h); 0: not known. */
struct auxv {
	uint64_t phdr, phent, phnum; /* of the main program's program headers in memory */
	uint64_t entry;
};

/* Takes the n bytes of an NT_AUXV note or of /proc/PID/auxv apart. */
void auxv_parse(const void *p, size_t n, struct auxv *ret);

/* Programs have about ten; an image with more is not looked at. */
enum { IMAGE_PHDRS_MAX = 64 };

struct image {
	struct auxv auxv;
	Elf64_Phdr phdrs[IMAGE_PHDRS_MAX];
	size_t phdr_count; /* 0: not in the memory */
	struct build_id id;
};

/* Finds the program headers and build ids in memory. The page that holds them is dumped by default
 * (coredump_filter bit 4). What is not there stays empty. */
void image_read(struct memory *memory, const struct auxv *auxv, struct image *ret);

/*
 * Finds out whether exe is the program of image, and where it lies: *ret_bias is added to its
 * addresses. The build ids decide (Go's where both have one, then GNU's); without ids the program
 * headers do, and without those the entry point: then notes say what was not compared.
 * ERROR_MISMATCH names both sides; with force it is a note instead.
 */
enum status image_match(const struct image *image, const struct executable *exe, bool force,
			struct notes *notes, uint64_t *ret_bias, struct error *err);

#endif
