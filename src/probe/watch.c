#include "probe/watch.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "go/pcinfo.h"
#include "maps/code.h"
#include "probe/breakpoint.h"
#include "probe/flip.h"

/* A hit is written within microseconds of its time, unless its CPU is taken away meanwhile (a virtual
 * machine's are): by then all are there that can come before it. */
enum { SETTLE_NS = 50000000 };

/* Hits that wait for whoever takes events. When he is slower than they come, the rings fill up, and what
 * is missing is told as a gap: 50 MB. */
enum { PENDING_MAX = 1 << 16 };

/* What a breakpoint is for, and so what a hit of it means. */
enum role { ROLE_FLAG, ROLE_FATAL, ROLE_GOEXIT };

/* A hit or a gap that waits until nothing can come before it. */
struct pending {
	enum role role;
	bool is_gap;
	uint64_t time, since, lost;
	uint64_t order; /* of arrival: keeps the order of equal times */
	pid_t thread;
	struct regs regs;
	size_t caller_count;
	uint64_t callers[WATCH_CALLERS_MAX];
	bool holds_map;
	/* the g in R14, 0 for none; what it said at read_at, some time after the hit: goid 0 where it
	 * could not be read any more */
	uint64_t g, goid, read_at;
	bool g_is_dead;
};

/* A goroutine, or a thread of no goroutine, that has made a change. */
struct actor {
	uint64_t g; /* a g's address, or a thread's number: these are smaller */
	uint64_t who;
	uint64_t goid; /* 0 unknown */
	uint64_t read_goid, read_at; /* what its g said last, and when */
	bool is_doubtful; /* hits were lost: its end may have been among them */
};

struct watch {
	struct runtime *rt;
	struct watch_map map;
	uint64_t start; /* CLOCK_MONOTONIC, ns */
	bool stopped;
	struct breakpoint list[BREAKPOINTS_MAX];
	enum role roles[BREAKPOINTS_MAX];
	size_t breakpoint_count;
	struct breakpoints *breakpoints;
	struct map_codes codes;
	struct library library;
	struct pending *pending; /* sorted by time from next to sorted */
	size_t next, count, cap;
	uint64_t settled; /* all events before this time are there */
	uint64_t arrivals;
	struct actor *actors; /* sorted by g */
	size_t actor_count, actor_cap;
	uint64_t actors_seen;
	struct flips flips;
	bool has_value;
	uint8_t value; /* of the byte, after the last event given out */
};

uint64_t watch_now(const struct watch *watch)
{
	return (uint64_t)clock_ns() - watch->start;
}

const struct watch_map *watch_map(const struct watch *watch)
{
	return &watch->map;
}

bool watch_ended(const struct watch *watch)
{
	return breakpoints_ended(watch->breakpoints);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	breakpoints_free(w->breakpoints);
	map_codes_done(&w->codes);
	flips_done(&w->flips);
	free(w->pending);
	free(w->actors);
	free(w);
}

static void cleanup_watch(struct watch **w)
{
	watch_free(*w);
}

static enum status find_flag(struct watch *w, uint64_t addr, struct error *err)
{
	struct map map;
	char why[200];
	if (map_open(w->rt, 0, addr, &map, err) != OK)
		return FAILED;
	if (addr % 8 != 0 || map_contradiction(w->rt, &map, why))
		return error_at(err, ERROR_FORMAT, addr, "there is no map at 0x%" PRIx64 ": %s",
				addr, addr % 8 != 0 ? "not aligned to 8 bytes" : why);
	w->map.addr = addr;
	w->map.value = map.flag;
	w->map.flag = addr + (w->rt->swiss ? w->rt->layout.map.writing : w->rt->layout.hmap.flags);
	/* a Swiss map's byte is toggled in its lowest bit, but any value that is not 0 is "writing" */
	w->map.writing = w->rt->swiss ? 0xff : HMAP_WRITING;
	return OK;
}

static void add_breakpoint(struct watch *w, enum role role, uint64_t addr)
{
	w->roles[w->breakpoint_count] = role;
	w->list[w->breakpoint_count++] = (struct breakpoint){addr, role == ROLE_FLAG};
}

/* A breakpoint at a function's entry; where there is no such function, a note of what is missed. */
static void add_function(struct watch *w, enum role role, const char *name, const char *missed)
{
	struct function fn;
	if (pclntab_by_name(w->rt->pclntab, name, &fn))
		add_breakpoint(w, role, fn.entry);
	else
		notes_add(w->rt->notes, "probe", 0, "the program has no %s: %s", name, missed);
}

enum status watch_open(struct runtime *rt, uint64_t addr, struct watch **ret, struct error *err)
{
	const struct target *target = rt->target;
	if (target->kind != TARGET_PROCESS)
		return error_set(err, ERROR_UNSUPPORTED,
				 "%.160s is no running process: there is nothing to watch",
				 target->path);
	if (target->arch != ARCH_AMD64)
		return error_set(err, ERROR_UNSUPPORTED, "maps are watched on amd64 only");
	__attribute__((cleanup(cleanup_watch))) struct watch *w = calloc(1, sizeof(*w));
	AUTO_FREE pid_t *threads = calloc(target->thread_count, sizeof(*threads));
	if (!w || !threads)
		return error_nomem(err);
	w->rt = rt;
	if (find_flag(w, addr, err) != OK || map_codes_find(rt, NULL, &w->codes, err) != OK)
		return FAILED;
	library_init(&w->library, rt);
	w->has_value = true;
	w->value = w->map.value;
	add_breakpoint(w, ROLE_FLAG, w->map.flag);
	/* Go 1.18 dies of its maps by throw. */
	struct function fn;
	bool has_fatal = pclntab_by_name(rt->pclntab, "runtime.fatal", &fn);
	add_function(w, ROLE_FATAL, has_fatal ? "runtime.fatal" : "runtime.throw",
		     "how it dies is not seen");
	add_function(w, ROLE_GOEXIT, "runtime.goexit0",
		     "where goroutines end fast, one's changes may be shown as another's");
	for (size_t i = 0; i < target->thread_count; i++)
		threads[i] = target->threads[i].tid;
	if (breakpoints_open(target->pid, threads, target->thread_count, w->list,
			     w->breakpoint_count, &w->breakpoints, err) != OK)
		return FAILED;
	*ret = TAKE(w);
	return OK;
}

enum status watch_start(struct watch *w, struct error *err)
{
	w->start = (uint64_t)clock_ns();
	if (breakpoints_enable(w->breakpoints, err) != OK)
		return FAILED;
	target_resume(w->rt->target);
	return OK;
}

enum { FUNCTION_TOP = 1 }; /* function.flag: TOPFRAME */

/* The return addresses above a hit, by the function table's frame sizes, as far as its stack reaches. */
static size_t unwind(const struct watch *w, const struct hit *hit,
		     uint64_t callers[WATCH_CALLERS_MAX])
{
	uint64_t pc = hit->regs.pc, offset = 0; /* offset of the frame's sp in hit->stack */
	size_t count = 0;
	while (count < WATCH_CALLERS_MAX) {
		const struct pc_info *info = pc_info_at(w->rt, pc);
		if (!info || !info->has_function || info->function.flag & FUNCTION_TOP ||
		    !info->has_sp_delta || info->sp_delta < 0)
			break;
		offset += (uint64_t)info->sp_delta;
		if (offset > hit->stack_size || hit->stack_size - offset < 8)
			break;
		uint64_t back = load_u64(hit->stack + offset);
		if (!back)
			break;
		callers[count++] = back;
		offset += 8;
		pc = back - 1;
	}
	return count;
}

/* Whether a register or the stack holds the map's address. The map functions keep it there from their
 * argument on; what else died, in code that knows nothing of this map, hardly does. */
static bool holds_map(const struct watch *w, const struct hit *hit)
{
	for (unsigned i = 0; i < AMD64_REGS; i++)
		if (hit->regs.r[i] == w->map.addr)
			return true;
	for (size_t i = 0; i + 8 <= hit->stack_size; i += 8)
		if (load_u64(hit->stack + i) == w->map.addr)
			return true;
	return false;
}

/* Reads what g says of its goroutine, if it is one: a g knows itself (g.sched.g). */
static bool read_g(struct watch *w, uint64_t g, struct pending *p)
{
	enum { DEAD = GOROUTINE_DEAD, SCAN = 0x1000 };
	const struct layout *l = &w->rt->layout;
	uint8_t bytes[512];
	size_t self = (size_t)l->g.sched + l->gobuf.g, size = self + 8;
	if (size < (size_t)l->g.goid + 8)
		size = (size_t)l->g.goid + 8;
	if (size < (size_t)l->g.atomicstatus + 4)
		size = (size_t)l->g.atomicstatus + 4;
	if (size > sizeof(bytes) || target_peek(w->rt->target, g, bytes, size, NULL) != OK ||
	    load_u64(bytes + self) != g)
		return false;
	p->read_at = (uint64_t)clock_ns();
	p->goid = load_u64(bytes + l->g.goid);
	p->g_is_dead = (load_u32(bytes + l->g.atomicstatus) & ~(uint32_t)SCAN) == DEAD;
	return true;
}

/* Fills in the goroutine of a hit. In a map function R14 is g for sure (abi-internal.md), also where the
 * process has ended before we could read it; elsewhere only what is one, and a goroutine's, is taken. */
static void find_g(struct watch *w, const struct hit *hit, struct pending *p)
{
	uint64_t g = hit->regs.r[AMD64_R14];
	bool is_read = g && g % 8 == 0 && read_g(w, g, p);
	if (is_read ? p->goid != 0 : map_code_at(&w->codes, hit->regs.pc - 1) != NULL)
		p->g = g;
}

static enum status push(struct watch *w, struct pending *p, struct error *err)
{
	p->order = w->arrivals++;
	if (!ARRAY_PUSH(w->pending, w->count, w->cap, *p))
		return error_nomem(err);
	return OK;
}

static enum status on_hit(void *context, const struct hit *hit, struct error *err)
{
	struct watch *w = context;
	struct pending p = {.time = hit->time, .thread = hit->thread, .regs = hit->regs};
	size_t i = 0;
	while (i < w->breakpoint_count && w->list[i].addr != hit->addr)
		i++;
	if (i == w->breakpoint_count)
		return OK;
	p.role = w->roles[i];
	p.read_at = (uint64_t)clock_ns();
	if (p.role == ROLE_GOEXIT) {
		p.g = hit->regs.r[AMD64_RAX]; /* goexit0(gp), abi-internal.md */
		return push(w, &p, err);
	}
	p.caller_count = unwind(w, hit, p.callers);
	if (p.role == ROLE_FATAL)
		p.holds_map = holds_map(w, hit);
	find_g(w, hit, &p);
	return push(w, &p, err);
}

static enum status on_gap(void *context, const struct hit_gap *gap, struct error *err)
{
	struct pending p = {.is_gap = true,
			    .time = gap->until,
			    .since = gap->since,
			    .lost = gap->count,
			    .read_at = gap->until};
	return push(context, &p, err);
}

static int pending_order(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Takes what the rings hold, into the order of time. */
static enum status collect(struct watch *w, struct error *err)
{
	/* what was given out makes room */
	if (w->next)
		memmove(w->pending, w->pending + w->next,
			(w->count - w->next) * sizeof(*w->pending));
	w->count -= w->next;
	w->next = 0;
	size_t before = w->count;
	if (w->count >= PENDING_MAX && !w->stopped)
		return OK;
	struct hit_reader reader = {on_hit, on_gap, w};
	if (breakpoints_read(w->breakpoints, &reader, err) != OK)
		return FAILED;
	if (w->count > before)
		qsort(w->pending, w->count, sizeof(*w->pending), pending_order);
	return OK;
}

enum status watch_poll(struct watch *w, int timeout_ms, struct error *err)
{
	breakpoints_wait(w->breakpoints, timeout_ms);
	uint64_t begin = (uint64_t)clock_ns();
	if (collect(w, err) != OK)
		return FAILED;
	if (!w->stopped)
		w->settled = begin - SETTLE_NS;
	return OK;
}

enum status watch_stop(struct watch *w, struct error *err)
{
	breakpoints_disable(w->breakpoints);
	w->stopped = true;
	w->settled = UINT64_MAX;
	return collect(w, err);
}

/* The actor of g, made where there was none; NULL when out of memory. */
static struct actor *actor_of(struct watch *w, uint64_t g)
{
	size_t low = 0, high = w->actor_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (w->actors[mid].g < g)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < w->actor_count && w->actors[low].g == g)
		return &w->actors[low];
	struct actor actor = {.g = g, .who = ++w->actors_seen};
	if (!ARRAY_PUSH(w->actors, w->actor_count, w->actor_cap, actor))
		return NULL;
	memmove(&w->actors[low + 1], &w->actors[low],
		(w->actor_count - 1 - low) * sizeof(*w->actors));
	w->actors[low] = actor;
	return &w->actors[low];
}

/* The goroutine of g has ended: the next change by this g is another's. */
static void end_actor(struct watch *w, uint64_t g)
{
	for (size_t low = 0, high = w->actor_count; low < high;) {
		size_t mid = low + (high - low) / 2;
		if (w->actors[mid].g == g) {
			w->actors[mid].who = ++w->actors_seen;
			w->actors[mid].goid = 0;
			return;
		}
		if (w->actors[mid].g < g)
			low = mid + 1;
		else
			high = mid;
	}
}

/*
 * Whether the id that was read of p's g is that of the goroutine that made the change. It is where the g
 * had the same id before: ids are never given twice. And it is where the goroutine had not ended by then,
 * or had ended and its g was not used again (newproc1 gives a dead g its new id).
 */
static bool id_is_its_own(const struct watch *w, const struct actor *actor, const struct pending *p)
{
	unsigned ends = 0;
	if (actor->goid == p->goid || (actor->read_goid == p->goid && actor->read_at <= p->time))
		return true;
	for (size_t i = (size_t)(p - w->pending) + 1; i < w->count; i++) {
		const struct pending *q = &w->pending[i];
		if (q->time > p->read_at)
			break;
		if (q->is_gap)
			return false;
		if (q->role == ROLE_GOEXIT && q->g == p->g)
			ends++;
	}
	return ends == 0 || (ends == 1 && p->g_is_dead);
}

static void tell_who(struct watch *w, const struct pending *p, struct watch_event *event)
{
	struct actor *actor = actor_of(w, p->g ? p->g : (uint64_t)p->thread);
	if (!actor)
		return; /* who 0: all that is not known stands together */
	bool is_own = p->goid && id_is_its_own(w, actor, p);
	if (is_own ? actor->goid && actor->goid != p->goid : actor->is_doubtful) {
		actor->who = ++w->actors_seen;
		actor->goid = 0;
	}
	if (is_own)
		actor->goid = p->goid;
	if (p->goid) {
		actor->read_goid = p->goid;
		actor->read_at = p->read_at;
	}
	actor->is_doubtful = false;
	event->g = p->g;
	event->goroutine = actor->goid;
	event->who = actor->who;
}

/* The callers as frames, for those who look for a place in them. */
static void tell_site(struct watch *w, struct watch_event *event)
{
	struct frame list[WATCH_CALLERS_MAX + 1] = {0};
	struct frames frames = {.list = list};
	bool is_call = true; /* so far all frames belong to the map call */
	for (size_t i = 0; i <= event->caller_count; i++) {
		struct frame *frame = &list[frames.count++];
		struct map_function f;
		frame->pc = i ? event->callers[i - 1] : event->regs.pc;
		frame->is_exact = i == 0 && event->kind == WATCH_FATAL; /* at its entry */
		/* a store's pc is behind it, as a call's is */
		frame->lookup_pc = frame->is_exact ? frame->pc : frame->pc - 1;
		frame->has_function =
			pclntab_find(w->rt->pclntab, frame->lookup_pc, &frame->function);
		is_call = is_call && frame->has_function &&
			  function_is_runtime(frame->function.name);
		/* the outermost map function names the operation */
		if (is_call && map_function_by_name(frame->function.name, &f))
			event->operation = f.operation;
	}
	event->site = frames_site(w->rt, &w->library, &frames);
}

static void tell_flip(struct watch *w, const struct pending *p, struct watch_event *event)
{
	const struct flip *flip = flips_at(&w->flips, w->rt, &w->codes, p->regs.pc);
	event->has_old = w->has_value;
	event->old = w->value;
	event->change = FLAG_OTHER;
	if (flip && flip->has_insn) {
		event->pc = flip->insn.addr;
		event->function = flip->function;
		event->instruction = flip->text;
		event->in_map_function = flip->in_map_function;
		event->change = flip->change;
		event->has_new =
			flip_value(flip, &event->regs, event->has_old, event->old, &event->new);
	}
	if (event->change == FLAG_TOGGLE && event->has_new)
		event->change = event->new ? FLAG_SET : FLAG_CLEAR;
	w->has_value = event->has_new;
	w->value = event->new;
	tell_site(w, event);
}

static void tell_fatal(struct watch *w, const struct pending *p, struct watch_event *event)
{
	event->holds_map = p->holds_map;
	event->check = FLAG_CHECK_NONE;
	for (size_t i = 0; i < p->caller_count && !event->in_map_function; i++) {
		const struct map_code *code = map_code_at(&w->codes, p->callers[i] - 1);
		const struct flag_site *fatal =
			code ? flagsites_fatal_at(&code->sites, p->callers[i]) : NULL;
		if (!fatal)
			continue;
		event->in_map_function = true;
		event->pc = fatal->addr;
		event->function = code->function;
		event->check = fatal->role;
	}
	if (!event->in_map_function && p->caller_count) {
		event->pc = p->callers[0] - 1;
		pclntab_find(w->rt->pclntab, event->pc, &event->function);
	}
	tell_site(w, event);
}

static void tell_gap(struct watch *w, const struct pending *p, struct watch_event *event)
{
	event->since = p->since > w->start ? p->since - w->start : 0;
	event->lost = p->lost;
	w->has_value = false;
	for (size_t i = 0; i < w->actor_count; i++)
		w->actors[i].is_doubtful = true;
}

bool watch_next(struct watch *w, struct watch_event *ret)
{
	while (w->next < w->count) {
		const struct pending *p = &w->pending[w->next];
		if (p->time >= w->settled || p->read_at >= w->settled)
			return false;
		w->next++;
		if (!p->is_gap && p->role == ROLE_GOEXIT) {
			end_actor(w, p->g);
			continue;
		}
		struct watch_event event = {
			.kind = p->is_gap		? WATCH_GAP
				: p->role == ROLE_FATAL ? WATCH_FATAL
							: WATCH_FLIP,
			.time = p->time > w->start ? p->time - w->start : 0,
			.thread = p->thread,
			.regs = p->regs,
			.caller_count = p->caller_count,
		};
		memcpy(event.callers, p->callers, sizeof(event.callers));
		if (event.kind == WATCH_GAP) {
			tell_gap(w, p, &event);
		} else {
			tell_who(w, p, &event);
			if (event.kind == WATCH_FATAL)
				tell_fatal(w, p, &event);
			else
				tell_flip(w, p, &event);
		}
		*ret = event;
		return true;
	}
	return false;
}
