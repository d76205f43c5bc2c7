/*
 * runtime.memhash and its fixed-size forms, computed on our machine as the target's would.
 *
 * Sources: runtime/asm_amd64.s and asm_arm64.s (aeshashbody, memhash32, memhash64) and runtime/hash64.go
 * of Go 1.19 to 1.26; internal/runtime/maps/memhash_*.s and runtime_hash64.go of 1.27.
 */
#ifndef MAPS_MEMHASH_H
#define MAPS_MEMHASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

enum memhash_kind {
	MEMHASH_AES, /* by AES instructions: runtime.useAeshash */
	MEMHASH_WYHASH, /* memhashFallback */
};

/* What the hash of a process depends on. */
struct memhash_keys {
	enum memhash_kind kind;
	enum arch arch;
	int minor; /* of Go's version: 23 of go1.23.5 */
	uint8_t schedule[128]; /* runtime.aeskeysched; MEMHASH_AES */
	uint64_t hashkey[4]; /* runtime.hashkey; MEMHASH_WYHASH */
};

/* memhash(p, seed, n); p may be NULL where n is 0. */
uint64_t memhash(const struct memhash_keys *keys, const void *p, size_t n, uint64_t seed);
/* memhash32 and memhash64 of the 4 or 8 bytes at p: not the same as memhash(p, seed, 4). */
uint64_t memhash32(const struct memhash_keys *keys, const void *p, uint64_t seed);
uint64_t memhash64(const struct memhash_keys *keys, const void *p, uint64_t seed);

#endif
