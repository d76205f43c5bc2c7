#include "maps/hashkeys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "insn/insn.h"

/* The hash functions are short: memhashFallback, the longest, has less than 1 KB. */
enum { CODE_MAX = 8192 };

/* Addresses of the three variables, 0 where not found. */
struct addresses {
	uint64_t use_aes, schedule, hashkey;
};

/* What code refers to by a constant address. */
struct reference {
	uint64_t addr;
	unsigned size; /* bytes accessed; 0: the address itself is taken */
};

/* Registers of arm64 whose value is known: a page, or a page and an offset. */
struct known {
	bool valid[ARM64_REGS];
	uint64_t value[ARM64_REGS];
};

static bool is_global(const struct module *m, uint64_t addr)
{
	return addr >= m->noptrdata && addr < m->enoptrbss;
}

/* Follows what adrp and add leave in registers; true where the instruction takes an address. */
static bool follow(struct known *known, const struct insn *insn, struct reference *ret)
{
	bool taken = false;
	uint64_t value = 0;
	if (insn->dst.kind == INSN_REG && insn->op == INSN_MOVE && insn->src[0].kind == INSN_IMM &&
	    insn->dst.size == 8) {
		value = (uint64_t)insn->src[0].imm;
		taken = true;
	} else if (insn->dst.kind == INSN_REG && insn->op == INSN_ADD &&
		   insn->src[0].kind == INSN_REG && insn->src[1].kind == INSN_IMM &&
		   insn->src[0].reg < ARM64_REGS && known->valid[insn->src[0].reg]) {
		value = known->value[insn->src[0].reg] + (uint64_t)insn->src[1].imm;
		taken = true;
		*ret = (struct reference){value, 0};
	}
	for (unsigned r = 0; r < ARM64_REGS; r++) {
		if (insn->writes >> r & 1)
			known->valid[r] = false;
	}
	if (taken && insn->dst.reg < ARM64_REGS) {
		known->valid[insn->dst.reg] = true;
		known->value[insn->dst.reg] = value;
	}
	return taken && insn->op == INSN_ADD;
}

static bool memory_reference(const struct known *known, const struct insn_mem *mem,
			     struct reference *ret)
{
	uint64_t base = 0;
	if (!mem->read || mem->index != INSN_NO_REG || mem->segment != INSN_SEGMENT_NONE)
		return false;
	if (mem->base != INSN_PC) {
		if (mem->base >= ARM64_REGS || !known->valid[mem->base])
			return false;
		base = known->value[mem->base];
	}
	*ret = (struct reference){base + (uint64_t)mem->disp, mem->size};
	return true;
}

/* Finds the lowest address of global data that the function called name refers to in the given way:
 * of exactly size bytes, or at least 8 where size is 8. false where there is none. */
static bool lowest_reference(struct runtime *rt, const char *name, unsigned size, uint64_t *ret)
{
	struct function fn;
	uint8_t code[CODE_MAX];
	struct known known = {0};
	bool found = false;
	if (!pclntab_by_name(rt->pclntab, name, &fn) || fn.end <= fn.entry)
		return false;
	size_t n = fn.end - fn.entry < CODE_MAX ? fn.end - fn.entry : CODE_MAX;
	if (memory_read(rt->target->memory, fn.entry, code, n, NULL) != OK)
		return false;
	for (size_t at = 0; at < n;) {
		struct insn insn;
		struct reference refs[INSN_MEM_MAX + 1];
		unsigned count = 0;
		if (!insn_decode(rt->target->arch, code + at, n - at, fn.entry + at, &insn)) {
			at += insn_step(rt->target->arch);
			continue;
		}
		at += insn.length;
		for (unsigned i = 0; i < insn.mem_count; i++)
			count += memory_reference(&known, &insn.mem[i], &refs[count]);
		if (rt->target->arch == ARCH_ARM64)
			count += follow(&known, &insn, &refs[count]);
		for (unsigned i = 0; i < count; i++) {
			bool fits = size == 8 ? refs[i].size >= 8 || refs[i].size == 0
					      : refs[i].size == size;
			if (fits && is_global(&rt->module, refs[i].addr) &&
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
	lowest_reference(rt, test, 1, &a.use_aes);
	lowest_reference(rt, aes, rt->target->arch == ARCH_AMD64 ? 16 : 0, &a.schedule);
	lowest_reference(rt, fallback, 8, &a.hashkey);
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
