#include "target/process.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "target/file.h"
#include "target/internal.h"

enum {
	/* Each pass stops all threads it finds, and only running ones can start more. */
	PASSES_MAX = 100,
	/* A thread that does not stop within this is in an uninterruptible sleep. */
	STOP_TIMEOUT_MS = 2000,
	LATE_TIMEOUT_MS = 100,
	MAPS_MAX = 1 << 20, /* vm.max_map_count is seldom set above a million */
};

static void close_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* /proc/PID/name, or NULL with errno. */
static FILE *proc_open(pid_t pid, const char *name)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return fopen(path, "re");
}

bool process_status_field(pid_t pid, const char *name, char *ret, size_t size)
{
	__attribute__((cleanup(close_file))) FILE *f = proc_open(pid, "status");
	AUTO_FREE char *line = NULL;
	size_t cap = 0, n = strlen(name);
	while (f && getline(&line, &cap, f) > 0) {
		if (strncmp(line, name, n) == 0 && line[n] == ':') {
			const char *value = line + n + 1 + strspn(line + n + 1, " \t");
			snprintf(ret, size, "%.*s", (int)strcspn(value, "\n"), value);
			return true;
		}
	}
	return false;
}

static pid_t status_pid(pid_t pid, const char *name)
{
	char text[32];
	return process_status_field(pid, name, text, sizeof(text)) ? (pid_t)strtol(text, NULL, 10)
								   : 0;
}

bool process_has_exited(pid_t tid)
{
	char state[32];
	return !process_status_field(tid, "State", state, sizeof(state)) || state[0] == 'Z' ||
	       state[0] == 'X';
}

/* Why PTRACE_SEIZE was refused, in words that help. */
static enum status refused(pid_t pid, int sys, struct error *err)
{
	char name[64] = "?", scope[16] = "";
	pid_t tracer = status_pid(pid, "TracerPid");
	if (tracer) {
		process_status_field(tracer, "Name", name, sizeof(name));
		return error_set(err, ERROR_IO, "process %d is already traced by %d (%s)", pid,
				 tracer, name);
	}
	__attribute__((cleanup(close_file)))
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	if (f && fgets(scope, sizeof(scope), f))
		scope[strcspn(scope, "\n")] = '\0';
	char seccomp[8] = "";
	process_status_field(getpid(), "Seccomp", seccomp, sizeof(seccomp));
	errno = sys;
	/* proc(5): 2 is a filter */
	if (strcmp(seccomp, "2") == 0 && geteuid() == 0)
		return error_sys(err,
				 "process %d may not be traced: a seccomp filter that we run under "
				 "may forbid ptrace, or we lack CAP_SYS_PTRACE",
				 pid);
	if (scope[0] && scope[0] != '0')
		return error_sys(err,
				 "process %d may not be traced: be root or have CAP_SYS_PTRACE, or "
				 "set kernel.yama.ptrace_scope (now %s) to 0",
				 pid, scope);
	return error_sys(err,
			 "process %d may not be traced: be its user, root, or have CAP_SYS_PTRACE",
			 pid);
}

static int compare_tracees(const void *a, const void *b)
{
	pid_t x = ((const struct tracee *)a)->tid, y = ((const struct tracee *)b)->tid;
	return x < y ? -1 : x > y;
}

/* Seizes tid and asks it to stop. A thread that exits meanwhile is no failure. */
static enum status seize(struct process *p, pid_t tid, struct error *err)
{
	struct tracee tracee = {.tid = tid};
	if (!ARRAY_PUSH(p->tracees, p->tracee_count, p->tracee_cap, tracee))
		return error_nomem(err);
	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) {
		int sys = errno;
		p->tracee_count--;
		return sys == ESRCH || process_has_exited(tid) ? OK : refused(p->pid, sys, err);
	}
	if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) != 0 && errno != ESRCH)
		return error_sys(err, "cannot stop thread %d", tid);
	return OK;
}

/* Seizes each thread that is not yet; *ret_new says whether there was one. */
static enum status seize_new(struct process *p, bool *ret_new, struct error *err)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", p->pid);
	DIR *dir = opendir(path);
	if (!dir)
		return error_set(err, ERROR_NOT_FOUND, "process %d has exited", p->pid);
	size_t known = p->tracee_count;
	enum status status = OK;
	struct dirent *entry;
	while (status == OK && (entry = readdir(dir))) {
		struct tracee key = {.tid = (pid_t)strtol(entry->d_name, NULL, 10)};
		if (key.tid <= 0 ||
		    (known && bsearch(&key, p->tracees, known, sizeof(key), compare_tracees)))
			continue;
		status = seize(p, key.tid, err);
	}
	closedir(dir);
	*ret_new = p->tracee_count > known;
	if (p->tracee_count)
		qsort(p->tracees, p->tracee_count, sizeof(*p->tracees), compare_tracees);
	return status;
}

/*
 * Of a fault the instruction is executed again, and faults again, when the thread goes on without the signal. Sent
 * later, or handed on after the thread was made to do something else, it would be a signal that somebody sent
 * (Linux kernel/signal.c, ptrace_signal), and Go dies of such a one. Those that the kernel makes have a
 * positive code; that of memory that broke elsewhere is no fault of an instruction.
 */
bool process_is_fault(pid_t tid, int signo)
{
	siginfo_t info = {0};
	if (signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL)
		return false;
	return ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) == 0 && info.si_signo == signo &&
	       info.si_code > 0 && !(signo == SIGBUS && info.si_code == BUS_MCEERR_AO);
}

/*
 * Takes note of tid's stop, if it has one to tell. Only stops are waited for, never exits: when the
 * process is a child of ours, how it ended is for someone else to ask.
 */
static void look_stopped(struct tracee *tracee)
{
	siginfo_t info = {0};
	if (waitid(P_PID, (id_t)tracee->tid, &info, WSTOPPED | WNOHANG | __WALL) != 0) {
		tracee->gone = errno == ECHILD;
	} else if (info.si_pid != 0) {
		tracee->stopped = true;
		/* Stopped by a signal on its way: PTRACE_DETACH hands it on. An event stop has its
		 * number above the signal's. */
		if (info.si_status >> 8 == 0 && !process_is_fault(tracee->tid, info.si_status))
			tracee->signal = info.si_status;
	} else {
		tracee->gone = process_has_exited(tracee->tid);
	}
}

void process_reap(pid_t pid)
{
	char path[64];
	siginfo_t info;
	struct dirent *entry;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (tid > 0 && tid != pid)
			waitid(P_PID, (id_t)tid, &info, WEXITED | WNOHANG | __WALL);
	}
	if (dir)
		closedir(dir);
	/* The process itself comes last, and is left to its parent where that is us. */
	if (status_pid(pid, "PPid") != getpid())
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | __WALL);
}

/* Waits until all seized threads have stopped or gone, or the time is over. */
static void wait_stopped(struct process *p, int timeout_ms)
{
	int64_t deadline = clock_ms() + timeout_ms;
	struct timespec pause = {.tv_nsec = 20000};
	for (size_t i = 0; i < p->tracee_count;) {
		struct tracee *tracee = &p->tracees[i];
		if (!tracee->stopped && !tracee->gone)
			look_stopped(tracee);
		if (tracee->stopped || tracee->gone || clock_ms() >= deadline) {
			i++;
			continue;
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < 1000000)
			pause.tv_nsec *= 2;
	}
}

static enum status stop_all(struct process *p, struct notes *notes, struct error *err)
{
	bool more = true;
	for (int pass = 0; more; pass++) {
		if (pass == PASSES_MAX)
			return error_set(
				err, ERROR_LIMIT,
				"process %d starts threads faster than they can be stopped",
				p->pid);
		if (seize_new(p, &more, err) != OK)
			return FAILED;
		wait_stopped(p, STOP_TIMEOUT_MS);
	}
	for (size_t i = 0; i < p->tracee_count; i++) {
		const struct tracee *tracee = &p->tracees[i];
		if (tracee->stopped && (!p->alive || tracee->tid == p->pid))
			p->alive = tracee->tid;
		if (!tracee->stopped && !tracee->gone)
			notes_add(notes, "target", 0,
				  "thread %d does not stop (it sleeps in the kernel): no registers",
				  tracee->tid);
	}
	if (!p->alive && process_has_exited(p->pid))
		return error_set(err, ERROR_IO, "process %d has ended", p->pid);
	if (!p->alive)
		return error_set(err, ERROR_IO,
				 "process %d does not stop: all of its threads sleep in the kernel",
				 p->pid);
	return OK;
}

/*
 * A sleep that the stop has interrupted goes on by a call that the program never made, restart_syscall, and a
 * filter may kill for that one. Where there is a filter the sleep ends instead, as if a signal had come: with
 * EINTR (Linux arch/x86/kernel/signal.c, arch_do_signal_or_restart; arm64 is left as it is). Signals
 * interrupt the sleeps of a Go program all the time.
 */
static void end_sleep(const struct tracee *tracee)
{
#ifdef __x86_64__
	enum { ERESTART_RESTARTBLOCK = 516 }; /* Linux include/linux/errno.h */
	struct user_regs_struct regs;
	struct iovec iov = {&regs, sizeof(regs)};
	char seccomp[8];
	if (ptrace(PTRACE_GETREGSET, tracee->tid, (void *)NT_PRSTATUS, &iov) != 0 ||
	    iov.iov_len != sizeof(regs) || (int64_t)regs.orig_rax < 0 ||
	    (int64_t)regs.rax != -ERESTART_RESTARTBLOCK ||
	    !process_status_field(tracee->tid, "Seccomp", seccomp, sizeof(seccomp)) ||
	    strcmp(seccomp, "2") != 0)
		return;
	regs.rax = (uint64_t)-EINTR;
	/* where that fails it has just been killed */
	(void)ptrace(PTRACE_SETREGSET, tracee->tid, (void *)NT_PRSTATUS, &iov);
#else
	(void)tracee;
#endif
}

void process_resume(struct process *process)
{
	bool gone = false;
	/* Only a stopped thread can be let go, and after a failure some may not be stopped yet. */
	wait_stopped(process, LATE_TIMEOUT_MS);
	for (size_t i = 0; i < process->tracee_count; i++) {
		struct tracee *tracee = &process->tracees[i];
		if (tracee->stopped)
			end_sleep(tracee);
		if (tracee->stopped &&
		    ptrace(PTRACE_DETACH, tracee->tid, NULL, (void *)(intptr_t)tracee->signal) != 0)
			tracee->gone = true;
		gone = gone || tracee->gone;
	}
	if (gone)
		process_reap(process->pid);
	for (size_t i = 0; i < process->late_count; i++)
		syscall(SYS_tgkill, process->pid, process->late[i].tid, process->late[i].signo);
	process->tracee_count = process->late_count = 0;
}

void process_free(struct process *process)
{
	if (!process)
		return;
	process_resume(process);
	free(process->late);
	if (process->mem >= 0)
		close(process->mem);
	free(process->tracees);
	free(process->areas);
	free(process);
}

static void cleanup_process(struct process **p)
{
	process_free(*p);
}

static bool read_regs(pid_t tid, enum arch arch, struct regs *ret, size_t *ret_size)
{
	uint8_t buf[512];
	struct iovec iov = {buf, sizeof(buf)};
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &iov) != 0)
		return false;
	*ret_size = iov.iov_len;
	if (!regs_from_kernel(arch, buf, iov.iov_len, ret))
		return false;
	iov = (struct iovec){buf, sizeof(buf)};
	if (arch == ARCH_ARM64 && ptrace(PTRACE_GETREGSET, tid, (void *)NT_ARM_TLS, &iov) == 0 &&
	    iov.iov_len >= 8)
		memcpy(&ret->tls, buf, 8);
	return true;
}

/* The threads with their registers, the main one first. */
static enum status take_threads(struct process *p, struct target *t, struct error *err)
{
#ifdef __aarch64__
	t->arch = ARCH_ARM64;
#else
	t->arch = ARCH_AMD64;
#endif
	t->threads = calloc(p->tracee_count, sizeof(*t->threads));
	if (!t->threads)
		return error_nomem(err);
	for (size_t i = 0; i < p->tracee_count; i++) {
		struct thread thread = {.tid = p->tracees[i].tid};
		size_t size = 0;
		if (p->tracees[i].gone)
			continue;
		thread.has_regs = p->tracees[i].stopped &&
				  read_regs(thread.tid, t->arch, &thread.regs, &size);
		if (!thread.has_regs && size)
			return error_set(
				err, ERROR_UNSUPPORTED,
				"process %d is a 32-bit program: only 64-bit ones are read",
				p->pid);
		t->threads[t->thread_count++] = thread;
		if (thread.tid == p->pid) {
			t->threads[t->thread_count - 1] = t->threads[0];
			t->threads[0] = thread;
		}
	}
	return OK;
}

/* One line of /proc/PID/maps: start-end perms offset dev inode path. */
static enum status take_map(struct process *p, struct target *t, const char *line, size_t *cap,
			    struct error *err)
{
	uint64_t start, end, offset;
	char perms[5];
	int path = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &start, &end, perms,
		   &offset, &path) < 4 ||
	    !path || start >= end)
		return error_set(err, ERROR_FORMAT, "/proc/%d/maps: unknown line", p->pid);
	const char *name = line + path;
	size_t n = strcspn(name, "\n");
	/* The kernel's own pages other than the vDSO cannot be read. */
	bool kernel = strncmp(name, "[v", 2) == 0 && strncmp(name, "[vdso]", 6) != 0;
	struct area area = {start, end, perms[1] == 'w', perms[2] == 'x'};
	if (perms[0] == 'r' && !kernel && !ARRAY_PUSH(p->areas, p->area_count, p->area_cap, area))
		return error_nomem(err);
	if (name[0] != '/')
		return OK;
	struct mapping mapping = {start, end, offset, strndup(name, n)};
	if (!mapping.path || !ARRAY_PUSH(t->mappings, t->mapping_count, *cap, mapping)) {
		free(mapping.path);
		return error_nomem(err);
	}
	return OK;
}

static enum status take_maps(struct process *p, struct target *t, struct error *err)
{
	__attribute__((cleanup(close_file))) FILE *f = proc_open(p->alive, "maps");
	AUTO_FREE char *line = NULL;
	size_t line_cap = 0, cap = 0, count = 0;
	if (!f)
		return error_sys(err, "/proc/%d/maps", p->alive);
	while (getline(&line, &line_cap, f) > 0) {
		if (++count > MAPS_MAX)
			return error_set(err, ERROR_LIMIT, "process %d has more than %d mappings",
					 p->pid, MAPS_MAX);
		if (take_map(p, t, line, &cap, err) != OK)
			return FAILED;
	}
	return feof(f) ? OK : error_sys(err, "/proc/%d/maps", p->alive);
}

static void take_auxv(struct process *p, struct notes *notes)
{
	__attribute__((cleanup(close_file))) FILE *f = proc_open(p->alive, "auxv");
	uint8_t buf[4096];
	size_t n = f ? fread(buf, 1, sizeof(buf), f) : 0;
	if (!n)
		notes_add(notes, "target", 0, "/proc/%d/auxv cannot be read", p->alive);
	auxv_parse(buf, n, &p->auxv);
}

/* What is known before anything is touched. */
static enum status look_first(pid_t *pid, struct error *err)
{
	char text[32];
	pid_t group = status_pid(*pid, "Tgid");
	if (!group)
		return error_set(err, ERROR_NOT_FOUND, "no process has the number %d", *pid);
	if (group == getpid())
		return error_set(err, ERROR_UNSUPPORTED, "process %d is this program itself", *pid);
	*pid = group;
	if (!process_status_field(group, "VmSize", text, sizeof(text)) &&
	    !process_has_exited(group))
		return error_set(err, ERROR_UNSUPPORTED, "process %d is a kernel thread", group);
	return OK;
}

enum status process_open(pid_t pid, struct target *target, struct notes *notes,
			 struct process **ret, struct error *err)
{
	if (look_first(&pid, err) != OK)
		return FAILED;
	__attribute__((cleanup(cleanup_process))) struct process *p = calloc(1, sizeof(*p));
	if (!p)
		return error_nomem(err);
	p->mem = -1;
	p->pid = pid;
	if (stop_all(p, notes, err) != OK || take_threads(p, target, err) != OK ||
	    take_maps(p, target, err) != OK)
		return FAILED;
	take_auxv(p, notes);
	char path[64], name[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", p->alive);
	p->mem = open(path, O_RDONLY | O_CLOEXEC);
	target->pid = pid;
	if (process_status_field(pid, "Name", name, sizeof(name)) &&
	    !(target->command = strdup(name)))
		return error_nomem(err);
	*ret = TAKE(p);
	return OK;
}

/* How many of the n bytes at addr could be read: all before the first missing one. */
static size_t read_memory(struct process *p, uint64_t addr, uint8_t *buf, size_t n)
{
	size_t got = 0;
	while (got < n && !p->no_vm_readv) {
		struct iovec to = {buf + got, n - got};
		struct iovec from = {(void *)(uintptr_t)(addr + got), n - got};
		ssize_t part = process_vm_readv(p->alive, &to, 1, &from, 1, 0);
		if (part < 0 && (errno == ENOSYS || errno == EPERM))
			p->no_vm_readv = true; /* a sandbox around us forbids it */
		if (part <= 0)
			break;
		got += (size_t)part;
	}
	while (got < n && p->mem >= 0) {
		ssize_t part = pread(p->mem, buf + got, n - got, (off_t)(addr + got));
		if (part < 0 && errno == EINTR)
			continue;
		if (part <= 0)
			break;
		got += (size_t)part;
	}
	return got;
}

enum status process_peek(struct process *process, uint64_t addr, void *buf, size_t n,
			 struct error *err)
{
	size_t got = read_memory(process, addr, buf, n);
	if (got < n)
		return error_at(err, ERROR_FAULT, addr + got,
				"the process has no readable memory at 0x%" PRIx64, addr + got);
	return OK;
}

static enum status fetch(void *context, uint64_t addr, uint64_t offset, void *buf, size_t n,
			 struct error *err)
{
	(void)offset;
	return process_peek(context, addr, buf, n, err);
}

enum status process_lay(struct process *process, struct memory *memory, struct error *err)
{
	for (size_t i = 0; i < process->area_count; i++) {
		const struct area *area = &process->areas[i];
		struct memory_range range = {
			.start = area->start,
			.end = area->end,
			.origin = ORIGIN_LIVE,
			.writable = area->writable,
			.executable = area->executable,
		};
		if (memory_add(memory, &range, fetch, process, err) != OK)
			return FAILED;
	}
	return OK;
}

enum status process_changed_pages(const struct process *process, uint64_t start, uint64_t end,
				  size_t *ret, struct error *err)
{
	/* Linux Documentation/admin-guide/mm/pagemap.rst: a word for each page. */
	const uint64_t file_page = UINT64_C(1) << 61, swapped = UINT64_C(1) << 62,
		       present = UINT64_C(1) << 63;
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t page = start / page_size, end_page = (end + page_size - 1) / page_size;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", process->alive);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t changed = 0;
	while (page < end_page) {
		uint64_t words[512];
		size_t n = end_page - page < 512 ? (size_t)(end_page - page) : 512;
		if (fd < 0 || file_read(fd, words, n * 8, page * 8) != (ssize_t)(n * 8))
			return error_sys(err, "%s", path);
		for (size_t i = 0; i < n; i++)
			if ((words[i] & swapped) ||
			    ((words[i] & present) && !(words[i] & file_page)))
				changed++;
		page += n;
	}
	*ret = changed;
	return OK;
}

pid_t process_pid(const struct process *process)
{
	return process->pid;
}

const struct auxv *process_auxv(const struct process *process)
{
	return &process->auxv;
}

enum status process_exe(const struct process *process, int *ret_fd, uint64_t *ret_size,
			char **ret_path, struct error *err)
{
	char link[64], path[4096];
	snprintf(link, sizeof(link), "/proc/%d/exe", process->alive);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return error_sys(err, "%s", link);
	path[n] = '\0';
	AUTO_FREE char *copy = strdup(path);
	if (!copy)
		return error_nomem(err);
	if (file_open(NULL, link, ret_fd, ret_size, err) != OK)
		return FAILED;
	*ret_path = TAKE(copy);
	return OK;
}
