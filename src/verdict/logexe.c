#include "verdict/logexe.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "maps/generic.h"

struct entry {
	uint64_t hash; /* of the name up to its first bracket */
	uint32_t index; /* in the function table */
};

/* The map calls of one function, found when first asked for. */
struct function_sites {
	uint32_t index;
	struct map_sites sites;
};

/* Functions that a verdict asks about: those on the stacks of its suspects. */
enum { FUNCTIONS_MAX = 4096 };

struct log_exe {
	struct runtime *rt;
	struct entry *entries; /* by hash */
	size_t count;
	struct map_callees *callees;
	struct function_sites *functions;
	size_t function_count;
};

static uint64_t hash_name(const char *s, size_t n)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
	for (size_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)s[i]) * 0x100000001b3;
	return h;
}

static int by_hash(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

enum status log_exe_new(struct runtime *rt, struct log_exe **ret, struct error *err)
{
	size_t n = pclntab_count(rt->pclntab);
	struct log_exe *exe = calloc(1, sizeof(*exe));
	if (exe) {
		exe->entries = calloc(n ? n : 1, sizeof(*exe->entries));
		exe->functions = calloc(FUNCTIONS_MAX, sizeof(*exe->functions));
	}
	if (!exe || !exe->entries || !exe->functions) {
		log_exe_free(exe);
		return error_nomem(err);
	}
	exe->rt = rt;
	for (size_t i = 0; i < n; i++) {
		struct function fn;
		if (!pclntab_at(rt->pclntab, i, &fn))
			continue;
		exe->entries[exe->count++] =
			(struct entry){hash_name(fn.name, strcspn(fn.name, "[")), (uint32_t)i};
	}
	qsort(exe->entries, exe->count, sizeof(*exe->entries), by_hash);
	if (map_callees_new(rt, &exe->callees, err) != OK) {
		log_exe_free(exe);
		return FAILED;
	}
	*ret = exe;
	return OK;
}

void log_exe_free(struct log_exe *exe)
{
	if (!exe)
		return;
	for (size_t i = 0; exe->functions && i < exe->function_count; i++)
		map_sites_done(&exe->functions[i].sites);
	map_callees_free(exe->callees);
	free(exe->functions);
	free(exe->entries);
	free(exe);
}

struct runtime *log_exe_runtime(const struct log_exe *exe)
{
	return exe->rt;
}

/* Whether Go prints the linked name so: what stands in brackets as "[...]". */
static bool prints_as(const char *linked, const char *printed)
{
	size_t open = strcspn(printed, "["), linked_open = strcspn(linked, "[");
	if (open != linked_open || memcmp(linked, printed, open) != 0)
		return false;
	const char *close = strrchr(printed, ']'), *linked_close = strrchr(linked, ']');
	if (!close || !linked_close)
		return !close && !linked_close;
	return strcmp(close, linked_close) == 0;
}

/* Whether the function has the frame's line at pc: a return address stands behind its call, a PC that a
 * signal stopped at stands where it is. */
static bool has_line(struct runtime *rt, const struct function *fn, uint64_t pc,
		     const struct trace_frame *frame)
{
	struct source_frame source[SOURCE_FRAMES_MAX];
	for (uint64_t back = 0; back < 2 && pc - back >= fn->entry; back++) {
		size_t n = pclntab_source(rt->pclntab, fn, pc - back, source);
		if (n && source[n - 1].line == frame->line &&
		    strcmp(source[n - 1].file, frame->file) == 0)
			return true;
	}
	return false;
}

bool log_exe_frame(struct log_exe *exe, const struct trace_frame *frame,
		   struct function *ret_function, uint64_t *ret_pc)
{
	const char *name = strcmp(frame->function, "panic") == 0 ? "runtime.gopanic"
								 : frame->function;
	struct entry key = {.hash = hash_name(name, strcspn(name, "["))};
	if (!frame->file || !frame->offset)
		return false;
	size_t low = 0, high = exe->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (exe->entries[middle].hash < key.hash)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < exe->count && exe->entries[low].hash == key.hash; low++) {
		struct function fn;
		if (!pclntab_at(exe->rt->pclntab, exe->entries[low].index, &fn) ||
		    !prints_as(fn.name, name) || frame->offset > fn.end - fn.entry ||
		    !has_line(exe->rt, &fn, fn.entry + frame->offset, frame))
			continue;
		*ret_function = fn;
		*ret_pc = fn.entry + frame->offset;
		return true;
	}
	return false;
}

static const struct map_sites *sites_of(struct log_exe *exe, const struct function *fn)
{
	for (size_t i = 0; i < exe->function_count; i++)
		if (exe->functions[i].index == fn->index)
			return &exe->functions[i].sites;
	if (exe->function_count == FUNCTIONS_MAX)
		return NULL;
	struct function_sites *f = &exe->functions[exe->function_count];
	struct map_sites sites = {0};
	/* Code that cannot be read or followed has no sites that are known. */
	if (map_sites_in_function(exe->rt, exe->callees, fn, false, &sites, NULL) != OK)
		map_sites_done(&sites);
	*f = (struct function_sites){fn->index, sites};
	exe->function_count++;
	return &f->sites;
}

const struct map_site *log_exe_call(struct log_exe *exe, const struct function *fn, uint64_t pc)
{
	const struct map_sites *sites = sites_of(exe, fn);
	for (size_t i = 0; sites && i < sites->count; i++)
		if (sites->list[i].next == pc)
			return &sites->list[i];
	return NULL;
}

const struct map_site *log_exe_write(struct log_exe *exe, const struct function *fn, uint64_t pc,
				     uint64_t type)
{
	const struct map_sites *sites = sites_of(exe, fn);
	const struct map_site *found = NULL;
	for (size_t i = 0; sites && i < sites->count; i++) {
		const struct map_site *s = &sites->list[i];
		if (operation_writes(s->operation) &&
		    (!s->type || map_types_alike(exe->rt, s->type, type)) &&
		    (!found || s->call < pc))
			found = s;
	}
	return found;
}

enum status log_exe_sites(struct log_exe *exe, uint64_t type, struct map_sites *ret,
			  struct error *err)
{
	return map_writers_find(exe->rt, type, true, ret, err);
}
