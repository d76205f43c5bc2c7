/* ELF cores through the front door, without an executable: headers, notes, memory, damage. */
#include "target/target.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "unit/target/elfwriter.h"

/* No executable is wanted here: what a forged core names is looked for where nothing is. */
static const struct target_options options = {.sysroot = "/proc/self/task"};

static enum status open_bytes(const void *p, size_t n, struct notes *notes, struct target **ret,
			      struct error *err)
{
	char path[64];
	elfw_file(path, p, n);
	enum status status = target_open(path, &options, notes, ret, err);
	unlink(path);
	return status;
}

static struct target *open_core(const struct elfw *w, struct notes *notes)
{
	struct target *t = NULL;
	struct error err;
	if (open_bytes(w->p, w->size, notes, &t, &err) != OK)
		fail_msg("%s", err.text);
	return t;
}

static bool noted(const struct notes *notes, const char *text)
{
	for (size_t i = 0; i < notes->count; i++)
		if (strstr(notes->list[i].text, text))
			return true;
	return false;
}

static uint8_t page_a[ELFW_PAGE], page_b[ELFW_PAGE];

static struct elfw forge(uint16_t machine)
{
	struct elfw w = elfw_new(ET_CORE, machine);
	uint64_t regs[34];
	for (size_t i = 0; i < 34; i++)
		regs[i] = 100 + i;
	memset(page_a, 'a', sizeof(page_a));
	memset(page_b, 'b', sizeof(page_b));
	uint8_t info[128] = {0};
	uint32_t signo = 11, code = 1;
	uint64_t addr = 0xdead;
	memcpy(info, &signo, 4);
	memcpy(info + 8, &code, 4);
	memcpy(info + 16, &addr, 8);
	uint8_t ps[136] = {0};
	uint32_t pid = 4711;
	memcpy(ps + 24, &pid, 4);
	strcpy((char *)ps + 40, "crasher");
	elfw_thread(&w, 4712, 11, regs);
	if (machine == EM_AARCH64) {
		uint64_t tls = 0x7777;
		elfw_note(&w, "LINUX", NT_ARM_TLS, &tls, sizeof(tls));
	}
	elfw_note(&w, "CORE", NT_PRPSINFO, ps, sizeof(ps));
	elfw_note(&w, "CORE", NT_SIGINFO, info, sizeof(info));
	elfw_auxv(&w, 0x400040, 4, 0x401000);
	struct elfw_file files[] = {
		{0x7000, 0x8000, 2, "/lib/second"},
		{0x1000, 0x2000, 0, "/bin/first"},
	};
	elfw_files(&w, files, 2);
	regs[0] = 7;
	elfw_thread(&w, 4711, 0, regs);
	elfw_load(&w, 0x10000, page_a, ELFW_PAGE, ELFW_PAGE, PF_R | PF_W);
	elfw_load(&w, 0x20000, page_b, 100, 3 * ELFW_PAGE, PF_R | PF_X);
	elfw_load(&w, 0x30000, NULL, 0, ELFW_PAGE, PF_R);
	elfw_build(&w);
	return w;
}

static void everything_in_a_core_is_read(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = open_core(&w, &notes);
	assert_int_equal(t->kind, TARGET_CORE);
	assert_int_equal(t->arch, ARCH_AMD64);
	assert_int_equal(t->pid, 4711);
	assert_string_equal(t->command, "crasher");
	assert_int_equal(t->signal.signo, 11);
	assert_int_equal(t->signal.code, 1);
	assert_int_equal(t->signal.addr, 0xdead);
	assert_int_equal(t->thread_count, 2);
	assert_int_equal(t->threads[0].tid, 4712);
	assert_int_equal(t->threads[0].signal, 11);
	assert_int_equal(t->threads[1].tid, 4711);
	const struct regs *r = &t->threads[0].regs;
	assert_true(t->threads[0].has_regs);
	/* user_regs_struct: r15 is word 0, rip 16, rsp 19, fs_base 21. */
	assert_int_equal(r->r[AMD64_R15], 100);
	assert_int_equal(r->r[AMD64_RBP], 104);
	assert_int_equal(r->fp, 104);
	assert_int_equal(r->r[AMD64_RAX], 110);
	assert_int_equal(r->r[AMD64_RDI], 114);
	assert_int_equal(r->pc, 116);
	assert_int_equal(r->r[AMD64_RIP], 116);
	assert_int_equal(r->flags, 118);
	assert_int_equal(r->sp, 119);
	assert_int_equal(r->tls, 121);
	assert_int_equal(t->mapping_count, 2);
	assert_string_equal(t->mappings[0].path, "/bin/first");
	assert_int_equal(t->mappings[1].offset, 2 * ELFW_PAGE);
	assert_string_equal(target_mapping_at(t, 0x7fff)->path, "/lib/second");
	assert_null(target_mapping_at(t, 0x8000));
	assert_false(t->truncated);
	assert_null(t->exe);
	notes_done(&notes);
}

static void arm64_registers_and_their_thread_pointer_are_read(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_AARCH64);
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = open_core(&w, &notes);
	assert_int_equal(t->arch, ARCH_ARM64);
	const struct regs *r = &t->threads[0].regs;
	assert_int_equal(r->r[0], 100);
	assert_int_equal(r->r[ARM64_LR], 130);
	assert_int_equal(r->fp, 129);
	assert_int_equal(r->sp, 131);
	assert_int_equal(r->pc, 132);
	assert_int_equal(r->flags, 133);
	assert_int_equal(r->tls, 0x7777);
	assert_int_equal(t->threads[1].regs.tls, 0);
	assert_string_equal(regs_name(ARCH_ARM64, ARM64_SP), "sp");
	assert_null(regs_name(ARCH_ARM64, ARM64_REGS));
	notes_done(&notes);
}

static void only_dumped_bytes_are_memory(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = open_core(&w, &notes);
	uint8_t buf[4096];
	struct error err;
	assert_int_equal(memory_read(t->memory, 0x10000, buf, 4096, &err), OK);
	assert_memory_equal(buf, page_a, 4096);
	assert_int_equal(memory_read(t->memory, 0x20000, buf, 100, &err), OK);
	assert_memory_equal(buf, page_b, 100);
	assert_int_equal(memory_read(t->memory, 0x20000, buf, 101, &err), FAILED);
	assert_int_equal(err.addr, 0x20000 + 100);
	assert_int_equal(memory_read(t->memory, 0x30000, buf, 1, &err), FAILED);
	assert_int_equal(err.addr, 0x30000);
	struct memory_range r;
	assert_true(memory_range_at(t->memory, 0x10000, &r));
	assert_true(r.writable && !r.executable && r.origin == ORIGIN_CORE);
	notes_done(&notes);
}

/* Cuts at every byte of the headers and notes and at some of the memory: never a crash, never a byte
 * that is not there, never silence. */
static void a_core_cut_anywhere_is_truncated_or_refused(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	size_t first = w.segments[0].phdr.p_offset, second = w.segments[1].phdr.p_offset;
	size_t opened = 0;
	for (size_t n = 1; n < w.size; n += n < first || n > second - 2 ? 1 : 97) {
		struct notes notes = NOTES_INIT;
		AUTO_TARGET struct target *t = NULL;
		struct error err = {0};
		if (open_bytes(w.p, n, &notes, &t, &err) != OK) {
			assert_true(err.text[0] != '\0');
			assert_true(n < first);
			notes_done(&notes);
			continue;
		}
		opened++;
		assert_true(t->truncated);
		assert_true(noted(&notes, "cut off after"));
		uint8_t byte;
		size_t has_a = n <= first ? 0 : n - first < ELFW_PAGE ? n - first : ELFW_PAGE;
		size_t has_b = n <= second ? 0 : n - second;
		assert_int_equal(memory_read_u8(t->memory, 0x10000 + has_a, &byte, &err), FAILED);
		assert_int_equal(err.addr, 0x10000 + has_a);
		assert_int_equal(memory_read_u8(t->memory, 0x20000 + has_b, &byte, &err), FAILED);
		if (has_a)
			assert_int_equal(
				memory_read_u8(t->memory, 0x10000 + has_a - 1, &byte, NULL), OK);
		assert_int_equal(t->truncated_at,
				 has_a < ELFW_PAGE ? 0x10000 + has_a : 0x20000 + has_b);
		notes_done(&notes);
	}
	assert_true(opened > 1000);
}

static void a_core_without_anything_is_refused(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	elfw_load(&w, 0x1000, NULL, 0, ELFW_PAGE, PF_R);
	elfw_build(&w);
	struct target *t = NULL;
	struct error err;
	assert_int_equal(open_bytes(w.p, w.size, NULL, &t, &err), FAILED);
	assert_int_equal(err.code, ERROR_FORMAT);
	assert_non_null(strstr(err.text, "without threads and memory"));
	Elf64_Ehdr *h = (Elf64_Ehdr *)w.p;
	h->e_phoff = UINT64_MAX - 20;
	assert_int_equal(open_bytes(w.p, w.size, NULL, &t, &err), FAILED);
	assert_non_null(strstr(err.text, "cut off"));
	h->e_machine = EM_386;
	assert_int_equal(open_bytes(w.p, w.size, NULL, &t, &err), FAILED);
	assert_non_null(strstr(err.text, "another machine"));
}

static void segments_that_wrap_around_are_left_out_with_a_note(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	Elf64_Phdr *ph = (Elf64_Phdr *)(w.p + sizeof(Elf64_Ehdr));
	ph[1].p_vaddr = UINT64_MAX - 100;
	ph[2].p_filesz = UINT64_MAX;
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = open_core(&w, &notes);
	assert_true(noted(&notes, "damaged segment"));
	struct memory_range r;
	assert_false(memory_range_at(t->memory, 0, &r));
	notes_done(&notes);
}

static void a_segment_far_behind_the_end_is_cut_off(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	Elf64_Phdr *ph = (Elf64_Phdr *)(w.p + sizeof(Elf64_Ehdr));
	ph[1].p_offset = UINT64_MAX - 8;
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = open_core(&w, &notes);
	assert_true(t->truncated);
	assert_int_equal(t->truncated_at, 0x10000);
	notes_done(&notes);
}

static void overlapping_segments_show_the_later_one(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	memset(page_a, 'a', sizeof(page_a));
	memset(page_b, 'b', sizeof(page_b));
	elfw_load(&w, 0x10000, page_a, ELFW_PAGE, ELFW_PAGE, PF_R);
	elfw_load(&w, 0x10800, page_b, 16, 16, PF_R);
	elfw_build(&w);
	AUTO_TARGET struct target *t = open_core(&w, NULL);
	uint8_t buf[18];
	assert_int_equal(memory_read(t->memory, 0x107ff, buf, 18, NULL), OK);
	assert_memory_equal(buf, "abbbbbbbbbbbbbbbba", 18);
}

/* Opens a core with one page of memory and these raw notes. */
static struct target *with_notes(const void *p, size_t n, struct notes *notes)
{
	AUTO_ELFW struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	elfw_put(&w, p, n);
	w.notes_size = n;
	elfw_load(&w, 0x10000, page_a, ELFW_PAGE, ELFW_PAGE, PF_R);
	elfw_build(&w);
	return open_core(&w, notes);
}

static void notes_that_lie_about_their_sizes_are_noted(void **state)
{
	(void)state;
	static const struct {
		uint32_t name_size, desc_size, type;
		char name[8];
	} hostile[] = {
		{0xffffffff, 4, NT_PRSTATUS, "CORE"},
		{5, 0xffffffff, NT_PRSTATUS, "CORE"},
		{0xffffffff, 0xffffffff, NT_FILE, "CORE"},
		{0xfffffffd, 0xfffffffd, NT_FILE, "CORE"},
		{5, 1, NT_PRSTATUS, "CORE"},
		{0x7fffffff, 0, NT_AUXV, "CORE"},
	};
	for (size_t i = 0; i < sizeof(hostile) / sizeof(*hostile); i++) {
		struct notes notes = NOTES_INIT;
		AUTO_TARGET struct target *t = with_notes(&hostile[i], sizeof(hostile[i]), &notes);
		assert_true(noted(&notes, "notes are damaged"));
		assert_int_equal(t->thread_count, 0);
		notes_done(&notes);
	}
}

static void small_notes_of_known_types_are_noted(void **state)
{
	(void)state;
	static const uint32_t types[] = {NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_FILE};
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct elfw w = elfw_new(ET_CORE, EM_X86_64);
		elfw_note(&w, "CORE", types[i], "1234567", 7);
		struct notes notes = NOTES_INIT;
		AUTO_TARGET struct target *t = with_notes(w.notes, w.notes_size, &notes);
		assert_true(notes.count > 0);
		assert_int_equal(t->thread_count, 0);
		notes_done(&notes);
	}
}

static void a_thread_note_without_room_for_registers_has_none(void **state)
{
	(void)state;
	struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	uint8_t desc[200] = {0};
	uint32_t tid = 99;
	memcpy(desc + 32, &tid, 4);
	elfw_note(&w, "CORE", NT_PRSTATUS, desc, sizeof(desc));
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = with_notes(w.notes, w.notes_size, &notes);
	assert_int_equal(t->thread_count, 1);
	assert_int_equal(t->threads[0].tid, 99);
	assert_false(t->threads[0].has_regs);
	assert_true(noted(&notes, "registers"));
	notes_done(&notes);
}

static void a_list_of_files_with_too_few_names_keeps_those_it_has(void **state)
{
	(void)state;
	struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	struct {
		uint64_t count, page, entries[6];
		char names[8];
	} desc = {2, 4096, {0x1000, 0x2000, 0, 0x3000, 0x4000, 0}, "/a\0/b"};
	elfw_note(&w, "CORE", NT_FILE, &desc, sizeof(desc) - 4); /* the second has no end */
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = with_notes(w.notes, w.notes_size, &notes);
	assert_int_equal(t->mapping_count, 1);
	assert_string_equal(t->mappings[0].path, "/a");
	assert_true(noted(&notes, "after 1 of 2 names"));
	notes_done(&notes);

	desc.count = UINT64_MAX / 24;
	w = elfw_new(ET_CORE, EM_X86_64);
	elfw_note(&w, "CORE", NT_FILE, &desc, sizeof(desc));
	AUTO_TARGET struct target *u = with_notes(w.notes, w.notes_size, &notes);
	assert_int_equal(u->mapping_count, 0);
	assert_true(noted(&notes, "damaged list"));
	notes_done(&notes);
}

/* More segments than e_phnum can count: PN_XNUM and a section header at the end. */
static void a_core_with_70000_segments_is_read(void **state)
{
	(void)state;
	enum { COUNT = 70000 };
	size_t notes_at = sizeof(Elf64_Ehdr) + (COUNT + 1) * sizeof(Elf64_Phdr);
	size_t data_at = (notes_at + 4095) & ~(size_t)4095;
	size_t size = data_at + COUNT + sizeof(Elf64_Shdr);
	uint8_t *p = calloc(1, size);
	struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	w.header.e_phnum = PN_XNUM;
	w.header.e_shoff = data_at + COUNT;
	memcpy(p, &w.header, sizeof(w.header));
	Elf64_Shdr sh = {.sh_info = COUNT + 1};
	memcpy(p + data_at + COUNT, &sh, sizeof(sh));
	Elf64_Phdr *ph = (Elf64_Phdr *)(p + sizeof(Elf64_Ehdr));
	ph[0] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = notes_at};
	for (size_t i = 0; i < COUNT; i++) {
		ph[i + 1] = (Elf64_Phdr){.p_type = PT_LOAD,
					 .p_offset = data_at + i,
					 .p_vaddr = 0x1000 * (i + 1),
					 .p_filesz = 1,
					 .p_memsz = 4096};
		p[data_at + i] = (uint8_t)(i * 3);
	}
	for (int cut = 0; cut < 2; cut++) {
		struct notes notes = NOTES_INIT;
		AUTO_TARGET struct target *t = NULL;
		struct error err;
		uint8_t byte;
		if (open_bytes(p, cut ? data_at + COUNT : size, &notes, &t, &err) != OK)
			fail_msg("%s", err.text);
		for (size_t i = 0; i < COUNT; i += 1111) {
			assert_int_equal(memory_read_u8(t->memory, 0x1000 * (i + 1), &byte, NULL),
					 OK);
			assert_int_equal(byte, (uint8_t)(i * 3));
		}
		assert_int_equal(noted(&notes, "taken from where its notes are"), cut);
		notes_done(&notes);
	}
	free(p);
}

static void a_count_of_a_billion_segments_is_refused(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	Elf64_Ehdr *h = (Elf64_Ehdr *)w.p;
	struct target *t = NULL;
	struct error err;
	h->e_phnum = PN_XNUM;
	h->e_shoff = w.segments[0].phdr.p_offset;
	((Elf64_Shdr *)(w.p + h->e_shoff))->sh_info = 1000000000;
	assert_int_equal(open_bytes(w.p, w.size, NULL, &t, &err), FAILED);
	assert_int_equal(err.code, ERROR_LIMIT);
}

/* A sparse file of 64 GB, nearly all of it holes, as the core of a machine larger than this one. */
static void a_core_larger_than_memory_is_read_at_its_end(void **state)
{
	(void)state;
	const uint64_t far = UINT64_C(64) << 30;
	AUTO_ELFW struct elfw w = elfw_new(ET_CORE, EM_X86_64);
	elfw_load(&w, 0x10000, page_a, ELFW_PAGE, ELFW_PAGE, PF_R);
	elfw_build(&w);
	Elf64_Phdr *ph = (Elf64_Phdr *)(w.p + sizeof(Elf64_Ehdr));
	ph->p_memsz = ph->p_filesz = far;
	char path[64];
	elfw_file(path, w.p, w.size);
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "end!", 4, (off_t)(ph->p_offset + far - 4)), 4);
	close(fd);
	AUTO_TARGET struct target *t = NULL;
	struct notes notes = NOTES_INIT;
	char buf[4];
	assert_int_equal(target_open(path, &options, &notes, &t, NULL), OK);
	unlink(path);
	assert_false(t->truncated);
	assert_int_equal(memory_read(t->memory, 0x10000 + far - 4, buf, 4, NULL), OK);
	assert_memory_equal(buf, "end!", 4);
	assert_true(memory_fetched(t->memory) <= 16384);
	notes_done(&notes);
}

static void a_core_that_shrinks_while_open_faults_and_does_not_kill(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = forge(EM_X86_64);
	char path[64];
	elfw_file(path, w.p, w.size);
	AUTO_TARGET struct target *t = NULL;
	struct notes notes = NOTES_INIT;
	struct error err;
	uint8_t byte;
	assert_int_equal(target_open(path, &options, &notes, &t, NULL), OK);
	assert_int_equal(truncate(path, (off_t)w.segments[0].phdr.p_offset + 10), 0);
	unlink(path);
	assert_int_equal(memory_read_u8(t->memory, 0x10009, &byte, &err), OK);
	assert_int_equal(memory_read_u8(t->memory, 0x1000a, &byte, &err), FAILED);
	assert_int_equal(err.code, ERROR_FAULT);
	assert_int_equal(err.addr, 0x1000a);
	notes_done(&notes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_in_a_core_is_read),
		cmocka_unit_test(arm64_registers_and_their_thread_pointer_are_read),
		cmocka_unit_test(only_dumped_bytes_are_memory),
		cmocka_unit_test(a_core_cut_anywhere_is_truncated_or_refused),
		cmocka_unit_test(a_core_without_anything_is_refused),
		cmocka_unit_test(segments_that_wrap_around_are_left_out_with_a_note),
		cmocka_unit_test(a_segment_far_behind_the_end_is_cut_off),
		cmocka_unit_test(overlapping_segments_show_the_later_one),
		cmocka_unit_test(notes_that_lie_about_their_sizes_are_noted),
		cmocka_unit_test(small_notes_of_known_types_are_noted),
		cmocka_unit_test(a_thread_note_without_room_for_registers_has_none),
		cmocka_unit_test(a_list_of_files_with_too_few_names_keeps_those_it_has),
		cmocka_unit_test(a_core_with_70000_segments_is_read),
		cmocka_unit_test(a_count_of_a_billion_segments_is_refused),
		cmocka_unit_test(a_core_larger_than_memory_is_read_at_its_end),
		cmocka_unit_test(a_core_that_shrinks_while_open_faults_and_does_not_kill),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
