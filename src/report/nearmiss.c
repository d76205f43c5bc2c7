#include "report/nearmiss.h"

#include <inttypes.h>

#include "report/explain.h"

static const char *operation_text(const struct near_side *side)
{
	return side->access.operation == OPERATION_UNKNOWN ? "?"
							   : operation_name(side->access.operation);
}

static double milliseconds(const struct nearmiss_facts *f, uint64_t ticks)
{
	return (double)ticks / (double)f->ticks_ms;
}

/* How sure it is, and why. */
static void print_claim(struct page *page, const struct nearmiss_facts *f,
			const struct near_miss *miss)
{
	page_style(page, miss->grade == GRADE_PROVEN ? STYLE_RED : STYLE_YELLOW, "\n%-9s ",
		   grade_name(miss->grade));
	page_text(page, miss->type ? miss->type : "a map whose type is not known");
	if (miss->grade == GRADE_PROVEN) {
		page_printf(page,
			    ": goroutines %" PRIu64 " and %" PRIu64
			    " were in calls on map 0x%" PRIx64 " at once",
			    miss->side[0].goroutine, miss->side[1].goroutine, miss->map);
		page_printf(page, "; seen %" PRIu64 " %s\n", miss->overlaps,
			    miss->overlaps == 1 ? "time" : "times");
		return;
	}
	page_printf(page,
		    ": goroutines %" PRIu64 " and %" PRIu64 " took turns on map 0x%" PRIx64
		    ", %.3f ms apart; within %" PRIu64 " ms %" PRIu64 " %s\n",
		    miss->side[0].goroutine, miss->side[1].goroutine, miss->map,
		    milliseconds(f, miss->gap), f->within_ms, miss->close,
		    miss->close == 1 ? "time" : "times");
	page_printf(page, "          the code of one of them has no lock, channel, atomic or wait: "
			  "nothing orders it after the other\n");
}

static void print_side(struct page *page, const struct near_side *side)
{
	const struct access *a = &side->access;
	page_printf(page, "  %-7s ", operation_text(side));
	page_text(page, a->site.function);
	page_printf(page, "  ");
	page_place(page, &a->site);
	page_printf(page, "  goroutine %" PRIu64 "\n", side->goroutine);
	page_stack(page, &a->stack, 12, -1);
}

static void print_locks(struct page *page, const struct near_miss *miss)
{
	page_style(page, STYLE_BOLD, "locks     ");
	page_text(page, miss->locking_text ? miss->locking_text : "as far as the code shows");
	fputc('\n', page->out);
	if (miss->locking == LOCKING_NONE)
		return;
	explain_side_locks(page, &miss->side[0].access);
	explain_side_locks(page, &miss->side[1].access);
}

/* How many there are of a grade. */
static size_t count_grade(const struct near_misses *m, enum grade grade)
{
	size_t n = 0;
	for (size_t i = 0; i < m->count; i++)
		n += m->list[i].grade == grade;
	return n;
}

static void print_rest(struct page *page, const struct nearmiss_facts *f)
{
	size_t n = count_grade(f->misses, GRADE_POSSIBLE);
	if (!n)
		return;
	page_style(page, STYLE_BOLD, "\nothers    ");
	page_printf(page,
		    "%zu %s of places came within %" PRIu64
		    " ms on one map, and may be ordered by a lock or a channel",
		    n, n == 1 ? "pair" : "pairs", f->within_ms);
	page_printf(page,
		    f->hold_ms ? ": %" PRIu64 " holds did not bring them together\n"
			       : ": --hold 10 would show it (--json lists them)\n",
		    f->holds);
}

void nearmiss_text(struct page *page, const struct nearmiss_facts *f)
{
	const struct near_misses *m = f->misses;
	size_t races = count_grade(m, GRADE_PROVEN) + count_grade(m, GRADE_LIKELY);
	page_style(page, STYLE_BOLD, "watched   ");
	page_text(page, f->program);
	page_printf(page, ": map writes%s, %" PRIu64 " looks, %" PRIu64 " holds, %" PRIu64 " met\n",
		    f->reads ? " and reads" : "", m->looks, f->holds, m->meetings);
	page_style(page, STYLE_BOLD, "races     ");
	if (!races) {
		page_style(page, f->crashed ? STYLE_PLAIN : STYLE_GREEN, "none seen");
		page_printf(page, f->crashed ? " before the crash that is told above\n"
					     : ": that is no proof that there is none\n");
	} else {
		page_style(page, STYLE_RED, "%zu\n", races);
	}
	for (size_t i = 0; i < m->count; i++) {
		const struct near_miss *miss = &m->list[i];
		if (miss->grade < GRADE_LIKELY)
			continue;
		print_claim(page, f, miss);
		print_side(page, &miss->side[0]);
		print_side(page, &miss->side[1]);
		print_locks(page, miss);
	}
	print_rest(page, f);
	page_notes(page, f->notes);
}

static void side_member(struct json *json, const struct near_misses *m,
			const struct near_miss *miss, unsigned i)
{
	const struct near_side *side = &miss->side[i];
	const struct place *place = &m->ways[side->way].place;
	json_object(json, NULL);
	json_string(json, "operation",
		    place->operation == OPERATION_UNKNOWN ? NULL
							  : operation_name(place->operation));
	json_uint(json, "goroutine", side->goroutine);
	json_site(json, "site", &place->site);
	if (miss->grade >= GRADE_LIKELY) {
		json_locks(json, &side->access);
		json_stack(json, "stack", &side->access.stack);
	}
	json_end_object(json);
}

static void miss_member(struct json *json, const struct nearmiss_facts *f,
			const struct near_miss *miss)
{
	json_object(json, NULL);
	json_string(json, "grade", grade_name(miss->grade));
	json_string(json, "type", miss->type);
	json_addr(json, "map", miss->map);
	json_uint(json, "overlaps", miss->overlaps);
	json_uint(json, "close", miss->close);
	json_uint(json, "turns", miss->turns);
	json_uint(json, "gap_ns", (uint64_t)(milliseconds(f, miss->gap) * 1e6));
	json_string(json, "ordered_by", miss->ordered_by);
	json_string(json, "locking", locking_name(miss->locking));
	json_array(json, "sides");
	for (unsigned i = 0; i < 2; i++)
		side_member(json, f->misses, miss, i);
	json_end_array(json);
	json_end_object(json);
}

void nearmiss_json(FILE *out, const struct nearmiss_facts *f)
{
	struct json json = JSON_INIT(out);
	const struct near_misses *m = f->misses;
	json_object(&json, NULL);
	json_string(&json, "schema", "mapcrash.nearmiss/1");
	json_string(&json, "program", f->program);
	json_uint(&json, "within_ms", f->within_ms);
	json_uint(&json, "hold_ms", f->hold_ms);
	json_bool(&json, "reads", f->reads);
	json_uint(&json, "looks", m->looks);
	json_uint(&json, "holds", f->holds);
	json_uint(&json, "meetings", m->meetings);
	json_uint(&json, "lost", m->lost);
	json_bool(&json, "complete", !m->cut && !m->lost);
	json_array(&json, "misses");
	for (size_t i = 0; i < m->count; i++)
		miss_member(&json, f, &m->list[i]);
	json_end_array(&json);
	if (f->crash)
		json_value(&json, "crash", f->crash);
	else
		json_null(&json, "crash");
	json_notes(&json, f->notes);
	json_end_object(&json);
	json_done(&json);
}
