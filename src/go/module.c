#include "go/module.h"

#include <string.h>

#include "base/bytes.h"
#include "go/program.h"
#include "target/relocations.h"

/*
 * Offsets in runtime.moduledata (runtime/symtab.go). Up to ebss they are the same in 1.18 to 1.27;
 * 1.20 put covctrs and ecovctrs before end, 1.21 inittasks and 1.23 the order of hasmain and bad
 * before next, 1.26 epclntab behind gofunc, 1.27 typedesclen, itaboffset and itabsize, and it has no
 * typelinks.
 */
enum {
	MODULE_FTAB = 128,
	MODULE_MINPC = 160,
	MODULE_MAXPC = 168,
	MODULE_TEXT = 176,
	MODULE_ETEXT = 184,
	MODULE_NOPTRDATA = 192,
	MODULE_ENOPTRDATA = 200,
	MODULE_DATA = 208,
	MODULE_EDATA = 216,
	MODULE_BSS = 224,
	MODULE_EBSS = 232,
	MODULE_NOPTRBSS = 240,
	MODULE_ENOPTRBSS = 248,
	MODULE_READ = 592, /* bytes that hold every field below in every version */
};

struct module_layout {
	int min_minor; /* first version that has it */
	uint16_t gcdata, types, etypes, gofunc, typelinks, next; /* typelinks 0: none */
};

static const struct module_layout layouts[] = {
	{27, 280, 296, 312, 344, 0, 560},   {26, 280, 296, 304, 320, 360, 584},
	{23, 280, 296, 304, 320, 352, 576}, {21, 280, 296, 304, 320, 352, 584},
	{20, 280, 296, 304, 320, 352, 560}, {18, 264, 280, 288, 304, 336, 544},
};

static const struct module_layout *layout_of(const struct go_version *version)
{
	size_t n = sizeof(layouts) / sizeof(layouts[0]);
	for (size_t i = 0; i < n; i++) {
		if (version->minor >= layouts[i].min_minor)
			return &layouts[i];
	}
	return NULL;
}

struct module_search {
	struct target *target;
	const struct pclntab *tab;
	const struct module_layout *layout;
	struct module module;
	struct error err; /* why the last candidate was none */
};

/* The field at offset, an address, made the target's. */
static uint64_t address_at(const uint8_t *md, uint64_t slide, unsigned offset)
{
	uint64_t v = load_u64(md + offset);
	return v ? v + slide : 0;
}

static void decode(struct module *m, const uint8_t *md, uint64_t slide,
		   const struct module_layout *layout)
{
	m->text = address_at(md, slide, MODULE_TEXT);
	m->etext = address_at(md, slide, MODULE_ETEXT);
	m->noptrdata = address_at(md, slide, MODULE_NOPTRDATA);
	m->enoptrdata = address_at(md, slide, MODULE_ENOPTRDATA);
	m->data = address_at(md, slide, MODULE_DATA);
	m->edata = address_at(md, slide, MODULE_EDATA);
	m->bss = address_at(md, slide, MODULE_BSS);
	m->ebss = address_at(md, slide, MODULE_EBSS);
	m->noptrbss = address_at(md, slide, MODULE_NOPTRBSS);
	m->enoptrbss = address_at(md, slide, MODULE_ENOPTRBSS);
	m->gcdata = address_at(md, slide, layout->gcdata);
	m->gcbss = address_at(md, slide, layout->gcdata + 8);
	m->types = address_at(md, slide, layout->types);
	m->etypes = address_at(md, slide, layout->etypes);
	m->gofunc = address_at(md, slide, layout->gofunc);
	if (layout->typelinks) {
		m->typelinks = address_at(md, slide, layout->typelinks);
		m->typelink_count = load_u64(md + layout->typelinks + 8);
	}
	m->next = address_at(md, slide, layout->next);
}

static bool is_mapped(struct target *target, uint64_t addr)
{
	struct memory_range range;
	return memory_range_at(target->memory, addr, &range) && range.start <= addr;
}

/* Holds the fields against each other, the function table and the target. */
static enum status validate(const struct module_search *search, const struct module *m,
			    const uint8_t *md, uint64_t slide, struct error *err)
{
	const struct {
		const char *name;
		uint64_t start, end;
	} ranges[] = {
		{"text", m->text, m->etext},
		{"noptrdata", m->noptrdata, m->enoptrdata},
		{"data", m->data, m->edata},
		{"bss", m->bss, m->ebss},
		{"noptrbss", m->noptrbss, m->enoptrbss},
		{"types", m->types, m->etypes},
	};
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		if (ranges[i].start > ranges[i].end)
			return error_at(err, ERROR_FORMAT, m->addr,
					"moduledata: %s ends before it starts", ranges[i].name);
	}
	uint64_t functions = load_u64(md + MODULE_FTAB + 8);
	if (functions != pclntab_count(search->tab) + 1)
		return error_at(err, ERROR_FORMAT, m->addr,
				"moduledata: %lu functions, the function table has %lu",
				(unsigned long)functions,
				(unsigned long)pclntab_count(search->tab) + 1);
	uint64_t minpc = address_at(md, slide, MODULE_MINPC);
	uint64_t maxpc = address_at(md, slide, MODULE_MAXPC);
	if (minpc < m->text || maxpc > m->etext || minpc >= maxpc)
		return error_at(err, ERROR_FORMAT, m->addr,
				"moduledata: its functions lie outside its text");
	if (m->etypes == m->types || m->typelink_count > (m->etypes - m->types) / 8)
		return error_at(err, ERROR_FORMAT, m->addr,
				"moduledata: %lu types listed in %lu bytes of types",
				(unsigned long)m->typelink_count,
				(unsigned long)(m->etypes - m->types));
	/* What a core lacks, cut off or left out with the executable, is no fault of these fields. */
	if (search->target->exe && !search->target->truncated &&
	    (!is_mapped(search->target, m->text) || !is_mapped(search->target, m->types) ||
	     !is_mapped(search->target, m->gofunc)))
		return error_at(err, ERROR_FORMAT, m->addr,
				"moduledata: text, types or funcdata outside the program");
	return OK;
}

/* Tries the moduledata at addr: as the target holds it, else as the file does (all fields that are
 * read are the linker's, and stay). piece holds it, at offset at. */
static bool try_candidate(struct module_search *search, const struct program_piece *piece,
			  size_t at)
{
	uint8_t md[MODULE_READ];
	uint64_t slide = 0;
	struct module m = {.addr = piece->addr + at};
	/* 1.18's is shorter than what is read, and may be the last thing in its segment. */
	size_t size = search->layout->next + 8u;
	if (search->target->kind == TARGET_EXECUTABLE ||
	    memory_read(search->target->memory, m.addr, md, size, NULL) != OK) {
		if (piece->size - at < size)
			return false;
		memcpy(md, piece->bytes + at, size);
		slide = piece->slide;
	}
	decode(&m, md, slide, search->layout);
	if (validate(search, &m, md, slide, &search->err) != OK)
		return false;
	search->module = m;
	return true;
}

static bool find_module(void *context, const struct program_piece *piece)
{
	struct module_search *search = context;
	uint64_t tab = pclntab_addr(search->tab) - piece->slide;
	uint64_t names = pclntab_names_addr(search->tab) - piece->slide;
	size_t at = (8 - piece->addr % 8) % 8;
	for (; at < piece->size && piece->size - at >= 16; at += 8) {
		if (load_u64(piece->bytes + at) == tab &&
		    load_u64(piece->bytes + at + 8) == names && try_candidate(search, piece, at))
			return true;
	}
	return false;
}

enum status module_read(struct target *target, const struct pclntab *tab,
			const struct go_version *version, struct module *ret, struct error *err)
{
	struct module_search search = {.target = target, .tab = tab, .layout = layout_of(version)};
	if (!search.layout)
		return error_set(err, ERROR_UNSUPPORTED,
				 "built by Go 1.%d; versions before 1.18 are not supported",
				 version->minor);
	/* The file tells where it lies in one pass over mapped bytes; but a linker may leave pointers
	 * to the loader alone (lld and mold do): then memory has them, or, for an executable that does
	 * not run, we are the loader. */
	bool found = program_scan_file(target, PROGRAM_WRITABLE, find_module, &search);
	if (!found && target->kind != TARGET_EXECUTABLE)
		found = program_scan_memory(target, find_module, &search);
	else if (!found && relocations_apply(target->exe) > 0)
		found = program_scan_file(target, PROGRAM_WRITABLE, find_module, &search);
	if (found) {
		*ret = search.module;
		return OK;
	}
	if (search.err.code != ERROR_NONE) {
		if (err)
			*err = search.err;
		return FAILED;
	}
	return error_set(err, ERROR_NOT_FOUND,
			 "runtime.firstmoduledata not found: no data points to the function table");
}
