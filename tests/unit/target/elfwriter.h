/*
 * Forges ELF cores and executables for tests, in memory, field by field.
 *
 * The file is laid out as the kernel lays out a core: header, program headers (the notes first),
 * notes, then each segment's bytes on a page of its own. A test that wants damage forges a whole
 * file first and then patches bytes: elfw.p is plain memory.
 */
#ifndef TESTS_ELFWRITER_H
#define TESTS_ELFWRITER_H

#include <assert.h>
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ELFW_SEGMENTS_MAX = 16, ELFW_PAGE = 4096 };

struct elfw_segment {
	Elf64_Phdr phdr;
	const void *bytes; /* NULL: the file itself from its start (a program's first segment) */
};

struct elfw {
	Elf64_Ehdr header;
	struct elfw_segment segments[ELFW_SEGMENTS_MAX];
	size_t segment_count;
	uint8_t notes[16384];
	size_t notes_size;
	uint64_t notes_addr; /* p_vaddr of the notes: 0 in cores */
	uint8_t *p; /* the file, from elfw_build on */
	size_t size;
};

static inline struct elfw elfw_new(uint16_t type, uint16_t machine)
{
	struct elfw w = {0};
	memcpy(w.header.e_ident, ELFMAG, SELFMAG);
	w.header.e_ident[EI_CLASS] = ELFCLASS64;
	w.header.e_ident[EI_DATA] = ELFDATA2LSB;
	w.header.e_ident[EI_VERSION] = EV_CURRENT;
	w.header.e_type = type;
	w.header.e_machine = machine;
	w.header.e_version = EV_CURRENT;
	w.header.e_ehsize = sizeof(Elf64_Ehdr);
	w.header.e_phentsize = sizeof(Elf64_Phdr);
	w.header.e_phoff = sizeof(Elf64_Ehdr);
	return w;
}

static inline void elfw_done(struct elfw *w)
{
	free(w->p);
}
#define AUTO_ELFW __attribute__((cleanup(elfw_done)))

/* Adds a PT_LOAD; bytes must live until elfw_build. */
static inline void elfw_load(struct elfw *w, uint64_t addr, const void *bytes, uint64_t filesz,
			     uint64_t memsz, uint32_t flags)
{
	assert(w->segment_count < ELFW_SEGMENTS_MAX);
	w->segments[w->segment_count++] = (struct elfw_segment){
		.phdr = {.p_type = PT_LOAD,
			 .p_flags = flags,
			 .p_vaddr = addr,
			 .p_filesz = filesz,
			 .p_memsz = memsz,
			 .p_align = ELFW_PAGE},
		.bytes = bytes,
	};
}

static inline void elfw_put(struct elfw *w, const void *p, size_t n)
{
	assert(w->notes_size + n + 4 <= sizeof(w->notes));
	if (n)
		memcpy(w->notes + w->notes_size, p, n);
	w->notes_size = (w->notes_size + n + 3) & ~(size_t)3;
}

static inline void elfw_note(struct elfw *w, const char *name, uint32_t type, const void *desc,
			     size_t n)
{
	/* Go pads its name's size to 4: go1.24 cmd/internal/buildid/note.go */
	size_t name_size = strcmp(name, "Go") == 0 ? 4 : strlen(name) + 1;
	uint32_t head[3] = {(uint32_t)name_size, (uint32_t)n, type};
	char padded[16] = {0};
	memcpy(padded, name, strlen(name));
	elfw_put(w, head, sizeof(head));
	elfw_put(w, padded, name_size);
	elfw_put(w, desc, n);
}

/* A thread's NT_PRSTATUS with these registers: 27 or 34 words, as the machine has. */
static inline void elfw_thread(struct elfw *w, uint32_t tid, uint16_t signal, const uint64_t *regs)
{
	size_t words = w->header.e_machine == EM_X86_64 ? 27 : 34;
	uint8_t desc[112 + 34 * 8 + 8] = {0};
	memcpy(desc + 12, &signal, 2);
	memcpy(desc + 32, &tid, 4);
	memcpy(desc + 112, regs, words * 8);
	elfw_note(w, "CORE", NT_PRSTATUS, desc, 112 + words * 8 + 8);
}

static inline void elfw_auxv(struct elfw *w, uint64_t phdr, uint64_t phnum, uint64_t entry)
{
	uint64_t desc[] = {AT_PHDR,  phdr,  AT_PHENT, sizeof(Elf64_Phdr),
			   AT_PHNUM, phnum, AT_ENTRY, entry,
			   AT_NULL,  0};
	elfw_note(w, "CORE", NT_AUXV, desc, sizeof(desc));
}

struct elfw_file {
	uint64_t start, end, page; /* offset in pages */
	const char *path;
};

static inline void elfw_files(struct elfw *w, const struct elfw_file *files, size_t count)
{
	uint8_t desc[4096];
	size_t n = 0;
	uint64_t head[2] = {count, ELFW_PAGE};
	memcpy(desc, head, sizeof(head));
	n += sizeof(head);
	for (size_t i = 0; i < count; i++, n += 24)
		memcpy(desc + n, &files[i], 24);
	for (size_t i = 0; i < count; i++) {
		assert(n + strlen(files[i].path) < sizeof(desc));
		memcpy(desc + n, files[i].path, strlen(files[i].path) + 1);
		n += strlen(files[i].path) + 1;
	}
	elfw_note(w, "CORE", NT_FILE, desc, n);
}

/* A program header that is no PT_LOAD. */
static inline void elfw_phdr(struct elfw *w, uint32_t type, uint64_t addr)
{
	assert(w->segment_count < ELFW_SEGMENTS_MAX);
	w->segments[w->segment_count++].phdr =
		(Elf64_Phdr){.p_type = type, .p_vaddr = addr, .p_flags = PF_R};
}

/* Lays the file out; offsets are in w->segments afterwards. */
static inline void elfw_build(struct elfw *w)
{
	size_t phnum = w->segment_count + (w->notes_size != 0);
	size_t notes_at = sizeof(Elf64_Ehdr) + phnum * sizeof(Elf64_Phdr);
	size_t at = notes_at + w->notes_size;
	for (size_t i = 0; i < w->segment_count; i++) {
		struct elfw_segment *s = &w->segments[i];
		if (s->phdr.p_type != PT_LOAD || !s->bytes)
			continue;
		at = (at + ELFW_PAGE - 1) & ~(size_t)(ELFW_PAGE - 1);
		s->phdr.p_offset = at;
		at += s->phdr.p_filesz;
	}
	w->size = at;
	w->p = calloc(1, at);
	assert(w->p);
	w->header.e_phnum = (uint16_t)phnum;
	memcpy(w->p, &w->header, sizeof(w->header));
	Elf64_Phdr *ph = (Elf64_Phdr *)(w->p + sizeof(Elf64_Ehdr));
	if (w->notes_size)
		*ph++ = (Elf64_Phdr){.p_type = PT_NOTE,
				     .p_flags = PF_R,
				     .p_offset = notes_at,
				     .p_vaddr = w->notes_addr ? w->notes_addr + notes_at : 0,
				     .p_filesz = w->notes_size,
				     .p_memsz = w->notes_addr ? w->notes_size : 0,
				     .p_align = 4};
	memcpy(w->p + notes_at, w->notes, w->notes_size);
	for (size_t i = 0; i < w->segment_count; i++) {
		struct elfw_segment *s = &w->segments[i];
		*ph++ = s->phdr;
		if (s->bytes && s->phdr.p_filesz)
			memcpy(w->p + s->phdr.p_offset, s->bytes, s->phdr.p_filesz);
	}
}

/* Writes n bytes to a new file in the folder that tests work in; its name goes to path. */
static inline void elfw_file(char path[64], const void *p, size_t n)
{
	snprintf(path, 64, "/tmp/mapcrash-test.XXXXXX");
	int fd = mkstemp(path);
	assert(fd >= 0);
	assert(write(fd, p, n) == (ssize_t)n);
	close(fd);
}

/* A program of one text segment at base, whose first page holds the headers and notes, with the
 * given ids ("" for none), and one data segment behind it. */
static inline struct elfw elfw_program(uint16_t type, uint64_t base, const char *go,
				       const char *gnu)
{
	static const uint8_t data[ELFW_PAGE] = {'d', 'a', 't', 'a'};
	static const uint8_t text[ELFW_PAGE] = {'t', 'e', 'x', 't'};
	struct elfw w = elfw_new(type, EM_X86_64);
	w.header.e_entry = base + ELFW_PAGE;
	w.notes_addr = base;
	if (*go)
		elfw_note(&w, "Go", 4, go, strlen(go));
	if (*gnu)
		elfw_note(&w, "GNU", NT_GNU_BUILD_ID, gnu, strlen(gnu));
	elfw_phdr(&w, PT_PHDR, base + sizeof(Elf64_Ehdr));
	elfw_load(&w, base, NULL, ELFW_PAGE, ELFW_PAGE, PF_R);
	elfw_load(&w, base + ELFW_PAGE, text, ELFW_PAGE, ELFW_PAGE, PF_R | PF_X);
	elfw_load(&w, base + 2 * ELFW_PAGE, data, ELFW_PAGE, 2 * ELFW_PAGE, PF_R | PF_W);
	elfw_build(&w);
	return w;
}

#endif
