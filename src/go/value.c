#include "go/value.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "go/format.h"
#include "go/type.h"

/* Values within values that are written of one: nested arrays of 16 in 8 levels would be 4 thousand
 * million. More than this is no longer read by anyone. */
enum { VALUE_PARTS_MAX = 10000 };

/* Where a value is: at addr in the target, or in left bytes of ours at held. */
struct place {
	uint64_t addr;
	const uint8_t *held; /* NULL: in the target */
	size_t left;
};

/* A value that has parts, half written. */
struct level {
	struct type
		type; /* struct: its own; list: of the elements; interface: of the value in it */
	struct place place; /* of the first element, or of the whole struct */
	uint64_t next, count; /* parts to write */
	uint64_t total; /* list: elements that there are */
	char close;
};

struct render {
	struct runtime *rt;
	struct text *text;
	struct level levels[VALUE_DEPTH_MAX];
	int depth; /* levels in use: the level of what is written next */
	unsigned parts;
	bool complete;
};

static struct place place_within(const struct place *place, uint64_t offset)
{
	if (!place->held)
		return (struct place){.addr = place->addr + offset};
	/* Past what is held nothing can be read: left is 0 there. */
	uint64_t skip = offset < place->left ? offset : place->left;
	return (struct place){.held = place->held + skip, .left = place->left - skip};
}

static bool place_read(struct render *r, const struct place *place, void *buf, size_t n,
		       struct error *err)
{
	if (!place->held)
		return memory_read(r->rt->target->memory, place->addr, buf, n, err) == OK;
	if (n > place->left)
		return error_set(err, ERROR_FAULT, "%zu bytes are held, %zu needed", place->left,
				 n) == OK;
	memcpy(buf, place->held, n);
	return true;
}

static void append_unreadable(struct render *r, uint64_t addr, const struct error *err)
{
	text_printf(r->text, "<unreadable 0x%" PRIx64 ">", addr);
	notes_add_error(r->rt->notes, "go", "value", err);
	r->complete = false;
}

/* The same for a value at place, which is short of bytes. */
static void append_missing(struct render *r, const struct place *place, const struct error *err)
{
	if (!place->held) {
		append_unreadable(r, err->addr, err);
		return;
	}
	text_append(r->text, "<unreadable>");
	notes_add_error(r->rt->notes, "go", "value", err);
	r->complete = false;
}

static void append_word(struct render *r, uint64_t word)
{
	if (word)
		text_append_hex(r->text, word);
	else
		text_append(r->text, "nil");
}

static double load_float(const uint8_t *b, size_t size)
{
	double d;
	float f;
	if (size == sizeof(f)) {
		memcpy(&f, b, sizeof(f));
		return f;
	}
	memcpy(&d, b, sizeof(d));
	return d;
}

static int64_t load_signed(const uint8_t *b, size_t size)
{
	switch (size) {
	case 1:
		return (int8_t)b[0];
	case 2:
		return (int16_t)load_u16(b);
	case 4:
		return (int32_t)load_u32(b);
	default:
		return (int64_t)load_u64(b);
	}
}

static uint64_t load_unsigned(const uint8_t *b, size_t size)
{
	switch (size) {
	case 1:
		return b[0];
	case 2:
		return load_u16(b);
	case 4:
		return load_u32(b);
	default:
		return load_u64(b);
	}
}

static void append_string(struct render *r, uint64_t addr, uint64_t n)
{
	uint8_t bytes[VALUE_STRING_MAX];
	struct error err = {0};
	size_t take = n < sizeof(bytes) ? n : sizeof(bytes);
	if (!n) {
		format_quoted(r->text, "", 0, &r->rt->version);
		return;
	}
	if (memory_read(r->rt->target->memory, addr, bytes, take, &err) != OK) {
		append_unreadable(r, addr, &err);
		return;
	}
	format_quoted(r->text, bytes, take, &r->rt->version);
	if (n > take)
		text_printf(r->text, " ...+%" PRIu64, n - take);
}

/* Goes one level down, into count parts of which the places are at or in place. */
static void enter(struct render *r, char open, const struct type *type, const struct place *place,
		  uint64_t total, char close)
{
	bool is_list = close == ']';
	text_append_char(r->text, open);
	r->levels[r->depth++] = (struct level){
		.type = *type,
		.place = *place,
		.count = is_list && total > VALUE_ELEMENTS_MAX ? VALUE_ELEMENTS_MAX : total,
		.total = total,
		.close = close,
	};
}

static void enter_list(struct render *r, uint64_t elem, const struct place *place, uint64_t total)
{
	struct type type;
	struct error err = {0};
	if (type_read(r->rt, elem, &type, &err) != OK)
		append_unreadable(r, elem, &err);
	else
		enter(r, '[', &type, place, total, ']');
}

static void enter_interface(struct render *r, const struct type *type, const struct place *place,
			    const uint8_t words[16])
{
	uint64_t tab = load_u64(words), dynamic;
	struct type inside;
	struct error err = {0};
	if (tab == 0) {
		text_append(r->text, "nil");
		return;
	}
	/* An interface without methods holds the type itself, others an itab. */
	if (!type_of_itab(r->rt, tab, &dynamic) || (dynamic == tab) != (type->method_count == 0)) {
		(void)error_at(&err, ERROR_FORMAT, tab, "the first word of an interface is no %s",
			       type->method_count ? "itab" : "type");
		append_unreadable(r, tab, &err);
		return;
	}
	if (type_read(r->rt, dynamic, &inside, &err) != OK) {
		append_unreadable(r, tab, &err);
		return;
	}
	const char *name = type_name(r->rt, dynamic);
	if (name)
		text_append(r->text, name);
	else
		text_printf(r->text, "<type 0x%" PRIx64 ">", dynamic);
	struct place at = {.addr = load_u64(words + 8)};
	if (inside.direct_iface)
		at = place_within(place, 8);
	enter(r, '(', &inside, &at, 1, ')');
}

/* Writes what fits in one go, or enters what has parts. */
static void append_value(struct render *r, const struct type *type, const struct place *place)
{
	uint8_t b[24]; /* the longest that is not taken apart: a slice's header */
	struct error err;
	if (r->depth == VALUE_DEPTH_MAX) {
		text_append(r->text, "...");
		return;
	}
	if (type->kind == KIND_ARRAY) {
		enter_list(r, type->elem, place, type->len);
		return;
	}
	if (type->kind == KIND_STRUCT) {
		enter(r, '{', type, place, type->len, '}');
		return;
	}
	if (!place_read(r, place, b, type->size, &err)) {
		append_missing(r, place, &err);
		return;
	}
	switch (type->kind) {
	case KIND_BOOL:
		text_append(r->text, b[0] ? "true" : "false");
		break;
	case KIND_INT ... KIND_INT64:
		text_append_int(r->text, load_signed(b, type->size));
		break;
	case KIND_UINT ... KIND_UINTPTR:
		text_append_uint(r->text, load_unsigned(b, type->size));
		break;
	case KIND_FLOAT32:
	case KIND_FLOAT64:
		format_float(r->text, load_float(b, type->size), (int)type->size * 8);
		break;
	case KIND_COMPLEX64:
	case KIND_COMPLEX128:
		format_complex(r->text, load_float(b, type->size / 2),
			       load_float(b + type->size / 2, type->size / 2), (int)type->size * 4);
		break;
	case KIND_STRING:
		append_string(r, load_u64(b), load_u64(b + 8));
		break;
	case KIND_SLICE:
		enter_list(r, type->elem, &(struct place){.addr = load_u64(b)}, load_u64(b + 8));
		break;
	case KIND_INTERFACE:
		enter_interface(r, type, place, b);
		break;
	default:
		append_word(r, load_u64(b));
		break;
	}
}

/* Writes the next part of the innermost level, or closes that. */
static void step(struct render *r)
{
	struct level *level = &r->levels[r->depth - 1];
	struct error err = {0};
	if (level->next == level->count) {
		if (level->total > level->count)
			text_printf(r->text, " ...+%" PRIu64, level->total - level->count);
		text_append_char(r->text, level->close);
		r->depth--;
		return;
	}
	uint64_t index = level->next++;
	if (index > 0)
		text_append_char(r->text, ' ');
	r->parts++;
	if (level->close != '}') {
		struct type type = level->type;
		struct place place = place_within(&level->place, index * type.size);
		append_value(r, &type, &place);
		return;
	}
	struct field field;
	struct type type;
	if (type_field(r->rt, &level->type, index, &field, &err) != OK ||
	    type_read(r->rt, field.type, &type, &err) != OK) {
		append_unreadable(r, err.addr, &err);
		return;
	}
	text_append(r->text, field.name);
	text_append_char(r->text, ':');
	struct place place = place_within(&level->place, field.offset);
	append_value(r, &type, &place);
}

static bool render(struct runtime *rt, uint64_t type_addr, const struct place *place,
		   struct text *text)
{
	struct type type;
	struct error err;
	struct render r;
	/* The levels are filled as they are entered. */
	r.rt = rt;
	r.text = text;
	r.depth = 0;
	r.parts = 0;
	r.complete = true;
	if (type_read(rt, type_addr, &type, &err) != OK) {
		append_unreadable(&r, type_addr, &err);
		return false;
	}
	append_value(&r, &type, place);
	while (r.depth > 0) {
		if (r.parts == VALUE_PARTS_MAX) {
			text_append(text, " ...");
			notes_add(rt->notes, "go", type_addr,
				  "a value of more than %d parts is cut", VALUE_PARTS_MAX);
			return false;
		}
		step(&r);
	}
	return r.complete;
}

bool value_render(struct runtime *rt, uint64_t type, uint64_t addr, struct text *text)
{
	struct place place = {.addr = addr};
	return render(rt, type, &place, text);
}

bool value_render_bytes(struct runtime *rt, uint64_t type, const void *p, size_t size,
			struct text *text)
{
	struct place place = {.held = p, .left = size};
	return render(rt, type, &place, text);
}
