/* Bytes as an ELF executable: its headers, ids, sections, symbols and relocations, and the Go runtime
 * in it where there seems to be one. */
#include <stdlib.h>

#include "fuzz/memfile.h"
#include "go/runtime.h"
#include "target/relocations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All n bytes at p; asan tells when they are not there. */
static void touch(const uint8_t *p, size_t n)
{
	static volatile uint8_t sink;
	for (size_t i = 0; p && i < n; i++)
		sink = p[i];
	(void)sink;
}

static void ask(struct executable *exe)
{
	const struct segment *segments;
	struct section section;
	struct symbol symbol;
	size_t count = executable_segments(exe, &segments), size;
	const uint8_t *bytes = executable_bytes(exe, &size);
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		if (s->filesz > s->memsz)
			abort();
		touch(executable_view(exe, s->addr, s->filesz), s->filesz);
		touch(executable_view(exe, s->addr + s->filesz - 1, 8), 8);
		if (s->filesz)
			touch(bytes + s->offset, s->filesz);
		(void)executable_symbol_at(exe, s->addr, &symbol);
		(void)executable_symbol_at(exe, s->addr + s->memsz - 1, &symbol);
	}
	if (executable_section(exe, ".data", &section) && section.has_bytes)
		touch(bytes + section.offset, section.size);
	if (executable_symbol(exe, "main", &symbol) &&
	    !executable_symbol_at(exe, symbol.addr, &symbol) && symbol.size)
		abort();
	(void)executable_symbol_at(exe, executable_entry(exe), &symbol);
	relocations_apply(exe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct target_options options = {0};
	struct notes notes = NOTES_INIT;
	struct target *t;
	struct runtime *rt;
	struct error err;
	char path[MEMFILE_PATH];
	int fd = memfile_new(data, size, path);
	if (target_open(path, &options, &notes, &t, &err) == OK) {
		if (t->kind == TARGET_EXECUTABLE) {
			if (runtime_open(t, &notes, &rt, &err) == OK)
				runtime_free(rt);
			ask(t->exe);
		}
		target_free(t);
	}
	notes_done(&notes);
	memfile_close(fd);
	return 0;
}
