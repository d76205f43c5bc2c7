#include "go/thread.h"

#include <stdlib.h>

#include "go/stack.h"

/* runtime/proc.go: sched.maxmcount is 10,000 unless debug.SetMaxThreads raised it; m's of threads
 * that ended stay in the list for a while. */
enum { MS_MAX = 200000 };

struct scheduler {
	struct go_thread *threads; /* one for each of the target's */
	size_t count;
	struct runner { /* threads that have a goroutine, by its g */
		uint64_t g, m;
		int thread;
	} * runners;
	size_t runner_count;
};

void scheduler_free(struct scheduler *scheduler)
{
	if (!scheduler)
		return;
	free(scheduler->threads);
	free(scheduler->runners);
	free(scheduler);
}

static bool read_word(struct runtime *rt, uint64_t base, uint16_t offset, uint64_t *ret)
{
	return offset != LAYOUT_NONE &&
	       memory_read_u64(rt->target->memory, base + offset, ret, NULL) == OK;
}

static bool read_half(struct runtime *rt, uint64_t base, uint16_t offset, int32_t *ret)
{
	return offset != LAYOUT_NONE &&
	       memory_read_u32(rt->target->memory, base + offset, (uint32_t *)ret, NULL) == OK;
}

/* Reads m; false when what is there is no m: the g0 of an m belongs to that m, always. */
static bool read_m(struct runtime *rt, uint64_t m, struct go_thread *ret)
{
	const struct layout *l = &rt->layout;
	struct go_thread t = {.m = m};
	uint64_t owner;
	if (!m || !read_word(rt, m, l->m.g0, &t.g0) || !read_word(rt, t.g0, l->g.m, &owner) ||
	    owner != m || !read_word(rt, m, l->m.gsignal, &t.gsignal) ||
	    !read_word(rt, m, l->m.curg, &t.curg))
		return false;
	if (!read_half(rt, m, l->m.throwing, &t.throwing) ||
	    !read_half(rt, m, l->m.dying, &t.dying))
		return false;
	if (t.curg && !read_word(rt, t.curg, l->g.goid, &t.curg_id))
		return false;
	*ret = t;
	return true;
}

/* The m of the thread that has g at hand; false where g is not one of that m's, or is no g. */
static bool thread_of_g(struct runtime *rt, uint64_t g, struct go_thread *ret)
{
	uint64_t m;
	struct go_thread t;
	if (!g || g % 8 != 0 || !read_word(rt, g, rt->layout.g.m, &m) || m % 8 != 0 ||
	    !read_m(rt, m, &t) || (g != t.g0 && g != t.gsignal && g != t.curg))
		return false;
	t.g = g;
	*ret = t;
	return true;
}

/* The thread's m, by the g that it has at hand. amd64: the word below the thread pointer
 * (cmd/internal/obj/x86: TLS offset -8), except where C has thread-local variables of its own, then R14;
 * arm64: X28 (abi-internal.md). */
static bool thread_by_g(struct runtime *rt, const struct thread *thread, struct go_thread *ret)
{
	const struct regs *regs = &thread->regs;
	uint64_t g;
	if (!thread->has_regs)
		return false;
	if (regs->arch == ARCH_ARM64)
		return thread_of_g(rt, regs->r[28], ret);
	return (regs->tls > 8 &&
		memory_read_u64(rt->target->memory, regs->tls - 8, &g, NULL) == OK &&
		thread_of_g(rt, g, ret)) ||
	       thread_of_g(rt, regs->r[AMD64_R14], ret);
}

static bool has_own_m(struct runtime *rt, const struct scheduler *s, size_t i)
{
	uint64_t procid;
	return s->threads[i].m && read_word(rt, s->threads[i].m, rt->layout.m.procid, &procid) &&
	       procid == (uint64_t)rt->target->threads[i].tid;
}

/* A new thread starts with its parent's registers, and C keeps old ones for its caller, so a register
 * may name another thread's m. Where one m names its thread by the id that we know, all do (threads of
 * another pid namespace have two ids), and those that do not are dropped. */
static void drop_strangers(struct runtime *rt, struct scheduler *s)
{
	bool any = false;
	for (size_t i = 0; i < s->count && !any; i++)
		any = has_own_m(rt, s, i);
	for (size_t i = 0; i < s->count && any; i++) {
		if (!has_own_m(rt, s, i))
			s->threads[i] = (struct go_thread){0};
	}
}

/* The newest m that is known: runtime.allm by its symbol, else the one with the highest id among the
 * threads that name theirs. Each m leads to those made before it (m.alllink). */
static uint64_t newest_m(struct runtime *rt, const struct scheduler *s)
{
	struct symbol symbol;
	uint64_t m = 0, newest = 0;
	if (target_symbol(rt->target, "runtime.allm", &symbol) &&
	    memory_read_u64(rt->target->memory, symbol.addr, &m, NULL) == OK)
		return m;
	for (size_t i = 0; i < s->count; i++) {
		uint64_t id;
		if (!s->threads[i].m || !read_word(rt, s->threads[i].m, rt->layout.m.id, &id))
			continue;
		if (!m || id > newest) {
			m = s->threads[i].m;
			newest = id;
		}
	}
	return m;
}

static int runner_order(const void *a, const void *b)
{
	const struct runner *x = a, *y = b;
	return x->g != y->g ? (x->g < y->g ? -1 : 1) : x->thread - y->thread;
}

/* The runner of g among count that are sorted, or NULL. */
static const struct runner *runner_find(const struct runner *list, size_t count, uint64_t g)
{
	for (size_t low = 0, high = count; low < high;) {
		size_t mid = low + (high - low) / 2;
		if (list[mid].g == g)
			return &list[mid];
		if (list[mid].g < g)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Finds the m's of threads that did not name theirs (no registers in a truncated core, or C code
 * with thread-local variables of its own), by the thread id that an m keeps. */
static void match_by_procid(struct runtime *rt, struct scheduler *s)
{
	/* Not yet in use: here the threads without an m, by their id. */
	struct runner *missing = s->runners;
	size_t count = 0;
	for (size_t i = 0; i < s->count; i++) {
		if (!s->threads[i].m)
			missing[count++] = (struct runner){
				.g = (uint64_t)rt->target->threads[i].tid, .thread = (int)i};
	}
	qsort(missing, count, sizeof(*missing), runner_order);
	uint64_t m = count ? newest_m(rt, s) : 0;
	for (size_t n = 0; m && n < MS_MAX; n++) {
		uint64_t procid;
		struct go_thread t;
		if (!read_m(rt, m, &t) || !read_word(rt, m, rt->layout.m.procid, &procid))
			break;
		const struct runner *found = runner_find(missing, count, procid);
		if (found)
			s->threads[found->thread] = t;
		if (!read_word(rt, m, rt->layout.m.alllink, &m))
			break;
	}
}

static struct scheduler *scheduler_read(struct runtime *rt)
{
	if (rt->scheduler)
		return rt->scheduler;
	size_t count = rt->target->thread_count;
	struct scheduler *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->count = count;
	s->threads = calloc(count + 1, sizeof(*s->threads));
	s->runners = calloc(count + 1, sizeof(*s->runners));
	if (!s->threads || !s->runners) {
		scheduler_free(s);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		(void)thread_by_g(rt, &rt->target->threads[i], &s->threads[i]);
	drop_strangers(rt, s);
	match_by_procid(rt, s);
	for (size_t i = 0; i < count; i++) {
		if (s->threads[i].curg)
			s->runners[s->runner_count++] =
				(struct runner){s->threads[i].curg, s->threads[i].m, (int)i};
	}
	qsort(s->runners, s->runner_count, sizeof(*s->runners), runner_order);
	return rt->scheduler = s;
}

enum status go_thread_read(struct runtime *rt, size_t index, struct go_thread *ret,
			   struct error *err)
{
	const struct scheduler *s = scheduler_read(rt);
	if (!s)
		return error_nomem(err);
	if (index >= s->count)
		return error_set(err, ERROR_NOT_FOUND, "the target has no thread number %zu",
				 index);
	*ret = s->threads[index];
	return OK;
}

int thread_running(struct runtime *rt, uint64_t g, uint64_t m)
{
	const struct scheduler *s = scheduler_read(rt);
	if (!s || !m)
		return -1;
	const struct runner *runner = runner_find(s->runners, s->runner_count, g);
	return runner && runner->m == m ? runner->thread : -1;
}

/* The goroutine whose own stack shows that Go was dying: for a core that lost the m's. */
static enum status crashed_by_stack(struct runtime *rt, struct goroutine *ret, struct error *err)
{
	struct goroutines list;
	struct stack_walk walk = STACK_WALK_INIT;
	bool found = false;
	if (goroutines_read(rt, &list, err) != OK)
		return FAILED;
	for (size_t i = 0; i < list.count && !found; i++) {
		found = list.list[i].status == GOROUTINE_RUNNING &&
			stack_walk_start(&walk, rt, &list.list[i], NULL) == OK && walk.dying;
		if (found)
			*ret = list.list[i];
	}
	stack_walk_done(&walk);
	goroutines_done(&list);
	if (found)
		return OK;
	return error_set(err, ERROR_NOT_FOUND, "no thread was dying with a goroutine of its own");
}

enum status goroutine_crashed(struct runtime *rt, struct goroutine *ret, struct error *err)
{
	const struct scheduler *s = scheduler_read(rt);
	bool all = true;
	if (!s)
		return error_nomem(err);
	for (size_t i = 0; i < s->count; i++) {
		const struct go_thread *t = &s->threads[i];
		all &= t->m != 0;
		if (t->curg && (t->throwing || t->dying) &&
		    goroutine_read(rt, t->curg, ret, err) == OK)
			return OK;
	}
	if (all && s->count)
		return error_set(err, ERROR_NOT_FOUND,
				 "no thread was dying with a goroutine of its own");
	return crashed_by_stack(rt, ret, err);
}
