/*
 * Detection: forced overlaps are all caught with both sides right, and nothing else is.
 *
 *     gomap_test_detect [OVERLAPS]        of each pair; 10000 unless told
 *
 * An overlap is forced from inside an operation: the type's equal function, which the map calls
 * while it searches (for clear: the allocator's free), stops the first thread there until the
 * second has done its operation.
 */
#include "gomap.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned overlaps = 10000;

/* ---- operations, each in a section of its own so that its addresses can be told --------- */

#define OP(name) __attribute__((noinline, section("op_" #name))) static

OP(assign) void do_assign(struct gomap *m, uint64_t key)
{
	uint64_t v = key;
	(void)!gomap_put(m, &key, &v);
	__asm__ volatile("" ::: "memory");
}

OP(delete) void do_delete(struct gomap *m, uint64_t key)
{
	(void)!gomap_delete(m, &key, NULL, NULL);
	__asm__ volatile("" ::: "memory");
}

OP(clear) void do_clear(struct gomap *m, uint64_t key)
{
	(void)key;
	(void)!gomap_clear(m);
	__asm__ volatile("" ::: "memory");
}

OP(read) void do_read(struct gomap *m, uint64_t key)
{
	uint64_t v;
	(void)!gomap_get(m, &key, &v);
	__asm__ volatile("" ::: "memory");
}

/* The iteration is begun, and the map grown under it, before. The step must then look
 * its entry up, which is where it stops. */
static __thread struct gomap_iter open_iteration;

OP(iterate) void do_iterate(struct gomap *m, uint64_t key)
{
	(void)key;
	if (open_iteration.map == m) {
		(void)!gomap_iter_next(&open_iteration);
	} else {
		struct gomap_iter it;
		gomap_iter_init(&it, m);
		gomap_iter_done(&it);
	}
	__asm__ volatile("" ::: "memory");
}

#define SECTION(name) extern const char __start_op_##name[], __stop_op_##name[]
SECTION(assign);
SECTION(delete);
SECTION(clear);
SECTION(read);
SECTION(iterate);

static const struct {
	enum gomap_op op;
	void (*run)(struct gomap *m, uint64_t key);
	const char *from, *to;
} ops[] = {
	{GOMAP_ASSIGN, do_assign, __start_op_assign, __stop_op_assign},
	{GOMAP_DELETE, do_delete, __start_op_delete, __stop_op_delete},
	{GOMAP_CLEAR, do_clear, __start_op_clear, __stop_op_clear},
	{GOMAP_READ, do_read, __start_op_read, __stop_op_read},
	{GOMAP_ITERATE, do_iterate, __start_op_iterate, __stop_op_iterate},
};
enum { ASSIGN, DELETE, CLEAR, READ, ITERATE, OPS };

static bool site_is_in(const void *site, int op)
{
	return (const char *)site > ops[op].from && (const char *)site <= ops[op].to;
}

/* ---- a type and an allocator that stop their thread ---------------------------------------- */

/* The second thread does what it is given while the first stands still. */
static struct {
	struct gomap *m;
	int op, tid;
	sem_t begin, done;
} second;

static __thread bool stop_here;

static void maybe_stop(void)
{
	if (stop_here) {
		stop_here = false;
		sem_post(&second.begin);
		while (sem_wait(&second.done) != 0)
			;
	}
}

static void *second_thread(void *arg)
{
	(void)arg;
	pthread_setname_np(pthread_self(), "second");
	second.tid = (int)syscall(SYS_gettid);
	sem_post(&second.done);
	for (;;) {
		while (sem_wait(&second.begin) != 0)
			;
		if (!second.m)
			return NULL;
		ops[second.op].run(second.m, 2);
		sem_post(&second.done);
	}
}

static bool stopping_equal(const void *a, const void *b)
{
	maybe_stop();
	return memcmp(a, b, sizeof(uint64_t)) == 0;
}

static uint64_t word_hash(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, sizeof(uint64_t), seed);
}

static void *stopping_alloc(void *ctx, size_t size)
{
	void *p = NULL;
	(void)ctx;
	return posix_memalign(&p, 64, size) == 0 ? memset(p, 0, size) : NULL;
}

static void stopping_free(void *ctx, void *p, size_t size)
{
	(void)ctx, (void)size;
	maybe_stop();
	free(p);
}

static const struct gomap_type stopping =
	GOMAP_TYPE("map[uint64]uint64", uint64_t, uint64_t, word_hash, stopping_equal, 0);
static const struct gomap_allocator stopping_allocator = {stopping_alloc, stopping_free, NULL,
							  NULL};
static const struct gomap_type plain = GOMAP_TYPE_INT("map[uint64]uint64", uint64_t, uint64_t);

/* ---- what is reported ---------------------------------------------------------------------- */

struct seen {
	unsigned reports;
	struct gomap_conflict last;
};

static void remember(const struct gomap_conflict *conflict, void *arg)
{
	struct seen *seen = arg;
	seen->reports++;
	seen->last = *conflict;
}

static void count_reports(const struct gomap_conflict *conflict, void *arg)
{
	(void)conflict;
	__atomic_fetch_add((unsigned *)arg, 1, __ATOMIC_RELAXED);
}

/* ---- forced overlaps ----------------------------------------------------------------------- */

/* Begins an iteration and grows the map until all entries of its array are evacuated. */
static void open_across_growth(struct gomap *m)
{
	gomap_iter_init(&open_iteration, m);
	const char *walked = open_iteration.buckets;
	for (uint64_t key = 1000; m->buckets == walked || m->oldbuckets; ++key)
		assert_true(gomap_put(m, &key, &key));
}

/* A map that holds key 1, fit for stopping in operation op. */
static struct gomap *new_map_for(int op)
{
	struct gomap *m = gomap_new(&stopping, 0, &stopping_allocator);
	uint64_t key = 1;
	assert_true(gomap_put(m, &key, &key));
	if (op == ITERATE)
		open_across_growth(m);
	for (key = 1000; op == CLEAR && !m->oldbuckets; ++key)
		assert_true(gomap_put(m, &key, &key));
	return m;
}

static void check_pair(int a, int b)
{
	static struct seen seen;
	struct gomap *m = NULL;
	int first_tid = (int)syscall(SYS_gettid);
	bool writes = a == ASSIGN || a == DELETE || a == CLEAR;
	int detector = writes ? b : a, other = writes ? a : b;
	gomap_set_handler(remember, &seen);
	for (unsigned i = 0; i < overlaps; ++i) {
		/* a fresh map has an owner, a used one none: both ways must catch it */
		if (i % 4 == 0 || b == CLEAR || a == CLEAR || a == ITERATE) {
			gomap_free(m);
			m = new_map_for(a);
		}
		uint64_t key = 1;
		if (!gomap_find(m, &key))
			assert_true(gomap_put(m, &key, &key));
		seen.reports = 0;
		second.m = m;
		second.op = b;
		stop_here = true;
		ops[a].run(m, 1);
		assert_false(stop_here);
		gomap_iter_done(&open_iteration);

		const struct gomap_conflict *c = &seen.last;
		assert_int_equal(seen.reports, 1);
		assert_ptr_equal(c->map, m);
		assert_int_equal(c->detector.op, ops[detector].op);
		assert_int_equal(c->detector.tid, writes ? second.tid : first_tid);
		assert_true(site_is_in(c->detector.site, detector));
		assert_int_equal(c->other.op, ops[other].op);
		assert_int_equal(c->other.tid, writes ? first_tid : second.tid);
		assert_true(site_is_in(c->other.site, other));
		assert_string_equal(writes ? c->detector.name : c->other.name, "second");
		assert_true(c->depth > 1);
		bool has_key = detector != CLEAR && detector != ITERATE;
		assert_string_equal(c->key_text, !has_key ? ""
						 : writes ? "0200000000000000"
							  : "0100000000000000");
	}
	gomap_free(m);
	gomap_set_handler(NULL, NULL);
}

static void each_forced_overlap_is_caught_with_both_sides(void **state)
{
	pthread_t thread;
	(void)state;
	sem_init(&second.begin, 0, 0);
	sem_init(&second.done, 0, 0);
	pthread_create(&thread, NULL, second_thread, NULL);
	while (sem_wait(&second.done) != 0)
		;
	for (int a = 0; a < OPS; ++a) {
		for (int b = 0; b < OPS; ++b) {
			if (a <= CLEAR || b <= CLEAR)
				check_pair(a, b);
		}
	}
	second.m = NULL;
	sem_post(&second.begin);
	pthread_join(thread, NULL);
}

/* ---- what is no misuse --------------------------------------------------------------------- */

enum { THREADS = 4, LOCKED_OPS = 250000 };

static struct {
	struct gomap *m;
	pthread_rwlock_t lock;
} locked;

static void *locked_thread(void *arg)
{
	uint64_t x = (uintptr_t)arg;
	for (int i = 0; i < LOCKED_OPS; ++i) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		uint64_t key = x >> 52;
		unsigned what = (unsigned)(x >> 20) % 64;
		bool write = what >= 32;
		if (write)
			pthread_rwlock_wrlock(&locked.lock);
		else
			pthread_rwlock_rdlock(&locked.lock);
		struct gomap_iter it;
		switch (what) {
		case 0:
			gomap_iter_init(&it, locked.m);
			for (int n = 0; n < 20 && gomap_iter_next(&it); ++n)
				;
			gomap_iter_done(&it);
			break;
		case 63:
			if (i % 1000 == 0)
				gomap_clear(locked.m);
			break;
		default:
			if (!write)
				gomap_get(locked.m, &key, NULL);
			else if (what < 50)
				gomap_put(locked.m, &key, &x);
			else
				gomap_delete(locked.m, &key, NULL, NULL);
		}
		pthread_rwlock_unlock(&locked.lock);
	}
	return NULL;
}

static void a_million_locked_operations_are_not_reported(void **state)
{
	unsigned reports = 0;
	pthread_t threads[THREADS];
	(void)state;
	gomap_set_handler(count_reports, &reports);
	locked.m = gomap_new(&plain, 0, NULL);
	pthread_rwlock_init(&locked.lock, NULL);
	for (uintptr_t i = 0; i < THREADS; ++i)
		pthread_create(&threads[i], NULL, locked_thread, (void *)(i + 1));
	for (int i = 0; i < THREADS; ++i)
		pthread_join(threads[i], NULL);
	assert_int_equal(reports, 0);
	gomap_free(locked.m);
	gomap_set_handler(NULL, NULL);
}

/* ---- unlocked writers: each write is whole, or refused --------------------------------------- */

enum { ROUNDS = 3000, WRITES = 40 };

static struct {
	struct gomap *m;
	pthread_barrier_t gate;
	bool put[2][WRITES];
} racing;

static void *racing_thread(void *arg)
{
	unsigned self = (unsigned)(uintptr_t)arg;
	for (int round = 0; round < ROUNDS; ++round) {
		pthread_barrier_wait(&racing.gate);
		for (uint64_t i = 0; i < WRITES; ++i) {
			uint64_t key = i * 2 + self;
			racing.put[self][i] = gomap_put(racing.m, &key, &key);
		}
		pthread_barrier_wait(&racing.gate);
	}
	return NULL;
}

/* Were the owner's plain stores and the other's revocation ever both to go on, a key would be lost
 * or the map damaged. Each round starts with a fresh map, and so with a revocation. */
static void two_unlocked_writers_are_never_in_the_map_together(void **state)
{
	unsigned reports = 0, refused = 0;
	pthread_t threads[2];
	(void)state;
	gomap_set_handler(count_reports, &reports);
	pthread_barrier_init(&racing.gate, NULL, 3);
	for (uintptr_t i = 0; i < 2; ++i)
		pthread_create(&threads[i], NULL, racing_thread, (void *)i);
	for (int round = 0; round < ROUNDS; ++round) {
		racing.m = gomap_new(&plain, 0, NULL);
		pthread_barrier_wait(&racing.gate);
		pthread_barrier_wait(&racing.gate);
		size_t there = 0;
		for (uint64_t key = 0; key < 2 * WRITES; ++key) {
			uint64_t v = 0;
			bool put = racing.put[key % 2][key / 2];
			bool got = gomap_get(racing.m, &key, &v);
			assert_int_equal(put, got);
			assert_true(!got || v == key);
			there += got;
			refused += !put;
		}
		assert_int_equal(gomap_len(racing.m), there);
		gomap_free(racing.m);
	}
	for (int i = 0; i < 2; ++i)
		pthread_join(threads[i], NULL);
	assert_int_equal(reports, refused);
	print_message("%u of %u unlocked writes overlapped and were refused\n", refused,
		      2 * WRITES * ROUNDS);
	gomap_set_handler(NULL, NULL);
}

#if !defined(__SANITIZE_THREAD__)
/* Not under ThreadSanitizer, which rightly reports the race that is the point here. */

struct pair {
	uint64_t a, b[15];
};

static const struct gomap_type pairs = GOMAP_TYPE_INT("map[uint64]pair", uint64_t, struct pair);

static struct {
	struct gomap *m;
	bool stop;
	unsigned torn, read, refused;
} torn;

static void *reading_thread(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&torn.stop, __ATOMIC_RELAXED)) {
		uint64_t key = torn.read++ % 8;
		struct pair p;
		errno = 0;
		if (!gomap_get(torn.m, &key, &p)) {
			torn.refused += errno == EBUSY;
			continue;
		}
		for (int i = 0; i < 15; ++i)
			torn.torn += p.b[i] != p.a + (uint64_t)i;
	}
	return NULL;
}

static void an_unlocked_read_is_whole_or_refused(void **state)
{
	unsigned reports = 0;
	pthread_t thread;
	(void)state;
	gomap_set_handler(count_reports, &reports);
	torn.m = gomap_new(&pairs, 8, NULL);
	pthread_create(&thread, NULL, reading_thread, NULL);
	for (uint64_t n = 0; n < 300000; ++n) {
		uint64_t key = n % 8;
		struct pair p = {.a = n};
		for (int i = 0; i < 15; ++i)
			p.b[i] = n + (uint64_t)i;
		gomap_put(torn.m, &key, &p);
	}
	__atomic_store_n(&torn.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_int_equal(torn.torn, 0);
	assert_int_equal(reports, torn.refused);
	print_message("%u unlocked reads, %u refused, none torn\n", torn.read, torn.refused);
	gomap_free(torn.m);
	gomap_set_handler(NULL, NULL);
}

/* ---- the default handler --------------------------------------------------------------------- */

static void die_of_an_overlap(int fd)
{
	pthread_t thread;
	dup2(fd, STDERR_FILENO);
	sem_init(&second.begin, 0, 0);
	sem_init(&second.done, 0, 0);
	pthread_create(&thread, NULL, second_thread, NULL);
	while (sem_wait(&second.done) != 0)
		;
	second.m = new_map_for(ASSIGN);
	second.op = DELETE;
	stop_here = true;
	do_assign(second.m, 1);
	_exit(0);
}

static void the_default_is_gos_message_both_sides_and_an_abort(void **state)
{
	int fds[2], status;
	static char text[16384];
	size_t n = 0;
	ssize_t got;
	(void)state;
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		die_of_an_overlap(fds[1]);
	close(fds[1]);
	while ((got = read(fds[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_ptr_equal(strstr(text, "fatal error: concurrent map writes\n"), text);
	assert_non_null(strstr(text, "(second), delete\nkey 0200000000000000\n"));
	assert_non_null(strstr(text, "the other: thread "));
	assert_non_null(strstr(text, ", assign\n"));
	assert_non_null(strstr(text, "map[uint64]uint64, 1 elements"));
}
#endif

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_forced_overlap_is_caught_with_both_sides),
		cmocka_unit_test(a_million_locked_operations_are_not_reported),
		cmocka_unit_test(two_unlocked_writers_are_never_in_the_map_together),
#if !defined(__SANITIZE_THREAD__)
		cmocka_unit_test(an_unlocked_read_is_whole_or_refused),
		cmocka_unit_test(the_default_is_gos_message_both_sides_and_an_abort),
#endif
	};
	if (argc > 1)
		overlaps = (unsigned)strtoul(argv[1], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
