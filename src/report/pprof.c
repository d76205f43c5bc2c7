#include "report/pprof.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "go/frames.h"

/* Field numbers of profile.proto. */
enum { /* message Profile */
       PROFILE_SAMPLE_TYPE = 1,
       PROFILE_SAMPLE = 2,
       PROFILE_MAPPING = 3,
       PROFILE_LOCATION = 4,
       PROFILE_FUNCTION = 5,
       PROFILE_STRING_TABLE = 6,
       PROFILE_PERIOD_TYPE = 11,
       PROFILE_PERIOD = 12,
};
enum { VALUE_TYPE_TYPE = 1, VALUE_TYPE_UNIT = 2 };
enum { SAMPLE_LOCATION_ID = 1, SAMPLE_VALUE = 2, SAMPLE_LABEL = 3 };
enum { LABEL_KEY = 1, LABEL_STR = 2 };
enum {
	MAPPING_ID = 1,
	MAPPING_MEMORY_START = 2,
	MAPPING_MEMORY_LIMIT = 3,
	MAPPING_FILENAME = 5,
	MAPPING_BUILD_ID = 6,
	MAPPING_HAS_FUNCTIONS = 7,
	MAPPING_HAS_INLINE_FRAMES = 10,
};
enum { LOCATION_ID = 1, LOCATION_MAPPING_ID = 2, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION_ID = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILENAME = 4 };

/* Wire types of protocol buffers. */
enum { WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* Ids from 1 up by key: open addressing with linear probing, at most half full. */
struct ids {
	struct id_slot {
		uint64_t key, id; /* id 0: free */
	} * slots;
	size_t count, cap; /* cap: a power of two, or 0 */
};

struct encoder {
	struct runtime *rt;
	struct text *out;
	struct ids locations; /* by pc that is looked up */
	struct ids functions; /* by name and file, as indexes of strings */
	struct ids strings; /* by address: names of one place in the binary are one string */
	uint64_t string_count;
	struct text message, inner; /* being put together */
	bool failed;
};

static void put_varint(struct text *text, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		text_append_char(text, (char)(value | 0x80));
	text_append_char(text, (char)value);
}

static void put_uint(struct text *text, unsigned field, uint64_t value)
{
	put_varint(text, field << 3 | WIRE_VARINT);
	put_varint(text, value);
}

static void put_bytes(struct text *text, unsigned field, const void *bytes, size_t n)
{
	put_varint(text, field << 3 | WIRE_BYTES);
	put_varint(text, n);
	text_append_bytes(text, bytes, n);
}

static struct id_slot *ids_find(const struct ids *ids, uint64_t key)
{
	/* Fibonacci hashing */
	for (size_t i = (size_t)(key * 0x9e3779b97f4a7c15u >> 20);; i++) {
		struct id_slot *slot = &ids->slots[i & (ids->cap - 1)];
		if (!slot->id || slot->key == key)
			return slot;
	}
}

/* The id of key; *ret_new tells that it got one just now. 0 when memory is out. */
static uint64_t ids_get(struct ids *ids, uint64_t key, bool *ret_new)
{
	if (ids->count >= ids->cap / 2) {
		struct ids grown = {.count = ids->count, .cap = ids->cap ? ids->cap * 2 : 256};
		grown.slots = calloc(grown.cap, sizeof(*grown.slots));
		if (!grown.slots)
			return 0;
		for (size_t i = 0; i < ids->cap; i++)
			if (ids->slots[i].id)
				*ids_find(&grown, ids->slots[i].key) = ids->slots[i];
		free(ids->slots);
		*ids = grown;
	}
	struct id_slot *slot = ids_find(ids, key);
	*ret_new = !slot->id;
	if (!slot->id)
		*slot = (struct id_slot){key, ++ids->count};
	return slot->id;
}

/* Adds a string to the table; returns its index. */
static uint64_t add_string(struct encoder *e, const char *s)
{
	put_bytes(e->out, PROFILE_STRING_TABLE, s, strlen(s));
	return e->string_count++;
}

/* The index of a string that lives as long as the runtime; the same address is added once. */
static uint64_t string_index(struct encoder *e, const char *s)
{
	bool is_new;
	if (!s)
		return 0;
	/* Ids of e->strings begin behind those strings that add_string added before the first. */
	uint64_t first = e->string_count - e->strings.count;
	uint64_t id = ids_get(&e->strings, (uint64_t)(uintptr_t)s, &is_new);
	if (!id)
		e->failed = true;
	else if (is_new)
		add_string(e, s);
	return id ? first + id - 1 : 0;
}

static uint64_t function_id(struct encoder *e, const struct source_frame *source)
{
	bool is_new;
	uint64_t name = string_index(e, source->function), file = string_index(e, source->file);
	uint64_t id = ids_get(&e->functions, name << 32 | file, &is_new);
	if (!id)
		e->failed = true;
	if (!id || !is_new)
		return id;
	text_clear(&e->inner);
	put_uint(&e->inner, FUNCTION_ID, id);
	put_uint(&e->inner, FUNCTION_NAME, name);
	put_uint(&e->inner, FUNCTION_SYSTEM_NAME, name);
	put_uint(&e->inner, FUNCTION_FILENAME, file);
	put_bytes(e->out, PROFILE_FUNCTION, e->inner.s, e->inner.len);
	return id;
}

static uint64_t location_id(struct encoder *e, const struct frame *frame)
{
	const struct source_frame *source;
	AUTO_TEXT struct text location = TEXT_INIT;
	bool is_new;
	uint64_t id = ids_get(&e->locations, frame->lookup_pc, &is_new);
	if (!id)
		e->failed = true;
	if (!id || !is_new)
		return id;
	put_uint(&location, LOCATION_ID, id);
	put_uint(&location, LOCATION_MAPPING_ID, 1);
	put_uint(&location, LOCATION_ADDRESS, frame->lookup_pc);
	size_t n = frame->has_function ? frame_source(e->rt, frame, &source) : 0;
	for (size_t i = 0; i < n; i++) {
		uint64_t function = function_id(e, &source[i]);
		text_clear(&e->inner);
		put_uint(&e->inner, LINE_FUNCTION_ID, function);
		put_uint(&e->inner, LINE_LINE, (uint64_t)source[i].line);
		put_bytes(&location, LOCATION_LINE, e->inner.s, e->inner.len);
	}
	put_bytes(e->out, PROFILE_LOCATION, location.s, location.len);
	e->failed |= location.failed;
	return id;
}

static void put_value_type(struct encoder *e, unsigned field, uint64_t type, uint64_t unit)
{
	text_clear(&e->inner);
	put_uint(&e->inner, VALUE_TYPE_TYPE, type);
	put_uint(&e->inner, VALUE_TYPE_UNIT, unit);
	put_bytes(e->out, field, e->inner.s, e->inner.len);
}

static void put_mapping(struct encoder *e)
{
	const struct executable *exe = e->rt->target->exe;
	uint64_t file = add_string(e, exe ? executable_path(exe) : "");
	uint64_t build_id = add_string(e, exe ? executable_build_id(exe)->go : "");
	text_clear(&e->inner);
	put_uint(&e->inner, MAPPING_ID, 1);
	put_uint(&e->inner, MAPPING_MEMORY_START, e->rt->module.text);
	put_uint(&e->inner, MAPPING_MEMORY_LIMIT, e->rt->module.etext);
	put_uint(&e->inner, MAPPING_FILENAME, file);
	put_uint(&e->inner, MAPPING_BUILD_ID, build_id);
	/* functions, file names, lines, inlined frames: pprof needs no binary for them */
	for (unsigned has = MAPPING_HAS_FUNCTIONS; has <= MAPPING_HAS_INLINE_FRAMES; has++)
		put_uint(&e->inner, has, 1);
	put_bytes(e->out, PROFILE_MAPPING, e->inner.s, e->inner.len);
}

static void put_sample(struct encoder *e, const struct stack_group *group,
		       const struct frames *frames, uint64_t state_key)
{
	struct text *m = &e->message;
	uint64_t state = string_index(e, group->state);
	text_clear(m);
	for (size_t i = 0; i < frames->count; i++)
		put_uint(m, SAMPLE_LOCATION_ID, location_id(e, &frames->list[i]));
	put_uint(m, SAMPLE_VALUE, group->count);
	text_clear(&e->inner);
	put_uint(&e->inner, LABEL_KEY, state_key);
	put_uint(&e->inner, LABEL_STR, state);
	put_bytes(m, SAMPLE_LABEL, e->inner.s, e->inner.len);
	put_bytes(e->out, PROFILE_SAMPLE, m->s, m->len);
}

static void encode(struct encoder *e, const struct stack_groups *groups)
{
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	add_string(e, ""); /* the table's first, by its format */
	uint64_t type = add_string(e, "goroutine"), unit = add_string(e, "count");
	uint64_t state_key = add_string(e, "state");
	put_value_type(e, PROFILE_SAMPLE_TYPE, type, unit);
	put_value_type(e, PROFILE_PERIOD_TYPE, type, unit);
	put_uint(e->out, PROFILE_PERIOD, 1);
	put_mapping(e);
	for (size_t i = 0; i < groups->count && !e->failed; i++) {
		const struct stack_group *group = &groups->list[i];
		if (!group->error && frames_collect(&walk, e->rt, group->first, FRAMES_REPORT_MAX,
						    &frames, NULL) == OK)
			put_sample(e, group, &frames, state_key);
	}
	stack_walk_done(&walk);
	frames_done(&frames);
}

enum status pprof_encode(struct runtime *rt, const struct stack_groups *groups, struct text *text,
			 struct error *err)
{
	struct encoder e = {.rt = rt, .out = text, .message = TEXT_INIT, .inner = TEXT_INIT};
	encode(&e, groups);
	bool failed = e.failed || text->failed || e.message.failed || e.inner.failed;
	text_done(&e.message);
	text_done(&e.inner);
	free(e.locations.slots);
	free(e.functions.slots);
	free(e.strings.slots);
	return failed ? error_nomem(err) : OK;
}
