#include "report/mapbytes.h"

#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "go/pointers.h"
#include "go/structs.h"
#include "maps/entry.h"
#include "maps/libgomap.h"

/* Bytes of one line: a word, so that each can have the collector's mark. */
enum { LINE = 8 };

/* What lies at an offset of a bucket or group. */
struct part {
	enum { PART_TAGS, PART_KEY, PART_ELEM, PART_OVERFLOW } kind;
	unsigned slot;
	uint64_t offset, size;
};

/* 8 tags, keys and elements, and the link. */
enum { PARTS_MAX = 1 + 2 * MAP_SLOTS + 1 };

static size_t make_parts(const struct map *map, struct part ret[PARTS_MAX])
{
	const struct map_type *t = &map->type;
	size_t count = 0;
	ret[count++] = (struct part){PART_TAGS, 0, 0, MAP_SLOTS};
	for (unsigned i = 0; i < MAP_SLOTS; i++) {
		uint64_t key, elem;
		map_slot_offsets(map, i, &key, &elem);
		ret[count++] = (struct part){PART_KEY, i, key, t->slot_key_size};
		ret[count++] = (struct part){PART_ELEM, i, elem, t->slot_elem_size};
	}
	if (map->design == MAP_HMAP)
		ret[count++] = (struct part){PART_OVERFLOW, 0, t->bucket_size - 8, 8};
	/* Insertion sort, stable: in a bucket, keys and elements stand apart. */
	for (size_t i = 1; i < count; i++) {
		struct part p = ret[i];
		size_t at = i;
		for (; at > 0 && ret[at - 1].offset > p.offset; at--)
			ret[at] = ret[at - 1];
		ret[at] = p;
	}
	return count;
}

/* One line: up to 8 bytes at base + offset, and whether the collector follows the word. */
static void bytes_line(struct page *page, const uint8_t *bytes, uint64_t offset, uint64_t n,
		       const struct pointer_mask *mask)
{
	page_style(page, STYLE_DIM, "  +%-5" PRIu64, offset);
	fputs(mask && pointer_mask_has(mask, offset) ? "* " : "  ", page->out);
	for (uint64_t i = 0; i < LINE; i++) {
		if (i < n)
			page_printf(page, "%02x ", bytes[offset + i]);
		else
			fputs("   ", page->out);
	}
}

/* The lines after the first one of something of size bytes at offset. */
static void more_lines(struct page *page, const uint8_t *bytes, uint64_t offset, uint64_t size,
		       const struct pointer_mask *mask)
{
	for (uint64_t at = LINE; at < size; at += LINE) {
		bytes_line(page, bytes, offset + at, size - at < LINE ? size - at : LINE, mask);
		fputc('\n', page->out);
	}
}

static void between_lines(struct page *page, const uint8_t *bytes, uint64_t from, uint64_t to,
			  const char *what)
{
	for (uint64_t at = from; at < to; at += LINE) {
		bytes_line(page, bytes, at, to - at < LINE ? to - at : LINE, NULL);
		page_style(page, STYLE_DIM, " %s\n", what);
	}
}

/* The mask of a type, where it can be had; NULL otherwise (noted). */
static const struct pointer_mask *mask_of(struct runtime *rt, uint64_t type,
					  struct pointer_mask *room)
{
	struct error why;
	if (type && pointer_mask_read(rt, type, room, &why) == OK)
		return room;
	if (type)
		notes_add_error(rt->notes, "go", "pointer mask", &why);
	return NULL;
}

static void field_value(struct page *page, const uint8_t *p, uint64_t size, bool pointer)
{
	uint64_t value = 0;
	memcpy(&value, p, size < 8 ? size : 8);
	if (pointer && !value)
		fputs("nil", page->out);
	else if (pointer || (size == 8 && value >> 32))
		page_printf(page, "0x%" PRIx64, value);
	else
		page_printf(page, "%" PRIu64, value);
}

/* The struct's bytes, a field a line. */
static void fields_text(struct page *page, struct runtime *rt, const struct map *map,
			const struct struct_layout *s, const struct pointer_mask *mask)
{
	uint8_t bytes[LIBGOMAP_HEADER_MAX];
	if (!s->has_size || s->size > sizeof(bytes) ||
	    memory_read(rt->target->memory, map->addr, bytes, s->size, NULL) != OK) {
		notes_add(rt->notes, "maps", map->addr, "the header's bytes cannot be read");
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct struct_field *f = &s->list[i];
		uint64_t end = i + 1 < s->count ? s->list[i + 1].offset : s->size;
		uint64_t size = f->has_size ? f->size : end - f->offset;
		if (f->offset > s->size || size > s->size - f->offset || size > LINE ||
		    end > s->size)
			continue; /* none in any header: a layout that lies */
		bytes_line(page, bytes, f->offset, size, mask);
		fputc(' ', page->out);
		page_cell(page, f->name, 18);
		field_value(page, bytes + f->offset, size,
			    mask && pointer_mask_has(mask, f->offset));
		fputc('\n', page->out);
		between_lines(page, bytes, f->offset + size, end,
			      map->library ? "the library's own" : "padding");
	}
}

void header_bytes_text(struct page *page, struct runtime *rt, const struct map *map)
{
	const char *name = rt->swiss ? "internal/runtime/maps.Map" : "runtime.hmap";
	struct pointer_mask room;
	struct error why;
	if (map->library) {
		const struct struct_layout known = {
			.size = map->library->size,
			.has_size = true,
			.list = (struct struct_field *)map->library->fields,
			.count = LIBGOMAP_FIELDS,
		};
		fields_text(page, rt, map, &known, NULL);
		return;
	}
	struct struct_layout s;
	if (struct_layout_read(rt, name, &s, &why) != OK) {
		notes_add_error(rt->notes, "go", name, &why);
		return;
	}
	fields_text(page, rt, map, &s, mask_of(rt, s.type, &room));
	struct_layout_done(&s);
}

/* What a tag says of its slot, in a word. */
static const char *tag_text(const struct map *map, uint8_t tag, char room[8])
{
	static const char *const marks[] = {
		[TOPHASH_EMPTY_REST] = "rest",	    [TOPHASH_EMPTY_ONE] = "one",
		[TOPHASH_EVACUATED_X] = "toX",	    [TOPHASH_EVACUATED_Y] = "toY",
		[TOPHASH_EVACUATED_EMPTY] = "gone",
	};
	if (map->design == MAP_HMAP && tag < TOPHASH_MIN)
		return marks[tag];
	if (map->design == MAP_SWISS && tag == CTRL_EMPTY)
		return "empty";
	if (map->design == MAP_SWISS && tag == CTRL_DELETED)
		return "deleted";
	snprintf(room, 8, "%02x", tag);
	return room;
}

static void tags_text(struct page *page, const struct map *map, const uint8_t tags[MAP_SLOTS])
{
	char room[8];
	page_printf(page, " %-9s ", map->design == MAP_HMAP ? "tophash" : "ctrl");
	for (unsigned i = 0; i < MAP_SLOTS; i++)
		page_printf(page, "%s%s", i ? " " : "", tag_text(map, tags[i], room));
	fputc('\n', page->out);
}

/* Why a slot holds no entry. */
static const char *empty_text(const struct map *map, uint8_t tag)
{
	if (map->design == MAP_SWISS)
		return tag == CTRL_DELETED ? "(deleted)" : "(empty)";
	return tag == TOPHASH_EVACUATED_X   ? "(moved to the bucket of the same number)"
	       : tag == TOPHASH_EVACUATED_Y ? "(moved to the upper half)"
					    : "(empty)";
}

static bool render_part(struct runtime *rt, const struct map *map, const struct container *c,
			const struct part *p, struct text *text)
{
	bool key = p->kind == PART_KEY;
	bool indirect = key ? map->type.indirect_key : map->type.indirect_elem;
	const uint8_t *bytes = c->bytes + p->offset;
	uint64_t addr = indirect ? load_u64(bytes) : c->addr + p->offset;
	text_clear(text);
	return key ? map_key_text(rt, map, addr, indirect ? NULL : bytes, text)
		   : map_elem_text(rt, map, addr, indirect ? NULL : bytes, text);
}

static void part_text(struct page *page, struct runtime *rt, const struct map *map,
		      const struct container *c, const struct part *p, struct text *text)
{
	if (p->kind == PART_TAGS) {
		tags_text(page, map, c->bytes);
		return;
	}
	if (p->kind == PART_OVERFLOW) {
		uint64_t next = load_u64(c->bytes + p->offset);
		page_printf(page, " overflow  ");
		page_printf(page, next ? "0x%" PRIx64 "\n" : "nil\n", next);
		return;
	}
	page_printf(page, " %s %u%*s", p->kind == PART_KEY ? "key" : "elem", p->slot,
		    p->kind == PART_KEY ? 5 : 4, "");
	if (map_slot_full(map, c->bytes, p->slot)) {
		render_part(rt, map, c, p, text);
		page_text(page, text->s);
	} else {
		page_style(page, STYLE_DIM, "%s", empty_text(map, c->bytes[p->slot]));
	}
	fputc('\n', page->out);
}

static unsigned slots_used(const struct map *map, const uint8_t *bytes)
{
	unsigned n = 0;
	for (unsigned i = 0; i < MAP_SLOTS; i++)
		n += map_slot_full(map, bytes, i);
	return n;
}

static void container_title(struct page *page, struct runtime *rt, const struct map *map,
			    const struct container *c)
{
	bool moved;
	if (map->design == MAP_SWISS) {
		page_style(page, STYLE_BOLD, "group %" PRIu64, c->number);
		if (map->dir_len)
			page_printf(page, " of table %u", c->chain);
	} else {
		page_style(page, STYLE_BOLD, "%sbucket %" PRIu64, c->old ? "old " : "", c->number);
		if (c->chain)
			page_printf(page, ", overflow %u", c->chain);
	}
	page_printf(page, " at 0x%" PRIx64 ", %u of %d slots used", c->addr,
		    slots_used(map, c->bytes), MAP_SLOTS);
	if (map->design == MAP_HMAP && map->growing) {
		uint64_t old = c->number & (hmap_old_count(map) - 1);
		bool known = hmap_has_moved(rt, map, old, &moved, NULL) == OK;
		if (known && c->old)
			page_printf(page, moved ? ", has moved" : ", has not moved yet");
		else if (known && !moved)
			page_printf(page, ", lookups still go to old bucket %" PRIu64, old);
	}
	fputc('\n', page->out);
}

bool container_bytes_text(struct page *page, struct runtime *rt, const struct map *map,
			  uint64_t limit)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text text = TEXT_INIT;
	struct part parts[PARTS_MAX];
	size_t count = make_parts(map, parts);
	struct pointer_mask room;
	const struct pointer_mask *mask = mask_of(rt, map->type.bucket, &room);
	uint64_t size = map_container_size(map), shown = 0;
	struct container c;
	struct error why;
	if (map_walk_new(rt, map, &walk, &why) != OK) {
		notes_add_error(rt->notes, "maps", "the entries", &why);
		return false;
	}
	if (mask && !mask->words)
		page_printf(page,
			    "No word in it is a pointer: the collector does not look into it.\n");
	else if (mask)
		page_printf(page, "A star marks the words that the collector follows (%s%s).\n",
			    pointer_source_name(mask->source), mask->addr ? " of the type" : "");
	while (map_walk_container(walk, &c)) {
		if (limit && shown++ == limit) {
			page_printf(page, "... (--limit 0 shows all)\n");
			return true;
		}
		fputc('\n', page->out);
		container_title(page, rt, map, &c);
		uint64_t end = 0;
		for (size_t i = 0; i < count; i++) {
			const struct part *p = &parts[i];
			between_lines(page, c.bytes, end, p->offset, "padding");
			bytes_line(page, c.bytes, p->offset, p->size < LINE ? p->size : LINE, mask);
			part_text(page, rt, map, &c, p, &text);
			more_lines(page, c.bytes, p->offset, p->size, mask);
			end = p->offset + p->size;
		}
		between_lines(page, c.bytes, end, size, "padding");
	}
	return map_walk_complete(walk);
}

static void hex_json(struct json *json, const char *name, const uint8_t *bytes, uint64_t n,
		     struct text *text)
{
	static const char digits[] = "0123456789abcdef";
	text_clear(text);
	for (uint64_t i = 0; i < n; i++) {
		text_append_char(text, digits[bytes[i] >> 4]);
		text_append_char(text, digits[bytes[i] & 15]);
	}
	json_string(json, name, text->s);
}

bool container_bytes_json(struct json *json, struct runtime *rt, const struct map *map,
			  uint64_t limit)
{
	AUTO_MAP_WALK struct map_walk *walk = NULL;
	AUTO_TEXT struct text text = TEXT_INIT;
	struct container c;
	struct error why;
	uint64_t shown = 0;
	bool ok = map_walk_new(rt, map, &walk, &why) == OK;
	json_array(json, "containers");
	if (!ok)
		notes_add_error(rt->notes, "maps", "the entries", &why);
	while (ok && (!limit || shown++ < limit) && map_walk_container(walk, &c)) {
		json_object(json, NULL);
		json_addr(json, "address", c.addr);
		json_uint(json, "bucket", c.number);
		json_uint(json, "chain", c.chain);
		json_bool(json, "old", c.old);
		json_uint(json, "used", slots_used(map, c.bytes));
		hex_json(json, "bytes", c.bytes, map_container_size(map), &text);
		json_end_object(json);
	}
	json_end_array(json);
	return ok && ((limit && shown > limit) || map_walk_complete(walk));
}

static void step_text(struct page *page, const struct map *map, const struct lookup_step *s)
{
	const char *kind = map->design == MAP_SWISS ? "group" : s->chain ? "overflow" : "bucket";
	char room[8];
	page_printf(page, "  %-8s %5" PRIu64 " at 0x%" PRIx64 "  ", kind,
		    map->design == MAP_HMAP && s->chain ? s->chain : s->number, s->addr);
	for (unsigned i = 0; i < MAP_SLOTS; i++) {
		bool match = s->match >> i & 1;
		fputc(' ', page->out);
		page_style(page, match ? STYLE_BOLD : STYLE_PLAIN, "%s%s%s", match ? "[" : "",
			   tag_text(map, s->tags[i], room), match ? "]" : "");
	}
	if (s->slot >= 0)
		page_style(page, STYLE_GREEN, "  slot %d has the key", s->slot);
	else if (s->match)
		page_printf(page, "  same tag, another key");
	if (s->slot < 0 && s->ends)
		page_printf(page, "%s an empty slot ends the lookup", s->match ? "," : " ");
	fputc('\n', page->out);
}

static void found_text(struct page *page, struct runtime *rt, const struct map *map,
		       const struct lookup *l)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	if (!l->found) {
		page_style(page, STYLE_YELLOW, "  the key is not in the map\n");
		return;
	}
	map_elem_text(rt, map, l->entry.elem, NULL, &text);
	page_printf(page, "  key at 0x%" PRIx64 ", element at 0x%" PRIx64 ": ", l->entry.key,
		    l->entry.elem);
	page_text(page, text.s);
	fputc('\n', page->out);
}

void lookup_text(struct page *page, struct runtime *rt, const struct map *map,
		 const struct lookup *l, const char *key)
{
	page_style(page, STYLE_BOLD, "\nlookup    ");
	page_text(page, key);
	page_printf(page, ": hash 0x%016" PRIx64 ", ", l->hash);
	if (map->design == MAP_HMAP)
		page_printf(page, "tophash %02x, %sbucket %" PRIu64 "%s\n", l->tag,
			    l->in_old ? "old " : "", l->start,
			    l->in_old ? ", which has not moved yet" : "");
	else if (map->dir_len)
		page_printf(page,
			    "h2 %02x, directory entry %" PRIu64 " of %" PRIu64 ", table 0x%" PRIx64
			    " of %" PRIu64 " groups\n",
			    l->tag, l->directory_index, map->dir_len, l->table, l->groups);
	else
		page_printf(page, "h2 %02x, the only group\n", l->tag);
	for (size_t i = 0; i < l->count; i++)
		step_text(page, map, &l->steps[i]);
	found_text(page, rt, map, l);
}

void lookup_json(struct json *json, struct runtime *rt, const struct map *map,
		 const struct lookup *l, const char *key)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	json_object(json, "lookup");
	json_string(json, "key", key);
	text_append_hex(&text, l->hash);
	json_string(json, "hash", text.s);
	json_uint(json, "tag", l->tag);
	json_bool(json, "old", l->in_old);
	json_uint(json, "start", l->start);
	json_addr(json, "table", l->table);
	json_array(json, "steps");
	for (size_t i = 0; i < l->count; i++) {
		const struct lookup_step *s = &l->steps[i];
		json_object(json, NULL);
		json_addr(json, "address", s->addr);
		json_uint(json, "bucket", s->number);
		json_uint(json, "chain", s->chain);
		hex_json(json, "tags", s->tags, MAP_SLOTS, &text);
		json_array(json, "same_tag");
		for (unsigned slot = 0; slot < MAP_SLOTS; slot++)
			if (s->match >> slot & 1)
				json_uint(json, NULL, slot);
		json_end_array(json);
		json_bool(json, "ends", s->ends);
		json_end_object(json);
	}
	json_end_array(json);
	json_bool(json, "found", l->found);
	json_addr(json, "slot", l->found ? l->entry.slot : 0);
	text_clear(&text);
	if (l->found)
		map_elem_text(rt, map, l->entry.elem, NULL, &text);
	json_string(json, "value", l->found ? text.s : NULL);
	json_end_object(json);
}
