#include "verdict/judge.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "verdict/locks.h"

/* What the recorder saw, in words. */
static enum status describe_recorded(struct judge *j, const struct recorded *r, struct error *err)
{
	struct access *a = &j->verdict->other;
	unsigned long long map = j->recorded_map;
	unsigned long long age = r->age;
	if (j->options->records->header.died_at) {
		AUTO_FREE char *text = judge_death_text(j, r);
		return text ? access_evidence(a, err, "%s", text) : error_nomem(err);
	}
	if (r->how == RECORDED_IN_FLIGHT && age)
		return access_evidence(a, err,
				       "recorded: its write of the same map 0x%llx had begun %llu "
				       "ticks before the check failed and was still in flight",
				       map, age);
	if (r->how == RECORDED_IN_FLIGHT)
		return access_evidence(
			a, err,
			"recorded: its write of the same map 0x%llx was in flight as "
			"the check failed",
			map);
	if (r->how == RECORDED_OVERLAPS)
		return access_evidence(
			a, err,
			"recorded: its write of the same map 0x%llx ended after the "
			"detector's own write of it had begun, %llu ticks before the "
			"check failed",
			map, age);
	if (r->how == RECORDED_FOUND)
		return access_evidence(a, err,
				       "recorded: the detector's own write found the flag of map "
				       "0x%llx set, which its check had seen clear, and only this "
				       "goroutine was writing that map then; its write ended %llu "
				       "ticks before the check failed",
				       map, age);
	if (r->how == RECORDED_LEFT)
		return access_evidence(
			a, err,
			"recorded: its write of the same map 0x%llx overlapped with "
			"the detector's last one, %llu ticks before the failed check "
			"was seen: each cleared the flag, and the second time that "
			"set it again",
			map, age);
	if (r->how == RECORDED_ONLY)
		return access_evidence(
			a, err,
			"recorded: its write of the same map 0x%llx ended %llu ticks before the "
			"failed check was seen, and nobody else has written that map since the "
			"detector last wrote one or got its thread: the flag that the check saw "
			"was its",
			map, age);
	return access_evidence(a, err,
			       "recorded: its write of the same map 0x%llx ended %llu ticks before "
			       "the failed check was seen; others wrote it meanwhile",
			       map, age);
}

/* The other side as the recorder's table has it. */
static enum status fill_recorded(struct judge *j, const struct recorded *r, enum grade grade,
				 struct error *err)
{
	struct verdict *v = j->verdict;
	struct access *a = &v->other;
	struct frames frames;
	struct map_function f;
	struct map_call call;
	bool live;
	const struct goroutine *g = &r->goroutine;
	if (recorded_frames(j->rt, j->options->records, r, &frames, &live, err) != OK)
		return FAILED;
	v->has_other = true;
	enum status status = access_fill(j->rt, &j->library, g, &frames, a, err);
	a->grade = grade;
	for (size_t i = 0; i < frames.count && a->operation == OPERATION_UNKNOWN; i++)
		if (frames.list[i].has_function &&
		    map_function_by_name(frames.list[i].function.name, &f))
			a->operation = f.operation;
	/* Once the table is frozen a writer stays in the call that its line speaks of. */
	if (status == OK && live && r->record->state == RECORD_IN_FLIGHT &&
	    map_call_of_stack(j->rt, frames.list, frames.count, &call)) {
		struct lock_way way = {.frames = &frames, .first = call.frame + 1, .is_now = true};
		if (!v->map.has_header && call.has_type)
			judge_take_map(j, call.type.value, j->recorded_map);
		status = access_key(j->rt, &call, &a->key, err);
		if (status == OK)
			status = access_locks(j->rt, j->locks, &way, &j->owner, a, err);
	}
	frames_done(&frames);
	return status == OK ? describe_recorded(j, r, err) : FAILED;
}

/* In words, why it is a candidate; the caller frees it. */
static char *why_recorded(const struct judge *j, const struct recorded *r)
{
	if (j->options->records->header.died_at)
		return judge_death_text(j, r);
	return strdup(r->how == RECORDED_IN_FLIGHT
			      ? "recorded: it was writing this map too as the check failed"
		      : r->how == RECORDED_OVERLAPS
			      ? "recorded: it wrote this map during the detector's write"
			      : "recorded: it had just written this map");
}

enum status judge_recorded_candidates(struct judge *j, size_t from, struct error *err)
{
	struct verdict *v = j->verdict;
	size_t cap = v->candidate_count;
	for (size_t i = from; i < j->recorded_count; i++) {
		const struct recorded *r = &j->recorded[i];
		struct frames frames;
		bool live;
		if (recorded_frames(j->rt, j->options->records, r, &frames, &live, err) != OK)
			return FAILED;
		struct candidate c = {.goroutine = r->record->goid,
				      .site = frames_site(j->rt, &j->library, &frames),
				      .rank = 1000 - (int)i,
				      .why = why_recorded(j, r)};
		frames_done(&frames);
		if (!c.why || !ARRAY_PUSH(v->candidates, v->candidate_count, cap, c)) {
			free(c.why);
			return error_nomem(err);
		}
	}
	return OK;
}

enum status judge_fill_recorded(struct judge *j, enum grade grade, struct error *err)
{
	return fill_recorded(j, &j->recorded[0], grade, err) == OK
		       ? judge_recorded_candidates(j, 1, err)
		       : FAILED;
}

enum status judge_recorded(struct judge *j, bool *ret_done, struct error *err)
{
	struct verdict *v = j->verdict;
	const struct records *records = j->options->records;
	*ret_done = false;
	if (!records || !j->has_goroutines)
		return OK;
	if (records->header.lost)
		notes_add(j->rt->notes, "verdict", 0,
			  "the recorder's table was full: %u writes are not in it",
			  records->header.lost);
	bool certain = j->map_certain;
	if (recorded_own_map(records, &j->recorded_map)) {
		certain = true;
	} else if (j->has_call && j->call.has_map) {
		j->recorded_map = j->call.map.value;
	}
	if (records->header.detector_g != j->crash.goroutine.g || !j->recorded_map)
		return OK;
	j->recorded_count =
		recorded_find(j->rt, records, &j->goroutines, j->recorded_map, j->recorded);
	if (!j->recorded_count)
		return OK;
	const struct recorded *best = &j->recorded[0];
	bool ended = best->how == RECORDED_ONLY || best->how == RECORDED_JUST_ENDED;
	if (ended && v->map.has_header && v->map.map.writing) {
		/* set by none of those, who have all cleared it */
		j->recorded_count = 0;
		return access_evidence(&v->detector, err,
				       "recorded: no other write of this map was in flight as the "
				       "check failed, and "
				       "its flag is set still: %s",
				       records->header.left_map == j->recorded_map
					       ? "two writes that overlapped before have left it so"
					       : "a stray write?");
	}
	bool proof = !ended || (best->how == RECORDED_ONLY && v->map.has_header);
	v->grade = certain && proof ? GRADE_PROVEN : GRADE_LIKELY;
	*ret_done = true;
	return judge_fill_recorded(j, v->grade, err);
}
