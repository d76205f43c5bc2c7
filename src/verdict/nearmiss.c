#include "verdict/nearmiss.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "verdict/access.h"
#include "verdict/locks.h"
#include "verdict/ordering.h"

enum {
	/* Accesses of one map that are compared with each other in a look: beyond, more of the same. */
	PEERS_MAX = 64,
	WAY_BITS = 13,
	TURN_BITS = 12,
	/* Two goroutines that took turns as often as this have both gone before and after the other;
	 * one more is for what starts or ends a goroutine in between. */
	TURNS_ENOUGH = 3,
};

/* A write that is in flight for longer, ten seconds, was broken off: no write takes that long. */
static const uint64_t STALE_TICKS = UINT64_C(1) << 35;

/* How two goroutines took turns on one map; entries push each other out. */
struct near_turn {
	uint64_t map, low, high; /* goroutine ids, low < high */
	uint64_t last; /* time of the newest turn */
	unsigned turns;
	bool high_came; /* who came last */
};

/* One access as a look shows it. */
struct seen {
	const struct record *record;
	size_t way;
	uint64_t seed; /* of the map */
	bool writes, is_new;
};

enum status near_misses_init(struct near_misses *m, struct runtime *rt, uint64_t within, bool reads,
			     struct error *err)
{
	*m = (struct near_misses){.rt = rt, .within = within};
	m->way_index = malloc(sizeof(*m->way_index) << WAY_BITS);
	m->turns = calloc((size_t)1 << TURN_BITS, sizeof(*m->turns));
	if (!m->way_index || !m->turns)
		return error_nomem(err);
	memset(m->way_index, 0xff, sizeof(*m->way_index) << WAY_BITS);
	return places_init(&m->where, rt, reads, err);
}

void near_misses_done(struct near_misses *m)
{
	for (size_t i = 0; i < m->count; i++) {
		access_done(&m->list[i].side[0].access);
		access_done(&m->list[i].side[1].access);
		free(m->list[i].locking_text);
	}
	free(m->list);
	free(m->ways);
	free(m->way_index);
	free(m->turns);
	places_done(&m->where);
	*m = (struct near_misses){0};
}

/* FNV-1a over words; spread by the golden ratio, whose upper bits are the index. */
static size_t hash_words(const uint64_t *words, size_t n, unsigned bits)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < n; i++)
		h = (h ^ words[i]) * UINT64_C(0x100000001b3);
	return (size_t)(h * UINT64_C(0x9e3779b97f4a7c15) >> (64 - bits));
}

/* The way of a record, found or added; SIZE_MAX where there is no room. */
static size_t way_of(struct near_misses *m, const struct records *records,
		     const struct record *record)
{
	struct frame frames[RECORD_CALLERS];
	size_t depth;
	uint64_t bias = records->header.text - m->rt->module.text;
	struct near_way way = {.site = record_site(records, record) - bias};
	for (size_t i = 0; i < RECORD_CALLERS && record->callers[i]; i++)
		way.callers[i] = record->callers[i] - bias;
	size_t slot = hash_words(way.callers, RECORD_CALLERS, WAY_BITS);
	for (size_t i = m->way_index[slot]; i != SIZE_MAX; i = m->ways[i].next)
		if (m->ways[i].site == way.site &&
		    memcmp(m->ways[i].callers, way.callers, sizeof(way.callers)) == 0)
			return i;
	if (m->way_count == NEAR_WAYS_MAX) {
		m->cut = true;
		return SIZE_MAX;
	}
	place_find(&m->where, m->rt, 0, way.site, way.callers, frames, &depth, &way.place);
	way.next = m->way_index[slot];
	if (!ARRAY_PUSH(m->ways, m->way_count, m->way_cap, way)) {
		m->cut = true;
		return SIZE_MAX;
	}
	return m->way_index[slot] = m->way_count - 1;
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int place_order(const struct place *a, const struct place *b)
{
	int order = compare_text(a->site.file, b->site.file);
	if (order || (order = a->site.line - b->site.line) ||
	    (order = compare_text(a->site.function, b->site.function)))
		return order;
	return (int)a->operation - (int)b->operation;
}

static const struct place *place_of_side(const struct near_misses *m, const struct near_side *side)
{
	return &m->ways[side->way].place;
}

/* The pair of two ways, found or added; NULL where there is no room. *x and *y are put into its order. */
static struct near_miss *miss_of(struct near_misses *m, const struct seen **x,
				 const struct seen **y)
{
	const struct place *a = &m->ways[(*x)->way].place, *b = &m->ways[(*y)->way].place;
	if (place_order(a, b) > 0) {
		const struct seen *first = *y;
		*y = *x;
		*x = first;
		a = &m->ways[(*x)->way].place;
		b = &m->ways[(*y)->way].place;
	}
	const char *type = a->type ? a->type : b->type;
	for (size_t i = 0; i < m->count; i++)
		if (compare_text(m->list[i].type, type) == 0 &&
		    place_order(place_of_side(m, &m->list[i].side[0]), a) == 0 &&
		    place_order(place_of_side(m, &m->list[i].side[1]), b) == 0)
			return &m->list[i];
	struct near_miss miss = {
		.type = type, .side = {{.way = (*x)->way}, {.way = (*y)->way}}, .gap = UINT64_MAX};
	if (m->count == NEAR_MISSES_MAX || !ARRAY_PUSH(m->list, m->count, m->cap, miss)) {
		m->cut = true;
		return NULL;
	}
	return &m->list[m->count - 1];
}

static uint64_t end_of(const struct record *record, uint64_t taken_at)
{
	return record->state == RECORD_IN_FLIGHT ? taken_at : record->clear;
}

/* Whether the two calls lasted at the same time, in a table that was copied from taken_at on: one in flight
 * lasted until then at least, and what came later may have come after its end. */
static bool overlap(const struct record *x, const struct record *y, uint64_t taken_at)
{
	return x->set < end_of(y, taken_at) && y->set < end_of(x, taken_at);
}

/* Keeps count of who came after whom; returns how often the two have taken turns. */
static unsigned take_turn(struct near_misses *m, const struct record *earlier,
			  const struct record *later)
{
	bool high_came = later->goid > earlier->goid;
	uint64_t low = high_came ? earlier->goid : later->goid;
	uint64_t high = high_came ? later->goid : earlier->goid;
	const uint64_t key[] = {later->map, low, high};
	struct near_turn *turn = &m->turns[hash_words(key, 3, TURN_BITS)];
	if (turn->map != later->map || turn->low != low || turn->high != high)
		*turn = (struct near_turn){.map = later->map, .low = low, .high = high};
	if (later->set <= turn->last)
		return turn->turns;
	turn->last = later->set;
	if (!turn->turns || turn->high_came != high_came)
		turn->turns++;
	turn->high_came = high_came;
	return turn->turns;
}

static void fill_example(struct near_miss *miss, const struct seen *x, const struct seen *y)
{
	miss->side[0].way = x->way;
	miss->side[0].goroutine = x->record->goid;
	miss->side[1].way = y->way;
	miss->side[1].goroutine = y->record->goid;
	miss->map = x->record->map;
}

/* Takes two accesses in that lasted at the same time. */
static void add_overlap(struct near_misses *m, const struct seen *x, const struct seen *y,
			size_t *ret_new)
{
	struct near_miss *miss = miss_of(m, &x, &y);
	if (!miss)
		return;
	if (!miss->overlaps++) {
		fill_example(miss, x, y);
		miss->gap = 0;
		*ret_new = (size_t)(miss - m->list);
	}
}

static void add_pair(struct near_misses *m, const struct seen *x, const struct seen *y,
		     uint64_t taken_at, size_t *ret_new)
{
	if (overlap(x->record, y->record, taken_at)) {
		add_overlap(m, x, y, ret_new);
		return;
	}
	const struct seen *later = x->record->set > y->record->set ? x : y;
	const struct seen *earlier = later == x ? y : x;
	uint64_t end = end_of(earlier->record, taken_at);
	uint64_t gap = later->record->set > end ? later->record->set - end : 0;
	/* another seed: another map at the same address, or one that was emptied meanwhile */
	if (gap > m->within || earlier->record->state != RECORD_DONE || x->seed != y->seed)
		return;
	unsigned turns = take_turn(m, earlier->record, later->record);
	struct near_miss *miss = miss_of(m, &x, &y);
	if (!miss)
		return;
	miss->close++;
	miss->turns = turns > miss->turns ? turns : miss->turns;
	if (gap < miss->gap && !miss->overlaps) {
		fill_example(miss, x, y);
		miss->gap = gap;
	}
}

static int by_map(const void *a, const void *b)
{
	const struct record *x = ((const struct seen *)a)->record;
	const struct record *y = ((const struct seen *)b)->record;
	if (x->map != y->map)
		return x->map < y->map ? -1 : 1;
	return x->set > y->set ? -1 : x->set < y->set;
}

/* Adds the lines to the list that tell of an access. */
static size_t collect(struct near_misses *m, const struct record *lines, const uint64_t *seeds,
		      size_t n, bool writes, uint64_t taken_at, struct seen *list, size_t count)
{
	for (size_t i = 0; i < n; i++) {
		const struct record *r = &lines[i];
		if (!r->map || r->state == RECORD_TORN ||
		    (r->state == RECORD_DONE && r->clear < r->set) ||
		    (r->state == RECORD_IN_FLIGHT && r->set < taken_at &&
		     taken_at - r->set > STALE_TICKS))
			continue;
		/* of a bucket map's bytes the first four are flags and counts, the others hash0 */
		uint64_t seed = !seeds ? 0 : m->rt->swiss ? seeds[i] : seeds[i] >> 32;
		list[count++] = (struct seen){r, SIZE_MAX, seed, writes, r->set > m->newest};
	}
	return count;
}

/* Finds the way of an access when it is first needed: most are of no interest. */
static bool resolve(struct near_misses *m, const struct records *records, struct seen *seen)
{
	if (seen->way == SIZE_MAX)
		seen->way = way_of(m, records, seen->record);
	return seen->way != SIZE_MAX;
}

/* Two that have met: the one was held in its call when the other's call came to the same map. */
static void add_meeting(struct near_misses *m, const struct records *records, size_t *ret_new)
{
	const struct records_header *h = &records->header;
	struct seen held = {&h->held, SIZE_MAX, 0, true, true};
	struct seen comer = {&h->comer, SIZE_MAX, 0, true, true};
	if (h->met != MEET_READY || h->held.map != h->comer.map || !h->held.map ||
	    h->comer.clear != h->held.set || h->held.g == h->comer.g)
		return;
	m->meetings++;
	if (resolve(m, records, &held) && resolve(m, records, &comer))
		add_overlap(m, &held, &comer, ret_new);
}

enum status near_misses_add(struct near_misses *m, const struct records *records, uint64_t taken_at,
			    size_t *ret_new, struct error *err)
{
	AUTO_FREE struct seen *list =
		calloc(records->count + records->read_count + 1, sizeof(*list));
	if (!list)
		return error_nomem(err);
	*ret_new = SIZE_MAX;
	m->looks++;
	m->lost = records->header.lost;
	add_meeting(m, records, ret_new);
	size_t count =
		collect(m, records->list, records->seeds, records->count, true, taken_at, list, 0);
	count = collect(m, records->reads, records->read_seeds, records->read_count, false,
			taken_at, list, count);
	for (size_t i = 0; i < count; i++)
		m->newest = list[i].record->set > m->newest ? list[i].record->set : m->newest;
	qsort(list, count, sizeof(*list), by_map);
	for (size_t i = 0; i < count; i++)
		for (size_t k = i + 1; k < count && k - i < PEERS_MAX; k++) {
			struct seen *x = &list[i], *y = &list[k];
			if (y->record->map != x->record->map)
				break;
			if ((x->is_new || y->is_new) && (x->writes || y->writes) &&
			    x->record->goid != y->record->goid && resolve(m, records, x) &&
			    resolve(m, records, y))
				add_pair(m, x, y, taken_at, ret_new);
		}
	return OK;
}

/* The frames of a way, without the map function's own. */
static size_t frames_of_way(struct near_misses *m, const struct near_way *way,
			    struct frame frames[RECORD_CALLERS])
{
	struct place ignored;
	size_t count;
	place_find(&m->where, m->rt, 0, way->site, way->callers, frames, &count, &ignored);
	return count;
}

/* Stack and locks of one side, by its code alone. */
static enum status fill_side(struct near_misses *m, struct lockflow *locks, struct near_side *side,
			     struct error *err)
{
	const struct near_way *way = &m->ways[side->way];
	struct frame list[RECORD_CALLERS];
	struct frames frames = {.list = list, .count = frames_of_way(m, way, list)};
	struct access *a = &side->access;
	frames.cut = frames.count == RECORD_CALLERS;
	a->operation = way->place.operation;
	a->goroutine = side->goroutine;
	a->site = way->place.site;
	if (stack_report(m->rt, &frames, &a->stack, err) != OK)
		return FAILED;
	struct lock_way lock_way = {.frames = &frames};
	while (lock_way.first < frames.count && list[lock_way.first].has_function &&
	       function_is_runtime(list[lock_way.first].function.name))
		lock_way.first++;
	if (lock_way.first == frames.count || !list[lock_way.first].has_function)
		return OK;
	const struct frame *first = &list[lock_way.first];
	lock_way.write_at = call_returning_to(m->rt, &first->function, first->pc);
	if (access_locks(m->rt, locks, &lock_way, NULL, a, err) != OK)
		return FAILED;
	/* what the executable's file has where a lock will be is no lock's state */
	for (size_t i = 0; i < a->lock_count; i++) {
		free(a->locks[i].state);
		a->locks[i].state = NULL;
	}
	return OK;
}

/* What may order a way's goroutine; NULL: nothing. */
static const char *ordered_by(struct near_misses *m, const struct near_way *way)
{
	struct frame frames[RECORD_CALLERS];
	struct function root;
	const char *what = NULL;
	size_t count = frames_of_way(m, way, frames);
	if (!ordering_root(frames, count, &root))
		return "a stack that is not known to its end";
	return ordering_in_code(m->rt, &m->where.library, &root, &what) ? what : NULL;
}

static void grade(struct near_misses *m, struct near_miss *miss)
{
	miss->grade = GRADE_POSSIBLE;
	if (miss->overlaps) {
		miss->grade = GRADE_PROVEN;
	} else if (miss->turns >= TURNS_ENOUGH) {
		miss->ordered_by = ordered_by(m, &m->ways[miss->side[0].way]);
		if (miss->ordered_by && ordered_by(m, &m->ways[miss->side[1].way]))
			return;
		miss->ordered_by = NULL;
		miss->grade = GRADE_LIKELY;
	}
}

/* Fills in what reports tell of a miss. */
static enum status fill_miss(struct near_misses *m, struct lockflow *locks, struct near_miss *miss,
			     struct error *err)
{
	if (fill_side(m, locks, &miss->side[0], err) != OK ||
	    fill_side(m, locks, &miss->side[1], err) != OK)
		return FAILED;
	struct verdict both = {.detector = miss->side[0].access,
			       .other = miss->side[1].access,
			       .has_detector = true,
			       .has_other = true};
	if (verdict_compare_locks(&both, err) != OK)
		return FAILED;
	/* the same lock on both sides and yet both at once: then the code was not understood */
	if (both.locking == LOCKING_SAME) {
		free(both.locking_text);
		return OK;
	}
	miss->locking = both.locking;
	miss->locking_text = both.locking_text;
	return OK;
}

static int miss_order(const void *a, const void *b, void *context)
{
	const struct near_miss *x = a, *y = b;
	const struct near_misses *m = context;
	if (x->grade != y->grade)
		return x->grade > y->grade ? -1 : 1;
	int order = compare_text(x->type, y->type);
	if (order ||
	    (order = place_order(place_of_side(m, &x->side[0]), place_of_side(m, &y->side[0]))))
		return order;
	return place_order(place_of_side(m, &x->side[1]), place_of_side(m, &y->side[1]));
}

enum status near_misses_finish(struct near_misses *m, struct error *err)
{
	AUTO_LOCKFLOW struct lockflow *locks = NULL;
	if (lockflow_new(m->rt, &m->where.library, &locks, err) != OK)
		return FAILED;
	for (size_t i = 0; i < m->count; i++) {
		grade(m, &m->list[i]);
		if (m->list[i].grade > GRADE_POSSIBLE &&
		    fill_miss(m, locks, &m->list[i], err) != OK)
			return FAILED;
	}
	if (m->count)
		qsort_r(m->list, m->count, sizeof(*m->list), miss_order, m);
	return OK;
}
