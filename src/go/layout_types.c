#include "go/layout.h"

#include <string.h>

#include "base/bytes.h"
#include "go/runtime.h"
#include "go/type.h"
#include "go/type_cache.h"

/* internal/abi/type.go */
enum { TFLAG_EXTRA_STAR = 2 };

/* Whether the type's own string is name: without asking for the name as text, which is kept for ever, of
 * each of some thousand structs. */
static bool string_is(const struct bytes *types, const struct type *type, const char *name)
{
	struct bytes b = *types;
	size_t want = strlen(name);
	uint8_t flags;
	uint64_t n;
	if (type->str <= 0 || !bytes_skip(&b, (uint32_t)type->str) || !bytes_u8(&b, &flags) ||
	    !bytes_uvarint(&b, &n) || n > bytes_left(&b))
		return false;
	if (type->tflag & TFLAG_EXTRA_STAR && !bytes_skip(&b, 1))
		return false;
	n -= type->tflag & TFLAG_EXTRA_STAR ? 1 : 0;
	return n == want && n <= bytes_left(&b) && memcmp(b.pos, name, want) == 0;
}

/* Whether the type is the struct called by its import path ("internal/runtime/maps.Map"). */
static bool is_called(struct runtime *rt, const struct bytes *types, const struct type *type,
		      const char *path)
{
	const char *slash = strrchr(path, '/'), *tail = slash ? slash + 1 : path;
	if (!string_is(types, type, tail))
		return false;
	const char *package = type_package(rt, type->addr);
	size_t len = (size_t)(strchr(tail, '.') - path);
	return package && strlen(package) == len && memcmp(package, path, len) == 0;
}

/* The widest field that is read of any of the structs: who reads one may rely on it to lie inside. */
enum { FIELD_SIZE_MAX = 8 };

/* The offset of a field, path being its name or "outer.inner"; LAYOUT_NONE when there is none, or when it
 * does not lie inside the struct. */
static uint16_t field_offset(struct runtime *rt, const struct type *structure, const char *path)
{
	struct type in = *structure;
	uint64_t sum = 0;
	for (;;) {
		size_t len = strcspn(path, ".");
		struct field field;
		uint64_t i = 0;
		for (; i < in.len; i++)
			if (type_field(rt, &in, i, &field, NULL) == OK &&
			    strlen(field.name) == len && memcmp(field.name, path, len) == 0)
				break;
		if (i == in.len || structure->size >= LAYOUT_NONE ||
		    field.offset > structure->size - sum)
			return LAYOUT_NONE;
		sum += field.offset;
		if (!path[len])
			return structure->size - sum >= FIELD_SIZE_MAX ? (uint16_t)sum
								       : LAYOUT_NONE;
		path += len + 1;
		if (type_read(rt, field.type, &in, NULL) != OK || in.kind != KIND_STRUCT)
			return LAYOUT_NONE;
	}
}

/* Takes over the part's fields from the type, unless it lacks one that the table has: then it is not the
 * struct that we know. */
static void take_part(struct runtime *rt, const struct layout_part *part, const struct type *type)
{
	struct layout own = rt->layout;
	for (size_t i = 0; i < part->count; i++) {
		const struct layout_field *field = &part->fields[i];
		uint16_t *member = layout_member(&own, field), v = LAYOUT_NONE;
		if (!field->paths[0] && type->size < LAYOUT_NONE)
			v = (uint16_t)type->size;
		for (size_t n = 0; n < 3 && field->paths[n] && v == LAYOUT_NONE; n++)
			v = field_offset(rt, type, field->paths[n]);
		if (v == LAYOUT_NONE && *member != LAYOUT_NONE) {
			notes_add(rt->notes, "go", type->addr,
				  "the program's own %s has no field that we know as %s: the table "
				  "of %s "
				  "is used for it",
				  part->structs[0], field->name, rt->layout.source);
			return;
		}
		*member = v;
	}
	rt->layout = own;
}

void layout_from_types(struct runtime *rt)
{
	const struct layout_part *parts;
	size_t count = layout_parts(&parts);
	struct bytes types;
	unsigned done = 0;
	uint64_t addr;
	if (!type_cache_types(rt, &types))
		return;
	for (uint64_t at = 0; type_next(rt, at, KIND_STRUCT, &addr); at = addr) {
		struct type type;
		if (type_read(rt, addr, &type, NULL) != OK)
			continue;
		for (size_t p = 0; p < count; p++) {
			/* Map types are described by what they describe: type.c cannot read them
			 * before their layout is known. */
			if (done >> p & 1 || strstr(parts[p].name, "maptype") ||
			    !is_called(rt, &types, &type, parts[p].structs[0]))
				continue;
			take_part(rt, &parts[p], &type);
			done |= 1U << p;
		}
	}
}
