#include "target/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "target/elffile.h"

/* A program's notes take a few hundred bytes. */
enum { NOTES_SIZE_MAX = 16384 };

void auxv_parse(const void *p, size_t n, struct auxv *ret)
{
	struct bytes b = bytes_of(p, n);
	struct auxv auxv = {0};
	uint64_t type, value;
	while (bytes_u64(&b, &type) && bytes_u64(&b, &value) && type != AT_NULL) {
		switch (type) {
		case AT_PHDR:
			auxv.phdr = value;
			break;
		case AT_PHENT:
			auxv.phent = value;
			break;
		case AT_PHNUM:
			auxv.phnum = value;
			break;
		case AT_ENTRY:
			auxv.entry = value;
			break;
		}
	}
	*ret = auxv;
}

static const Elf64_Phdr *find_phdr(const Elf64_Phdr *phdrs, size_t count, uint32_t type)
{
	for (size_t i = 0; i < count; i++)
		if (phdrs[i].p_type == type)
			return &phdrs[i];
	return NULL;
}

/* Reads up to n bytes: all that are there before the first missing one. */
static size_t read_up_to(struct memory *memory, uint64_t addr, void *buf, size_t n)
{
	struct error err;
	if (memory_read(memory, addr, buf, n, &err) == OK)
		return n;
	uint64_t there = err.addr - addr;
	if (err.addr < addr || there >= n || memory_read(memory, addr, buf, there, NULL) != OK)
		return 0;
	return (size_t)there;
}

void image_read(struct memory *memory, const struct auxv *auxv, struct image *ret)
{
	*ret = (struct image){.auxv = *auxv};
	if (!auxv->phdr || !auxv->phnum || auxv->phnum > IMAGE_PHDRS_MAX ||
	    auxv->phent != sizeof(Elf64_Phdr))
		return;
	if (memory_read(memory, auxv->phdr, ret->phdrs, auxv->phnum * sizeof(Elf64_Phdr), NULL) !=
	    OK)
		return;
	ret->phdr_count = auxv->phnum;

	/* PT_PHDR says which address the headers were linked at, so the rest is the bias. A program
	 * without it that is not relocated has bias 0; else its notes are just not found. */
	const Elf64_Phdr *self = find_phdr(ret->phdrs, ret->phdr_count, PT_PHDR);
	uint64_t bias = self ? auxv->phdr - self->p_vaddr : 0;
	for (size_t i = 0; i < ret->phdr_count; i++) {
		const Elf64_Phdr *ph = &ret->phdrs[i];
		uint8_t buf[NOTES_SIZE_MAX];
		if (ph->p_type != PT_NOTE)
			continue;
		size_t n = ph->p_memsz < sizeof(buf) ? (size_t)ph->p_memsz : sizeof(buf);
		n = read_up_to(memory, bias + ph->p_vaddr, buf, n);
		build_id_collect(&ret->id, bytes_of(buf, n), ph->p_align);
	}
}

/* Writes an id for a message; Go's are 83 characters long, so only its ends. */
static void id_text(char *to, size_t size, const struct build_id *id, bool go)
{
	if (go) {
		size_t n = strlen(id->go);
		if (n <= 48)
			snprintf(to, size, "%s", id->go);
		else
			snprintf(to, size, "%.22s...%s", id->go, id->go + n - 22);
		return;
	}
	char hex[2 * sizeof(id->gnu) + 1] = "";
	for (size_t i = 0; i < id->gnu_len; i++)
		snprintf(hex + 2 * i, 3, "%02x", id->gnu[i]);
	snprintf(to, size, "%.48s", hex);
}

enum verdict { SAME, DIFFERENT, NOT_COMPARED };

static enum verdict compare_ids(const struct build_id *ours, const struct build_id *theirs,
				const char *path, struct error *err)
{
	bool go = ours->go[0] && theirs->go[0];
	if (!go && (!ours->gnu_len || !theirs->gnu_len))
		return NOT_COMPARED;
	if (go ? strcmp(ours->go, theirs->go) == 0
	       : ours->gnu_len == theirs->gnu_len &&
			    memcmp(ours->gnu, theirs->gnu, ours->gnu_len) == 0)
		return SAME;
	char a[64], b[64];
	id_text(a, sizeof(a), ours, go);
	id_text(b, sizeof(b), theirs, go);
	(void)!error_set(
		err, ERROR_MISMATCH,
		"%.50s is another program: its %s build id is %s, that of the target %s: name "
		"the right one with --exe",
		path, go ? "Go" : "GNU", a, b);
	return DIFFERENT;
}

/* For programs without ids: sizes, addresses and offsets of all segments. */
static enum verdict compare_phdrs(const struct image *image, const struct executable *exe,
				  struct error *err)
{
	const Elf64_Phdr *phdrs;
	size_t count = executable_phdrs(exe, &phdrs);
	if (!image->phdr_count)
		return NOT_COMPARED;
	if (count == image->phdr_count && memcmp(phdrs, image->phdrs, count * sizeof(*phdrs)) == 0)
		return SAME;
	(void)!error_set(err, ERROR_MISMATCH,
			 "%.100s is another program: its segments differ from the target's: name "
			 "the right one with --exe",
			 executable_path(exe));
	return DIFFERENT;
}

/* The address that the kernel reports as AT_PHDR for bias 0 (fs/binfmt_elf.c: the segment that
 * covers e_phoff), or 0. */
static uint64_t phdr_address(const struct executable *exe)
{
	const Elf64_Phdr *phdrs;
	size_t count = executable_phdrs(exe, &phdrs);
	const Elf64_Phdr *self = find_phdr(phdrs, count, PT_PHDR);
	return self ? self->p_vaddr : 0;
}

/* Where the file would have to lie for its entry and program headers to be where the target has
 * them. Those of a program that is known by its id may have been moved (patchelf, mapcrash patch). */
static enum verdict find_bias(const struct image *image, const struct executable *exe,
			      bool is_known, uint64_t *ret_bias, struct error *err)
{
	const struct auxv *auxv = &image->auxv;
	uint64_t phdr = phdr_address(exe);
	*ret_bias = 0;
	if (!auxv->entry && !(auxv->phdr && phdr))
		return NOT_COMPARED;
	uint64_t bias = auxv->entry ? auxv->entry - executable_entry(exe) : auxv->phdr - phdr;
	bool phdr_fits = !auxv->entry || !auxv->phdr || !phdr || auxv->phdr - phdr == bias ||
			 is_known;
	if (phdr_fits && bias % 4096 == 0 && (bias == 0 || executable_is_pie(exe))) {
		*ret_bias = bias;
		return SAME;
	}
	(void)!error_set(err, ERROR_MISMATCH,
			 "%.100s is another program: it starts at 0x%" PRIx64
			 ", the target's at 0x%" PRIx64 ": name the right one with --exe",
			 executable_path(exe), executable_entry(exe), auxv->entry);
	return DIFFERENT;
}

enum status image_match(const struct image *image, const struct executable *exe, bool force,
			struct notes *notes, uint64_t *ret_bias, struct error *err)
{
	const char *path = executable_path(exe);
	struct error why = {0};
	uint64_t bias;
	struct error id_why = {0};
	enum verdict ids = compare_ids(executable_build_id(exe), &image->id, path, &id_why);
	enum verdict place = find_bias(image, exe, ids == SAME, &bias, &why);
	enum verdict headers = ids == NOT_COMPARED ? compare_phdrs(image, exe, &id_why) : ids;
	if (ids == DIFFERENT || headers == DIFFERENT)
		why = id_why;
	if (place == DIFFERENT || ids == DIFFERENT || headers == DIFFERENT) {
		if (!force) {
			if (err)
				*err = why;
			return FAILED;
		}
		notes_add(notes, "target", 0, "used by force: %s", why.text);
	} else if (ids == NOT_COMPARED) {
		notes_add(
			notes, "target", 0,
			"build ids not compared (%s): that %.100s is the target's program is taken "
			"from %s",
			executable_build_id(exe)->go[0] || executable_build_id(exe)->gnu_len
				? "the target's is not in its memory"
				: "the file has none",
			path,
			headers == SAME ? "its equal program headers"
			: place == SAME ? "its entry point"
					: "its name");
	}
	if (place == NOT_COMPARED && executable_is_pie(exe))
		notes_add(notes, "target", 0,
			  "where %.100s was loaded is not known (no auxiliary vector): taken as 0",
			  path);
	*ret_bias = bias;
	return OK;
}
