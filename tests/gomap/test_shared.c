/*
 * The shared map: semantics alone, then with threads, and linearizability of recorded histories.
 *
 *     gomap_test_shared [ROUNDS]        of histories; 3000 unless told
 */
#include "linearizable.h"
#include "ops.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static unsigned rounds = 3000;

static uint64_t next_random(uint64_t *x)
{
	*x = *x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *x >> 33;
}

static enum gomap_verdict count_up(void *elem, bool present, void *arg)
{
	uint64_t n;
	memcpy(&n, elem, sizeof(n));
	*(bool *)arg = present;
	++n;
	memcpy(elem, &n, sizeof(n));
	return n % 5 == 4 ? GOMAP_REMOVE : n % 5 == 3 ? GOMAP_KEEP : GOMAP_STORE;
}

struct tally {
	unsigned type;
	size_t n;
	bool in[KEYS];
};

static bool visit_one(const void *key, const void *elem, void *arg)
{
	struct tally *tally = arg;
	unsigned n = ops_number(tally->type, key);
	(void)elem;
	assert_true(n < KEYS && tally->in[n]);
	tally->in[n] = false;
	tally->n++;
	return true;
}

static void alone_it_agrees_with_an_array(void **state)
{
	static struct ops o;
	static struct tally tally;
	uint64_t x = 7;
	(void)state;
	for (unsigned type = 0; type < OPS_TYPES; ++type) {
		memset(&o, 0, sizeof(o));
		o.type = type;
		size_t size = ops_types[type].elem_size, count = 0;
		struct gomap_shared *s = gomap_shared_new(&ops_types[type], 0);
		assert_non_null(s);
		for (unsigned i = 1; i < 60000; ++i) {
			unsigned n = (unsigned)next_random(&x) % ops_keys(type);
			union ops_value key, elem, got;
			ops_key(type, n, &key);
			switch (next_random(&x) % 8) {
			case 0:
			case 1:
			case 2:
				ops_elem(type, i, &elem);
				assert_true(gomap_shared_put(s, &key, &elem));
				count += !o.in[n];
				o.in[n] = true;
				o.elem[n] = i;
				break;
			case 3:
			case 4:
				assert_int_equal(gomap_shared_delete(s, &key, &got), o.in[n]);
				if (o.in[n])
					ops_same_elem(&o, n, &got);
				count -= o.in[n];
				o.in[n] = false;
				break;
			default:
				memset(&got, 0xaa, sizeof(got));
				assert_int_equal(gomap_shared_get(s, &key, &got), o.in[n]);
				if (o.in[n])
					ops_same_elem(&o, n, &got);
				else
					assert_true(size == 0 || got.u8 == 0);
			}
		}
		assert_int_equal(gomap_shared_len(s), count);
		tally.type = type;
		tally.n = 0;
		memcpy(tally.in, o.in, sizeof(o.in));
		assert_true(gomap_shared_each(s, visit_one, &tally));
		assert_int_equal(tally.n, count);
		gomap_shared_free(s);
	}
}

static void an_update_stores_keeps_or_removes(void **state)
{
	(void)state;
	struct gomap_shared *s = gomap_shared_new(&ops_types[0], 0);
	uint64_t key = 5, v;
	bool present;
	for (uint64_t want = 1; want <= 2; ++want) {
		assert_true(gomap_shared_update(s, &key, count_up, &present));
		assert_int_equal(present, want > 1);
		assert_true(gomap_shared_get(s, &key, &v) && v == want);
	}
	assert_true(gomap_shared_update(s, &key, count_up, &present));
	assert_true(gomap_shared_get(s, &key, &v) && v == 2);
	v = 3;
	gomap_shared_put(s, &key, &v);
	assert_true(gomap_shared_update(s, &key, count_up, &present));
	assert_false(gomap_shared_get(s, &key, &v));
	assert_int_equal(gomap_shared_len(s), 0);
	gomap_shared_free(s);
}

static void null_reads_as_empty_and_refuses_writes(void **state)
{
	(void)state;
	uint64_t v = 1;
	assert_int_equal(gomap_shared_len(NULL), 0);
	assert_false(gomap_shared_get(NULL, &v, NULL));
	assert_true(gomap_shared_each(NULL, visit_one, NULL));
	gomap_shared_free(NULL);
	errno = 0;
	assert_false(gomap_shared_put(NULL, &v, &v));
	assert_int_equal(errno, EINVAL);
	assert_false(gomap_shared_delete(NULL, &v, NULL));
	assert_false(gomap_shared_update(NULL, &v, count_up, NULL));
	assert_null(gomap_shared_new(NULL, 0));
}

static void nan_and_zero_keys_behave_as_in_go(void **state)
{
	(void)state;
	struct gomap_shared *s = gomap_shared_new(&ops_types[3], 0);
	double nan_key = NAN, plus = 0.0, minus = -0.0;
	uint64_t v = 1;
	for (int i = 0; i < 500; ++i)
		assert_true(gomap_shared_put(s, &nan_key, &v));
	assert_int_equal(gomap_shared_len(s), 500);
	assert_false(gomap_shared_get(s, &nan_key, &v));
	v = 2;
	gomap_shared_put(s, &plus, &v);
	v = 3;
	gomap_shared_put(s, &minus, &v);
	assert_int_equal(gomap_shared_len(s), 501);
	assert_true(gomap_shared_get(s, &plus, &v) && v == 3);
	gomap_shared_free(s);
}

/* ---- with threads -------------------------------------------------------------------------- */

enum { WRITERS = 3, PER_WRITER = 30000 };

static struct {
	struct gomap_shared *s;
	uint64_t done[WRITERS]; /* atomic: keys below it are in for good */
	bool stop;
	unsigned missed, torn, looks;
} shared;

/* An element whose words belong together. */
static struct ops_big big_of(uint32_t v)
{
	struct ops_big big;
	for (unsigned i = 0; i < 40; ++i)
		big.n[i] = v * 40 + i;
	return big;
}

static const struct gomap_type big_elems =
	GOMAP_TYPE_INT("map[uint64][40]uint32", uint64_t, struct ops_big);

static void *inserting_thread(void *arg)
{
	uintptr_t self = (uintptr_t)arg;
	for (uint64_t i = 0; i < PER_WRITER; ++i) {
		uint64_t key = i * WRITERS + self;
		struct ops_big big = big_of((uint32_t)i);
		assert_true(gomap_shared_put(shared.s, &key, &big));
		__atomic_store_n(&shared.done[self], i + 1, __ATOMIC_RELEASE);
		/* a key that comes and goes, and changes of those that stay */
		uint64_t other = UINT64_C(1) << 40 | (i % 16);
		if (i % 2)
			gomap_shared_put(shared.s, &other, &big);
		else
			gomap_shared_delete(shared.s, &other, NULL);
		key = self; /* the writer's first key, changed */
		big = big_of((uint32_t)i + 7);
		gomap_shared_put(shared.s, &key, &big);
	}
	return NULL;
}

static void *looking_thread(void *arg)
{
	uint64_t x = (uintptr_t)arg;
	while (!__atomic_load_n(&shared.stop, __ATOMIC_RELAXED)) {
		unsigned writer = (unsigned)(next_random(&x) % WRITERS);
		uint64_t n = __atomic_load_n(&shared.done[writer], __ATOMIC_ACQUIRE);
		if (n == 0)
			continue;
		uint64_t key = next_random(&x) % n * WRITERS + writer;
		struct ops_big big;
		if (!gomap_shared_get(shared.s, &key, &big)) {
			__atomic_fetch_add(&shared.missed, 1, __ATOMIC_RELAXED);
			continue;
		}
		for (unsigned i = 1; i < 40; ++i) {
			if (big.n[i] != big.n[0] + i)
				__atomic_fetch_add(&shared.torn, 1, __ATOMIC_RELAXED);
		}
		__atomic_fetch_add(&shared.looks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

struct at_least_once {
	uint64_t below[WRITERS];
	unsigned char *seen[WRITERS];
};

static bool visit_present(const void *key, const void *elem, void *arg)
{
	struct at_least_once *a = arg;
	uint64_t k = *(const uint64_t *)key;
	(void)elem;
	if (k < UINT64_C(1) << 40)
		a->seen[k % WRITERS][k / WRITERS]++;
	return true;
}

static void readers_miss_nothing_while_it_grows(void **state)
{
	pthread_t writers[WRITERS], reader;
	struct at_least_once a;
	(void)state;
	memset(&shared, 0, sizeof(shared));
	shared.s = gomap_shared_new(&big_elems, 0);
	for (int i = 0; i < WRITERS; ++i)
		a.seen[i] = malloc(PER_WRITER);
	pthread_create(&reader, NULL, looking_thread, (void *)1);
	for (uintptr_t i = 0; i < WRITERS; ++i)
		pthread_create(&writers[i], NULL, inserting_thread, (void *)i);
	unsigned walks = 0;
	for (bool over = false; !over; ++walks) {
		over = true;
		for (int i = 0; i < WRITERS; ++i) {
			a.below[i] = __atomic_load_n(&shared.done[i], __ATOMIC_ACQUIRE);
			memset(a.seen[i], 0, PER_WRITER);
			over = over && a.below[i] == PER_WRITER;
		}
		assert_true(gomap_shared_each(shared.s, visit_present, &a));
		for (int i = 0; i < WRITERS; ++i) {
			for (uint64_t n = 0; n < PER_WRITER; ++n)
				assert_in_range(a.seen[i][n], n < a.below[i], 1);
		}
	}
	for (int i = 0; i < WRITERS; ++i) {
		pthread_join(writers[i], NULL);
		free(a.seen[i]);
	}
	__atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
	pthread_join(reader, NULL);
	assert_int_equal(shared.missed, 0);
	assert_int_equal(shared.torn, 0);
	print_message("%u reads and %u walks while it grew\n", shared.looks, walks);
	gomap_shared_free(shared.s);
}

static enum gomap_verdict add_one(void *elem, bool present, void *arg)
{
	(void)present, (void)arg;
	++*(uint64_t *)elem;
	return GOMAP_STORE;
}

static void *counting_thread(void *arg)
{
	uint64_t x = (uintptr_t)arg;
	for (unsigned i = 0; i < 50000; ++i) {
		uint64_t key = next_random(&x) % 300;
		assert_true(gomap_shared_update(shared.s, &key, add_one, NULL));
	}
	return NULL;
}

static bool add_up(const void *key, const void *elem, void *arg)
{
	(void)key;
	*(uint64_t *)arg += *(const uint64_t *)elem;
	return true;
}

static void no_update_is_lost(void **state)
{
	pthread_t threads[4];
	uint64_t sum = 0;
	(void)state;
	shared.s = gomap_shared_new(&ops_types[0], 0);
	for (uintptr_t i = 0; i < 4; ++i)
		pthread_create(&threads[i], NULL, counting_thread, (void *)(i + 1));
	for (int i = 0; i < 4; ++i)
		pthread_join(threads[i], NULL);
	gomap_shared_each(shared.s, add_up, &sum);
	assert_int_equal(sum, 4 * 50000);
	gomap_shared_free(shared.s);
}

/* ---- histories ----------------------------------------------------------------------------- */

enum { HOT = 2, ACTORS = 3, STEPS = 20 };

static struct {
	struct gomap_shared *s;
	uint64_t clock;
	pthread_barrier_t gate;
	bool over;
	struct history_event events[ACTORS][HOT][STEPS];
	unsigned n[ACTORS][HOT];
} history;

/* The map calls equal in the middle of its operations, locked ones too: giving the processor away
 * there makes them overlap, on one processor as well. */
static bool yielding_equal(const void *a, const void *b)
{
	static __thread uint64_t x = 1;
	if (next_random(&x) % 4 == 0)
		sched_yield();
	return memcmp(a, b, sizeof(uint64_t)) == 0;
}

static uint64_t word_hash(const void *key, const struct gomap_seed *seed)
{
	return gomap_hash_bytes(key, sizeof(uint64_t), seed);
}

static const struct gomap_type yielding =
	GOMAP_TYPE("map[uint64]uint64", uint64_t, uint64_t, word_hash, yielding_equal, 0);

static uint64_t tick(void)
{
	return __atomic_fetch_add(&history.clock, 1, __ATOMIC_SEQ_CST);
}

static void *acting_thread(void *arg)
{
	uintptr_t self = (uintptr_t)arg;
	uint64_t x = self * 77 + 1;
	for (;;) {
		pthread_barrier_wait(&history.gate);
		if (history.over)
			return NULL;
		for (unsigned i = 0; i < STEPS; ++i) {
			/* noise, so that the array grows under the hot keys */
			uint64_t noise = 1000 + next_random(&x) % 4096;
			gomap_shared_put(history.s, &noise, &noise);
			uint64_t key = next_random(&x) % HOT;
			struct history_event *e =
				&history.events[self][key][history.n[self][key]++];
			e->op = (enum history_op)(next_random(&x) % 3);
			e->value = e->op == HISTORY_PUT ? self << 32 | (i + 1) : 0;
			e->there = false;
			e->begin = tick();
			if (e->op == HISTORY_GET)
				e->there = gomap_shared_get(history.s, &key, &e->value);
			else if (e->op == HISTORY_PUT)
				gomap_shared_put(history.s, &key, &e->value);
			else
				e->there = gomap_shared_delete(history.s, &key, &e->value);
			e->end = tick();
		}
		pthread_barrier_wait(&history.gate);
	}
}

static void recorded_histories_are_linearizable(void **state)
{
	pthread_t threads[ACTORS];
	unsigned overlapping = 0, all = 0;
	(void)state;
	pthread_barrier_init(&history.gate, NULL, ACTORS + 1);
	for (uintptr_t i = 0; i < ACTORS; ++i)
		pthread_create(&threads[i], NULL, acting_thread, (void *)i);
	for (unsigned round = 0; round < rounds; ++round) {
		memset(history.n, 0, sizeof(history.n));
		history.clock = 0;
		history.s = gomap_shared_new(&yielding, 0);
		pthread_barrier_wait(&history.gate);
		pthread_barrier_wait(&history.gate);
		for (unsigned key = 0; key < HOT; ++key) {
			struct history_event events[HISTORY_MAX];
			unsigned n = 0;
			for (unsigned actor = 0; actor < ACTORS; ++actor) {
				for (unsigned i = 0; i < history.n[actor][key]; ++i) {
					if (n < HISTORY_MAX)
						events[n++] = history.events[actor][key][i];
				}
			}
			for (unsigned i = 0; i < n; ++i)
				overlapping += events[i].end != events[i].begin + 1;
			all += n;
			assert_true(history_is_linearizable(events, n));
		}
		gomap_shared_free(history.s);
	}
	history.over = true;
	pthread_barrier_wait(&history.gate);
	for (int i = 0; i < ACTORS; ++i)
		pthread_join(threads[i], NULL);
	print_message("%u operations, %u of them overlapped others\n", all, overlapping);
	assert_true(overlapping > 0);
}

static void the_checker_refuses_what_cannot_be(void **state)
{
	(void)state;
	/* put 1 ends, put 2 ends, then a read of 1 */
	struct history_event stale[] = {{HISTORY_PUT, 0, 1, false, 1},
					{HISTORY_PUT, 2, 3, false, 2},
					{HISTORY_GET, 4, 5, true, 1}};
	assert_false(history_is_linearizable(stale, 3));
	stale[1].end = 6; /* the second put and the read overlap */
	assert_true(history_is_linearizable(stale, 3));
	/* a key that is there throughout is missed */
	struct history_event missed[] = {{HISTORY_PUT, 0, 1, false, 1},
					 {HISTORY_PUT, 2, 9, false, 2},
					 {HISTORY_GET, 3, 4, false, 0}};
	assert_false(history_is_linearizable(missed, 3));
	/* two reads see two concurrent puts in different orders */
	struct history_event twisted[] = {
		{HISTORY_PUT, 0, 20, false, 1}, {HISTORY_PUT, 1, 21, false, 2},
		{HISTORY_GET, 2, 3, true, 1},	{HISTORY_GET, 4, 5, true, 2},
		{HISTORY_GET, 6, 7, true, 1},
	};
	assert_false(history_is_linearizable(twisted, 5));
	assert_true(history_is_linearizable(twisted, 4));
	/* one element is deleted twice */
	struct history_event twice[] = {{HISTORY_PUT, 0, 1, false, 1},
					{HISTORY_DELETE, 2, 9, true, 1},
					{HISTORY_DELETE, 3, 8, true, 1}};
	assert_false(history_is_linearizable(twice, 3));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone_it_agrees_with_an_array),
		cmocka_unit_test(an_update_stores_keeps_or_removes),
		cmocka_unit_test(null_reads_as_empty_and_refuses_writes),
		cmocka_unit_test(nan_and_zero_keys_behave_as_in_go),
		cmocka_unit_test(readers_miss_nothing_while_it_grows),
		cmocka_unit_test(no_update_is_lost),
		cmocka_unit_test(the_checker_refuses_what_cannot_be),
		cmocka_unit_test(recorded_histories_are_linearizable),
	};
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
