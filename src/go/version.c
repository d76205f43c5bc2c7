#include "go/version.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/program.h"

/* A number in a version text: digits that fit an int; false where there are none. */
static bool parse_number(const char **pos, int *ret)
{
	const char *p = *pos;
	int v = 0;
	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++) {
		if (v > 9999)
			return false;
		v = v * 10 + (*p - '0');
	}
	*pos = p;
	*ret = v;
	return true;
}

bool go_version_parse(const char *text, struct go_version *ret)
{
	for (const char *p = strstr(text, "go1."); p; p = strstr(p + 1, "go1.")) {
		struct go_version v = {0};
		const char *q = p + 4;
		if (!parse_number(&q, &v.minor))
			continue;
		if (*q == '.') {
			q++;
			if (!parse_number(&q, &v.patch))
				v.patch = 0;
		}
		snprintf(v.text, sizeof(v.text), "%s", text);
		*ret = v;
		return true;
	}
	return false;
}

bool go_version_has_experiment(const struct go_version *version, const char *name)
{
	/* "go1.24.4 X:a,b"; from 1.27 on "go1.27.4-X:a,b". */
	const char *p = strstr(version->text, "X:");
	size_t n = strlen(name);
	if (!p)
		return false;
	for (p += 2; *p && *p != ' ';) {
		size_t len = strcspn(p, ", ");
		if (len == n && memcmp(p, name, n) == 0)
			return true;
		p += len;
		if (*p == ',')
			p++;
	}
	return false;
}

/*
 * The build information blob: debug/buildinfo/buildinfo.go. 32 bytes, 16-aligned: the magic, pointer
 * size, flags; bit 1 of the flags set (go1.18 on): the version follows as a string behind its uvarint
 * length; clear: a pointer to a string header at +16.
 */
static const char blob_magic[14] = "\xff Go buildinf:";
enum { BLOB_SIZE = 32, BLOB_ALIGN = 16, BLOB_FLAGS = 15, BLOB_INLINE = 2, BLOB_VERSION = 16 };

struct blob_search {
	struct target *target;
	struct go_version version;
};

/* Makes a version of n bytes at s. */
static bool version_of_bytes(const void *s, size_t n, struct go_version *ret)
{
	char text[sizeof(ret->text)];
	if (n == 0 || n >= sizeof(text) || memchr(s, 0, n))
		return false;
	memcpy(text, s, n);
	text[n] = 0;
	return go_version_parse(text, ret);
}

/* The n bytes at addr, from the file where it has them and else from memory. */
static bool read_static(struct target *target, uint64_t addr, void *buf, size_t n)
{
	const void *p = program_file_bytes(target, addr, n);
	if (p) {
		memcpy(buf, p, n);
		return true;
	}
	return memory_read(target->memory, addr, buf, n, NULL) == OK;
}

/* The version in the Go string whose header is at addr; slide is added to the header's pointer. */
static bool version_of_string(struct target *target, uint64_t addr, uint64_t slide,
			      struct go_version *ret)
{
	uint64_t words[2];
	char text[sizeof(ret->text)];
	return read_static(target, addr, words, sizeof(words)) && words[1] < sizeof(text) &&
	       read_static(target, words[0] + slide, text, words[1]) &&
	       version_of_bytes(text, words[1], ret);
}

static bool blob_parse(struct target *target, const struct program_piece *piece, size_t at,
		       struct go_version *ret)
{
	struct bytes b = bytes_of(piece->bytes + at, piece->size - at);
	const uint8_t *blob = b.pos;
	if (!bytes_skip(&b, BLOB_SIZE))
		return false;
	if (!(blob[BLOB_FLAGS] & BLOB_INLINE))
		return version_of_string(target, load_u64(blob + BLOB_VERSION) + piece->slide,
					 piece->slide, ret);
	uint64_t n;
	return bytes_uvarint(&b, &n) && n <= bytes_left(&b) && version_of_bytes(b.pos, n, ret);
}

static bool find_blob(void *context, const struct program_piece *piece)
{
	struct blob_search *search = context;
	size_t at = (BLOB_ALIGN - piece->addr % BLOB_ALIGN) % BLOB_ALIGN;
	for (; at < piece->size && piece->size - at >= BLOB_SIZE; at += BLOB_ALIGN) {
		if (memcmp(piece->bytes + at, blob_magic, sizeof(blob_magic)) == 0 &&
		    blob_parse(search->target, piece, at, &search->version))
			return true;
	}
	return false;
}

/*
 * Without a blob (some packagers cut it out) the version is still in the string variable
 * runtime.buildVersion: bytes "go1.N[.N]" in read-only data, and a string header in data that points
 * at them. The linker itself puts them there, as it does for -X, and ends them with a NUL
 * (cmd/link/internal/ld/data.go, addstrdata), which strings of the program have none of.
 */
enum {
	HINTS_MAX = 4096, /* texts "go1." that are held: real programs have a handful */
	BUILD_VERSION_MAX = 64,
};

struct hints {
	struct target *target;
	uint64_t *list; /* addresses of "go1.", ascending within a piece */
	size_t count, cap;
	bool failed;
	struct go_version best;
	bool found;
};

static bool collect_hints(void *context, const struct program_piece *piece)
{
	struct hints *hints = context;
	const uint8_t *p = piece->bytes, *end = p + piece->size;
	while (hints->count < HINTS_MAX && (p = memmem(p, (size_t)(end - p), "go1.", 4))) {
		uint64_t addr = piece->addr + (uint64_t)(p - piece->bytes);
		if (!ARRAY_PUSH(hints->list, hints->count, hints->cap, addr)) {
			hints->failed = true;
			return true;
		}
		p += 4;
	}
	return false;
}

/* Whether s is a version and nothing else: go1.N, go1.N.N, go1.NrcN, go1.NbetaN, experiments after
 * it. */
static bool is_version_text(const char *s, size_t n)
{
	char text[BUILD_VERSION_MAX];
	int number;
	if (n >= sizeof(text))
		return false;
	memcpy(text, s, n);
	text[n] = 0;
	const char *p = text;
	if (strncmp(p, "go1.", 4) != 0)
		return false;
	p += 4;
	if (!parse_number(&p, &number))
		return false;
	if (*p == '.')
		p++;
	else if (strncmp(p, "rc", 2) == 0)
		p += 2;
	else if (strncmp(p, "beta", 4) == 0)
		p += 4;
	else
		return *p == 0;
	return parse_number(&p, &number) &&
	       (*p == 0 || strncmp(p, " X:", 3) == 0 || strncmp(p, "-X:", 3) == 0);
}

static int compare_addr(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Looks for string headers that point at a hint; of several versions the highest is taken, because a
 * program can name versions before its own (go/build's release tags) and none after. */
static bool find_headers(void *context, const struct program_piece *piece)
{
	struct hints *hints = context;
	size_t at = (8 - piece->addr % 8) % 8;
	for (; at < piece->size && piece->size - at >= 16; at += 8) {
		uint64_t n = load_u64(piece->bytes + at + 8);
		if (n < 5 || n >= BUILD_VERSION_MAX)
			continue;
		uint64_t addr = load_u64(piece->bytes + at) + piece->slide;
		char text[BUILD_VERSION_MAX];
		struct go_version v;
		if (!bsearch(&addr, hints->list, hints->count, sizeof(addr), compare_addr) ||
		    !read_static(hints->target, addr, text, n + 1) || text[n] != 0 ||
		    !is_version_text(text, n) || !version_of_bytes(text, n, &v))
			continue;
		if (!hints->found || v.minor > hints->best.minor ||
		    (v.minor == hints->best.minor && v.patch > hints->best.patch)) {
			hints->best = v;
			hints->found = true;
		}
	}
	return false;
}

static bool version_of_variable(struct target *target, struct go_version *ret)
{
	struct symbol symbol;
	if (target_symbol(target, "runtime.buildVersion", &symbol) &&
	    version_of_string(target, symbol.addr, target->bias, ret))
		return true;
	struct hints hints = {.target = target};
	program_scan_file(target, PROGRAM_READ_ONLY | PROGRAM_WRITABLE | PROGRAM_TEXT,
			  collect_hints, &hints);
	if (!hints.failed && hints.count > 0) {
		qsort(hints.list, hints.count, sizeof(*hints.list), compare_addr);
		program_scan_file(target, PROGRAM_WRITABLE, find_headers, &hints);
	}
	free(hints.list);
	if (hints.found)
		*ret = hints.best;
	return hints.found;
}

/* The blob where the section says that it is. */
static bool find_blob_by_section(struct target *target, struct blob_search *search)
{
	struct section section;
	if (!target_section(target, ".go.buildinfo", &section) || !section.has_bytes)
		return false;
	struct program_piece piece = {
		.addr = section.addr,
		.slide = target->bias,
		.bytes = program_file_bytes(target, section.addr, section.size),
		.size = section.size,
		.is_file = true,
	};
	return piece.bytes && find_blob(search, &piece);
}

enum status go_version_read(struct target *target, struct go_version *ret, struct error *err)
{
	struct blob_search search = {.target = target};
	if (find_blob_by_section(target, &search) ||
	    program_scan_file(target, PROGRAM_WRITABLE, find_blob, &search) ||
	    program_scan_file(target, PROGRAM_READ_ONLY, find_blob, &search) ||
	    (!target->exe && program_scan_memory(target, find_blob, &search))) {
		*ret = search.version;
		ret->from_build = true;
		return OK;
	}
	if (version_of_variable(target, ret)) {
		ret->from_build = false;
		return OK;
	}
	if (!target->exe)
		return error_set(err, ERROR_NOT_FOUND,
				 "no Go version in the core, and its executable is missing");
	return error_set(err, ERROR_NOT_FOUND, "not a Go program: it names no Go version");
}
