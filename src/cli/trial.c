#include "cli/trial.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "cli/live.h"
#include "cli/trialinternal.h"
#include "probe/records.h"
#include "target/executable.h"
#include "verdict/verdict.h"

enum {
	LINE_BITS = 12, /* goroutines that the table has room for: looks are to be cheap */
	LOG_LINES = 20, /* of what Go printed, that are kept of a race's first run */
	LOG_MAX = 1 << 20,
};

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

struct recorder_options trial_next(struct trial *trial)
{
	struct recorder_options how = {.line_bits = LINE_BITS, .directory = trial->directory};
	how.hold_ms = 1 + (unsigned)(next_random(&trial->random) % trial->plan->hold_ms);
	how.hold_share = 20 + (unsigned)(next_random(&trial->random) % 61);
	return how;
}

void trial_restore(struct trial_streams *streams)
{
	dup2(streams->out, STDOUT_FILENO);
	dup2(streams->error, STDERR_FILENO);
	close(streams->out);
	close(streams->error);
}

enum status trial_redirect(int log, struct trial_streams *ret, struct error *err)
{
	fflush(stdout);
	/* the program is not to have ours as well: who reads them waits for all that have */
	AUTO_FD int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	AUTO_FD int error = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (out < 0 || error < 0)
		return error_sys(err, "the program's output");
	struct trial_streams streams = {TAKE_FD(out), TAKE_FD(error)};
	if (dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) {
		(void)error_sys(err, "the program's output");
		trial_restore(&streams);
		return FAILED;
	}
	*ret = streams;
	return OK;
}

static void program_free(struct trial_program *program)
{
	if (!program)
		return;
	trials_done(&program->trials);
	runtime_free(program->rt);
	target_free(program->target);
	free(program->name);
	free(program);
}

static void cleanup_program(struct trial_program **program)
{
	program_free(*program);
}

/* The program that has this file's content, or NULL. */
static struct trial_program *find_known(const struct trial *trial, const struct executable *exe)
{
	size_t size, known_size;
	const uint8_t *bytes = executable_bytes(exe, &size);
	for (size_t i = 0; i < trial->count; i++) {
		const uint8_t *known =
			executable_bytes(trial->programs[i]->target->exe, &known_size);
		if (size == known_size && memcmp(bytes, known, size) == 0)
			return trial->programs[i];
	}
	return NULL;
}

enum status trial_find(struct trial *trial, const char *path, const char *name,
		       struct trial_program **ret, struct error *err)
{
	AUTO_EXECUTABLE struct executable *exe = NULL;
	const struct target_options how = {0};
	if (executable_open(path, &exe, err) != OK)
		return FAILED;
	*ret = find_known(trial, exe);
	if (*ret)
		return OK;
	__attribute__((cleanup(cleanup_program))) struct trial_program *program =
		calloc(1, sizeof(*program));
	if (!program || !(program->name = strdup(name)))
		return error_nomem(err);
	if (target_open(path, &how, trial->notes, &program->target, err) != OK ||
	    runtime_open(program->target, trial->notes, &program->rt, err) != OK ||
	    trials_init(&program->trials, program->rt, err) != OK)
		return FAILED;
	if (!ARRAY_PUSH(trial->programs, trial->count, trial->cap, program))
		return error_nomem(err);
	*ret = TAKE(program);
	return OK;
}

enum status trial_look(struct trial_program *program, const struct recorder *recorder, bool is_last,
		       struct error *err)
{
	AUTO_RECORDS struct records records = {0};
	uint64_t taken_at = records_now();
	if (recorder_records(recorder, &records, err) != OK)
		return FAILED;
	if (records.header.frozen)
		taken_at = records.header.frozen_at;
	if (is_last) {
		program->trials.holds += records.header.holds;
		program->trials.lost += records.header.lost;
	}
	return trials_add_records(&program->trials, program->rt, &records, taken_at, err);
}

enum status trial_explain(struct trial_program *program, struct recorder *recorder,
			  struct trial_race **ret, struct error *err)
{
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	AUTO_RECORDS struct records records = {0};
	struct verdict verdict;
	struct verdict_options judge = {.records = &records};
	struct target_options how = {.recorded = true};
	struct notes notes = NOTES_INIT; /* one run's gaps: its verdict's grade reflects them */
	char pid[32];
	snprintf(pid, sizeof(pid), "%d", recorder_pid(recorder));
	enum status status = recorder_records(recorder, &records, err);
	if (status == OK)
		status = target_open(pid, &how, &notes, &target, err);
	if (status == OK) {
		/* the process has all of the recorder's code */
		(void)records_settle(&records, target);
		status = runtime_open(target, &notes, &rt, err);
	}
	if (status == OK && (status = verdict_judge(rt, &judge, &verdict, err)) == OK) {
		status = trials_add_verdict(&program->trials, &verdict, ret, err);
		verdict_done(&verdict);
	}
	runtime_free(TAKE(rt));
	target_free(TAKE(target));
	notes_done(&notes);
	recorder_release(recorder);
	return status;
}

char *trial_log(int log, const char *message)
{
	AUTO_FREE char *text = malloc(LOG_MAX + 1);
	ssize_t n = text ? pread(log, text, LOG_MAX, 0) : -1;
	if (n < 0)
		return NULL;
	text[n] = '\0';
	AUTO_TEXT struct text what = TEXT_INIT;
	text_printf(&what, "fatal error: %s", message ? message : "");
	char *from = strstr(text, what.s);
	if (!from)
		return NULL;
	char *end = from;
	for (unsigned i = 0; i < LOG_LINES && *end; i++)
		end += strcspn(end, "\n") + (end[strcspn(end, "\n")] == '\n');
	return strndup(from, (size_t)(end - from));
}

/* Lets the program run, and looks at it, until it has ended. *ret_race: what it died of, or NULL. */
static enum status follow(struct trial *trial, struct trial_program *program,
			  struct recorder *recorder, struct trial_race **ret_race, bool *ret_late,
			  struct error *err)
{
	int64_t deadline = clock_ms() + (int64_t)trial->plan->duration_s * 1000;
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(recorder, TRIAL_LOOK_MS, &event, err) != OK)
			return FAILED;
		if (event == RECORDER_EXITED)
			return trial_look(program, recorder, true, err);
		if (trial_look(program, recorder, false, err) != OK)
			return FAILED;
		if (event == RECORDER_FROZEN &&
		    trial_explain(program, recorder, ret_race, err) != OK)
			return FAILED;
		if (live_signal())
			trial->stopped = true;
		if ((trial->stopped || clock_ms() >= deadline) && !*ret_late) {
			*ret_late = true;
			kill(recorder_pid(recorder), SIGTERM);
			deadline = clock_ms() + TRIAL_GRACE_MS;
		} else if (*ret_late && clock_ms() >= deadline) {
			kill(recorder_pid(recorder), SIGKILL);
		}
	}
}

/* Starts the program; the first run's process gives its executable. */
static enum status start(struct trial *trial, int log, struct recorder **ret, struct error *err)
{
	struct recorder_options how = trial_next(trial);
	struct trial_streams streams;
	struct trial_program *program;
	char path[64];
	if (trial_redirect(log, &streams, err) != OK)
		return FAILED;
	enum status status = recorder_start(trial->argv, &how, trial->notes, ret, err);
	trial_restore(&streams);
	if (status != OK || trial->count)
		return status;
	snprintf(path, sizeof(path), "/proc/%d/exe", recorder_pid(*ret));
	status = trial_find(trial, path, trial->argv[0], &program, err);
	if (status != OK)
		kill(recorder_pid(*ret), SIGKILL);
	return status;
}

static enum status run_once(struct trial *trial, struct error *err)
{
	AUTO_RECORDER struct recorder *recorder = NULL;
	AUTO_FD int log = memfd_create("mapcrash-log", MFD_CLOEXEC);
	struct trial_race *race = NULL;
	bool late = false;
	if (log < 0)
		return error_sys(err, "the program's output");
	if (start(trial, log, &recorder, err) != OK)
		return FAILED;
	struct trial_program *program = trial->programs[0];
	trials_begin_run(&program->trials);
	if (follow(trial, program, recorder, &race, &late, err) != OK) {
		kill(recorder_pid(recorder), SIGKILL);
		return FAILED;
	}
	int ended = recorder_status(recorder);
	if (race) {
		if (!race->log)
			race->log = trial_log(log, NULL);
	} else if (late) {
		program->trials.timeouts++;
	} else if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) {
		program->trials.clean++;
	} else {
		program->trials.failed++;
	}
	return OK;
}

size_t trial_race_count(const struct trial *trial)
{
	size_t count = 0;
	for (size_t i = 0; i < trial->count; i++)
		count += trial->programs[i]->trials.race_count;
	return count;
}

void trial_progress(const struct trial *trial, uint64_t run)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\rrun %llu of %llu, %zu races", (unsigned long long)run + 1,
			(unsigned long long)trial->plan->runs, trial_race_count(trial));
}

void trial_finish(struct trial *trial)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	for (size_t i = 0; i < trial->count; i++)
		trials_finish(&trial->programs[i]->trials);
}

enum status trial_run_program(struct trial *trial, struct error *err)
{
	trial->random = trial->plan->seed;
	for (uint64_t i = 0; i < trial->plan->runs && !trial->stopped; i++) {
		trial_progress(trial, i);
		if (run_once(trial, err) != OK)
			return FAILED;
	}
	trial_finish(trial);
	return OK;
}

void trial_done(struct trial *trial)
{
	for (size_t i = 0; i < trial->count; i++)
		program_free(trial->programs[i]);
	free(trial->programs);
}
