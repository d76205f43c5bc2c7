#include "maps/hash.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "maps/hashkeys.h"

/* runtime/alg.go, on 64-bit machines. */
static const uint64_t C0 = 33054211828000289, C1 = 23344194077549503;

/* tflagRegularMemory: equal and hash can treat the type as plain bytes. */
enum { TFLAG_REGULAR_MEMORY = 8 };

enum {
	KEY_SIZE_MAX = 1 << 20, /* far above any key that a program would use */
	STEPS_MAX = 4096, /* pieces of one key; the same */
	VISITS_MAX =
		1 << 16, /* types looked at for one plan, so that no hostile one takes for ever */
	STRING_SIZE_MAX = 16 << 20, /* longer string keys are not read */
	/* Interfaces in a key may hold interfaces, and so on: a key deeper than this is not hashed. */
	INTERFACE_DEPTH_MAX = 16,
	DYNAMIC_BUCKETS = 256,
	DYNAMIC_MAX = 4096, /* types seen in interfaces; a hostile core could hold millions */
};

enum hash_op {
	OP_MEMORY, /* memhash */
	OP_MEMORY_32, /* memhash32 */
	OP_MEMORY_64,
	OP_FLOAT_32,
	OP_FLOAT_64,
	OP_STRING,
	OP_EFACE, /* nilinterhash */
	OP_IFACE, /* interhash */
};

struct hash_step {
	enum hash_op op;
	uint32_t off, size; /* in the key's bytes */
};

struct hash_plan {
	uint64_t type; /* of the key */
	bool by_typehash;
	bool direct_iface;
	uint64_t size;
	struct hash_step *steps;
	size_t count, cap;
	struct hash_plan *next; /* in its bucket */
};

struct hasher {
	struct runtime *rt;
	struct memhash_keys keys;
	struct hash_plan *plans[DYNAMIC_BUCKETS];
	size_t plan_count;
	uint8_t *scratch; /* for strings and values in interfaces that have no view */
	size_t scratch_cap;
};

enum status hasher_new(struct runtime *rt, struct hasher **ret, struct error *err)
{
	AUTO_FREE struct hasher *hasher = calloc(1, sizeof(*hasher));
	if (!hasher)
		return error_nomem(err);
	hasher->rt = rt;
	if (hashkeys_read(rt, &hasher->keys, err) != OK)
		return FAILED;
	*ret = TAKE(hasher);
	return OK;
}

static void plan_free(struct hash_plan *plan)
{
	free(plan->steps);
	free(plan);
}

void hasher_free(struct hasher *hasher)
{
	if (!hasher)
		return;
	for (unsigned i = 0; i < DYNAMIC_BUCKETS; i++) {
		for (struct hash_plan *p = hasher->plans[i], *next; p; p = next) {
			next = p->next;
			plan_free(p);
		}
	}
	free(hasher->scratch);
	free(hasher);
}

const struct memhash_keys *hasher_keys(const struct hasher *hasher)
{
	return &hasher->keys;
}

/* From a type to a plan. */

struct builder {
	struct runtime *rt;
	struct hash_plan *plan;
	unsigned visits;
	/* From 1.27 on: plain bytes that are not emitted yet, so that those which follow join them. */
	uint64_t run_off, run_size;
	struct error *err;
};

static enum status emit(struct builder *b, enum hash_op op, uint64_t off, uint64_t size)
{
	struct hash_plan *p = b->plan;
	struct hash_step step = {.op = op, .off = (uint32_t)off, .size = (uint32_t)size};
	if (size > p->size || off > p->size - size)
		return error_at(b->err, ERROR_FORMAT, p->type,
				"key type whose parts lie outside of it");
	if (p->count == STEPS_MAX)
		return error_set(b->err, ERROR_UNSUPPORTED, "a key of more than %d parts",
				 STEPS_MAX);
	return ARRAY_PUSH(p->steps, p->count, p->cap, step) ? OK : error_nomem(b->err);
}

/* Plain bytes as typehash and the compiler's fixed-size closures treat them. */
static enum status emit_sized(struct builder *b, uint64_t off, uint64_t size)
{
	enum hash_op op = size == 4 ? OP_MEMORY_32 : size == 8 ? OP_MEMORY_64 : OP_MEMORY;
	return emit(b, op, off, size);
}

static enum status read_type(struct builder *b, uint64_t addr, unsigned depth, struct type *ret)
{
	if (depth == TYPE_DEPTH_MAX || ++b->visits > VISITS_MAX)
		return error_set(b->err, ERROR_UNSUPPORTED, "a key type that is too deep");
	return type_read(b->rt, addr, ret, b->err);
}

/* The kinds that hash alike everywhere; *ret_done false for array, struct and plain bytes. */
static enum status emit_simple(struct builder *b, const struct type *t, uint64_t off,
			       bool *ret_done)
{
	*ret_done = true;
	switch (t->kind) {
	case KIND_FLOAT32:
		return emit(b, OP_FLOAT_32, off, 4);
	case KIND_FLOAT64:
		return emit(b, OP_FLOAT_64, off, 8);
	case KIND_COMPLEX64:
		return emit(b, OP_FLOAT_32, off, 4) == OK ? emit(b, OP_FLOAT_32, off + 4, 4)
							  : FAILED;
	case KIND_COMPLEX128:
		return emit(b, OP_FLOAT_64, off, 8) == OK ? emit(b, OP_FLOAT_64, off + 8, 8)
							  : FAILED;
	case KIND_STRING:
		return emit(b, OP_STRING, off, 16);
	case KIND_INTERFACE:
		return emit(b, t->method_count ? OP_IFACE : OP_EFACE, off, 16);
	case KIND_SLICE:
	case KIND_MAP:
	case KIND_FUNC:
		return error_at(b->err, ERROR_UNSUPPORTED, t->addr, "a key type of kind %s",
				kind_name(t->kind));
	default:
		*ret_done = false;
		return OK;
	}
}

static bool is_blank(const struct field *field)
{
	return strcmp(field->name, "_") == 0;
}

/* runtime/alg.go, typehash. */
static enum status add_typehash(struct builder *b, uint64_t addr, uint64_t off, unsigned depth)
{
	struct type t;
	bool done;
	if (read_type(b, addr, depth, &t) != OK)
		return FAILED;
	if (t.tflag & TFLAG_REGULAR_MEMORY)
		return emit_sized(b, off, t.size);
	if (emit_simple(b, &t, off, &done) != OK)
		return FAILED;
	if (done)
		return OK;
	if (t.kind == KIND_ARRAY) {
		struct type elem;
		if (read_type(b, t.elem, depth, &elem) != OK)
			return FAILED;
		for (uint64_t i = 0; i < t.len; i++) {
			if (add_typehash(b, t.elem, off + i * elem.size, depth + 1) != OK)
				return FAILED;
		}
		return OK;
	}
	for (uint64_t i = 0; t.kind == KIND_STRUCT && i < t.len; i++) {
		struct field f;
		if (type_field(b->rt, &t, i, &f, b->err) != OK)
			return FAILED;
		if (!is_blank(&f) && add_typehash(b, f.type, off + f.offset, depth + 1) != OK)
			return FAILED;
	}
	return OK;
}

static enum status add_closure(struct builder *b, uint64_t addr, uint64_t off, unsigned depth);

/* cmd/compile/internal/compare, Memrun: from field first on, how many bytes are hashed at once; a run
 * ends before a blank or not plain field and behind one that padding follows. */
static enum status memrun(struct builder *b, const struct type *t, uint64_t first, unsigned depth,
			  uint64_t *ret_end, uint64_t *ret_next)
{
	struct field f, next;
	struct type ft;
	uint64_t i = first;
	if (type_field(b->rt, t, i, &f, b->err) != OK || read_type(b, f.type, depth, &ft) != OK)
		return FAILED;
	for (;;) {
		*ret_end = f.offset + ft.size;
		*ret_next = ++i;
		if (i == t->len)
			return OK;
		if (type_field(b->rt, t, i, &next, b->err) != OK ||
		    read_type(b, next.type, depth, &ft) != OK)
			return FAILED;
		if (next.offset != *ret_end || is_blank(&next) ||
		    !(ft.tflag & TFLAG_REGULAR_MEMORY))
			return OK;
		f = next;
	}
}

/* cmd/compile/internal/reflectdata/alg.go up to 1.26, hashFunc for a struct. */
static enum status add_struct(struct builder *b, const struct type *t, uint64_t off, unsigned depth)
{
	for (uint64_t i = 0, next; i < t->len; i = next) {
		struct field f;
		struct type ft;
		uint64_t end;
		next = i + 1;
		if (type_field(b->rt, t, i, &f, b->err) != OK)
			return FAILED;
		if (is_blank(&f))
			continue;
		if (read_type(b, f.type, depth + 1, &ft) != OK)
			return FAILED;
		if (!(ft.tflag & TFLAG_REGULAR_MEMORY)) {
			if (add_closure(b, f.type, off + f.offset, depth + 1) != OK)
				return FAILED;
			continue;
		}
		/* hashmem: memhash whatever the size. */
		if (memrun(b, t, i, depth + 1, &end, &next) != OK ||
		    emit(b, OP_MEMORY, off + f.offset, end - f.offset) != OK)
			return FAILED;
	}
	return OK;
}

/* The same, genhash and hashfor. */
static enum status add_closure(struct builder *b, uint64_t addr, uint64_t off, unsigned depth)
{
	struct type t, elem;
	bool done;
	if (read_type(b, addr, depth, &t) != OK)
		return FAILED;
	if (t.tflag & TFLAG_REGULAR_MEMORY)
		return t.size ? emit_sized(b, off, t.size) : OK; /* memhash0 is the seed */
	if (emit_simple(b, &t, off, &done) != OK)
		return FAILED;
	if (done)
		return OK;
	if (t.kind == KIND_STRUCT)
		return add_struct(b, &t, off, depth);
	if (t.kind != KIND_ARRAY || read_type(b, t.elem, depth, &elem) != OK)
		return t.kind != KIND_ARRAY ? OK : FAILED;
	for (uint64_t i = 0; i < t.len; i++) {
		if (add_closure(b, t.elem, off + i * elem.size, depth + 1) != OK)
			return FAILED;
	}
	return OK;
}

/* From 1.27 on a type's hash function follows from its signature (alg.go, eqSignature): plain bytes that
 * lie beside each other are hashed at once, across the borders of structs and arrays. */

static enum status flush_run(struct builder *b)
{
	uint64_t size = b->run_size;
	b->run_size = 0;
	return size ? emit_sized(b, b->run_off, size) : OK;
}

static enum status add_plain(struct builder *b, uint64_t off, uint64_t size)
{
	if (!size)
		return OK;
	if (b->run_size && off != b->run_off + b->run_size && flush_run(b) != OK)
		return FAILED;
	if (!b->run_size)
		b->run_off = off;
	b->run_size += size;
	return OK;
}

static enum status add_signature(struct builder *b, uint64_t addr, uint64_t off, unsigned depth);

static enum status add_signature_array(struct builder *b, const struct type *t, uint64_t off,
				       unsigned depth)
{
	struct type elem;
	if (t->tflag & TFLAG_REGULAR_MEMORY)
		return add_plain(b, off, t->size);
	if (read_type(b, t->elem, depth, &elem) != OK)
		return FAILED;
	if (!elem.size)
		return OK;
	/* eqSigBuilder.build: a loop around unroll elements, after those that do not fill one round. */
	enum { UNROLL_SIZE = 32 };
	uint64_t unroll = elem.size < UNROLL_SIZE ? UNROLL_SIZE / elem.size : 1;
	uint64_t rest = t->len % unroll;
	bool loop = t->len - rest > unroll;
	for (uint64_t i = 0; i < t->len; i++) {
		bool border = loop && i >= rest && (i - rest) % unroll == 0;
		if ((border && flush_run(b) != OK) ||
		    add_signature(b, t->elem, off + i * elem.size, depth + 1) != OK)
			return FAILED;
	}
	return loop ? flush_run(b) : OK;
}

static enum status add_signature(struct builder *b, uint64_t addr, uint64_t off, unsigned depth)
{
	struct type t;
	bool done;
	if (read_type(b, addr, depth, &t) != OK)
		return FAILED;
	if (t.kind == KIND_ARRAY)
		return add_signature_array(b, &t, off, depth);
	if (t.kind == KIND_STRUCT) {
		for (uint64_t i = 0; i < t.len; i++) {
			struct field f;
			if (type_field(b->rt, &t, i, &f, b->err) != OK)
				return FAILED;
			if (!is_blank(&f) &&
			    add_signature(b, f.type, off + f.offset, depth + 1) != OK)
				return FAILED;
		}
		return OK;
	}
	switch (t.kind) {
	case KIND_FLOAT32:
	case KIND_FLOAT64:
	case KIND_COMPLEX64:
	case KIND_COMPLEX128:
	case KIND_STRING:
	case KIND_INTERFACE:
		if (flush_run(b) != OK)
			return FAILED;
		return emit_simple(b, &t, off, &done);
	case KIND_SLICE:
	case KIND_MAP:
	case KIND_FUNC:
		return emit_simple(b, &t, off, &done);
	default:
		return add_plain(b, off, t.size);
	}
}

static enum status build(struct builder *b, uint64_t type, bool by_typehash)
{
	if (by_typehash)
		return add_typehash(b, type, 0, 0);
	if (b->rt->version.minor < 27)
		return add_closure(b, type, 0, 0);
	return add_signature(b, type, 0, 0) == OK ? flush_run(b) : FAILED;
}

/* The plan for keys of a type, made at the first call. */
static enum status plan_for(struct hasher *hasher, uint64_t type, bool by_typehash,
			    const struct hash_plan **ret, struct error *err)
{
	struct hash_plan **bucket = &hasher->plans[(type >> 5) % DYNAMIC_BUCKETS];
	for (struct hash_plan *p = *bucket; p; p = p->next) {
		if (p->type == type && p->by_typehash == by_typehash) {
			*ret = p;
			return OK;
		}
	}
	struct type t;
	if (type_read(hasher->rt, type, &t, err) != OK)
		return FAILED;
	if (!t.equal)
		return error_at(err, ERROR_UNSUPPORTED, type, "a key type without ==");
	if (t.size > KEY_SIZE_MAX)
		return error_at(err, ERROR_UNSUPPORTED, type, "a key of %" PRIu64 " bytes", t.size);
	if (hasher->plan_count == DYNAMIC_MAX)
		return error_set(err, ERROR_LIMIT, "keys of more than %d types", DYNAMIC_MAX);
	struct hash_plan *plan = calloc(1, sizeof(*plan));
	if (!plan)
		return error_nomem(err);
	plan->type = type;
	plan->by_typehash = by_typehash;
	plan->direct_iface = t.direct_iface;
	plan->size = t.size;
	struct builder b = {.rt = hasher->rt, .plan = plan, .err = err};
	if (build(&b, type, by_typehash) != OK) {
		plan_free(plan);
		return FAILED;
	}
	plan->next = *bucket;
	*bucket = plan;
	hasher->plan_count++;
	*ret = plan;
	return OK;
}

enum status hasher_plan(struct hasher *hasher, const struct map_type *type,
			const struct hash_plan **ret, struct error *err)
{
	/* The hasher is a func value, whose first word is its code. */
	struct function fn;
	uint64_t code;
	bool by_typehash = false;
	if (memory_read_u64(hasher->rt->target->memory, type->hasher, &code, err) != OK)
		return error_prefix(err, "hash function of the map type");
	if (pclntab_find(hasher->rt->pclntab, code, &fn))
		by_typehash = strncmp(fn.name, "reflect.MapOf", strlen("reflect.MapOf")) == 0;
	return plan_for(hasher, type->type.key, by_typehash, ret, err);
}

/* From a plan and a key to a hash. */

static enum hash_result hash_steps(struct hasher *hasher, const struct hash_plan *plan,
				   const uint8_t *key, uint64_t h, unsigned depth, uint64_t *ret);

/* f32hash and f64hash: +0 and -0 are equal, so they hash alike. */
static enum hash_result hash_float(const struct memhash_keys *keys, double value, const uint8_t *p,
				   size_t size, uint64_t *h)
{
	if (isnan(value))
		return HASH_RANDOM;
	*h = value == 0 ? C1 * (C0 ^ *h) : memhash(keys, p, size, *h);
	return HASH_OK;
}

/* n bytes of the target; NULL where they are not there. The pointer is good until the next call. */
static const uint8_t *target_bytes(struct hasher *hasher, uint64_t addr, uint64_t n)
{
	struct memory *memory = hasher->rt->target->memory;
	const uint8_t *view = memory_view(memory, addr, n);
	if (view)
		return view;
	if (n > hasher->scratch_cap) {
		/* Only as much as is there is allocated. */
		uint8_t last;
		if (memory_read_u8(memory, addr + n - 1, &last, NULL) != OK)
			return NULL;
		uint8_t *grown = realloc(hasher->scratch, n);
		if (!grown)
			return NULL;
		hasher->scratch = grown;
		hasher->scratch_cap = n;
	}
	return memory_read(memory, addr, hasher->scratch, n, NULL) == OK ? hasher->scratch : NULL;
}

static enum hash_result hash_string(struct hasher *hasher, const uint8_t *p, uint64_t *h)
{
	uint64_t addr = load_u64(p), n = load_u64(p + 8);
	const uint8_t *bytes = (const uint8_t *)"";
	if (n > STRING_SIZE_MAX)
		return HASH_UNREADABLE;
	if (n && !(bytes = target_bytes(hasher, addr, n)))
		return HASH_UNREADABLE;
	*h = memhash(&hasher->keys, bytes, n, *h);
	return HASH_OK;
}

/* interhash and nilinterhash. */
static enum hash_result hash_interface(struct hasher *hasher, const uint8_t *p, bool has_itab,
				       unsigned depth, uint64_t *h)
{
	uint64_t type = load_u64(p), data = load_u64(p + 8);
	const struct hash_plan *plan;
	if (!type)
		return HASH_OK;
	if (has_itab && !type_of_itab(hasher->rt, type, &type))
		return HASH_UNREADABLE;
	if (depth == INTERFACE_DEPTH_MAX || plan_for(hasher, type, true, &plan, NULL) != OK)
		return HASH_UNKNOWN;
	AUTO_FREE uint8_t *copy = NULL;
	const uint8_t *value = p + 8;
	if (!plan->direct_iface) {
		/* Copied: the scratch is needed again for what the value leads to. */
		copy = malloc(plan->size ? plan->size : 1);
		if (!copy ||
		    memory_read(hasher->rt->target->memory, data, copy, plan->size, NULL) != OK)
			return HASH_UNREADABLE;
		value = copy;
	} else if (plan->size > 8) {
		return HASH_UNKNOWN;
	}
	uint64_t inner;
	enum hash_result result = hash_steps(hasher, plan, value, *h ^ C0, depth + 1, &inner);
	*h = C1 * inner;
	return result;
}

static enum hash_result hash_step(struct hasher *hasher, const struct hash_step *s,
				  const uint8_t *p, unsigned depth, uint64_t *h)
{
	float f;
	double d;
	switch (s->op) {
	case OP_MEMORY:
		*h = memhash(&hasher->keys, p, s->size, *h);
		return HASH_OK;
	case OP_MEMORY_32:
		*h = memhash32(&hasher->keys, p, *h);
		return HASH_OK;
	case OP_MEMORY_64:
		*h = memhash64(&hasher->keys, p, *h);
		return HASH_OK;
	case OP_FLOAT_32:
		memcpy(&f, p, sizeof(f));
		return hash_float(&hasher->keys, (double)f, p, 4, h);
	case OP_FLOAT_64:
		memcpy(&d, p, sizeof(d));
		return hash_float(&hasher->keys, d, p, 8, h);
	case OP_STRING:
		return hash_string(hasher, p, h);
	case OP_EFACE:
	case OP_IFACE:
		return hash_interface(hasher, p, s->op == OP_IFACE, depth, h);
	}
	return HASH_UNKNOWN;
}

static enum hash_result hash_steps(struct hasher *hasher, const struct hash_plan *plan,
				   const uint8_t *key, uint64_t h, unsigned depth, uint64_t *ret)
{
	*ret = h;
	for (size_t i = 0; i < plan->count; i++) {
		enum hash_result result =
			hash_step(hasher, &plan->steps[i], key + plan->steps[i].off, depth, ret);
		if (result != HASH_OK)
			return result;
	}
	return HASH_OK;
}

enum hash_result hash_key(struct hasher *hasher, const struct hash_plan *plan, const void *key,
			  uint64_t seed, uint64_t *ret)
{
	return hash_steps(hasher, plan, key, seed, 0, ret);
}
