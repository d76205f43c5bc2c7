#include "probe/breakpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/clock.h"

enum {
	/* 12,000 hits, for who may lock so much memory; kernel.perf_event_mlock_kb's default (516 for each
	 * CPU) is the header's page and 128 more. */
	RING_PAGES = 4096,
	RING_PAGES_MIN = 8,
	/* A hit takes 18 registers, the stack and some words; the kernel writes no longer record for
	 * our events. */
	RECORD_MAX = 4096,
};

/* linux/arch/x86/include/uapi/asm/perf_regs.h: the registers in the order of their bits. */
enum { REGS_USER = 0x3ff | 0xff << 16, REGS_COUNT = 18, REG_FLAGS = 9 };
static const uint8_t perf_order[REGS_COUNT] = {
	AMD64_RAX, AMD64_RBX, AMD64_RCX, AMD64_RDX, AMD64_RSI, AMD64_RDI,
	AMD64_RBP, AMD64_RSP, AMD64_RIP, 0,	    AMD64_R8,  AMD64_R9,
	AMD64_R10, AMD64_R11, AMD64_R12, AMD64_R13, AMD64_R14, AMD64_R15,
};

/* One CPU's: all events on that CPU write to it. */
struct ring {
	int fd; /* the event that it belongs to; -1: this CPU has none */
	uint8_t *map;
	size_t map_size, data_size; /* bytes; data_size is a power of two */
	uint64_t last; /* time of the newest record that was read */
};

struct breakpoints {
	int *fds;
	size_t fd_count, fd_cap;
	struct ring *rings;
	size_t ring_count; /* CPUs */
	bool is_disabled;
	pid_t pid;
	int pidfd;
	struct pollfd *polls; /* of rings, then pidfd */
	uint8_t record[RECORD_MAX];
};

void breakpoints_free(struct breakpoints *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->ring_count; i++)
		if (b->rings[i].map)
			munmap(b->rings[i].map, b->rings[i].map_size);
	for (size_t i = 0; i < b->fd_count; i++)
		close(b->fds[i]);
	if (b->pidfd >= 0)
		close(b->pidfd);
	free(b->fds);
	free(b->rings);
	free(b->polls);
	free(b);
}

static void cleanup_breakpoints(struct breakpoints **b)
{
	breakpoints_free(*b);
}

/* perf_event_open(2), in words that help. */
static enum status refused(int sys, struct error *err)
{
	char paranoid[16] = "";
	FILE *f = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	if (f) {
		if (fgets(paranoid, sizeof(paranoid), f))
			paranoid[strcspn(paranoid, "\n")] = '\0';
		fclose(f);
	}
	errno = sys;
	switch (sys) {
	case EACCES:
	case EPERM:
		/* kernel/events/core.c, perf_event_open: 2 permits those that leave the kernel out */
		if (paranoid[0] && strtol(paranoid, NULL, 10) <= 2)
			return error_sys(
				err,
				"hardware breakpoints (perf events) are not permitted, though "
				"kernel.perf_event_paranoid is %s: a seccomp filter, as "
				"a container's profile is, has to allow perf_event_open",
				paranoid);
		return error_sys(
			err,
			"hardware breakpoints (perf events) are not permitted: be root, have "
			"CAP_PERFMON, or set kernel.perf_event_paranoid (now %s) to 2; a "
			"container's seccomp profile can forbid them too",
			paranoid[0] ? paranoid : "unknown");
	case ENOSPC:
		return error_sys(err, "no hardware breakpoint is free: a debugger or another watch "
				      "of this process uses them");
	case EMFILE:
	case ENFILE:
		return error_sys(err,
				 "not enough open files for a breakpoint on each thread and CPU: "
				 "raise the limit (ulimit -n)");
	case ENOSYS:
	case ENOENT:
	case EOPNOTSUPP:
		return error_sys(err, "the kernel gives no hardware breakpoints here");
	default:
		return error_sys(err, "hardware breakpoint");
	}
}

static int open_event(const struct breakpoint *breakpoint, pid_t thread, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT,
		.size = sizeof(attr),
		.bp_type = breakpoint->on_write ? HW_BREAKPOINT_W : HW_BREAKPOINT_X,
		.bp_addr = breakpoint->addr,
		/* perf_event_open(2): for HW_BREAKPOINT_X this is sizeof(long) */
		.bp_len = breakpoint->on_write ? (uint64_t)HW_BREAKPOINT_LEN_1 : sizeof(long),
		.sample_period = 1,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR |
			       PERF_SAMPLE_CPU | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.sample_regs_user = REGS_USER,
		.sample_stack_user = BREAKPOINT_STACK,
		.sample_id_all = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.inherit = 1,
		.inherit_thread = 1,
		.disabled = 1,
		.wakeup_events = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd >= 0 || errno != EINVAL)
		return fd;
	/* Before Linux 5.13 children inherit too: their hits are told by their process and dropped. */
	attr.inherit_thread = 0;
	return (int)syscall(SYS_perf_event_open, &attr, thread, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Maps the ring of a CPU's first event, as large as we are allowed to. */
static enum status ring_map(struct ring *ring, int fd, struct error *err)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	for (size_t pages = RING_PAGES; pages >= RING_PAGES_MIN; pages /= 2) {
		size_t size = (pages + 1) * page;
		void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map != MAP_FAILED) {
			*ring = (struct ring){fd, map, size, pages * page, (uint64_t)clock_ns()};
			return OK;
		}
		if (errno != EPERM && errno != ENOMEM)
			break;
	}
	return error_sys(err, "no memory for what hardware breakpoints bring (see "
			      "kernel.perf_event_mlock_kb and ulimit -l)");
}

/* One breakpoint for one thread, on one CPU. A thread or CPU that is gone is no failure. */
static enum status add(struct breakpoints *b, const struct breakpoint *breakpoint, pid_t thread,
		       size_t cpu, struct error *err)
{
	struct ring *ring = &b->rings[cpu];
	int fd = open_event(breakpoint, thread, (int)cpu);
	if (fd < 0)
		return errno == ESRCH || errno == ENODEV ? OK : refused(errno, err);
	if (!ARRAY_PUSH(b->fds, b->fd_count, b->fd_cap, fd)) {
		close(fd);
		return error_nomem(err);
	}
	if (ring->fd < 0)
		return ring_map(ring, fd, err);
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) != 0)
		return error_sys(err, "hardware breakpoint's output");
	return OK;
}

static void raise_file_limit(size_t more)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= more + 64)
		return;
	limit.rlim_cur = limit.rlim_max < more + 64 ? limit.rlim_max : more + 64;
	setrlimit(RLIMIT_NOFILE, &limit); /* where it fails, opening does, and says so */
}

static enum status open_all(struct breakpoints *b, const pid_t *threads, size_t thread_count,
			    const struct breakpoint *list, size_t count, struct error *err)
{
	raise_file_limit(thread_count * count * b->ring_count);
	for (size_t t = 0; t < thread_count; t++)
		for (size_t i = 0; i < count; i++)
			for (size_t cpu = 0; cpu < b->ring_count; cpu++)
				if (add(b, &list[i], threads[t], cpu, err) != OK)
					return FAILED;
	if (b->fd_count == 0)
		return error_set(err, ERROR_NOT_FOUND, "the process has exited");
	return OK;
}

enum status breakpoints_open(pid_t pid, const pid_t *threads, size_t thread_count,
			     const struct breakpoint *list, size_t count, struct breakpoints **ret,
			     struct error *err)
{
#ifndef __x86_64__
	return error_set(err, ERROR_UNSUPPORTED, "hardware breakpoints are used on amd64 only");
#endif
	__attribute__((cleanup(cleanup_breakpoints))) struct breakpoints *b = calloc(1, sizeof(*b));
	if (!b)
		return error_nomem(err);
	b->pid = pid;
	b->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (b->pidfd < 0)
		return error_sys(err, "process %d", pid);
	size_t cpus = (size_t)get_nprocs_conf();
	b->rings = calloc(cpus, sizeof(*b->rings));
	b->polls = calloc(cpus + 1, sizeof(*b->polls));
	if (!b->rings || !b->polls)
		return error_nomem(err);
	b->ring_count = cpus;
	for (size_t i = 0; i < cpus; i++)
		b->rings[i].fd = -1;
	if (open_all(b, threads, thread_count, list, count, err) != OK)
		return FAILED;
	for (size_t i = 0; i < cpus; i++)
		b->polls[i] = (struct pollfd){.fd = b->rings[i].fd, .events = POLLIN};
	b->polls[cpus] = (struct pollfd){.fd = b->pidfd, .events = POLLIN};
	*ret = TAKE(b);
	return OK;
}

enum status breakpoints_enable(struct breakpoints *b, struct error *err)
{
	for (size_t i = 0; i < b->fd_count; i++)
		if (ioctl(b->fds[i], PERF_EVENT_IOC_ENABLE, 0) != 0)
			return refused(errno, err);
	return OK;
}

void breakpoints_disable(struct breakpoints *b)
{
	for (size_t i = 0; i < b->fd_count; i++)
		ioctl(b->fds[i], PERF_EVENT_IOC_DISABLE, 0);
	b->is_disabled = true;
}

void breakpoints_wait(const struct breakpoints *b, int timeout_ms)
{
	/* An event whose thread has ended says so for ever by POLLHUP, which is no hit: the time is
	 * slept off then, a millisecond of it, so that the others' hits are not kept waiting. */
	if (poll(b->polls, b->ring_count + 1, timeout_ms) <= 0)
		return;
	for (size_t i = 0; i <= b->ring_count; i++)
		if (b->polls[i].revents & POLLIN)
			return;
	struct timespec nap = {.tv_nsec = 1000000};
	if (timeout_ms > 0)
		nanosleep(&nap, NULL);
}

bool breakpoints_ended(const struct breakpoints *b)
{
	struct pollfd p = {.fd = b->pidfd, .events = POLLIN};
	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

/* PERF_RECORD_SAMPLE as perf_event_open(2) lays it out for our sample_type. A thread that is about to
 * leave user mode for good has no registers: abi is 0 then. */
static bool parse_hit(struct bytes b, pid_t pid, struct hit *ret)
{
	uint64_t tid, cpu, abi, stack_size, word;
	struct hit hit = {.regs.arch = ARCH_AMD64};
	if (!bytes_u64(&b, &tid) || (pid_t)tid != pid || !bytes_u64(&b, &hit.time) ||
	    !bytes_u64(&b, &hit.addr) || !bytes_u64(&b, &cpu) || !bytes_u64(&b, &abi) ||
	    abi != PERF_SAMPLE_REGS_ABI_64)
		return false;
	for (size_t i = 0; i < REGS_COUNT; i++) {
		if (!bytes_u64(&b, &word))
			return false;
		if (i == REG_FLAGS)
			hit.regs.flags = word;
		else
			hit.regs.r[perf_order[i]] = word;
	}
	hit.regs.pc = hit.regs.r[AMD64_RIP];
	hit.regs.sp = hit.regs.r[AMD64_RSP];
	hit.regs.fp = hit.regs.r[AMD64_RBP];
	hit.thread = (pid_t)(tid >> 32);
	hit.cpu = (uint32_t)cpu;
	if (!bytes_u64(&b, &stack_size))
		return false;
	if (stack_size) {
		if (stack_size > bytes_left(&b) || bytes_left(&b) - stack_size < 8)
			return false;
		hit.stack = b.pos;
		/* behind it: how much of it the kernel could copy */
		uint64_t filled = load_u64(b.pos + stack_size);
		hit.stack_size = filled < stack_size ? (size_t)filled : (size_t)stack_size;
	}
	*ret = hit;
	return true;
}

/* PERF_RECORD_LOST: id, count, and by sample_id_all: thread, time, cpu. */
static bool parse_gap(struct bytes b, struct hit_gap *ret)
{
	uint64_t id, thread;
	return bytes_u64(&b, &id) && bytes_u64(&b, &ret->count) && bytes_u64(&b, &thread) &&
	       bytes_u64(&b, &ret->until);
}

static void ring_copy(const struct ring *ring, uint64_t pos, void *to, size_t n)
{
	const uint8_t *data = ring->map + (ring->map_size - ring->data_size);
	size_t at = (size_t)(pos & (ring->data_size - 1));
	size_t first = n < ring->data_size - at ? n : ring->data_size - at;
	memcpy(to, data + at, first);
	memcpy((uint8_t *)to + first, data, n - first);
}

/* Hands on the record at tail, which has header and lies whole in the ring. */
static enum status read_record(struct breakpoints *b, struct ring *ring, uint64_t tail,
			       const struct perf_event_header *header,
			       const struct hit_reader *reader, struct error *err)
{
	struct hit hit;
	struct hit_gap gap;
	size_t n = header->size - sizeof(*header);
	if (n > RECORD_MAX)
		return OK;
	ring_copy(ring, tail + sizeof(*header), b->record, n);
	struct bytes bytes = bytes_of(b->record, n);
	if (header->type == PERF_RECORD_SAMPLE && parse_hit(bytes, b->pid, &hit)) {
		ring->last = hit.time;
		return reader->on_hit(reader->context, &hit, err);
	}
	if (header->type == PERF_RECORD_LOST && parse_gap(bytes, &gap)) {
		gap.since = ring->last;
		ring->last = gap.until;
		return reader->on_gap(reader->context, &gap, err);
	}
	return OK;
}

static enum status ring_read(struct breakpoints *b, struct ring *ring,
			     const struct hit_reader *reader, struct error *err)
{
	struct perf_event_mmap_page *page = (void *)ring->map;
	uint64_t head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = page->data_tail;
	bool is_full = ring->data_size - (head - tail) < RECORD_MAX;
	enum status status = OK;
	while (status == OK && head - tail >= sizeof(struct perf_event_header)) {
		struct perf_event_header header;
		ring_copy(ring, tail, &header, sizeof(header));
		if (header.size < sizeof(header) || header.size > head - tail)
			break;
		status = read_record(b, ring, tail, &header, reader, err);
		tail += header.size;
		__atomic_store_n(&page->data_tail, tail, __ATOMIC_RELEASE);
	}
	/* The kernel tells of what was lost with the next record, and now there is none. */
	if (status == OK && is_full && b->is_disabled) {
		struct hit_gap gap = {ring->last, (uint64_t)clock_ns(), 1};
		ring->last = gap.until;
		status = reader->on_gap(reader->context, &gap, err);
	}
	return status;
}

enum status breakpoints_read(struct breakpoints *b, const struct hit_reader *reader,
			     struct error *err)
{
	for (size_t i = 0; i < b->ring_count; i++)
		if (b->rings[i].map && ring_read(b, &b->rings[i], reader, err) != OK)
			return FAILED;
	return OK;
}
