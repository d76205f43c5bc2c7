#include "target/target.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "target/core.h"
#include "target/elffile.h"
#include "target/file.h"
#include "target/image.h"

struct target_impl {
	struct core *core;
};

void target_free(struct target *target)
{
	if (!target)
		return;
	struct target_impl *impl = target->impl;
	memory_free(target->memory);
	if (impl)
		core_free(impl->core);
	free(impl);
	executable_free(target->exe);
	for (size_t i = 0; i < target->mapping_count; i++)
		free(target->mappings[i].path);
	free(target->mappings);
	free(target->threads);
	free(target->command);
	free(target->path);
	free(target);
}

static enum status zero_fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			      struct error *err)
{
	(void)context, (void)addr, (void)offset, (void)err;
	memset(buf, 0, n);
	return OK;
}

/* Lays the file's segments: all of them with their zero-filled ends, or only the ones that a running
 * program cannot have changed. */
static enum status lay_executable(struct target *t, bool all, struct error *err)
{
	const struct segment *segments;
	size_t count = executable_segments(t->exe, &segments), size;
	const uint8_t *bytes = executable_bytes(t->exe, &size);
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		uint64_t start = s->addr + t->bias;
		if ((s->writable && !all) || start > UINT64_MAX - s->memsz)
			continue;
		struct memory_range range = {
			.start = start,
			.end = start + s->memsz,
			.origin = ORIGIN_FILE,
			.writable = s->writable,
			.executable = s->executable,
		};
		if (all && !s->cut && memory_add(t->memory, &range, zero_fetch, NULL, err) != OK)
			return FAILED;
		range.end = start + s->filesz;
		if (memory_add_bytes(t->memory, &range, bytes + s->offset, err) != OK)
			return FAILED;
	}
	return OK;
}

const struct mapping *target_mapping_at(const struct target *target, uint64_t addr)
{
	for (size_t i = 0; i < target->mapping_count; i++) {
		const struct mapping *m = &target->mappings[i];
		if (addr >= m->start && addr < m->end)
			return m;
	}
	return NULL;
}

/* Opens the executable that the user or the core names. One that the core names and that cannot be
 * had is a note; one that the user names must be there. */
static enum status open_executable(struct target *t, const struct target_options *options,
				   const struct image *image, struct notes *notes,
				   struct error *err)
{
	if (options->exe)
		return executable_open(options->exe, &t->exe, err);
	const struct mapping *m =
		target_mapping_at(t, image->auxv.phdr ? image->auxv.phdr : image->auxv.entry);
	if (!m || m->path[0] != '/') {
		notes_add(notes, "target", 0,
			  "the core does not name its executable: give it with --exe FILE");
		return OK;
	}
	AUTO_FD int fd = -1;
	uint64_t size;
	struct error why;
	if (file_open(options->sysroot, m->path, &fd, &size, &why) != OK ||
	    executable_open_fd(fd, size, m->path, &t->exe, &why) != OK) {
		if (why.code == ERROR_NOMEM) {
			if (err)
				*err = why;
			return FAILED;
		}
		notes_add(notes, "target", 0, "no executable (%s): give it with --exe FILE",
			  why.text);
	}
	return OK;
}

/* Finds the executable of a core and proves that it is the right one. */
static enum status match_executable(struct target *t, const struct target_options *options,
				    const struct image *image, struct notes *notes,
				    struct error *err)
{
	if (open_executable(t, options, image, notes, err) != OK)
		return FAILED;
	if (!t->exe)
		return OK;
	if (executable_arch(t->exe) != t->arch)
		return error_set(err, ERROR_MISMATCH,
				 "%.100s is for another machine than the target",
				 executable_path(t->exe));
	return image_match(image, t->exe, options->force_exe, notes, &t->bias, err);
}

static enum status open_core(struct target *t, int fd, uint64_t size,
			     const struct target_options *options, struct notes *notes,
			     struct error *err)
{
	struct target_impl *impl = t->impl;
	t->kind = TARGET_CORE;
	if (core_open(fd, size, t, notes, &impl->core, err) != OK)
		return error_prefix(err, "%.100s", t->path);
	if (core_lay(impl->core, t->memory, err) != OK)
		return FAILED;
	struct image image;
	image_read(t->memory, core_auxv(impl->core), &image);
	t->core_id = image.id;
	if (match_executable(t, options, &image, notes, err) != OK)
		return FAILED;
	if (!t->exe)
		return OK;
	/* Again, now with the executable below the core's pages. */
	memory_free(t->memory);
	if (!(t->memory = memory_new()))
		return error_nomem(err);
	if (lay_executable(t, false, err) != OK || core_lay(impl->core, t->memory, err) != OK)
		return FAILED;
	return OK;
}

static enum status open_executable_target(struct target *t, int fd, uint64_t size,
					  struct error *err)
{
	t->kind = TARGET_EXECUTABLE;
	if (executable_open_fd(fd, size, t->path, &t->exe, err) != OK)
		return FAILED;
	t->arch = executable_arch(t->exe);
	return lay_executable(t, true, err);
}

static struct target *target_new(const char *path)
{
	AUTO_TARGET struct target *t = calloc(1, sizeof(*t));
	if (!t || !(t->impl = calloc(1, sizeof(struct target_impl))) ||
	    !(t->memory = memory_new()) || !(t->path = strdup(path)))
		return NULL;
	return TAKE(t);
}

enum status target_open(const char *what, const struct target_options *options, struct notes *notes,
			struct target **ret, struct error *err)
{
	AUTO_FD int fd = -1;
	uint64_t size;
	AUTO_TARGET struct target *t = target_new(what);
	if (!t)
		return error_nomem(err);
	if (file_open(NULL, what, &fd, &size, err) != OK)
		return FAILED;
	uint8_t head[sizeof(Elf64_Ehdr)];
	struct elf_header header;
	ssize_t got = file_read(fd, head, sizeof(head), 0);
	if (got < 0)
		return error_sys(err, "%.160s", what);
	if (elf_header_parse(head, (size_t)got, &header, err) != OK)
		return error_prefix(err, "%.160s", what);
	enum status status = header.type == ET_CORE
				     ? open_core(t, TAKE_FD(fd), size, options, notes, err)
				     : open_executable_target(t, fd, size, err);
	if (status != OK)
		return FAILED;
	*ret = TAKE(t);
	return OK;
}

bool target_section(const struct target *target, const char *name, struct section *ret)
{
	if (!target->exe || !executable_section(target->exe, name, ret))
		return false;
	ret->addr += target->bias;
	return true;
}

bool target_symbol(const struct target *target, const char *name, struct symbol *ret)
{
	if (!target->exe || !executable_symbol(target->exe, name, ret))
		return false;
	ret->addr += target->bias;
	return true;
}

bool target_symbol_at(const struct target *target, uint64_t addr, struct symbol *ret)
{
	if (!target->exe || !executable_symbol_at(target->exe, addr - target->bias, ret))
		return false;
	ret->addr += target->bias;
	return true;
}
