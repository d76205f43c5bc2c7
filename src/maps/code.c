#include "maps/code.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static enum flag_callee callee_at(void *context, uint64_t addr)
{
	struct runtime *rt = context;
	struct function fn;
	return flag_callee_by_name(pclntab_find(rt->pclntab, addr, &fn) ? fn.name : NULL);
}

static const uint8_t *code_of(struct runtime *rt, const struct function *fn)
{
	return fn->end > fn->entry ? memory_view(rt->target->memory, fn->entry, fn->end - fn->entry)
				   : NULL;
}

enum status map_code_flagsites(struct runtime *rt, const struct function *fn, struct flagsites *ret,
			       struct error *err)
{
	const uint8_t *bytes = code_of(rt, fn);
	if (!bytes)
		return error_at(err, ERROR_FAULT, fn->entry, "the code of %s is not there",
				fn->name);
	return flagsites_find(rt->target->arch, rt->swiss ? MAP_SWISS : MAP_HMAP, bytes,
			      fn->end - fn->entry, fn->entry, callee_at, rt, ret, err);
}

static bool is_called(const char *full, const char *name)
{
	size_t n = strlen(full), m = strlen(name);
	if (m == 0 || m > n || strcmp(full + n - m, name) != 0)
		return false;
	return m == n || full[n - m - 1] == '.' || full[n - m - 1] == '/';
}

/* The size of a function's code without what the linker fills up with: int3 on amd64, zeros (udf) on
 * arm64 (cmd/link/internal/ld/data.go, CodeblkPad). */
static uint64_t unpadded(enum arch arch, const uint8_t *bytes, uint64_t size)
{
	static const uint8_t zeros[4];
	if (arch == ARCH_ARM64) {
		while (size >= 4 && memcmp(bytes + size - 4, zeros, 4) == 0)
			size -= 4;
		return size;
	}
	while (size > 0 && bytes[size - 1] == 0xcc)
		size--;
	return size;
}

static void find_offset(const struct target *target, struct map_code *code)
{
	const struct segment *segments;
	if (!target->exe)
		return;
	uint64_t addr = code->function.entry - target->bias;
	size_t count = executable_segments(target->exe, &segments);
	for (size_t i = 0; i < count; i++) {
		if (addr < segments[i].addr || addr - segments[i].addr >= segments[i].filesz)
			continue;
		code->has_file_offset = true;
		code->file_offset = segments[i].offset + (addr - segments[i].addr);
		return;
	}
}

/* Appends a function; one without sites only where it was asked for by name. */
static enum status add(struct runtime *rt, const struct function *fn, bool named,
		       struct map_codes *codes, struct error *err)
{
	struct map_code code = {.function = *fn, .bytes = code_of(rt, fn)};
	struct error why;
	bool is_map_function = flagsites_is_map_function(fn->name);
	if (!code.bytes) {
		(void)error_at(&why, ERROR_FAULT, fn->entry, "its code is not there");
		notes_add_error(rt->notes, "maps", fn->name, &why);
		return OK;
	}
	if (is_map_function && map_code_flagsites(rt, fn, &code.sites, &why) != OK)
		notes_add_error(rt->notes, "maps", fn->name, &why);
	else if (is_map_function && !code.sites.complete)
		notes_add(rt->notes, "maps", fn->entry,
			  "%s: its code cannot be followed to the end, so no window is known in it",
			  fn->name);
	if (!named && code.sites.count == 0) {
		flagsites_done(&code.sites);
		return OK;
	}
	code.size = unpadded(rt->target->arch, code.bytes, fn->end - fn->entry);
	find_offset(rt->target, &code);
	if (!ARRAY_PUSH(codes->list, codes->count, codes->cap, code)) {
		flagsites_done(&code.sites);
		return error_nomem(err);
	}
	return OK;
}

enum status map_codes_find(struct runtime *rt, const char *name, struct map_codes *ret,
			   struct error *err)
{
	struct map_codes codes = {0};
	size_t count = pclntab_count(rt->pclntab);
	for (size_t i = 0; i < count; i++) {
		struct function fn;
		if (!pclntab_at(rt->pclntab, i, &fn) ||
		    !(name ? is_called(fn.name, name) : flagsites_is_map_function(fn.name)))
			continue;
		if (add(rt, &fn, name != NULL, &codes, err) != OK) {
			map_codes_done(&codes);
			return FAILED;
		}
	}
	if (codes.count == 0) {
		map_codes_done(&codes);
		return name ? error_set(err, ERROR_NOT_FOUND,
					"the program has no function called %s", name)
			    : error_set(err, ERROR_NOT_FOUND,
					"the program has no map function that handles the flag");
	}
	*ret = codes;
	return OK;
}

void map_codes_done(struct map_codes *codes)
{
	for (size_t i = 0; i < codes->count; i++)
		flagsites_done(&codes->list[i].sites);
	free(codes->list);
	*codes = (struct map_codes){0};
}

const struct flag_site *map_code_site(const struct map_code *code, uint64_t addr, bool *ret_part)
{
	const struct flag_site *part = NULL;
	for (size_t i = 0; i < code->sites.count; i++) {
		const struct flag_site *site = &code->sites.list[i];
		if (site->addr == addr) {
			*ret_part = false;
			return site;
		}
		if (!part && site->run_is_pure && addr >= site->run && addr < site->addr)
			part = site;
	}
	*ret_part = part != NULL;
	return part;
}
