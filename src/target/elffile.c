#include "target/elffile.h"

#include <string.h>

enum { NT_GO_BUILD_ID = 4 }; /* go1.24 cmd/internal/buildid/note.go: elfGoNote "Go\0\0", tag 4 */

enum status elf_header_parse(const void *p, size_t n, struct elf_header *ret, struct error *err)
{
	const uint8_t *ident = p;
	if (n < SELFMAG || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return error_set(err, ERROR_FORMAT, "not an ELF file");
	if (n < EI_NIDENT)
		return error_set(err, ERROR_FORMAT, "ends within its ELF header");
	if (ident[EI_CLASS] == ELFCLASS32)
		return error_set(err, ERROR_UNSUPPORTED,
				 "a 32-bit ELF file: only 64-bit amd64 and arm64 are read");
	if (ident[EI_DATA] == ELFDATA2MSB)
		return error_set(err, ERROR_UNSUPPORTED,
				 "a big-endian ELF file: only amd64 and arm64 are read");
	if (ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
		return error_set(err, ERROR_FORMAT, "damaged ELF header (class %u, encoding %u)",
				 ident[EI_CLASS], ident[EI_DATA]);
	Elf64_Ehdr header;
	if (n < sizeof(header))
		return error_set(err, ERROR_FORMAT, "ends within its ELF header");
	memcpy(&header, p, sizeof(header));
	if (header.e_machine != EM_X86_64 && header.e_machine != EM_AARCH64)
		return error_set(
			err, ERROR_UNSUPPORTED,
			"for another machine (e_machine %u): only amd64 and arm64 are read",
			header.e_machine);
	if (header.e_phnum && header.e_phentsize != sizeof(Elf64_Phdr))
		return error_set(err, ERROR_FORMAT,
				 "damaged ELF header (program headers of %u bytes)",
				 header.e_phentsize);
	*ret = (struct elf_header){
		.type = header.e_type,
		.arch = header.e_machine == EM_X86_64 ? ARCH_AMD64 : ARCH_ARM64,
		.entry = header.e_entry,
		.phoff = header.e_phoff,
		.shoff = header.e_shoff,
		.phnum = header.e_phnum,
	};
	return OK;
}

/* Skips n bytes and then up to the next multiple of align from the note's start. At the end of the
 * notes the padding may be missing. */
static bool skip_padded(struct bytes *b, const uint8_t *start, uint64_t n, uint64_t align)
{
	if (!bytes_skip(b, n))
		return false;
	uint64_t pad = -(uint64_t)(b->pos - start) & (align - 1);
	if (!bytes_skip(b, pad))
		b->pos = b->end;
	return true;
}

bool elf_note_next(struct bytes *notes, uint64_t align, struct elf_note *ret)
{
	struct bytes b = *notes;
	uint32_t name_size, desc_size;
	struct elf_note note;
	align = align == 8 ? 8 : 4;
	if (!bytes_u32(&b, &name_size) || !bytes_u32(&b, &desc_size) || !bytes_u32(&b, &note.type))
		return false;
	note.name = (const char *)b.pos;
	if (!skip_padded(&b, notes->pos, name_size, align))
		return false;
	note.name_len = strnlen(note.name, name_size);
	note.desc = b.pos;
	note.desc_len = desc_size;
	if (!skip_padded(&b, notes->pos, desc_size, align))
		return false;
	*notes = b;
	*ret = note;
	return true;
}

bool elf_note_is(const struct elf_note *note, const char *name, uint32_t type)
{
	return note->type == type && note->name_len == strlen(name) &&
	       memcmp(note->name, name, note->name_len) == 0;
}

void build_id_collect(struct build_id *id, struct bytes notes, uint64_t align)
{
	struct elf_note note;
	while (elf_note_next(&notes, align, &note)) {
		if (elf_note_is(&note, "GNU", NT_GNU_BUILD_ID) && note.desc_len &&
		    note.desc_len <= sizeof(id->gnu)) {
			memcpy(id->gnu, note.desc, note.desc_len);
			id->gnu_len = note.desc_len;
		} else if (elf_note_is(&note, "Go", NT_GO_BUILD_ID) &&
			   note.desc_len < sizeof(id->go)) {
			memcpy(id->go, note.desc, note.desc_len);
			id->go[note.desc_len] = '\0';
		}
	}
}
