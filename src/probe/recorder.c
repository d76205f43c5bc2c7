#include "probe/recorder.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "go/type.h"
#include "maps/writers.h"
#include "probe/graft.h"
#include "probe/launch.h"
#include "probe/lay.h"
#include "target/file.h"
#include "target/inject.h"

struct recorder {
	pid_t pid;
	bool is_child;
	bool frozen_told, exited;
	int status;
	struct plan plan;
	struct laid laid;
	struct recorder_options how;
	uint64_t types[RECORD_HOLD_TYPES]; /* descriptors, with load bias, that holds are for */
	uint64_t ticks_ms; /* of the time stamp counter */
};

enum {
	/* Between looks at a process that is no child, and after a signal that was lost. */
	WAIT_PIECE_MS = 50,
	/* Between looks for two that have met, who wait until they are seen. */
	MEET_PIECE_MS = 2,
	/* Holds end by themselves when we are gone for that long. */
	HOLD_LEASE_MS = 3000,
	HOLD_MS_MAX = 10000,
	/* Per cent of the time that the first writers of maps may be held: a program that makes many maps,
	 * each of one goroutine, gains nothing by it. */
	FIRST_SHARE = 5,
};

/* The time stamp counter at a time that is known to within some microseconds, also where another
 * program takes the processor in between. */
static uint64_t ticks_at(int64_t *ret_us)
{
	enum { NEAR_US = 10, TRIES = 1000 };
	uint64_t ticks = 0;
	for (int i = 0; i < TRIES; i++) {
		*ret_us = clock_us();
		ticks = records_now();
		if (clock_us() - *ret_us <= NEAR_US)
			break;
	}
	return ticks;
}

/* How fast the time stamp counter runs; to a per cent is enough for pauses between holds. */
static uint64_t measure_ticks_ms(void)
{
	int64_t start, end;
	uint64_t from = ticks_at(&start), to;
	do
		to = ticks_at(&end);
	while (end - start < 2000);
	return (to - from) * 1000 / (uint64_t)(end - start);
}

static int futex(void *word, int op, uint32_t value, const struct timespec *timeout)
{
	return (int)syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

/* What speaks against the options on this machine. */
static enum status check_options(const struct recorder_options *how, struct error *err)
{
	if (how->no_times && (how->meets || how->reads))
		return error_set(err, ERROR_UNSUPPORTED, "without time stamps nothing is seen");
	if (how->hold_ms > HOLD_MS_MAX)
		return error_set(err, ERROR_UNSUPPORTED, "a hold lasts %d ms at most", HOLD_MS_MAX);
	if (how->hold_share > 90)
		return error_set(err, ERROR_UNSUPPORTED,
				 "holds take 90 per cent of the time at most");
	if (how->line_bits &&
	    (how->line_bits < RECORD_LINE_BITS_MIN || how->line_bits > RECORD_LINE_BITS_MAX))
		return error_set(err, ERROR_UNSUPPORTED, "a table has 2^%d to 2^%d lines",
				 RECORD_LINE_BITS_MIN, RECORD_LINE_BITS_MAX);
	return OK;
}

/* While a writer is held another goroutine has to come to the map: with one processor none does. */
static enum status check_processors(pid_t pid, struct error *err)
{
	cpu_set_t set;
	char path[64];
	AUTO_FREE char *line = NULL;
	size_t cap = 0;
	if (sched_getaffinity(pid, sizeof(set), &set) == 0 && CPU_COUNT(&set) == 1)
		return error_set(err, ERROR_UNSUPPORTED,
				 "holds force nothing on one processor: the other goroutine would "
				 "have to run meanwhile");
	snprintf(path, sizeof(path), "/proc/%d/environ", pid);
	FILE *f = fopen(path, "re");
	bool one = false;
	while (f && getdelim(&line, &cap, '\0', f) > 0)
		one = one || strcmp(line, "GOMAXPROCS=1") == 0;
	if (f)
		fclose(f);
	if (one)
		return error_set(err, ERROR_UNSUPPORTED,
				 "holds force nothing with GOMAXPROCS=1: the other goroutine would "
				 "have to run meanwhile");
	return OK;
}

/* The value of an entry of the auxiliary vector: Linux include/uapi/linux/auxvec.h. */
static bool auxv_value(pid_t pid, uint64_t type, uint64_t *ret)
{
	char path[64];
	uint64_t pair[2];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/auxv", pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	for (uint64_t at = 0;
	     !found && fd >= 0 && file_read(fd, pair, sizeof(pair), at) == sizeof(pair);
	     at += sizeof(pair)) {
		found = pair[0] == type;
		if (found)
			*ret = pair[1];
		if (pair[0] == AT_NULL)
			break;
	}
	return found;
}

/* The descriptors that maps of the type called name may have, as the executable has them. */
static enum status find_types(struct runtime *rt, const struct plan *plan, const char *name,
			      uint64_t ret[RECORD_HOLD_TYPES], struct error *err)
{
	uint64_t wanted, type = 0;
	size_t count = 0;
	for (size_t i = 0; i < plan->count; i++)
		if ((plan->list[i].kind == PLAN_SET ||
		     (plan->list[i].kind == PLAN_ENTRY && !plan->list[i].reads)) &&
		    plan->list[i].type_place == PLAN_TYPE_LOST)
			return error_at(err, ERROR_UNSUPPORTED, plan->list[i].addr,
					"--map takes no type for this program: the code of %.100s "
					"has lost it where it sets the flag",
					plan->list[i].function);
	if (type_find_map(rt, name, &wanted, err) != OK)
		return FAILED;
	while (type_next(rt, type, KIND_MAP, &type)) {
		if (!map_types_alike(rt, type, wanted))
			continue;
		if (count == RECORD_HOLD_TYPES)
			return error_set(err, ERROR_LIMIT,
					 "more than %d types of the program may stand for %.160s",
					 RECORD_HOLD_TYPES, name);
		ret[count++] = type;
	}
	return OK;
}

/* Opens the file that the process runs, whatever its name means by now. */
static enum status open_program(pid_t pid, struct notes *notes, struct target **ret_target,
				struct runtime **ret, struct error *err)
{
	char exe[64], name[256];
	struct target_options how = {0};
	struct go_version version;
	AUTO_TARGET struct target *target = NULL;
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	/* a script, or a program for another machine, is run by a program that nobody has named */
	ssize_t n = readlink(exe, name, sizeof(name) - 1);
	name[n < 0 ? 0 : n] = '\0';
	if (target_open(exe, &how, notes, &target, err) != OK)
		return error_prefix(err, "%.120s", name);
	if (runtime_open(target, notes, ret, err) != OK) {
		/* a version that is not known says more than what is not as it should be */
		if (go_version_read(target, &version, NULL) == OK &&
		    plan_check_version(&version, err) != OK)
			return FAILED;
		return error_prefix(err, "%.120s", name);
	}
	*ret_target = TAKE(target);
	return OK;
}

static enum status make_plan(struct recorder *rec, struct notes *notes, uint64_t *ret_bias,
			     struct error *err)
{
	uint64_t entry;
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	if (open_program(rec->pid, notes, &target, &rt, err) != OK)
		return FAILED;
	if (graft_is_in(target->exe))
		return error_set(err, ERROR_UNSUPPORTED,
				 "the program records by itself (mapcrash patch): run it with "
				 "GOTRACEBACK=crash and explain its core, or take the program that "
				 "it was made of");
	bool meets = rec->how.meets && rec->how.hold_ms;
	if (plan_make(rt, &rec->plan, err) != OK ||
	    ((meets || rec->how.reads) &&
	     plan_add_entries(rt, rec->how.reads, meets, &rec->plan, err) != OK) ||
	    (!rec->how.no_times && plan_add_gogo(rt, &rec->plan, err) != OK))
		return FAILED;
	if (!auxv_value(rec->pid, AT_ENTRY, &entry))
		return error_set(err, ERROR_IO, "process %d is ending: its memory is gone",
				 rec->pid);
	*ret_bias = entry - executable_entry(target->exe);
	if (rec->how.hold_type &&
	    find_types(rt, &rec->plan, rec->how.hold_type, rec->types, err) != OK)
		return FAILED;
	for (size_t i = 0; i < RECORD_HOLD_TYPES; i++)
		rec->types[i] += rec->types[i] ? *ret_bias : 0;
	/* names live in the runtime, and are for messages of the plan only */
	for (size_t i = 0; i < rec->plan.count; i++)
		rec->plan.list[i].function = NULL;
	return OK;
}

static void set_up_table(struct recorder *rec)
{
	struct records_header *h = rec->laid.table;
	h->watched = 1;
	h->watcher = (uint32_t)getpid();
	if (!rec->how.hold_ms)
		return;
	unsigned share = rec->how.hold_share ? rec->how.hold_share : 50;
	h->hold_ms = rec->how.hold_ms;
	h->hold_ticks = rec->ticks_ms * rec->how.hold_ms;
	h->hold_rest = rec->ticks_ms * rec->how.hold_ms * (100 - share) / share;
	h->first_rest = rec->ticks_ms * rec->how.hold_ms * (100 - FIRST_SHARE) / FIRST_SHARE;
	h->hold_map = rec->how.hold_map;
	memcpy(h->hold_types, rec->types, sizeof(h->hold_types));
	h->hold_until = records_now() + rec->ticks_ms * HOLD_LEASE_MS;
	h->hold_on = 1;
}

static struct lay_options lay_how(const struct recorder *rec)
{
	return (struct lay_options){
		.times = !rec->how.no_times,
		.holds = rec->how.hold_ms != 0,
		.hold_types = rec->how.hold_ms && rec->how.hold_type,
		.ordered = rec->how.meets,
		.meets = rec->how.meets && rec->how.hold_ms,
		.reads = rec->how.reads,
		.line_bits = rec->how.line_bits ? rec->how.line_bits : RECORD_LINE_BITS,
	};
}

/* Maps stubs and table; the program is not changed yet. */
static enum status lay_into(struct recorder *rec, struct process *process, uint64_t bias,
			    struct error *err)
{
	struct lay_options how = lay_how(rec);
	if (lay_in(process, &rec->plan, bias, &how, &rec->laid, err) != OK)
		return FAILED;
	set_up_table(rec);
	return OK;
}

/* What the program may gain by its file: such a program would run without that under a tracer. */
static enum status check_privileges(pid_t pid, struct error *err)
{
	char exe[64];
	struct stat st;
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	if (stat(exe, &st) != 0)
		return error_sys(err, "%s", exe);
	if (st.st_mode & (S_ISUID | S_ISGID))
		return error_set(err, ERROR_UNSUPPORTED,
				 "a setuid or setgid program would run without its rights");
	if (getxattr(exe, "security.capability", NULL, 0) > 0)
		return error_set(err, ERROR_UNSUPPORTED,
				 "a program with file capabilities would run without them");
	return OK;
}

static void cleanup_process(struct process **process)
{
	process_free(*process);
}

/* From the exec stop to the program's first instruction. */
static enum status record_new(struct recorder *rec, struct notes *notes, struct error *err)
{
	__attribute__((cleanup(cleanup_process))) struct process *process = NULL;
	struct lay_options how = lay_how(rec);
	uint64_t bias = 0;
	if (check_privileges(rec->pid, err) != OK ||
	    (rec->how.hold_ms && check_processors(rec->pid, err) != OK) ||
	    make_plan(rec, notes, &bias, err) != OK ||
	    process_adopt(rec->pid, &process, err) != OK ||
	    lay_is_allowed(process, &how, rec->is_child, err) != OK)
		return FAILED;
	if (lay_into(rec, process, bias, err) == OK && lay_on(process, &rec->laid, err) == OK)
		return OK;
	/* it is not to run without the recorder */
	kill(rec->pid, SIGKILL);
	return FAILED;
}

static struct recorder *recorder_new(pid_t pid, const struct recorder_options *options)
{
	struct recorder *rec = calloc(1, sizeof(*rec));
	if (!rec)
		return NULL;
	rec->laid.fd = -1;
	rec->how = *options;
	rec->ticks_ms = options->hold_ms || options->meets ? measure_ticks_ms() : 0;
	rec->pid = pid;
	return rec;
}

enum status recorder_start(char **argv, const struct recorder_options *options, struct notes *notes,
			   struct recorder **ret, struct error *err)
{
	AUTO_RECORDER struct recorder *rec = recorder_new(0, options);
	if (!rec)
		return error_nomem(err);
	rec->is_child = true;
	if (check_options(options, err) != OK ||
	    launch(argv, options->directory, 0, &rec->pid, err) != OK)
		return FAILED;
	if (record_new(rec, notes, err) != OK) {
		kill(rec->pid, SIGKILL);
		while (waitpid(rec->pid, NULL, __WALL) < 0 && errno == EINTR)
			;
		return FAILED;
	}
	*ret = TAKE(rec);
	return OK;
}

enum status recorder_adopt(pid_t pid, const struct recorder_options *options, struct notes *notes,
			   struct recorder **ret, struct error *err)
{
	AUTO_RECORDER struct recorder *rec = recorder_new(pid, options);
	if (!rec)
		return error_nomem(err);
	if (check_options(options, err) != OK || record_new(rec, notes, err) != OK)
		return FAILED;
	*ret = TAKE(rec);
	return OK;
}

/* A signal handler that is about to return into bytes that change is waited for by letting the
 * process run for a moment; and for some time so is a thread that sleeps. */
enum { ATTACH_TRIES = 50, ATTACH_SLEEPER_TRIES = 25, ATTACH_PAUSE_NS = 2000000 };

/* One attempt at a running process, of which number tries went before; *ret_done says whether the jumps could be written. */
static enum status try_attach(struct recorder *rec, uint64_t bias, int tries, struct notes *notes,
			      bool *ret_done, struct error *err)
{
	__attribute__((cleanup(cleanup_process))) struct process *process = NULL;
	AUTO_TARGET struct target *scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return error_nomem(err);
	if (process_open(rec->pid, scratch, notes, &process, err) != OK)
		return FAILED;
	struct lay_options how = lay_how(rec);
	*ret_done = false;
	if (!rec->laid.table && tries < ATTACH_SLEEPER_TRIES && !process_has_sleeper(process))
		return OK;
	if (!rec->laid.table && (lay_is_allowed(process, &how, false, err) != OK ||
				 lay_into(rec, process, bias, err) != OK))
		return FAILED;
	if (lay_is_clear(process, &rec->laid, ret_done, err) != OK)
		return FAILED;
	return *ret_done ? lay_on(process, &rec->laid, err) : OK;
}

/* Whether there is such a process, one that we may look at. */
static enum status check_process(pid_t pid, struct error *err)
{
	char exe[64], byte;
	if (kill(pid, 0) != 0 && errno == ESRCH)
		return error_set(err, ERROR_NOT_FOUND, "no process has the number %d", pid);
	if (process_has_exited(pid))
		return error_set(err, ERROR_NOT_FOUND, "process %d has ended", pid);
	snprintf(exe, sizeof(exe), "/proc/%d/exe", pid);
	if (readlink(exe, &byte, 1) > 0)
		return OK;
	/* proc(5): kernel threads have none */
	if (errno == ENOENT)
		return error_set(err, ERROR_UNSUPPORTED, "process %d is a kernel thread", pid);
	return error_sys(err,
			 "process %d may not be traced: be its user, root, or have CAP_SYS_PTRACE",
			 pid);
}

/* Lays the recorder into a running process; *ret_pause_us is how long that stood still. */
static enum status record_running(struct recorder *rec, struct notes *notes, uint64_t *ret_pause_us,
				  struct error *err)
{
	uint64_t bias = 0, pause = 0;
	bool done = false;
	if (check_process(rec->pid, err) != OK ||
	    (rec->how.hold_ms && check_processors(rec->pid, err) != OK) ||
	    make_plan(rec, notes, &bias, err) != OK)
		return FAILED;
	for (int i = 0; i < ATTACH_TRIES && !done; i++) {
		int64_t start = clock_us();
		if (i > 0)
			nanosleep(&(struct timespec){.tv_nsec = ATTACH_PAUSE_NS}, NULL);
		if (try_attach(rec, bias, i, notes, &done, err) != OK)
			return FAILED;
		pause = (uint64_t)(clock_us() - start);
	}
	if (!done)
		return error_set(err, ERROR_LIMIT,
				 "process %d is always inside the code that is to change",
				 rec->pid);
	*ret_pause_us = pause;
	return OK;
}

enum status recorder_attach(pid_t pid, const struct recorder_options *options, struct notes *notes,
			    struct recorder **ret, uint64_t *ret_pause_us, struct error *err)
{
	AUTO_RECORDER struct recorder *rec = recorder_new(pid, options);
	if (!rec)
		return error_nomem(err);
	if (check_options(options, err) != OK)
		return FAILED;
	bool alive = !process_has_exited(pid);
	if (record_running(rec, notes, ret_pause_us, err) != OK) {
		/* what failed then says less than why */
		if (alive && process_has_exited(pid))
			return error_set(err, ERROR_NOT_FOUND,
					 "process %d ended before it could be recorded", pid);
		return FAILED;
	}
	*ret = TAKE(rec);
	return OK;
}

enum status recorder_detach(struct recorder *recorder, uint64_t *ret_pause_us, struct error *err)
{
	__attribute__((cleanup(cleanup_process))) struct process *process = NULL;
	AUTO_TARGET struct target *scratch = calloc(1, sizeof(*scratch));
	if (!scratch)
		return error_nomem(err);
	int64_t start = clock_us();
	recorder->laid.table->hold_on = 0;
	if (process_open(recorder->pid, scratch, NULL, &process, err) != OK ||
	    lay_off(process, &recorder->laid, err) != OK) {
		if (process_has_exited(recorder->pid))
			return error_set(err, ERROR_NOT_FOUND,
					 "process %d ended before the recorder was taken off",
					 recorder->pid);
		return FAILED;
	}
	recorder->laid.table->watched = 0;
	process_free(TAKE(process));
	if (ret_pause_us)
		*ret_pause_us = (uint64_t)(clock_us() - start);
	return OK;
}

/* Whether the process has ended; a child's status is taken then. */
static bool has_exited(struct recorder *rec)
{
	if (rec->exited)
		return true;
	if (!rec->is_child)
		return rec->exited = process_has_exited(rec->pid);
	rec->exited = waitpid(rec->pid, &rec->status, WNOHANG) == rec->pid;
	/* only who was looked at has threads that we traced */
	if (!rec->exited && rec->frozen_told && process_has_exited(rec->pid))
		process_reap(rec->pid);
	return rec->exited;
}

static void renew_lease(struct recorder *rec)
{
	if (rec->how.hold_ms)
		rec->laid.table->hold_until = records_now() + rec->ticks_ms * HOLD_LEASE_MS;
}

enum status recorder_wait(struct recorder *recorder, int timeout_ms, enum recorder_event *ret,
			  struct error *err)
{
	struct records_header *h = recorder->laid.table;
	int64_t deadline = clock_us() + INT64_C(1000) * timeout_ms;
	for (;;) {
		uint32_t word = __atomic_load_n(&h->freeze, __ATOMIC_ACQUIRE);
		if (word == FREEZE_FROZEN && !recorder->frozen_told) {
			recorder->frozen_told = true;
			__atomic_store_n(&h->freeze, FREEZE_HELD, __ATOMIC_RELEASE);
			futex(&h->freeze, FUTEX_WAKE, INT_MAX, NULL);
			*ret = RECORDER_FROZEN;
			return OK;
		}
		if (__atomic_load_n(&h->met, __ATOMIC_ACQUIRE) == MEET_READY) {
			*ret = RECORDER_MET;
			return OK;
		}
		if (has_exited(recorder)) {
			*ret = RECORDER_EXITED;
			return OK;
		}
		renew_lease(recorder);
		int64_t left = timeout_ms < 0 ? INT64_MAX : deadline - clock_us();
		if (left <= 0) {
			*ret = RECORDER_TIMEOUT;
			return OK;
		}
		int64_t most =
			(recorder->how.meets ? MEET_PIECE_MS : WAIT_PIECE_MS) * INT64_C(1000);
		if (left > most)
			left = most;
		struct timespec piece = {.tv_nsec = left * 1000};
		if (futex(&h->freeze, FUTEX_WAIT, word, &piece) == 0 || errno == EAGAIN ||
		    errno == ETIMEDOUT)
			continue;
		if (errno != EINTR)
			return error_sys(err, "waiting for process %d", recorder->pid);
		if (!has_exited(recorder)) {
			*ret = RECORDER_INTERRUPTED;
			return OK;
		}
	}
}

enum status recorder_records(const struct recorder *recorder, struct records *ret,
			     struct error *err)
{
	return records_parse(recorder->laid.table, recorder->laid.table_size, ret, err);
}

void recorder_release(struct recorder *recorder)
{
	struct records_header *h = recorder->laid.table;
	__atomic_store_n(&h->freeze, FREEZE_RELEASED, __ATOMIC_RELEASE);
	futex(&h->freeze, FUTEX_WAKE, INT_MAX, NULL);
}

void recorder_part(struct recorder *recorder)
{
	struct records_header *h = recorder->laid.table;
	__atomic_store_n(&h->met, MEET_NONE, __ATOMIC_RELEASE);
	futex(&h->met, FUTEX_WAKE, INT_MAX, NULL);
}

uint64_t recorder_ticks_ms(const struct recorder *recorder)
{
	return recorder->ticks_ms;
}

pid_t recorder_pid(const struct recorder *recorder)
{
	return recorder->pid;
}

int recorder_status(const struct recorder *recorder)
{
	return recorder->status;
}

void recorder_free(struct recorder *recorder)
{
	if (!recorder)
		return;
	if (recorder->laid.table) {
		recorder->laid.table->hold_on = 0;
		recorder->laid.table->watched = 0;
		recorder_part(recorder);
		if (recorder->frozen_told)
			recorder_release(recorder);
	}
	laid_done(&recorder->laid);
	plan_done(&recorder->plan);
	free(recorder);
}
