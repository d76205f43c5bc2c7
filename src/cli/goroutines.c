#include "report/goroutines.h"
#include "cli/command.h"
#include "cli/session.h"
#include "verdict/verdict.h"

/* Groups that are shown where the command line does not say. */
enum { GROUPS_DEFAULT = 50 };

/* Who raced, where the target died of it: those goroutines come first. */
static struct racers find_racers(struct session *s)
{
	struct verdict verdict;
	struct racers racers = {0};
	if (s->target->kind != TARGET_CORE || verdict_judge(s->rt, NULL, &verdict, NULL) != OK)
		return racers;
	if (verdict.has_detector)
		racers.detector = verdict.detector.goroutine;
	if (verdict.has_other)
		racers.other = verdict.other.goroutine;
	verdict_done(&verdict);
	return racers;
}

int goroutines_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t limit;
	bool all = option_given(options, OPTION_ALL);
	if (!option_number(options, OPTION_LIMIT, all ? 0 : GROUPS_DEFAULT, &limit))
		return EXIT_USAGE;
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	struct goroutines goroutines;
	if (goroutines_read(s.rt, &goroutines, &s.error) != OK)
		return session_fail(&s);
	struct racers racers = find_racers(&s);
	if (s.json) {
		goroutines_json(stdout, s.rt, &s.source, &goroutines, &racers,
				option_given(options, OPTION_LIMIT) ? limit : 0);
	} else if (all) {
		goroutines_all_text(&s.page, s.rt, &goroutines, &racers, limit);
	} else {
		struct stack_groups groups;
		if (stack_groups_make(s.rt, &goroutines, &groups, &s.error) != OK) {
			goroutines_done(&goroutines);
			return session_fail(&s);
		}
		goroutines_groups_text(&s.page, s.rt, &goroutines, &groups, &racers, limit);
		stack_groups_done(&groups);
	}
	if (!s.json)
		page_notes(&s.page, &s.notes);
	goroutines_done(&goroutines);
	return session_end(&s);
}
