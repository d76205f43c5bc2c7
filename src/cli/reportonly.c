#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli/live.h"
#include "cli/session.h"
#include "report/nearmiss.h"

enum {
	/* From one look at the recorder's table to the next: a look at LINE_BITS costs a hundredth of
	 * that. Writers that take turns faster are seen often enough. */
	LOOK_MS = 4,
	LINE_BITS = 13, /* goroutines that the table has room for */
	/* How far apart two accesses are that nothing orders but luck: the time slice that Linux gives a
	 * thread (3 ms and more) and Go a goroutine (10 ms, runtime/proc.go forcePreemptNS). */
	WITHIN_DEFAULT_MS = 10,
	WITHIN_MAX_MS = 60000,
	/* Per cent of the time that may go into holds: the program is to go on, not to be broken. */
	HOLD_SHARE = 20,
};

/* The program, and what was seen of it. */
struct watched {
	struct recorder *recorder;
	struct target *target; /* its executable */
	struct runtime *rt;
	struct near_misses misses;
	bool tell; /* each race as it is found */
	uint64_t holds;
};

static void watched_done(struct watched *w)
{
	near_misses_done(&w->misses);
	runtime_free(w->rt);
	target_free(w->target);
	recorder_free(w->recorder);
}

static bool parse(const struct options *options, struct recorder_options *how, uint64_t *ret_within)
{
	if (!live_options(options, how) ||
	    !option_number(options, OPTION_WITHIN, WITHIN_DEFAULT_MS, ret_within))
		return false;
	if (how->no_times || !*ret_within || *ret_within > WITHIN_MAX_MS) {
		fprintf(stderr,
			"mapcrash run: --report-only goes by times (without --no-tsc); --within is "
			"1 "
			"to %d\n",
			WITHIN_MAX_MS);
		return false;
	}
	how->line_bits = LINE_BITS;
	how->hold_share = HOLD_SHARE;
	how->meets = true;
	how->reads = option_given(options, OPTION_READS);
	return true;
}

/* Starts the program and reads its executable, which tells what the recorder's addresses mean. */
static enum status start(struct watched *w, char **argv, const struct recorder_options *how,
			 uint64_t within_ms, struct notes *notes, struct error *err)
{
	char path[64];
	struct target_options plain = {0};
	if (recorder_start(argv, how, notes, &w->recorder, err) != OK)
		return FAILED;
	snprintf(path, sizeof(path), "/proc/%d/exe", recorder_pid(w->recorder));
	if (target_open(path, &plain, notes, &w->target, err) != OK ||
	    runtime_open(w->target, notes, &w->rt, err) != OK)
		return FAILED;
	return near_misses_init(&w->misses, w->rt, within_ms * recorder_ticks_ms(w->recorder),
				how->reads, err);
}

static void tell_race(const struct near_misses *m, const struct near_miss *miss)
{
	fputs("mapcrash: a race, and the program goes on:", stderr);
	for (unsigned i = 0; i < 2; i++) {
		const struct place *place = &m->ways[miss->side[i].way].place;
		const char *file = place->site.file ? strrchr(place->site.file, '/') : NULL;
		char text[512];
		snprintf(text, sizeof(text), "%s %s:%d", i ? "," : "", file ? file + 1 : "?",
			 place->site.line);
		live_print(text);
	}
	fputc('\n', stderr);
}

static enum status look(struct watched *w, struct error *err)
{
	AUTO_RECORDS struct records records = {0};
	size_t proven;
	uint64_t taken_at = records_now();
	if (recorder_records(w->recorder, &records, err) != OK)
		return FAILED;
	w->holds = records.header.holds;
	/* from then on lines are no longer closed */
	if (records.header.frozen)
		return OK;
	if (near_misses_add(&w->misses, &records, taken_at, &proven, err) != OK)
		return FAILED;
	if (proven != SIZE_MAX && w->tell)
		tell_race(&w->misses, &w->misses.list[proven]);
	return OK;
}

/* Looks until the program has ended; crash: what it died of, where that was a map. */
static enum status follow(struct watched *w, const struct options *options,
			  struct live_report *crash, struct error *err)
{
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(w->recorder, LOOK_MS, &event, err) != OK || look(w, err) != OK)
			return FAILED;
		if (event == RECORDER_MET)
			recorder_part(w->recorder);
		if (event == RECORDER_FROZEN)
			live_explain(w->recorder, options, crash);
		int signo = live_signal();
		if (signo)
			kill(recorder_pid(w->recorder), signo);
		if (event == RECORDER_EXITED)
			return OK;
	}
}

/* Puts the report together; what the program died of stands before it. */
static enum status make_report(struct session *s, struct watched *w, struct nearmiss_facts *facts,
			       const struct live_report *crash, struct live_report *ret)
{
	FILE *out = open_memstream(&ret->text, &ret->size);
	if (!out)
		return error_nomem(&s->error);
	if (near_misses_finish(&w->misses, &s->error) != OK) {
		fclose(out);
		return FAILED;
	}
	if (w->misses.lost)
		notes_add(
			&s->notes, "probe", 0,
			"the recorder had no room for %llu accesses: more goroutines than it keeps",
			(unsigned long long)w->misses.lost);
	if (w->misses.cut)
		notes_add(&s->notes, "verdict", 0, "more places or pairs of them than are kept");
	facts->crashed = crash->made;
	if (s->json) {
		facts->crash = crash->made ? crash->text : NULL;
		nearmiss_json(out, facts);
	} else {
		if (crash->made)
			fprintf(out, "%s\n", crash->text);
		s->page.out = out;
		nearmiss_text(&s->page, facts);
	}
	ret->made = fclose(out) == 0;
	return OK;
}

static bool found_any(const struct near_misses *m)
{
	/* the surest come first */
	return m->count && m->list[0].grade >= GRADE_LIKELY;
}

int report_only_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	__attribute__((cleanup(watched_done))) struct watched w = {0};
	struct recorder_options how;
	struct live_report crash = {0}, report = {0};
	uint64_t within;
	if (!parse(options, &how, &within))
		return EXIT_USAGE;
	int status = session_begin(&s, options, stderr);
	if (status != EXIT_SHOWN)
		return status;
	s.page.colour = s.page.colour && !option_given(options, OPTION_OUTPUT);
	w.tell = !s.json && !option_given(options, OPTION_OUTPUT);
	if (start(&w, options->operands, &how, within, &s.notes, &s.error) != OK) {
		if (w.recorder)
			kill(recorder_pid(w.recorder), SIGKILL);
		return session_fail(&s);
	}
	live_catch_signals(true);
	if (follow(&w, options, &crash, &s.error) != OK)
		return session_fail(&s);
	struct nearmiss_facts facts = {
		.program = options->operands[0],
		.misses = &w.misses,
		.ticks_ms = recorder_ticks_ms(w.recorder),
		.within_ms = within,
		.hold_ms = how.hold_ms,
		.holds = w.holds,
		.reads = how.reads,
		.notes = &s.notes,
	};
	bool ok = make_report(&s, &w, &facts, &crash, &report) == OK;
	free(crash.text);
	if (!ok)
		return session_fail(&s);
	if (!live_write(options, &report))
		return EXIT_NOTHING;
	if (crash.made || found_any(&w.misses))
		return EXIT_FOUND;
	return live_end_like(recorder_status(w.recorder));
}
