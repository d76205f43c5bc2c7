#include "target/inject.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
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

/* Stops other than the step's own that are looked past: each is a signal to be sent again. */
enum { STEP_STOPS_MAX = 1000 };

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
static pid_t wait_step(pid_t tid, int *status)
{
	struct timespec pause = {.tv_nsec = 0};
	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);
		if (got != 0)
			return got;
		if (process_has_exited(tid))
			return -1;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec = pause.tv_nsec * 2 + 1000;
	}
}

/* Lets one thread execute the instruction at its pc, whose signals are held back. */
static enum status step_masked(struct process *p, pid_t tid, struct error *err)
{
	if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) != 0)
		return error_sys(err, "cannot step thread %d", tid);
	for (int stops = 0; stops < STEP_STOPS_MAX; stops++) {
		int status;
		pid_t got = wait_step(tid, &status);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 || !WIFSTOPPED(status))
			return error_set(err, ERROR_IO, "thread %d has exited meanwhile", tid);
		if (WSTOPSIG(status) == SIGTRAP && status >> 16 == 0)
			return OK;
		if (status >> 16 == 0 && keep_signal(p, tid, WSTOPSIG(status), err) != OK)
			return FAILED;
		if (ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) != 0)
			return error_sys(err, "cannot step thread %d", tid);
	}
	return error_set(err, ERROR_LIMIT, "thread %d gets more signals than can be kept", tid);
}

/* Lets one thread execute the instruction at its pc. Signals wait meanwhile, else a stream of them could keep it
 * from that for ever; but for the one that ends a step: a blocked SIGTRAP would lose its handler (Linux
 * kernel/signal.c: force_sig_info_to_task). */
static enum status step(struct process *p, pid_t tid, struct error *err)
{
	uint64_t mask, all = ~(UINT64_C(1) << (SIGTRAP - 1));
	bool masked = ptrace(PTRACE_GETSIGMASK, tid, sizeof(mask), &mask) == 0 &&
		      ptrace(PTRACE_SETSIGMASK, tid, sizeof(all), &all) == 0;
	enum status status = step_masked(p, tid, err);
	if (masked && ptrace(PTRACE_SETSIGMASK, tid, sizeof(mask), &mask) != 0 && status == OK)
		return error_sys(err, "cannot restore the signal mask of thread %d", tid);
	return status;
}

/* A stopped thread that makes calls: one outside the kernel where there is one. */
static enum status find_caller(struct process *p, pid_t *ret, struct user_regs_struct *ret_regs,
			       struct error *err)
{
	bool found = false;
	for (size_t i = 0; i < p->tracee_count; i++) {
		struct user_regs_struct regs;
		if (!p->tracees[i].stopped ||
		    ptrace(PTRACE_GETREGS, p->tracees[i].tid, NULL, &regs) != 0)
			continue;
		if (!found || (int64_t)regs.orig_rax < 0) {
			*ret = p->tracees[i].tid;
			*ret_regs = regs;
			found = true;
		}
		if ((int64_t)regs.orig_rax < 0)
			break;
	}
	return found ? OK
		     : error_set(err, ERROR_IO, "process %d has no thread to call from", p->pid);
}

enum status process_syscall(struct process *process, uint64_t addr, long nr, const uint64_t args[6],
			    int64_t *ret, struct error *err)
{
	/* After a stop inside a system call (exec is one) the first step only leaves that, and puts its
	 * result into rax. */
	enum { STEPS_MAX = 4 };
	pid_t tid = 0;
	struct user_regs_struct saved = {0}, regs, now = {0};
	if (find_caller(process, &tid, &saved, err) != OK)
		return FAILED;
	regs = saved;
	regs.rip = now.rip = addr;
	regs.rax = (uint64_t)nr;
	regs.orig_rax = (uint64_t)-1; /* no system call to restart */
	regs.rdi = args[0];
	regs.rsi = args[1];
	regs.rdx = args[2];
	regs.r10 = args[3];
	regs.r8 = args[4];
	regs.r9 = args[5];
	enum status status = OK;
	for (int i = 0; i < STEPS_MAX && status == OK && now.rip == addr; i++) {
		if (ptrace(PTRACE_SETREGS, tid, NULL, &regs) != 0)
			status = error_sys(err, "cannot set the registers of thread %d", tid);
		else
			status = step(process, tid, err);
		if (status == OK && ptrace(PTRACE_GETREGS, tid, NULL, &now) != 0)
			status = error_sys(err, "cannot read the registers of thread %d", tid);
	}
	if (ptrace(PTRACE_SETREGS, tid, NULL, &saved) != 0 && status == OK)
		status = error_sys(err, "cannot set the registers of thread %d", tid);
	if (status == OK && now.rip != addr + 2)
		status = error_set(err, ERROR_IO, "thread %d does not make the call", tid);
	if (status == OK)
		*ret = (int64_t)now.rax;
	return status;
}

enum status process_step_out(struct process *process, const uint64_t *addrs, size_t count,
			     struct error *err)
{
	/* Runs are three or four instructions long. */
	enum { STEPS_MAX = 16 };
	for (size_t i = 0; i < process->tracee_count; i++) {
		pid_t tid = process->tracees[i].tid;
		bool inside = process->tracees[i].stopped;
		for (int k = 0; inside; k++) {
			struct user_regs_struct regs;
			if (ptrace(PTRACE_GETREGS, tid, NULL, &regs) != 0)
				break;
			inside = false;
			for (size_t n = 0; n < count; n++)
				inside = inside || regs.rip == addrs[n];
			if (inside && k == STEPS_MAX)
				return error_set(err, ERROR_IO,
						 "thread %d does not leave the instructions that "
						 "are to change",
						 tid);
			if (inside && step(process, tid, err) != OK)
				return FAILED;
		}
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

enum status process_syscall(struct process *process, uint64_t addr, long nr, const uint64_t args[6],
			    int64_t *ret, struct error *err)
{
	(void)process, (void)addr, (void)nr, (void)args, (void)ret;
	return error_set(err, ERROR_UNSUPPORTED, "only amd64 processes can be changed");
}

enum status process_step_out(struct process *process, const uint64_t *addrs, size_t count,
			     struct error *err)
{
	(void)process, (void)addrs, (void)count;
	return error_set(err, ERROR_UNSUPPORTED, "only amd64 processes can be changed");
}

size_t process_places(struct process *process, uint64_t (*ret)[2], size_t max)
{
	(void)process, (void)ret, (void)max;
	return 0;
}

#endif
