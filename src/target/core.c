#include "target/core.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "target/elffile.h"
#include "target/file.h"
#include "target/internal.h"

enum {
	/* One segment for each mapping; vm.max_map_count is seldom set above a million. */
	PHDRS_MAX = 1 << 20,
	PHDRS_AT_ONCE = 128,
	/* About five notes for each thread: room for 200,000 threads. */
	NOTE_COUNT_MAX = 1 << 20,
	/* Linux fs/coredump.c: core_file_note_size_limit is 16 MB at most. */
	NOTE_SIZE_MAX = 16 << 20,
	NOTE_NAME_MAX = 8, /* "CORE", "LINUX" */
	AUXV_SIZE_MAX = 4096,
};

/* Linux include/uapi/linux/elfcore.h, struct elf_prstatus and elf_prpsinfo for 64 bits. */
enum {
	PRSTATUS_CURSIG = 12,
	PRSTATUS_PID = 32,
	PRSTATUS_REGS = 112,
	PRPSINFO_PID = 24,
	PRPSINFO_FNAME = 40,
	PRPSINFO_FNAME_SIZE = 16,
};

/* A PT_LOAD's bytes that are in the file. */
struct load {
	uint64_t start, end, offset;
	bool writable, executable;
	int fd;
};

struct core {
	int fd;
	uint64_t size;
	struct load *loads;
	size_t load_count, load_cap;
	size_t thread_cap;
	struct auxv auxv;
	bool has_siginfo, has_auxv;
};

void core_free(struct core *core)
{
	if (!core)
		return;
	if (core->fd >= 0)
		close(core->fd);
	free(core->loads);
	free(core);
}

const struct auxv *core_auxv(const struct core *core)
{
	return &core->auxv;
}

/* Exactly n bytes at offset, or FAILED. */
static enum status read_exactly(const struct core *core, void *buf, size_t n, uint64_t offset,
				struct error *err)
{
	ssize_t got = file_read(core->fd, buf, n, offset);
	if (got < 0)
		return error_sys(err, "cannot read the core");
	if ((size_t)got < n)
		return error_set(err, ERROR_FORMAT, "the core ends at %" PRIu64,
				 offset + (uint64_t)got);
	return OK;
}

/* A note in the file; its description stays there. */
struct core_note {
	char name[NOTE_NAME_MAX + 1];
	uint32_t type;
	uint64_t desc; /* offset in the file */
	uint32_t desc_size;
};

/* The note at *pos of a segment that ends at end; false where none fits into what is left. Cores
 * align notes to 4 bytes. */
static bool note_next(const struct core *core, uint64_t *pos, uint64_t end, struct core_note *ret)
{
	uint8_t buf[12 + NOTE_NAME_MAX] = {0};
	uint64_t left = end - *pos;
	if (left < 12)
		return false;
	size_t want = left < sizeof(buf) ? (size_t)left : sizeof(buf);
	if (read_exactly(core, buf, want, *pos, NULL) != OK)
		return false;
	uint64_t name_size = load_u32(buf), desc_size = load_u32(buf + 4);
	uint64_t name_padded = (name_size + 3) & ~UINT64_C(3);
	uint64_t desc_padded = (desc_size + 3) & ~UINT64_C(3);
	if (name_padded > left - 12 || desc_size > left - 12 - name_padded)
		return false;
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->name, buf + 12, name_size < NOTE_NAME_MAX ? name_size : NOTE_NAME_MAX);
	ret->type = load_u32(buf + 8);
	ret->desc = *pos + 12 + name_padded;
	ret->desc_size = (uint32_t)desc_size;
	left -= 12 + name_padded;
	*pos = desc_padded > left ? end : ret->desc + desc_padded;
	return true;
}

static enum status take_prstatus(struct core *core, struct target *t, const struct core_note *note,
				 struct notes *notes, struct error *err)
{
	uint8_t buf[PRSTATUS_REGS + 34 * 8] = {0};
	size_t need = PRSTATUS_REGS + regs_kernel_size(t->arch);
	struct thread thread = {0};
	size_t n = note->desc_size < need ? note->desc_size : need;
	if (read_exactly(core, buf, n, note->desc, err) != OK)
		return FAILED;
	if (n < PRSTATUS_PID + 4)
		return error_set(err, ERROR_FORMAT, "thread note of %u bytes", note->desc_size);
	thread.tid = (pid_t)load_u32(buf + PRSTATUS_PID);
	thread.signal = load_u16(buf + PRSTATUS_CURSIG);
	thread.has_regs = n >= need && regs_from_kernel(t->arch, buf + PRSTATUS_REGS,
							n - PRSTATUS_REGS, &thread.regs);
	if (!thread.has_regs)
		notes_add(notes, "target", 0, "thread %d: its note has no room for registers",
			  thread.tid);
	if (!ARRAY_PUSH(t->threads, t->thread_count, core->thread_cap, thread))
		return error_nomem(err);
	return OK;
}

static enum status take_prpsinfo(struct core *core, struct target *t, const struct core_note *note,
				 struct error *err)
{
	uint8_t buf[PRPSINFO_FNAME + PRPSINFO_FNAME_SIZE];
	if (t->command)
		return OK;
	if (note->desc_size < sizeof(buf))
		return error_set(err, ERROR_FORMAT, "process note of %u bytes", note->desc_size);
	if (read_exactly(core, buf, sizeof(buf), note->desc, err) != OK)
		return FAILED;
	t->pid = (pid_t)load_u32(buf + PRPSINFO_PID);
	t->command = strndup((char *)buf + PRPSINFO_FNAME, PRPSINFO_FNAME_SIZE);
	return t->command ? OK : error_nomem(err);
}

/* siginfo_t: signo, errno, code, padding, then for a fault its address. gdb writes one for each
 * thread, the one that crashed first. */
static enum status take_siginfo(struct core *core, struct target *t, const struct core_note *note,
				struct error *err)
{
	uint8_t buf[24];
	if (core->has_siginfo)
		return OK;
	if (note->desc_size < sizeof(buf))
		return error_set(err, ERROR_FORMAT, "signal note of %u bytes", note->desc_size);
	if (read_exactly(core, buf, sizeof(buf), note->desc, err) != OK)
		return FAILED;
	core->has_siginfo = true;
	t->signal.signo = (int)load_u32(buf);
	t->signal.code = (int)load_u32(buf + 8);
	t->signal.addr = load_u64(buf + 16);
	return OK;
}

static enum status take_auxv(struct core *core, const struct core_note *note, struct error *err)
{
	uint8_t buf[AUXV_SIZE_MAX];
	size_t n = note->desc_size < sizeof(buf) ? note->desc_size : sizeof(buf);
	if (core->has_auxv)
		return OK;
	if (read_exactly(core, buf, n, note->desc, err) != OK)
		return FAILED;
	core->has_auxv = true;
	auxv_parse(buf, n, &core->auxv);
	return OK;
}

static int compare_mappings(const void *a, const void *b)
{
	uint64_t x = ((const struct mapping *)a)->start, y = ((const struct mapping *)b)->start;
	return x < y ? -1 : x > y;
}

/* Linux fs/binfmt_elf.c, fill_files_note: count, page size, count times {start, end, offset in
 * pages}, then count names. */
static enum status parse_files(struct target *t, struct bytes b, struct error *err)
{
	uint64_t count, page;
	if (!bytes_u64(&b, &count) || !bytes_u64(&b, &page) || count > bytes_left(&b) / 24)
		return error_set(err, ERROR_FORMAT, "damaged list of mapped files");
	struct bytes names = b;
	if (!bytes_skip(&names, count * 24))
		return error_set(err, ERROR_FORMAT, "damaged list of mapped files");
	t->mappings = calloc(count ? count : 1, sizeof(*t->mappings));
	if (!t->mappings)
		return error_nomem(err);
	for (uint64_t i = 0; i < count; i++) {
		struct mapping m = {0};
		size_t n = strnlen((const char *)names.pos, bytes_left(&names));
		const char *name = (const char *)names.pos;
		if (!bytes_u64(&b, &m.start) || !bytes_u64(&b, &m.end) ||
		    !bytes_u64(&b, &m.offset) || !bytes_skip(&names, n + 1))
			return error_set(err, ERROR_FORMAT,
					 "the list of mapped files ends after %" PRIu64
					 " of %" PRIu64 " names",
					 i, count);
		m.offset *= page;
		if (!(m.path = strndup(name, n)))
			return error_nomem(err);
		t->mappings[t->mapping_count++] = m;
	}
	return OK;
}

static enum status take_files(struct core *core, struct target *t, const struct core_note *note,
			      struct error *err)
{
	if (t->mappings)
		return OK;
	if (note->desc_size > NOTE_SIZE_MAX)
		return error_set(err, ERROR_LIMIT, "list of mapped files of %u bytes",
				 note->desc_size);
	AUTO_FREE uint8_t *buf = malloc(note->desc_size ? note->desc_size : 1);
	if (!buf)
		return error_nomem(err);
	if (read_exactly(core, buf, note->desc_size, note->desc, err) != OK)
		return FAILED;
	enum status status = parse_files(t, bytes_of(buf, note->desc_size), err);
	if (t->mapping_count)
		qsort(t->mappings, t->mapping_count, sizeof(*t->mappings), compare_mappings);
	return status;
}

/* The thread pointer of the thread that came last. */
static enum status take_arm_tls(struct core *core, struct target *t, const struct core_note *note,
				struct error *err)
{
	uint8_t buf[8];
	if (t->arch != ARCH_ARM64 || !t->thread_count || note->desc_size < sizeof(buf))
		return OK;
	if (read_exactly(core, buf, sizeof(buf), note->desc, err) != OK)
		return FAILED;
	t->threads[t->thread_count - 1].regs.tls = load_u64(buf);
	return OK;
}

static enum status take_note(struct core *core, struct target *t, const struct core_note *note,
			     struct notes *notes, struct error *err)
{
	if (strcmp(note->name, "LINUX") == 0)
		return note->type == NT_ARM_TLS ? take_arm_tls(core, t, note, err) : OK;
	if (strcmp(note->name, "CORE") != 0)
		return OK;
	switch (note->type) {
	case NT_PRSTATUS:
		return take_prstatus(core, t, note, notes, err);
	case NT_PRPSINFO:
		return take_prpsinfo(core, t, note, err);
	case NT_SIGINFO:
		return take_siginfo(core, t, note, err);
	case NT_AUXV:
		return take_auxv(core, note, err);
	case NT_FILE:
		return take_files(core, t, note, err);
	default:
		return OK;
	}
}

/* A damaged note is a note of ours, and the next one is read; only want of memory is fatal. */
static enum status read_notes(struct core *core, const Elf64_Phdr *ph, struct target *t,
			      struct notes *notes, struct error *err)
{
	uint64_t pos = ph->p_offset;
	uint64_t end = core->size;
	if (pos > core->size || ph->p_filesz > core->size - pos)
		t->truncated = true;
	else
		end = pos + ph->p_filesz;
	struct core_note note;
	for (size_t i = 0; pos < end && note_next(core, &pos, end, &note); i++) {
		struct error why;
		if (i == NOTE_COUNT_MAX) {
			notes_add(notes, "target", 0,
				  "the core has more than %d notes: rest not read", NOTE_COUNT_MAX);
			return OK;
		}
		if (take_note(core, t, &note, notes, &why) == OK)
			continue;
		if (why.code == ERROR_NOMEM) {
			if (err)
				*err = why;
			return FAILED;
		}
		notes_add_error(notes, "target", "core", &why);
	}
	if (pos < end)
		notes_add(notes, "target", 0,
			  "the core's notes are damaged or cut off at offset %" PRIu64, pos);
	return OK;
}

static enum status take_load(struct core *core, const Elf64_Phdr *ph, struct target *t,
			     struct notes *notes, struct error *err)
{
	uint64_t filesz = ph->p_filesz;
	if (!filesz)
		return OK;
	if (ph->p_memsz > UINT64_MAX - ph->p_vaddr || filesz > ph->p_memsz) {
		notes_add(notes, "target", ph->p_vaddr,
			  "the core has a damaged segment (0x%" PRIx64 " bytes, 0x%" PRIx64
			  " in the file): left out",
			  ph->p_memsz, filesz);
		return OK;
	}
	uint64_t left = ph->p_offset < core->size ? core->size - ph->p_offset : 0;
	if (filesz > left) {
		uint64_t cut = ph->p_vaddr + left;
		if (!t->truncated || !t->truncated_at || cut < t->truncated_at)
			t->truncated_at = cut;
		t->truncated = true;
		filesz = left;
	}
	struct load load = {
		.start = ph->p_vaddr,
		.end = ph->p_vaddr + filesz,
		.offset = ph->p_offset,
		.writable = ph->p_flags & PF_W,
		.executable = ph->p_flags & PF_X,
		.fd = core->fd,
	};
	if (filesz && !ARRAY_PUSH(core->loads, core->load_count, core->load_cap, load))
		return error_nomem(err);
	return OK;
}

/* The number of program headers. From 65,535 on it stands in the first section header, which the
 * kernel writes at the very end of the core: when that is cut off, the notes, which come right
 * behind the program headers, tell it as well. */
static uint32_t count_phdrs(const struct core *core, const struct elf_header *header,
			    struct notes *notes)
{
	Elf64_Shdr section;
	Elf64_Phdr first;
	if (header->phnum != PN_XNUM)
		return header->phnum;
	if (read_exactly(core, &section, sizeof(section), header->shoff, NULL) == OK)
		return section.sh_info;
	if (read_exactly(core, &first, sizeof(first), header->phoff, NULL) == OK &&
	    first.p_type == PT_NOTE && first.p_offset > header->phoff &&
	    (first.p_offset - header->phoff) / sizeof(first) <= PHDRS_MAX) {
		notes_add(
			notes, "target", 0,
			"the core's number of segments is cut off: taken from where its notes are");
		return (uint32_t)((first.p_offset - header->phoff) / sizeof(first));
	}
	return header->phnum;
}

static enum status read_phdrs(struct core *core, const struct elf_header *header, struct target *t,
			      struct notes *notes, struct error *err)
{
	uint32_t count = count_phdrs(core, header, notes);
	if (count > PHDRS_MAX)
		return error_set(err, ERROR_LIMIT, "a core with %u segments: at most %d are read",
				 count, PHDRS_MAX);
	for (uint32_t i = 0; i < count;) {
		Elf64_Phdr phdrs[PHDRS_AT_ONCE];
		uint32_t n = count - i < PHDRS_AT_ONCE ? count - i : PHDRS_AT_ONCE;
		uint64_t offset = header->phoff + (uint64_t)i * sizeof(*phdrs);
		if (offset < header->phoff)
			return error_set(err, ERROR_FORMAT, "damaged ELF header (e_phoff)");
		ssize_t got = file_read(core->fd, phdrs, n * sizeof(*phdrs), offset);
		if (got < 0)
			return error_sys(err, "cannot read the core");
		uint32_t whole = (uint32_t)((size_t)got / sizeof(*phdrs));
		for (uint32_t k = 0; k < whole; k++) {
			enum status status = OK;
			if (phdrs[k].p_type == PT_NOTE)
				status = read_notes(core, &phdrs[k], t, notes, err);
			else if (phdrs[k].p_type == PT_LOAD)
				status = take_load(core, &phdrs[k], t, notes, err);
			if (status != OK)
				return FAILED;
		}
		if (whole < n) {
			t->truncated = true;
			break;
		}
		i += n;
	}
	return OK;
}

enum status core_open(int fd, uint64_t size, struct target *target, struct notes *notes,
		      struct core **ret, struct error *err)
{
	AUTO_FD int owned = fd;
	AUTO_CORE struct core *core = calloc(1, sizeof(*core));
	if (!core)
		return error_nomem(err);
	core->fd = TAKE_FD(owned);
	core->size = size;
	uint8_t head[sizeof(Elf64_Ehdr)];
	struct elf_header header;
	ssize_t got = file_read(core->fd, head, sizeof(head), 0);
	if (got < 0)
		return error_sys(err, "cannot read the core");
	if (elf_header_parse(head, (size_t)got, &header, err) != OK)
		return FAILED;
	target->arch = header.arch;
	if (read_phdrs(core, &header, target, notes, err) != OK)
		return FAILED;
	if (!core->load_count && !target->thread_count)
		return error_set(err, ERROR_FORMAT,
				 target->truncated ? "a core that is cut off after %" PRIu64
						     " bytes, before any thread or memory"
						   : "a core of %" PRIu64
						     " bytes without threads and memory",
				 size);
	if (target->truncated)
		notes_add(notes, "target", target->truncated_at,
			  "the core is cut off after %" PRIu64 " bytes: memory is missing", size);
	*ret = TAKE(core);
	return OK;
}

static enum status fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			 struct error *err)
{
	const struct load *load = context;
	ssize_t got = file_read(load->fd, buf, n, load->offset + offset);
	if (got < 0) {
		enum status status = error_sys(err, "cannot read the core");
		if (err)
			err->addr = addr;
		return status;
	}
	if ((size_t)got < n)
		return error_at(err, ERROR_FAULT, addr + (uint64_t)got,
				"the core has become shorter: no memory at 0x%" PRIx64,
				addr + (uint64_t)got);
	return OK;
}

enum status core_lay(const struct core *core, struct memory *memory, struct error *err)
{
	for (size_t i = 0; i < core->load_count; i++) {
		struct load *load = &core->loads[i];
		struct memory_range range = {
			.start = load->start,
			.end = load->end,
			.origin = ORIGIN_CORE,
			.writable = load->writable,
			.executable = load->executable,
		};
		if (memory_add(memory, &range, fetch, load, err) != OK)
			return FAILED;
	}
	return OK;
}
