#include <inttypes.h>
#include <stdio.h>

#include "report/explain.h"

static void site_members(struct json *json, const struct site *site)
{
	json_string(json, "function", site->function);
	json_string(json, "file", site->file);
	if (site->line > 0)
		json_int(json, "line", site->line);
	else
		json_null(json, "line");
	json_addr(json, "pc", site->pc);
}

void json_site(struct json *json, const char *name, const struct site *site)
{
	if (!site->function) {
		json_null(json, name);
		return;
	}
	json_object(json, name);
	site_members(json, site);
	json_end_object(json);
}

void json_stack(struct json *json, const char *name, const struct stack *stack)
{
	json_array(json, name);
	for (size_t i = 0; i < stack->count; i++) {
		const struct stack_entry *e = &stack->list[i];
		json_object(json, NULL);
		site_members(json, &e->site);
		json_addr(json, "sp", e->sp);
		json_bool(json, "inlined", e->inlined);
		json_string(json, "args", e->args);
		json_end_object(json);
	}
	json_end_array(json);
}

void json_notes(struct json *json, const struct notes *notes)
{
	json_array(json, "notes");
	for (size_t i = 0; i < notes->count; i++) {
		json_object(json, NULL);
		json_addr(json, "address", notes->list[i].addr);
		json_string(json, "floor", notes->list[i].floor);
		json_string(json, "text", notes->list[i].text);
		json_end_object(json);
	}
	if (notes->dropped) {
		char text[64];
		snprintf(text, sizeof(text), "%zu more notes are not listed", notes->dropped);
		json_object(json, NULL);
		json_addr(json, "address", 0);
		json_string(json, "floor", "report");
		json_string(json, "text", text);
		json_end_object(json);
	}
	json_end_array(json);
}

static void build_id(struct json *json, const struct build_id *id)
{
	char gnu[2 * sizeof(id->gnu) + 1] = "";
	for (size_t i = 0; i < id->gnu_len; i++)
		snprintf(gnu + 2 * i, 3, "%02x", id->gnu[i]);
	json_string(json, "build_id", id->go[0] ? id->go : id->gnu_len ? gnu : NULL);
}

void json_header(struct json *json, const char *schema, const struct runtime *rt,
		 const struct explain_source *source)
{
	const struct target *target = rt ? rt->target : NULL;
	const char *version = rt ? rt->version.text : source->log->version;
	json_string(json, "schema", schema);
	json_string(json, "go_version", version[0] ? version : NULL);
	json_string(json, "arch", !target ? NULL : target->arch == ARCH_ARM64 ? "arm64" : "amd64");
	if (target && target->exe) {
		json_object(json, "executable");
		json_string(json, "path", executable_path(target->exe));
		build_id(json, executable_build_id(target->exe));
		json_end_object(json);
	} else {
		json_null(json, "executable");
	}
	json_object(json, "source");
	json_string(json, "kind", source->kind);
	json_string(json, "path", source->path);
	json_end_object(json);
}

static void map_member(struct json *json, const struct map_facts *facts)
{
	if (!facts->known && !facts->type) {
		json_null(json, "map");
		return;
	}
	const struct map *map = &facts->map;
	json_object(json, "map");
	if (facts->known)
		json_addr(json, "address", map->addr);
	else
		json_null(json, "address");
	if (facts->has_header)
		json_string(json, "kind", map->design == MAP_SWISS ? "swiss" : "hmap");
	else
		json_null(json, "kind");
	json_string(json, "type", facts->type);
	json_string(json, "owner", facts->owner);
	if (facts->has_header) {
		json_uint(json, "count", map->count);
		json_bool(json, "writing", map->writing);
		json_bool(json, "growing", map->growing);
		json_uint(json, "flags", map->flag);
	} else {
		json_null(json, "count");
		json_null(json, "writing");
		json_null(json, "growing");
		json_null(json, "flags");
	}
	json_string(json, "contradiction", facts->contradiction);
	json_end_object(json);
}

static void registers_member(struct json *json, const struct access *a)
{
	if (!a->has_registers) {
		json_null(json, "registers");
		return;
	}
	json_object(json, "registers");
	for (unsigned i = 0; i < regs_count(a->registers.arch); i++) {
		char value[24];
		const char *name = regs_name(a->registers.arch, i);
		snprintf(value, sizeof(value), "0x%" PRIx64, a->registers.r[i]);
		if (name)
			json_string(json, name, value);
	}
	json_end_object(json);
}

void json_locks(struct json *json, const struct access *a)
{
	json_array(json, "locks");
	for (size_t i = 0; i < a->lock_count; i++) {
		const struct side_lock *lock = &a->locks[i];
		json_object(json, NULL);
		json_string(json, "name", lock->name);
		json_string(json, "type", lock_kind_name(lock->kind));
		if (lock->addr)
			json_addr(json, "address", lock->addr);
		else
			json_null(json, "address");
		json_string(json, "state", lock->state);
		json_string(json, "held",
			    !lock->held	    ? "no"
			    : lock->certain ? "yes"
					    : "on some ways");
		json_string(json, "mode", !lock->held ? NULL : lock->read ? "read" : "write");
		json_site(json, "taken_by", &lock->taken_by);
		json_end_object(json);
	}
	json_end_array(json);
	json_bool(json, "locks_complete", a->locks_known);
	json_uint(json, "locks_unfollowed", a->locks_unfollowed);
}

static void access_member(struct json *json, const char *role, const struct access *a)
{
	json_object(json, NULL);
	json_string(json, "role", role);
	json_string(json, "grade", grade_name(a->grade));
	json_string(json, "operation",
		    a->operation == OPERATION_UNKNOWN ? NULL : operation_name(a->operation));
	json_uint(json, "goroutine", a->goroutine);
	if (a->thread)
		json_int(json, "thread", a->thread);
	else
		json_null(json, "thread");
	json_string(json, "state", a->state);
	if (a->key.text) {
		json_object(json, "key");
		json_string(json, "type", a->key.type);
		json_string(json, "text", a->key.text);
		json_string(json, "hex", a->key.hex);
		json_end_object(json);
	} else {
		json_null(json, "key");
	}
	json_site(json, "site", &a->site);
	if (a->created_by.function) {
		json_object(json, "created_by");
		site_members(json, &a->created_by);
		if (a->created_by_goroutine)
			json_uint(json, "goroutine", a->created_by_goroutine);
		else
			json_null(json, "goroutine");
		json_end_object(json);
	} else {
		json_null(json, "created_by");
	}
	json_stack(json, "stack", &a->stack);
	registers_member(json, a);
	json_locks(json, a);
	json_array(json, "evidence");
	for (size_t i = 0; i < a->evidence_count; i++)
		json_string(json, NULL, a->evidence[i]);
	json_end_array(json);
	json_end_object(json);
}

/* Where in the log the crash stands, and which others are there. */
static void log_member(struct json *json, const struct log_verdict *log)
{
	if (!log) {
		json_null(json, "log");
		return;
	}
	json_object(json, "log");
	json_uint(json, "crash", log->number);
	json_uint(json, "dropped", log->dropped);
	json_array(json, "crashes");
	for (size_t i = 0; i < log->count; i++) {
		const struct log_crash *c = &log->crashes[i];
		json_object(json, NULL);
		json_uint(json, "crash", log->dropped + i + 1);
		json_uint(json, "line", c->line);
		json_uint(json, "last_line", c->last_line);
		json_string(json, "cause", cause_name(c->cause));
		json_string(json, "grade", c->grade == GRADE_NONE ? NULL : grade_name(c->grade));
		json_string(json, "message", c->message);
		json_string(json, "what", c->what);
		json_uint(json, "goroutines", c->goroutines);
		json_addr(json, "map", c->map);
		json_site(json, "detector", &c->detector_site);
		json_site(json, "other", &c->other_site);
		json_end_object(json);
	}
	json_end_array(json);
	json_end_object(json);
}

void explain_json(FILE *out, const struct runtime *rt, const struct explain_source *source,
		  const struct verdict *v)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_header(&json, "mapcrash.report/1", rt, source);
	json_string(&json, "cause", cause_name(v->cause));
	json_string(&json, "grade", v->grade == GRADE_NONE ? NULL : grade_name(v->grade));
	json_string(&json, "message", v->message);
	json_string(&json, "what", v->what);
	json_string(&json, "check", v->check);
	json_string(&json, "advice", v->advice);
	map_member(&json, &v->map);
	json_array(&json, "accesses");
	if (v->has_detector)
		access_member(&json, v->cause == CAUSE_RACE ? "detector" : "crashed", &v->detector);
	if (v->has_other)
		access_member(&json, "other", &v->other);
	json_end_array(&json);
	if (v->locking_text) {
		json_object(&json, "locking");
		json_string(&json, "finding", locking_name(v->locking));
		json_string(&json, "text", v->locking_text);
		json_end_object(&json);
	} else {
		json_null(&json, "locking");
	}
	json_array(&json, "candidates");
	for (size_t i = 0; i < v->candidate_count; i++) {
		json_object(&json, NULL);
		json_uint(&json, "goroutine", v->candidates[i].goroutine);
		json_site(&json, "site", &v->candidates[i].site);
		json_string(&json, "why", v->candidates[i].why);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_array(&json, "sites");
	for (size_t i = 0; i < v->site_count; i++) {
		json_object(&json, NULL);
		site_members(&json, &v->sites[i].site);
		json_string(&json, "operation", operation_name(v->sites[i].operation));
		json_bool(&json, "type_known", v->sites[i].type_known);
		json_end_object(&json);
	}
	json_end_array(&json);
	json_object(&json, "searched");
	json_uint(&json, "goroutines", v->goroutine_count);
	json_uint(&json, "searched", v->searched);
	json_uint(&json, "parked_skipped", v->parked_skipped);
	json_end_object(&json);
	log_member(&json, source->log);
	json_notes(&json, rt ? rt->notes : source->notes);
	json_end_object(&json);
	json_done(&json);
}
