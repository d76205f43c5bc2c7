#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/children.h"
#include "cli/command.h"
#include "cli/live.h"

/* The program under the recorder: everything is as without us, until it dies of its maps. */
int run_run(const struct options *options)
{
	struct notes notes = NOTES_INIT;
	struct error err = {0};
	struct recorder_options how;
	AUTO_RECORDER struct recorder *recorder = NULL;
	struct live_report report = {0};
	if (option_given(options, OPTION_REPORT_ONLY) && option_given(options, OPTION_CHILDREN)) {
		fputs("mapcrash run: --report-only is for one program, not for --children\n",
		      stderr);
		return EXIT_USAGE;
	}
	if (option_given(options, OPTION_REPORT_ONLY))
		return report_only_run(options);
	if (option_given(options, OPTION_READS) || option_given(options, OPTION_WITHIN)) {
		fputs("mapcrash run: --reads and --within are for --report-only\n", stderr);
		return EXIT_USAGE;
	}
	if (!live_options(options, &how))
		return EXIT_USAGE;
	if (children_wanted(options))
		return children_run(options, &how);
	if (recorder_start(options->operands, &how, &notes, &recorder, &err) != OK) {
		live_complain(&err, &notes);
		notes_done(&notes);
		return EXIT_NOTHING;
	}
	notes_done(&notes);
	live_catch_signals(true);
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(recorder, LIVE_LOOK_MS, &event, &err) != OK) {
			live_complain(&err, NULL);
			return EXIT_NOTHING;
		}
		if (event == RECORDER_FROZEN)
			live_explain(recorder, options, &report);
		int signo = live_signal();
		if (signo)
			kill(recorder_pid(recorder), signo);
		if (event == RECORDER_EXITED)
			break;
	}
	live_write(options, &report);
	return live_end_like(recorder_status(recorder));
}
