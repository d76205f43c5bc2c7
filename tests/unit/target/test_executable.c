#include "target/executable.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "unit/target/elfwriter.h"

static void assert_refused(const void *p, size_t n, enum error_code code, const char *text)
{
	char path[64];
	struct error err = {0};
	AUTO_EXECUTABLE struct executable *exe = NULL;
	elfw_file(path, p, n);
	assert_int_equal(executable_open(path, &exe, &err), FAILED);
	unlink(path);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	assert_int_equal(err.code, code);
	assert_null(exe);
}

static struct executable *open_forged(const struct elfw *w)
{
	char path[64];
	struct executable *exe = NULL;
	struct error err;
	elfw_file(path, w->p, w->size);
	if (executable_open(path, &exe, &err) != OK)
		fail_msg("%s", err.text);
	unlink(path);
	return exe;
}

static void segments_and_ids_come_from_program_headers(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, "a/b/c/d", "\1\2\3\4");
	AUTO_EXECUTABLE struct executable *exe = open_forged(&w);
	const struct segment *s;
	assert_int_equal(executable_segments(exe, &s), 3);
	assert_int_equal(s[0].addr, 0x400000);
	assert_true(s[1].executable);
	assert_true(s[2].writable);
	assert_int_equal(s[2].filesz, 4096);
	assert_int_equal(s[2].memsz, 8192);
	assert_string_equal(executable_build_id(exe)->go, "a/b/c/d");
	assert_int_equal(executable_build_id(exe)->gnu_len, 4);
	assert_memory_equal(executable_build_id(exe)->gnu, "\1\2\3\4", 4);
	assert_int_equal(executable_entry(exe), 0x401000);
	assert_int_equal(executable_arch(exe), ARCH_AMD64);
	assert_false(executable_is_pie(exe));
	struct section section;
	struct symbol symbol;
	assert_false(executable_section(exe, ".text", &section));
	assert_false(executable_symbol(exe, "main", &symbol));
	assert_false(executable_symbol_at(exe, 0x401000, &symbol));
}

static void a_view_ends_where_the_file_gives_no_more(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_program(ET_DYN, 0, "", "");
	AUTO_EXECUTABLE struct executable *exe = open_forged(&w);
	assert_true(executable_is_pie(exe));
	assert_memory_equal(executable_view(exe, 0x1000, 4), "text", 4);
	assert_memory_equal(executable_view(exe, 0x2000, 4), "data", 4);
	assert_non_null(executable_view(exe, 0x2fff, 1));
	assert_null(executable_view(exe, 0x2fff, 2)); /* runs into .bss */
	assert_null(executable_view(exe, 0x3000, 1));
	assert_null(executable_view(exe, 0x1000, SIZE_MAX));
	assert_null(executable_view(exe, 0x9000, 1));
}

static void a_file_that_is_cut_off_gives_what_it_has(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, "x", "");
	w.size -= 4000;
	AUTO_EXECUTABLE struct executable *exe = open_forged(&w);
	const struct segment *s;
	executable_segments(exe, &s);
	assert_int_equal(s[2].filesz, 96);
	assert_true(s[2].cut);
	assert_false(s[1].cut);
	assert_null(executable_view(exe, 0x402000, 97));
	assert_non_null(executable_view(exe, 0x402000, 96));
}

static void every_cut_is_an_error_or_an_executable(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, "a/b/c/d", "gnuid");
	size_t head = w.segments[2].phdr.p_offset;
	for (size_t n = 1; n <= head; n++) {
		char path[64];
		struct error err = {0};
		AUTO_EXECUTABLE struct executable *exe = NULL;
		elfw_file(path, w.p, n);
		enum status status = executable_open(path, &exe, &err);
		unlink(path);
		if (n < sizeof(Elf64_Ehdr) + w.header.e_phnum * sizeof(Elf64_Phdr))
			assert_int_equal(status, FAILED);
		assert_int_equal(status == OK, exe != NULL);
		assert_int_equal(status == FAILED, err.text[0] != '\0');
	}
}

static void what_is_no_executable_is_refused_by_name(void **state)
{
	(void)state;
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, "", "");
	Elf64_Ehdr *h = (Elf64_Ehdr *)w.p;
	Elf64_Phdr *ph = (Elf64_Phdr *)(w.p + sizeof(*h));
	assert_refused("#!/bin/sh\n", 10, ERROR_FORMAT, "not an ELF file");
	assert_refused("\177EL", 3, ERROR_FORMAT, "not an ELF file");
	assert_refused(w.p, 40, ERROR_FORMAT, "ends within its ELF header");
	h->e_type = ET_REL;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "relocatable");
	h->e_type = ET_CORE;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "a core");
	h->e_type = 77;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "ELF type 77");
	h->e_type = ET_EXEC;
	h->e_machine = EM_RISCV;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "another machine");
	h->e_machine = EM_X86_64;
	h->e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "32-bit");
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2MSB;
	assert_refused(w.p, w.size, ERROR_UNSUPPORTED, "big-endian");
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_phnum = 0xfffe;
	assert_refused(w.p, w.size, ERROR_FORMAT, "program headers");
	h->e_phnum = 0;
	assert_refused(w.p, w.size, ERROR_FORMAT, "without program headers");
	h->e_phnum = 4;
	h->e_phoff = UINT64_MAX - 8;
	assert_refused(w.p, w.size, ERROR_FORMAT, "ends within its program headers");
	h->e_phoff = sizeof(*h);
	h->e_phentsize = 8;
	assert_refused(w.p, w.size, ERROR_FORMAT, "program headers of 8 bytes");
	h->e_phentsize = sizeof(*ph);
	ph[1].p_memsz = UINT64_MAX;
	assert_refused(w.p, w.size, ERROR_FORMAT, "damaged program header 1");
	ph[1].p_memsz = 4095;
	assert_refused(w.p, w.size, ERROR_FORMAT, "damaged program header 1");
	h->e_phnum = 1;
	assert_refused(w.p, w.size, ERROR_FORMAT, "loads nothing");
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
	(void)state;
	char dir[] = "/tmp/mapcrash-test.XXXXXX", path[64];
	struct executable *exe = NULL;
	struct error err;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(executable_open(dir, &exe, &err), FAILED);
	assert_non_null(strstr(err.text, "is a directory"));
	assert_int_equal(executable_open("/dev/null", &exe, &err), FAILED);
	assert_non_null(strstr(err.text, "is a device"));
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(executable_open(path, &exe, &err), FAILED);
	assert_non_null(strstr(err.text, "is a FIFO"));
	unlink(path);
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	snprintf(un.sun_path, sizeof(un.sun_path), "%s/socket", dir);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	assert_int_equal(executable_open(un.sun_path, &exe, &err), FAILED);
	assert_non_null(strstr(err.text, "is a socket"));
	close(fd);
	unlink(un.sun_path);
	assert_int_equal(executable_open(un.sun_path, &exe, &err), FAILED);
	assert_int_equal(err.code, ERROR_NOT_FOUND);
	rmdir(dir);
	assert_refused("", 0, ERROR_FORMAT, "is empty");
}

/* A function of this test program, which is a real executable with sections and symbols. */
int a_symbol_of_this_test(int x);
__attribute__((noinline)) int a_symbol_of_this_test(int x)
{
	return x * 3 + 1;
}

static void sections_and_symbols_of_a_real_program_are_found(void **state)
{
	(void)state;
	AUTO_EXECUTABLE struct executable *exe = NULL;
	struct error err;
	struct symbol symbol, at;
	struct section text, bss;
	assert_int_equal(executable_open("/proc/self/exe", &exe, &err), OK);
	assert_true(executable_symbol(exe, "a_symbol_of_this_test", &symbol));
	assert_true(executable_section(exe, ".text", &text));
	assert_true(text.has_bytes);
	assert_true(symbol.addr >= text.addr && symbol.addr - text.addr < text.size);
	assert_true(executable_symbol_at(exe, symbol.addr + 1, &at));
	assert_string_equal(at.name, "a_symbol_of_this_test");
	assert_false(executable_symbol(exe, "no_symbol_of_this_test", &at));
	/* The code in the file is the code that runs. */
	assert_true(symbol.size > 0);
	assert_memory_equal(executable_view(exe, symbol.addr, symbol.size),
			    (const void *)a_symbol_of_this_test, symbol.size);
	assert_true(executable_section(exe, ".bss", &bss));
	assert_false(bss.has_bytes);
	assert_false(executable_section(exe, ".nothing", &bss));
	assert_non_null(executable_elf(exe));
	assert_false(executable_symbol_at(exe, UINT64_MAX, &at));
}

static void long_and_empty_ids_are_as_good_as_none(void **state)
{
	(void)state;
	char longid[200];
	memset(longid, 'x', sizeof(longid));
	longid[sizeof(longid) - 1] = '\0';
	AUTO_ELFW struct elfw w = elfw_program(ET_EXEC, 0x400000, longid, longid);
	AUTO_EXECUTABLE struct executable *exe = open_forged(&w);
	assert_string_equal(executable_build_id(exe)->go, "");
	assert_int_equal(executable_build_id(exe)->gnu_len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_and_ids_come_from_program_headers),
		cmocka_unit_test(a_view_ends_where_the_file_gives_no_more),
		cmocka_unit_test(a_file_that_is_cut_off_gives_what_it_has),
		cmocka_unit_test(every_cut_is_an_error_or_an_executable),
		cmocka_unit_test(what_is_no_executable_is_refused_by_name),
		cmocka_unit_test(what_is_no_file_is_refused_without_waiting),
		cmocka_unit_test(sections_and_symbols_of_a_real_program_are_found),
		cmocka_unit_test(long_and_empty_ids_are_as_good_as_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
