#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "cli/live.h"
#include "cli/trialinternal.h"
#include "probe/family.h"

/* Between looks for processes that are killed, and for how long at most: the kernel may be slow to end one
 * that waits for a disk. */
enum { REAP_PIECE_MS = 1, REAP_MAX_MS = 10000 };

/* A recorded process of a run. */
struct watched {
	struct trial_program *program;
	struct recorder *recorder; /* the family's */
	uint64_t newest; /* as in struct trials, which other processes of the program share */
	bool raced, late;
};

/* How far a run's end has come; each is TRIAL_GRACE_MS after the one before. */
enum phase {
	RUNNING,
	COMMAND_ASKED, /* the command was sent SIGTERM */
	ALL_ASKED, /* and the recorded ones were */
	KILLED,
};

struct run {
	struct trial *trial;
	struct family *family;
	struct watched *list;
	size_t count, cap;
	bool ended; /* the command has */
	bool late;
	enum phase phase;
	int64_t deadline, next_look;
	/* what was found in it */
	unsigned recorded, races;
	struct trial_program *raced; /* the last that did, */
	size_t race; /* and of which of its races */
};

/* Children that we had before there was a command; they are none of its. */
struct children {
	pid_t *list;
	size_t count, cap;
};

static void children_done(struct children *children)
{
	free(children->list);
}

static bool is_in(const struct children *children, pid_t pid)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->list[i] == pid)
			return true;
	return false;
}

/* Our children now, but for those of old (may be NULL). proc(5) warns that the file leaves out some when
 * others leave meanwhile; none does: they stay until we wait for them. Where the kernel has no such file
 * (CONFIG_PROC_CHILDREN) there are none. */
static enum status children_read(const struct children *old, struct children *ret,
				 struct error *err)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	enum status status = OK;
	int pid;
	while (f && status == OK && fscanf(f, "%d", &pid) == 1) {
		if (old && is_in(old, pid))
			continue;
		if (!ARRAY_PUSH(ret->list, ret->count, ret->cap, pid))
			status = error_nomem(err);
	}
	if (f)
		fclose(f);
	return status;
}

static void pause_ms(unsigned ms)
{
	nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

/* Kills all that the command has left. As their parents die, its processes become our children. */
static enum status kill_rest(const struct children *old, struct error *err)
{
	int64_t deadline = clock_ms() + REAP_MAX_MS;
	while (clock_ms() < deadline) {
		__attribute__((cleanup(children_done))) struct children rest = {0};
		if (children_read(old, &rest, err) != OK)
			return FAILED;
		if (!rest.count)
			return OK;
		for (size_t i = 0; i < rest.count; i++) {
			kill(rest.list[i], SIGKILL);
			(void)waitpid(rest.list[i], NULL, __WALL | WNOHANG);
		}
		pause_ms(REAP_PIECE_MS);
	}
	return error_set(err, ERROR_LIMIT, "processes of the command do not end");
}

static struct watched *find(struct run *run, const struct recorder *recorder)
{
	for (size_t i = 0; i < run->count; i++)
		if (run->list[i].recorder == recorder)
			return &run->list[i];
	return NULL;
}

static enum status look(struct watched *w, bool is_last, struct error *err)
{
	struct trials *trials = &w->program->trials;
	trials->newest = w->newest;
	enum status status = trial_look(w->program, w->recorder, is_last, err);
	w->newest = trials->newest;
	return status;
}

static enum status look_at_all(struct run *run, struct error *err)
{
	if (clock_ms() < run->next_look)
		return OK;
	for (size_t i = 0; i < run->count; i++)
		if (look(&run->list[i], false, err) != OK)
			return FAILED;
	run->next_look = clock_ms() + TRIAL_LOOK_MS;
	return OK;
}

/* Writes the base name of the command's program, without its arguments. */
static void name_of(const char *command, char *ret, size_t size)
{
	size_t n = strcspn(command, " ");
	const char *slash = memrchr(command, '/', n);
	if (slash) {
		n -= (size_t)(slash + 1 - command);
		command = slash + 1;
	}
	snprintf(ret, size, "%.*s", (int)n, command);
}

static enum status begin(struct run *run, const struct family_event *event, struct error *err)
{
	struct watched w = {.recorder = event->recorder};
	char path[64], name[128];
	name_of(event->command, name, sizeof(name));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", event->exe);
	if (trial_find(run->trial, path, name, &w.program, err) != OK)
		return FAILED;
	if (!ARRAY_PUSH(run->list, run->count, run->cap, w))
		return error_nomem(err);
	trials_begin_run(&w.program->trials);
	run->recorded++;
	return OK;
}

/* One of many that may be killed by others at any time: that it cannot be explained is a gap. */
static void explain(struct run *run, struct watched *w)
{
	struct trial_race *race = NULL;
	struct error err = {0};
	if (trial_explain(w->program, w->recorder, &race, &err) != OK)
		notes_add_error(run->trial->notes, "verdict", w->program->name, &err);
	if (!race)
		return;
	/* the run that its seed gives again is the command's */
	if (race->count == 1)
		race->first_run = run->trial->runs + 1;
	w->raced = true;
	run->races++;
	run->raced = w->program;
	run->race = (size_t)(race - w->program->trials.races);
}

static enum status leave(struct run *run, struct watched *w, struct error *err)
{
	if (look(w, true, err) != OK)
		return FAILED;
	w->program->trials.timeouts += w->late && !w->raced;
	*w = run->list[--run->count];
	return OK;
}

static enum status take(struct run *run, const struct family_event *event, struct error *err)
{
	char name[128];
	struct watched *w = event->recorder ? find(run, event->recorder) : NULL;
	switch (event->what) {
	case FAMILY_RECORDED:
		return begin(run, event, err);
	case FAMILY_REFUSED:
		name_of(event->command, name, sizeof(name));
		notes_add_error(run->trial->notes, "probe", name, &event->why);
		return OK;
	case FAMILY_FROZEN:
		explain(run, w);
		return OK;
	case FAMILY_LEFT:
		return leave(run, w, err);
	case FAMILY_ENDED:
		run->ended = true;
		/* there is nothing to wait for then */
		if (run->count)
			pause_ms(TRIAL_LOOK_MS);
		return OK;
	default:
		return OK;
	}
}

static void tell(struct run *run, int signo)
{
	if (!run->ended)
		kill(family_pid(run->family), signo);
	for (size_t i = 0; i < run->count && run->phase != COMMAND_ASKED; i++) {
		kill(recorder_pid(run->list[i].recorder), signo);
		run->list[i].late = true;
	}
}

/* Goes on to end the run where it is time to: what the command leaves running ends with it. */
static void end_in_time(struct run *run)
{
	if (live_signal())
		run->trial->stopped = true;
	bool is_over = run->phase < ALL_ASKED && run->ended;
	bool is_late = clock_ms() >= run->deadline ||
		       (run->trial->stopped && run->phase == RUNNING);
	if (!is_over && !is_late)
		return;
	run->phase = is_over ? ALL_ASKED : run->phase < KILLED ? run->phase + 1 : KILLED;
	run->late |= !run->ended;
	run->deadline = clock_ms() + TRIAL_GRACE_MS;
	tell(run, run->phase == KILLED ? SIGKILL : SIGTERM);
}

static enum status follow(struct run *run, struct error *err)
{
	while (!run->ended || run->count) {
		struct family_event event;
		if (family_wait(run->family, &event, err) != OK || take(run, &event, err) != OK ||
		    look_at_all(run, err) != OK)
			return FAILED;
		end_in_time(run);
	}
	return OK;
}

/* Takes the run's end in. All print into one log: where two raced, nobody knows what is whose. */
static void count_run(struct run *run, int log)
{
	struct trial *trial = run->trial;
	int ended = family_status(run->family);
	trial->runs++;
	if (run->late)
		trial->timeouts++;
	else if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0)
		trial->clean++;
	else
		trial->failed++;
	if (run->races == 1) {
		struct trial_race *race = &run->raced->trials.races[run->race];
		if (!race->log && race->message)
			race->log = trial_log(log, race->message);
	}
	if (!run->recorded && trial->count)
		notes_add(trial->notes, "probe", 0,
			  "a run of the command started no Go program that could be recorded (go "
			  "test answers from its cache without -count=1)");
}

static void run_done(struct run *run)
{
	family_free(run->family);
	free(run->list);
}

static enum status run_once(struct trial *trial, const struct children *old, struct error *err)
{
	AUTO_FD int log = memfd_create("mapcrash-log", MFD_CLOEXEC);
	struct recorder_options how = trial_next(trial);
	struct trial_streams streams;
	__attribute__((cleanup(run_done))) struct run run = {.trial = trial};
	struct error ignored;
	if (log < 0)
		return error_sys(err, "the command's output");
	if (trial_redirect(log, &streams, err) != OK)
		return FAILED;
	enum status status = family_start(trial->argv, &how, &run.family, err);
	trial_restore(&streams);
	if (status != OK)
		return FAILED;
	run.deadline = clock_ms() + (int64_t)trial->plan->duration_s * 1000;
	if (follow(&run, err) != OK) {
		(void)kill_rest(old, &ignored);
		return FAILED;
	}
	if (kill_rest(old, err) != OK)
		return FAILED;
	count_run(&run, log);
	return OK;
}

enum status trial_run_command(struct trial *trial, struct error *err)
{
	__attribute__((cleanup(children_done))) struct children old = {0};
	trial->random = trial->plan->seed;
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
		return error_sys(err, "becoming the parent of what the command leaves");
	if (children_read(NULL, &old, err) != OK)
		return FAILED;
	for (uint64_t i = 0; i < trial->plan->runs && !trial->stopped; i++) {
		trial_progress(trial, i);
		if (run_once(trial, &old, err) != OK)
			return FAILED;
		if (!trial->count && !trial->stopped)
			return error_set(err, ERROR_NOT_FOUND,
					 "the command started no Go program that could be recorded "
					 "(go test answers from its cache without -count=1)");
	}
	trial_finish(trial);
	return OK;
}
