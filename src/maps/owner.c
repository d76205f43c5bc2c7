#include "maps/owner.h"

#include <stdlib.h>

#include "maps/owner_internal.h"

void map_owner_done(struct map_owner *owner)
{
	free(owner->name);
	free(owner->how);
}

bool map_owner_find(struct runtime *rt, const struct goroutine *goroutine,
		    const struct frames *frames, uint64_t map, uint64_t type, struct map_owner *ret)
{
	struct map_owner owner, other;
	int64_t offset;
	bool found = owner_by_code(rt, goroutine, frames, map, type, &owner, &offset);
	/* The field of a library's struct that it stands in, like http.Request.Header, says less than
	 * one of the program's own that holds the same map. */
	bool good = found && owner.name && !owner_in_library(rt, owner.name);
	bool better = false;
	if (!good && map) {
		better = owner_by_variables(rt, frames, map, &other);
		if (better && found && owner.name && owner_in_library(rt, other.name)) {
			map_owner_done(&other);
			better = false;
		} else if (!better && !(found && owner.name)) {
			better = owner_by_package(rt, map, &other) ||
				 (type && owner_by_words(rt, frames, map, type, offset, &other));
		}
	}
	if (better && found)
		map_owner_done(&owner);
	if (better || found)
		*ret = better ? other : owner;
	return better || found;
}
