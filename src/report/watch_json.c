#include "report/watch.h"

static const char *event_name(enum watch_kind kind)
{
	switch (kind) {
	case WATCH_FLIP:
		return "flip";
	case WATCH_FATAL:
		return "fatal";
	default:
		return "gap";
	}
}

static void id_member(struct json *json, const char *name, uint64_t id)
{
	if (id)
		json_uint(json, name, id);
	else
		json_null(json, name);
}

static void operation_member(struct json *json, enum operation operation)
{
	json_string(json, "operation",
		    operation == OPERATION_UNKNOWN ? NULL : operation_name(operation));
}

static void byte_member(struct json *json, const char *name, bool known, uint8_t value)
{
	if (known)
		json_uint(json, name, value);
	else
		json_null(json, name);
}

static void check_member(struct json *json, enum flag_check_role check)
{
	json_string(json, "check",
		    check == FLAG_CHECK_ENTRY  ? "entry"
		    : check == FLAG_CHECK_EXIT ? "exit"
					       : NULL);
}

void watch_json_begin(struct json *json, struct runtime *rt, const struct explain_source *source,
		      const struct watch_title *title)
{
	json_object(json, NULL);
	json_header(json, "mapcrash.watch/1", rt, source);
	json_object(json, "map");
	json_addr(json, "address", title->map->addr);
	json_string(json, "kind", rt->swiss ? "swiss" : "hmap");
	json_string(json, "type", title->type);
	json_string(json, "owner", title->owner);
	json_addr(json, "flag_address", title->map->flag);
	json_uint(json, "flag", title->map->value);
	json_uint(json, "writing_bits", title->map->writing);
	json_end_object(json);
	json_array(json, "events");
}

static void registers_member(struct json *json, const struct regs *regs)
{
	json_object(json, "registers");
	for (unsigned i = 0; i < regs_count(regs->arch); i++) {
		char value[24];
		snprintf(value, sizeof(value), "0x%llx", (unsigned long long)regs->r[i]);
		json_string(json, regs_name(regs->arch, i), value);
	}
	json_end_object(json);
}

static void callers_member(struct json *json, struct runtime *rt, const struct watch_event *event)
{
	json_array(json, "callers");
	for (size_t i = 0; i < event->caller_count; i++) {
		struct site site = site_of_return(rt, event->callers[i]);
		json_object(json, NULL);
		json_string(json, "function", site.function);
		json_string(json, "file", site.file);
		if (site.line > 0)
			json_int(json, "line", site.line);
		else
			json_null(json, "line");
		json_addr(json, "pc", event->callers[i]);
		json_end_object(json);
	}
	json_end_array(json);
}

static void instruction_members(struct json *json, struct runtime *rt,
				const struct watch_event *event)
{
	json_addr(json, "pc", event->pc);
	if (!event->function.name || !event->pc) {
		json_null(json, "instruction");
		return;
	}
	struct site site = site_of_pc(rt, event->pc);
	json_object(json, "instruction");
	json_string(json, "text", event->instruction);
	json_string(json, "function", event->function.name);
	json_uint(json, "offset", event->pc - event->function.entry);
	json_string(json, "file", site.file);
	if (site.line > 0)
		json_int(json, "line", site.line);
	else
		json_null(json, "line");
	json_end_object(json);
}

void watch_json_event(struct json *json, struct runtime *rt, const struct timeline *timeline,
		      const struct watch_event *event, const struct timeline_step *step)
{
	json_object(json, NULL);
	json_string(json, "event", event_name(event->kind));
	json_uint(json, "time_ns", event->time);
	if (event->kind == WATCH_GAP) {
		json_uint(json, "since_ns", event->since);
		json_uint(json, "lost", event->lost);
		json_end_object(json);
		return;
	}
	id_member(json, "goroutine", event->goroutine);
	json_addr(json, "g", event->g);
	json_uint(json, "row", step->row);
	json_int(json, "thread", event->thread);
	instruction_members(json, rt, event);
	operation_member(json, event->operation);
	if (event->kind == WATCH_FLIP) {
		json_string(json, "change", watch_change_name(event->change));
		byte_member(json, "old", event->has_old, event->old);
		byte_member(json, "new", event->has_new, event->new);
		json_bool(json, "is_overlap", step->is_overlap);
		id_member(json, "overlaps_goroutine",
			  step->is_overlap
				  ? timeline->rows[timeline->intervals[step->overlapped].row]
					    .goroutine
				  : 0);
	} else {
		check_member(json, event->check);
		json_bool(json, "holds_map", event->holds_map);
	}
	json_site(json, "site", &event->site);
	callers_member(json, rt, event);
	registers_member(json, &event->regs);
	json_end_object(json);
}

static void interval_members(struct json *json, const struct timeline *t, size_t index)
{
	const struct timeline_interval *interval = &t->intervals[index];
	id_member(json, "goroutine", t->rows[interval->row].goroutine);
	json_uint(json, "row", interval->row);
	json_uint(json, "start_ns", interval->start);
	json_uint(json, "end_ns", interval->end);
	json_bool(json, "ended", !interval->open);
	json_bool(json, "doubtful", interval->doubtful);
	operation_member(json, interval->operation);
	json_site(json, "site", &interval->site);
}

static void rows_member(struct json *json, const struct timeline *t)
{
	json_array(json, "goroutines");
	for (size_t i = 0; i < t->row_count; i++) {
		const struct timeline_row *row = &t->rows[i];
		json_object(json, NULL);
		id_member(json, "goroutine", row->goroutine);
		json_addr(json, "g", row->g);
		json_int(json, "thread", row->thread);
		json_uint(json, "writes", row->writes);
		json_uint(json, "writing_ns", row->writing);
		json_uint(json, "overlaps", row->overlaps);
		operation_member(json, row->operation);
		json_site(json, "site", &row->site);
		json_end_object(json);
	}
	json_end_array(json);
}

static void overlaps_member(struct json *json, const struct timeline *t)
{
	json_array(json, "overlaps");
	for (size_t i = 0; i < t->overlap_count; i++) {
		const struct timeline_overlap *o = &t->overlaps[i];
		json_object(json, NULL);
		json_uint(json, "start_ns", o->start);
		json_uint(json, "end_ns", o->end);
		json_bool(json, "doubtful", o->doubtful);
		json_object(json, "first");
		interval_members(json, t, o->first);
		json_end_object(json);
		json_object(json, "second");
		interval_members(json, t, o->second);
		json_end_object(json);
		json_end_object(json);
	}
	json_end_array(json);
}

static void fatal_interval(struct json *json, const char *name, const struct timeline *t,
			   size_t interval)
{
	if (!interval) {
		json_null(json, name);
		return;
	}
	json_object(json, name);
	interval_members(json, t, interval - 1);
	json_end_object(json);
}

static void fatal_member(struct json *json, const struct timeline *t)
{
	const struct timeline_fatal *f = &t->fatal;
	if (!f->seen) {
		json_null(json, "fatal");
		return;
	}
	json_object(json, "fatal");
	json_uint(json, "time_ns", f->time);
	id_member(json, "goroutine", t->rows[f->row].goroutine);
	check_member(json, f->check);
	json_bool(json, "of_this_map", f->of_this_map);
	operation_member(json, f->operation);
	json_site(json, "site", &f->site);
	fatal_interval(json, "own", t, f->own);
	fatal_interval(json, "other", t, f->other);
	json_end_object(json);
}

void watch_json_end(struct json *json, const struct runtime *rt, const struct timeline *t,
		    enum watch_end why)
{
	static const char *const reasons[] = {
		[WATCH_END_COUNT] = "count",
		[WATCH_END_DURATION] = "duration",
		[WATCH_END_USER] = "user",
		[WATCH_END_PROCESS] = "process",
	};
	json_end_array(json);
	json_string(json, "ended_by", reasons[why]);
	json_uint(json, "duration_ns", t->end);
	json_uint(json, "flips", t->flips);
	json_uint(json, "writes", t->writes);
	json_uint(json, "lost", t->lost);
	json_uint(json, "strange", t->strange);
	json_bool(json, "complete", !t->cut && !t->lost);
	rows_member(json, t);
	overlaps_member(json, t);
	fatal_member(json, t);
	json_notes(json, rt->notes);
	json_end_object(json);
	json_done(json);
}
