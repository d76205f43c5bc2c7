/*
 * Bytes as the DWARF of an executable: records of a section's number (u8), a length (u16) and so many bytes;
 * a later record of a section takes the place of an earlier one. All that this floor asks of DWARF is asked:
 * the functions, scopes and variables at some PCs, package variables, types, the runtime's layouts.
 */
#include <elf.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "fuzz/memfile.h"
#include "go/dwarf.h"
#include "go/layout.h"
#include "go/scope.h"
#include "go/shape.h"
#include "go/variable.h"
#include "unit/go/forge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const section_names[] = {
	".debug_abbrev",   ".debug_info",   ".debug_str",	  ".debug_line",
	".debug_ranges",   ".debug_loc",    ".debug_rnglists",	  ".debug_loclists",
	".debug_addr",	   ".debug_types",  ".debug_str_offsets", ".debug_line_str",
	".debug_pubnames", ".debug_aranges"};

enum {
	SECTIONS = sizeof(section_names) / sizeof(section_names[0]),
	TEXT = 0x401000, /* what the seeds' programs are linked at */
	TEXT_SIZE = 0x1000,
	PC_STEP = 7,
	PCS_MAX = 200,
	DATA = 0x403000,
	DATA_SIZE = 0x1000,
	DIES_MAX = 2000,
};

struct file {
	uint8_t bytes[1 << 18];
	size_t size;
};

static uint64_t file_add(struct file *f, const void *p, size_t n)
{
	uint64_t at = f->size;
	if (n > sizeof(f->bytes) - f->size)
		abort();
	if (n)
		memcpy(f->bytes + f->size, p, n);
	f->size += n;
	return at;
}

/* An executable of no code with these sections. */
static void file_build(struct file *f, const struct bytes sections[SECTIONS])
{
	Elf64_Shdr headers[SECTIONS + 2] = {0};
	Elf64_Ehdr header = {.e_type = ET_EXEC,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_ehsize = sizeof(header),
			     .e_phoff = sizeof(header),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 1,
			     .e_shentsize = sizeof(Elf64_Shdr),
			     .e_shnum = SECTIONS + 2,
			     .e_shstrndx = SECTIONS + 1};
	const Elf64_Phdr load = {
		.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_vaddr = TEXT, .p_memsz = TEXT_SIZE};
	memcpy(header.e_ident, ELFMAG, SELFMAG);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_ident[EI_VERSION] = EV_CURRENT;
	f->size = 0;
	file_add(f, &header, sizeof(header));
	file_add(f, &load, sizeof(load));
	struct blob names = {0};
	blob_u8(&names, 0);
	for (size_t i = 0; i < SECTIONS; i++) {
		size_t n = bytes_left(&sections[i]);
		headers[i + 1] =
			(Elf64_Shdr){.sh_name = (uint32_t)blob_string(&names, section_names[i]),
				     .sh_type = n ? SHT_PROGBITS : SHT_NULL,
				     .sh_addralign = 1,
				     .sh_size = n};
		headers[i + 1].sh_offset = file_add(f, sections[i].pos, n);
	}
	headers[SECTIONS + 1] = (Elf64_Shdr){.sh_name = (uint32_t)blob_string(&names, ".shstrtab"),
					     .sh_type = SHT_STRTAB,
					     .sh_addralign = 1};
	headers[SECTIONS + 1].sh_size = names.len;
	headers[SECTIONS + 1].sh_offset = file_add(f, names.bytes, names.len);
	while (f->size % 8)
		f->bytes[f->size++] = 0;
	header.e_shoff = file_add(f, headers, sizeof(headers));
	memcpy(f->bytes, &header, sizeof(header));
}

/* Types of all DIEs of the first levels. */
static void ask_types(struct runtime *rt, Dwarf *dwarf)
{
	Dwarf_Off pos = 0;
	Dwarf_Die unit, die;
	int left = DIES_MAX;
	while (left > 0 && dwarf_info_next_unit(dwarf, &pos, &unit)) {
		for (bool more = die_first_child(&unit, &die); more && --left > 0;
		     more = die_next_sibling(&die, &die)) {
			Dwarf_Die type;
			(void)die_size(&die);
			(void)die_kind(&die);
			(void)die_runtime_type(rt, &die);
			if (die_type(&die, &type))
				(void)die_size(&type);
		}
	}
}

static void ask_pc(struct runtime *rt, uint64_t pc)
{
	struct regs regs = {.arch = ARCH_AMD64, .pc = pc, .sp = DATA, .fp = DATA + 0x40};
	struct frame frame = {.pc = pc,
			      .lookup_pc = pc,
			      .sp = DATA,
			      .cfa = DATA + 0x80,
			      .has_function = true,
			      .regs = &regs};
	struct variable *list;
	size_t count = variables_of_frame(rt, &frame, &list);
	if (count > SCOPE_VARIABLES_MAX)
		abort();
	variables_free(list, count);
	list = NULL;
	count = variables_captured(rt, pc, &list);
	variables_free(list, count);
}

static void ask(struct forge *forge)
{
	struct runtime *rt = &forge->rt;
	struct dwarf_info *info = dwarf_info(rt);
	struct layout layout;
	struct variable var;
	uint64_t offset;
	layout_clear(&layout);
	(void)layout_from_dwarf(&forge->target, &layout, NULL);
	if (!info)
		return;
	ask_types(rt, dwarf_info_dwarf(info));
	for (int i = 0; i < PCS_MAX; i++)
		ask_pc(rt, TEXT + (uint64_t)i * PC_STEP);
	for (uint64_t at = 0; at < DATA_SIZE; at += 64)
		if (variable_global_at(rt, DATA + at, &var, &offset))
			variable_done(&var);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct file file;
	static const uint8_t memory[DATA_SIZE];
	struct bytes sections[SECTIONS] = {0}, b = bytes_of(data, size);
	uint8_t number;
	uint16_t n;
	while (bytes_u8(&b, &number) && bytes_u16(&b, &n)) {
		size_t take = n < bytes_left(&b) ? n : bytes_left(&b);
		sections[number % SECTIONS] = bytes_of(b.pos, take);
		(void)bytes_skip(&b, take);
	}
	file_build(&file, sections);
	struct forge forge;
	char path[MEMFILE_PATH];
	int fd = memfile_new(file.bytes, file.size, path);
	forge_init(&forge);
	if (forge_bytes(&forge, DATA, memory, sizeof(memory)) &&
	    forge_version(&forge, 23, DATA, DATA + DATA_SIZE) &&
	    executable_open_fd(fd, file.size, path, &forge.target.exe, NULL) == OK) {
		forge.rt.module.data = DATA;
		forge.rt.module.edata = DATA + DATA_SIZE;
		ask(&forge);
	}
	dwarf_info_free(forge.rt.dwarf);
	executable_free(forge.target.exe);
	forge_done(&forge);
	memfile_close(fd);
	return 0;
}
