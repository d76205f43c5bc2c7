#include "maps/hashkeys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "insn/insn.h"
#include "maps/coderefs.h"

/* The hash functions are short: memhashFallback, the longest, has less than 1 KB. */
enum { CODE_MAX = 8192 };

/* Addresses of the three variables, 0 where not found. */
struct addresses {
	uint64_t use_aes, schedule, hashkey;
};

static bool is_global(const struct module *m, uint64_t addr)
{
	return addr >= m->noptrdata && addr < m->enoptrbss;
}

/* Finds the lowest address of global data, other than the one at but, that the function called name
 * refers to in the given way: of exactly size bytes, or at least 8 where size is 8. false where there is
 * none. */
static bool lowest_reference(struct runtime *rt, const char *name, unsigned size, uint64_t but,
			     uint64_t *ret)
{
	struct function fn;
	uint8_t code[CODE_MAX];
	struct code_registers registers = {0};
	bool found = false;
	if (!pclntab_by_name(rt->pclntab, name, &fn) || fn.end <= fn.entry)
		return false;
	size_t n = fn.end - fn.entry < CODE_MAX ? fn.end - fn.entry : CODE_MAX;
	if (memory_read(rt->target->memory, fn.entry, code, n, NULL) != OK)
		return false;
	for (size_t at = 0, length; at < n; at += length ? length : insn_step(rt->target->arch)) {
		struct code_reference refs[CODE_REFERENCES_MAX];
		size_t count = code_references(rt->target->arch, code + at, n - at, fn.entry + at,
					       &registers, refs, &length);
		for (size_t i = 0; i < count; i++) {
			bool fits = size == 8 ? refs[i].size >= 8 || refs[i].size == 0
					      : refs[i].size == size;
			if (fits && refs[i].addr != but && is_global(&rt->module, refs[i].addr) &&
			    (!found || refs[i].addr < *ret)) {
				*ret = refs[i].addr;
				found = true;
			}
		}
	}
	return found;
}

static uint64_t symbol_addr(const struct runtime *rt, const char *name)
{
	struct symbol symbol;
	return target_symbol(rt->target, name, &symbol) ? symbol.addr : 0;
}

static struct addresses by_symbol(const struct runtime *rt)
{
	if (rt->version.minor >= 27)
		return (struct addresses){
			symbol_addr(rt, "internal/runtime/maps.UseAeshash"),
			symbol_addr(rt, "internal/runtime/maps.aeskeysched"),
			symbol_addr(rt, "internal/runtime/maps.hashkey"),
		};
	return (struct addresses){
		symbol_addr(rt, "runtime.useAeshash"),
		symbol_addr(rt, "runtime.aeskeysched"),
		symbol_addr(rt, "runtime.hashkey"),
	};
}

/* memhash64 tests useAeshash and uses the first words of aeskeysched; memhashFallback uses hashkey from
 * its first word on. amd64 uses the schedule in place, 16 bytes at a time; arm64 takes its address. */
static struct addresses by_code(struct runtime *rt)
{
	bool split = rt->version.minor >= 27;
	const char *test = split ? "internal/runtime/maps.MemHash64" : "runtime.memhash64";
	const char *aes = split ? "internal/runtime/maps.memHash64AES" : "runtime.memhash64";
	const char *fallback = split ? "internal/runtime/maps.memHashFallback"
				     : "runtime.memhashFallback";
	struct addresses a = {0};
	lowest_reference(rt, test, 1, 0, &a.use_aes);
	/* arm64's memhash64 of 1.19 takes useAeshash's address as well. */
	lowest_reference(rt, aes, rt->target->arch == ARCH_AMD64 ? 16 : 0, a.use_aes, &a.schedule);
	lowest_reference(rt, fallback, 8, 0, &a.hashkey);
	return a;
}

static enum status read_at(struct runtime *rt, const struct addresses *a, struct memhash_keys *ret,
			   struct error *err)
{
	struct memory *memory = rt->target->memory;
	struct memhash_keys keys = {.arch = rt->target->arch, .minor = rt->version.minor};
	uint8_t use_aes;
	if (!a->use_aes)
		return error_set(err, ERROR_NOT_FOUND, "useAeshash not found");
	if (memory_read_u8(memory, a->use_aes, &use_aes, err) != OK)
		return error_prefix(err, "useAeshash");
	keys.kind = use_aes ? MEMHASH_AES : MEMHASH_WYHASH;
	uint64_t addr = use_aes ? a->schedule : a->hashkey;
	const char *name = use_aes ? "aeskeysched" : "hashkey";
	void *to = use_aes ? (void *)keys.schedule : (void *)keys.hashkey;
	size_t size = use_aes ? sizeof(keys.schedule) : sizeof(keys.hashkey);
	if (!addr)
		return error_set(err, ERROR_NOT_FOUND, "%s not found", name);
	if (memory_read(memory, addr, to, size, err) != OK)
		return error_prefix(err, "%s", name);
	*ret = keys;
	return OK;
}

enum status hashkeys_read_by_code(struct runtime *rt, struct memhash_keys *ret, struct error *err)
{
	struct addresses a = by_code(rt);
	return read_at(rt, &a, ret, err);
}

enum status hashkeys_read(struct runtime *rt, struct memhash_keys *ret, struct error *err)
{
	struct addresses a = by_symbol(rt);
	if (a.use_aes && a.schedule && a.hashkey)
		return read_at(rt, &a, ret, err);
	return hashkeys_read_by_code(rt, ret, err);
}
