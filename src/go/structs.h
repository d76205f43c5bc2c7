/*
 * Structs as this binary has them: every field with its offset, size and alignment.
 *
 * Three sources, in this order: the type's descriptor, which programs without symbols have too, of
 * each type that they allocate; DWARF; and, of the runtime's structs that mapcrash reads, the table
 * for the version (layout.h), which knows offsets of those fields only.
 */
#ifndef GO_STRUCTS_H
#define GO_STRUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

enum struct_source { STRUCT_DESCRIPTOR, STRUCT_DWARF, STRUCT_TABLE };

struct struct_field {
	char *name; /* in a table: "groups.data" for a field of a field */
	char *type; /* as Go or DWARF writes it; NULL unknown */
	uint64_t offset, size; /* bytes */
	bool has_size; /* false only in a table */
	unsigned align; /* bytes; 0 unknown */
};

struct struct_layout {
	char *name; /* "runtime.hmap" */
	enum struct_source source;
	uint64_t type; /* address of the descriptor, 0 without one */
	uint64_t size;
	bool has_size;
	unsigned align; /* bytes; 0 unknown */
	struct struct_field *list; /* by offset, as declared */
	size_t count, cap;
};

/* The struct called name: with the import path before the dot ("runtime.hmap",
 * "internal/runtime/maps.Map", "example.com/app/cache.Cache"), or the package's name where only one
 * has it ("cache.Cache", "maps.Map"). ERROR_NOT_FOUND when no source has it. The caller releases *ret
 * by struct_layout_done. */
enum status struct_layout_read(struct runtime *rt, const char *name, struct struct_layout *ret,
			       struct error *err);

/* The struct that a descriptor describes; ERROR_MISMATCH when it describes none. */
enum status struct_layout_of_type(struct runtime *rt, uint64_t type, struct struct_layout *ret,
				  struct error *err);

void struct_layout_done(struct struct_layout *layout);

/* Bytes of padding behind field i, up to the next field or the end; 0 where sizes are unknown. */
uint64_t struct_padding(const struct struct_layout *layout, size_t i);

/* The field called name, or NULL. */
const struct struct_field *struct_find(const struct struct_layout *layout, const char *name);

/* "type descriptor", "DWARF", "table" */
const char *struct_source_name(enum struct_source source);

#endif
