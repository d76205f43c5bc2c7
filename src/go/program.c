#include "go/program.h"

#include <stdlib.h>

#include "base/cleanup.h"

/* A run of memory longer than this is no part of a program file that we would find anything in: the
 * largest Go executables are a few hundred MB. */
enum { PROGRAM_PIECE_MAX = 512 << 20 };

bool program_scan_file(struct target *target, unsigned parts, program_visit_fn *visit,
		       void *context)
{
	if (!target->exe)
		return false;
	const struct segment *segments;
	size_t count = executable_segments(target->exe, &segments);
	for (size_t i = 0; i < count; i++) {
		const struct segment *seg = &segments[i];
		unsigned part = seg->executable ? PROGRAM_TEXT
				: seg->writable ? PROGRAM_WRITABLE
						: PROGRAM_READ_ONLY;
		if (!(parts & part) || seg->filesz == 0)
			continue;
		const void *bytes = executable_view(target->exe, seg->addr, seg->filesz);
		if (!bytes)
			continue;
		struct program_piece piece = {
			.addr = seg->addr + target->bias,
			.slide = target->bias,
			.bytes = bytes,
			.size = seg->filesz,
			.is_file = true,
		};
		if (visit(context, &piece))
			return true;
	}
	return false;
}

/* Shows visit what can be read of [start, end). */
static bool scan_range(struct target *target, uint64_t start, uint64_t end, program_visit_fn *visit,
		       void *context)
{
	struct memory_range range;
	for (uint64_t addr = start; addr < end && memory_range_at(target->memory, addr, &range);
	     addr = range.end) {
		uint64_t from = range.start > start ? range.start : start;
		uint64_t to = range.end < end ? range.end : end;
		if (from >= to)
			break;
		if (range.executable || to - from > PROGRAM_PIECE_MAX)
			continue;
		AUTO_FREE uint8_t *copy = malloc(to - from);
		if (!copy)
			return false;
		if (memory_read(target->memory, from, copy, to - from, NULL) != OK)
			continue;
		struct program_piece piece = {.addr = from, .bytes = copy, .size = to - from};
		if (visit(context, &piece))
			return true;
	}
	return false;
}

bool program_scan_memory(struct target *target, program_visit_fn *visit, void *context)
{
	if (target->exe) {
		/* What lies past filesz is zero at the start: nothing of the linker's is there. */
		const struct segment *segments;
		size_t count = executable_segments(target->exe, &segments);
		for (size_t i = 0; i < count; i++) {
			uint64_t start = segments[i].addr + target->bias;
			if (segments[i].writable &&
			    scan_range(target, start, start + segments[i].filesz, visit, context))
				return true;
		}
		return false;
	}
	for (size_t i = 0; i < target->mapping_count; i++) {
		const struct mapping *m = &target->mappings[i];
		if (scan_range(target, m->start, m->end, visit, context))
			return true;
	}
	return false;
}

const void *program_file_bytes(const struct target *target, uint64_t addr, size_t n)
{
	return target->exe ? executable_view(target->exe, addr - target->bias, n) : NULL;
}
