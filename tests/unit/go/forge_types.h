/*
 * Type descriptors made by hand, in a module's types at TYPES_ADDR, as go1.23 or go1.27 has them.
 */
#ifndef TESTS_GO_FORGE_TYPES_H
#define TESTS_GO_FORGE_TYPES_H

#include "unit/go/forge.h"

enum { TYPES_ADDR = 0x500000, TFLAG_UNCOMMON = 1, TFLAG_STAR = 2, TFLAG_NAMED = 4 };

struct forged_types {
	struct forge forge;
	struct blob blob;
	int minor;
};

static inline uint64_t types_name(struct forged_types *t, uint8_t flags, const char *name)
{
	size_t n = strlen(name);
	size_t at = blob_u8(&t->blob, flags);
	if (n >= 0x80)
		blob_u8(&t->blob, (uint8_t)(n | 0x80));
	blob_u8(&t->blob, (uint8_t)(n >= 0x80 ? n >> 7 : n));
	blob_add(&t->blob, name, n);
	return TYPES_ADDR + at;
}

static inline void types_init(struct forged_types *t, int minor)
{
	memset(t, 0, sizeof(*t));
	t->minor = minor;
	blob_u64(&t->blob, 0); /* offset 0 is no name and no type */
}

/* The 48 bytes of an abi.Type; what a kind has more the caller adds. Returns its address. */
static inline uint64_t types_add(struct forged_types *t, enum kind kind, uint64_t size,
				 uint64_t ptr_bytes, uint8_t align, uint8_t tflag, const char *name)
{
	struct blob *b = &t->blob;
	uint64_t str = types_name(t, 1, name) - TYPES_ADDR;
	bool direct = size == 8 && ptr_bytes == 8;
	blob_align(b, 8);
	size_t at = blob_u64(b, size);
	blob_u64(b, ptr_bytes);
	blob_u32(b, 0x1234 + (uint32_t)at); /* hash */
	blob_u8(b, tflag | (direct && t->minor >= 26 ? 32 : 0));
	blob_u8(b, align);
	blob_u8(b, align);
	blob_u8(b, (uint8_t)kind | (direct && t->minor < 26 ? 32 : 0));
	blob_u64(b, 0); /* equal */
	blob_u64(b, 0); /* gcdata */
	blob_u32(b, (uint32_t)str);
	blob_u32(b, 0);
	return TYPES_ADDR + at;
}

/* A type that leads to one other: slice, pointer, chan. */
static inline uint64_t types_add_elem(struct forged_types *t, enum kind kind, uint64_t elem,
				      const char *name)
{
	uint64_t at = types_add(t, kind, kind == KIND_SLICE ? 24 : 8, 8, 8, 0, name);
	blob_u64(&t->blob, elem);
	return at;
}

static inline uint64_t types_add_array(struct forged_types *t, uint64_t elem, uint64_t elem_size,
				       uint64_t len, const char *name)
{
	uint64_t at = types_add(t, KIND_ARRAY, elem_size * len, 0, 8, 0, name);
	blob_u64(&t->blob, elem);
	blob_u64(&t->blob, 0);
	blob_u64(&t->blob, len);
	return at;
}

static inline uint64_t types_add_interface(struct forged_types *t, uint64_t methods,
					   const char *name)
{
	uint64_t at = types_add(t, KIND_INTERFACE, 16, 16, 8, 0, name);
	blob_u64(&t->blob, 0);
	blob_u64(&t->blob, 0);
	blob_u64(&t->blob, methods);
	blob_u64(&t->blob, methods);
	return at;
}

struct types_field {
	const char *name;
	uint64_t type, offset;
	bool embedded;
};

static inline uint64_t types_add_struct(struct forged_types *t, uint64_t size, uint8_t tflag,
					const struct types_field *fields, size_t count,
					const char *name)
{
	uint64_t names[16];
	for (size_t i = 0; i < count; i++)
		names[i] = types_name(t, fields[i].embedded ? 8 : 0, fields[i].name);
	uint64_t at = types_add(t, KIND_STRUCT, size, 0, 8, tflag, name);
	size_t list = blob_u64(&t->blob, 0) + 8;
	blob_u64(&t->blob, 0);
	blob_u64(&t->blob, count);
	blob_u64(&t->blob, count);
	if (tflag & TFLAG_UNCOMMON) {
		/* The package: the name that was added last before the descriptor's would do; a
		 * test sets its own. */
		blob_u64(&t->blob, 0);
		blob_u64(&t->blob, 0);
	}
	blob_put_u64(&t->blob, list, TYPES_ADDR + t->blob.len);
	for (size_t i = 0; i < count; i++) {
		blob_u64(&t->blob, names[i]);
		blob_u64(&t->blob, fields[i].type);
		blob_u64(&t->blob, t->minor == 18 ? fields[i].offset << 1 | fields[i].embedded
						  : fields[i].offset);
	}
	return at;
}

/* Makes a runtime over what was added; the blob is not to be added to after it. */
static inline bool types_ready(struct forged_types *t)
{
	/* Descriptors are read with what follows them. */
	blob_align(&t->blob, 8);
	for (int i = 0; i < 20; i++)
		blob_u64(&t->blob, 0);
	forge_init(&t->forge);
	return forge_bytes(&t->forge, TYPES_ADDR, t->blob.bytes, t->blob.len) &&
	       forge_version(&t->forge, t->minor, TYPES_ADDR, TYPES_ADDR + t->blob.len);
}

#endif
