#include "go/references.h"

#include <string.h>

#include "base/bytes.h"

/* The address that bytes which may be an instruction at addr call, jump to or take; 0 for others. */
static uint64_t referred_amd64(const uint8_t *p, size_t n, uint64_t addr)
{
	if (n >= 5 && (p[0] == 0xe8 || p[0] == 0xe9))
		return addr + 5 + (uint64_t)(int32_t)load_u32(p + 1);
	/* lea disp(%rip),reg */
	if (n >= 7 && (p[0] & 0xfb) == 0x48 && p[1] == 0x8d && (p[2] & 0xc7) == 0x05)
		return addr + 7 + (uint64_t)(int32_t)load_u32(p + 3);
	return 0;
}

static uint64_t referred_arm64(const uint8_t *p, size_t n, uint64_t addr, bool calls_only)
{
	if (n < 4)
		return 0;
	uint32_t word = load_u32(p), next = n >= 8 ? load_u32(p + 4) : 0;
	if (word >> 26 == 0x25 || (!calls_only && word >> 26 == 0x05)) /* bl, b */
		return addr + (uint64_t)((int64_t)((uint64_t)word << 38) >> 38) * 4;
	if (!calls_only && (word & 0x9f000000) == 0x90000000 && next >> 22 == 0x244 &&
	    (word & 31) == (next >> 5 & 31)) { /* adrp; add */
		int64_t pages = (int64_t)((uint64_t)(word >> 5 & 0x7ffff) << 45) >> 43;
		return (addr & ~UINT64_C(4095)) + (uint64_t)(pages | (word >> 29 & 3)) * 4096 +
		       (next >> 10 & 0xfff);
	}
	return 0;
}

/* The next place at or behind i that may be a reference; size where there is none. */
static size_t next_place(const uint8_t *code, size_t i, size_t size, bool calls_only)
{
	if (!calls_only)
		return i;
	const uint8_t *hit = memchr(code + i, 0xe8, size - i);
	return hit ? (size_t)(hit - code) : size;
}

static void bounds(const struct u64set *set, uint64_t *ret_lo, uint64_t *ret_hi)
{
	*ret_lo = UINT64_MAX;
	*ret_hi = 0;
	for (size_t i = 0; set->slots && i < (size_t)1 << set->bits; i++) {
		uint64_t v = set->slots[i];
		if (!v)
			continue;
		*ret_lo = v < *ret_lo ? v : *ret_lo;
		*ret_hi = v > *ret_hi ? v : *ret_hi;
	}
}

enum status functions_referring(struct runtime *rt, const struct u64set *targets, bool calls_only,
				enum status (*visit)(void *context, const struct function *fn,
						     struct error *err),
				void *context, struct error *err)
{
	uint64_t text = rt->module.text, etext = rt->module.etext, lo, hi;
	bool amd64 = rt->target->arch == ARCH_AMD64;
	size_t step = amd64 ? 1 : 4;
	if (etext <= text || !targets->count)
		return OK;
	size_t size = (size_t)(etext - text);
	const uint8_t *code = memory_view(rt->target->memory, text, size);
	if (!code)
		return error_at(err, ERROR_FAULT, text, "the program's code is not at hand");
	bounds(targets, &lo, &hi);
	for (size_t i = 0; i < size; i += step) {
		struct function fn;
		if (amd64)
			i = next_place(code, i, size, calls_only);
		if (i == size)
			break;
		uint64_t to = amd64 ? referred_amd64(code + i, size - i, text + i)
				    : referred_arm64(code + i, size - i, text + i, calls_only);
		if (to < lo || to > hi || !u64set_has(targets, to) ||
		    !pclntab_find(rt->pclntab, text + i, &fn))
			continue;
		if (visit(context, &fn, err) != OK)
			return FAILED;
		if (fn.end > text + i + 1 && fn.end <= etext)
			i = (size_t)(fn.end - text) - step;
	}
	return OK;
}
