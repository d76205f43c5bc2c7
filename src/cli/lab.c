/*
 * The article's first chapter without Go: two threads write one map, the check fires, a core is
 * written, and `mapcrash map` reads it.
 *
 * The overlap is made, not waited for: the map's allocator stops the first thread in the middle of the
 * write that makes the map grow, and the second one writes meanwhile.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"

#include <gomap.h>

/* The second write of a bucket's worth of keys and one makes a map grow: runtime/map.go,
 * overLoadFactor. */
static const char *const names[] = {"alice", "bob",   "carol", "dave", "erin",
				    "frank", "grace", "heidi", "ivan"};
enum { NAMES = sizeof(names) / sizeof(names[0]), FULL = NAMES - 1 };

GOMAP_DEFINE_STRING(scores, int)

/* Of the child alone, but for told. */
static struct {
	struct gomap *m;
	sem_t in_the_middle; /* the first thread is */
	bool stop_next; /* at its next allocation */
	bool stop_process; /* instead of abort: no core is written here */
	uint64_t *told; /* the map's address, for the parent */
	unsigned step;
} lab;

static struct gomap_string string_of(const char *s)
{
	return (struct gomap_string){s, strlen(s)};
}

static void print_header(void)
{
	const struct gomap *m = lab.m;
	const unsigned char *p = (const unsigned char *)m;
	printf("     count %zd  flags 0x%02x%s  B %u  buckets 0x%" PRIxPTR
	       "  oldbuckets 0x%" PRIxPTR "\n     ",
	       (ssize_t)m->count, m->flags, m->flags & GOMAP_HASH_WRITING ? " writing" : "", m->B,
	       (uintptr_t)m->buckets, (uintptr_t)m->oldbuckets);
	for (unsigned i = 0; i < 16; i++)
		printf(" %02x", p[i]);
	printf("   count, flags, B, noverflow, hash0\n      turn %" PRIu64 "%s, owner %s\n",
	       m->turn, m->turn & 1 ? ": odd, its owner is writing" : "",
	       m->bias == GOMAP_BIAS_NONE     ? "none yet"
	       : m->bias & GOMAP_BIAS_REVOKED ? "none any more"
					      : "the first thread");
}

[[gnu::format(printf, 1, 2)]] static void step(const char *fmt, ...)
{
	va_list ap;
	printf("\n %u.  ", ++lab.step);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	print_header();
	fflush(stdout);
}

static void *lab_alloc(void *ctx, size_t size)
{
	(void)ctx;
	void *p = NULL;
	if (lab.stop_next) {
		lab.stop_next = false;
		step("first thread: scores[\"%s\"] = 9. It set the flag and is about to grow the "
		     "map",
		     names[FULL]);
		sem_post(&lab.in_the_middle);
		for (;;)
			pause();
	}
	return posix_memalign(&p, 64, size) == 0 ? memset(p, 0, size) : NULL;
}

static void lab_free(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	free(p);
}

/* The library's default, between two lines of ours. */
static void on_conflict(const struct gomap_conflict *conflict, void *arg)
{
	(void)arg;
	step("second thread: its check failed. What the library says:");
	putchar('\n');
	fflush(stdout);
	gomap_conflict_print(conflict, STDOUT_FILENO);
	if (lab.stop_process)
		raise(SIGSTOP);
	abort();
}

static void *first_thread(void *arg)
{
	struct scores *m = arg;
	pthread_setname_np(pthread_self(), "first");
	for (unsigned i = 0; i < FULL; i++)
		if (!scores_put(m, string_of(names[i]), (int)i + 1))
			return NULL;
	step("first thread: wrote %u entries. Each write set the flag and cleared it again", FULL);
	lab.stop_next = true;
	(void)!scores_put(m, string_of(names[FULL]), NAMES);
	return NULL;
}

static void *second_thread(void *arg)
{
	struct scores *m = arg;
	pthread_setname_np(pthread_self(), "second");
	while (sem_wait(&lab.in_the_middle) != 0)
		;
	step("second thread: delete(scores, \"%s\"), with no lock", names[2]);
	(void)!scores_delete(m, string_of(names[2]));
	return NULL;
}

__attribute__((noreturn)) static void race(const char *folder)
{
	static const struct gomap_allocator allocator = {lab_alloc, lab_free, NULL, NULL};
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}, now;
	pthread_t first, second;
	if (getrlimit(RLIMIT_CORE, &now) == 0)
		all.rlim_cur = all.rlim_max = now.rlim_max;
	(void)!setrlimit(RLIMIT_CORE, &all);
	lab.m = gomap_new(&scores_type, 0, &allocator);
	if (!lab.m || chdir(folder) != 0 || sem_init(&lab.in_the_middle, 0, 0) != 0)
		_exit(EXIT_NOTHING);
	*lab.told = (uintptr_t)lab.m;
	gomap_set_handler(on_conflict, NULL);
	step("an empty map[string]int");
	if (pthread_create(&first, NULL, first_thread, lab.m) != 0 ||
	    pthread_create(&second, NULL, second_thread, lab.m) != 0)
		_exit(EXIT_NOTHING);
	pthread_join(second, NULL);
	_exit(EXIT_NOTHING);
}

/* Starts the racing child; its pid, which has stopped or died of SIGABRT when this returns, or -1. */
static pid_t run_race(const char *folder, bool stop_process, int *ret_status)
{
	lab.stop_process = stop_process;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		race(folder);
	if (pid < 0 || waitpid(pid, ret_status, stop_process ? WUNTRACED : 0) != pid)
		return -1;
	return pid;
}

/* The core that pid left in the folder, as core_pattern "core", with or without the pid; "" none. */
static void find_core(const char *folder, pid_t pid, char path[512])
{
	char named[512];
	struct stat st;
	snprintf(path, 512, "%s/core", folder);
	snprintf(named, sizeof(named), "%s/core.%d", folder, (int)pid);
	if (stat(named, &st) == 0)
		(void)!rename(named, path);
	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
		path[0] = '\0';
}

static int show_map(const struct options *options, char *target, uint64_t addr)
{
	char text[32];
	snprintf(text, sizeof(text), "0x%" PRIx64, addr);
	char *operands[] = {target, text, NULL};
	struct options map_options = *options;
	map_options.operands = operands;
	map_options.operand_count = 2;
	printf("\n$ mapcrash map %s %s\n\n", target, text);
	fflush(stdout);
	return map_run(&map_options);
}

int lab_run(const struct options *options)
{
	const char *folder = options->operand_count ? options->operands[0] : "lab-out";
	char core[512];
	int status;
	if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
		fprintf(stderr, "mapcrash lab: %s: %s\n", folder, strerror(errno));
		return EXIT_NOTHING;
	}
	snprintf(core, sizeof(core), "%s/core", folder);
	(void)!unlink(core); /* one of an earlier run must not be taken for this one's */
	lab.told = mmap(NULL, sizeof(*lab.told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (lab.told == MAP_FAILED) {
		fprintf(stderr, "mapcrash lab: %s\n", strerror(errno));
		return EXIT_NOTHING;
	}
	printf("Two threads, one map, no lock. The header of the map at each step:\n");
	pid_t pid = run_race(folder, false, &status);
	if (pid < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
		fprintf(stderr, "mapcrash lab: the race could not be run in %s\n", folder);
		return EXIT_NOTHING;
	}
	find_core(folder, pid, core);
	if (core[0])
		return show_map(options, core, *lab.told);

	printf("\nThe kernel wrote no core (kernel.core_pattern, ulimit -c). Once more, and the "
	       "process "
	       "is\nread where it stands, just before it aborts:\n");
	lab.step = 0;
	pid = run_race(folder, true, &status);
	if (pid < 0 || !WIFSTOPPED(status)) {
		fprintf(stderr, "mapcrash lab: the race could not be run in %s\n", folder);
		return EXIT_NOTHING;
	}
	snprintf(core, sizeof(core), "%d", (int)pid);
	status = show_map(options, core, *lab.told);
	kill(pid, SIGKILL);
	(void)!waitpid(pid, NULL, 0);
	return status;
}
