/*
 * A Go program forged in a few arrays, for tests of maps: its types, the hash functions' code and keys,
 * and a heap whose bytes the test fills in.
 *
 *	0x400000       code: runtime.memhash64 and memhashFallback (amd64), and what stands for a hasher
 *	0x500000       types: keys and elements, then one map type for each pair of them
 *	0x600000       data: useAeshash (0) and hashkey
 *	0xc000000000   the heap; a test's map header is at its start
 */
#ifndef TESTS_FORGE_MAP_H
#define TESTS_FORGE_MAP_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "go/type.h"
#include "maps/map.h"
#include "maps/memhash.h"

enum {
	FORGE_TEXT = 0x400000,
	FORGE_TYPES = 0x500000,
	FORGE_DATA = 0x600000,
	FORGE_TEXT_SIZE = 256,
	FORGE_TYPES_SIZE = 0x8000,
	FORGE_DATA_SIZE = 0x1000,
	FORGE_HASHKEY = 0x100, /* in data */
};
static const uint64_t FORGE_HEAP = 0xc000000000;

/* Types of keys and elements. */
enum forge_kind { FORGE_U64, FORGE_STRING, FORGE_BIG, FORGE_EMPTY, FORGE_ANY, FORGE_KINDS };

struct forge {
	struct target target;
	struct notes notes;
	struct runtime *rt;
	struct memhash_keys keys;
	uint8_t text[FORGE_TEXT_SIZE], types[FORGE_TYPES_SIZE], data[FORGE_DATA_SIZE];
	uint8_t table[512]; /* pclntab */
};

static inline void forge_u64(uint8_t *p, uint64_t v)
{
	memcpy(p, &v, 8);
}

static inline void forge_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

static inline void forge_u16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, 2);
}

static inline void forge_add(struct forge *f, uint64_t addr, const void *bytes, size_t n)
{
	struct memory_range range = {addr, addr + n, ORIGIN_CORE, true, false};
	enum status status = memory_add_bytes(f->target.memory, &range, bytes, NULL);
	assert(status == OK);
	(void)status;
}

/* Three functions of 64 bytes each; the function table's format of 1.20 to 1.25. */
static inline void forge_code(struct forge *f)
{
	static const char *const names[] = {"runtime.memhash64", "runtime.memhashFallback",
					    "main.hash"};
	/* cmpb $0, useAeshash(%rip); and mov hashkey(%rip), %rax */
	memcpy(f->text, "\x80\x3d\x00\x00\x00\x00\x00", 7);
	forge_u32(f->text + 2, FORGE_DATA - (FORGE_TEXT + 7));
	memcpy(f->text + 64, "\x48\x8b\x05", 3);
	forge_u32(f->text + 67, FORGE_DATA + FORGE_HASHKEY - (FORGE_TEXT + 71));

	uint8_t *t = f->table;
	enum { NAMES = 0x60, FUNCS = 0xc0, RECORDS = 40, RECORD = 44 };
	static const uint64_t parts[] = {NAMES, FUNCS, FUNCS, FUNCS, FUNCS};
	forge_u32(t, 0xfffffff1);
	t[6] = 1;
	t[7] = 8;
	forge_u64(t + 8, 3);
	for (unsigned i = 0; i < 5; i++)
		forge_u64(t + 32 + 8 * i, parts[i]);
	unsigned name = 0;
	for (unsigned i = 0; i < 4; i++) {
		forge_u32(t + FUNCS + 8 * i, 64 * i);
		if (i == 3)
			break;
		forge_u32(t + FUNCS + 8 * i + 4, RECORDS + RECORD * i);
		uint8_t *record = t + FUNCS + RECORDS + RECORD * i;
		forge_u32(record, 64 * i);
		forge_u32(record + 4, name);
		strcpy((char *)t + NAMES + name, names[i]);
		name += (unsigned)strlen(names[i]) + 1;
	}
}

static inline uint64_t forge_type_addr(enum forge_kind kind)
{
	return FORGE_TYPES + 64 + 96 * (uint64_t)kind;
}

static inline uint64_t forge_kind_size(enum forge_kind kind)
{
	static const uint64_t sizes[] = {8, 16, 136, 0, 16};
	return sizes[kind];
}

static inline void forge_type(struct forge *f, uint64_t addr, uint64_t size, unsigned kind,
			      unsigned tflag)
{
	uint8_t *t = f->types + (addr - FORGE_TYPES);
	forge_u64(t, size);
	t[20] = (uint8_t)tflag;
	t[21] = t[22] = 8;
	t[23] = (uint8_t)kind;
	forge_u64(t + 24, FORGE_TEXT); /* has == */
	forge_u32(t + 40, 1); /* name */
}

/* The map type of a pair of kinds, laid out as the compiler does. */
static inline uint64_t forge_map_type(enum forge_kind key, enum forge_kind elem)
{
	return FORGE_TYPES + 0x1000 + 160 * (uint64_t)(key * FORGE_KINDS + elem);
}

static inline void forge_make_map_type(struct forge *f, enum forge_kind key, enum forge_kind elem)
{
	uint64_t addr = forge_map_type(key, elem);
	uint8_t *t = f->types + (addr - FORGE_TYPES);
	const struct layout *l = &f->rt->layout;
	bool ik = key == FORGE_BIG, ie = elem == FORGE_BIG;
	uint64_t ks = ik ? 8 : forge_kind_size(key), es = ie ? 8 : forge_kind_size(elem);
	/* The pointer itself stands in an interface: a bit of the kind, from 1.26 on of the tflag. */
	enum { DIRECT_IFACE = 32 };
	forge_type(f, addr, 8, f->rt->swiss ? KIND_MAP : KIND_MAP | DIRECT_IFACE,
		   f->rt->swiss ? DIRECT_IFACE : 0);
	if (!f->rt->swiss) {
		forge_u64(t + l->old_maptype.key, forge_type_addr(key));
		forge_u64(t + l->old_maptype.elem, forge_type_addr(elem));
		forge_u64(t + l->old_maptype.hasher, FORGE_TYPES + 8);
		t[l->old_maptype.key_size] = (uint8_t)ks;
		t[l->old_maptype.value_size] = (uint8_t)es;
		forge_u16(t + l->old_maptype.bucket_size, (uint16_t)(8 + 8 * ks + 8 * es + 8));
		forge_u32(t + l->old_maptype.flags, (ik ? 1 : 0) | (ie ? 2 : 0) | 4);
		return;
	}
	uint64_t slot = ks + (es ? es : 8);
	forge_u64(t + l->swiss_maptype.key, forge_type_addr(key));
	forge_u64(t + l->swiss_maptype.elem, forge_type_addr(elem));
	forge_u64(t + l->swiss_maptype.hasher, FORGE_TYPES + 8);
	forge_u64(t + l->swiss_maptype.group_size, 8 + 8 * slot);
	forge_u64(t + l->swiss_maptype.slot_size, slot);
	forge_u64(t + l->swiss_maptype.elem_off, ks);
	forge_u32(t + l->swiss_maptype.flags, (ik ? 4 : 0) | (ie ? 8 : 0));
}

static inline void forge_types(struct forge *f)
{
	enum { REGULAR = 8 };
	f->types[1] = 1; /* name "T" */
	f->types[2] = 1;
	f->types[3] = 'T';
	forge_u64(f->types + 8, FORGE_TEXT + 128); /* a func value: main.hash */
	forge_type(f, forge_type_addr(FORGE_U64), 8, KIND_UINT64, REGULAR);
	forge_type(f, forge_type_addr(FORGE_STRING), 16, KIND_STRING, 0);
	forge_type(f, forge_type_addr(FORGE_BIG), 136, KIND_ARRAY, REGULAR);
	forge_u64(f->types + (forge_type_addr(FORGE_BIG) - FORGE_TYPES) + 48,
		  forge_type_addr(FORGE_U64));
	forge_u64(f->types + (forge_type_addr(FORGE_BIG) - FORGE_TYPES) + 64, 17);
	forge_type(f, forge_type_addr(FORGE_EMPTY), 0, KIND_STRUCT, REGULAR);
	forge_type(f, forge_type_addr(FORGE_ANY), 16, KIND_INTERFACE, 0);
	for (unsigned k = 0; k < FORGE_KINDS; k++) {
		for (unsigned e = 0; e < FORGE_KINDS; e++)
			forge_make_map_type(f, k, e);
	}
}

/* Forges a program of go1.23 or, with Swiss maps, of go1.26, without a heap yet. */
static inline struct forge *forge_new(bool swiss)
{
	struct forge *f = calloc(1, sizeof(*f));
	struct runtime *rt = calloc(1, sizeof(*rt));
	enum status status;
	assert(f && rt);
	f->target.kind = TARGET_CORE;
	f->target.arch = ARCH_AMD64;
	f->target.memory = memory_new();
	f->rt = rt;
	rt->target = &f->target;
	rt->notes = &f->notes;
	rt->swiss = swiss;
	rt->layout_exact = true;
	rt->version = (struct go_version){.minor = swiss ? 26 : 23, .text = "go1.forged"};
	rt->layout = *layout_for(&rt->version, swiss, &rt->layout_exact);
	rt->module = (struct module){
		.text = FORGE_TEXT,
		.etext = FORGE_TEXT + FORGE_TEXT_SIZE,
		.noptrdata = FORGE_DATA,
		.enoptrbss = FORGE_DATA + FORGE_DATA_SIZE,
		.types = FORGE_TYPES,
		.etypes = FORGE_TYPES + FORGE_TYPES_SIZE,
	};
	forge_code(f);
	forge_types(f);
	f->keys = (struct memhash_keys){.kind = MEMHASH_WYHASH,
					.arch = ARCH_AMD64,
					.minor = rt->version.minor,
					.hashkey = {11, 22, 33, 44}};
	memcpy(f->data + FORGE_HASHKEY, f->keys.hashkey, sizeof(f->keys.hashkey));
	forge_add(f, FORGE_TEXT, f->text, sizeof(f->text));
	forge_add(f, FORGE_TYPES, f->types, sizeof(f->types));
	forge_add(f, FORGE_DATA, f->data, sizeof(f->data));
	status = pclntab_parse(f->table, sizeof(f->table), 0x700000, &rt->pclntab, NULL);
	assert(status == OK);
	(void)status;
	pclntab_bind(rt->pclntab, &rt->version, FORGE_TEXT, 0);
	return f;
}

static inline void forge_free(struct forge *f)
{
	runtime_free(f->rt);
	notes_done(&f->notes);
	memory_free(f->target.memory);
	free(f);
}

#endif
