#include "report/goroutines.h"

#include <errno.h>
#include <zlib.h>

#include "cli/command.h"
#include "cli/session.h"
#include "report/pprof.h"
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

/* Writes the profile, compressed as its format wants it, into the file that --pprof names. */
static enum status write_profile(struct session *s, const struct stack_groups *groups)
{
	AUTO_TEXT struct text profile = TEXT_INIT;
	const char *path = s->options->value[OPTION_PPROF];
	if (pprof_encode(s->rt, groups, &profile, &s->error) != OK)
		return FAILED;
	/* zlib keeps no errno of its own. */
	errno = 0;
	gzFile file = gzopen(path, "wb");
	if (!file)
		return errno ? error_sys(&s->error, "%s", path) : error_nomem(&s->error);
	size_t written = gzfwrite(profile.s, 1, profile.len, file);
	if (gzclose(file) != Z_OK || written != profile.len)
		return error_sys(&s->error, "%s", path);
	return OK;
}

/* What is made of groups: a profile, where one is asked for, or text. */
static enum status show_groups(struct session *s, const struct goroutines *goroutines,
			       const struct racers *racers, uint64_t limit)
{
	struct stack_groups groups;
	enum status status = OK;
	if (stack_groups_make(s->rt, goroutines, &groups, &s->error) != OK)
		return FAILED;
	if (option_given(s->options, OPTION_PPROF))
		status = write_profile(s, &groups);
	else
		goroutines_groups_text(&s->page, s->rt, goroutines, &groups, racers, limit);
	stack_groups_done(&groups);
	return status;
}

int goroutines_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t limit;
	bool all = option_given(options, OPTION_ALL), profile = option_given(options, OPTION_PPROF);
	if (!option_number(options, OPTION_LIMIT, all ? 0 : GROUPS_DEFAULT, &limit))
		return EXIT_USAGE;
	int status = session_open_run(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	struct goroutines goroutines;
	if (goroutines_read(s.rt, &goroutines, &s.error) != OK)
		return session_fail(&s);
	struct racers racers = find_racers(&s);
	enum status shown = OK;
	if (profile || (!s.json && !all))
		shown = show_groups(&s, &goroutines, &racers, limit);
	else if (s.json)
		goroutines_json(stdout, s.rt, &s.source, &goroutines, &racers,
				option_given(options, OPTION_LIMIT) ? limit : 0);
	else
		goroutines_all_text(&s.page, s.rt, &goroutines, &racers, limit);
	goroutines_done(&goroutines);
	if (shown != OK)
		return session_fail(&s);
	if (profile || !s.json)
		page_notes(&s.page, &s.notes);
	return session_end(&s);
}
