#include "maps/writers.h"

#include <string.h>

#include "base/arch.h"
#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
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

static const uint8_t *code_of(struct runtime *rt, const struct function *fn)
{
	if (fn->end <= fn->entry)
		return NULL;
	return memory_view(rt->target->memory, fn->entry, (size_t)(fn->end - fn->entry));
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

/* Whether the word of code at p (n bytes left) looks like a direct call of a map function. */
static bool calls_map_function(enum arch arch, const uint8_t *p, size_t n, uint64_t addr,
			       const struct map_callees *callees)
{
	if (arch == ARCH_AMD64)
		return n >= 5 && p[0] == 0xe8 &&
		       find_callee(callees, addr + 5 + (uint64_t)(int32_t)load_u32(p + 1));
	uint32_t word = n >= 4 ? load_u32(p) : 0;
	if (word >> 26 != 0x25) /* bl */
		return false;
	int64_t words = (int64_t)((uint64_t)word << 38) >> 38;
	return find_callee(callees, addr + (uint64_t)(words * 4)) != NULL;
}

/* The text is looked through for call instructions byte by byte first, and only functions with a hit
 * are decoded: a hit in the middle of an instruction costs time, never a wrong answer. */
enum status map_sites_in_program(struct runtime *rt, const struct map_callees *callees,
				 uint64_t type, bool writes_only, struct map_sites *ret,
				 struct error *err)
{
	uint64_t text = rt->module.text, etext = rt->module.etext;
	if (etext <= text || !callees->count)
		return OK;
	const uint8_t *code = memory_view(rt->target->memory, text, (size_t)(etext - text));
	AUTO_FUNCTION_CODE struct function_code *function = NULL;
	if (!code)
		return error_at(err, ERROR_FAULT, text, "the program's code is not at hand");
	enum arch arch = rt->target->arch;
	size_t step = arch == ARCH_AMD64 ? 1 : 4, size = (size_t)(etext - text);
	for (size_t i = 0; i < size; i += step) {
		if (arch == ARCH_AMD64) {
			const uint8_t *hit = memchr(code + i, 0xe8, size - i);
			if (!hit)
				break;
			i = (size_t)(hit - code);
		}
		struct function fn;
		if (!calls_map_function(arch, code + i, size - i, text + i, callees) ||
		    !pclntab_find(rt->pclntab, text + i, &fn))
			continue;
		size_t before = ret->count;
		if (sites_in_code(rt, callees, &fn, writes_only, &function, ret, err) != OK)
			return FAILED;
		size_t kept = before;
		for (size_t k = before; k < ret->count; k++)
			if (!type || !ret->list[k].type ||
			    map_types_alike(rt, ret->list[k].type, type))
				ret->list[kept++] = ret->list[k];
		ret->count = kept;
		if (fn.end > text + i + 1 && fn.end <= etext)
			i = (size_t)(fn.end - text) - step;
	}
	return OK;
}

void map_sites_done(struct map_sites *sites)
{
	free(sites->list);
	*sites = (struct map_sites){0};
}

bool map_types_alike(struct runtime *rt, uint64_t a, uint64_t b)
{
	struct map_type x, y;
	if (a == b)
		return true;
	return type_read_map(rt, a, &x, NULL) == OK && type_read_map(rt, b, &y, NULL) == OK &&
	       x.type.key == y.type.key && x.type.elem == y.type.elem && x.bucket == y.bucket;
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
	const uint8_t *code = code_of(rt, fn);
	struct callee_ref taken = {0}; /* a function value whose next call is still to come */
	if (!code)
		return count;
	for (uint64_t at = fn->entry; at < fn->end && count < max;) {
		struct insn insn;
		struct function callee;
		size_t pos = (size_t)(at - fn->entry);
		if (!insn_decode(rt->target->arch, code + pos, (size_t)(fn->end - at), at, &insn)) {
			at += insn_step(rt->target->arch);
			continue;
		}
		at += insn.length;
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
