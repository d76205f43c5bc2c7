/*
 * The other side of a death in a map's own code that was no failed check, by the recorder's table.
 */
#include "verdict/judge.h"

#include <string.h>

#include "base/text.h"

/*
 * Whether header.died_at is of what the detector's stack shows: a fault that became a panic, or a throw. A panic in a
 * deferred function may come long after the fault before it, and one that is of no fault, after one that was
 * recovered.
 */
static bool is_told(const struct judge *j)
{
	const struct records *records = j->options->records;
	const struct frames *frames = &j->crash.frames;
	size_t panics = 0, faults = 0;
	if (!records || !records->header.died_at || !j->crash.has_goroutine ||
	    records->header.detector_g != j->crash.goroutine.g)
		return false;
	for (size_t i = 0; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		panics += frame->has_function &&
			  strcmp(frame->function.name, "runtime.gopanic") == 0;
		faults += frame->has_function &&
			  strcmp(frame->function.name, "runtime.sigpanic") == 0;
	}
	return j->crash.has_fatal ? panics == 0 : panics == 1 && faults == 1;
}

bool judge_broken_off(const struct judge *j, uint64_t *ret)
{
	struct function fn;
	const struct record *own = is_told(j) ? recorded_broken_off(j->options->records) : NULL;
	if (!own || !j->has_call || !operation_writes(j->call.operation) ||
	    !pclntab_find(j->rt->pclntab, record_site(j->options->records, own), &fn))
		return false;
	/* else the line is of a write before, which was broken off too */
	for (size_t i = j->call.inner; i <= j->call.frame; i++)
		if (j->crash.frames.list[i].function.entry == fn.entry) {
			*ret = own->map;
			return true;
		}
	return false;
}

char *judge_death_text(const struct judge *j, const struct recorded *r)
{
	unsigned long long map = j->recorded_map, age = r->age;
	const char *when = j->crash.has_fatal ? "the runtime gave up" : "the fault was seen";
	AUTO_TEXT struct text text = TEXT_INIT;
	text_printf(&text, "recorded: its write of the same map 0x%llx ", map);
	if (r->how == RECORDED_IN_FLIGHT)
		text_printf(&text, "had begun %llu ticks before %s and was in flight then", age,
			    when);
	else if (r->how == RECORDED_OVERLAPS)
		text_printf(&text,
			    "ended after the detector's own write of it had begun, %llu ticks "
			    "before %s",
			    age, when);
	else if (r->how == RECORDED_JUST_ENDED)
		text_printf(&text, "ended %llu ticks before %s: no proof that they overlapped", age,
			    when);
	else if (age)
		text_printf(&text, "began %llu ticks from when %s: no proof that they overlapped",
			    age, when);
	else
		text_printf(&text, "was in flight after %s; since when is not known", when);
	return text_take(&text);
}

enum status judge_died(struct judge *j, bool damaged, bool *ret_done, struct error *err)
{
	struct verdict *v = j->verdict;
	const struct records *records = j->options->records;
	*ret_done = false;
	if (!is_told(j) || !j->has_goroutines)
		return OK;
	bool own = judge_broken_off(j, &j->recorded_map);
	if (!own && (!j->has_call || !j->call.has_map))
		return OK;
	if (!own)
		j->recorded_map = j->call.map.value;
	j->recorded_count =
		recorded_find(j->rt, records, &j->goroutines, j->recorded_map, j->recorded);
	if (!j->recorded_count)
		return OK;
	const struct recorded *best = &j->recorded[0];
	bool overlaps = best->how == RECORDED_IN_FLIGHT || (best->how == RECORDED_OVERLAPS && own);
	if (!overlaps && !(damaged && best->age < RECORDED_DEATH_TICKS))
		return OK;
	v->grade = overlaps && (own || j->map_certain) ? GRADE_PROVEN : GRADE_LIKELY;
	*ret_done = true;
	return judge_fill_recorded(j, v->grade, err);
}
