/*
 * What has been read of a target's types: private to type.c and type_name.c.
 */
#ifndef GO_TYPE_CACHE_H
#define GO_TYPE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "go/runtime.h"
#include "go/type.h"

/* The one place of the cache that the descriptor at addr can be in; NULL without memory. It holds it
 * when its addr says so. */
struct type *type_cache_slot(struct runtime *rt, uint64_t addr);

/* All bytes of the module's types, [types, etypes): in place where the target's memory has a view of
 * them, else copied once. False when they cannot be read. */
bool type_cache_types(struct runtime *rt, struct bytes *ret);

/* The abi.Name at addr as a string that lives as long as the runtime; NULL where there is none. */
const char *type_name_at(struct runtime *rt, uint64_t addr);

#endif
