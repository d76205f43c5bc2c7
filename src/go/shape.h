/*
 * What a value of some type is made of: its fields, elements and pointers, whether the type is known by
 * its descriptor or only by DWARF (many struct and most pointer types have no descriptor).
 */
#ifndef GO_SHAPE_H
#define GO_SHAPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/type.h"

/* A type: the address of its descriptor, or else the offset of its DIE in .debug_info (as in
 * variable.type and variable.type_die). Both 0: no type. */
struct shape_ref {
	uint64_t type, die;
};

struct shape {
	struct shape_ref ref; /* by descriptor where the type has one */
	enum kind kind;
	uint64_t size; /* bytes */
	struct shape_ref elem; /* array, chan, map, pointer, slice */
	struct shape_ref key; /* map */
	uint64_t len; /* array: elements */
	bool has_methods; /* interface: its first word is an itab, not a type */
};

struct shape_field {
	const char *name; /* lives as long as the runtime */
	uint64_t offset;
	struct shape_ref ref;
};

/* Fields of one struct that are listed. */
enum { SHAPE_FIELDS_MAX = 65536 };

/* Reads the shape of a type. ERROR_UNSUPPORTED for a DIE that is not one of Go's types. */
enum status shape_read(struct runtime *rt, struct shape_ref ref, struct shape *ret,
		       struct error *err);
/* The fields of a struct; the list is the caller's to free. Returns how many; 0 too where they cannot be
 * read. */
size_t shape_fields(struct runtime *rt, const struct shape *shape, struct shape_field **ret);
/* The type's name ("main.Cache"), which lives as long as the runtime; NULL where it has none. */
const char *shape_name(struct runtime *rt, struct shape_ref ref);

#endif
