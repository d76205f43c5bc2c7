#include "verdict/trials.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

/* Lines on one map that are compared with each other in a look: beyond, more of the same. */
enum { PEERS_MAX = 64 };

static void place_done(struct trial_place *place)
{
	free(place->function);
	free(place->file);
	free(place->type);
}

static void race_done(struct trial_race *race)
{
	free(race->type);
	free(race->owner);
	free(race->message);
	free(race->log);
	place_done(&race->side[0]);
	place_done(&race->side[1]);
}

void trials_done(struct trials *t)
{
	for (size_t i = 0; i < t->place_count; i++)
		place_done(&t->places[i]);
	for (size_t i = 0; i < t->race_count; i++)
		race_done(&t->races[i]);
	free(t->places);
	free(t->pairs);
	free(t->races);
	places_done(&t->where);
	*t = (struct trials){0};
}

enum status trials_init(struct trials *t, struct runtime *rt, struct error *err)
{
	*t = (struct trials){0};
	return places_init(&t->where, rt, false, err);
}

void trials_begin_run(struct trials *t)
{
	t->runs++;
	t->newest = 0;
}

static char *copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static int compare_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int place_order(const struct trial_place *a, const struct trial_place *b)
{
	int order = compare_text(a->file, b->file);
	if (order || (order = a->line - b->line) ||
	    (order = compare_text(a->function, b->function)) ||
	    (order = (int)a->operation - (int)b->operation))
		return order;
	return compare_text(a->type, b->type);
}

/* The place of a record; its strings live as long as the runtime. */
static struct trial_place place_of(struct trials *t, struct runtime *rt,
				   const struct records *records, const struct record *record)
{
	struct frame frames[RECORD_CALLERS];
	struct place place;
	size_t count;
	uint64_t bias = records->header.text - rt->module.text;
	place_find(&t->where, rt, bias, record_site(records, record), record->callers, frames,
		   &count, &place);
	return (struct trial_place){
		.function = (char *)place.site.function,
		.file = (char *)place.site.file,
		.line = place.site.line,
		.type = (char *)place.type,
		.operation = place.operation,
	};
}

/* Finds or adds a place; SIZE_MAX where there is no room. */
static size_t place_index(struct trials *t, const struct trial_place *place)
{
	for (size_t i = 0; i < t->place_count; i++)
		if (place_order(&t->places[i], place) == 0)
			return i;
	struct trial_place own = {
		.function = copy(place->function),
		.file = copy(place->file),
		.type = copy(place->type),
		.line = place->line,
		.operation = place->operation,
	};
	if (t->place_count == TRIAL_PLACES_MAX ||
	    !ARRAY_PUSH(t->places, t->place_count, t->place_cap, own)) {
		place_done(&own);
		t->cut = true;
		return SIZE_MAX;
	}
	return t->place_count - 1;
}

static void add_pair(struct trials *t, size_t a, size_t b, bool overlaps)
{
	struct trial_pair pair = {a < b ? a : b, a < b ? b : a, 1, overlaps};
	for (size_t i = 0; i < t->pair_count; i++) {
		struct trial_pair *p = &t->pairs[i];
		if (p->a != pair.a || p->b != pair.b)
			continue;
		p->seen++;
		p->overlaps += overlaps;
		return;
	}
	if (t->pair_count == TRIAL_PAIRS_MAX ||
	    !ARRAY_PUSH(t->pairs, t->pair_count, t->pair_cap, pair))
		t->cut = true;
}

/* A line of the table with its place. */
struct seen {
	const struct record *record;
	size_t place;
	bool is_new;
};

static int by_map(const void *a, const void *b)
{
	const struct record *x = ((const struct seen *)a)->record;
	const struct record *y = ((const struct seen *)b)->record;
	if (x->map != y->map)
		return x->map < y->map ? -1 : 1;
	return x->set > y->set ? -1 : x->set < y->set;
}

/* Whether two writes overlapped, in a table that was copied from taken_at on: one in flight then lasted
 * until taken_at at least, and what came later may have come after its end. */
static bool overlap(const struct record *x, const struct record *y, uint64_t taken_at)
{
	uint64_t x_end = x->state == RECORD_IN_FLIGHT ? taken_at : x->clear;
	uint64_t y_end = y->state == RECORD_IN_FLIGHT ? taken_at : y->clear;
	return x->set < y_end && y->set < x_end;
}

enum status trials_add_records(struct trials *t, struct runtime *rt, const struct records *records,
			       uint64_t taken_at, struct error *err)
{
	AUTO_FREE struct seen *list = calloc(records->count + 1, sizeof(*list));
	size_t count = 0;
	uint64_t newest = t->newest;
	if (!list)
		return error_nomem(err);
	t->looks++;
	for (size_t i = 0; i < records->count; i++) {
		const struct record *record = &records->list[i];
		/* a line may be rewritten while it is copied */
		if (!record->map || record->state == RECORD_TORN ||
		    (record->state == RECORD_DONE && record->clear < record->set))
			continue;
		struct trial_place place = place_of(t, rt, records, record);
		struct seen seen = {record, place_index(t, &place), record->set > t->newest};
		if (seen.place == SIZE_MAX)
			continue;
		t->places[seen.place].seen += seen.is_new;
		newest = record->set > newest ? record->set : newest;
		list[count++] = seen;
	}
	t->newest = newest;
	qsort(list, count, sizeof(*list), by_map);
	for (size_t i = 0; i < count; i++)
		for (size_t k = i + 1; k < count && k - i < PEERS_MAX; k++) {
			if (list[k].record->map != list[i].record->map)
				break;
			if (list[i].is_new || list[k].is_new)
				add_pair(t, list[i].place, list[k].place,
					 overlap(list[i].record, list[k].record, taken_at));
		}
	return OK;
}

static struct trial_place side_of(const struct access *access)
{
	return (struct trial_place){
		.function = (char *)access->site.function,
		.file = (char *)access->site.file,
		.line = access->site.line,
		.operation = access->operation,
	};
}

static void own_place(struct trial_place *place)
{
	place->function = copy(place->function);
	place->file = copy(place->file);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

enum status trials_add_verdict(struct trials *t, const struct verdict *v, struct trial_race **ret,
			       struct error *err)
{
	*ret = NULL;
	if (v->cause != CAUSE_RACE || !v->has_detector)
		return OK;
	struct trial_place sides[2] = {side_of(&v->detector)};
	if (v->has_other)
		sides[1] = side_of(&v->other);
	if (v->has_other && place_order(&sides[0], &sides[1]) > 0) {
		struct trial_place first = sides[1];
		sides[1] = sides[0];
		sides[0] = first;
	}
	for (size_t i = 0; i < t->race_count; i++) {
		struct trial_race *race = &t->races[i];
		if (race->has_other != v->has_other || !same(race->type, v->map.type) ||
		    place_order(&race->side[0], &sides[0]) != 0 ||
		    place_order(&race->side[1], &sides[1]) != 0)
			continue;
		race->count++;
		race->grade = v->grade > race->grade ? v->grade : race->grade;
		*ret = race;
		return OK;
	}
	struct trial_race race = {
		.type = copy(v->map.type),
		.owner = copy(v->map.owner),
		.message = copy(v->message),
		.side = {sides[0], sides[1]},
		.has_other = v->has_other,
		.grade = v->grade,
		.count = 1,
		.first_run = t->runs,
	};
	own_place(&race.side[0]);
	own_place(&race.side[1]);
	if (!ARRAY_PUSH(t->races, t->race_count, t->race_cap, race)) {
		race_done(&race);
		return error_nomem(err);
	}
	*ret = &t->races[t->race_count - 1];
	return OK;
}

static bool is_at(const struct trial_place *a, const struct trial_place *b)
{
	return a->line == b->line && same(a->function, b->function) && same(a->file, b->file);
}

static int race_order(const void *a, const void *b)
{
	const struct trial_race *x = a, *y = b;
	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	int order = place_order(&x->side[0], &y->side[0]);
	return order ? order : place_order(&x->side[1], &y->side[1]);
}

static int pair_order(const void *a, const void *b, void *places)
{
	const struct trial_pair *x = a, *y = b;
	const struct trial_place *list = places;
	if (x->raced != y->raced)
		return x->raced ? -1 : 1;
	if ((x->overlaps != 0) != (y->overlaps != 0))
		return x->overlaps ? -1 : 1;
	int order = place_order(&list[x->a], &list[y->a]);
	return order ? order : place_order(&list[x->b], &list[y->b]);
}

/* Whether a race was found between the two places. */
static bool has_raced(const struct trials *t, const struct trial_pair *pair)
{
	const struct trial_place *a = &t->places[pair->a], *b = &t->places[pair->b];
	for (size_t i = 0; i < t->race_count; i++) {
		const struct trial_place *x = &t->races[i].side[0], *y = &t->races[i].side[1];
		if (t->races[i].has_other &&
		    ((is_at(a, x) && is_at(b, y)) || (is_at(a, y) && is_at(b, x))))
			return true;
	}
	return false;
}

void trials_finish(struct trials *t)
{
	for (size_t i = 0; i < t->pair_count; i++)
		t->pairs[i].raced = has_raced(t, &t->pairs[i]);
	if (t->race_count)
		qsort(t->races, t->race_count, sizeof(*t->races), race_order);
	if (t->pair_count)
		qsort_r(t->pairs, t->pair_count, sizeof(*t->pairs), pair_order, t->places);
}

bool trial_race_is(const struct trial_race *a, const struct trial_race *b)
{
	if (!same(a->type, b->type) || a->has_other != b->has_other)
		return false;
	bool straight = same(a->side[0].function, b->side[0].function) &&
			same(a->side[1].function, b->side[1].function);
	return straight || (same(a->side[0].function, b->side[1].function) &&
			    same(a->side[1].function, b->side[0].function));
}
