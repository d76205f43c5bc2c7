#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/live.h"
#include "cli/session.h"
#include "report/verify.h"

enum {
	RUNS_DEFAULT = 20,
	HOLD_DEFAULT_MS = 20,
	DURATION_DEFAULT_S = 60, /* of one run: a program that serves does not end by itself */
	LOOK_MS = 20, /* from one look at the recorder's table to the next */
	GRACE_MS = 2000, /* from SIGTERM to SIGKILL */
	LINE_BITS = 12, /* goroutines that the table has room for: looks are to be cheap */
	LOG_LINES = 20, /* of what Go printed, that are kept of a race's first run */
	LOG_MAX = 1 << 20,
};

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_SARIF, FORMAT_GITHUB };

struct plan {
	enum format format;
	uint64_t runs, seed, hold_ms, duration_s;
};

/* The runs of one program. */
struct trial {
	const struct plan *plan;
	char **argv;
	uint64_t random; /* state of the generator */
	struct trials trials;
	struct notes *notes;
	struct target *target; /* its executable, from the first run on */
	struct runtime *rt;
};

static volatile bool stopped; /* the user has had enough */

static bool parse_plan(const struct options *options, struct plan *ret)
{
	static const char *const formats[] = {"text", "json", "sarif", "github"};
	const char *format = options->value[OPTION_FORMAT];
	struct plan plan = {.format = option_given(options, OPTION_JSON) ? FORMAT_JSON
									 : FORMAT_TEXT};
	if (!option_number(options, OPTION_RUNS, RUNS_DEFAULT, &plan.runs) ||
	    !option_number(options, OPTION_SEED, 0, &plan.seed) ||
	    !option_number(options, OPTION_HOLD, HOLD_DEFAULT_MS, &plan.hold_ms) ||
	    !option_number(options, OPTION_DURATION, DURATION_DEFAULT_S, &plan.duration_s))
		return false;
	for (unsigned i = 0; format && i < sizeof(formats) / sizeof(*formats); i++) {
		if (strcmp(format, formats[i]) != 0)
			continue;
		plan.format = (enum format)i;
		format = NULL;
	}
	if (format || !plan.runs || plan.runs > 1000000 || !plan.hold_ms || plan.hold_ms > 10000 ||
	    !plan.duration_s || plan.duration_s > 1000000) {
		fputs("mapcrash verify: --format is text, json, sarif or github; --runs, --hold "
		      "and "
		      "--duration are at least 1, and --hold at most 10000\n",
		      stderr);
		return false;
	}
	if (!option_given(options, OPTION_SEED) &&
	    getrandom(&plan.seed, sizeof(plan.seed), 0) != (ssize_t)sizeof(plan.seed))
		plan.seed = (uint64_t)time(NULL);
	if (!option_given(options, OPTION_SEED))
		plan.seed >>= 11; /* any JSON reader keeps 53 bits */
	*ret = plan;
	return true;
}

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators). */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Starts the program with what it prints going into log: a report on standard output is ours alone. */
static enum status start(struct trial *trial, int log, struct recorder **ret, struct error *err)
{
	struct recorder_options how = {
		.line_bits = LINE_BITS,
		.hold_ms = 1 + (unsigned)(next_random(&trial->random) % trial->plan->hold_ms),
		.hold_share = 20 + (unsigned)(next_random(&trial->random) % 61),
	};
	fflush(stdout);
	AUTO_FD int out = dup(STDOUT_FILENO);
	AUTO_FD int error = dup(STDERR_FILENO);
	if (out < 0 || error < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
		return error_sys(err, "the program's output");
	enum status status = recorder_start(trial->argv, &how, trial->notes, ret, err);
	dup2(out, STDOUT_FILENO);
	dup2(error, STDERR_FILENO);
	return status;
}

/* Reads the executable of the first run: its code tells what the recorder's addresses mean. */
static enum status read_program(struct trial *trial, pid_t pid, struct error *err)
{
	char path[64];
	struct target_options how = {0};
	if (trial->rt)
		return OK;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (target_open(path, &how, trial->notes, &trial->target, err) != OK ||
	    runtime_open(trial->target, trial->notes, &trial->rt, err) != OK)
		return FAILED;
	return trials_init(&trial->trials, trial->rt, err);
}

static enum status look(struct trial *trial, const struct recorder *recorder, bool is_last,
			struct error *err)
{
	AUTO_RECORDS struct records records = {0};
	uint64_t taken_at = records_now();
	if (recorder_records(recorder, &records, err) != OK)
		return FAILED;
	if (records.header.frozen)
		taken_at = records.header.frozen_at;
	if (is_last) {
		trial->trials.holds += records.header.holds;
		trial->trials.lost += records.header.lost;
	}
	return trials_add_records(&trial->trials, trial->rt, &records, taken_at, err);
}

/* Explains the process, whose detector stands still, and lets it go on. */
static enum status explain(struct trial *trial, struct recorder *recorder, struct trial_race **ret,
			   struct error *err)
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
		status = trials_add_verdict(&trial->trials, &verdict, ret, err);
		verdict_done(&verdict);
	}
	runtime_free(TAKE(rt));
	target_free(TAKE(target));
	notes_done(&notes);
	recorder_release(recorder);
	return status;
}

/* What Go printed of its death, its first lines. */
static char *log_of(int log)
{
	AUTO_FREE char *text = malloc(LOG_MAX + 1);
	ssize_t n = text ? pread(log, text, LOG_MAX, 0) : -1;
	if (n < 0)
		return NULL;
	text[n] = '\0';
	char *from = strstr(text, "fatal error: ");
	if (!from)
		return NULL;
	char *end = from;
	for (unsigned i = 0; i < LOG_LINES && *end; i++)
		end += strcspn(end, "\n") + (end[strcspn(end, "\n")] == '\n');
	return strndup(from, (size_t)(end - from));
}

/* Lets the program run, and looks at it, until it has ended. *ret_race: what it died of, or NULL. */
static enum status follow(struct trial *trial, struct recorder *recorder,
			  struct trial_race **ret_race, bool *ret_late, struct error *err)
{
	uint64_t deadline = now_ms() + trial->plan->duration_s * 1000;
	for (;;) {
		enum recorder_event event;
		if (recorder_wait(recorder, LOOK_MS, &event, err) != OK)
			return FAILED;
		if (event == RECORDER_EXITED)
			return look(trial, recorder, true, err);
		if (look(trial, recorder, false, err) != OK)
			return FAILED;
		if (event == RECORDER_FROZEN && explain(trial, recorder, ret_race, err) != OK)
			return FAILED;
		if (live_signal())
			stopped = true;
		if ((stopped || now_ms() >= deadline) && !*ret_late) {
			*ret_late = true;
			kill(recorder_pid(recorder), SIGTERM);
			deadline = now_ms() + GRACE_MS;
		} else if (*ret_late && now_ms() >= deadline) {
			kill(recorder_pid(recorder), SIGKILL);
		}
	}
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
	enum status status = read_program(trial, recorder_pid(recorder), err);
	trials_begin_run(&trial->trials);
	if (status != OK || follow(trial, recorder, &race, &late, err) != OK) {
		kill(recorder_pid(recorder), SIGKILL);
		return FAILED;
	}
	int ended = recorder_status(recorder);
	if (race) {
		if (!race->log)
			race->log = log_of(log);
	} else if (late) {
		trial->trials.timeouts++;
	} else if (WIFEXITED(ended) && WEXITSTATUS(ended) == 0) {
		trial->trials.clean++;
	} else {
		trial->trials.failed++;
	}
	return OK;
}

static enum status run_all(struct trial *trial, struct error *err)
{
	bool progress = isatty(STDERR_FILENO);
	trial->random = trial->plan->seed;
	for (uint64_t i = 0; i < trial->plan->runs && !stopped; i++) {
		if (progress)
			fprintf(stderr, "\rrun %llu of %llu, %zu races", (unsigned long long)i + 1,
				(unsigned long long)trial->plan->runs, trial->trials.race_count);
		if (run_once(trial, err) != OK)
			return FAILED;
	}
	if (progress)
		fputs("\r\033[K", stderr);
	trials_finish(&trial->trials);
	return OK;
}

static void trial_done(struct trial *trial)
{
	trials_done(&trial->trials);
	runtime_free(trial->rt);
	target_free(trial->target);
}

static void write_report(struct page *page, enum format format, const struct verify_facts *facts)
{
	switch (format) {
	case FORMAT_JSON:
		verify_json(stdout, facts);
		break;
	case FORMAT_SARIF:
		verify_sarif(stdout, facts);
		break;
	case FORMAT_GITHUB:
		verify_github(stdout, facts);
		break;
	default:
		verify_text(page, facts);
	}
}

/* The go command is a Go program itself, and would be verified instead of what it runs. */
static bool runs_others(const char *program)
{
	const char *slash = strrchr(program, '/');
	if (strcmp(slash ? slash + 1 : program, "go") != 0)
		return false;
	fputs("mapcrash verify: go only starts the program: build it (go build; go test -c) and "
	      "verify that, or try mapcrash run --hold 20 -- go ...\n",
	      stderr);
	return true;
}

int verify_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	struct plan plan;
	char root[4096];
	if (!parse_plan(options, &plan) || runs_others(options->operands[0]))
		return EXIT_USAGE;
	int status = session_begin(&s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	__attribute__((cleanup(trial_done))) struct trial now = {
		.plan = &plan, .argv = options->operands, .notes = &s.notes};
	__attribute__((cleanup(trial_done))) struct trial before = {.plan = &plan,
								    .notes = &s.notes};
	const char *against = options->value[OPTION_AGAINST];
	AUTO_FREE char **old = calloc((size_t)options->operand_count + 1, sizeof(*old));
	if (!old) {
		(void)error_nomem(&s.error);
		return session_fail(&s);
	}
	memcpy(old, options->operands, (size_t)options->operand_count * sizeof(*old));
	old[0] = (char *)against;
	before.argv = old;
	live_catch_signals(false);
	if ((against && run_all(&before, &s.error) != OK) || run_all(&now, &s.error) != OK)
		return session_fail(&s);
	if (now.trials.lost)
		notes_add(&s.notes, "probe", 0,
			  "the recorder had no room for %llu writes: more goroutines than it keeps",
			  (unsigned long long)now.trials.lost);
	if (now.trials.cut)
		notes_add(&s.notes, "verdict", 0, "more places or pairs of them than are kept");
	struct verify_facts facts = {
		.program = options->operands[0],
		.against = against,
		.trials = &now.trials,
		.before = against ? &before.trials : NULL,
		.seed = plan.seed,
		.hold_ms = (unsigned)plan.hold_ms,
		.root = getcwd(root, sizeof(root)),
		.version = MAPCRASH_VERSION,
		.notes = &s.notes,
	};
	write_report(&s.page, plan.format, &facts);
	status = session_end(&s);
	return status != EXIT_NOTHING && now.trials.race_count ? EXIT_FOUND : status;
}
