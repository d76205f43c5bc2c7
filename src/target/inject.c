#include "target/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "target/file.h"
#include "target/internal.h"

enum status process_adopt(pid_t pid, struct process **ret, struct error *err)
{
	struct process *p = calloc(1, sizeof(*p));
	struct tracee tracee = {.tid = pid, .stopped = true};
	if (!p || !ARRAY_PUSH(p->tracees, p->tracee_count, p->tracee_cap, tracee)) {
		free(p);
		return error_nomem(err);
	}
	p->pid = p->alive = pid;
	p->mem = -1;
	*ret = p;
	return OK;
}

static enum status open_mem(struct process *process, int *ret, struct error *err)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", process->alive);
	*ret = open(path, O_RDWR | O_CLOEXEC);
	return *ret < 0 ? error_sys(err, "%s", path) : OK;
}

enum status process_write(struct process *process, uint64_t addr, const void *buf, size_t n,
			  struct error *err)
{
	AUTO_FD int fd = -1;
	if (open_mem(process, &fd, err) != OK)
		return FAILED;
	for (size_t done = 0; done < n;) {
		ssize_t part = pwrite(fd, (const char *)buf + done, n - done, (off_t)(addr + done));
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			return error_sys(err, "process %d: writing at 0x%" PRIx64, process->pid,
					 addr + done);
		done += (size_t)part;
	}
	return OK;
}

enum status process_read(struct process *process, uint64_t addr, void *buf, size_t n,
			 struct error *err)
{
	AUTO_FD int fd = -1;
	if (open_mem(process, &fd, err) != OK)
		return FAILED;
	if (file_read(fd, buf, n, addr) != (ssize_t)n)
		return error_at(err, ERROR_FAULT, addr,
				"process %d has no readable memory at 0x%" PRIx64, process->pid,
				addr);
	return OK;
}

#ifdef __x86_64__

/* Stops other than the one waited for that are looked past: each is a signal to be sent again. */
enum { STOPS_MAX = 1000 };

/* Keeps a signal for when the process runs on; a fault comes again by itself. (It comes here although it is held
 * back: Linux kernel/signal.c, dequeue_synchronous_signal, with the trap of a step.) The one that PTRACE_DETACH hands on comes first; it
 * is sent anew when there is one already. */
static enum status keep_signal(struct process *p, pid_t tid, int signo, struct error *err)
{
	struct late_signal late = {tid, signo};
	if (process_is_fault(tid, signo))
		return OK;
	return ARRAY_PUSH(p->late, p->late_count, p->late_cap, late) ? OK : error_nomem(err);
}

/* As waitpid, for a thread that may be killed: a dead leader of a process cannot be waited for while other
 * threads of it are traced. */
static pid_t wait_stop(pid_t tid, int *status)
{
	struct timespec pause = {.tv_nsec = 0};
	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);
		if (got > 0 || (got < 0 && errno != EINTR))
			return got;
		if (process_has_exited(tid))
			return -1;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec = pause.tv_nsec * 2 + 1000;
	}
}

/*
 * Lets one thread run up to its next stop by ptrace: at the entry or the end of a system call
 * (how: PTRACE_SYSCALL), or where PTRACE_INTERRUPT has it stop (PTRACE_CONT). Not by steps of one instruction, since the trap
 * that ends one would kill the process if we were killed before.
 */
static enum status run_on(struct process *p, pid_t tid, int how, struct error *err)
{
	for (int stops = 0; stops < STOPS_MAX; stops++) {
		int status;
		if (ptrace(how, tid, NULL, NULL) != 0)
			return error_sys(err, "cannot run thread %d", tid);
		pid_t got = wait_stop(tid, &status);
		if (got < 0 || !WIFSTOPPED(status))
			return error_set(err, ERROR_IO, "thread %d has exited meanwhile", tid);
		int event = status >> 16;
		if (event == (how == PTRACE_SYSCALL ? 0 : PTRACE_EVENT_STOP) &&
		    WSTOPSIG(status) == SIGTRAP)
			return OK;
		if (!event && keep_signal(p, tid, WSTOPSIG(status), err) != OK)
			return FAILED;
	}
	return error_set(err, ERROR_LIMIT, "thread %d gets more signals than can be kept", tid);
}

/* How well a thread is suited to make calls. */
enum suits {
	SUITS_LITTLE, /* it is inside of the kernel, for whatever */
	SUITS_OUTSIDE,
	SUITS_WAITING,
	SUITS_SLEEPING,
};

/*
 * Best is a thread that sleeps, or waits at a futex. It makes the call by its own syscall instruction: if we are killed
 * before it has its registers back, it goes on behind that as if woken early, which is nothing new to a program,
 * and Go looks at no result there (runtime.usleep, and runtime.futexsleep; sysmon does hardly anything else). Any other
 * thread would be lost then.
 */
static enum suits suits(struct process *p, const struct user_regs_struct *regs)
{
	uint8_t insn[2];
	if ((int64_t)regs->orig_rax < 0)
		return SUITS_OUTSIDE;
	bool waits = regs->orig_rax == SYS_futex &&
		     ((regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT ||
		      (regs->rsi & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET);
	bool sleeps = regs->orig_rax == SYS_nanosleep || regs->orig_rax == SYS_clock_nanosleep ||
		      regs->orig_rax == SYS_restart_syscall;
	if ((!waits && !sleeps) ||
	    process_read(p, regs->rip - sizeof(insn), insn, sizeof(insn), NULL) != OK ||
	    memcmp(insn, "\x0f\x05", sizeof(insn)) != 0)
		return SUITS_LITTLE;
	return sleeps ? SUITS_SLEEPING : SUITS_WAITING;
}

/* The stopped thread that is suited best to make calls, and how well; -1: there is none. */
static int best_caller(struct process *p, pid_t *ret, struct user_regs_struct *ret_regs)
{
	int best = -1;
	for (size_t i = 0; i < p->tracee_count && best < SUITS_SLEEPING; i++) {
		struct user_regs_struct regs;
		if (!p->tracees[i].stopped ||
		    ptrace(PTRACE_GETREGS, p->tracees[i].tid, NULL, &regs) != 0)
			continue;
		int how = suits(p, &regs);
		if (how <= best)
			continue;
		best = how;
		*ret = p->tracees[i].tid;
		*ret_regs = regs;
	}
	return best;
}

bool process_has_sleeper(struct process *process)
{
	pid_t tid;
	struct user_regs_struct regs;
	return best_caller(process, &tid, &regs) >= SUITS_WAITING;
}

/* Has the thread, whose registers were read as saved, make the call. */
static enum status make_call(struct process *p, pid_t tid, const struct user_regs_struct *saved,
			     uint64_t addr, long nr, const uint64_t args[6], int64_t *ret,
			     struct error *err)
{
	/* Entry and end of it; before those, where it was in another one (exec), the end of that. */
	enum { STOPS = 3 };
	bool entered = false, done = false;
	struct user_regs_struct regs = *saved, now;
	regs.rip = addr;
	regs.rax = (uint64_t)nr;
	regs.orig_rax = (uint64_t)-1; /* no system call to restart */
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	for (int i = 0; i < STOPS && !done; i++) {
		if (!entered && ptrace(PTRACE_SETREGS, tid, NULL, &regs) != 0)
			return error_sys(err, "cannot set the registers of thread %d", tid);
		if (run_on(p, tid, PTRACE_SYSCALL, err) != OK)
			return FAILED;
		if (ptrace(PTRACE_GETREGS, tid, NULL, &now) != 0)
			return error_sys(err, "cannot read the registers of thread %d", tid);
		done = entered;
		entered = now.rip == addr + 2;
	}
	if (!done || !entered)
		return error_set(err, ERROR_IO, "thread %d does not make the call", tid);
	*ret = (int64_t)now.rax;
	return OK;
}

/* Gives the thread its registers back. A system call that it was in goes on only from a stop inside of what the kernel does
 * for signals, as it was in before: there it comes again (Linux arch/x86/kernel/signal.c, arch_do_signal_or_restart). */
static enum status put_back(struct process *p, pid_t tid, const struct user_regs_struct *saved,
			    struct error *err)
{
	if (ptrace(PTRACE_SETREGS, tid, NULL, saved) != 0)
		return error_sys(err, "cannot set the registers of thread %d", tid);
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0)
		return error_sys(err, "cannot stop thread %d", tid);
	return run_on(p, tid, PTRACE_CONT, err);
}

enum status process_syscall(struct process *process, uint64_t addr, long nr, const uint64_t args[6],
			    int64_t *ret, struct error *err)
{
	pid_t tid = 0;
	struct user_regs_struct saved = {0};
	uint64_t mask, all = UINT64_MAX;
	int how = best_caller(process, &tid, &saved);
	if (how < 0)
		return error_set(err, ERROR_IO, "process %d has no thread to call from",
				 process->pid);
	if (how >= SUITS_WAITING)
		addr = saved.rip - 2;
	/* Else a stream of signals could keep it from the call for ever. One that sleeps gets few, and would be left without
	 * any if we were killed. */
	bool masked = how < SUITS_WAITING &&
		      ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) == 0 &&
		      ptrace(PTRACE_SETSIGMASK, tid, sizeof(all), &all) == 0;
	enum status status = make_call(process, tid, &saved, addr, nr, args, ret, err);
	if (put_back(process, tid, &saved, status == OK ? err : NULL) != OK)
		status = FAILED;
	if (masked && ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) != 0 && status == OK)
		return error_sys(err, "cannot restore the signal mask of thread %d", tid);
	return status;
}

enum status process_redirect(struct process *process, const uint64_t (*moves)[2], size_t count,
			     struct error *err)
{
	for (size_t i = 0; i < process->tracee_count; i++) {
		pid_t tid = process->tracees[i].tid;
		struct user_regs_struct regs;
		if (!process->tracees[i].stopped || ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
			continue;
		size_t n = 0;
		while (n < count && regs.rip != moves[n][0])
			n++;
		if (n == count)
			continue;
		regs.rip = moves[n][1];
		if (ptrace(PTRACE_SETREGS, tid, NULL, &regs) != 0)
			return error_sys(err, "cannot set the registers of thread %d", tid);
	}
	return OK;
}

size_t process_places(struct process *process, uint64_t (*ret)[2], size_t max)
{
	size_t count = 0;
	for (size_t i = 0; i < process->tracee_count; i++) {
		struct user_regs_struct regs;
		if (!process->tracees[i].stopped ||
		    ptrace(PTRACE_GETREGS, process->tracees[i].tid, NULL, &regs) != 0)
			continue;
		if (count < max) {
			ret[count][0] = regs.rip;
			ret[count][1] = regs.rsp;
		}
		count++;
	}
	return count;
}

#else

bool process_has_sleeper(struct process *process)
{
	(void)process;
	return true;
}

enum status process_syscall(struct process *process, uint64_t addr, long nr, const uint64_t args[6],
			    int64_t *ret, struct error *err)
{
	(void)process, (void)addr, (void)nr, (void)args, (void)ret;
	return error_set(err, ERROR_UNSUPPORTED, "only amd64 processes can be changed");
}

enum status process_redirect(struct process *process, const uint64_t (*moves)[2], size_t count,
			     struct error *err)
{
	(void)process, (void)moves, (void)count;
	return error_set(err, ERROR_UNSUPPORTED, "only amd64 processes can be changed");
}

size_t process_places(struct process *process, uint64_t (*ret)[2], size_t max)
{
	(void)process, (void)ret, (void)max;
	return 0;
}

#endif
