/*
 * The map types of calls in generic code.
 *
 * A generic function is compiled once for all types of one shape, and takes what differs from a
 * dictionary that its caller hands in (cmd/compile, internal/noder/reader.go: read-only data with the
 * addresses of type descriptors and of further dictionaries). So the callers are found, and theirs where
 * they are generic as well, until the dictionary is a constant; closures of generic functions have captured
 * it.
 */
#ifndef MAPS_GENERIC_H
#define MAPS_GENERIC_H

#include "base/error.h"
#include "go/runtime.h"
#include "maps/writers.h"

/* For each site in sites without a type: where all ways that lead to it are known, one site for each type
 * that is handed in takes its place; where some are, it stays as well. Order by address is kept. */
enum status map_sites_resolve_generic(struct runtime *rt, struct map_sites *sites,
				      struct error *err);

/* All code that can write maps of a type (0: of any): calls with this type, or one laid out alike, as
 * a constant or through dictionaries, and calls whose type is not known (type 0), reflection's among them:
 * with reflect as calls of package reflect, which may assign or delete; else where that writes. By
 * address. */
enum status map_writers_find(struct runtime *rt, uint64_t type, bool reflect, struct map_sites *ret,
			     struct error *err);

#endif
