#include "maps/claims.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "go/pointers.h"
#include "go/structs.h"
#include "go/type.h"
#include "maps/code.h"

/* What the claims are measured by. */
struct measure {
	struct runtime *rt;
	struct struct_layout header; /* runtime.hmap or maps.Map; count 0: could not be read */
	/* A map type, of words to words where there is one, and one with keys of less than a word (one that
	 * speaks against the article where there is one); addr 0: none there. */
	struct map_type sample, narrow;
	struct struct_layout bucket; /* of sample; count 0: not there */
};

typedef enum claim_verdict measure_fn(struct measure *m, char text[240]);

[[gnu::format(printf, 3, 4)]] static enum claim_verdict found(bool holds, char text[240],
							      const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, 240, fmt, ap);
	va_end(ap);
	return holds ? CLAIM_TRUE : CLAIM_FALSE;
}

[[gnu::format(printf, 2, 3)]] static enum claim_verdict undecided(char text[240], const char *fmt,
								  ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, 240, fmt, ap);
	va_end(ap);
	return CLAIM_UNDECIDED;
}

/* The field that begins at offset, or is there; "padding" or "nothing" where none is. */
static const char *field_at(const struct struct_layout *s, uint64_t offset)
{
	for (size_t i = s->count; i-- > 0;) {
		const struct struct_field *f = &s->list[i];
		if (offset >= f->offset)
			return !f->has_size || offset - f->offset < f->size ? f->name : "padding";
	}
	return "nothing";
}

/* Whether the header's field is where the article has it. swiss: what a Swiss map has in its place. */
static enum claim_verdict field_is_at(struct measure *m, char text[240], const char *name,
				      uint64_t offset, const char *swiss)
{
	const struct struct_layout *h = &m->header;
	const struct struct_field *f = struct_find(h, m->rt->swiss ? swiss : name);
	if (!h->count)
		return undecided(text, "the map's header could not be read");
	if (m->rt->swiss && f)
		return found(false, text,
			     "no hmap: maps.Map has %s at +%" PRIu64 ", and %s at +%" PRIu64, swiss,
			     f->offset, field_at(h, offset), offset);
	if (m->rt->swiss)
		return found(false, text,
			     "no hmap: maps.Map has no such field, and %s at +%" PRIu64,
			     field_at(h, offset), offset);
	if (!f)
		return found(false, text, "no field %s", name);
	if (f->offset == offset)
		return found(true, text, "%s is at +%" PRIu64, name, offset);
	return found(false, text, "%s is at +%" PRIu64 "; at +%" PRIu64 " is %s", name, f->offset,
		     offset, field_at(h, offset));
}

static enum claim_verdict flags_at_8(struct measure *m, char text[240])
{
	return field_is_at(m, text, "flags", 8, "writing");
}

static enum claim_verdict b_at_16(struct measure *m, char text[240])
{
	return field_is_at(m, text, "B", 16, "globalDepth");
}

static enum claim_verdict b_at_8(struct measure *m, char text[240])
{
	return field_is_at(m, text, "B", 8, "globalDepth");
}

static enum claim_verdict buckets_at_24(struct measure *m, char text[240])
{
	return field_is_at(m, text, "buckets", 24, "dirPtr");
}

static enum claim_verdict buckets_at_32(struct measure *m, char text[240])
{
	return field_is_at(m, text, "buckets", 32, "dirPtr");
}

static enum claim_verdict count_is_byte(struct measure *m, char text[240])
{
	const struct struct_field *f = struct_find(&m->header, m->rt->swiss ? "used" : "count");
	if (!f || !f->has_size)
		return undecided(text, "no type descriptor or DWARF of the header");
	return found(f->size == 1, text, "%s is %s, %" PRIu64 " bytes at +%" PRIu64, f->name,
		     f->type, f->size, f->offset);
}

/* The offsets of flags, B, noverflow and hash0 that go with a count of one byte. */
static enum claim_verdict small_offsets(struct measure *m, char text[240])
{
	static const struct {
		const char *name;
		uint64_t offset;
	} said[] = {{"flags", 1}, {"B", 2}, {"noverflow", 4}, {"hash0", 8}};
	bool holds = m->header.count > 0;
	size_t n = 0;
	text[0] = '\0';
	if (!m->header.count)
		return undecided(text, "the map's header could not be read");
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		const struct struct_field *f = struct_find(&m->header, said[i].name);
		holds &= f && f->offset == said[i].offset;
		if (f)
			n += (size_t)snprintf(text + n, 240 - n, "%s%s %" PRIu64, n ? ", " : "",
					      f->name, f->offset);
	}
	if (!n)
		return found(false, text, "no hmap: maps.Map has none of them");
	return holds ? CLAIM_TRUE : CLAIM_FALSE;
}

static enum claim_verdict has_padding(struct measure *m, char text[240])
{
	const struct struct_layout *h = &m->header;
	uint64_t padding = 0;
	if (!h->count || !h->list[0].has_size)
		return undecided(text, "no type descriptor or DWARF of the header");
	for (size_t i = 0; i < h->count; i++)
		padding += struct_padding(h, i);
	return found(padding > 0, text, "%s has %" PRIu64 " bytes of padding in %" PRIu64, h->name,
		     padding, h->size);
}

static enum claim_verdict fields_sorted(struct measure *m, char text[240])
{
	const struct struct_layout *h = &m->header;
	if (!h->count || !h->list[0].align)
		return undecided(text, "no type descriptor or DWARF of the header");
	/* Sorting by alignment would leave no small field before a large one. */
	for (size_t i = 1; i < h->count; i++) {
		if (h->list[i].align > h->list[i - 1].align)
			return found(false, text,
				     "%s (align %u) stands before %s (align %u), as declared",
				     h->list[i - 1].name, h->list[i - 1].align, h->list[i].name,
				     h->list[i].align);
	}
	return found(true, text, "the largest alignments come first");
}

static enum claim_verdict writing_is_2(struct measure *m, char text[240])
{
	struct map_codes codes;
	struct error err;
	if (map_codes_find(m->rt, NULL, &codes, &err) != OK)
		return undecided(text, "%.200s", err.text);
	size_t sets = 0;
	const struct map_code *first = NULL;
	uint64_t at = 0;
	for (size_t i = 0; i < codes.count; i++) {
		for (size_t s = 0; s < codes.list[i].sites.count; s++) {
			const struct flag_site *site = &codes.list[i].sites.list[s];
			if (site->kind != FLAG_SET)
				continue;
			if (!sets++) {
				first = &codes.list[i];
				at = site->addr - first->function.entry;
			}
		}
	}
	enum claim_verdict verdict;
	if (!first)
		verdict = undecided(text, "no instruction that sets the flag was found");
	else
		verdict = found(false, text,
				"%s: %zu instructions set it, the first is %.100s+0x%" PRIx64,
				m->rt->swiss ? "byte 34 becomes 1" : "the bit is 0x04", sets,
				first->function.name, at);
	map_codes_done(&codes);
	return verdict;
}

static enum claim_verdict header_is_48(struct measure *m, char text[240])
{
	if (!m->header.has_size)
		return undecided(text, "the map's header could not be read");
	return found(m->header.size == 48 && !m->rt->swiss, text, "%s has %" PRIu64 " bytes",
		     m->header.name, m->header.size);
}

static uint64_t container_size(const struct measure *m, const struct map_type *type)
{
	return m->rt->swiss ? type->group_size : type->bucket_size;
}

static enum claim_verdict size_is_power(struct measure *m, char text[240])
{
	if (!m->sample.type.addr)
		return undecided(text, "the binary has no map type");
	uint64_t size = container_size(m, &m->sample);
	return found((size & (size - 1)) == 0, text,
		     "a %s of %s has %" PRIu64 " bytes, whatever the number of %s",
		     m->rt->swiss ? "group" : "bucket", type_name(m->rt, m->sample.type.addr), size,
		     m->rt->swiss ? "groups" : "buckets (2^B)");
}

static enum claim_verdict size_formula(struct measure *m, char text[240])
{
	if (!m->sample.type.addr)
		return undecided(text, "the binary has no map type");
	uint64_t size = container_size(m, &m->sample);
	bool holds = false;
	for (unsigned b = 0; b < 16; b++)
		holds |= size == 8 + (UINT64_C(8) << b) + (UINT64_C(2) << b) + 1;
	return found(holds, text,
		     "%" PRIu64 " = 8 + 8 x %" PRIu64 " + 8 x %" PRIu64 "%s for %s, for every B",
		     size, m->sample.slot_key_size, m->sample.slot_elem_size,
		     m->rt->swiss ? "" : " + 8", type_name(m->rt, m->sample.type.addr));
}

static enum claim_verdict bucket_is_64(struct measure *m, char text[240])
{
	if (!m->sample.type.addr)
		return undecided(text, "the binary has no map type");
	return found(container_size(m, &m->sample) == 64, text, "%" PRIu64 " bytes",
		     container_size(m, &m->sample));
}

static enum claim_verdict bucket_order(struct measure *m, char text[240])
{
	size_t n = 0;
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	for (size_t i = 0; i < m->bucket.count && n < 200; i++)
		n += (size_t)snprintf(text + n, 240 - n, "%s%.40s %" PRIu64, i ? ", " : "",
				      m->bucket.list[i].name, m->bucket.list[i].offset);
	return strcmp(m->bucket.list[0].name, "keys") == 0 && m->bucket.list[0].offset == 0
		       ? CLAIM_TRUE
		       : CLAIM_FALSE;
}

static enum claim_verdict tags_first(struct measure *m, char text[240])
{
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	const struct struct_field *f = &m->bucket.list[0];
	return found(f->offset == 0 && f->size == 8, text, "%s, %" PRIu64 " bytes at +%" PRIu64,
		     f->name, f->size, f->offset);
}

static enum claim_verdict tag_is_bit(struct measure *m, char text[240])
{
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	const struct struct_field *f = &m->bucket.list[0];
	return found(f->size == 1, text, "%" PRIu64 " bytes for 8 slots: 8 bits a slot%s", f->size,
		     m->rt->swiss ? ", 7 of them of the hash" : "");
}

static uint64_t key_stride(const struct measure *m, const struct map_type *type)
{
	return m->rt->swiss ? type->key_stride : type->slot_key_size;
}

static enum claim_verdict slots_aligned(struct measure *m, char text[240])
{
	if (!m->narrow.type.addr)
		return undecided(text, "the binary has no map with keys of less than 8 bytes");
	uint64_t stride = key_stride(m, &m->narrow);
	return found(stride % 8 == 0, text, "keys of %s are %" PRIu64 " bytes apart",
		     type_name(m->rt, m->narrow.type.addr), stride);
}

static enum claim_verdict has_overflow(struct measure *m, char text[240])
{
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	const struct struct_field *f = struct_find(&m->bucket, "overflow");
	if (!f)
		return found(false, text, "a group has no link to another: lookups probe on");
	return found(true, text, "overflow at +%" PRIu64 ", a %s", f->offset,
		     f->type ? f->type : "?");
}

static enum claim_verdict has_state(struct measure *m, char text[240])
{
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	return found(struct_find(&m->bucket, "state") != NULL, text,
		     "%zu fields, none of them a state%s", m->bucket.count,
		     m->rt->swiss ? "" : "; that a bucket moved is a tophash of 2 to 4");
}

static enum claim_verdict mask_follows(struct measure *m, char text[240])
{
	struct pointer_mask mask;
	if (!m->bucket.count)
		return undecided(text, "the binary has no map type");
	const struct struct_field *last = &m->bucket.list[m->bucket.count - 1];
	uint64_t end = last->offset + last->size;
	if (pointer_mask_read(m->rt, m->sample.bucket, &mask, NULL) != OK)
		mask.addr = 0;
	return found(m->bucket.size > end, text,
		     "the last field ends at %" PRIu64 " of %" PRIu64
		     "; the mask is %zu bits of the type's own data",
		     end, m->bucket.size, mask.words);
}

static enum claim_verdict has_bucketsize(struct measure *m, char text[240])
{
	struct symbol symbol;
	if (target_symbol(m->rt->target, "runtime.bucketsize", &symbol))
		return found(true, text, "at 0x%" PRIx64, symbol.addr);
	if (!target_symbol(m->rt->target, "runtime.text", &symbol))
		return undecided(text, "the binary has no symbols");
	return found(false, text, "no such symbol; the size is in each map's type");
}

/* The claims, in the article's order. */
static const struct {
	const char *chapter, *said;
	measure_fn *measure;
} claims[] = {
	{"1", "flags is at +8", flags_at_8},
	{"1", "the writing flag (hashWriting) is 0x02", writing_is_2},
	{"1", "B is at +16", b_at_16},
	{"1", "buckets is at +24", buckets_at_24},
	{"2.1", "count is a uint8", count_is_byte},
	{"2.1", "flags, B, noverflow, hash0 are at 1, 2, 4, 8", small_offsets},
	{"2.1", "the compiler pads between the header's fields", has_padding},
	{"2.1", "the compiler sorts fields by size and alignment", fields_sorted},
	{"2.2", "a bucket is 2^B bytes", size_is_power},
	{"2.2", "the size is the symbol runtime.bucketsize", has_bucketsize},
	{"2.2", "a bucket is keys, values, tophash, overflow", bucket_order},
	{"2.2", "tophash stands in front", tags_first},
	{"2.2", "tophash is 1 bit a slot", tag_is_bit},
	{"2.2", "key slots are aligned to 8 bytes", slots_aligned},
	{"2.2", "buckets are chained by an overflow pointer", has_overflow},
	{"2.3", "a bucket has a state: dirty, oldbucket", has_state},
	{"2.4", "a bucket has 64 bytes (SHLQ $6)", bucket_is_64},
	{"4.2", "hmap has 48 bytes (Go 1.22)", header_is_48},
	{"4.2", "B is at 0x8", b_at_8},
	{"4.2", "buckets is at 0x20", buckets_at_32},
	{"4.2", "a ptrmask stands behind each bucket", mask_follows},
	{"4.2", "a bucket is 8 + 8*2^B + 2^B + 2^B + 1 bytes", size_formula},
};
_Static_assert(sizeof(claims) / sizeof(claims[0]) <= CLAIMS_MAX, "");

/* The types that claims about buckets are measured by. */
static void choose_types(struct measure *m)
{
	uint64_t addr;
	for (uint64_t at = 0; type_next(m->rt, at, KIND_MAP, &addr); at = addr) {
		struct map_type t;
		if (type_read_map(m->rt, addr, &t, NULL) != OK || t.indirect_key || t.indirect_elem)
			continue;
		bool words = m->sample.key_size == 8 && m->sample.elem_size == 8;
		if (!words && (!m->sample.type.addr || (t.key_size == 8 && t.elem_size == 8)))
			m->sample = t;
		if (t.key_size > 0 && t.key_size < 8 &&
		    (!m->narrow.type.addr ||
		     (key_stride(m, &m->narrow) % 8 == 0 && key_stride(m, &t) % 8 != 0)))
			m->narrow = t;
	}
	if (m->sample.type.addr)
		(void)(struct_layout_of_type(m->rt, m->sample.bucket, &m->bucket, NULL) == OK);
}

size_t claims_measure(struct runtime *rt, struct claim ret[CLAIMS_MAX])
{
	struct measure m = {.rt = rt};
	const char *header = rt->swiss ? "internal/runtime/maps.Map" : "runtime.hmap";
	size_t count = sizeof(claims) / sizeof(claims[0]);
	struct error err;
	if (struct_layout_read(rt, header, &m.header, &err) != OK)
		notes_add_error(rt->notes, "maps", header, &err);
	choose_types(&m);
	for (size_t i = 0; i < count; i++) {
		ret[i] = (struct claim){
			.chapter = claims[i].chapter,
			.said = claims[i].said,
		};
		ret[i].verdict = claims[i].measure(&m, ret[i].measured);
	}
	struct_layout_done(&m.header);
	struct_layout_done(&m.bucket);
	return count;
}

const char *claim_verdict_name(enum claim_verdict verdict)
{
	static const char *const names[] = {
		[CLAIM_FALSE] = "false",
		[CLAIM_TRUE] = "true",
		[CLAIM_UNDECIDED] = "undecided",
	};
	return names[verdict];
}
