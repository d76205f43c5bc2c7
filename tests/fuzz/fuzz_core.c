/*
 * Bytes as a file that someone hands us: an ELF core, plain or compressed, or an executable. Opens it
 * the way a command does, with nothing where the core says that its executable is, and reads from all
 * the memory that it claims to have.
 */
#include <stdlib.h>
#include <unistd.h>

#include "fuzz/memfile.h"
#include "target/target.h"

enum { RANGES = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The ends of each range, and what is at its edges. */
static void read_memory(struct target *t)
{
	struct memory_range range;
	uint8_t buf[64];
	uint64_t addr = 0;
	for (int i = 0; i < RANGES && memory_range_at(t->memory, addr, &range); i++) {
		struct error err;
		if (range.start >= range.end || range.start < addr)
			abort();
		if (memory_read(t->memory, range.start, buf, 1, &err) != OK &&
		    err.code != ERROR_IO && err.code != ERROR_FAULT)
			abort();
		(void)memory_read(t->memory, range.end - 1, buf, 1, NULL);
		(void)memory_read(t->memory, range.end - 1, buf, sizeof(buf), NULL);
		(void)memory_read(t->memory, range.start - 1, buf, sizeof(buf), NULL);
		(void)memory_view(t->memory, range.start, sizeof(buf));
		addr = range.end;
	}
}

static void look(struct target *t)
{
	struct section section;
	struct symbol symbol;
	for (size_t i = 0; i < t->mapping_count; i++) {
		if (i && t->mappings[i].start < t->mappings[i - 1].start)
			abort();
		(void)target_mapping_at(t, t->mappings[i].start);
	}
	for (size_t i = 0; i < t->thread_count; i++)
		(void)target_symbol_at(t, t->threads[i].regs.pc, &symbol);
	(void)target_section(t, ".gopclntab", &section);
	(void)target_symbol(t, "runtime.text", &symbol);
	read_memory(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct target_options options = {.sysroot = "/proc/self/task",
						      .tmpdir = "/tmp"};
	struct notes notes = NOTES_INIT;
	struct target *t;
	struct error err;
	char path[MEMFILE_PATH];
	int fd = memfile_new(data, size, path);
	if (target_open(path, &options, &notes, &t, &err) == OK) {
		look(t);
		target_free(t);
	} else if (err.code == ERROR_NONE || !err.text[0]) {
		abort();
	}
	notes_done(&notes);
	memfile_close(fd);
	return 0;
}
