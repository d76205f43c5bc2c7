#include "report/explain.h"
#include "cli/command.h"
#include "cli/log.h"
#include "cli/session.h"
#include "verdict/verdict.h"

/* The data's whole way: bytes, memory, Go's runtime in it, a verdict, a report. */
int explain_run(const struct options *options)
{
	if (log_is_text(options->operands[0]))
		return log_explain(options);

	AUTO_SESSION struct session s = {0};
	int status = session_open_run(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	struct verdict_options how = {.search_all = option_given(options, OPTION_SEARCH_ALL),
				      .sites = option_given(options, OPTION_SITES),
				      .records = s.has_records ? &s.records : NULL};
	struct verdict verdict;
	if (verdict_judge(s.rt, &how, &verdict, &s.error) != OK)
		return session_fail(&s);
	struct log_verdict log = {0};
	if (options->value[OPTION_LOG] && log_join(&s, &verdict, &log) != OK) {
		verdict_done(&verdict);
		return session_fail(&s);
	}
	if (s.json)
		explain_json(stdout, s.rt, &s.source, &verdict);
	else
		explain_text(&s.page, s.rt, &s.source, &verdict);
	bool found = verdict.cause == CAUSE_RACE || verdict.cause == CAUSE_CORRUPTION;
	verdict_done(&verdict);
	log_verdict_done(&log);
	status = session_end(&s);
	if (option_given(options, OPTION_EXIT_CODE) && status != EXIT_NOTHING)
		return found ? EXIT_FOUND : EXIT_SHOWN;
	return status;
}
