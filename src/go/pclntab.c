#include "go/pclntab.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/program.h"

/*
 * The table, as cmd/link/internal/ld/pcln.go lays it out:
 *
 *	header   magic u32, 0, 0, minLC u8, ptrSize u8, nfunc, nfiles, textStart, then the offsets of
 *	         the parts below, all words
 *	names    NUL-terminated function names
 *	cutab    u32 offsets into files; each compile unit has a run of them
 *	files    NUL-terminated paths
 *	pctab    pc-value tables
 *	funcs    ftab: {u32 entry, u32 func} for each function and the end of the last one; then the
 *	         _func records; entry counts from moduledata.text, func from the start of this part
 */
enum {
	HEADER_SIZE = 72,
	HEADER_MIN_LC = 6,
	HEADER_PTR_SIZE = 7,
	HEADER_NFUNC = 8,
	HEADER_OFFSETS = 32,
	HEADER_PARTS = 5,
	FTAB_ENTRY = 8,
};

/* internal/abi/symtab.go. Unsigned, as enumerators cannot be. */
#define MAGIC_12 0xfffffffbu
#define MAGIC_116 0xfffffffau
#define MAGIC_118 0xfffffff0u
#define MAGIC_120 0xfffffff1u

/* Offsets in _func (runtime/runtime2.go). From go1.20 on startLine stands at 36, and what follows is
 * 4 bytes further. */
enum {
	FUNC_NAME = 4,
	FUNC_ARGS = 8,
	FUNC_PCSP = 16,
	FUNC_PCFILE = 20,
	FUNC_PCLN = 24,
	FUNC_NPCDATA = 28,
	FUNC_CU = 32,
	FUNC_START_LINE = 36,
};

/* runtime/symtabinl.go and its forerunners index the inline tree as an array of this many. */
enum { INLINE_TREE_MAX = 1 << 20 };

struct part {
	const uint8_t *bytes;
	uint64_t size;
};

struct pclntab {
	struct target *target; /* NULL: made by pclntab_parse */
	uint8_t *owned; /* the table's bytes where they had to be copied */
	const uint8_t *bytes;
	uint64_t
		size; /* bytes that are there from the header on; the table itself may be shorter */
	uint64_t addr;
	struct part names, cutab, files, pctab, funcs;
	uint64_t count;
	unsigned min_lc;
	uint64_t text, gofunc;
	unsigned func_tail; /* offset of funcID in _func */
	unsigned func_size; /* size of _func, where the pcdata offsets begin */
	unsigned inline_size; /* size of inlinedCall */
	unsigned inline_id, inline_name, inline_parent; /* offsets in it */
	int wrapper_id; /* funcID of generated wrappers */
};

/* Cuts a part of strings behind its last NUL, so that each string in it ends inside it. */
static void part_end_strings(struct part *part)
{
	while (part->size > 0 && part->bytes[part->size - 1] != 0)
		part->size--;
}

static const char *part_string(const struct part *part, uint64_t offset)
{
	return offset < part->size ? (const char *)part->bytes + offset : NULL;
}

static enum status parse_header(struct pclntab *tab, struct error *err)
{
	const uint8_t *h = tab->bytes;
	if (tab->size < HEADER_SIZE)
		return error_at(err, ERROR_FORMAT, tab->addr, "function table: header cut off");
	uint32_t magic = load_u32(h);
	if (magic == MAGIC_12 || magic == MAGIC_116)
		return error_at(err, ERROR_UNSUPPORTED, tab->addr,
				"function table in the format of Go 1.17 or older");
	if ((magic != MAGIC_118 && magic != MAGIC_120) || h[4] || h[5])
		return error_at(err, ERROR_FORMAT, tab->addr, "function table: no known magic");
	tab->min_lc = h[HEADER_MIN_LC];
	if ((tab->min_lc != 1 && tab->min_lc != 4) || h[HEADER_PTR_SIZE] != 8)
		return error_at(err, ERROR_UNSUPPORTED, tab->addr,
				"function table of a machine with %u-byte pointers",
				h[HEADER_PTR_SIZE]);
	uint64_t at[HEADER_PARTS + 1];
	for (int i = 0; i < HEADER_PARTS; i++) {
		at[i] = load_u64(h + HEADER_OFFSETS + 8 * i);
		if (at[i] < (i ? at[i - 1] : HEADER_SIZE) || at[i] > tab->size)
			return error_at(err, ERROR_FORMAT, tab->addr,
					"function table: part %d at 0x%lx, out of order or range",
					i, (unsigned long)at[i]);
	}
	at[HEADER_PARTS] = tab->size;
	struct part *parts[HEADER_PARTS] = {&tab->names, &tab->cutab, &tab->files, &tab->pctab,
					    &tab->funcs};
	for (int i = 0; i < HEADER_PARTS; i++)
		*parts[i] = (struct part){tab->bytes + at[i], at[i + 1] - at[i]};
	part_end_strings(&tab->names);
	part_end_strings(&tab->files);

	tab->count = load_u64(h + HEADER_NFUNC);
	/* The last entry of ftab is the end of the last function and has no func. */
	if (tab->count == 0 || tab->funcs.size < 4 ||
	    tab->count > (tab->funcs.size - 4) / FTAB_ENTRY)
		return error_at(err, ERROR_FORMAT, tab->addr,
				"function table: %lu functions do not fit in it",
				(unsigned long)tab->count);
	if (magic == MAGIC_118) {
		tab->func_tail = 36;
		tab->inline_size = 20;
		tab->inline_id = 2;
		tab->inline_name = 12;
		tab->inline_parent = 16;
	} else {
		tab->func_tail = 40;
		tab->inline_size = 16;
		tab->inline_id = 0;
		tab->inline_name = 4;
		tab->inline_parent = 8;
	}
	tab->func_size = tab->func_tail + 4;
	return OK;
}

enum status pclntab_parse(const void *bytes, size_t size, uint64_t addr, struct pclntab **ret,
			  struct error *err)
{
	struct pclntab tab = {.bytes = bytes, .size = size, .addr = addr};
	if (parse_header(&tab, err) != OK)
		return FAILED;
	struct pclntab *made = malloc(sizeof(*made));
	if (!made)
		return error_nomem(err);
	*made = tab;
	*ret = made;
	return OK;
}

void pclntab_free(struct pclntab *tab)
{
	if (!tab)
		return;
	free(tab->owned);
	free(tab);
}

struct table_search {
	struct pclntab *tab;
	struct error err; /* of the last candidate */
};

/* A table that is in a piece of the image at offset at; bytes that do not outlive the call are copied
 * from there on. */
static enum status open_at(struct table_search *search, const struct program_piece *piece,
			   size_t at)
{
	const uint8_t *bytes = piece->bytes + at;
	size_t size = piece->size - at;
	if (pclntab_parse(bytes, size, piece->addr + at, &search->tab, &search->err) != OK)
		return FAILED;
	if (piece->is_file)
		return OK;
	uint8_t *copy = malloc(size);
	pclntab_free(search->tab);
	search->tab = NULL;
	if (!copy)
		return error_nomem(&search->err);
	memcpy(copy, bytes, size);
	if (pclntab_parse(copy, size, piece->addr + at, &search->tab, &search->err) != OK) {
		free(copy);
		return FAILED;
	}
	search->tab->owned = copy;
	return OK;
}

/* The header's first word is rare enough to be looked for; the linker aligns it to 8 at least. */
static bool find_table(void *context, const struct program_piece *piece)
{
	struct table_search *search = context;
	size_t at = (8 - piece->addr % 8) % 8;
	for (; at < piece->size && piece->size - at >= HEADER_SIZE; at += 8) {
		uint64_t word = load_u64(piece->bytes + at);
		uint32_t magic = (uint32_t)word;
		if ((magic != MAGIC_118 && magic != MAGIC_120 && magic != MAGIC_116) ||
		    (word >> 32 & 0xffff) != 0 || word >> 56 != 8)
			continue;
		if (open_at(search, piece, at) == OK)
			return true;
	}
	return false;
}

static bool find_by_section(struct target *target, struct table_search *search)
{
	/* The second in position-independent executables that Go links itself, up to 1.25. */
	static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct section section;
		if (!target_section(target, names[i], &section) || !section.has_bytes)
			continue;
		struct program_piece piece = {
			.addr = section.addr,
			.slide = target->bias,
			.bytes = program_file_bytes(target, section.addr, section.size),
			.size = section.size,
			.is_file = true,
		};
		if (piece.bytes && open_at(search, &piece, 0) == OK)
			return true;
	}
	return false;
}

enum status pclntab_open(struct target *target, struct pclntab **ret, struct error *err)
{
	struct table_search search = {0};
	if (find_by_section(target, &search) ||
	    program_scan_file(target, PROGRAM_READ_ONLY | PROGRAM_WRITABLE, find_table, &search) ||
	    program_scan_file(target, PROGRAM_TEXT, find_table, &search) ||
	    (!target->exe && program_scan_memory(target, find_table, &search))) {
		search.tab->target = target;
		*ret = search.tab;
		return OK;
	}
	if (search.err.code != ERROR_NONE) {
		if (err)
			*err = search.err;
		return FAILED;
	}
	return error_set(err, ERROR_NOT_FOUND, "no Go function table (pclntab) in the %s",
			 target->exe ? "executable" : "core, and its executable is missing");
}

uint64_t pclntab_addr(const struct pclntab *tab)
{
	return tab->addr;
}

uint64_t pclntab_names_addr(const struct pclntab *tab)
{
	return tab->addr + (uint64_t)(tab->names.bytes - tab->bytes);
}

/* internal/abi/symtab.go and its forerunners: FuncIDWrapper is the last of a list that 1.22 made one
 * longer (corostart) and 1.25 one more (runFinalizers and runCleanups for runfinq). */
static int wrapper_id(const struct go_version *version)
{
	return version->minor <= 21 ? 21 : version->minor <= 24 ? 22 : 23;
}

void pclntab_bind(struct pclntab *tab, const struct go_version *version, uint64_t text,
		  uint64_t gofunc)
{
	tab->text = text;
	tab->gofunc = gofunc;
	tab->wrapper_id = wrapper_id(version);
}

size_t pclntab_count(const struct pclntab *tab)
{
	return tab->count;
}

static uint32_t ftab_entry(const struct pclntab *tab, uint64_t index)
{
	return load_u32(tab->funcs.bytes + index * FTAB_ENTRY);
}

/* The _func record of fn, and what is left behind its start; NULL where it is cut off. */
static const uint8_t *func_record(const struct pclntab *tab, const struct function *fn,
				  uint64_t *ret_left)
{
	uint64_t funcs_addr = tab->addr + (uint64_t)(tab->funcs.bytes - tab->bytes);
	uint64_t at = fn->func - funcs_addr;
	if (at > tab->funcs.size || tab->funcs.size - at < tab->func_size)
		return NULL;
	*ret_left = tab->funcs.size - at;
	return tab->funcs.bytes + at;
}

bool pclntab_at(const struct pclntab *tab, size_t index, struct function *ret)
{
	uint64_t left;
	if (index >= tab->count)
		return false;
	uint32_t entry = ftab_entry(tab, index), end = ftab_entry(tab, index + 1);
	struct function fn = {
		.entry = tab->text + entry,
		.end = tab->text + end,
		.index = (uint32_t)index,
		.func = tab->addr + (uint64_t)(tab->funcs.bytes - tab->bytes) +
			load_u32(tab->funcs.bytes + index * FTAB_ENTRY + 4),
	};
	const uint8_t *record = func_record(tab, &fn, &left);
	if (end < entry || !record)
		return false;
	fn.name = part_string(&tab->names, load_u32(record + FUNC_NAME));
	if (!fn.name)
		return false;
	fn.args = (int32_t)load_u32(record + FUNC_ARGS);
	if (tab->func_tail > FUNC_START_LINE)
		fn.start_line = (int32_t)load_u32(record + FUNC_START_LINE);
	fn.is_wrapper = record[tab->func_tail] == tab->wrapper_id;
	fn.flag = record[tab->func_tail + 1];
	*ret = fn;
	return true;
}

bool pclntab_find(const struct pclntab *tab, uint64_t pc, struct function *ret)
{
	uint64_t off = pc - tab->text;
	if (off < ftab_entry(tab, 0) || off >= ftab_entry(tab, tab->count))
		return false;
	uint64_t lo = 0, hi = tab->count; /* the function is in [lo, hi) */
	while (hi - lo > 1) {
		uint64_t mid = lo + (hi - lo) / 2;
		if (ftab_entry(tab, mid) <= off)
			lo = mid;
		else
			hi = mid;
	}
	struct function fn;
	if (!pclntab_at(tab, lo, &fn) || pc < fn.entry || pc >= fn.end)
		return false;
	*ret = fn;
	return true;
}

bool pclntab_by_name(const struct pclntab *tab, const char *name, struct function *ret)
{
	for (uint64_t i = 0; i < tab->count; i++) {
		struct function fn;
		if (pclntab_at(tab, i, &fn) && strcmp(fn.name, name) == 0) {
			*ret = fn;
			return true;
		}
	}
	return false;
}

/* A number of a pc-value table: base 128, 32 bits (runtime/symtab.go, readvarint). */
static inline bool read_varint(const uint8_t **pos, const uint8_t *end, uint32_t *ret)
{
	const uint8_t *p = *pos;
	uint32_t v = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		if (p == end)
			return false;
		uint8_t c = *p++;
		v |= (uint32_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			*pos = p;
			*ret = v;
			return true;
		}
	}
	return false;
}

/* The value at pc_off (distance from the function's entry) of the pc-value table at offset table: pairs
 * of a zigzag value delta and a pc delta, from value -1 at pc 0; a value delta of 0 ends it, except the
 * first (runtime/symtab.go, pcvalue and step). */
static bool pcvalue(const struct pclntab *tab, uint32_t table, uint64_t pc_off, int32_t *ret)
{
	if (table >= tab->pctab.size)
		return false;
	const uint8_t *p = tab->pctab.bytes + table, *end = tab->pctab.bytes + tab->pctab.size;
	uint32_t value = UINT32_MAX;
	uint64_t pc = 0;
	for (bool first = true;; first = false) {
		uint32_t delta, pc_delta;
		if (!read_varint(&p, end, &delta) || (delta == 0 && !first) ||
		    !read_varint(&p, end, &pc_delta))
			return false;
		value += (delta >> 1) ^ -(delta & 1);
		pc += (uint64_t)pc_delta * tab->min_lc;
		if (pc_off < pc) {
			*ret = (int32_t)value;
			return true;
		}
	}
}

bool pclntab_sp_delta(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		      int32_t *ret)
{
	uint64_t left;
	const uint8_t *record = func_record(tab, fn, &left);
	/* Table 0 is none: code that another linker put between Go's. */
	if (!record || load_u32(record + FUNC_PCSP) == 0)
		return false;
	return pcvalue(tab, load_u32(record + FUNC_PCSP), pc - fn->entry, ret);
}

bool pclntab_pcdata(const struct pclntab *tab, const struct function *fn, unsigned table,
		    uint64_t pc, int32_t *ret)
{
	uint64_t left;
	const uint8_t *record = func_record(tab, fn, &left);
	if (!record)
		return false;
	uint32_t count = load_u32(record + FUNC_NPCDATA), offset = 0;
	if (table < count) {
		if (table >= (left - tab->func_size) / 4)
			return false;
		offset = load_u32(record + tab->func_size + 4 * table);
	}
	if (offset == 0) {
		*ret = -1;
		return true;
	}
	return pcvalue(tab, offset, pc - fn->entry, ret);
}

bool pclntab_funcdata(const struct pclntab *tab, const struct function *fn, unsigned i,
		      uint64_t *ret)
{
	uint64_t left;
	const uint8_t *record = func_record(tab, fn, &left);
	if (!record || i >= record[tab->func_tail + 3])
		return false;
	uint64_t at = tab->func_size + 4 * ((uint64_t)load_u32(record + FUNC_NPCDATA) + i);
	if (at > left || left - at < 4)
		return false;
	uint32_t offset = load_u32(record + at);
	if (offset == UINT32_MAX)
		return false;
	*ret = tab->gofunc + offset;
	return true;
}

bool pclntab_line(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		  const char **ret_file, int32_t *ret_line)
{
	uint64_t left;
	const uint8_t *record = func_record(tab, fn, &left);
	int32_t file, line;
	if (!record || load_u32(record + FUNC_PCFILE) == 0 || load_u32(record + FUNC_PCLN) == 0 ||
	    !pcvalue(tab, load_u32(record + FUNC_PCFILE), pc - fn->entry, &file) ||
	    !pcvalue(tab, load_u32(record + FUNC_PCLN), pc - fn->entry, &line) || file < 0 ||
	    line < 0)
		return false;
	/* runtime/symtab.go, funcfile: numbers count from the compile unit's run in cutab. */
	uint64_t index = (uint64_t)load_u32(record + FUNC_CU) + (uint32_t)file;
	if (index >= tab->cutab.size / 4)
		return false;
	uint32_t offset = load_u32(tab->cutab.bytes + 4 * index);
	const char *path = offset == UINT32_MAX ? NULL : part_string(&tab->files, offset);
	if (!path)
		return false;
	*ret_file = path;
	*ret_line = line;
	return true;
}

/* n constant bytes at addr: the table's own, the file's, or the target's. */
static bool read_constant(const struct pclntab *tab, uint64_t addr, void *buf, size_t n)
{
	uint64_t at = addr - tab->addr;
	const void *p = NULL;
	if (at <= tab->size && n <= tab->size - at)
		p = tab->bytes + at;
	else if (tab->target)
		p = program_file_bytes(tab->target, addr, n);
	if (p) {
		memcpy(buf, p, n);
		return true;
	}
	return tab->target && memory_read(tab->target->memory, addr, buf, n, NULL) == OK;
}

size_t pclntab_source(const struct pclntab *tab, const struct function *fn, uint64_t pc,
		      struct source_frame ret[SOURCE_FRAMES_MAX])
{
	uint64_t tree;
	bool has_tree = pclntab_funcdata(tab, fn, FUNCDATA_INL_TREE, &tree);
	size_t n = 0;
	for (;;) {
		struct source_frame *frame = &ret[n++];
		*frame = (struct source_frame){.function = fn->name, .file = "?"};
		frame->is_wrapper = fn->is_wrapper;
		pclntab_line(tab, fn, pc, &frame->file, &frame->line);
		int32_t index;
		uint8_t call[20];
		assert(tab->inline_size <= sizeof(call));
		/* The last place is the function's own. */
		if (!has_tree || n == SOURCE_FRAMES_MAX ||
		    !pclntab_pcdata(tab, fn, PCDATA_INL_TREE, pc, &index) || index < 0 ||
		    index >= INLINE_TREE_MAX ||
		    !read_constant(tab, tree + (uint64_t)index * tab->inline_size, call,
				   tab->inline_size))
			return n;
		const char *name = part_string(&tab->names, load_u32(call + tab->inline_name));
		if (!name)
			return n;
		frame->function = name;
		frame->inlined = true;
		frame->is_wrapper = call[tab->inline_id] == tab->wrapper_id;
		/* An instruction of the caller at the line of the inlined call. */
		pc = fn->entry + load_u32(call + tab->inline_parent);
	}
}
