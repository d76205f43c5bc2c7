#include "probe/lay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/inject.h"
#include "target/seccomp.h"

/* Distances from the end of the program's image at which a place is tried: beyond where its brk heap
 * usually grows, and such that all of it is within the 2 GB of a jump. */
enum { PLACE_FIRST = 1 << 30, PLACE_STEP = 64 << 20, PLACE_TRIES = 12, ALIGN = 2 << 20 };

/* The address of a syscall instruction in the program's own code. */
static enum status find_syscall(struct process *process, const struct plan *plan, uint64_t bias,
				uint64_t *ret, struct error *err)
{
	enum { PIECE = 1 << 16 };
	AUTO_FREE uint8_t *piece = malloc(PIECE);
	if (!piece)
		return error_nomem(err);
	for (uint64_t at = plan->text; at < plan->etext;) {
		size_t n = plan->etext - at < PIECE ? (size_t)(plan->etext - at) : PIECE;
		if (n < 2)
			break;
		if (process_read(process, at + bias, piece, n, err) != OK)
			return FAILED;
		/* 0f 05: Intel SDM volume 2, SYSCALL. That it may be inside another instruction does
		 * not matter: it is stepped over, and returned from. */
		const uint8_t *found = memmem(piece, n, "\x0f\x05", 2);
		if (found) {
			*ret = at + bias + (uint64_t)(found - piece);
			return OK;
		}
		at += n - 1;
	}
	return error_set(err, ERROR_UNSUPPORTED, "the program's code has no syscall instruction");
}

/* A call whose failure is named. */
static enum status call(struct process *process, uint64_t insn, const char *name, long nr,
			const uint64_t args[6], uint64_t *ret, struct error *err)
{
	int64_t result;
	if (process_syscall(process, insn, nr, args, &result, err) != OK)
		return FAILED;
	if (result < 0 && result > -4096) {
		errno = (int)-result;
		return error_sys(err, "the process may not call %s", name);
	}
	*ret = (uint64_t)result;
	return OK;
}

static enum status map_at(struct process *process, uint64_t insn, uint64_t addr, uint64_t size,
			  int prot, int flags, int fd, struct error *err)
{
	uint64_t got = 0;
	const uint64_t args[6] = {
		addr, size, (uint64_t)prot, (uint64_t)flags, (uint64_t)(int64_t)fd, 0};
	if (call(process, insn, "mmap", SYS_mmap, args, &got, err) != OK)
		return FAILED;
	/* Kernels before 4.17 take MAP_FIXED_NOREPLACE as a wish. */
	if (got != addr)
		return error_set(err, ERROR_UNSUPPORTED, "the kernel maps memory elsewhere");
	return OK;
}

/* Whether the process has exactly these stubs at addr already. */
static bool has_stubs(struct process *process, uint64_t addr, const struct stubs *stubs)
{
	AUTO_FREE uint8_t *there = malloc(stubs->size);
	return there && process_read(process, addr, there, stubs->size, NULL) == OK &&
	       memcmp(there, stubs->bytes, stubs->size) == 0;
}

/* Maps room for the stubs near the program, where also the table will fit behind it, and writes them;
 * or finds them there. */
static enum status place_stubs(struct process *process, uint64_t insn, const struct plan *plan,
			       const struct lay_options *options, struct laid *laid,
			       bool *ret_reused, struct error *err)
{
	uint64_t at = (plan->image_end + laid->bias + PLACE_FIRST + ALIGN - 1) / ALIGN * ALIGN;
	struct stubs_options how = {.bias = laid->bias,
				    .line_bits = options->line_bits,
				    .times = options->times,
				    .callers = options->times,
				    .holds = options->holds,
				    .hold_types = options->hold_types,
				    .ordered = options->ordered,
				    .meets = options->meets,
				    .reads = options->reads};
	for (int i = 0; i < PLACE_TRIES; i++, at += PLACE_STEP) {
		struct error why = {0};
		how.addr = laid->stubs_addr = at;
		how.table = laid->table_addr = at + STUBS_SIZE_MAX;
		stubs_done(&laid->stubs);
		if (stubs_build(plan, &how, &laid->stubs, err) != OK)
			return FAILED;
		*ret_reused = false;
		if (map_at(process, insn, at, STUBS_SIZE_MAX, PROT_READ | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, &why) == OK)
			return process_write(process, at, laid->stubs.bytes, laid->stubs.size, err);
		*ret_reused = why.sys == EEXIST && has_stubs(process, at, &laid->stubs);
		if (*ret_reused)
			return OK;
		if (why.sys != EEXIST) {
			if (err)
				*err = why;
			return FAILED;
		}
	}
	return error_set(err, ERROR_UNSUPPORTED, "there is no free memory near the program's code");
}

/* Whether the jump that stands at a place leads into stubs whose recorder is gone; names it otherwise. */
static enum status check_recorder(struct process *process, const uint8_t jump[PLAN_PATCH_SIZE],
				  uint64_t addr, struct error *err)
{
	uint64_t to;
	struct records_header header;
	bool leads = patch_target(jump, addr, &to);
	/* the stubs begin at a multiple of ALIGN, and the table behind them */
	uint64_t table = to / ALIGN * ALIGN + STUBS_SIZE_MAX;
	if (!leads || process_read(process, table, &header, sizeof(header), NULL) != OK ||
	    memcmp(header.magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE) != 0)
		return error_at(err, ERROR_MISMATCH, addr,
				"the code at 0x%" PRIx64
				" is not what the program's file has (a breakpoint?): nothing was "
				"changed",
				addr);
	if (header.watched && header.watcher && kill((pid_t)header.watcher, 0) == 0)
		return error_set(err, ERROR_MISMATCH,
				 "process %d is recorded by process %u already",
				 process_pid(process), header.watcher);
	return OK;
}

/* Holds the program's code against its file, and puts back what a recorder left that is gone. */
static enum status check_code(struct process *process, const struct plan *plan, uint64_t bias,
			      struct error *err)
{
	uint8_t now[PLAN_PATCH_SIZE];
	for (size_t i = 0; i < plan->count; i++) {
		const struct plan_site *site = &plan->list[i];
		uint64_t addr = site->addr + bias;
		if (process_read(process, addr, now, sizeof(now), err) != OK)
			return FAILED;
		if (memcmp(now, site->original, sizeof(now)) != 0 &&
		    (check_recorder(process, now, addr, err) != OK ||
		     process_write(process, addr, site->original, sizeof(now), err) != OK))
			return FAILED;
	}
	return OK;
}

/* Makes the table's memfd in the process, takes it over, and maps it on both sides. */
static enum status make_table(struct process *process, uint64_t insn, bool replace,
			      struct laid *laid, struct error *err)
{
	char path[64];
	uint64_t theirs, ignored;
	/* its name, for /proc/PID/maps, lies behind the stubs */
	uint64_t name = laid->stubs_addr + STUBS_SIZE_MAX - 16;
	if (process_write(process, name, "mapcrash", sizeof("mapcrash"), err) != OK ||
	    call(process, insn, "memfd_create", SYS_memfd_create,
		 (const uint64_t[6]){name, MFD_CLOEXEC}, &theirs, err) != OK)
		return FAILED;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", process_pid(process), (int)theirs);
	laid->fd = open(path, O_RDWR | O_CLOEXEC);
	enum status status = OK;
	if (laid->fd < 0 || ftruncate(laid->fd, (off_t)laid->table_size) != 0)
		status = error_sys(err, "the table's memory");
	if (status == OK)
		status = map_at(
			process, insn, laid->table_addr, laid->table_size, PROT_READ | PROT_WRITE,
			MAP_SHARED | (replace ? MAP_FIXED : MAP_FIXED_NOREPLACE), (int)theirs, err);
	if (call(process, insn, "close", SYS_close, (const uint64_t[6]){theirs}, &ignored,
		 status == OK ? err : NULL) != OK)
		status = FAILED;
	if (status != OK)
		return FAILED;
	laid->table = mmap(NULL, laid->table_size, PROT_READ | PROT_WRITE, MAP_SHARED, laid->fd, 0);
	if (laid->table == MAP_FAILED) {
		laid->table = NULL;
		return error_sys(err, "the table's memory");
	}
	return OK;
}

static uint64_t pointer(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

enum status lay_is_allowed(const struct process *process, const struct lay_options *options,
			   bool inherited, struct error *err)
{
	/* Any place that a child of ours may map at, or has something at. */
	const uint64_t place = UINT64_C(1) << 44, none = (uint64_t)-1;
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
	struct timespec instant = {.tv_nsec = 1};
	uint32_t word = 1;
	const struct seccomp_call calls[] = {
		{"memfd_create", SYS_memfd_create, {pointer("mapcrash"), MFD_CLOEXEC}},
		{"mmap",
		 SYS_mmap,
		 {place, STUBS_SIZE_MAX, PROT_READ | PROT_EXEC, (uint64_t)anonymous, none}},
		{"mmap",
		 SYS_mmap,
		 {place, STUBS_SIZE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
		  none}},
		{"close", SYS_close, {none}},
		{"futex", SYS_futex, {pointer(&word), FUTEX_WAKE, INT32_MAX}},
		/* of another value than is there: it does not wait */
		{"futex", SYS_futex, {pointer(&word), FUTEX_WAIT, 0}},
		{"nanosleep", SYS_nanosleep, {pointer(&instant)}},
	};
	/* the last one: to hold */
	size_t count = sizeof(calls) / sizeof(calls[0]) - 1 + options->holds;
	return process_may_call(process, inherited, calls, count, err);
}

static void cleanup_laid(struct laid *laid)
{
	laid_done(laid);
}

enum status lay_in(struct process *process, const struct plan *plan, uint64_t bias,
		   const struct lay_options *options, struct laid *ret, struct error *err)
{
	__attribute__((cleanup(cleanup_laid))) struct laid laid = {.bias = bias, .fd = -1};
	uint64_t insn = 0; /* gcc does not see that it is set on success */
	bool reused = false;
	laid.table_size = options->reads ? records_size_with_reads(options->line_bits)
					 : records_size(options->line_bits);
	if (check_code(process, plan, bias, err) != OK ||
	    find_syscall(process, plan, bias, &insn, err) != OK ||
	    place_stubs(process, insn, plan, options, &laid, &reused, err) != OK ||
	    make_table(process, insn, reused, &laid, err) != OK)
		return FAILED;
	struct records_header *h = laid.table;
	memcpy(h->magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE);
	h->line_bits = options->line_bits;
	h->flags = (options->times ? RECORDS_TIMES : 0) | (options->reads ? RECORDS_READS : 0) |
		   (options->ordered ? RECORDS_SEEDS : 0);
	h->text = plan->text + bias;
	h->stubs = laid.stubs_addr;
	h->stubs_end = laid.stubs_addr + laid.stubs.size;
	h->size = laid.table_size;
	*ret = laid;
	laid = (struct laid){.fd = -1};
	return OK;
}

enum status lay_on(struct process *process, const struct laid *laid, struct error *err)
{
	for (size_t i = 0; i < laid->stubs.patch_count; i++) {
		const struct patch *patch = &laid->stubs.patches[i];
		if (process_write(process, patch->addr, patch->new, sizeof(patch->new), err) != OK)
			return FAILED;
	}
	return OK;
}

enum status lay_off(struct process *process, const struct laid *laid, struct error *err)
{
	for (size_t i = 0; i < laid->stubs.patch_count; i++) {
		const struct patch *patch = &laid->stubs.patches[i];
		if (process_write(process, patch->addr, patch->old, sizeof(patch->old), err) != OK)
			return FAILED;
	}
	return OK;
}

/* Whether the signal frames below a thread's stack hold the first address of one of the moves: a handler that returns to
 * it would land inside a jump. A word that only looks like one is no harm: it is tried again. */
static bool stack_has(struct process *process, uint64_t sp, const uint64_t (*moves)[2],
		      size_t count)
{
	/* The signal stacks that Go makes are 32 KB: runtime/os_linux.go, mpreinit. */
	enum { DEPTH = 32 << 10, PAGE = 4096 };
	uint64_t words[PAGE / 8];
	uint64_t at = sp & ~7ull;
	for (size_t done = 0; done < DEPTH;) {
		size_t n = PAGE - (at & (PAGE - 1));
		if (process_read(process, at, words, n, NULL) != OK)
			return false;
		for (size_t i = 0; i < n / 8; i++)
			for (size_t k = 0; k < count; k++)
				if (words[i] == moves[k][0])
					return true;
		at += n;
		done += n;
	}
	return false;
}

/* The place in a stub for the instruction that starts inside the patch's bytes: that of the same one there. The rest of the
 * stub is as if the write had begun before the recorder came. */
static bool place_in_stub(const struct laid *laid, const struct patch *patch, uint64_t *ret)
{
	struct stubs_index index;
	memcpy(&index, laid->stubs.bytes, sizeof(index));
	for (uint32_t i = 0; i < index.count; i++) {
		struct stub_info info;
		memcpy(&info, laid->stubs.bytes + sizeof(index) + i * sizeof(info), sizeof(info));
		uint64_t within = patch->interior - patch->addr;
		if (info.site + laid->stubs_addr != patch->addr ||
		    within >= info.moved_end - info.moved)
			continue;
		*ret = laid->stubs_addr + info.moved + within;
		return true;
	}
	return false;
}

enum status lay_is_clear(struct process *process, const struct laid *laid, bool *ret,
			 struct error *err)
{
	/* More threads than this are looked at in the next attempt, when they are fewer. */
	enum { THREADS_MAX = 4096 };
	size_t n = laid->stubs.patch_count, count = 0;
	AUTO_FREE uint64_t(*moves)[2] = calloc(n, sizeof(*moves));
	AUTO_FREE uint64_t(*places)[2] = calloc(THREADS_MAX, sizeof(*places));
	if (!moves || !places)
		return error_nomem(err);
	for (size_t i = 0; i < n; i++) {
		const struct patch *patch = &laid->stubs.patches[i];
		if (!patch->interior)
			continue;
		moves[count][0] = patch->interior;
		if (!place_in_stub(laid, patch, &moves[count++][1]))
			return error_at(err, ERROR_UNSUPPORTED, patch->addr, "no stub for a patch");
	}
	if (process_redirect(process, moves, count, err) != OK)
		return FAILED;
	size_t threads = process_places(process, places, THREADS_MAX);
	bool clear = threads <= THREADS_MAX;
	for (size_t i = 0; i < threads && clear; i++)
		clear = !stack_has(process, places[i][1], moves, count);
	*ret = clear;
	return OK;
}

void laid_done(struct laid *laid)
{
	if (laid->table)
		munmap(laid->table, laid->table_size);
	if (laid->fd >= 0)
		close(laid->fd);
	stubs_done(&laid->stubs);
	*laid = (struct laid){.fd = -1};
}
