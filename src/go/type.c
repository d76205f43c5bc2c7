#include "go/type.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "go/type_cache.h"

/* internal/abi/type.go, Type: the same 48 bytes in 1.18 to 1.27. */
enum {
	TYPE_SIZE = 0,
	TYPE_PTR_BYTES = 8,
	TYPE_HASH = 16,
	TYPE_TFLAG = 20,
	TYPE_ALIGN = 21,
	TYPE_FIELD_ALIGN = 22,
	TYPE_KIND = 23,
	TYPE_EQUAL = 24,
	TYPE_GC_DATA = 32,
	TYPE_STR = 40,
	TYPE_PTR_TO_THIS = 44,
	TYPE_BYTES = 48,
};

/* What follows it, by kind. */
enum {
	TYPE_ELEM = 48, /* array, chan, pointer, slice */
	TYPE_LEN = 64, /* array: length; struct and interface: of the slice at 56 */
	TYPE_LIST = 56, /* struct: fields; interface: methods */
	TYPE_CAP = 72,
	TYPE_READ = 80, /* the longest of these */
};

enum { FIELD_NAME = 0, FIELD_TYPE = 8, FIELD_OFFSET = 16, FIELD_BYTES = 24 };

enum { TFLAG_NAMED = 4, TFLAG_DIRECT_IFACE = 32, TFLAG_ALL = 63 };
enum { KIND_MASK = 31, KIND_DIRECT_IFACE = 32, KIND_GC_PROG = 64 };
enum { NAME_ALL_FLAGS = 15, NAME_EMBEDDED = 8 };

/* abi.MapType's flags from 1.24 on, and runtime.maptype's before. */
enum {
	SWISS_NEED_KEY_UPDATE = 1,
	SWISS_HASH_MIGHT_PANIC = 2,
	SWISS_INDIRECT_KEY = 4,
	SWISS_INDIRECT_ELEM = 8,
	OLD_INDIRECT_KEY = 1,
	OLD_INDIRECT_ELEM = 2,
	OLD_NEED_KEY_UPDATE = 8,
	OLD_HASH_MIGHT_PANIC = 16,
	MAPTYPE_MAX = 160, /* room for the largest, 136 bytes in 1.27 */
};

/* internal/runtime/maps/group.go: a group is its word of control bytes, then slots. */
enum { SWISS_SLOTS_OFF = 8 };

/* Descriptors that reflect makes at run time have no table to bound their fields: reflect.StructOf
 * takes what a program gives it, and this is far more than one would. */
enum { FIELDS_MAX = 1 << 16 };

const char *kind_name(enum kind kind)
{
	static const char *const names[] = {
		"invalid",   "bool",	   "int",
		"int8",	     "int16",	   "int32",
		"int64",     "uint",	   "uint8",
		"uint16",    "uint32",	   "uint64",
		"uintptr",   "float32",	   "float64",
		"complex64", "complex128", "array",
		"chan",	     "func",	   "interface",
		"map",	     "ptr",	   "slice",
		"string",    "struct",	   "unsafe.Pointer",
	};
	_Static_assert(sizeof(names) / sizeof(names[0]) == KIND_UNSAFE_POINTER + 1, "");
	return names[(unsigned)kind <= KIND_UNSAFE_POINTER ? kind : KIND_INVALID];
}

/* The size that every type of a kind has, 0 where it varies. */
static uint64_t kind_size(enum kind kind)
{
	static const uint8_t sizes[KIND_UNSAFE_POINTER + 1] = {
		[KIND_BOOL] = 1,	[KIND_INT] = 8,	    [KIND_INT8] = 1,
		[KIND_INT16] = 2,	[KIND_INT32] = 4,   [KIND_INT64] = 8,
		[KIND_UINT] = 8,	[KIND_UINT8] = 1,   [KIND_UINT16] = 2,
		[KIND_UINT32] = 4,	[KIND_UINT64] = 8,  [KIND_UINTPTR] = 8,
		[KIND_FLOAT32] = 4,	[KIND_FLOAT64] = 8, [KIND_COMPLEX64] = 8,
		[KIND_COMPLEX128] = 16, [KIND_CHAN] = 8,    [KIND_FUNC] = 8,
		[KIND_INTERFACE] = 16,	[KIND_MAP] = 8,	    [KIND_POINTER] = 8,
		[KIND_SLICE] = 24,	[KIND_STRING] = 16, [KIND_UNSAFE_POINTER] = 8,
	};
	return sizes[kind];
}

/* Bytes of a descriptor that type_read takes: what its kind has beyond abi.Type. */
static size_t descriptor_bytes(enum kind kind)
{
	switch (kind) {
	case KIND_CHAN:
	case KIND_POINTER:
	case KIND_SLICE:
		return TYPE_ELEM + 8;
	case KIND_MAP:
		return TYPE_ELEM + 16;
	case KIND_ARRAY:
		return TYPE_LEN + 8;
	case KIND_INTERFACE:
	case KIND_STRUCT:
		return TYPE_READ;
	default:
		return TYPE_BYTES;
	}
}

static bool in_types(const struct runtime *rt, uint64_t addr)
{
	return addr >= rt->module.types && addr < rt->module.etypes;
}

static bool is_descriptor_addr(const struct runtime *rt, uint64_t addr)
{
	return addr % 8 == 0 && in_types(rt, addr) && rt->module.etypes - addr >= TYPE_BYTES;
}

static void decode(const struct runtime *rt, uint64_t addr, const uint8_t *b, struct type *ret)
{
	struct type t = {
		.addr = addr,
		.size = load_u64(b + TYPE_SIZE),
		.ptr_bytes = load_u64(b + TYPE_PTR_BYTES),
		.hash = load_u32(b + TYPE_HASH),
		.tflag = b[TYPE_TFLAG],
		.align = b[TYPE_ALIGN],
		.kind = b[TYPE_KIND] & KIND_MASK,
		.equal = load_u64(b + TYPE_EQUAL),
		.gc_data = load_u64(b + TYPE_GC_DATA),
		.str = (int32_t)load_u32(b + TYPE_STR),
	};
	t.named = t.tflag & TFLAG_NAMED;
	/* 1.26 moved the bit from the kind to the flags. */
	t.direct_iface = rt->version.minor >= 26 ? t.tflag & TFLAG_DIRECT_IFACE
						 : b[TYPE_KIND] & KIND_DIRECT_IFACE;
	t.gc_prog = rt->version.minor < 24 && b[TYPE_KIND] & KIND_GC_PROG;
	switch (t.kind) {
	case KIND_CHAN:
	case KIND_POINTER:
	case KIND_SLICE:
		t.elem = load_u64(b + TYPE_ELEM);
		break;
	case KIND_ARRAY:
		t.elem = load_u64(b + TYPE_ELEM);
		t.len = load_u64(b + TYPE_LEN);
		break;
	case KIND_MAP:
		t.key = load_u64(b + TYPE_ELEM);
		t.elem = load_u64(b + TYPE_ELEM + 8);
		break;
	case KIND_INTERFACE:
		t.method_count = load_u64(b + TYPE_LEN);
		break;
	case KIND_STRUCT:
		t.fields = load_u64(b + TYPE_LIST);
		t.len = load_u64(b + TYPE_LEN);
		break;
	default:
		break;
	}
	*ret = t;
}

/* What must hold of every descriptor, wherever it is. */
static const char *contradiction(const struct runtime *rt, const struct type *t)
{
	if (t->kind == KIND_INVALID || t->kind > KIND_UNSAFE_POINTER)
		return "no known kind";
	uint64_t size = kind_size(t->kind);
	if (size && t->size != size)
		return "a size that its kind cannot have";
	if (t->ptr_bytes > t->size)
		return "more pointers than bytes";
	if (t->align == 0 || t->align > 64 || (t->align & (t->align - 1)))
		return "no possible alignment";
	if (t->kind == KIND_STRUCT) {
		uint64_t max = in_types(rt, t->fields)
				       ? (rt->module.etypes - t->fields) / FIELD_BYTES
				       : FIELDS_MAX;
		if (t->len > max)
			return "more fields than there is room for";
	}
	return NULL;
}

enum status type_read(struct runtime *rt, uint64_t addr, struct type *ret, struct error *err)
{
	struct type *slot = type_cache_slot(rt, addr);
	if (slot && slot->addr == addr && addr) {
		*ret = *slot;
		return OK;
	}
	uint8_t b[TYPE_READ];
	struct type t;
	if (addr == 0)
		return error_at(err, ERROR_FORMAT, addr, "type descriptor: nil");
	if (memory_read(rt->target->memory, addr, b, TYPE_BYTES, err) != OK)
		return error_prefix(err, "type descriptor");
	size_t more = descriptor_bytes(b[TYPE_KIND] & KIND_MASK) - TYPE_BYTES;
	if (memory_read(rt->target->memory, addr + TYPE_BYTES, b + TYPE_BYTES, more, err) != OK)
		return error_prefix(err, "type descriptor");
	decode(rt, addr, b, &t);
	const char *why = contradiction(rt, &t);
	if (why)
		return error_at(err, ERROR_FORMAT, addr, "type descriptor with %s", why);
	if (slot)
		*slot = t;
	*ret = t;
	return OK;
}

/* The word of a maptype at offset; 0 where this version has none. */
static uint64_t map_word(const uint8_t *b, uint16_t offset)
{
	return offset == LAYOUT_NONE ? 0 : load_u64(b + offset);
}

static void decode_old_map(const struct layout *layout, const uint8_t *b, struct map_type *ret)
{
	uint32_t flags = load_u32(b + layout->old_maptype.flags);
	ret->bucket = load_u64(b + layout->old_maptype.bucket);
	ret->hasher = load_u64(b + layout->old_maptype.hasher);
	ret->slot_key_size = b[layout->old_maptype.key_size];
	ret->slot_elem_size = b[layout->old_maptype.value_size];
	ret->bucket_size = load_u16(b + layout->old_maptype.bucket_size);
	ret->indirect_key = flags & OLD_INDIRECT_KEY;
	ret->indirect_elem = flags & OLD_INDIRECT_ELEM;
	ret->need_key_update = flags & OLD_NEED_KEY_UPDATE;
	ret->hash_might_panic = flags & OLD_HASH_MIGHT_PANIC;
}

static void decode_swiss_map(const struct layout *layout, const uint8_t *b, struct map_type *ret)
{
	uint32_t flags = load_u32(b + layout->swiss_maptype.flags);
	ret->bucket = load_u64(b + layout->swiss_maptype.group);
	ret->hasher = load_u64(b + layout->swiss_maptype.hasher);
	ret->group_size = load_u64(b + layout->swiss_maptype.group_size);
	ret->indirect_key = flags & SWISS_INDIRECT_KEY;
	ret->indirect_elem = flags & SWISS_INDIRECT_ELEM;
	ret->need_key_update = flags & SWISS_NEED_KEY_UPDATE;
	ret->hash_might_panic = flags & SWISS_HASH_MIGHT_PANIC;
	ret->slot_key_size = ret->indirect_key ? 8 : ret->key_size;
	ret->slot_elem_size = ret->indirect_elem ? 8 : ret->elem_size;
	if (layout->swiss_maptype.keys_off != LAYOUT_NONE) {
		ret->keys_off = map_word(b, layout->swiss_maptype.keys_off);
		ret->key_stride = map_word(b, layout->swiss_maptype.key_stride);
		ret->elems_off = map_word(b, layout->swiss_maptype.elems_off);
		ret->elem_stride = map_word(b, layout->swiss_maptype.elem_stride);
		return;
	}
	/* Up to 1.26: slots of key and element side by side. */
	uint64_t stride = map_word(b, layout->swiss_maptype.slot_size);
	ret->keys_off = SWISS_SLOTS_OFF;
	ret->key_stride = stride;
	ret->elems_off = SWISS_SLOTS_OFF + map_word(b, layout->swiss_maptype.elem_off);
	ret->elem_stride = stride;
}

enum status type_read_map(struct runtime *rt, uint64_t addr, struct map_type *ret,
			  struct error *err)
{
	const struct layout *layout = &rt->layout;
	struct map_type m = {0};
	struct type key, elem;
	uint8_t b[MAPTYPE_MAX];
	uint16_t size = rt->swiss ? layout->swiss_maptype.size : layout->old_maptype.size;
	if (size > sizeof(b))
		return error_set(err, ERROR_UNSUPPORTED, "no layout of a map type is known");
	if (type_read(rt, addr, &m.type, err) != OK)
		return FAILED;
	if (m.type.kind != KIND_MAP)
		return error_at(err, ERROR_FORMAT, addr, "not a map type but a type of kind %s",
				kind_name(m.type.kind));
	if (memory_read(rt->target->memory, addr, b, size, err) != OK)
		return error_prefix(err, "map type");
	if (type_read(rt, m.type.key, &key, err) != OK)
		return error_prefix(err, "key type of map type 0x%lx", (unsigned long)addr);
	if (type_read(rt, m.type.elem, &elem, err) != OK)
		return error_prefix(err, "element type of map type 0x%lx", (unsigned long)addr);
	m.key_size = key.size;
	m.elem_size = elem.size;
	if (rt->swiss)
		decode_swiss_map(layout, b, &m);
	else
		decode_old_map(layout, b, &m);
	*ret = m;
	return OK;
}

enum status type_field(struct runtime *rt, const struct type *type, uint64_t index,
		       struct field *ret, struct error *err)
{
	uint8_t b[FIELD_BYTES];
	uint8_t flags;
	if (type->kind != KIND_STRUCT || index >= type->len)
		return error_at(err, ERROR_NOT_FOUND, type->addr, "type has no field %lu",
				(unsigned long)index);
	if (memory_read(rt->target->memory, type->fields + index * FIELD_BYTES, b, sizeof(b),
			err) != OK)
		return error_prefix(err, "field %lu", (unsigned long)index);
	uint64_t name = load_u64(b + FIELD_NAME);
	struct field field = {
		.name = type_name_at(rt, name),
		.type = load_u64(b + FIELD_TYPE),
		.offset = load_u64(b + FIELD_OFFSET),
	};
	if (!field.name || memory_read_u8(rt->target->memory, name, &flags, err) != OK)
		return error_at(err, ERROR_FORMAT, name, "field %lu has no readable name",
				(unsigned long)index);
	field.embedded = flags & NAME_EMBEDDED;
	/* go1.18 reflect/type.go: offsetEmbed, the offset shifted by one over a bit for embedded. */
	if (rt->version.minor == 18) {
		field.embedded = field.offset & 1;
		field.offset >>= 1;
	}
	if (field.offset > type->size)
		return error_at(err, ERROR_FORMAT, type->fields + index * FIELD_BYTES,
				"field %s lies outside its struct", field.name);
	*ret = field;
	return OK;
}

/* Whether a name of at least one byte stands at offset str of the module's types. */
static bool is_name(const struct bytes *types, int32_t str)
{
	struct bytes b = *types;
	uint8_t flags, first;
	uint64_t n;
	if (str <= 0 || !bytes_skip(&b, (uint32_t)str) || !bytes_u8(&b, &flags) ||
	    flags > NAME_ALL_FLAGS || !bytes_uvarint(&b, &n) || n == 0 || n > bytes_left(&b))
		return false;
	first = *b.pos;
	return first > ' ' && first != 0x7f;
}

/* Holds the bytes at addr, inside the module's types, against what a descriptor must be. */
static bool is_plausible(struct runtime *rt, const struct bytes *types, uint64_t addr)
{
	const uint8_t *b = types->pos + (addr - rt->module.types);
	unsigned kind_byte = b[TYPE_KIND], kind = kind_byte & KIND_MASK;
	unsigned kind_flags = rt->version.minor >= 26 ? 0 : KIND_DIRECT_IFACE | KIND_GC_PROG;
	if (kind == KIND_INVALID || kind > KIND_UNSAFE_POINTER ||
	    (kind_byte & ~(KIND_MASK | kind_flags)) || b[TYPE_TFLAG] > TFLAG_ALL ||
	    b[TYPE_ALIGN] != b[TYPE_FIELD_ALIGN] ||
	    bytes_left(types) - (addr - rt->module.types) < descriptor_bytes(kind))
		return false;
	struct type t;
	decode(rt, addr, b, &t);
	if (contradiction(rt, &t) || t.ptr_bytes % 8 || !is_name(types, t.str))
		return false;
	int32_t ptr_to_this = (int32_t)load_u32(b + TYPE_PTR_TO_THIS);
	if (ptr_to_this &&
	    !is_descriptor_addr(rt, rt->module.types + (uint64_t)(int64_t)ptr_to_this))
		return false;
	switch (t.kind) {
	case KIND_ARRAY:
	case KIND_CHAN:
	case KIND_POINTER:
	case KIND_SLICE:
		return is_descriptor_addr(rt, t.elem);
	case KIND_MAP:
		return is_descriptor_addr(rt, t.elem) && is_descriptor_addr(rt, t.key);
	case KIND_STRUCT:
		return t.len == load_u64(b + TYPE_CAP);
	case KIND_INTERFACE:
		return t.method_count == load_u64(b + TYPE_CAP);
	default:
		return true;
	}
}

bool type_is_plausible(struct runtime *rt, uint64_t addr)
{
	struct bytes types;
	return is_descriptor_addr(rt, addr) && type_cache_types(rt, &types) &&
	       is_plausible(rt, &types, addr);
}

bool type_next(struct runtime *rt, uint64_t addr, enum kind kind, uint64_t *ret)
{
	struct bytes types;
	if (!type_cache_types(rt, &types))
		return false;
	/* The first descriptor may not be the first thing; all are aligned to words. */
	uint64_t at = addr ? addr + TYPE_BYTES : (rt->module.types + 7) & ~(uint64_t)7;
	for (; is_descriptor_addr(rt, at); at += 8) {
		unsigned kind_byte = types.pos[at - rt->module.types + TYPE_KIND];
		if ((kind == KIND_INVALID || (kind_byte & KIND_MASK) == kind) &&
		    is_plausible(rt, &types, at)) {
			*ret = at;
			return true;
		}
	}
	return false;
}

/* Whether a descriptor that reflect made stands at addr: outside the module, and with a name that
 * reflect numbered from -1 down (runtime/runtime1.go, reflect_addReflectOff). */
static bool is_made_by_reflect(struct runtime *rt, uint64_t addr)
{
	struct type t;
	return addr && addr % 8 == 0 && !in_types(rt, addr) &&
	       type_read(rt, addr, &t, NULL) == OK && t.str < 0;
}

bool type_of_itab(struct runtime *rt, uint64_t itab, uint64_t *ret)
{
	/* internal/abi/iface.go, ITab: Inter, Type, Hash (a copy of the type's), Fun. */
	uint8_t b[24];
	struct type inter, type;
	if (itab == 0 || itab % 8)
		return false;
	if (type_is_plausible(rt, itab) || is_made_by_reflect(rt, itab)) {
		*ret = itab;
		return true;
	}
	if (memory_read(rt->target->memory, itab, b, sizeof(b), NULL) != OK ||
	    type_read(rt, load_u64(b), &inter, NULL) != OK || inter.kind != KIND_INTERFACE ||
	    type_read(rt, load_u64(b + 8), &type, NULL) != OK || type.hash != load_u32(b + 16))
		return false;
	*ret = type.addr;
	return true;
}

enum status type_find_map(struct runtime *rt, const char *name, uint64_t *ret, struct error *err)
{
	uint64_t addr = 0;
	char *end;
	struct type type;
	if (!type_by_name(rt, name, &addr)) {
		if (strncmp(name, "0x", 2) == 0)
			addr = strtoull(name, &end, 16);
		if (!addr || *end)
			return error_set(err, ERROR_NOT_FOUND,
					 "the program has no type called %.160s", name);
	}
	if (type_read(rt, addr, &type, err) != OK)
		return FAILED;
	if (type.kind != KIND_MAP)
		return error_set(err, ERROR_MISMATCH, "%.160s is no map type", name);
	*ret = addr;
	return OK;
}
