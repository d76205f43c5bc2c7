#include "maps/libgomap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/format.h"
#include "go/layout.h"

/* include/gomap.h: GOMAP_DESCRIPTOR_AT, GOMAP_MAGIC with version 01, struct gomap_descriptor. */
enum {
	DESCRIPTOR_AT = 112,
	DESCRIPTOR_SIZE = 24,
	MAGIC_SIZE = 8,
	HEADER_MAX = LIBGOMAP_HEADER_MAX
};
static const char magic[MAGIC_SIZE + 1] = "gomap/01";

/* include/gomap.h: struct gomap_shape begins with these words of four bytes each. */
enum {
	SHAPE_KIND,
	SHAPE_FLAGS,
	SHAPE_KEY,
	SHAPE_ELEM,
	SHAPE_KEY_SLOT,
	SHAPE_ELEM_SLOT,
	SHAPE_WORDS
};
enum { INDIRECT_KEY = 1, INDIRECT_ELEM = 2 };

/* include/gomap_inline.h: the parts of writer, site and bias. */
enum { BUSY = 1, SEQ_BITS = 41, OP_BITS = 3, PC_BITS = 48, TAG_BITS = 12 };
static const uint32_t BIAS_NONE = 0xffffffff, BIAS_REVOKED = UINT32_C(1) << 31;

/* A key or an element that its slot points to, and one that it holds, is at most so long here: more
 * would not be read by anyone. */
enum { VALUE_MAX = 256, STRING_MAX = 4096 };

/* Longer string keys are not hashed: as maps/hash.c. */
enum { STRING_SIZE_MAX = 16 << 20 };

bool libgomap_is_at(struct target *target, uint64_t addr)
{
	char there[MAGIC_SIZE];
	return addr <= UINT64_MAX - DESCRIPTOR_AT &&
	       memory_read(target->memory, addr + DESCRIPTOR_AT, there, sizeof(there), NULL) ==
		       OK &&
	       memcmp(there, magic, MAGIC_SIZE) == 0;
}

/* Offsets that the descriptor gives, each with room behind it for what is read there. */
struct offsets {
	uint16_t size, writer, turn, site, bias, seed, shape, type;
};

static enum status read_offsets(const uint8_t *descriptor, struct offsets *ret, struct error *err)
{
	const uint8_t *p = descriptor + MAGIC_SIZE;
	struct offsets o = {
		.size = load_u16(p),
		.writer = load_u16(p + 2),
		.turn = load_u16(p + 4),
		.site = load_u16(p + 6),
		.bias = load_u16(p + 8),
		.seed = load_u16(p + 10),
		.shape = load_u16(p + 12),
		.type = load_u16(p + 14),
	};
	const uint16_t words[] = {o.writer, o.turn, o.site, o.type};
	bool fits = o.size >= DESCRIPTOR_AT + DESCRIPTOR_SIZE && o.size <= HEADER_MAX &&
		    o.bias <= o.size - 4 && o.shape <= o.size - 4 * SHAPE_WORDS &&
		    o.seed <= o.size - 16;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		fits = fits && words[i] <= o.size - 8;
	if (!fits)
		return error_set(err, ERROR_FORMAT,
				 "a map of libgomap whose descriptor contradicts itself");
	*ret = o;
	return OK;
}

/* The map's type, as far as a walk needs it, from its shape. */
static struct map_type read_shape(const uint8_t *shape, enum libgomap_kind *ret_kind)
{
	uint32_t w[SHAPE_WORDS];
	for (size_t i = 0; i < SHAPE_WORDS; i++)
		w[i] = load_u32(shape + 4 * i);
	*ret_kind = (enum libgomap_kind)w[SHAPE_KIND];
	return (struct map_type){
		.key_size = w[SHAPE_KEY],
		.elem_size = w[SHAPE_ELEM],
		.slot_key_size = w[SHAPE_KEY_SLOT],
		.slot_elem_size = w[SHAPE_ELEM_SLOT],
		.indirect_key = w[SHAPE_FLAGS] & INDIRECT_KEY,
		.indirect_elem = w[SHAPE_FLAGS] & INDIRECT_ELEM,
		.bucket_size = 8 * (1 + (uint64_t)w[SHAPE_KEY_SLOT] + w[SHAPE_ELEM_SLOT]) + 8,
	};
}

/* The type's name: the first word of struct gomap_type points to it. Both lie in read-only data, which
 * a core has only through its executable. */
static void read_name(struct memory *memory, uint64_t type, struct libgomap *ret)
{
	uint64_t name;
	size_t n = 0;
	if (memory_read_u64(memory, type, &name, NULL) != OK)
		return;
	while (n < LIBGOMAP_NAME_MAX - 1 && name <= UINT64_MAX - n &&
	       memory_read_u8(memory, name + n, (uint8_t *)&ret->type[n], NULL) == OK &&
	       ret->type[n])
		n++;
	ret->type[n] = '\0';
	const char *bracket = strchr(ret->type, ']');
	ret->elem = bracket ? bracket + 1 : "";
}

static int by_offset(const void *a, const void *b)
{
	const struct struct_field *x = a, *y = b;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Go's hmap, and what the descriptor tells of. */
static void set_fields(const struct offsets *o, struct libgomap *ret)
{
	const struct {
		const char *name;
		int offset, size;
	} known[LIBGOMAP_FIELDS] = {
		{"count", 0, 8},
		{"flags", 8, 1},
		{"B", 9, 1},
		{"noverflow", 10, 2},
		{"hash0", 12, 4},
		{"buckets", 16, 8},
		{"oldbuckets", 24, 8},
		{"nevacuate", 32, 8},
		{"extra", 40, 8},
		{"writer", o->writer, 8},
		{"turn", o->turn, 8},
		{"site", o->site, 8},
		{"bias", o->bias, 4},
		{"seed.a", o->seed, 8},
		{"seed.b", o->seed + 8, 8},
		{"descriptor", DESCRIPTOR_AT, 8},
		{"offsets", DESCRIPTOR_AT + 8, 8},
		{"offsets", DESCRIPTOR_AT + 16, 8},
		{"kind", o->shape + 4 * SHAPE_KIND, 4},
		{"type flags", o->shape + 4 * SHAPE_FLAGS, 4},
		{"key size", o->shape + 4 * SHAPE_KEY, 4},
		{"elem size", o->shape + 4 * SHAPE_ELEM, 4},
		{"key slot", o->shape + 4 * SHAPE_KEY_SLOT, 4},
		{"elem slot", o->shape + 4 * SHAPE_ELEM_SLOT, 4},
		{"type", o->type, 8},
	};
	for (size_t i = 0; i < LIBGOMAP_FIELDS; i++)
		ret->fields[i] = (struct struct_field){.name = (char *)known[i].name,
						       .offset = (uint64_t)known[i].offset,
						       .size = (uint64_t)known[i].size,
						       .has_size = true};
	qsort(ret->fields, LIBGOMAP_FIELDS, sizeof(ret->fields[0]), by_offset);
	ret->size = o->size;
}

/* As find_other in lib/gomap/conflict.c. */
static void read_writer(const uint8_t *m, const struct offsets *o, struct libgomap *ret)
{
	uint64_t writer = load_u64(m + o->writer), turn = load_u64(m + o->turn),
		 site = load_u64(m + o->site);
	uint32_t bias = load_u32(m + o->bias);
	if (bias == BIAS_NONE)
		return;
	bool site_biased = site >> OP_BITS & 1;
	bool biased = (turn & 1) || (!(writer & BUSY) && site_biased);
	uint64_t last = biased ? (turn & 1 ? turn : turn - 1) : writer >> 1;
	ret->owned = !(bias & BIAS_REVOKED);
	ret->writes = turn / 2 + (turn & 1);
	ret->writing = (turn | writer) & BUSY;
	ret->thread = biased ? bias & ~BIAS_REVOKED : (uint32_t)(writer >> (1 + SEQ_BITS));
	ret->has_site = site_biased == biased &&
			site >> (64 - TAG_BITS) == (last & ((1 << TAG_BITS) - 1));
	ret->site = site >> (OP_BITS + 1) & ((UINT64_C(1) << PC_BITS) - 1);
	ret->operation = site & ((1 << OP_BITS) - 1);
}

enum status libgomap_open(struct target *target, struct notes *notes, uint64_t addr,
			  struct libgomap *ret, struct error *err)
{
	/* "the same as Go's" means up to 1.23 */
	static const struct go_version version = {.minor = 23, .text = ""};
	uint8_t m[HEADER_MAX] = {0};
	struct offsets o = {0};
	bool exact;
	*ret = (struct libgomap){.rt = {.target = target, .notes = notes, .version = version},
				 .elem = ""};
	ret->rt.layout = *layout_for(&version, false, &exact);
	if (!libgomap_is_at(target, addr))
		return error_at(err, ERROR_NOT_FOUND, addr, "no map of libgomap at 0x%" PRIx64,
				addr);
	if (memory_read(target->memory, addr, m, DESCRIPTOR_AT + DESCRIPTOR_SIZE, err) != OK ||
	    read_offsets(m + DESCRIPTOR_AT, &o, err) != OK ||
	    memory_read(target->memory, addr, m, o.size, err) != OK)
		return FAILED;
	struct map_type type = read_shape(m + o.shape, &ret->kind);
	read_name(target->memory, load_u64(m + o.type), ret);
	read_writer(m, &o, ret);
	set_fields(&o, ret);
	ret->seed[0] = load_u64(m + o.seed);
	ret->seed[1] = load_u64(m + o.seed + 8);
	if (map_open_as(&ret->rt, &type, addr, &ret->map, err) != OK)
		return FAILED;
	ret->map.library = ret;
	return OK;
}

/* What cannot be read is in the text, and a note. */
static bool unreadable(const struct libgomap *m, uint64_t addr, struct text *text)
{
	text_printf(text, "<unreadable 0x%" PRIx64 ">", addr);
	notes_add(m->rt.notes, "maps", addr, "a key or an element cannot be read");
	return false;
}

static bool append_string(const struct libgomap *m, const uint8_t *value, struct text *text)
{
	uint64_t ptr = load_u64(value), len = load_u64(value + 8);
	uint8_t bytes[STRING_MAX] = {0}; /* empty strings have no bytes to read */
	uint64_t n = len < STRING_MAX ? len : STRING_MAX;
	if (n && memory_read(m->rt.target->memory, ptr, bytes, n, NULL) != OK)
		return unreadable(m, ptr, text);
	format_quoted(text, bytes, n, &m->rt.version);
	if (n < len)
		text_printf(text, " ...+%" PRIu64, len - n);
	return true;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names && strcmp(name, *names) != 0)
		names++;
	return *names != NULL;
}

static bool is_signed(const char *type)
{
	static const char *const names[] = {
		"char",	   "short",   "int",	  "long",    "long long", "int8_t", "int16_t",
		"int32_t", "int64_t", "intptr_t", "ssize_t", "ptrdiff_t", NULL};
	return is_one_of(type, names);
}

static bool is_pointer(const char *type)
{
	size_t n = strlen(type);
	return n && type[n - 1] == '*';
}

static bool is_unsigned(const char *type)
{
	static const char *const names[] = {
		"unsigned char", "unsigned short", "unsigned", "unsigned int", "unsigned long",
		"uint8_t",	 "uint16_t",	   "uint32_t", "uint64_t",     "uintptr_t",
		"size_t",	 "bool",	   NULL};
	return is_one_of(type, names);
}

/* A number of a C type that is known by name. */
static bool append_number(const char *type, const uint8_t *value, uint64_t size, struct text *text)
{
	uint64_t u = 0;
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return false;
	memcpy(&u, value, size); /* both sides are little-endian */
	unsigned shift = 64 - 8 * (unsigned)size;
	if (strcmp(type, "double") == 0 || strcmp(type, "float") == 0) {
		float f;
		double d;
		memcpy(&f, value, sizeof(f));
		memcpy(&d, &u, sizeof(d));
		format_float(text, size == 4 ? (double)f : d, 8 * (int)size);
	} else if (is_pointer(type)) {
		text_append_hex(text, u);
	} else if (is_signed(type)) {
		text_append_int(text, (int64_t)(u << shift) >> shift);
	} else if (is_unsigned(type)) {
		text_append_uint(text, u);
	} else {
		return false;
	}
	return true;
}

/* A value of a C type at addr, whose bytes are at held unless that is NULL. */
static bool append_value(const struct libgomap *m, const char *type, bool string, uint64_t addr,
			 const uint8_t *held, uint64_t size, struct text *text)
{
	uint8_t value[VALUE_MAX] = {0};
	uint64_t n = size < VALUE_MAX ? size : VALUE_MAX;
	if (held)
		memcpy(value, held, n);
	else if (n && memory_read(m->rt.target->memory, addr, value, n, NULL) != OK)
		return unreadable(m, addr, text);
	if (string && size == 16)
		return append_string(m, value, text);
	if (append_number(type, value, size, text))
		return true;
	for (uint64_t i = 0; i < n; i++)
		text_printf(text, "%02x", value[i]);
	if (n < size)
		text_printf(text, " ...+%" PRIu64, size - n);
	return true;
}

/* "map[K]V": K alone; where it is not known, the integer that the kind says it is, or "". */
static void key_type(const struct libgomap *m, char ret[LIBGOMAP_NAME_MAX])
{
	size_t open = strcspn(m->type, "[");
	const char *name = m->kind == LIBGOMAP_INT32   ? "int32_t"
			   : m->kind == LIBGOMAP_INT64 ? "int64_t"
						       : "";
	size_t n = strlen(name);
	if (m->type[open] && m->type[open + 1] != ']' && m->type[open + 1]) {
		name = m->type + open + 1;
		n = strcspn(name, "]");
	}
	memcpy(ret, name, n);
	ret[n] = '\0';
}

bool libgomap_key_text(const struct libgomap *m, uint64_t addr, const uint8_t *bytes,
		       struct text *text)
{
	char type[LIBGOMAP_NAME_MAX];
	key_type(m, type);
	return append_value(m, type, m->kind == LIBGOMAP_STRING, addr, bytes, m->map.type.key_size,
			    text);
}

bool libgomap_elem_text(const struct libgomap *m, uint64_t addr, const uint8_t *bytes,
			struct text *text)
{
	return append_value(m, m->elem, strcmp(m->elem, "struct gomap_string") == 0, addr, bytes,
			    m->map.type.elem_size, text);
}

enum status libgomap_can_hash(const struct libgomap *m, struct error *err)
{
	uint64_t size = m->map.type.key_size;
	if ((m->kind == LIBGOMAP_STRING && size == 16) ||
	    (m->kind == LIBGOMAP_INT32 && size == 4) || (m->kind == LIBGOMAP_INT64 && size == 8))
		return OK;
	return error_set(err, ERROR_UNSUPPORTED,
			 "the program hashes such keys by a function of its own");
}

enum status libgomap_key_kind(const struct libgomap *m, const char *text, struct type *ret,
			      struct error *err)
{
	char type[LIBGOMAP_NAME_MAX];
	if (libgomap_can_hash(m, err) != OK)
		return FAILED;
	key_type(m, type);
	ret->size = m->map.type.key_size;
	if (m->kind == LIBGOMAP_STRING)
		ret->kind = KIND_STRING;
	else if (is_unsigned(type) || is_pointer(type))
		ret->kind = KIND_UINT64;
	else
		ret->kind = is_signed(type) || text[0] == '-' ? KIND_INT64 : KIND_UINT64;
	return OK;
}

/* wyhash's step, include/gomap_inline.h: gomap_impl_mix. */
static uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static const uint64_t LAST = UINT64_C(0x9e3779b97f4a7c15);

/* include/gomap_inline.h: gomap_impl_hash_short; lib/gomap/type.c: gomap_hash_bytes. */
uint64_t libgomap_hash_bytes(const struct libgomap *m, const void *bytes, uint64_t n)
{
	const uint8_t *p = bytes;
	uint64_t a = 0, b = 0, h = m->seed[0];
	if (n > 16) {
		for (uint64_t at = 0; n - at > 16; at += 16)
			h = mix(load_u64(p + at) ^ m->seed[1], load_u64(p + at + 8) ^ h);
		a = load_u64(p + n - 16);
		b = load_u64(p + n - 8);
	} else if (n >= 8) {
		a = load_u64(p);
		b = load_u64(p + n - 8);
	} else if (n >= 4) {
		a = load_u32(p);
		b = load_u32(p + n - 4);
	} else if (n > 0) {
		a = (uint64_t)p[0] << 16 | (uint64_t)p[n / 2] << 8 | p[n - 1];
	}
	return mix(mix(a ^ h, b ^ m->seed[1]) ^ n, m->seed[0] ^ LAST);
}

static enum hash_result hash_string(const struct libgomap *m, const uint8_t *key, uint64_t *ret)
{
	uint64_t ptr = load_u64(key), len = load_u64(key + 8);
	if (len > STRING_SIZE_MAX)
		return HASH_UNREADABLE;
	AUTO_FREE uint8_t *bytes = malloc(len ? len : 1);
	if (!bytes || (len && memory_read(m->rt.target->memory, ptr, bytes, len, NULL) != OK))
		return HASH_UNREADABLE;
	*ret = libgomap_hash_bytes(m, bytes, len);
	return HASH_OK;
}

enum hash_result libgomap_hash_key(const struct libgomap *m, const uint8_t *key, uint64_t *ret)
{
	if (libgomap_can_hash(m, NULL) != OK)
		return HASH_UNKNOWN;
	if (m->kind == LIBGOMAP_STRING)
		return hash_string(m, key, ret);
	/* gomap_impl_hash64 */
	uint64_t word = m->kind == LIBGOMAP_INT32 ? load_u32(key) : load_u64(key);
	*ret = mix(mix(word ^ m->seed[0], m->seed[1]) ^ m->seed[1], LAST);
	return HASH_OK;
}

const char *libgomap_operation_name(unsigned operation)
{
	static const char *const names[] = {NULL, "read", "iterate", "assign", "delete", "clear"};
	if (operation < 1 || operation >= sizeof(names) / sizeof(names[0]))
		return "write";
	return names[operation];
}
