/*
 * The judgement: what the crash says, which map it was about, and how each goroutine stands to that
 * map, put into grades. The grades' rules are in verdict.h and docs/ARCHITECTURE.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "maps/check.h"
#include "verdict/judge.h"
#include "verdict/locks.h"
#include "verdict/lookalike.h"

static void judge_done(struct judge *j)
{
	suspects_done(&j->suspects);
	search_free(j->search);
	lockflow_free(j->locks);
	map_owner_done(&j->owner);
	crash_done(&j->crash);
	if (j->has_goroutines)
		goroutines_done(&j->goroutines);
}
#define AUTO_JUDGE __attribute__((cleanup(judge_done)))

/* Whether the detector's own argument slots, live or not, hold the pointer too: then it is not only
 * what some object says now. */
static bool slots_agree(struct judge *j)
{
	for (size_t i = j->call.inner; i <= j->call.frame; i++) {
		struct map_function f;
		uint64_t value;
		bool live;
		const struct frame *frame = &j->crash.frames.list[i];
		if (map_function_by_name(frame->function.name, &f) && f.map_word >= 0 &&
		    frame_arg_word(j->rt, frame, (unsigned)f.map_word, &value, &live) &&
		    value == j->call.map.value)
			return true;
	}
	return false;
}

/* Whose the map is: as the detector's stack has it, else that of the goroutine that started it. */
static void find_owner(struct judge *j)
{
	uint64_t map = j->call.has_map ? j->call.map.value : 0;
	uint64_t type = j->call.has_type ? j->call.type.value : 0;
	struct map_facts *facts = &j->verdict->map;
	struct map_owner *owner = &j->owner;
	bool found = map_owner_find(j->rt, &j->crash.goroutine, &j->crash.frames, map, type, owner);
	if (!found && map && j->has_goroutines) {
		uint64_t parent = j->crash.goroutine.parent;
		const struct goroutine *g = goroutines_by_id(&j->goroutines, parent ? parent : 1);
		struct stack_walk walk = STACK_WALK_INIT;
		struct frames frames = {0};
		found = g && g->g != j->crash.goroutine.g &&
			frames_collect(&walk, j->rt, g, FRAMES_SEARCH_MAX, &frames, NULL) == OK &&
			map_owner_find(j->rt, g, &frames, map, type, owner);
		stack_walk_done(&walk);
		frames_done(&frames);
	}
	if (!found)
		return;
	facts->owner = TAKE(owner->name);
	if (owner->type && facts->type && strstr(facts->type, "go.shape."))
		facts->type = type_name(j->rt, owner->type);
}

void judge_take_map(struct judge *j, uint64_t type, uint64_t addr)
{
	struct verdict *v = j->verdict;
	struct error why;
	if (!v->map.type)
		v->map.type = type_name(j->rt, type);
	v->map.known = true;
	if (map_open(j->rt, type, addr, &v->map.map, &why) != OK) {
		notes_add_error(j->rt->notes, "maps", "the map's header", &why);
		return;
	}
	v->map.has_header = true;
	char text[200];
	if (map_contradiction(j->rt, &v->map.map, text))
		v->map.contradiction = strdup(text);
}

/* Which map: from the crashing frames. */
static void find_map(struct judge *j)
{
	const struct frames *frames = &j->crash.frames;
	struct verdict *v = j->verdict;
	j->has_call = map_call_of_stack(j->rt, frames->list, frames->count, &j->call);
	if (!j->has_call) {
		notes_add(j->rt->notes, "verdict", 0,
			  "the crashed goroutine's stack shows no map function: the map is not "
			  "known");
		return;
	}
	if (j->call.has_type)
		v->map.type = type_name(j->rt, j->call.type.value);
	if (judge_broken_off(j, &j->call.map.value) ||
	    (j->options->records &&
	     recorded_checked_map(j->options->records, j->crash.goroutine.g, &j->call.map.value))) {
		j->call.map.source = ARGUMENT_RECORDED;
		j->call.has_map = true;
	}
	find_owner(j);
	if (!j->call.has_type && j->owner.type) {
		/* what holds the map tells what it is */
		j->call.type.value = j->owner.type;
		j->call.has_type = true;
	}
	j->map_certain = j->call.has_map &&
			 (j->call.map.source != ARGUMENT_MEMORY || slots_agree(j));
	if (!j->call.has_map || !j->call.has_type) {
		notes_add(
			j->rt->notes, "verdict", 0,
			"the %s of the crashed call could not be recovered: its registers are gone",
			j->call.has_type  ? "map's address"
			: j->call.has_map ? "map's type"
					  : "map's address and type");
		return;
	}
	judge_take_map(j, j->call.type.value, j->call.map.value);
}

/* Which of the runtime's checks failed, told from the machine code around the call of fatal. */
static enum status name_check(struct judge *j, struct error *err)
{
	const struct frames *frames = &j->crash.frames;
	if (!j->crash.has_fatal || j->crash.fatal_frame + 1 >= frames->count || !j->search)
		return OK;
	const struct frame *frame = &frames->list[j->crash.fatal_frame + 1];
	const struct flagsites *sites = search_flagsites(j->search, &frame->function);
	const struct flag_site *fatal = sites ? flagsites_fatal_at(sites, frame->pc) : NULL;
	if (!fatal || !fatal->check || fatal->role == FLAG_CHECK_NONE)
		return OK;
	const char *what =
		fatal->role == FLAG_CHECK_EXIT
			? "exit check: the flag was gone when the write was done, so another "
			  "goroutine cleared it meanwhile"
			: "entry check: the flag was set already, so another goroutine was "
			  "writing";
	if (asprintf(&j->verdict->check, "%s (%s+0x%llx)", what, frame->function.name,
		     (unsigned long long)(fatal->check - frame->function.entry)) < 0) {
		j->verdict->check = NULL;
		return error_nomem(err);
	}
	return OK;
}

static enum grade grade_of(const struct judge *j, size_t *ret_strong)
{
	const struct suspects *s = &j->suspects;
	size_t strong = 0, in_map = 0;
	for (size_t i = 0; i < s->count; i++) {
		in_map += s->list[i].level >= SUSPECT_IN_MAP;
		strong += s->list[i].level >= SUSPECT_HOLDS && s->list[i].level != SUSPECT_IN_TYPE;
	}
	*ret_strong = in_map ? in_map : strong;
	if (!s->count)
		return GRADE_UNKNOWN;
	const struct suspect *best = &s->list[0];
	if (best->level == SUSPECT_INSIDE && best->map_certain && j->map_certain &&
	    j->verdict->map.has_header && j->verdict->map.map.writing)
		return GRADE_PROVEN;
	if (in_map)
		return in_map == 1 ? GRADE_LIKELY : GRADE_POSSIBLE;
	return strong == 1 && best->level != SUSPECT_IN_TYPE ? GRADE_LIKELY : GRADE_POSSIBLE;
}

static void describe_place(struct text *text, const struct suspect *s)
{
	text_printf(text, "%s", s->goroutine.thread >= 0 ? "running" : "stopped");
	if (s->now.function)
		text_printf(text, " in %s", s->now.function);
}

/* Why this goroutine, in words that can be checked. */
static void describe(const struct judge *j, const struct suspect *s, struct text *text)
{
	unsigned long long map = j->verdict->map.map.addr;
	switch (s->level) {
	case SUSPECT_INSIDE:
		text_printf(text,
			    "it is in %s now, on the same map 0x%llx, between the instruction that "
			    "sets the flag (+0x%llx) and the next one that clears it (+0x%llx)",
			    s->map_function, map, (unsigned long long)s->set_at,
			    (unsigned long long)s->clear_at);
		break;
	case SUSPECT_FATAL:
		text_printf(text,
			    "it is in %s on the same map 0x%llx, where a check of its own has "
			    "failed",
			    s->map_function, map);
		break;
	case SUSPECT_IN_MAP:
		text_printf(text, "it is in %s now, on the same map 0x%llx%s",
			    s->map_function ? s->map_function : "a map function", map,
			    s->window == FLAG_WINDOW_BEFORE
				    ? ", but has not set the flag: this may be a later call"
			    : s->window == FLAG_WINDOW_AFTER ? ", and has cleared the flag already"
							     : "");
		break;
	case SUSPECT_IN_TYPE:
		text_printf(text,
			    "it is in %s now, on a map of the same type whose address is lost",
			    s->map_function ? s->map_function : "a map function");
		break;
	case SUSPECT_LEFT:
		text_append(text, "it has just come back from a call that writes this map, ");
		describe_place(text, s);
		break;
	case SUSPECT_WRITES:
		text_append(text, "code on its stack writes this very map; now ");
		describe_place(text, s);
		break;
	case SUSPECT_HOLDS:
	case SUSPECT_TYPE:
		text_append(text, s->hold_distance == 0 ? "its frames hold the map's address"
				  : s->hold_distance == 1
					  ? "its frames hold the object that contains the map"
				  : s->hold_distance == 2
					  ? "its frames lead to the map over two pointers"
					  : "this map was not seen in its frames");
		text_append(text, s->hold_distance < 0 ? ", but " : ", and ");
		text_append(
			text,
			s->is_shared   ? "code on its stack is on the detector's too, and leads to "
					 "the same write; now "
			: s->is_remote ? "functions that its code calls can write such maps; now "
				       : "code on its stack can write such maps; now ");
		describe_place(text, s);
		break;
	case SUSPECT_NONE:
		break;
	}
}

/* The locks of one side whose stack is frames; s NULL: the detector. */
static enum status fill_locks(struct judge *j, const struct frames *frames, const struct suspect *s,
			      struct access *a, struct error *err)
{
	struct lock_way way = {
		.frames = frames,
		.first = (s ? s->call.frame : j->call.frame) + 1,
		.is_now = true,
	};
	if (s && s->level < SUSPECT_IN_TYPE) {
		way.is_now = false;
		way.first = s->site_frame;
		way.write_at = s->write_at;
		way.via = s->via;
		way.via_count = s->via_count;
		if (!s->write_at)
			return OK;
	}
	return access_locks(j->rt, j->locks, &way, &j->owner, a, err);
}

static enum status fill_detector(struct judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	struct access *a = &v->detector;
	if (!j->crash.has_goroutine)
		return OK;
	v->has_detector = true;
	if (access_fill(j->rt, &j->library, &j->crash.goroutine, &j->crash.frames, a, err) != OK)
		return FAILED;
	a->grade = GRADE_PROVEN;
	if (!j->has_call)
		return OK;
	a->operation = j->call.operation;
	if (access_key(j->rt, &j->call, &a->key, err) != OK)
		return FAILED;
	static const char *const how[] = {
		[ARGUMENT_SLOT] = "from the call's own frame",
		[ARGUMENT_CONSTANT] = "a constant in the caller's code",
		[ARGUMENT_STACK] = "from the caller's frame",
		[ARGUMENT_MEMORY] = "from where the caller's code loads it",
		[ARGUMENT_STALE] = "from a slot that may be stale",
		[ARGUMENT_RECORDED] = "from the register that the check or the write used",
	};
	if (v->check && access_evidence(a, err, "%s", v->check) != OK)
		return FAILED;
	if (j->locks && fill_locks(j, &j->crash.frames, NULL, a, err) != OK)
		return FAILED;
	return !v->map.known ? OK
			     : access_evidence(a, err, "the map's address is read %s",
					       how[j->call.map.source]);
}

static enum status fill_other(struct judge *j, const struct suspect *s, enum grade grade,
			      struct error *err)
{
	struct verdict *v = j->verdict;
	struct access *a = &v->other;
	struct stack_walk walk = STACK_WALK_INIT;
	struct frames frames = {0};
	v->has_other = true;
	enum status status =
		frames_collect(&walk, j->rt, &s->goroutine, FRAMES_REPORT_MAX, &frames, err);
	if (status == OK)
		status = access_fill(j->rt, &j->library, &s->goroutine, &frames, a, err);
	if (status == OK)
		status = fill_locks(j, &frames, s, a, err);
	stack_walk_done(&walk);
	frames_done(&frames);
	if (status != OK)
		return FAILED;
	a->grade = grade;
	a->operation = s->operation;
	if (s->site.function)
		a->site = s->site;
	if (s->in_call && s->level >= SUSPECT_IN_TYPE &&
	    access_key(j->rt, &s->call, &a->key, err) != OK)
		return FAILED;
	AUTO_TEXT struct text why = TEXT_INIT;
	describe(j, s, &why);
	if (why.failed || access_evidence(a, err, "%s", why.s) != OK)
		return error_nomem(err);
	if (grade == GRADE_PROVEN)
		return access_evidence(a, err,
				       "the map's flag says that a write is in progress "
				       "(byte 0x%02x in the header)",
				       v->map.map.flag);
	if (s->level >= SUSPECT_IN_MAP && v->map.has_header && !v->map.map.writing)
		return access_evidence(a, err, "the map's flag is clear by now: no proof");
	if (s->level >= SUSPECT_IN_MAP && !(s->map_certain && j->map_certain))
		return access_evidence(a, err,
				       "the map's address was loaded from an object that may have "
				       "changed since: no proof");
	return OK;
}

static enum status fill_candidates(struct judge *j, size_t from, struct error *err)
{
	struct verdict *v = j->verdict;
	size_t cap = 0;
	for (size_t i = from; i < j->suspects.count; i++) {
		const struct suspect *s = &j->suspects.list[i];
		struct text why = TEXT_INIT;
		describe(j, s, &why);
		struct candidate c = {.goroutine = s->goroutine.id,
				      .site = s->site,
				      .rank = (int)s->level * 100 + s->weight,
				      .why = text_take(&why)};
		text_done(&why);
		if (!c.why || !ARRAY_PUSH(v->candidates, v->candidate_count, cap, c)) {
			free(c.why);
			return error_nomem(err);
		}
	}
	return OK;
}

static enum status fill_sites(struct judge *j, struct error *err)
{
	const struct map_sites *sites;
	struct error why;
	if (search_sites(j->search, &sites, &why) == OK)
		return sites_report(j->rt, sites, j->verdict, err);
	notes_add_error(j->rt->notes, "verdict", "code that writes such maps", &why);
	return OK;
}

/* The other side by what is left in the target: all other goroutines held against the map. */
static enum status judge_searched(struct judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	size_t strong = 0, shown = 0;
	if (j->has_goroutines && search_run(j->search, &j->goroutines, j->crash.goroutine.g,
					    j->options->search_all, &j->suspects, err) != OK)
		return FAILED;
	v->searched = j->suspects.searched;
	v->parked_skipped = j->suspects.parked_skipped;
	v->grade = grade_of(j, &strong);
	if (j->suspects.count) {
		const struct suspect *best = &j->suspects.list[0];
		if (fill_other(j, best, v->grade, err) != OK)
			return FAILED;
		if (v->grade == GRADE_LIKELY && best->level < SUSPECT_IN_MAP && strong == 1 &&
		    access_evidence(&v->other, err,
				    "no other goroutine of %zu searched leads to this map and can "
				    "write it",
				    v->searched) != OK)
			return FAILED;
		shown = 1;
	}
	return fill_candidates(j, shown, err);
}

/* Makes the search for the other side, and fills in the detector with what its code tells. */
static enum status begin_search(struct judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	struct detector detector = {
		.frames = &j->crash.frames,
		.first = j->call.frame + 1,
		.operation = j->call.operation,
		.owner = v->map.owner,
	};
	if (search_new(j->rt, &j->library, &v->map.map, &detector, &j->search, err) != OK)
		return FAILED;
	return name_check(j, err) == OK ? fill_detector(j, err) : FAILED;
}

static enum status judge_race(struct judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	bool recorded;
	v->cause = CAUSE_RACE;
	v->grade = GRADE_UNKNOWN;
	if (lockflow_new(j->rt, &j->library, &j->locks, err) != OK)
		return FAILED;
	if (!v->map.has_header)
		return fill_detector(j, err) == OK ? judge_recorded(j, &recorded, err) : FAILED;
	if (begin_search(j, err) != OK || judge_recorded(j, &recorded, err) != OK)
		return FAILED;
	if (!recorded && judge_searched(j, err) != OK)
		return FAILED;
	if (v->map.contradiction && v->grade == GRADE_UNKNOWN) {
		v->cause = CAUSE_CORRUPTION;
		v->grade = GRADE_NONE;
	}
	if (verdict_compare_locks(v, err) != OK)
		return FAILED;
	return v->grade == GRADE_UNKNOWN || j->options->sites ? fill_sites(j, err) : OK;
}

/* What is wrong in the map's memory, in words; NULL where nothing is, or memory is out. */
static char *find_damage(struct judge *j)
{
	struct check_report report = {0};
	char *damage = NULL;
	if (j->verdict->map.contradiction)
		return strdup(j->verdict->map.contradiction);
	if (map_check(j->rt, &j->verdict->map.map, &report, NULL) == OK && report.count)
		damage = strdup(report.list[0].text);
	check_report_done(&report);
	return damage;
}

/*
 * The map's own code broke before a check of the flag could tell. Another goroutine that is in this map, or
 * damage and another goroutine that can have done it by writing, make it a race; damage alone, a
 * corruption. Neither: it is something else that happened there, or a map that was not all there yet.
 */
static enum status judge_broken(struct judge *j, char *what, struct error *err)
{
	struct verdict *v = j->verdict;
	bool recorded;
	v->what = what;
	v->is_broken = true;
	v->cause = CAUSE_OTHER;
	if (lockflow_new(j->rt, &j->library, &j->locks, err) != OK)
		return FAILED;
	if (!v->map.has_header)
		return fill_detector(j, err);
	AUTO_FREE char *damage = find_damage(j);
	bool damaged = damage || (v->message && strcmp(v->message, "bad map state") == 0);
	if (begin_search(j, err) != OK || judge_died(j, damaged, &recorded, err) != OK ||
	    (!recorded && judge_searched(j, err) != OK))
		return FAILED;
	if (v->is_panic && !recorded && v->grade == GRADE_PROVEN) {
		/* between the fault and the end deferred functions ran, and may have let others in */
		v->grade = v->other.grade = GRADE_LIKELY;
	}
	bool in_map = recorded ||
		      (j->suspects.count && j->suspects.list[0].level >= SUSPECT_IN_MAP);
	if (in_map || (damaged && v->grade != GRADE_UNKNOWN)) {
		v->cause = CAUSE_RACE;
	} else {
		v->cause = damaged ? CAUSE_CORRUPTION : CAUSE_OTHER;
		v->grade = GRADE_NONE;
		access_done(&v->other);
		v->has_other = false;
		if (!damaged && !lookalike_add_late(&v->what))
			return error_nomem(err);
	}
	if (damage &&
	    access_evidence(&v->detector, err, "the map's memory is damaged: %s", damage) != OK)
		return FAILED;
	if (!recorded && judge_recorded_candidates(j, 0, err) != OK)
		return FAILED;
	return verdict_compare_locks(v, err);
}

static enum status judge_other(struct judge *j, struct error *err)
{
	struct verdict *v = j->verdict;
	v->cause = j->crash.kind == CRASH_NONE ? CAUSE_NONE : CAUSE_OTHER;
	char *hint = j->has_goroutines ? lookalike_hint(j->rt, &j->crash, &j->goroutines) : NULL;
	if (hint && asprintf(&v->what, "%s; %s", j->crash.what, hint) < 0)
		v->what = NULL;
	free(hint);
	if (!v->what)
		v->what = TAKE(j->crash.what);
	return fill_detector(j, err);
}

enum status verdict_judge(struct runtime *rt, const struct verdict_options *options,
			  struct verdict *ret, struct error *err)
{
	static const struct verdict_options defaults;
	struct verdict v = {0};
	AUTO_JUDGE struct judge j = {
		.rt = rt, .options = options ? options : &defaults, .verdict = &v};
	struct error why;
	library_init(&j.library, rt);
	j.has_goroutines = goroutines_read(rt, &j.goroutines, &why) == OK;
	if (j.has_goroutines)
		v.goroutine_count = j.goroutines.count;
	else
		notes_add_error(rt->notes, "go", "goroutines", &why);
	const struct records *records = j.options->records;
	const struct goroutine *frozen = NULL;
	if (records && records->header.freeze == FREEZE_HELD && j.has_goroutines)
		frozen = goroutines_by_g(&j.goroutines, records->header.detector_g);
	if (crash_read(rt, frozen, &j.crash, err) != OK)
		return FAILED;
	v.message = j.crash.message ? strdup(j.crash.message) : NULL;
	v.is_panic = j.crash.kind == CRASH_PANIC;
	enum status status;
	char *what;
	if (j.crash.kind >= CRASH_MAP_WRITES && j.crash.kind <= CRASH_MAP_SMALL_FULL) {
		if (j.crash.has_goroutine)
			find_map(&j);
		status = judge_race(&j, err);
	} else if (j.crash.has_goroutine && lookalike_in_map(rt, &j.crash, &what)) {
		find_map(&j);
		status = judge_broken(&j, what, err);
	} else {
		status = judge_other(&j, err);
	}
	if (status != OK) {
		verdict_done(&v);
		return FAILED;
	}
	*ret = v;
	return OK;
}
