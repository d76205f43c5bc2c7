#include "target/target.h"

#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "target/compressed.h"
#include "target/core.h"
#include "target/elffile.h"
#include "target/file.h"
#include "target/image.h"
#include "target/process.h"

/* What the memory's ranges stand on. */
struct target_impl {
	struct core *core;
	struct process *process;
};

void target_free(struct target *target)
{
	if (!target)
		return;
	struct target_impl *impl = target->impl;
	memory_free(target->memory);
	if (impl) {
		core_free(impl->core);
		process_free(impl->process);
	}
	free(impl);
	executable_free(target->exe);
	for (size_t i = 0; i < target->mapping_count; i++)
		free(target->mappings[i].path);
	free(target->mappings);
	free(target->threads);
	free(target->command);
	free(target->path);
	free(target->moved_code.context);
	free(target);
}

static enum status zero_fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			      struct error *err)
{
	(void)context, (void)addr, (void)offset, (void)err;
	memset(buf, 0, n);
	return OK;
}

enum lay {
	LAY_ALL, /* with zero-filled ends: an executable by itself */
	LAY_READ_ONLY, /* what the program cannot have changed as it ran */
};

static enum status lay_executable(struct target *t, enum lay lay, struct error *err)
{
	const struct segment *segments;
	size_t count = executable_segments(t->exe, &segments), size;
	const uint8_t *bytes = executable_bytes(t->exe, &size);
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		uint64_t start = s->addr + t->bias;
		if ((s->writable && lay != LAY_ALL) || start > UINT64_MAX - s->memsz)
			continue;
		struct memory_range range = {
			.start = start,
			.end = start + s->memsz,
			.origin = ORIGIN_FILE,
			.writable = s->writable,
			.executable = s->executable,
		};
		if (lay == LAY_ALL && !s->cut &&
		    memory_add(t->memory, &range, zero_fetch, NULL, err) != OK)
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

/* Opens the executable that the core names. That it cannot be had is a note. */
static enum status find_executable(struct target *t, const struct target_options *options,
				   const struct image *image, struct notes *notes,
				   struct error *err)
{
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
	if (file_open(options->sysroot, m->path, &fd, &size, &why) == OK &&
	    executable_open_fd(fd, size, m->path, &t->exe, &why) == OK)
		return OK;
	if (why.code == ERROR_NOMEM) {
		if (err)
			*err = why;
		return FAILED;
	}
	notes_add(notes, "target", 0, "no executable (%s): give it with --exe FILE", why.text);
	return OK;
}

/* Opening it is not all: for want of memory, or of sense in its sections, libelf may refuse. */
static void note_unread_elf(struct executable *exe, struct notes *notes)
{
	if (!executable_elf(exe))
		notes_add(notes, "target", 0,
			  "libelf cannot read %.160s: its sections, symbols and DWARF are not used",
			  executable_path(exe));
}

/* Whether t->exe is the program of image, and where it lies. */
static enum status match_executable(struct target *t, const struct target_options *options,
				    const struct image *image, struct notes *notes,
				    struct error *err)
{
	if (executable_arch(t->exe) != t->arch)
		return error_set(err, ERROR_MISMATCH,
				 "%.100s is for another machine than the target",
				 executable_path(t->exe));
	note_unread_elf(t->exe, notes);
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
	enum status status = options->exe ? executable_open(options->exe, &t->exe, err)
					  : find_executable(t, options, &image, notes, err);
	if (status != OK)
		return FAILED;
	if (!t->exe)
		return OK;
	if (match_executable(t, options, &image, notes, err) != OK)
		return FAILED;
	/* Again, now with the executable below the core's pages. */
	memory_free(t->memory);
	if (!(t->memory = memory_new()))
		return error_nomem(err);
	if (lay_executable(t, LAY_READ_ONLY, err) != OK ||
	    core_lay(impl->core, t->memory, err) != OK)
		return FAILED;
	return OK;
}

static enum status open_compressed_core(struct target *t, int fd, uint64_t size,
					const struct target_options *options, struct notes *notes,
					struct error *err)
{
	int plain;
	uint64_t plain_size;
	if (compressed_decode(fd, size, options->tmpdir, notes, &plain, &plain_size, err) != OK)
		return error_prefix(err, "%.100s", t->path);
	return open_core(t, plain, plain_size, options, notes, err);
}

/* The file that the process runs, which is its program without a doubt. */
static enum status own_executable(struct target *t, const struct process *process,
				  struct notes *notes, struct error *err)
{
	AUTO_FD int fd = -1;
	AUTO_FREE char *path = NULL;
	uint64_t size;
	struct error why;
	if (process_exe(process, &fd, &size, &path, &why) != OK) {
		notes_add(notes, "target", 0, "no executable (%s): give it with --exe FILE",
			  why.text);
		return OK;
	}
	return executable_open_fd(fd, size, path, &t->exe, err);
}

/* Says so where the read-only part of the program is not what its file has. */
static void note_changed_pages(const struct target *t, const struct process *process,
			       struct notes *notes)
{
	const struct segment *segments;
	size_t count = executable_segments(t->exe, &segments), changed;
	for (size_t i = 0; i < count; i++) {
		const struct segment *s = &segments[i];
		uint64_t start = s->addr + t->bias;
		struct error why;
		if (s->writable)
			continue;
		if (process_changed_pages(process, start, start + s->filesz, &changed, &why) != OK)
			notes_add_error(
				notes, "target",
				"whether the program's code was changed in memory is not known",
				&why);
		else if (changed)
			notes_add(notes, "target", start,
				  "%zu pages of the program were changed in memory (breakpoints, a "
				  "recorder): shown as its file has them",
				  changed);
	}
}

static enum status open_process(struct target *t, pid_t pid, const struct target_options *options,
				struct notes *notes, struct error *err)
{
	struct target_impl *impl = t->impl;
	t->kind = TARGET_PROCESS;
	if (process_open(pid, t, notes, &impl->process, err) != OK ||
	    process_lay(impl->process, t->memory, err) != OK)
		return FAILED;
	struct image image;
	image_read(t->memory, process_auxv(impl->process), &image);
	t->core_id = image.id;
	enum status status = options->exe ? executable_open(options->exe, &t->exe, err)
					  : own_executable(t, impl->process, notes, err);
	if (status != OK)
		return FAILED;
	if (!t->exe)
		return OK;
	if (match_executable(t, options, &image, notes, err) != OK)
		return FAILED;
	/* On top of the process's memory: whoever takes code apart needs views of it, and wants it as
	 * it was compiled. A file that the user names is used for its names only. */
	if (options->exe)
		return OK;
	if (!options->recorded)
		note_changed_pages(t, impl->process, notes);
	return lay_executable(t, LAY_READ_ONLY, err);
}

static enum status open_executable_target(struct target *t, int fd, uint64_t size,
					  struct notes *notes, struct error *err)
{
	t->kind = TARGET_EXECUTABLE;
	if (executable_open_fd(fd, size, t->path, &t->exe, err) != OK)
		return FAILED;
	t->arch = executable_arch(t->exe);
	note_unread_elf(t->exe, notes);
	return lay_executable(t, LAY_ALL, err);
}

static struct target *target_new(const char *path)
{
	AUTO_TARGET struct target *t = calloc(1, sizeof(*t));
	if (!t || !(t->impl = calloc(1, sizeof(struct target_impl))) ||
	    !(t->memory = memory_new()) || !(t->path = strdup(path)))
		return NULL;
	return TAKE(t);
}

static enum status open_file(struct target *t, int fd, uint64_t size,
			     const struct target_options *options, struct notes *notes,
			     struct error *err)
{
	AUTO_FD int owned = fd;
	uint8_t head[sizeof(Elf64_Ehdr)];
	struct elf_header header;
	ssize_t got = file_read(fd, head, sizeof(head), 0);
	if (got < 0)
		return error_sys(err, "%.160s", t->path);
	if (compressed_kind(head, (size_t)got))
		return open_compressed_core(t, fd, size, options, notes, err);
	if (elf_header_parse(head, (size_t)got, &header, err) != OK)
		return error_prefix(err, "%.160s", t->path);
	if (header.type == ET_CORE)
		return open_core(t, TAKE_FD(owned), size, options, notes, err);
	return open_executable_target(t, fd, size, notes, err);
}

/* The number that text is, or 0. */
static pid_t pid_of(const char *text)
{
	size_t n = strspn(text, "0123456789");
	long value = n && n < 10 && !text[n] ? strtol(text, NULL, 10) : 0;
	return value <= INT32_MAX ? (pid_t)value : 0;
}

enum status target_open(const char *what, const struct target_options *options, struct notes *notes,
			struct target **ret, struct error *err)
{
	int fd = -1;
	uint64_t size;
	struct error why = {0};
	AUTO_TARGET struct target *t = target_new(what);
	if (!t)
		return error_nomem(err);
	enum status status = file_open(NULL, what, &fd, &size, &why);
	pid_t pid = pid_of(what);
	if (status == OK) {
		status = open_file(t, fd, size, options, notes, err);
	} else if (why.code == ERROR_NOT_FOUND && pid) {
		status = open_process(t, pid, options, notes, err);
	} else if (err) {
		*err = why;
	}
	if (status != OK)
		return FAILED;
	*ret = TAKE(t);
	return OK;
}

void target_resume(struct target *target)
{
	struct target_impl *impl = target->impl;
	if (impl->process)
		process_resume(impl->process);
}

enum status target_peek(struct target *target, uint64_t addr, void *buf, size_t n,
			struct error *err)
{
	struct target_impl *impl = target->impl;
	if (!impl->process)
		return error_set(err, ERROR_UNSUPPORTED, "%.160s is no process", target->path);
	return process_peek(impl->process, addr, buf, n, err);
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
