#include "go/mutex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* sync/mutex.go. */
enum { MUTEX_LOCKED = 1, MUTEX_WOKEN = 2, MUTEX_STARVING = 4, MUTEX_WAITER_SHIFT = 3 };
/* sync/rwmutex.go: what a writer takes off readerCount while it waits or writes. */
enum { RWMUTEX_MAX_READERS = 1 << 30 };
/* More goroutines than this do not fit in any memory: the word is no lock's. */
enum { WAITERS_MAX = 1 << 26 };

/* Parts of one value that are gone through, and elements of an array in it. */
enum { PARTS_MAX = 256, ELEMENTS_MAX = 16 };

const char *lock_kind_name(enum lock_kind kind)
{
	return kind == LOCK_MUTEX ? "sync.Mutex" : "sync.RWMutex";
}

static enum status no_lock(enum lock_kind kind, uint64_t addr, struct error *err)
{
	return error_at(err, ERROR_FORMAT, addr, "the words are no %s's", lock_kind_name(kind));
}

enum status lock_state_read(struct runtime *rt, enum lock_kind kind, uint64_t addr,
			    struct lock_state *ret, struct error *err)
{
	uint8_t bytes[24];
	size_t size = kind == LOCK_MUTEX ? 8 : sizeof(bytes);
	if (memory_read(rt->target->memory, addr, bytes, size, err) != OK)
		return FAILED;
	uint32_t word = load_u32(bytes);
	struct lock_state state = {
		.kind = kind,
		.locked = word & MUTEX_LOCKED,
		.woken = word & MUTEX_WOKEN,
		.starving = word & MUTEX_STARVING,
		.waiters = word >> MUTEX_WAITER_SHIFT,
	};
	if (state.waiters > WAITERS_MAX)
		return no_lock(kind, addr, err);
	if (kind == LOCK_RWMUTEX) {
		int64_t count = (int32_t)load_u32(bytes + RWMUTEX_READER_COUNT);
		int64_t wait = (int32_t)load_u32(bytes + RWMUTEX_READER_COUNT + 4);
		bool has_writer = count < 0;
		int64_t readers = has_writer ? count + RWMUTEX_MAX_READERS : count;
		/* A writer that has announced itself waits until readerWait is 0; those readers hold
		 * the lock, and all others have come after it. */
		if (readers < 0 || readers > WAITERS_MAX || wait < 0 || wait > WAITERS_MAX)
			return no_lock(kind, addr, err);
		state.writer_waits = has_writer && wait > 0;
		state.locked = has_writer && wait == 0;
		state.readers = (uint32_t)(state.writer_waits ? wait : has_writer ? 0 : readers);
		state.readers_waiting =
			(uint32_t)(has_writer && readers > wait ? readers - wait : 0);
	}
	*ret = state;
	return OK;
}

void lock_state_text(const struct lock_state *state, struct text *text)
{
	if (state->locked)
		text_append(text, state->kind == LOCK_MUTEX ? "locked" : "locked for writing");
	else if (state->readers)
		text_printf(text, "%u reader%s", state->readers, state->readers == 1 ? "" : "s");
	else
		text_append(text, "unlocked");
	if (state->writer_waits)
		text_append(text, ", a writer waiting");
	if (state->readers_waiting)
		text_printf(text, ", %u reader%s waiting", state->readers_waiting,
			    state->readers_waiting == 1 ? "" : "s");
	if (state->waiters)
		text_printf(text, ", %u waiting", state->waiters);
	if (state->woken)
		text_append(text, ", one woken");
	if (state->starving)
		text_append(text, ", starving");
}

static bool lock_kind_of(struct runtime *rt, struct shape_ref ref, enum lock_kind *ret)
{
	const char *name = shape_name(rt, ref);
	if (!name)
		return false;
	*ret = strcmp(name, "sync.RWMutex") == 0 ? LOCK_RWMUTEX : LOCK_MUTEX;
	return *ret == LOCK_RWMUTEX || strcmp(name, "sync.Mutex") == 0;
}

struct part {
	struct shape_ref ref;
	uint64_t addr;
	struct lock_field at; /* within and path, so far */
};

struct parts {
	struct runtime *rt;
	struct part list[PARTS_MAX];
	size_t count;
};

static void add_parts(struct parts *parts, const struct part *whole, const struct shape *shape)
{
	struct shape_field *fields;
	struct shape elem;
	if (shape->kind == KIND_STRUCT) {
		const char *name = shape_name(parts->rt, whole->ref);
		bool is_named = name && strncmp(name, "struct {", 8) != 0;
		size_t count = shape_fields(parts->rt, shape, &fields);
		for (size_t i = count; i-- > 0 && parts->count < PARTS_MAX;) {
			struct part *part = &parts->list[parts->count++];
			const char *path = is_named ? "" : whole->at.path;
			char joined[sizeof(part->at.path)];
			if (snprintf(joined, sizeof(joined), "%s%s%s", path, *path ? "." : "",
				     fields[i].name) >= (int)sizeof(joined)) {
				parts->count--;
				continue;
			}
			*part = (struct part){.ref = fields[i].ref,
					      .addr = whole->addr + fields[i].offset,
					      .at.within = is_named ? whole->ref
								    : whole->at.within};
			strcpy(part->at.path, joined);
		}
		free(fields);
	} else if (shape->kind == KIND_ARRAY &&
		   shape_read(parts->rt, shape->elem, &elem, NULL) == OK) {
		for (uint64_t i = 0; i < shape->len && i < ELEMENTS_MAX && parts->count < PARTS_MAX;
		     i++) {
			struct part *part = &parts->list[parts->count++];
			*part = (struct part){
				.ref = shape->elem,
				.addr = whole->addr + i * elem.size,
				.at = whole->at,
			};
		}
	}
}

size_t lock_fields(struct runtime *rt, struct shape_ref ref, uint64_t addr, struct lock_field *ret,
		   size_t max)
{
	struct parts parts = {.rt = rt, .list = {{.ref = ref, .addr = addr}}, .count = 1};
	size_t found = 0;
	for (unsigned i = 0; parts.count && found < max && i < PARTS_MAX; i++) {
		struct part part = parts.list[--parts.count];
		struct shape shape;
		uint64_t pointer;
		enum lock_kind kind;
		if (lock_kind_of(rt, part.ref, &kind)) {
			ret[found] = part.at;
			ret[found].kind = kind;
			ret[found++].addr = part.addr;
			continue;
		}
		if (shape_read(rt, part.ref, &shape, NULL) != OK)
			continue;
		if (shape.kind != KIND_POINTER) {
			add_parts(&parts, &part, &shape);
		} else if (lock_kind_of(rt, shape.elem, &kind) &&
			   memory_read_u64(rt->target->memory, part.addr, &pointer, NULL) == OK &&
			   pointer) {
			ret[found] = part.at;
			ret[found].kind = kind;
			ret[found++].addr = pointer;
		}
	}
	return found;
}
