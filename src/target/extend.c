#include "target/extend.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

enum {
	PAGE = 4096,
	NEW_PHDRS = 2,
	NEW_SECTIONS = 3,
};

/* A program of more bytes cannot be reached by jumps: neither file nor image may grow beyond. */
static const uint64_t SPAN_MAX = UINT64_C(1) << 31;

/* A range of the file. */
struct span {
	uint64_t start, end;
};

/* The tables of headers as the file has them. */
struct tables {
	Elf64_Ehdr header;
	const Elf64_Phdr *phdrs;
	size_t phdr_count;
	const uint8_t
		*sections; /* Elf64_Shdr each, not aligned; NULL: none, or not as they should be */
	size_t section_count;
	Elf64_Shdr names; /* the section of their names */
};

static uint64_t align_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

static bool overlap(struct span a, struct span b)
{
	return a.start < b.end && b.start < a.end;
}

static Elf64_Shdr section_at(const struct tables *t, size_t i)
{
	Elf64_Shdr sh;
	memcpy(&sh, t->sections + i * sizeof(sh), sizeof(sh));
	return sh;
}

/* Section headers are only used where they are plain: each field that is followed lies in the file. */
static void read_sections(const uint8_t *bytes, size_t size, struct tables *t)
{
	const Elf64_Ehdr *h = &t->header;
	if (!h->e_shoff || !h->e_shnum || h->e_shentsize != sizeof(Elf64_Shdr) ||
	    h->e_shoff > size || (size - h->e_shoff) / sizeof(Elf64_Shdr) < h->e_shnum ||
	    h->e_shnum >= SHN_LORESERVE - NEW_SECTIONS || h->e_shstrndx >= h->e_shnum)
		return;
	struct tables found = *t;
	found.sections = bytes + h->e_shoff;
	found.section_count = h->e_shnum;
	found.names = section_at(&found, h->e_shstrndx);
	/* names are sh_name, 32 bits */
	if (found.names.sh_type != SHT_STRTAB || found.names.sh_flags & SHF_ALLOC ||
	    found.names.sh_offset > size || found.names.sh_size > size - found.names.sh_offset ||
	    found.names.sh_size > UINT32_MAX / 2)
		return;
	*t = found;
}

static void read_tables(const struct executable *exe, struct tables *ret)
{
	size_t size;
	const uint8_t *bytes = executable_bytes(exe, &size);
	struct tables t = {0};
	memcpy(&t.header, bytes, sizeof(t.header));
	t.phdr_count = executable_phdrs(exe, &t.phdrs);
	read_sections(bytes, size, &t);
	*ret = t;
}

/* Whether a segment lies where the headers would grow to. Those that are loaded may cover the place:
 * that is how the headers come into memory. */
static bool segments_leave(const struct tables *t, struct span room)
{
	bool covered = false;
	for (size_t i = 0; i < t->phdr_count; i++) {
		const Elf64_Phdr *ph = &t->phdrs[i];
		struct span span = {ph->p_offset, ph->p_offset + ph->p_filesz};
		bool covers = ph->p_type == PT_LOAD && ph->p_filesz <= UINT64_MAX - ph->p_offset &&
			      span.start <= t->header.e_phoff && span.end >= room.end;
		covered = covered || covers;
		if (!covers && (span.end < span.start || overlap(span, room)))
			return false;
	}
	return covered;
}

static bool sections_leave(const struct tables *t, struct span room)
{
	for (size_t i = 0; i < t->section_count; i++) {
		Elf64_Shdr sh = section_at(t, i);
		struct span span = {sh.sh_offset, sh.sh_offset + sh.sh_size};
		if (sh.sh_type != SHT_NOBITS && sh.sh_type != SHT_NULL && sh.sh_size &&
		    (span.end < span.start || overlap(span, room)))
			return false;
	}
	return true;
}

/* Whether the program headers can grow where they are: what is behind them is padding, or section
 * headers. */
static bool has_room(const struct executable *exe, const struct tables *t)
{
	size_t size;
	const uint8_t *bytes = executable_bytes(exe, &size);
	uint64_t end = t->header.e_phoff + t->phdr_count * sizeof(Elf64_Phdr);
	struct span room = {end, end + NEW_PHDRS * sizeof(Elf64_Phdr)};
	struct span sections = {t->header.e_shoff,
				t->header.e_shoff + t->section_count * sizeof(Elf64_Shdr)};
	if (t->header.e_phoff < sizeof(t->header) || room.end > size || !segments_leave(t, room) ||
	    !sections_leave(t, room))
		return false;
	for (uint64_t at = room.start; at < room.end; at++)
		if (bytes[at] && (at < sections.start || at >= sections.end))
			return false;
	return true;
}

/* The first and the last address of the image, and that first one's distance from its place in the
 * file. */
static enum status read_image(const struct executable *exe, struct span *ret,
			      uint64_t *ret_distance, struct error *err)
{
	const struct segment *segments;
	size_t count = executable_segments(exe, &segments);
	struct span image = {UINT64_MAX, 0};
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		if (s->cut)
			return error_set(err, ERROR_FORMAT, "the file is cut short");
		if (s->addr < image.start)
			image.start = s->addr;
		if (s->addr < image.end)
			return error_set(err, ERROR_UNSUPPORTED,
					 "its segments are not in the order of their addresses");
		image.end = s->addr + s->memsz;
	}
	if (segments[0].addr < segments[0].offset || image.end - image.start > SPAN_MAX ||
	    image.end > UINT64_MAX - 2 * SPAN_MAX)
		return error_set(err, ERROR_UNSUPPORTED,
				 "its segments lie in another way than linkers put them");
	*ret = image;
	*ret_distance = segments[0].addr - segments[0].offset;
	return OK;
}

enum status extension_place(const struct executable *exe, const struct extension_parts *parts,
			    struct extension *ret, struct error *err)
{
	struct tables t;
	struct extension place;
	struct span image = {0}; /* gcc does not see that it is set on success */
	uint64_t distance = 0;
	size_t size;
	executable_bytes(exe, &size);
	read_tables(exe, &t);
	if (read_image(exe, &image, &distance, err) != OK)
		return FAILED;
	if (size > SPAN_MAX)
		return error_set(err, ERROR_LIMIT, "a file of more than 2 GB");
	place.moves_headers = !has_room(exe, &t);
	place.code_addr = align_up(image.end, PAGE);
	place.code_offset = align_up(size, PAGE);
	if (place.moves_headers) {
		size_t table = (t.phdr_count + NEW_PHDRS) * sizeof(Elf64_Phdr);
		if (distance % PAGE || table > PAGE)
			return error_set(err, ERROR_UNSUPPORTED,
					 "there is no room for two more program headers");
		if (place.code_addr - distance > place.code_offset)
			place.code_offset = place.code_addr - distance;
		place.code_addr = place.code_offset + distance;
	}
	uint64_t code = parts->code_size + (place.moves_headers ? PAGE : 0);
	place.data_addr = place.code_addr + code;
	place.data_offset = place.code_offset + code;
	*ret = place;
	return OK;
}

static enum status write_at(int fd, const void *p, size_t n, uint64_t offset, struct error *err)
{
	const uint8_t *from = p;
	while (n) {
		ssize_t done = pwrite(fd, from, n, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return error_sys(err, "the copy cannot be written");
		from += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return OK;
}

/* Behind the last loaded segment: loaders want those in the order of their addresses. */
static enum status write_phdrs(const struct tables *t, const struct extension_parts *parts,
			       const struct extension *place, uint64_t offset, uint64_t addr,
			       int fd, struct error *err)
{
	size_t count = t->phdr_count + NEW_PHDRS, n = 0, last = 0;
	uint64_t before = place->moves_headers ? PAGE : 0;
	AUTO_FREE Elf64_Phdr *phdrs = calloc(count, sizeof(*phdrs));
	if (!phdrs)
		return error_nomem(err);
	for (size_t i = 0; i < t->phdr_count; i++)
		if (t->phdrs[i].p_type == PT_LOAD)
			last = i;
	for (size_t i = 0; i < t->phdr_count; i++) {
		phdrs[n++] = t->phdrs[i];
		if (t->phdrs[i].p_type == PT_PHDR) {
			phdrs[n - 1].p_offset = offset;
			phdrs[n - 1].p_vaddr = phdrs[n - 1].p_paddr = addr;
			phdrs[n - 1].p_filesz = phdrs[n - 1].p_memsz = count * sizeof(*phdrs);
		}
		if (i != last)
			continue;
		phdrs[n++] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_X,
			.p_offset = place->code_offset,
			.p_vaddr = place->code_addr,
			.p_paddr = place->code_addr,
			.p_filesz = parts->code_size,
			.p_memsz = parts->code_size,
			.p_align = PAGE,
		};
		phdrs[n++] = (Elf64_Phdr){
			.p_type = PT_LOAD,
			.p_flags = PF_R | PF_W,
			.p_offset = place->data_offset - before,
			.p_vaddr = place->data_addr - before,
			.p_paddr = place->data_addr - before,
			.p_filesz = parts->data_size + before,
			.p_memsz = parts->data_memsz + before,
			.p_align = PAGE,
		};
	}
	return write_at(fd, phdrs, count * sizeof(*phdrs), offset, err);
}

/* The sections that describe what came in; name counts from the first of their names. */
static void describe(const struct extension_parts *parts, const struct extension *place,
		     uint32_t name, Elf64_Shdr ret[NEW_SECTIONS])
{
	ret[0] = (Elf64_Shdr){
		.sh_name = name,
		.sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC | SHF_EXECINSTR,
		.sh_addr = place->code_addr,
		.sh_offset = place->code_offset,
		.sh_size = parts->code_size,
		.sh_addralign = PAGE,
	};
	ret[1] = (Elf64_Shdr){
		.sh_name = name + (uint32_t)strlen(parts->code_name) + 1,
		.sh_type = SHT_PROGBITS,
		.sh_flags = SHF_ALLOC | SHF_WRITE,
		.sh_addr = place->data_addr,
		.sh_offset = place->data_offset,
		.sh_size = parts->data_size,
		.sh_addralign = PAGE,
	};
	ret[2] = (Elf64_Shdr){
		.sh_name = ret[1].sh_name + (uint32_t)strlen(parts->data_name) + 1,
		.sh_type = SHT_NOBITS,
		.sh_flags = SHF_ALLOC | SHF_WRITE,
		.sh_addr = place->data_addr + parts->data_size,
		.sh_offset = place->data_offset + parts->data_size,
		.sh_size = parts->data_memsz - parts->data_size,
		.sh_addralign = PAGE,
	};
}

/* The names and the table of all sections, at the file's end; header then says where. */
static enum status write_sections(const struct executable *exe, const struct tables *t,
				  const struct extension_parts *parts,
				  const struct extension *place, Elf64_Ehdr *header, int fd,
				  struct error *err)
{
	const char *const added[NEW_SECTIONS] = {parts->code_name, parts->data_name,
						 parts->zeros_name};
	size_t size, count = t->section_count + NEW_SECTIONS;
	const uint8_t *bytes = executable_bytes(exe, &size);
	AUTO_FREE Elf64_Shdr *sections = calloc(count, sizeof(*sections));
	if (!sections)
		return error_nomem(err);
	for (size_t i = 0; i < t->section_count; i++)
		sections[i] = section_at(t, i);
	uint64_t names = place->data_offset + parts->data_size, at = names;
	if (write_at(fd, bytes + t->names.sh_offset, t->names.sh_size, at, err) != OK)
		return FAILED;
	at += t->names.sh_size;
	for (size_t i = 0; i < NEW_SECTIONS; i++) {
		if (write_at(fd, added[i], strlen(added[i]) + 1, at, err) != OK)
			return FAILED;
		at += strlen(added[i]) + 1;
	}
	sections[header->e_shstrndx].sh_offset = names;
	sections[header->e_shstrndx].sh_size = at - names;
	describe(parts, place, (uint32_t)t->names.sh_size, sections + t->section_count);
	header->e_shoff = align_up(at, sizeof(uint64_t));
	header->e_shnum = (uint16_t)count;
	return write_at(fd, sections, count * sizeof(*sections), header->e_shoff, err);
}

enum status extension_write(const struct executable *exe, const struct extension_parts *parts,
			    const struct extension *place, int fd, struct error *err)
{
	struct tables t;
	size_t size;
	const uint8_t *bytes = executable_bytes(exe, &size);
	read_tables(exe, &t);
	Elf64_Ehdr header = t.header;
	uint64_t addr = 0;
	if (place->moves_headers) {
		header.e_phoff = place->data_offset - PAGE;
		addr = place->data_addr - PAGE;
	}
	for (size_t i = 0; i < t.phdr_count && !place->moves_headers; i++)
		if (t.phdrs[i].p_type == PT_PHDR)
			addr = t.phdrs[i].p_vaddr;
	header.e_phnum = (uint16_t)(t.phdr_count + NEW_PHDRS);
	if (write_at(fd, bytes, size, 0, err) != OK ||
	    write_at(fd, parts->code, parts->code_size, place->code_offset, err) != OK ||
	    write_at(fd, parts->data, parts->data_size, place->data_offset, err) != OK ||
	    write_phdrs(&t, parts, place, header.e_phoff, addr, fd, err) != OK ||
	    (t.sections && write_sections(exe, &t, parts, place, &header, fd, err) != OK))
		return FAILED;
	return write_at(fd, &header, sizeof(header), 0, err);
}
