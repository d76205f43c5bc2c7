/*
 * Where the runtime keeps the keys of its hash functions.
 */
#ifndef MAPS_HASHKEYS_H
#define MAPS_HASHKEYS_H

#include "base/error.h"
#include "go/runtime.h"
#include "maps/memhash.h"

/* Reads useAeshash, and aeskeysched or hashkey, of the target (runtime/alg.go; from 1.27 on
 * internal/runtime/maps/runtime_alg.go). Symbols first; in a stripped binary the addresses are those
 * that the code of the hash functions loads from. Fails as hasher_new says. */
enum status hashkeys_read(struct runtime *rt, struct memhash_keys *ret, struct error *err);

/* The same without looking at symbols. */
enum status hashkeys_read_by_code(struct runtime *rt, struct memhash_keys *ret, struct error *err);

#endif
