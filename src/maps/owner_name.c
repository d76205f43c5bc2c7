#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "go/frames.h"
#include "go/type.h"
#include "maps/owner_internal.h"

/* Structs and arrays inside of each other that are gone through to one word. */
enum { MEMBER_DEPTH_MAX = 16 };

static bool is_named(const char *name)
{
	return name && strncmp(name, "struct {", 8) != 0 && name[0] != '*' && name[0] != '[';
}

/* The field of a struct that offset lies in. */
static bool field_at(struct runtime *rt, const struct shape *shape, uint64_t offset,
		     struct shape_field *ret)
{
	struct shape_field *fields;
	bool found = false;
	size_t count = shape_fields(rt, shape, &fields);
	for (size_t i = 0; i < count; i++) {
		struct shape part;
		/* Fields of size 0 share their place with the next one. */
		if (fields[i].offset > offset || shape_read(rt, fields[i].ref, &part, NULL) != OK ||
		    offset - fields[i].offset >= part.size)
			continue;
		*ret = fields[i];
		found = true;
		break;
	}
	free(fields);
	return found;
}

static void path_append(struct member *member, const char *dot, const char *name)
{
	size_t len = strlen(member->path);
	snprintf(member->path + len, sizeof(member->path) - len, "%s%s", len ? dot : "", name);
}

bool member_find(struct runtime *rt, struct shape_ref ref, uint64_t offset, struct member *ret)
{
	struct member member = {.ref = ref};
	uint64_t start = 0;
	for (unsigned depth = 0; depth < MEMBER_DEPTH_MAX; depth++) {
		struct shape shape;
		struct shape_field field;
		if (shape_read(rt, member.ref, &shape, NULL) != OK || offset >= shape.size)
			return false;
		if (shape.kind == KIND_STRUCT) {
			if (is_named(shape_name(rt, member.ref))) {
				member.within = member.ref;
				member.within_offset = start;
				member.path[0] = 0;
			}
			if (!field_at(rt, &shape, offset, &field))
				return false;
			path_append(&member, ".", field.name);
			member.ref = field.ref;
			start += field.offset;
			offset -= field.offset;
			continue;
		}
		if (shape.kind == KIND_ARRAY) {
			struct shape elem;
			if (shape_read(rt, shape.elem, &elem, NULL) != OK || !elem.size)
				return false;
			path_append(&member, "", "[]");
			member.ref = shape.elem;
			start += offset - offset % elem.size;
			offset %= elem.size;
			continue;
		}
		member.kind = shape.kind;
		*ret = member;
		return offset == 0;
	}
	return false;
}

/* Where the name proper begins in "example.com/app/cache.Cache[int,net/http.Header]": behind the last
 * dot of what stands before the bracket. NULL without one. */
static const char *base_of(const char *name)
{
	const char *bracket = strchr(name, '[');
	size_t len = bracket ? (size_t)(bracket - name) : strlen(name);
	const char *dot = memrchr(name, '.', len);
	return dot ? dot + 1 : NULL;
}

bool owner_field_name(struct runtime *rt, struct shape_ref within, const char *path,
		      struct text *text)
{
	const char *name = shape_name(rt, within), *base = name ? base_of(name) : NULL;
	/* A descriptor's name has the package's name only, DWARF's its whole path. */
	const char *package = within.type ? type_package(rt, within.type) : NULL;
	if (!base || !is_named(name))
		return false;
	if (package)
		text_append(text, package);
	else
		text_append_bytes(text, name, (size_t)(base - name - 1));
	text_printf(text, ".(*%s).%s", base, path);
	return true;
}

/* Whether path, as linked (with %2e for dots in its last element), is the package path. */
static bool is_package(const char *linked, size_t len, const char *package)
{
	size_t at = 0;
	for (; *package; package++) {
		unsigned c;
		if (at < len && linked[at] == *package) {
			at++;
			continue;
		}
		if (len - at < 3 || linked[at] != '%' || sscanf(linked + at + 1, "%2x", &c) != 1 ||
		    c != (unsigned char)*package)
			return false;
		at += 3;
	}
	return at == len;
}

bool type_by_linked_name(struct runtime *rt, const char *name, size_t len, uint64_t *ret)
{
	AUTO_FREE char *linked = strndup(name, len);
	const char *base = linked ? base_of(linked) : NULL;
	uint64_t type;
	if (!base)
		return false;
	size_t path_len = (size_t)(base - linked - 1);
	const char *slash = memrchr(linked, '/', path_len);
	const char *printed = slash ? slash + 1 : linked;
	if (!type_by_name(rt, printed, &type))
		return false;
	const char *package = type_package(rt, type);
	if (package && is_package(linked, path_len, package)) {
		*ret = type;
		return true;
	}
	/* Another package of the same name. */
	for (uint64_t at = 0; type_next(rt, at, KIND_INVALID, &type); at = type) {
		const char *s = type_name(rt, type);
		if (s && strcmp(s, printed) == 0 && (package = type_package(rt, type)) &&
		    is_package(linked, path_len, package)) {
			*ret = type;
			return true;
		}
	}
	return false;
}

bool receiver_is_second(const char *function)
{
	/* (*Cache[...]).Get, (*Cache[go.shape.string]).Get: a dictionary comes first */
	const char *open = strstr(function, ".(*"), *close = open ? strstr(open, ").") : NULL;
	return close && memchr(open, '[', (size_t)(close - open));
}

bool receiver_of_name(struct runtime *rt, const char *function, struct shape_ref *ret)
{
	const char *open = strstr(function, ".(*");
	const char *close = open ? strstr(open, ").") : NULL;
	char name[512];
	uint64_t type;
	/* A method's closure has its name too, and other arguments. */
	if (!close || strchr(close + 2, '.'))
		return false;
	int n = snprintf(name, sizeof(name), "%.*s.%.*s", (int)(open - function), function,
			 (int)(close - open - 3), open + 3);
	if (n < 0 || (size_t)n >= sizeof(name) || !type_by_linked_name(rt, name, (size_t)n, &type))
		return false;
	*ret = (struct shape_ref){.type = type};
	return true;
}

bool owner_in_library(struct runtime *rt, const char *name)
{
	struct library library;
	const char *slash = name ? strrchr(name, '/') : NULL;
	const char *dot = name ? strchr(slash ? slash : name, '.') : NULL;
	if (!dot || strncmp(name, "main.", 5) == 0)
		return false;
	library_init(&library, rt);
	for (size_t i = 0; i < pclntab_count(rt->pclntab); i++) {
		struct function fn;
		struct source_frame source = {0};
		if (!pclntab_at(rt->pclntab, i, &fn) ||
		    strncmp(fn.name, name, (size_t)(dot - name) + 1) != 0 ||
		    !pclntab_line(rt->pclntab, &fn, fn.entry, &source.file, &source.line) ||
		    source.file[0] == '<') /* <autogenerated> */
			continue;
		source.function = fn.name;
		return library_has(&library, &source);
	}
	return false;
}
