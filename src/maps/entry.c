#include "maps/entry.h"

#include "go/type.h"
#include "go/value.h"
#include "maps/libgomap.h"

const char *map_type_name(struct runtime *rt, const struct map *map)
{
	if (map->library)
		return map->library->type[0] ? map->library->type : NULL;
	return type_name(rt, map->type.type.addr);
}

static bool go_text(struct runtime *rt, uint64_t type, uint64_t addr, const uint8_t *bytes,
		    uint64_t size, struct text *text)
{
	return bytes ? value_render_bytes(rt, type, bytes, size, text)
		     : value_render(rt, type, addr, text);
}

bool map_key_text(struct runtime *rt, const struct map *map, uint64_t addr, const uint8_t *bytes,
		  struct text *text)
{
	if (map->library)
		return libgomap_key_text(map->library, addr, bytes, text);
	return go_text(rt, map->type.type.key, addr, bytes, map->type.key_size, text);
}

bool map_elem_text(struct runtime *rt, const struct map *map, uint64_t addr, const uint8_t *bytes,
		   struct text *text)
{
	if (map->library)
		return libgomap_elem_text(map->library, addr, bytes, text);
	return go_text(rt, map->type.type.elem, addr, bytes, map->type.elem_size, text);
}
