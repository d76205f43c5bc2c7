#include "verdict/logjoin.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "go/goroutine.h"
#include "verdict/access.h"

/* Where the core has no dead goroutine to compare: whether the g that the log names is one of that id. */
static bool g_agrees(struct runtime *rt, const struct access *a, bool *ret_known)
{
	struct goroutine g;
	*ret_known = a->g && goroutine_read(rt, a->g, &g, NULL) == OK;
	return *ret_known && g.id == a->goroutine;
}

/* A process that dies again and again may die at the same addresses: but its frames then differ in an
 * argument or a place. */
static bool stacks_agree(const struct stack *core, const struct stack *log)
{
	for (size_t i = 0; i < log->count; i++) {
		const struct stack_entry *l = &log->list[i];
		if (!l->sp || l->inlined)
			continue;
		for (size_t k = 0; k < core->count; k++) {
			const struct stack_entry *c = &core->list[k];
			if (c->inlined || c->sp != l->sp)
				continue;
			/* Uncertain arguments are what lay there when the text was printed. */
			bool certain = l->args && c->args && !strchr(l->args, '?') &&
				       !strchr(c->args, '?');
			if (c->site.pc != l->site.pc || (certain && strcmp(c->args, l->args) != 0))
				return false;
		}
	}
	return true;
}

static enum status confirm(const char *name, const struct log_verdict *log, struct verdict *v,
			   struct error *err)
{
	const struct access *d = &log->verdict.detector;
	bool same_map = v->map.known && log->verdict.map.known;
	if (access_evidence(&v->detector, err,
			    "%s tells the same: goroutine %" PRIu64 "%s, after \"%s\"", name,
			    d->goroutine, same_map ? " on the same map" : "",
			    log->verdict.message ? log->verdict.message : "") != OK)
		return FAILED;
	if (!v->has_other || !log->verdict.has_other ||
	    v->other.goroutine != log->verdict.other.goroutine)
		return OK;
	return access_evidence(
		&v->other, err, "%s names it too (%s): %s", name, grade_name(log->verdict.grade),
		log->verdict.other.evidence_count ? log->verdict.other.evidence[0] : "");
}

/* The core has lost the goroutine that died, or what would tie another one to the map. */
static enum status complete(struct runtime *rt, const char *name, struct log_verdict *log,
			    struct verdict *v, struct error *err)
{
	struct verdict *from = &log->verdict;
	if (!v->has_detector || !v->detector.stack.count) {
		pid_t thread = v->detector.thread;
		access_done(&v->detector);
		v->detector = from->detector;
		from->detector = (struct access){0};
		v->detector.thread = thread;
		v->has_detector = true;
		from->has_detector = false;
		if (access_evidence(&v->detector, err,
				    "the core has lost its stack: this is what %s shows",
				    name) != OK)
			return FAILED;
		v->cause = from->cause;
		free(v->message);
		v->message = TAKE(from->message);
		free(v->what);
		v->what = TAKE(from->what);
		if (v->grade == GRADE_NONE)
			v->grade = GRADE_UNKNOWN;
	}
	if (!v->map.known && from->map.known) {
		struct error why;
		v->map.known = true;
		v->map.map.addr = from->map.map.addr;
		v->map.type = from->map.type;
		if (log->map_type &&
		    map_open(rt, log->map_type, from->map.map.addr, &v->map.map, &why) != OK)
			notes_add_error(rt->notes, "maps", "the map's header", &why);
		else
			v->map.has_header = log->map_type;
	}
	if (from->grade <= v->grade || !from->has_other)
		return OK;
	access_done(&v->other);
	v->other = from->other;
	from->other = (struct access){0};
	v->has_other = true;
	from->has_other = false;
	v->grade = from->grade;
	return access_evidence(&v->other, err, "the core shows less of it: this is what %s shows",
			       name);
}

enum status verdict_join_log(struct runtime *rt, int fd, const char *name, struct verdict *v,
			     struct log_verdict *ret, struct error *err)
{
	struct log_match match = {.message = v->message,
				  .goroutine = v->has_detector ? v->detector.goroutine : 0,
				  .g = v->has_detector ? v->detector.g : 0,
				  .map = v->map.known ? v->map.map.addr : 0};
	struct log_options options = {.rt = rt, .match = &match};
	struct log_verdict log;
	struct error why;
	bool known = true;
	*ret = (struct log_verdict){0};
	/* What the log lacks is no gap beside a core. */
	struct notes gaps = NOTES_INIT;
	enum status judged = log_judge(fd, &options, &gaps, &log, &why);
	notes_done(&gaps);
	if (judged != OK) {
		if (why.code != ERROR_MISMATCH && why.code != ERROR_NOT_FOUND) {
			if (err)
				*err = why;
			return FAILED;
		}
		notes_add(rt->notes, "verdict", 0, "%s is not used: %s", name, why.text);
		return OK;
	}
	const struct access *d = &log.verdict.detector;
	const char *trouble = NULL;
	if (log.other_build)
		trouble = "it is of another build";
	else if (v->has_detector ? !stacks_agree(&v->detector.stack, &d->stack)
				 : !g_agrees(rt, d, &known) && known)
		trouble = "it is of another crash of this program";
	if (trouble) {
		notes_add(rt->notes, "verdict", 0, "%s is not used: %s", name, trouble);
		log_verdict_done(&log);
		return OK;
	}
	if (!known)
		notes_add(rt->notes, "verdict", 0,
			  "whether %s is of the same crash cannot be told: the core has lost the "
			  "goroutine "
			  "that died",
			  name);
	enum status status = OK;
	if (v->detector.stack.count && v->cause == log.verdict.cause && log.verdict.has_detector)
		status = confirm(name, &log, v, err);
	if (status == OK && log.verdict.cause == CAUSE_RACE)
		status = complete(rt, name, &log, v, err);
	if (status != OK) {
		log_verdict_done(&log);
		return FAILED;
	}
	*ret = log;
	return OK;
}
