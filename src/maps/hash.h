/*
 * Go's hash functions, recomputed with the keys of the target's process.
 */
#ifndef MAPS_HASH_H
#define MAPS_HASH_H

#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/type.h"

struct hasher {
	struct runtime *rt;
	bool aes; /* runtime.useAeshash of the target */
	uint8_t schedule[128]; /* runtime.aeskeysched */
	uint64_t keys[4]; /* runtime.hashkey */
};

/* Reads the process's keys. Where symbols are gone they are found through the code of
 * runtime.memhash64 and runtime.memhash; ERROR_NOT_FOUND where that fails too. */
enum status hasher_init(struct hasher *hasher, struct runtime *rt, struct error *err);

/* The hash of the key of the given type at addr with a map's seed (hash0 or Map.seed), as the map's
 * own hasher computes it. ERROR_UNSUPPORTED for a type whose hash cannot be recomputed. */
enum status hasher_hash(const struct hasher *hasher, uint64_t key_type, uint64_t addr,
			uint64_t seed, uint64_t *ret, struct error *err);

#endif
