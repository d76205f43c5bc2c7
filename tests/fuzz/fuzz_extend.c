/*
 * Two segments more for bytes that may be no executable. A copy that is made must be one that can be
 * opened, have the two segments with what belongs in them, and all that was there before where it was.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuzz/memfile.h"
#include "probe/graft.h"
#include "target/extend.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAGE = 4096 };

/* Each segment of before, at its address, with the same bytes: but for the headers themselves. */
static void compare(const struct executable *before, const struct executable *after)
{
	const struct segment *was, *is;
	size_t n = executable_segments(before, &was), size, size_after;
	const uint8_t *bytes = executable_bytes(before, &size);
	const uint8_t *bytes_after = executable_bytes(after, &size_after);
	assert(executable_segments(after, &is) == n + 2);
	assert(size_after >= size);
	for (size_t i = 0; i < n; i++)
		assert(is[i].addr == was[i].addr && is[i].memsz == was[i].memsz &&
		       is[i].filesz == was[i].filesz &&
		       (!was[i].filesz || is[i].offset == was[i].offset));
	size_t changed = 0, count = executable_phdrs(after, &(const Elf64_Phdr *){NULL});
	for (size_t i = 0; i < size; i++)
		changed += bytes[i] != bytes_after[i];
	assert(changed <= sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr));
	assert(executable_entry(after) == executable_entry(before));
}

static void extend(struct executable *exe)
{
	static uint8_t code[2 * PAGE], page[PAGE];
	const struct extension_parts parts = {
		.code = code,
		.code_size = sizeof(code),
		.code_name = ".code",
		.data = page,
		.data_size = sizeof(page),
		.data_memsz = 5 * PAGE,
		.data_name = ".data2",
		.zeros_name = ".zeros",
	};
	struct extension place;
	struct error err;
	struct executable *after;
	char path[MEMFILE_PATH];
	memset(code, 0xcc, sizeof(code));
	memset(page, 0xdd, sizeof(page));
	if (extension_place(exe, &parts, &place, &err) != OK)
		return;
	int fd = memfile_new(NULL, 0, path);
	/* a hole of up to 2 GB costs nothing, but may be more than a limit allows */
	if (extension_write(exe, &parts, &place, fd, &err) == OK) {
		enum status status = executable_open(path, &after, &err);
		assert(status == OK);
		compare(exe, after);
		const void *there = executable_view(after, place.code_addr, sizeof(code));
		assert(there && memcmp(there, code, sizeof(code)) == 0);
		there = executable_view(after, place.data_addr, sizeof(page));
		assert(there && memcmp(there, page, sizeof(page)) == 0);
		executable_free(after);
	}
	memfile_close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct executable *exe;
	struct error err;
	char path[MEMFILE_PATH];
	int fd = memfile_new(data, size, path);
	if (executable_open(path, &exe, &err) == OK) {
		if (!graft_is_in(exe))
			assert(!graft_restore(exe));
		else
			(void)graft_restore(exe);
		extend(exe);
		executable_free(exe);
	}
	memfile_close(fd);
	return 0;
}
