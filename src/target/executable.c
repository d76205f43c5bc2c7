#include "target/executable.h"

#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "target/elffile.h"
#include "target/file.h"

/* Programs have about ten; more than this is damage or malice. */
enum { PHDRS_MAX = 1024 };

struct executable {
	char *path;
	uint8_t *bytes; /* the mapped file */
	size_t size;
	enum arch arch;
	bool pie;
	uint64_t entry;
	Elf64_Phdr *phdrs;
	size_t phdr_count;
	struct segment *segments;
	size_t segment_count;
	struct build_id id;
	Elf *elf;
	bool elf_tried;
	struct symbol *symbols; /* by address */
	size_t symbol_count;
	bool symbols_read;
};

void executable_free(struct executable *exe)
{
	if (!exe)
		return;
	if (exe->elf)
		elf_end(exe->elf);
	if (exe->bytes)
		munmap(exe->bytes, exe->size);
	free(exe->path);
	free(exe->phdrs);
	free(exe->segments);
	free(exe->symbols);
	free(exe);
}

/* Whether the file holds n bytes at offset. */
static bool holds(const struct executable *exe, uint64_t offset, uint64_t n)
{
	return offset <= exe->size && n <= exe->size - offset;
}

static enum status read_headers(struct executable *exe, struct error *err)
{
	struct elf_header header;
	if (elf_header_parse(exe->bytes, exe->size, &header, err) != OK)
		return FAILED;
	if (header.type == ET_REL)
		return error_set(err, ERROR_UNSUPPORTED, "a relocatable object, not an executable");
	if (header.type == ET_CORE)
		return error_set(err, ERROR_UNSUPPORTED, "a core, not an executable");
	if (header.type != ET_EXEC && header.type != ET_DYN)
		return error_set(err, ERROR_UNSUPPORTED, "not an executable (ELF type %u)",
				 header.type);
	if (header.phnum == 0)
		return error_set(err, ERROR_FORMAT, "an ELF file without program headers");
	if (header.phnum > PHDRS_MAX)
		return error_set(err, ERROR_FORMAT, "damaged: %u program headers", header.phnum);
	size_t size = header.phnum * sizeof(*exe->phdrs);
	if (!holds(exe, header.phoff, size))
		return error_set(err, ERROR_FORMAT, "ends within its program headers");
	exe->arch = header.arch;
	exe->pie = header.type == ET_DYN;
	exe->entry = header.entry;
	exe->phdr_count = header.phnum;
	exe->phdrs = malloc(size);
	exe->segments = calloc(header.phnum, sizeof(*exe->segments));
	if (!exe->phdrs || !exe->segments)
		return error_nomem(err);
	memcpy(exe->phdrs, exe->bytes + header.phoff, size);
	return OK;
}

static enum status read_segments(struct executable *exe, struct error *err)
{
	for (size_t i = 0; i < exe->phdr_count; i++) {
		const Elf64_Phdr *ph = &exe->phdrs[i];
		if (ph->p_type != PT_LOAD)
			continue;
		if (ph->p_memsz > UINT64_MAX - ph->p_vaddr || ph->p_filesz > ph->p_memsz)
			return error_set(err, ERROR_FORMAT,
					 "damaged program header %zu: 0x%" PRIx64
					 " bytes at 0x%" PRIx64 ", 0x%" PRIx64
					 " of them in the file",
					 i, ph->p_memsz, ph->p_vaddr, ph->p_filesz);
		uint64_t offset = ph->p_offset < exe->size ? ph->p_offset : exe->size;
		uint64_t left = exe->size - offset;
		exe->segments[exe->segment_count++] = (struct segment){
			.addr = ph->p_vaddr,
			.filesz = ph->p_filesz < left ? ph->p_filesz : left,
			.memsz = ph->p_memsz,
			.offset = offset,
			.writable = ph->p_flags & PF_W,
			.executable = ph->p_flags & PF_X,
			.cut = ph->p_filesz > left,
		};
	}
	if (exe->segment_count == 0)
		return error_set(err, ERROR_FORMAT, "an ELF file that loads nothing");
	return OK;
}

/* Build ids out of the note segments, then, where one is still missing, the note sections. */
static void read_build_id(struct executable *exe)
{
	for (size_t i = 0; i < exe->phdr_count; i++) {
		const Elf64_Phdr *ph = &exe->phdrs[i];
		if (ph->p_type == PT_NOTE && holds(exe, ph->p_offset, ph->p_filesz))
			build_id_collect(&exe->id,
					 bytes_of(exe->bytes + ph->p_offset, ph->p_filesz),
					 ph->p_align);
	}
	if (exe->id.gnu_len && exe->id.go[0])
		return;
	Elf *elf = executable_elf(exe);
	struct build_id found = {0};
	for (Elf_Scn *scn = NULL; elf && (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE &&
		    holds(exe, sh.sh_offset, sh.sh_size))
			build_id_collect(&found, bytes_of(exe->bytes + sh.sh_offset, sh.sh_size),
					 sh.sh_addralign);
	}
	if (!exe->id.gnu_len) {
		exe->id.gnu_len = found.gnu_len;
		memcpy(exe->id.gnu, found.gnu, sizeof(found.gnu));
	}
	if (!exe->id.go[0])
		memcpy(exe->id.go, found.go, sizeof(found.go));
}

enum status executable_open_fd(int fd, uint64_t size, const char *path, struct executable **ret,
			       struct error *err)
{
	AUTO_EXECUTABLE struct executable *exe = calloc(1, sizeof(*exe));
	if (!exe || !(exe->path = strdup(path)))
		return error_nomem(err);
	/* Writable, and private to us: libdw inflates sections through elf_compress, which changes
	 * their headers in place. */
	void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return error_sys(err, "%.160s: cannot map", path);
	exe->bytes = bytes;
	exe->size = size;
	if (read_headers(exe, err) != OK || read_segments(exe, err) != OK)
		return error_prefix(err, "%.160s", path);
	read_build_id(exe);
	*ret = TAKE(exe);
	return OK;
}

enum status executable_open(const char *path, struct executable **ret, struct error *err)
{
	AUTO_FD int fd = -1;
	uint64_t size;
	if (file_open(NULL, path, &fd, &size, err) != OK)
		return FAILED;
	return executable_open_fd(fd, size, path, ret, err);
}

const char *executable_path(const struct executable *exe)
{
	return exe->path;
}

enum arch executable_arch(const struct executable *exe)
{
	return exe->arch;
}

bool executable_is_pie(const struct executable *exe)
{
	return exe->pie;
}

const struct build_id *executable_build_id(const struct executable *exe)
{
	return &exe->id;
}

uint64_t executable_entry(const struct executable *exe)
{
	return exe->entry;
}

size_t executable_segments(const struct executable *exe, const struct segment **ret)
{
	*ret = exe->segments;
	return exe->segment_count;
}

size_t executable_phdrs(const struct executable *exe, const Elf64_Phdr **ret)
{
	*ret = exe->phdrs;
	return exe->phdr_count;
}

const uint8_t *executable_bytes(const struct executable *exe, size_t *ret_size)
{
	*ret_size = exe->size;
	return exe->bytes;
}

/* The segment that addr lies in, or NULL. */
static const struct segment *segment_at(const struct executable *exe, uint64_t addr)
{
	for (size_t i = 0; i < exe->segment_count; i++) {
		const struct segment *s = &exe->segments[i];
		if (addr >= s->addr && addr - s->addr < s->memsz)
			return s;
	}
	return NULL;
}

const void *executable_view(const struct executable *exe, uint64_t addr, size_t n)
{
	for (size_t i = 0; i < exe->segment_count; i++) {
		const struct segment *s = &exe->segments[i];
		if (addr >= s->addr && addr - s->addr < s->filesz)
			return n <= s->filesz - (addr - s->addr)
				       ? exe->bytes + s->offset + (addr - s->addr)
				       : NULL;
	}
	return NULL;
}

bool executable_overwrite(struct executable *exe, uint64_t addr, const void *bytes, size_t n)
{
	const uint8_t *view = executable_view(exe, addr, n);
	if (!view)
		return false;
	memcpy(exe->bytes + (view - exe->bytes), bytes, n);
	return true;
}

struct Elf *executable_elf(struct executable *exe)
{
	if (!exe->elf_tried) {
		exe->elf_tried = true;
		elf_version(EV_CURRENT);
		exe->elf = elf_memory((char *)exe->bytes, exe->size);
	}
	return exe->elf;
}

bool executable_section(struct executable *exe, const char *name, struct section *ret)
{
	Elf *elf = executable_elf(exe);
	size_t names;
	if (!elf || elf_getshdrstrndx(elf, &names) != 0)
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		GElf_Shdr sh;
		const char *s;
		if (!gelf_getshdr(scn, &sh) || !(s = elf_strptr(elf, names, sh.sh_name)) ||
		    strcmp(s, name) != 0)
			continue;
		*ret = (struct section){
			.addr = sh.sh_addr,
			.size = sh.sh_size,
			.offset = sh.sh_offset,
			.has_bytes = sh.sh_type != SHT_NOBITS &&
				     holds(exe, sh.sh_offset, sh.sh_size),
		};
		return true;
	}
	return false;
}

/* By address; of several at one address the longest comes last, where lookups find it. */
static int compare_symbols(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->size != y->size)
		return x->size < y->size ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The symbol table's section: .symtab, or .dynsym where that is stripped. */
static Elf_Scn *symbol_section(Elf *elf, GElf_Shdr *ret)
{
	Elf_Scn *dynamic = NULL;
	GElf_Shdr sh;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn));) {
		if (!gelf_getshdr(scn, &sh))
			continue;
		if (sh.sh_type == SHT_SYMTAB) {
			*ret = sh;
			return scn;
		}
		if (sh.sh_type == SHT_DYNSYM && !dynamic) {
			*ret = sh;
			dynamic = scn;
		}
	}
	return dynamic;
}

static bool is_location(const GElf_Sym *sym)
{
	unsigned type = GELF_ST_TYPE(sym->st_info);
	return sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS &&
	       (type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE);
}

static void read_symbols(struct executable *exe)
{
	if (exe->symbols_read)
		return;
	exe->symbols_read = true;
	Elf *elf = executable_elf(exe);
	GElf_Shdr sh;
	Elf_Scn *scn = elf ? symbol_section(elf, &sh) : NULL;
	Elf_Data *data = scn ? elf_getdata(scn, NULL) : NULL;
	if (!data)
		return;
	size_t cap = 0;
	/* libelf has checked that the data lies in the file, so their count is bounded by its size. */
	for (size_t i = 0; i < data->d_size / sizeof(Elf64_Sym); i++) {
		GElf_Sym sym;
		const char *name;
		if (!gelf_getsym(data, (int)i, &sym) || !is_location(&sym) ||
		    !(name = elf_strptr(elf, sh.sh_link, sym.st_name)) || !*name)
			continue;
		struct symbol symbol = {sym.st_value, sym.st_size, name};
		if (!ARRAY_PUSH(exe->symbols, exe->symbol_count, cap, symbol))
			break;
	}
	if (exe->symbol_count)
		qsort(exe->symbols, exe->symbol_count, sizeof(*exe->symbols), compare_symbols);
}

bool executable_symbol(struct executable *exe, const char *name, struct symbol *ret)
{
	read_symbols(exe);
	for (size_t i = 0; i < exe->symbol_count; i++) {
		if (strcmp(exe->symbols[i].name, name) == 0) {
			*ret = exe->symbols[i];
			return true;
		}
	}
	return false;
}

bool executable_symbol_at(struct executable *exe, uint64_t addr, struct symbol *ret)
{
	read_symbols(exe);
	size_t low = 0, high = exe->symbol_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (exe->symbols[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0)
		return false;
	const struct symbol *s = &exe->symbols[low - 1];
	/* Without a size it covers what follows, but not what lies outside the program. */
	const struct segment *segment = segment_at(exe, addr);
	if (s->size ? addr - s->addr >= s->size : !segment || segment != segment_at(exe, s->addr))
		return false;
	*ret = *s;
	return true;
}
