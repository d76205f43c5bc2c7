/*
 * Runtime type descriptors (internal/abi.Type), read from the target.
 *
 * Descriptors and their names lie in the executable's read-only bytes. All addresses are the
 * target's. Source: internal/abi/type.go of Go 1.18 to 1.27 (before 1.21 reflect and runtime).
 */
#ifndef GO_TYPE_H
#define GO_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/text.h"
#include "go/runtime.h"

/* reflect.Kind. */
enum kind {
	KIND_INVALID,
	KIND_BOOL,
	KIND_INT,
	KIND_INT8,
	KIND_INT16,
	KIND_INT32,
	KIND_INT64,
	KIND_UINT,
	KIND_UINT8,
	KIND_UINT16,
	KIND_UINT32,
	KIND_UINT64,
	KIND_UINTPTR,
	KIND_FLOAT32,
	KIND_FLOAT64,
	KIND_COMPLEX64,
	KIND_COMPLEX128,
	KIND_ARRAY,
	KIND_CHAN,
	KIND_FUNC,
	KIND_INTERFACE,
	KIND_MAP,
	KIND_POINTER,
	KIND_SLICE,
	KIND_STRING,
	KIND_STRUCT,
	KIND_UNSAFE_POINTER,
};

struct type {
	uint64_t addr;
	uint64_t size, ptr_bytes; /* bytes; ptr_bytes: prefix that can hold pointers */
	uint64_t equal; /* funcval of ==, 0: not comparable */
	uint64_t gc_data;
	uint32_t hash;
	uint8_t tflag, align;
	bool named, direct_iface; /* direct_iface: an interface's data word is the value itself */
	bool gc_prog; /* gc_data is a program, not a bitmap (up to 1.23) */
	enum kind kind;
	int32_t str; /* name offset */
	uint64_t elem; /* array, chan, map, pointer, slice: element type, else 0 */
	uint64_t key; /* map: key type */
	uint64_t len; /* array: length; struct: number of fields */
	uint64_t fields; /* struct: address of the first field */
	uint64_t method_count; /* interface: methods; 0: interface{} (an eface) */
};

struct field {
	const char *name; /* lives as long as the runtime */
	uint64_t type, offset;
	bool embedded;
};

/* A map type's part beyond struct type; what a design lacks is 0. */
struct map_type {
	struct type type;
	uint64_t bucket; /* type of bucket or group */
	uint64_t hasher; /* funcval */
	uint64_t key_size, elem_size; /* of the types themselves */
	uint64_t slot_key_size, slot_elem_size; /* as stored in a slot: 8 where indirect */
	bool indirect_key, indirect_elem, need_key_update, hash_might_panic;
	/* bucket maps */
	uint64_t bucket_size;
	/* Swiss: key i of a group lies at keys_off + i * key_stride, element i likewise */
	uint64_t group_size, keys_off, key_stride, elems_off, elem_stride;
};

/* Deepest nesting of types that is followed when naming or rendering. */
enum { TYPE_DEPTH_MAX = 32 };

enum status type_read(struct runtime *rt, uint64_t addr, struct type *ret, struct error *err);
enum status type_read_map(struct runtime *rt, uint64_t addr, struct map_type *ret,
			  struct error *err);
enum status type_field(struct runtime *rt, const struct type *type, uint64_t index,
		       struct field *ret, struct error *err);

/* The type's name as Go prints it ("map[string]int", "*main.Cache"), cached; lives as long as the
 * runtime. NULL where it cannot be read. Bytes of the target: escape before showing. */
const char *type_name(struct runtime *rt, uint64_t addr);

/* The package path of a named type ("example.com/app/cache"), or NULL where it has none. */
const char *type_package(struct runtime *rt, uint64_t addr);

/* Whether a plausible descriptor stands at addr (inside the module's types, aligned, known kind). */
bool type_is_plausible(struct runtime *rt, uint64_t addr);

/* The next descriptor found by a linear scan of the module's types, after addr (0: first); false at
 * the end. kind KIND_INVALID: all kinds. */
bool type_next(struct runtime *rt, uint64_t addr, enum kind kind, uint64_t *ret);

/* The type called name ("main.Cache", "*main.Cache"); false when the binary has no descriptor. An
 * index of all names is made at the first call. */
bool type_by_name(struct runtime *rt, const char *name, uint64_t *ret);

/* The map type that is called name, or whose descriptor is at the address "0x..." that name is.
 * ERROR_NOT_FOUND, ERROR_MISMATCH for another type. */
enum status type_find_map(struct runtime *rt, const char *name, uint64_t *ret, struct error *err);

/* The dynamic type behind the first word of an interface value: the itab's type, or the word itself
 * for an interface without methods. false for nil and for what is no itab. */
bool type_of_itab(struct runtime *rt, uint64_t itab, uint64_t *ret);

/* Frees what a runtime's types cost; NULL is fine. */
void type_cache_free(struct type_cache *cache);

/* "map", "struct", ... */
const char *kind_name(enum kind kind);

#endif
