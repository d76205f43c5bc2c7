#include "verdict/place.h"

#include "go/type.h"

enum status places_init(struct places *places, struct runtime *rt, bool reads, struct error *err)
{
	AUTO_MAP_CALLEES struct map_callees *callees = NULL;
	*places = (struct places){0};
	library_init(&places->library, rt);
	if (map_callees_new(rt, &callees, err) != OK)
		return FAILED;
	return map_sites_in_program(rt, callees, 0, !reads, &places->sites, err);
}

void places_done(struct places *places)
{
	map_sites_done(&places->sites);
}

/* The call of a map function that returns to pc in the executable; NULL where it is none that the code
 * makes directly. */
static const struct map_site *call_of(const struct places *places, uint64_t pc)
{
	for (size_t low = 0, high = places->sites.count; low < high;) {
		size_t mid = low + (high - low) / 2;
		if (places->sites.list[mid].next == pc)
			return &places->sites.list[mid];
		if (places->sites.list[mid].next < pc)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

void place_find(const struct places *places, struct runtime *rt, uint64_t bias, uint64_t site,
		const uint64_t callers[RECORD_CALLERS], struct frame ret_frames[RECORD_CALLERS],
		size_t *ret_count, struct place *ret)
{
	struct frames frames = {.list = ret_frames};
	struct place place = {0};
	for (size_t i = 0; i < RECORD_CALLERS && callers[i]; i++) {
		struct frame *frame = &ret_frames[frames.count++];
		*frame = (struct frame){.pc = callers[i] - bias};
		frame->lookup_pc = frame->pc - 1;
		frame->has_function = pclntab_find(rt->pclntab, frame->lookup_pc, &frame->function);
		const struct map_site *call = place.type ? NULL : call_of(places, frame->pc);
		if (call && call->type) {
			place.type = type_name(rt, call->type);
			place.operation = call->operation;
		}
	}
	struct function fn;
	struct map_function f;
	if (place.operation == OPERATION_UNKNOWN && pclntab_find(rt->pclntab, site - bias, &fn) &&
	    map_function_by_name(fn.name, &f))
		place.operation = f.operation;
	place.site = frames_site(rt, &places->library, &frames);
	*ret_count = frames.count;
	*ret = place;
}
