/*
 * Targets and runtimes made by hand: memory out of a test's own arrays, no executable, as if a core
 * held all that there is.
 */
#ifndef TESTS_GO_FORGE_H
#define TESTS_GO_FORGE_H

#include <stdlib.h>
#include <string.h>

#include "go/runtime.h"
#include "go/type.h"

enum { FORGE_MAPPINGS = 8 };

struct forge {
	struct target target;
	struct mapping mappings[FORGE_MAPPINGS];
	struct notes notes;
	struct runtime rt;
};

static inline void forge_init(struct forge *forge)
{
	memset(forge, 0, sizeof(*forge));
	forge->target.kind = TARGET_CORE;
	forge->target.memory = memory_new();
	forge->target.mappings = forge->mappings;
	forge->rt.target = &forge->target;
	forge->rt.notes = &forge->notes;
}

static inline void forge_done(struct forge *forge)
{
	type_cache_free(forge->rt.types);
	memory_free(forge->target.memory);
	notes_done(&forge->notes);
}

/* Lays n bytes at addr; base must outlive the forge. Counts as part of a mapped file. */
static inline bool forge_bytes(struct forge *forge, uint64_t addr, const void *base, size_t n)
{
	struct memory_range range = {addr, addr + n, ORIGIN_CORE, .writable = true};
	struct target *target = &forge->target;
	if (target->mapping_count == FORGE_MAPPINGS)
		return false;
	forge->mappings[target->mapping_count++] =
		(struct mapping){.start = addr, .end = addr + n, .path = (char *)"/forged"};
	return memory_add_bytes(target->memory, &range, base, NULL) == OK;
}

/* Makes the runtime one of go1.minor whose types are [types, etypes). */
static inline bool forge_version(struct forge *forge, int minor, uint64_t types, uint64_t etypes)
{
	forge->rt.version.minor = minor;
	forge->rt.module.types = types;
	forge->rt.module.etypes = etypes;
	forge->rt.swiss = minor >= 24;
	const struct layout *layout =
		layout_for(&forge->rt.version, forge->rt.swiss, &forge->rt.layout_exact);
	if (layout)
		forge->rt.layout = *layout;
	return layout;
}

/* Bytes that are put together piece by piece. */
struct blob {
	uint8_t bytes[8192];
	size_t len;
};

static inline size_t blob_add(struct blob *blob, const void *p, size_t n)
{
	size_t at = blob->len;
	if (n > sizeof(blob->bytes) - at)
		abort();
	memcpy(blob->bytes + at, p, n);
	blob->len += n;
	return at;
}

static inline size_t blob_u8(struct blob *blob, uint8_t v)
{
	return blob_add(blob, &v, sizeof(v));
}

static inline size_t blob_u32(struct blob *blob, uint32_t v)
{
	return blob_add(blob, &v, sizeof(v));
}

static inline size_t blob_u64(struct blob *blob, uint64_t v)
{
	return blob_add(blob, &v, sizeof(v));
}

static inline size_t blob_string(struct blob *blob, const char *s)
{
	return blob_add(blob, s, strlen(s) + 1);
}

static inline void blob_align(struct blob *blob, size_t n)
{
	while (blob->len % n)
		blob_u8(blob, 0);
}

static inline void blob_put_u32(struct blob *blob, size_t at, uint32_t v)
{
	memcpy(blob->bytes + at, &v, sizeof(v));
}

static inline void blob_put_u64(struct blob *blob, size_t at, uint64_t v)
{
	memcpy(blob->bytes + at, &v, sizeof(v));
}

#endif
