#include "maps/writers.h"

#include <string.h>

#include "base/arch.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/u64set.h"
#include "go/callsite.h"
#include "go/references.h"
#include "go/type.h"
#include "insn/insn.h"

struct callee {
	uint64_t entry;
	struct map_function f;
};

struct map_callees {
	struct callee *list; /* by entry */
	size_t count, cap;
};

/* Functions of the runtime whose own calls of map functions are not the user's writes. */
static bool is_map_implementation(const char *name)
{
	return strncmp(name, "runtime.", 8) == 0 ||
	       strncmp(name, "internal/runtime/maps.", 22) == 0 ||
	       strncmp(name, "reflect.map", 11) == 0;
}

static int by_entry(const void *a, const void *b)
{
	const struct callee *x = a, *y = b;
	return (x->entry > y->entry) - (x->entry < y->entry);
}

enum status map_callees_new(struct runtime *rt, struct map_callees **ret, struct error *err)
{
	struct map_callees *callees = calloc(1, sizeof(*callees));
	if (!callees)
		return error_nomem(err);
	size_t n = pclntab_count(rt->pclntab);
	for (size_t i = 0; i < n; i++) {
		struct function fn;
		struct callee c;
		if (!pclntab_at(rt->pclntab, i, &fn) || !map_function_by_name(fn.name, &c.f))
			continue;
		c.entry = fn.entry;
		if (!ARRAY_PUSH(callees->list, callees->count, callees->cap, c)) {
			map_callees_free(callees);
			return error_nomem(err);
		}
	}
	if (callees->count)
		qsort(callees->list, callees->count, sizeof(*callees->list), by_entry);
	*ret = callees;
	return OK;
}

void map_callees_free(struct map_callees *callees)
{
	if (callees)
		free(callees->list);
	free(callees);
}

static const struct callee *find_callee(const struct map_callees *callees, uint64_t entry)
{
	struct callee key = {.entry = entry};
	if (!callees->count || entry < callees->list[0].entry ||
	    entry > callees->list[callees->count - 1].entry)
		return NULL;
	return bsearch(&key, callees->list, callees->count, sizeof(key), by_entry);
}

/* Whether a type is the stand-in that generic code has for several: map[go.shape.string]int. */
static bool is_shape(struct runtime *rt, uint64_t type)
{
	const char *name = type_name(rt, type);
	return name && strstr(name, "go.shape.");
}

/* Appends the calls in fn, decoded into *code where it has any. */
static enum status sites_in_code(struct runtime *rt, const struct map_callees *callees,
				 const struct function *fn, bool writes_only,
				 struct function_code **code, struct map_sites *ret,
				 struct error *err)
{
	const struct direct_call *calls;
	if (is_map_implementation(fn->name) || !function_code_read(rt, fn, code))
		return OK;
	size_t count = function_code_calls(*code, &calls);
	for (size_t i = 0; i < count; i++) {
		const struct callee *c = find_callee(callees, calls[i].target);
		if (!c || (writes_only && !operation_writes(c->f.operation)))
			continue;
		struct map_site site = {.call = calls[i].addr,
					.next = calls[i].next,
					.function = fn->index,
					.operation = c->f.operation,
					.callee = c->f};
		struct argument arg;
		if (c->f.type_word >= 0 &&
		    function_code_argument(*code, site.call, NULL, 0, 0, (unsigned)c->f.type_word,
					   &arg) &&
		    arg.source == ARGUMENT_CONSTANT)
			site.type = arg.value;
		if (site.type && is_shape(rt, site.type))
			site.how = SITE_SHAPE;
		if (!ARRAY_PUSH(ret->list, ret->count, ret->cap, site))
			return error_nomem(err);
	}
	return OK;
}

enum status map_sites_in_function(struct runtime *rt, const struct map_callees *callees,
				  const struct function *fn, bool writes_only,
				  struct map_sites *ret, struct error *err)
{
	AUTO_FUNCTION_CODE struct function_code *code = NULL;
	return sites_in_code(rt, callees, fn, writes_only, &code, ret, err);
}

struct program_search {
	struct runtime *rt;
	const struct map_callees *callees;
	uint64_t type;
	bool writes_only;
	struct function_code *code;
	struct map_sites *sites;
};

/* Appends the sites in fn that may be of the type that is searched for. */
static enum status search_function(void *context, const struct function *fn, struct error *err)
{
	struct program_search *s = context;
	struct map_sites *sites = s->sites;
	size_t kept = sites->count;
	if (sites_in_code(s->rt, s->callees, fn, s->writes_only, &s->code, sites, err) != OK)
		return FAILED;
	for (size_t k = kept; k < sites->count; k++)
		if (!s->type || !sites->list[k].type ||
		    map_types_alike(s->rt, sites->list[k].type, s->type))
			sites->list[kept++] = sites->list[k];
	sites->count = kept;
	return OK;
}

enum status map_sites_in_program(struct runtime *rt, const struct map_callees *callees,
				 uint64_t type, bool writes_only, struct map_sites *ret,
				 struct error *err)
{
	struct program_search search = {.rt = rt,
					.callees = callees,
					.type = type,
					.writes_only = writes_only,
					.sites = ret};
	struct u64set entries = U64SET_INIT;
	for (size_t i = 0; i < callees->count; i++)
		u64set_add(&entries, callees->list[i].entry);
	enum status status = entries.failed ? error_nomem(err)
					    : functions_referring(rt, &entries, true,
								  search_function, &search, err);
	u64set_done(&entries);
	function_code_free(search.code);
	return status;
}

void map_sites_done(struct map_sites *sites)
{
	free(sites->list);
	*sites = (struct map_sites){0};
}

/* A site in a method of reflect.Value, by the entry of the method. */
struct reflect_method {
	uint64_t entry;
	struct map_site site;
};

struct reflect_search {
	struct runtime *rt;
	struct reflect_method *methods;
	size_t method_count, method_cap;
	struct function_code *code;
	struct map_sites sites;
};

static enum status search_reflect(void *context, const struct function *fn, struct error *err)
{
	struct reflect_search *s = context;
	const struct direct_call *calls;
	/* The wrapper for pointers calls the method for values, on behalf of others. */
	if (fn->is_wrapper || !function_code_read(s->rt, fn, &s->code))
		return OK;
	size_t count = function_code_calls(s->code, &calls);
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < s->method_count; k++) {
			if (calls[i].target != s->methods[k].entry)
				continue;
			struct map_site site = s->methods[k].site;
			site.call = calls[i].addr;
			site.next = calls[i].next;
			site.function = fn->index;
			site.how = SITE_REFLECT;
			if (!ARRAY_PUSH(s->sites.list, s->sites.count, s->sites.cap, site))
				return error_nomem(err);
		}
	}
	return OK;
}

/* Keeps the method that fn is, with one site for each operation. */
static bool add_method(struct reflect_search *s, const struct function *fn,
		       const struct map_site *site)
{
	struct reflect_method method = {fn->entry, *site};
	method.site.callee.type_word = 0; /* Value.typ, the first word of the receiver */
	for (size_t i = 0; i < s->method_count; i++)
		if (s->methods[i].entry == fn->entry &&
		    s->methods[i].site.operation == site->operation)
			return true;
	return ARRAY_PUSH(s->methods, s->method_count, s->method_cap, method);
}

static int by_call(const void *a, const void *b)
{
	const struct map_site *x = a, *y = b;
	if (x->call != y->call)
		return x->call < y->call ? -1 : 1;
	return (x->operation > y->operation) - (x->operation < y->operation);
}

enum status map_sites_resolve_reflect(struct runtime *rt, struct map_sites *sites,
				      struct error *err)
{
	struct reflect_search search = {.rt = rt};
	struct u64set entries = U64SET_INIT;
	enum status status = OK;
	for (size_t i = 0; i < sites->count && status == OK; i++) {
		struct map_site site = sites->list[i];
		struct function fn;
		bool is_method = !site.type && pclntab_at(rt->pclntab, site.function, &fn) &&
				 strncmp(fn.name, "reflect.Value.", 14) == 0;
		if (is_method)
			u64set_add(&entries, fn.entry);
		bool ok = is_method ? add_method(&search, &fn, &site)
				    : ARRAY_PUSH(search.sites.list, search.sites.count,
						 search.sites.cap, site);
		if (!ok || entries.failed)
			status = error_nomem(err);
	}
	if (status == OK)
		status = functions_referring(rt, &entries, true, search_reflect, &search, err);
	if (status == OK) {
		map_sites_done(sites);
		if (search.sites.count)
			qsort(search.sites.list, search.sites.count, sizeof(*sites->list), by_call);
		*sites = search.sites;
	} else {
		map_sites_done(&search.sites);
	}
	free(search.methods);
	function_code_free(search.code);
	u64set_done(&entries);
	return status;
}

/* Whether values of the two types have one shape, as far as size and kind tell. */
static bool have_shape(struct runtime *rt, uint64_t a, uint64_t b)
{
	struct type x, y;
	return type_read(rt, a, &x, NULL) == OK && type_read(rt, b, &y, NULL) == OK &&
	       x.kind == y.kind && x.size == y.size && x.ptr_bytes == y.ptr_bytes;
}

bool map_types_alike(struct runtime *rt, uint64_t a, uint64_t b)
{
	struct map_type x, y;
	if (a == b)
		return true;
	if (type_read_map(rt, a, &x, NULL) != OK || type_read_map(rt, b, &y, NULL) != OK)
		return false;
	if (x.type.key == y.type.key && x.type.elem == y.type.elem && x.bucket == y.bucket)
		return true;
	return is_shape(rt, a) != is_shape(rt, b) && have_shape(rt, x.type.key, y.type.key) &&
	       have_shape(rt, x.type.elem, y.type.elem);
}

/* The function whose entry, or whose function value, the instruction takes the address of; 0. A
 * function value is a read-only word that holds the entry (cmd/compile: f·f symbols). */
static uint64_t function_taken(struct runtime *rt, const struct insn *insn)
{
	struct function fn;
	const struct insn_mem *mem = &insn->mem[insn->src[0].mem];
	if (insn->op != INSN_LEA || insn->src[0].kind != INSN_MEM || mem->base != INSN_PC ||
	    mem->index != INSN_NO_REG)
		return 0;
	uint64_t addr = (uint64_t)mem->disp, word;
	if (pclntab_find(rt->pclntab, addr, &fn))
		return fn.entry == addr ? addr : 0;
	if (addr % 8 || memory_read_u64(rt->target->memory, addr, &word, NULL) != OK)
		return 0;
	return pclntab_find(rt->pclntab, word, &fn) && fn.entry == word ? word : 0;
}

/* Calls that hand a function value to another goroutine, and ones that may stand between. */
static bool starts_elsewhere(const char *name)
{
	return strcmp(name, "runtime.newproc") == 0 || strcmp(name, "time.AfterFunc") == 0;
}

static bool is_write_barrier(const char *name)
{
	return strncmp(name, "runtime.gcWriteBarrier", 22) == 0 ||
	       strcmp(name, "runtime.newobject") == 0;
}

static size_t add_callee(struct callee_ref ref, struct callee_ref *ret, size_t count, size_t max)
{
	for (size_t i = 0; i < count; i++)
		if (ret[i].entry == ref.entry)
			return count;
	if (count < max)
		ret[count++] = ref;
	return count;
}

size_t function_callees(struct runtime *rt, const struct function *fn, size_t from,
			struct callee_ref *ret, size_t count, size_t max)
{
	struct insn_sweep sweep = function_sweep(rt, fn);
	struct callee_ref taken = {0}; /* a function value whose next call is still to come */
	sweep.full = true;
	for (struct insn insn; count < max && insn_sweep_next(&sweep, &insn);) {
		struct function callee;
		uint64_t entry = function_taken(rt, &insn);
		if (entry) {
			if (taken.entry)
				count = add_callee(taken, ret, count, max);
			taken = (struct callee_ref){entry, insn.addr, from};
		}
		if (insn.flow != INSN_CALL)
			continue;
		bool known = insn.has_target && pclntab_find(rt->pclntab, insn.target, &callee);
		if (known && is_write_barrier(callee.name))
			continue;
		if (taken.entry && !(known && starts_elsewhere(callee.name)))
			count = add_callee(taken, ret, count, max);
		taken.entry = 0;
		if (known)
			count = add_callee((struct callee_ref){callee.entry, insn.addr, from}, ret,
					   count, max);
	}
	return taken.entry ? add_callee(taken, ret, count, max) : count;
}
