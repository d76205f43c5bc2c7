/*
 * What is known when misuse is caught, and its report.
 */
#include "internal.h"

#include <ctype.h>
#include <execinfo.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How often the site of a write that has just begun is looked for: it is stored a few
 * instructions after the map was taken, but the writer may be switched out in between. */
enum { SITE_TRIES = 20000 };

static pthread_mutex_t handler_lock = PTHREAD_MUTEX_INITIALIZER;
static gomap_handler *handler;
static void *handler_arg;

gomap_handler *gomap_set_handler(gomap_handler *new_handler, void *arg)
{
	pthread_mutex_lock(&handler_lock);
	gomap_handler *old = handler;
	handler = new_handler;
	handler_arg = arg;
	pthread_mutex_unlock(&handler_lock);
	return old;
}

const char *gomap_op_name(enum gomap_op op)
{
	switch (op) {
	case GOMAP_READ:
		return "read";
	case GOMAP_ITERATE:
		return "iterate";
	case GOMAP_ASSIGN:
		return "assign";
	case GOMAP_DELETE:
		return "delete";
	case GOMAP_CLEAR:
		return "clear";
	}
	return "write";
}

/* Go's words (go1.23 runtime/map.go), by what the detector was doing. */
static const char *message_for(enum gomap_op op)
{
	if (op == GOMAP_READ)
		return "concurrent map read and map write";
	if (op == GOMAP_ITERATE)
		return "concurrent map iteration and map write";
	return "concurrent map writes";
}

static void read_name(int tid, char name[16])
{
	char path[64];
	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t n = read(fd, name, 15);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

/* Which write it is: the one under way, or the last one where none is. Its site may be unknown for
 * a moment, or for good when its thread stands still in that moment. */
static struct gomap_side find_other(const struct gomap *m)
{
	struct gomap_side side = {.op = 0};
	uint64_t tid_mask = (UINT64_C(1) << GOMAP_TID_BITS) - 1;
	for (int i = 0; i < SITE_TRIES; ++i) {
		uint64_t turn = __atomic_load_n(&m->turn, __ATOMIC_ACQUIRE);
		uint64_t writer = __atomic_load_n(&m->writer, __ATOMIC_ACQUIRE);
		uint32_t bias = __atomic_load_n(&m->bias, __ATOMIC_ACQUIRE);
		uint64_t word = __atomic_load_n(&m->site, __ATOMIC_ACQUIRE);
		bool site_biased = word >> GOMAP_OP_BITS & 1;
		bool biased = turn & 1 || (!(writer & GOMAP_BUSY) && site_biased);
		uint64_t last = biased ? (turn & 1 ? turn : turn - 1) : writer >> 1;
		side.tid = biased ? (int)(bias & ~GOMAP_BIAS_REVOKED)
				  : (int)(writer >> (1 + GOMAP_SEQ_BITS) & tid_mask);
		if (site_biased == biased &&
		    word >> (64 - GOMAP_TAG_BITS) == (last & ((1 << GOMAP_TAG_BITS) - 1))) {
			side.op = (enum gomap_op)(word & ((1 << GOMAP_OP_BITS) - 1));
			side.site = (void *)(word >> (GOMAP_OP_BITS + 1) &
					     ((UINT64_C(1) << GOMAP_PC_BITS) - 1));
			break;
		}
		sched_yield();
	}
	read_name(side.tid, side.name);
	return side;
}

static void format_bytes(const unsigned char *p, size_t n, bool text, char *buf, size_t size)
{
	size_t at = 0;
	for (size_t i = 0; i < n && at + 8 < size; ++i) {
		if (text && isprint(p[i]) && p[i] != '"' && p[i] != '\\')
			buf[at++] = (char)p[i];
		else
			at += (size_t)snprintf(buf + at, size - at, text ? "\\x%02x" : "%02x",
					       p[i]);
		if (at + 8 >= size && i + 1 < n)
			at += (size_t)snprintf(buf + at, size - at, "...");
	}
	buf[at] = '\0';
}

static void format_key(const struct gomap *m, const void *key, char *buf, size_t size)
{
	struct gomap_string str;
	buf[0] = '\0';
	if (!key)
		return;
	if (m->type->format) {
		m->type->format(key, buf, size);
		return;
	}
	switch (m->shape.kind) {
	case GOMAP_INT32:
		snprintf(buf, size, "%" PRId32, (int32_t)gomap_impl_load32(key));
		return;
	case GOMAP_INT64:
		snprintf(buf, size, "%" PRId64, (int64_t)gomap_impl_load64(key));
		return;
	case GOMAP_STRING:
		memcpy(&str, key, sizeof(str));
		buf[0] = '"';
		format_bytes((const unsigned char *)str.ptr, str.len, true, buf + 1, size - 2);
		strcat(buf, "\"");
		return;
	default:
		format_bytes(key, m->shape.key_size, false, buf, size);
	}
}

static void print(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(int fd, const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 1)
		n = (int)sizeof(line) - 1;
	for (int at = 0; at < n;) {
		ssize_t wrote = write(fd, line + at, (size_t)(n - at));
		if (wrote <= 0)
			return;
		at += (int)wrote;
	}
}

static void print_side(int fd, const char *what, const struct gomap_side *side)
{
	if (!side->tid) {
		print(fd, "\n%s: not known\n", what);
		return;
	}
	print(fd, "\n%s: thread %d%s%s%s, %s\n", what, side->tid, side->name[0] ? " (" : "",
	      side->name, side->name[0] ? ")" : "", gomap_op_name(side->op));
}

void gomap_conflict_print(const struct gomap_conflict *conflict, int fd)
{
	const struct gomap *m = conflict->map;
	print(fd, "fatal error: %s\n\nmap %p, %s, %zu elements\n", conflict->message,
	      (const void *)m, m->type->name ? m->type->name : "type without a name", gomap_len(m));
	print_side(fd, "detected by", &conflict->detector);
	if (conflict->key_text[0])
		print(fd, "key %s\n", conflict->key_text);
	backtrace_symbols_fd(conflict->stack, conflict->depth, fd);
	print_side(fd, "the other", &conflict->other);
	if (conflict->other.site)
		backtrace_symbols_fd(&conflict->other.site, 1, fd);
}

/* The first detector reports; others that find more meanwhile wait for the end. */
static void default_handler(const struct gomap_conflict *conflict)
{
	static bool dying;
	if (__atomic_exchange_n(&dying, true, __ATOMIC_ACQ_REL)) {
		for (;;)
			pause();
	}
	gomap_conflict_print(conflict, STDERR_FILENO);
	abort();
}

static void report(const struct gomap *m, enum gomap_op op, const void *key, void *site,
		   const struct gomap_side *other)
{
	struct gomap_conflict conflict = {
		.message = message_for(op),
		.map = m,
		.detector = {.op = op, .tid = (int)thread_id(), .site = site},
		.other = *other,
		.key = key,
	};
	read_name(conflict.detector.tid, conflict.detector.name);
	format_key(m, key, conflict.key_text, sizeof(conflict.key_text));
	conflict.depth = backtrace(conflict.stack, GOMAP_STACK_MAX);
	pthread_mutex_lock(&handler_lock);
	gomap_handler *fn = handler;
	void *arg = handler_arg;
	pthread_mutex_unlock(&handler_lock);
	if (fn)
		fn(&conflict, arg);
	else
		default_handler(&conflict);
	errno = EBUSY;
}

void gomap_impl_conflict(const struct gomap *m, enum gomap_op op, const void *key, void *site)
{
	struct gomap_side other = find_other(m);
	report(m, op, key, site, &other);
}

/* Go's flag says that there is a writer, and no more. */
void gomap_impl_conflict_go(const struct gomap *m, enum gomap_op op, const void *key, void *site)
{
	struct gomap_side other = {.op = 0};
	report(m, op, key, site, &other);
}
