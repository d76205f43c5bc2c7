#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/live.h"
#include "cli/session.h"

/* Milliseconds until the deadline, or until it is time to look for a signal. */
static int left_ms(int64_t deadline)
{
	int64_t left = deadline - clock_ms();
	return deadline < 0 || left > LIVE_LOOK_MS ? LIVE_LOOK_MS : left <= 0 ? 0 : (int)left;
}

/* Waits for the crash, the end of the time, or a signal to us; *ret_alive says that the process lives
 * on. */
static enum status wait_for_crash(struct recorder *recorder, const struct options *options,
				  int64_t deadline, struct live_report *report, bool *ret_alive,
				  struct error *err)
{
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(recorder, left_ms(deadline), &event, err) != OK)
			return FAILED;
		*ret_alive = event != RECORDER_EXITED;
		if (event == RECORDER_FROZEN)
			live_explain(recorder, options, report);
		else if (event == RECORDER_EXITED || live_signal() ||
			 (deadline >= 0 && clock_ms() >= deadline))
			return OK;
	}
}

/* The recorder on a running process, until that dies of its maps or we are told to stop. */
int attach_run(const struct options *options)
{
	struct notes notes = NOTES_INIT;
	struct error err = {0};
	struct recorder_options how;
	AUTO_RECORDER struct recorder *recorder = NULL;
	struct live_report report = {0};
	uint64_t pid, seconds, pause;
	bool alive = true;
	char *end;
	pid = strtoul(options->operands[0], &end, 10);
	if (!live_options(options, &how) || !option_number(options, OPTION_DURATION, 0, &seconds))
		return EXIT_USAGE;
	if (*end || !pid || pid > INT32_MAX || seconds > INT32_MAX) {
		fprintf(stderr, "mapcrash: attach takes the number of a process\n");
		return EXIT_USAGE;
	}
	int64_t deadline =
		option_given(options, OPTION_DURATION) ? clock_ms() + (int64_t)seconds * 1000 : -1;
	live_catch_signals(false);
	enum status status = recorder_attach((pid_t)pid, &how, &notes, &recorder, &pause, &err);
	if (status == OK) {
		fprintf(stderr, "mapcrash: recording process %llu, which stood still for %.1f ms\n",
			(unsigned long long)pid, (double)pause / 1000);
		status = wait_for_crash(recorder, options, deadline, &report, &alive, &err);
	}
	if (status == OK && alive) {
		status = recorder_detach(recorder, &pause, &err);
		if (status == OK) {
			fprintf(stderr, "mapcrash: detached; it stood still for %.1f ms\n",
				(double)pause / 1000);
		} else if (err.code == ERROR_NOT_FOUND) {
			alive = false;
			status = OK;
		}
	}
	if (status == OK && !alive && !report.made)
		fprintf(stderr, "mapcrash: process %llu has ended\n", (unsigned long long)pid);
	if (status != OK)
		live_complain(&err, &notes);
	notes_done(&notes);
	bool found = report.made;
	if (!live_write(options, &report) || status != OK)
		return EXIT_NOTHING;
	return found ? EXIT_FOUND : EXIT_SHOWN;
}
