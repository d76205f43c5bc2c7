/*
 * The hash of a map's keys, recomputed with the keys of the target's process.
 *
 * What is hashed of a key, and in which pieces, depends on its type and on who made the hash function:
 * the compiler (cmd/compile/internal/reflectdata/alg.go; other pieces from 1.27 on) or, for map types
 * made by reflect.MapOf and for values in interfaces, runtime.typehash (runtime/alg.go). A plan holds
 * these pieces for one type of map.
 */
#ifndef MAPS_HASH_H
#define MAPS_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/type.h"
#include "maps/memhash.h"

struct hash_plan;
struct hasher;

/* Reads the process's keys: by symbol, or, where symbols are gone, at the addresses that the code of
 * runtime.memhash64 and its like uses. ERROR_NOT_FOUND where that fails too, ERROR_FAULT where the
 * target lacks the keys' memory (an executable alone). */
enum status hasher_new(struct runtime *rt, struct hasher **ret, struct error *err);
void hasher_free(struct hasher *hasher);
static inline void cleanup_hasher(struct hasher **hasher)
{
	hasher_free(*hasher);
}
#define AUTO_HASHER __attribute__((cleanup(cleanup_hasher)))

/* How the target hashes. */
const struct memhash_keys *hasher_keys(const struct hasher *hasher);

/* The plan for a map type's keys, which lives as long as the hasher. ERROR_UNSUPPORTED for a type whose
 * hash cannot be recomputed. */
enum status hasher_plan(struct hasher *hasher, const struct map_type *type,
			const struct hash_plan **ret, struct error *err);

enum hash_result {
	HASH_OK,
	HASH_RANDOM, /* a NaN: each time another hash */
	HASH_UNREADABLE, /* a string or interface in the key leads out of memory */
	HASH_UNKNOWN, /* an interface in the key holds what cannot be hashed */
};

/* The hash of the key whose bytes (key_size of the map type) are at key, with a map's seed (hash0 or
 * Map.seed), as the map's own hash function computes it. */
enum hash_result hash_key(struct hasher *hasher, const struct hash_plan *plan, const void *key,
			  uint64_t seed, uint64_t *ret);

#endif
