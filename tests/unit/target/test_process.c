/* Living processes, the real thing: children of this test, stopped, read, and let go. */
#include "target/target.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "target/process.h"
#include "unit/target/elfwriter.h"

enum { THREADS = 2, PAGE = 4096 };

/* What the children and the test both see. */
struct shared {
	atomic_ulong ticks[THREADS + 1];
	atomic_ulong signals;
	atomic_int ready;
};

static struct shared *shared;
static char known[3 * PAGE]; /* the child's copy differs from ours */
static const struct target_options options;

static void on_signal(int signo)
{
	(void)signo;
	atomic_fetch_add(&shared->signals, 1);
}

static void tick(int i)
{
	for (;;) {
		atomic_fetch_add(&shared->ticks[i], 1);
		usleep(50);
	}
}

static void *ticker(void *arg)
{
	tick((int)(intptr_t)arg);
	return NULL;
}

static void *nothing(void *arg)
{
	return arg;
}

/* Starts and joins threads for ever. */
static void *spawner(void *arg)
{
	for (;;) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, nothing, NULL) == 0)
			pthread_join(thread, NULL);
	}
	return arg;
}

static void *guarded; /* three pages, the middle one without access, the last one unmapped */

static void run_child(bool spawn)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	sigaction(SIGRTMIN, &sa, NULL);
	strcpy(known, "the child wrote this");
	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, spawn ? spawner : ticker, (void *)(intptr_t)i);
	}
	atomic_store(&shared->ready, 1);
	tick(THREADS);
}

static pid_t start(bool spawn)
{
	memset(shared, 0, sizeof(*shared));
	guarded = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(guarded, 'g', 3 * PAGE);
	mprotect((char *)guarded + PAGE, PAGE, PROT_NONE);
	munmap((char *)guarded + 2 * PAGE, PAGE);
	pid_t pid = fork();
	if (pid == 0)
		run_child(spawn);
	munmap(guarded, 2 * PAGE);
	while (!atomic_load(&shared->ready) || !atomic_load(&shared->ticks[THREADS]))
		usleep(1000);
	return pid;
}

static void stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static enum status try_open(pid_t pid, struct notes *notes, struct target **ret, struct error *err)
{
	char text[16];
	snprintf(text, sizeof(text), "%d", pid);
	return target_open(text, &options, notes, ret, err);
}

static struct target *open_pid(pid_t pid)
{
	struct target *t = NULL;
	struct error err;
	struct notes notes = NOTES_INIT;
	if (try_open(pid, &notes, &t, &err) != OK)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < notes.count; i++)
		fail_msg("note: %s", notes.list[i].text);
	return t;
}

static bool moves(int i)
{
	unsigned long before = atomic_load(&shared->ticks[i]);
	for (int k = 0; k < 2000; k++) {
		usleep(1000);
		if (atomic_load(&shared->ticks[i]) != before)
			return true;
	}
	return false;
}

static void assert_runs_on(pid_t pid)
{
	for (int i = 0; i <= THREADS; i++)
		assert_true(moves(i));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	char path[64], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	char line[256];
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "TracerPid:\t", 11) == 0)
			state = line[11];
	fclose(f);
	assert_int_equal(state, '0');
}

static void all_threads_stand_still_until_it_is_freed(void **state)
{
	(void)state;
	pid_t pid = start(false);
	struct target *t = open_pid(pid);
	unsigned long before[THREADS + 1];
	for (int i = 0; i <= THREADS; i++)
		before[i] = atomic_load(&shared->ticks[i]);
	usleep(30000);
	for (int i = 0; i <= THREADS; i++)
		assert_int_equal(atomic_load(&shared->ticks[i]), before[i]);
	target_free(t);
	assert_runs_on(pid);
	stop(pid);
}

static void its_memory_and_threads_are_read(void **state)
{
	(void)state;
	pid_t pid = start(false);
	AUTO_TARGET struct target *t = open_pid(pid);
	char buf[sizeof(known)];
	assert_int_equal(t->kind, TARGET_PROCESS);
	assert_int_equal(t->pid, pid);
	assert_int_equal(t->thread_count, THREADS + 1);
	assert_int_equal(t->threads[0].tid, pid);
	assert_string_equal(t->command, "unit_target_tes");
	assert_int_equal(memory_read(t->memory, (uint64_t)known, buf, sizeof(buf), NULL), OK);
	assert_string_equal(buf, "the child wrote this");
	assert_int_equal(memory_origin(t->memory, (uint64_t)known), ORIGIN_LIVE);
	for (size_t i = 0; i < t->thread_count; i++) {
		const struct thread *thread = &t->threads[i];
		uint64_t word;
		struct memory_range r;
		assert_true(thread->has_regs);
		assert_true(thread->regs.tls != 0);
		assert_int_equal(memory_read_u64(t->memory, thread->regs.sp, &word, NULL), OK);
		assert_true(memory_range_at(t->memory, thread->regs.sp, &r) && r.writable);
		assert_true(memory_range_at(t->memory, thread->regs.pc, &r) && r.executable);
	}
	target_free(TAKE(t));
	stop(pid);
}

static void its_executable_lies_where_it_runs(void **state)
{
	(void)state;
	pid_t pid = start(false);
	AUTO_TARGET struct target *t = open_pid(pid);
	struct symbol symbol, at;
	assert_non_null(t->exe);
	assert_true(target_symbol(t, "run_child", &symbol));
	assert_int_equal(symbol.addr, (uint64_t)run_child);
	assert_true(target_symbol_at(t, symbol.addr + 1, &at));
	assert_string_equal(at.name, "run_child");
	uint8_t code[16];
	assert_int_equal(memory_read(t->memory, symbol.addr, code, sizeof(code), NULL), OK);
	assert_memory_equal(code, (const void *)run_child, sizeof(code));
	/* Code and constants have views, as the file has them. */
	assert_non_null(memory_view(t->memory, symbol.addr, symbol.size));
	assert_int_equal(memory_origin(t->memory, symbol.addr), ORIGIN_FILE);
	static const char constant[] = "some constant of this test";
	const char *view = memory_view(t->memory, (uint64_t)constant, sizeof(constant));
	assert_non_null(view);
	assert_string_equal(view, constant);
	const struct mapping *m = target_mapping_at(t, (uint64_t)run_child);
	assert_non_null(m);
	assert_string_equal(m->path, executable_path(t->exe));
	target_free(TAKE(t));
	stop(pid);
}

/* A breakpoint, as a debugger would set it. */
static void changed_code_is_noted(void **state)
{
	(void)state;
	pid_t pid = start(false);
	char text[64];
	snprintf(text, sizeof(text), "/proc/%d/mem", pid);
	int fd = open(text, O_RDWR);
	uint8_t trap = 0xcc, code;
	assert_int_equal(pwrite(fd, &trap, 1, (off_t)(uintptr_t)on_signal), 1);
	close(fd);
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *t = NULL;
	assert_int_equal(try_open(pid, &notes, &t, NULL), OK);
	assert_int_equal(notes.count, 1);
	assert_non_null(strstr(notes.list[0].text, "1 pages of the program were changed"));
	assert_int_equal(memory_read_u8(t->memory, (uint64_t)on_signal, &code, NULL), OK);
	assert_int_equal(code, *(const uint8_t *)(uintptr_t)on_signal);
	notes_done(&notes);
	target_free(TAKE(t));
	stop(pid);
}

static void a_read_faults_where_access_ends(void **state)
{
	(void)state;
	pid_t pid = start(false);
	AUTO_TARGET struct target *t = open_pid(pid);
	struct error err;
	uint8_t buf[8];
	uint64_t edge = (uint64_t)guarded + PAGE;
	assert_int_equal(memory_read(t->memory, edge - 8, buf, 8, &err), OK);
	assert_memory_equal(buf, "gggggggg", 8);
	assert_int_equal(memory_read(t->memory, edge - 4, buf, 8, &err), FAILED);
	assert_int_equal(err.code, ERROR_FAULT);
	assert_int_equal(err.addr, edge);
	assert_int_equal(memory_read(t->memory, 8, buf, 8, &err), FAILED);
	assert_int_equal(err.addr, 8);
	target_free(TAKE(t));
	stop(pid);
}

/* Real-time signals are queued one by one: each that is sent must be counted. */
static void signals_that_arrive_meanwhile_are_not_lost(void **state)
{
	(void)state;
	pid_t pid = start(false);
	struct target *t = open_pid(pid);
	for (int i = 0; i < 10; i++)
		assert_int_equal(sigqueue(pid, SIGRTMIN, (union sigval){0}), 0);
	usleep(20000);
	assert_int_equal(atomic_load(&shared->signals), 0);
	target_free(t);
	for (int i = 0; i < 2000 && atomic_load(&shared->signals) < 10; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&shared->signals), 10);
	assert_runs_on(pid);
	stop(pid);
}

static void signals_that_arrive_as_it_stops_are_not_lost(void **state)
{
	(void)state;
	enum { COUNT = 3000 };
	pid_t pid = start(false);
	pid_t sender = fork();
	if (sender == 0) {
		for (int i = 0; i < COUNT;) {
			if (sigqueue(pid, SIGRTMIN, (union sigval){0}) == 0)
				i++;
			usleep(20);
		}
		_exit(0);
	}
	int opened = 0;
	while (waitpid(sender, NULL, WNOHANG) == 0) {
		target_free(open_pid(pid));
		opened++;
	}
	for (int i = 0; i < 5000 && atomic_load(&shared->signals) < COUNT; i++)
		usleep(1000);
	assert_int_equal(atomic_load(&shared->signals), COUNT);
	assert_true(opened > 10);
	assert_runs_on(pid);
	stop(pid);
}

static void a_stopped_process_stays_stopped_and_continues(void **state)
{
	(void)state;
	pid_t pid = start(false);
	int status;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	struct target *t = open_pid(pid);
	assert_int_equal(t->thread_count, THREADS + 1);
	target_free(t);
	usleep(20000);
	unsigned long before = atomic_load(&shared->ticks[0]);
	usleep(30000);
	assert_int_equal(atomic_load(&shared->ticks[0]), before);
	kill(pid, SIGCONT);
	assert_runs_on(pid);
	stop(pid);
}

static void threads_that_come_and_go_do_not_escape(void **state)
{
	(void)state;
	pid_t pid = start(true);
	for (int i = 0; i < 100; i++) {
		AUTO_TARGET struct target *t = open_pid(pid);
		assert_true(t->thread_count >= THREADS + 1);
		unsigned long before = atomic_load(&shared->ticks[THREADS]);
		usleep(200);
		assert_int_equal(atomic_load(&shared->ticks[THREADS]), before);
	}
	assert_true(moves(THREADS));
	stop(pid);
}

static void it_runs_on_when_its_reader_is_killed(void **state)
{
	(void)state;
	pid_t pid = start(false);
	pid_t reader = fork();
	if (reader == 0) {
		struct target *t = NULL;
		if (try_open(pid, NULL, &t, NULL) != OK)
			_exit(1);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_true(WIFSIGNALED(status));
	assert_runs_on(pid);
	stop(pid);
}

static void a_process_that_is_killed_meanwhile_only_fails_reads(void **state)
{
	(void)state;
	pid_t pid = start(false);
	AUTO_TARGET struct target *t = open_pid(pid);
	kill(pid, SIGKILL);
	usleep(20000);
	struct error err;
	uint8_t byte;
	assert_int_equal(memory_read(t->memory, (uint64_t)guarded, &byte, 1, &err), FAILED);
	assert_int_equal(err.code, ERROR_FAULT);
	target_free(TAKE(t));
	waitpid(pid, NULL, 0);
}

static void one_that_is_killed_while_it_is_open_can_be_waited_for(void **state)
{
	enum { TIMES = 100, PATIENCE_MS = 20000 };
	(void)state;
	for (int i = 0; i < TIMES; i++) {
		pid_t pid = start(false), got = 0;
		AUTO_TARGET struct target *t = open_pid(pid);
		kill(pid, SIGKILL);
		target_free(TAKE(t));
		int64_t deadline = clock_ms() + PATIENCE_MS;
		while (!got && clock_ms() < deadline) {
			process_reap(pid);
			got = waitpid(pid, NULL, WNOHANG);
		}
		assert_int_equal(got, pid);
	}
}

static void assert_fails(pid_t pid, enum error_code code, const char *text)
{
	struct target *t = NULL;
	struct error err = {0};
	assert_int_equal(try_open(pid, NULL, &t, &err), FAILED);
	if (!strstr(err.text, text))
		fail_msg("\"%s\" does not say \"%s\"", err.text, text);
	assert_int_equal(err.code, code);
}

static void what_cannot_be_read_is_said_in_words(void **state)
{
	(void)state;
	assert_fails(getpid(), ERROR_UNSUPPORTED, "this program itself");
	assert_fails(999999999, ERROR_NOT_FOUND, "no process has the number 999999999");
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_fails(pid, ERROR_IO, "has ended");
	waitpid(pid, NULL, 0);
	FILE *f = fopen("/proc/2/status", "re");
	char line[64] = "";
	if (f && fgets(line, sizeof(line), f) && strcmp(line, "Name:\tkthreadd\n") == 0)
		assert_fails(2, ERROR_UNSUPPORTED, "is a kernel thread");
	else
		print_message("no kernel thread to be seen here: not tried\n");
	if (f)
		fclose(f);
}

static void who_traces_it_already_is_named(void **state)
{
	(void)state;
	pid_t pid = start(false);
	int ready[2];
	assert_int_equal(pipe(ready), 0);
	pid_t tracer = fork();
	if (tracer == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		char ok = ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0;
		if (write(ready[1], &ok, 1) != 1)
			_exit(1);
		pause();
	}
	char ok = 0;
	assert_int_equal(read(ready[0], &ok, 1), 1);
	assert_true(ok);
	char text[64];
	snprintf(text, sizeof(text), "already traced by %d", tracer);
	assert_fails(pid, ERROR_IO, text);
	stop(tracer);
	assert_runs_on(pid);
	stop(pid);
	close(ready[0]);
	close(ready[1]);
}

static void a_process_of_someone_else_is_refused_and_unharmed(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("not root: cannot become someone else\n");
		skip();
	}
	pid_t pid = start(false);
	pid_t other = fork();
	if (other == 0) {
		struct target *t = NULL;
		struct error err = {0};
		if (setgid(65534) != 0 || setuid(65534) != 0)
			_exit(2);
		_exit(try_open(pid, NULL, &t, &err) == OK	      ? 3
		      : strstr(err.text, "may not be traced") == NULL ? 4
								      : 0);
	}
	int status;
	waitpid(other, &status, 0);
	assert_int_equal(status, 0);
	assert_runs_on(pid);
	stop(pid);
}

/* Runs a copy of this program, then puts another file in its place. */
static void its_own_file_is_read_not_what_has_its_name_now(void **state)
{
	(void)state;
	char path[64];
	AUTO_EXECUTABLE struct executable *self = NULL;
	assert_int_equal(executable_open("/proc/self/exe", &self, NULL), OK);
	size_t size;
	const uint8_t *bytes = executable_bytes(self, &size);
	elfw_file(path, bytes, size);
	chmod(path, 0700);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(path, path, "sleep", NULL);
		_exit(1);
	}
	char link[64], now[256] = "";
	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	for (ssize_t n = 0; n >= 0 && strcmp(now, path) != 0;) {
		n = readlink(link, now, sizeof(now) - 1);
		now[n < 0 ? 0 : n] = '\0';
	}
	usleep(50000);
	char other[64];
	elfw_file(other, "not this one", 12);
	assert_int_equal(rename(other, path), 0);
	AUTO_TARGET struct target *t = open_pid(pid);
	struct symbol symbol;
	assert_true(target_symbol(t, "its_own_file_is_read_not_what_has_its_name_now", &symbol));
	target_free(TAKE(t));
	stop(pid);
	unlink(path);
}

static int setup(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "sleep") == 0)
		return pause();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_threads_stand_still_until_it_is_freed),
		cmocka_unit_test(its_memory_and_threads_are_read),
		cmocka_unit_test(its_executable_lies_where_it_runs),
		cmocka_unit_test(changed_code_is_noted),
		cmocka_unit_test(a_read_faults_where_access_ends),
		cmocka_unit_test(signals_that_arrive_meanwhile_are_not_lost),
		cmocka_unit_test(signals_that_arrive_as_it_stops_are_not_lost),
		cmocka_unit_test(a_stopped_process_stays_stopped_and_continues),
		cmocka_unit_test(threads_that_come_and_go_do_not_escape),
		cmocka_unit_test(it_runs_on_when_its_reader_is_killed),
		cmocka_unit_test(a_process_that_is_killed_meanwhile_only_fails_reads),
		cmocka_unit_test(one_that_is_killed_while_it_is_open_can_be_waited_for),
		cmocka_unit_test(what_cannot_be_read_is_said_in_words),
		cmocka_unit_test(who_traces_it_already_is_named),
		cmocka_unit_test(a_process_of_someone_else_is_refused_and_unharmed),
		cmocka_unit_test(its_own_file_is_read_not_what_has_its_name_now),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
