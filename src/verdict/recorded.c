#include "verdict/recorded.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"

static const struct record *own_record(const struct records *records)
{
	for (size_t i = 0; i < records->count; i++)
		if (records->list[i].g == records->header.detector_g)
			return &records->list[i];
	return NULL;
}

bool recorded_own_map(const struct records *records, uint64_t *ret)
{
	const struct record *own = own_record(records);
	if (!records->header.frozen || !own || own->state != RECORD_IN_FLIGHT)
		return false;
	*ret = own->map;
	return true;
}

bool recorded_checked_map(const struct records *records, uint64_t g, uint64_t *ret)
{
	if (!records->header.checked_map || records->header.checked_g != g)
		return false;
	*ret = records->header.checked_map;
	return true;
}

/* The i-th of all lines and of what they were before; NULL behind the last. */
static const struct record *record_at(const struct records *records, size_t i)
{
	if (i < records->count)
		return &records->list[i];
	i -= records->count;
	return i < records->before_count ? &records->before[i] : NULL;
}

/* A goroutine, none where g is 0, and a time. */
struct writer {
	uint64_t g, goid, since;
};

/* Whether a goroutine whose line is of another map may have written this one since a time: such a write is over, and is
 * among those of before unless one of a map that has the same place there came after it. */
static bool may_hide(const struct records *records, const struct record *line, uint64_t map,
		     uint64_t since)
{
	if (line->state != RECORD_TORN && line->set < since)
		return false;
	for (size_t i = 0; i < records->before_count; i++) {
		const struct record *before = &records->before[i];
		if (before->g == line->g &&
		    record_before_place(before->map) == record_before_place(map))
			return before->map != map && before->set >= since;
	}
	return false;
}

/* Whether the detector's own write, which is in flight, found the flag set. */
static bool found_set(const struct records_header *h, const struct record *own)
{
	return own->state == RECORD_IN_FLIGHT && h->found_g == own->g && h->found_map == own->map &&
	       h->found_at >= own->set && h->found_at <= h->frozen_at;
}

/*
 * The one goroutine whose write can have set the flag that an entry check saw. The check came after the end
 * of the detector's own last write, and after it got its thread, so whoever had set the flag was writing since then: that
 * is this goroutine if no line of another speaks of a write of this map since, dead ones too. So it is where the detector's
 * own write found the flag set. Else an exit check, which comes while that is in flight, has only missed the
 * flag, and who took that away need not be a map's writer at all.
 */
static struct writer only_writer(const struct records *records, const struct record *own,
				 uint64_t map)
{
	struct writer only = {0};
	const struct record *r;
	if (records->header.lost ||
	    (own && own->state != RECORD_DONE && !found_set(&records->header, own)))
		return only;
	uint64_t since = own ? own->clear : 0;
	if (records->detector_since > since)
		since = records->detector_since;
	only.since = since > RECORDED_EARLY_TICKS ? since - RECORDED_EARLY_TICKS : 0;
	for (size_t i = 0; (r = record_at(records, i)); i++) {
		bool is_line = i < records->count;
		if (r->g == records->header.detector_g)
			continue;
		if (r->map != map && is_line && may_hide(records, r, map, only.since))
			return (struct writer){0};
		if (r->map != map || (r->state == RECORD_DONE && r->clear < only.since))
			continue;
		if (only.g && (only.g != r->g || only.goid != r->goid))
			return (struct writer){0};
		only.g = r->g;
		only.goid = r->goid;
	}
	return only;
}

/* Whether the two writes of one map overlapped, and one of them found the flag clear as it cleared it. */
static bool left_set(const struct records_header *h, const struct record *a, const struct record *b)
{
	const struct record *who = h->left_g == a->g ? a : b;
	return h->left_g == who->g && h->left_map == a->map && b->map == a->map &&
	       a->state == RECORD_DONE && b->state == RECORD_DONE && h->left_at >= who->set &&
	       h->left_at <= who->clear && a->set <= b->clear && b->set <= a->clear;
}

/* The detector's last write of the map that is over: that of its line, else one of before. NULL: none is known. */
static const struct record *last_write(const struct records *records, uint64_t map)
{
	const struct records_header *h = &records->header;
	const struct record *own;
	for (size_t i = 0; (own = record_at(records, i)); i++)
		if (own->g == h->detector_g && own->goid == h->detector_goid && own->map == map &&
		    own->state == RECORD_DONE)
			return own;
	return NULL;
}

/* How a line of another goroutine on the same map stands to the freeze; own is the detector's line, last its last write of
 * that map. */
static bool judge_record(const struct records *records, const struct record *own,
			 const struct record *last, const struct writer *only,
			 const struct record *record, struct recorded *ret)
{
	const struct records_header *h = &records->header;
	bool times = h->flags & RECORDS_TIMES;
	*ret = (struct recorded){.record = record, .how = RECORDED_IN_FLIGHT};
	/* A write that began while the table froze overlaps too: the detector never leaves its call. */
	if (times && record->set < h->frozen_at)
		ret->age = h->frozen_at - record->set;
	if (record->state == RECORD_IN_FLIGHT)
		return ret->age < RECORDED_STALE_TICKS;
	if (record->state != RECORD_DONE || !times)
		return false;
	if (record->clear >= h->frozen_at)
		return ret->age < RECORDED_STALE_TICKS;
	ret->age = h->frozen_at - record->clear;
	if (own && own->state == RECORD_IN_FLIGHT && own->map == record->map &&
	    record->clear >= own->set) {
		ret->how = RECORDED_OVERLAPS;
		return true;
	}
	bool alone = record->g == only->g && record->goid == only->goid &&
		     record->clear >= only->since;
	if (alone && own && own->state == RECORD_IN_FLIGHT)
		ret->how = record->clear + RECORDED_EARLY_TICKS >= own->set ? RECORDED_FOUND
									    : RECORDED_JUST_ENDED;
	else if (last && left_set(h, last, record))
		ret->how = RECORDED_LEFT;
	else
		ret->how = alone ? RECORDED_ONLY : RECORDED_JUST_ENDED;
	return ret->how != RECORDED_JUST_ENDED || ret->age < RECORDED_JUST_TICKS;
}

static int best_first(const void *a, const void *b)
{
	const struct recorded *x = a, *y = b;
	if (x->how != y->how)
		return (int)x->how - (int)y->how;
	/* in flight: the older one is the likelier to be what the check saw */
	bool in_flight = x->how == RECORDED_IN_FLIGHT;
	if (x->age != y->age)
		return (x->age < y->age) == in_flight ? 1 : -1;
	return x->record->goid < y->record->goid ? -1 : x->record->goid > y->record->goid;
}

/* Whose line it is. The g of one that has ended keeps its id until another takes it. */
static struct goroutine writer_of(struct runtime *rt, const struct goroutines *goroutines,
				  const struct record *record)
{
	const struct goroutine *alive = goroutines_by_g(goroutines, record->g);
	struct goroutine g;
	if (alive && alive->id == record->goid)
		return *alive;
	if (alive || goroutine_read(rt, record->g, &g, NULL) != OK || g.id != record->goid)
		g = (struct goroutine){.g = record->g, .id = record->goid};
	g.status = GOROUTINE_DEAD;
	g.thread = -1;
	return g;
}

size_t recorded_find(struct runtime *rt, const struct records *records,
		     const struct goroutines *goroutines, uint64_t map,
		     struct recorded ret[RECORDED_MAX])
{
	const struct record *own = own_record(records);
	const struct record *last = last_write(records, map);
	struct writer only = only_writer(records, own, map);
	size_t count = 0;
	if (!records->header.frozen)
		return 0;
	bool died = records->header.died_at;
	const struct record *broken_off = recorded_broken_off(records);
	const struct record *record;
	for (size_t i = 0; (record = record_at(records, i)) && count < RECORDED_MAX; i++) {
		if (record->map != map || record->g == records->header.detector_g ||
		    !(died ? recorded_judge_death(records, broken_off, record, &ret[count])
			   : judge_record(records, own, last, &only, record, &ret[count])))
			continue;
		ret[count].goroutine = writer_of(rt, goroutines, record);
		if (ret[count].goroutine.status != GOROUTINE_DEAD || record->state == RECORD_DONE)
			count++;
	}
	qsort(ret, count, sizeof(*ret), best_first);
	return count;
}

static bool push_kept(struct runtime *rt, struct frames *frames, uint64_t pc, bool is_exact)
{
	struct frame frame = {.pc = pc, .lookup_pc = is_exact ? pc : pc - 1, .is_exact = is_exact};
	frame.has_function = pclntab_find(rt->pclntab, frame.lookup_pc, &frame.function);
	return ARRAY_PUSH(frames->list, frames->count, frames->cap, frame);
}

/* Where in the living stack the kept callers from number k on stand one after the other. */
static bool find_tail(const struct frames *live, const uint64_t *callers, size_t count, size_t k,
		      size_t *ret)
{
	for (size_t at = 0; at < live->count; at++) {
		size_t n = 0;
		while (k + n < count && at + n < live->count &&
		       live->list[at + n].pc == callers[k + n])
			n++;
		if (k + n == count || (n > 0 && at + n == live->count)) {
			*ret = at;
			return true;
		}
	}
	return false;
}

enum status recorded_frames(struct runtime *rt, const struct records *records,
			    const struct recorded *recorded, struct frames *ret, bool *ret_live,
			    struct error *err)
{
	const struct record *record = recorded->record;
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames live = {0}, frames = {0};
	size_t count = 0, tail = 0, k = 0;
	bool has_tail = false;
	while (count < RECORD_CALLERS && record->callers[count])
		count++;
	/* A stack that cannot be had leaves what was kept. */
	if (recorded->goroutine.status == GOROUTINE_DEAD ||
	    frames_collect(&walk, rt, &recorded->goroutine, FRAMES_REPORT_MAX, &live, NULL) != OK)
		frames_done(&live);
	stack_walk_done(&walk);
	struct function fn;
	uint64_t site = record_site(records, record);
	bool is_known = pclntab_find(rt->pclntab, site, &fn);
	bool is_held = record->state == RECORD_IN_FLIGHT && records->header.freeze == FREEZE_HELD;
	for (; k < count && !has_tail; k += !has_tail)
		has_tail = find_tail(&live, record->callers, count, k, &tail);
	/* Callers are not always kept (struct stubs_options): a goroutine that stands still in its one map write
	 * has them on its stack. */
	for (size_t i = 1; !count && is_held && is_known && i < live.count && !has_tail; i++) {
		tail = i;
		has_tail = live.list[i - 1].has_function &&
			   live.list[i - 1].function.entry == fn.entry;
	}
	/* Still in that very call: nobody has let it go on, and the frame below the first caller is the
	 * map function's own. */
	bool is_inside = is_held && has_tail && k == 0 && tail > 0 && is_known &&
			 live.list[tail - 1].has_function &&
			 live.list[tail - 1].function.entry == fn.entry;
	if (is_inside) {
		*ret = live;
		*ret_live = true;
		return OK;
	}
	bool ok = push_kept(rt, &frames, site, true);
	for (size_t i = 0; i < k && ok; i++)
		ok = push_kept(rt, &frames, record->callers[i], false);
	for (size_t i = tail; i < live.count && ok && has_tail; i++) {
		struct frame frame = live.list[i];
		frame.regs = NULL;
		if (frame.is_exact && i == tail) {
			/* it has just come back: its own place is the return address */
			frame.is_exact = false;
			frame.lookup_pc = frame.pc - 1;
			frame.has_function =
				pclntab_find(rt->pclntab, frame.lookup_pc, &frame.function);
		}
		ok = ARRAY_PUSH(frames.list, frames.count, frames.cap, frame);
	}
	frames.cut = has_tail ? live.cut : count == RECORD_CALLERS;
	frames_done(&live);
	if (!ok) {
		frames_done(&frames);
		return error_nomem(err);
	}
	*ret = frames;
	*ret_live = false;
	return OK;
}
