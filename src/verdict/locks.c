#include "verdict/locks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/variable.h"

/* Locks of one struct, or of one variable. */
enum { FIELDS_MAX = 32 };

/* The name of the lock among fields that is at addr. variable: what they are part of, or NULL. */
static char *name_among(struct runtime *rt, const struct lock_field *fields, size_t count,
			uint64_t addr, enum lock_kind kind, const char *variable)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	for (size_t i = 0; i < count; i++) {
		const struct lock_field *f = &fields[i];
		if (f->addr != addr || f->kind != kind)
			continue;
		if ((f->within.type || f->within.die) &&
		    owner_field_name(rt, f->within, f->path, &text))
			return text_take(&text);
		if (variable) {
			text_printf(&text, "%s%s%s", variable, f->path[0] ? "." : "", f->path);
			return text_take(&text);
		}
	}
	return NULL;
}

static char *name_global(struct runtime *rt, uint64_t addr, enum lock_kind kind)
{
	struct lock_field fields[FIELDS_MAX];
	struct variable var;
	uint64_t offset;
	char *name = NULL;
	if (!variable_global_at(rt, addr, &var, &offset))
		return NULL;
	if (var.type || var.type_die) {
		struct shape_ref ref = {var.type, var.type ? 0 : var.type_die};
		size_t count = lock_fields(rt, ref, var.addr, fields, FIELDS_MAX);
		name = name_among(rt, fields, count, addr, kind, var.name);
	} else if (!offset) {
		name = TAKE(var.name);
	}
	variable_done(&var);
	return name;
}

/* By the variables of a frame: one that is the lock, or a struct with it, or a pointer to that. */
static char *name_local(struct runtime *rt, const struct frame *frame, uint64_t addr,
			enum lock_kind kind)
{
	struct lock_field fields[FIELDS_MAX];
	struct variable *list = NULL;
	char *name = NULL;
	size_t n = variables_of_frame(rt, frame, &list);
	for (size_t i = 0; i < n && !name; i++) {
		struct shape_ref ref = {list[i].type, list[i].type ? 0 : list[i].type_die};
		const char *own = list[i].name[0] == '&' ? list[i].name + 1 : list[i].name;
		uint64_t at = list[i].addr;
		struct shape shape;
		char variable[256];
		snprintf(variable, sizeof(variable), "%s.%s",
			 list[i].function ? list[i].function : "?", own);
		if (shape_read(rt, ref, &shape, NULL) != OK)
			continue;
		if (shape.kind == KIND_POINTER && list[i].has_value) {
			ref = shape.elem;
			at = list[i].value;
		}
		if (!at || at > addr)
			continue;
		size_t count = lock_fields(rt, ref, at, fields, FIELDS_MAX);
		name = name_among(rt, fields, count, addr, kind, variable);
	}
	variables_free(list, n);
	return name;
}

/* By the type of the object that the lock is a field of: the method's receiver, or one that the function
 * has made. */
static char *name_by_type(struct runtime *rt, const struct step *step, flow_id id,
			  enum lock_kind kind)
{
	struct lock_field fields[FIELDS_MAX];
	struct shape_ref ref = {0};
	struct function callee;
	const struct flow_value *v = dataflow_value(step->flow, id), *base = v;
	if (v->kind == FLOW_OFFSET)
		base = dataflow_value(step->flow, v->base);
	if (base->kind == FLOW_ARG && base->n == receiver_is_second(step->fn.name)) {
		if (!receiver_of_name(rt, step->fn.name, &ref))
			return NULL;
	} else if (base->kind == FLOW_RESULT && base->n == 0 &&
		   dataflow_callee(step->flow, base->call, &callee) &&
		   strcmp(callee.name, "runtime.newobject") == 0) {
		flow_id type = dataflow_call_argument(step->flow, base->call, 0);
		if (dataflow_value(step->flow, type)->kind == FLOW_NUMBER)
			ref.type = (uint64_t)dataflow_value(step->flow, type)->n;
	}
	if (!ref.type && !ref.die)
		return NULL;
	size_t count = lock_fields(rt, ref, 0, fields, FIELDS_MAX);
	return name_among(rt, fields, count, v->kind == FLOW_OFFSET ? (uint64_t)v->n : 0, kind,
			  NULL);
}

static char *name_lock(struct steps *steps, size_t i, flow_id id, uint64_t addr,
		       enum lock_kind kind, const struct lock_field *owned, size_t owned_count)
{
	struct runtime *rt = steps->rt;
	char *name = addr ? name_among(rt, owned, owned_count, addr, kind, NULL) : NULL;
	if (!name)
		name = name_by_type(rt, &steps->list[i], id, kind);
	if (!name && addr)
		name = name_global(rt, addr, kind);
	for (size_t k = i; !name && addr && k < steps->count; k++)
		if (steps->list[k].frame)
			name = name_local(rt, steps->list[k].frame, addr, kind);
	return name;
}

static bool push_lock(struct access *a, size_t *cap, struct side_lock lock)
{
	if (ARRAY_PUSH(a->locks, a->lock_count, *cap, lock))
		return true;
	free(lock.name);
	free(lock.state);
	return false;
}

/* The state of a lock in words; *ret_held tells whether somebody has it in the way that read says. */
static char *state_of(struct runtime *rt, enum lock_kind kind, uint64_t addr, bool read,
		      bool *ret_held)
{
	struct lock_state state;
	AUTO_TEXT struct text text = TEXT_INIT;
	*ret_held = false;
	if (lock_state_read(rt, kind, addr, &state, NULL) != OK)
		return NULL;
	*ret_held = read ? state.readers > 0 : state.locked;
	lock_state_text(&state, &text);
	return text_take(&text);
}

/* The source place of a lock's call: outside of package sync, which may be inlined there. */
static struct site site_of_lock(struct runtime *rt, uint64_t pc)
{
	struct function fn;
	struct source_frame source[SOURCE_FRAMES_MAX];
	struct site site = {.pc = pc};
	size_t n = pclntab_find(rt->pclntab, pc, &fn) ? pclntab_source(rt->pclntab, &fn, pc, source)
						      : 0;
	size_t i = 0;
	while (i + 1 < n && (strncmp(source[i].function, "sync.", 5) == 0 ||
			     strncmp(source[i].function, "internal/sync.", 14) == 0))
		i++;
	if (n) {
		site.function = source[i].function;
		site.file = source[i].file;
		site.line = source[i].line;
	}
	return site;
}

/* Adds what step i holds. */
static enum status add_held(struct steps *steps, struct lockflow *locks, size_t i,
			    const struct lock_field *owned, size_t owned_count, bool is_now,
			    struct access *a, size_t *cap, struct error *err)
{
	AUTO_LOCK_HOLDS struct lock_holds holds = {0};
	struct step *step = &steps->list[i];
	a->locks_unfollowed += lockflow_unfollowed(locks, &step->fn, step->at);
	if (!lockflow_uses_locks(locks, &step->fn))
		return OK;
	struct error why;
	if (!step_open(steps, step) ||
	    lockflow_before(locks, step->flow, step->at, &holds, &why) != OK) {
		a->locks_known = false;
		return OK;
	}
	for (size_t k = 0; k < holds.count; k++) {
		const struct lock_hold *hold = &holds.list[k];
		struct side_lock lock = {
			.kind = hold->kind,
			.held = true,
			.certain = hold->certain && !step->deferred,
			.read = hold->read,
			.taken_by = site_of_lock(steps->rt, hold->at),
		};
		bool stands = false;
		if (hold->lock && step_value(steps, i, hold->lock, &lock.addr))
			lock.state = state_of(steps->rt, lock.kind, lock.addr, lock.read, &stands);
		/* Its owner is here: where the lock's own words say that nobody has it, this is not
		 * the lock that the code took. */
		if (lock.addr && is_now && lock.certain && !stands) {
			free(lock.state);
			lock.state = NULL;
			lock.addr = 0;
			lock.certain = false;
		}
		lock.name =
			name_lock(steps, i, hold->lock, lock.addr, lock.kind, owned, owned_count);
		if (!push_lock(a, cap, lock))
			return error_nomem(err);
	}
	return OK;
}

static bool has_lock(const struct access *a, uint64_t addr)
{
	for (size_t i = 0; i < a->lock_count; i++)
		if (a->locks[i].addr == addr)
			return true;
	return false;
}

enum status access_locks(struct runtime *rt, struct lockflow *locks, const struct lock_way *way,
			 const struct map_owner *owner, struct access *a, struct error *err)
{
	AUTO_STEPS struct steps *steps = NULL;
	struct lock_field owned[FIELDS_MAX];
	size_t owned_count = 0, cap = 0;
	if (steps_new(rt, way, &steps, err) != OK)
		return FAILED;
	if (owner && owner->object)
		owned_count = lock_fields(rt, owner->object_type, owner->object, owned, FIELDS_MAX);
	a->locks_known = !steps->cut && steps->count;
	for (size_t i = 0; i < steps->count; i++)
		if (add_held(steps, locks, i, owned, owned_count, way->is_now, a, &cap, err) != OK)
			return FAILED;
	for (size_t i = 0; i < owned_count; i++) {
		bool held;
		if (has_lock(a, owned[i].addr))
			continue;
		struct side_lock lock = {
			.kind = owned[i].kind,
			.addr = owned[i].addr,
			.state = state_of(rt, owned[i].kind, owned[i].addr, false, &held),
			.name = name_among(rt, owned, owned_count, owned[i].addr, owned[i].kind,
					   NULL),
		};
		if (!push_lock(a, &cap, lock))
			return error_nomem(err);
	}
	return OK;
}

/* What one side's locks are, in sum. */
struct sum {
	const struct access *access;
	size_t held, uncertain; /* locks; uncertain ones are not in held */
	bool all_addressed; /* each held one has an address */
	const struct side_lock *first; /* held; NULL none */
};

static struct sum sum_of(const struct access *a)
{
	struct sum sum = {.access = a, .all_addressed = true};
	for (size_t i = 0; i < a->lock_count; i++) {
		const struct side_lock *lock = &a->locks[i];
		if (!lock->held)
			continue;
		if (!lock->certain) {
			sum.uncertain++;
			continue;
		}
		sum.held++;
		sum.all_addressed &= lock->addr != 0;
		if (!sum.first)
			sum.first = lock;
	}
	return sum;
}

static bool takes_none(const struct sum *sum)
{
	return sum->access->locks_known && !sum->held && !sum->uncertain;
}

static const char *lock_words(const struct side_lock *lock)
{
	return lock->name ? lock->name : lock_kind_name(lock->kind);
}

/* A lock that both hold and that excludes one from the other. */
static const struct side_lock *common_lock(const struct access *a, const struct access *b)
{
	for (size_t i = 0; i < a->lock_count; i++) {
		for (size_t k = 0; k < b->lock_count; k++) {
			const struct side_lock *x = &a->locks[i], *y = &b->locks[k];
			if (x->held && y->held && x->certain && y->certain && x->addr &&
			    x->addr == y->addr && !(x->read && y->read))
				return x;
		}
	}
	return NULL;
}

/* The lock by which a side that writes holds off writers only. */
static const struct side_lock *read_lock_of_writer(const struct access *a)
{
	const struct side_lock *found = NULL;
	if (!operation_writes(a->operation))
		return NULL;
	for (size_t i = 0; i < a->lock_count; i++) {
		if (!a->locks[i].held)
			continue;
		if (!a->locks[i].read)
			return NULL; /* whatever that one protects */
		if (a->locks[i].certain)
			found = &a->locks[i];
	}
	return found;
}

static enum status say(struct verdict *v, enum locking locking, struct text *text,
		       struct error *err)
{
	v->locking = locking;
	v->locking_text = text_take(text);
	return v->locking_text ? OK : error_nomem(err);
}

static enum status compare(struct verdict *v, struct text *text, struct error *err)
{
	const struct access *d = &v->detector, *o = &v->other;
	struct sum ds = sum_of(d), os = sum_of(o);
	const struct side_lock *lock = common_lock(d, o);
	if (lock) {
		text_printf(text,
			    "both sides take %s, so it is not at these two lines that they met",
			    lock_words(lock));
		return say(v, LOCKING_SAME, text, err);
	}
	const struct access *writer = read_lock_of_writer(d) ? d : o;
	lock = read_lock_of_writer(writer);
	if (lock) {
		text_printf(text,
			    "goroutine %llu writes the map under RLock of %s, which many can have "
			    "at once",
			    (unsigned long long)writer->goroutine, lock_words(lock));
		return say(v, LOCKING_READ, text, err);
	}
	if (takes_none(&ds) && takes_none(&os)) {
		text_append(text, "neither side takes a lock");
		return say(v, LOCKING_NONE, text, err);
	}
	if ((ds.held && takes_none(&os)) || (os.held && takes_none(&ds))) {
		const struct sum *with = ds.held ? &ds : &os;
		text_printf(text, "goroutine %llu takes %s, the other side takes no lock",
			    (unsigned long long)with->access->goroutine, lock_words(with->first));
		return say(v, LOCKING_ONE_SIDE, text, err);
	}
	if (!ds.held || !os.held || ds.uncertain || os.uncertain || !ds.all_addressed ||
	    !os.all_addressed || !d->locks_known || !o->locks_known)
		return OK;
	const char *a = lock_words(ds.first), *b = lock_words(os.first);
	if (strcmp(a, b) == 0)
		text_printf(text, "both sides take %s, but not the same one: 0x%llx and 0x%llx", a,
			    (unsigned long long)ds.first->addr, (unsigned long long)os.first->addr);
	else
		text_printf(text, "both sides lock, but different locks: %s and %s", a, b);
	return say(v, LOCKING_DIFFERENT, text, err);
}

enum status verdict_compare_locks(struct verdict *v, struct error *err)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	if (!v->has_detector || !v->has_other)
		return OK;
	return compare(v, &text, err);
}
