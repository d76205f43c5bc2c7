#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/live.h"

/* Ends as the program ended: with its status, or of its signal (but without a core of ours). */
static int end_like(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	struct rlimit none = {0};
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* The program under the recorder: everything is as without us, until it dies of its maps. */
int run_run(const struct options *options)
{
	struct notes notes = NOTES_INIT;
	struct error err = {0};
	struct recorder_options how;
	AUTO_RECORDER struct recorder *recorder = NULL;
	struct live_report report = {0};
	if (!live_options(options, &how))
		return EXIT_USAGE;
	if (recorder_start(options->operands, &how, &notes, &recorder, &err) != OK) {
		live_complain(&err, &notes);
		notes_done(&notes);
		return EXIT_NOTHING;
	}
	notes_done(&notes);
	live_catch_signals(true);
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(recorder, -1, &event, &err) != OK) {
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
	return end_like(recorder_status(recorder));
}
