#include "target/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/internal.h"

/* The registers and words of a filter that runs. */
struct machine {
	uint32_t a, x, mem[BPF_MEMWORDS];
};

/* An arithmetic instruction; false for one that seccomp does not know. *ret_killed: division by zero,
 * which ends a filter with 0, SECCOMP_RET_KILL_THREAD (Linux net/core/filter.c, bpf_convert_filter). */
static bool compute(struct machine *m, const struct sock_filter *insn, bool *ret_killed)
{
	uint32_t by = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;
	switch (BPF_OP(insn->code)) {
	case BPF_ADD:
		m->a += by;
		return true;
	case BPF_SUB:
		m->a -= by;
		return true;
	case BPF_MUL:
		m->a *= by;
		return true;
	case BPF_DIV:
		*ret_killed = by == 0;
		m->a = by ? m->a / by : 0;
		return true;
	case BPF_AND:
		m->a &= by;
		return true;
	case BPF_OR:
		m->a |= by;
		return true;
	case BPF_XOR:
		m->a ^= by;
		return true;
	case BPF_LSH:
		m->a <<= by & 31;
		return true;
	case BPF_RSH:
		m->a >>= by & 31;
		return true;
	case BPF_NEG:
		m->a = -m->a;
		return true;
	default:
		return false;
	}
}

/* A load into *reg; false for one that seccomp does not know. */
static bool load(struct machine *m, uint32_t *reg, const struct sock_filter *insn,
		 const struct seccomp_data *data)
{
	bool ok = BPF_SIZE(insn->code) == BPF_W;
	switch (BPF_MODE(insn->code)) {
	case BPF_ABS:
		ok = ok && reg == &m->a && insn->k < sizeof(*data) && insn->k % 4 == 0;
		if (ok)
			memcpy(reg, (const char *)data + insn->k, sizeof(*reg));
		return ok;
	case BPF_LEN:
		*reg = sizeof(*data);
		return ok;
	case BPF_IMM:
		*reg = insn->k;
		return ok;
	case BPF_MEM:
		ok = ok && insn->k < BPF_MEMWORDS;
		if (ok)
			*reg = m->mem[insn->k];
		return ok;
	default:
		return false;
	}
}

/* How many instructions a jump skips; UINT64_MAX for one that seccomp does not know. */
static uint64_t skipped(const struct machine *m, const struct sock_filter *insn)
{
	uint32_t with = BPF_SRC(insn->code) == BPF_X ? m->x : insn->k;
	switch (BPF_OP(insn->code)) {
	case BPF_JA:
		return insn->k;
	case BPF_JEQ:
		return m->a == with ? insn->jt : insn->jf;
	case BPF_JGT:
		return m->a > with ? insn->jt : insn->jf;
	case BPF_JGE:
		return m->a >= with ? insn->jt : insn->jf;
	case BPF_JSET:
		return m->a & with ? insn->jt : insn->jf;
	default:
		return UINT64_MAX;
	}
}

enum status seccomp_run(const struct sock_filter *code, size_t count,
			const struct seccomp_data *data, uint32_t *ret, struct error *err)
{
	struct machine m = {0};
	bool ok = true, killed = false;
	/* jumps only go on: each step is a later instruction */
	for (size_t pc = 0; pc < count && ok && !killed; pc++) {
		const struct sock_filter *insn = &code[pc];
		uint64_t skip = 0;
		switch (BPF_CLASS(insn->code)) {
		case BPF_LD:
			ok = load(&m, &m.a, insn, data);
			break;
		case BPF_LDX:
			ok = load(&m, &m.x, insn, data);
			break;
		case BPF_ST:
		case BPF_STX:
			ok = insn->k < BPF_MEMWORDS;
			if (ok)
				m.mem[insn->k] = BPF_CLASS(insn->code) == BPF_ST ? m.a : m.x;
			break;
		case BPF_ALU:
			ok = compute(&m, insn, &killed);
			break;
		case BPF_JMP:
			skip = skipped(&m, insn);
			ok = skip < count - pc;
			pc += ok ? skip : 0;
			break;
		case BPF_RET:
			*ret = BPF_RVAL(insn->code) == BPF_A ? m.a : insn->k;
			return OK;
		case BPF_MISC:
			if (BPF_MISCOP(insn->code) == BPF_TAX)
				m.x = m.a;
			else
				m.a = m.x;
			break;
		}
	}
	if (!killed)
		return error_set(err, ERROR_FORMAT, "a seccomp filter is malformed");
	*ret = SECCOMP_RET_KILL_THREAD;
	return OK;
}

/* What comes of a call that a filter does not let through. */
static const char *consequence(uint32_t action)
{
	switch (action) {
	case SECCOMP_RET_ERRNO:
		return "forbids it";
	case SECCOMP_RET_TRAP:
		return "answers it by SIGSYS";
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_USER_NOTIF:
		return "has another program decide";
	default:
		return "kills for it";
	}
}

static enum status check_filter(const struct sock_filter *code, size_t len,
				const struct seccomp_call *calls, size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		struct seccomp_data data = {.nr = (int)calls[i].nr, .arch = AUDIT_ARCH_X86_64};
		memcpy(data.args, calls[i].args, sizeof(data.args));
		uint32_t value = 0;
		if (seccomp_run(code, len, &data, &value, err) != OK)
			return FAILED;
		uint32_t action = value & SECCOMP_RET_ACTION_FULL;
		if (action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG)
			return error_set(err, ERROR_UNSUPPORTED,
					 "the process may not call %s: its seccomp filter %s; "
					 "nothing was changed",
					 calls[i].name, consequence(action));
	}
	return OK;
}

/* Reads a thread's filters and runs each. *ret_read: whether all could be read, on FAILED too. */
static enum status check_filters(pid_t tid, const struct seccomp_call *calls, size_t count,
				 bool *ret_read, struct error *err)
{
	/* all of a thread's together have at most 32768 instructions: Linux kernel/seccomp.c,
	 * MAX_INSNS_PER_PATH, of which each filter takes 4 and its own */
	enum { FILTERS_MAX = (1 << 18) / 8 };
	AUTO_FREE struct sock_filter *code = calloc(BPF_MAXINSNS, sizeof(*code));
	*ret_read = true;
	if (!code)
		return error_nomem(err);
	for (uintptr_t i = 0; i < FILTERS_MAX; i++) {
		long len = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, NULL);
		if (len < 0 && errno == ENOENT && i > 0)
			return OK;
		*ret_read = len > 0 && len <= BPF_MAXINSNS &&
			    ptrace(PTRACE_SECCOMP_GET_FILTER, tid, (void *)i, code) == len;
		if (!*ret_read)
			return OK;
		if (check_filter(code, (size_t)len, calls, count, err) != OK)
			return FAILED;
	}
	*ret_read = false;
	return OK;
}

/* What the child that tries the calls tells before and after each. */
struct trial {
	uint32_t call;
	int sys; /* errno of one that failed */
};

static _Noreturn void try_calls(const struct seccomp_call *calls, size_t count, int out)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core where it is killed */
	for (uint32_t i = 0; i < count; i++) {
		struct trial trial = {.call = i};
		const uint64_t *a = calls[i].args;
		if (write(out, &trial, sizeof(trial)) != sizeof(trial))
			_exit(1);
		/* the kernel's own answers to what is not there, is there, or has changed */
		if (syscall(calls[i].nr, a[0], a[1], a[2], a[3], a[4], a[5]) >= 0 ||
		    errno == EBADF || errno == EEXIST || errno == EAGAIN)
			continue;
		trial.sys = errno;
		if (write(out, &trial, sizeof(trial)) != sizeof(trial))
			_exit(1);
		_exit(1);
	}
	_exit(0);
}

/* Makes the calls in a child of ours, which has our filters. */
static enum status try_in_child(const struct seccomp_call *calls, size_t count, struct error *err)
{
	/* For a call that another program decides on, and does not; they take microseconds. */
	enum { TRIAL_MS = 5000 };
	int fds[2], status = -1;
	struct trial trial = {0}, next;
	if (pipe2(fds, O_CLOEXEC) != 0)
		return error_sys(err, "pipe");
	AUTO_FD int in = fds[0], out = fds[1];
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, "fork");
	if (pid == 0)
		try_calls(calls, count, out);
	close(TAKE_FD(out));
	struct pollfd wait = {.fd = in, .events = POLLIN};
	int got;
	/* until the child's end of the pipe closes, when it ends */
	while ((got = poll(&wait, 1, TRIAL_MS)) != 0) {
		if (got < 0 && errno != EINTR)
			break;
		if (got > 0 && read(in, &next, sizeof(next)) != sizeof(next))
			break;
		trial = got > 0 ? next : trial;
	}
	if (got <= 0)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return OK;
	uint32_t action = trial.sys  ? SECCOMP_RET_ERRNO
			  : got <= 0 ? SECCOMP_RET_USER_NOTIF
				     : SECCOMP_RET_KILL_PROCESS;
	return error_set(err, ERROR_UNSUPPORTED,
			 "the process may not call %s: its seccomp filter, which is ours too, %s; "
			 "nothing was changed",
			 calls[trial.call].name, consequence(action));
}

/* A number in /proc/TID/status; -1 where the kernel tells none. */
static long status_number(pid_t tid, const char *name)
{
	char text[32];
	return process_status_field(tid, name, text, sizeof(text)) ? strtol(text, NULL, 10) : -1;
}

enum status process_may_call(const struct process *process, bool inherited,
			     const struct seccomp_call *calls, size_t count, struct error *err)
{
	long ours = status_number(getpid(), "Seccomp");
	long our_filters = status_number(getpid(), "Seccomp_filters");
	bool tried = false;
	for (size_t i = 0; i < process->tracee_count; i++) {
		pid_t tid = process->tracees[i].tid;
		long mode = process->tracees[i].stopped ? status_number(tid, "Seccomp") : 0;
		bool was_read = false;
		if (mode == SECCOMP_MODE_STRICT)
			return error_set(err, ERROR_UNSUPPORTED,
					 "thread %d runs in seccomp's strict mode: any call that "
					 "we need would kill it; nothing was changed",
					 tid);
		if (mode != SECCOMP_MODE_FILTER)
			continue;
		if (!inherited && check_filters(tid, calls, count, &was_read, err) != OK)
			return FAILED;
		if (was_read)
			continue;
		/* Before Linux 5.9 the kernel does not tell how many. */
		bool alike = inherited || (ours == SECCOMP_MODE_FILTER && our_filters > 0 &&
					   status_number(tid, "Seccomp_filters") == our_filters);
		if (!alike)
			return error_set(
				err, ERROR_UNSUPPORTED,
				"thread %d has a seccomp filter that may kill it for what "
				"we need, and we may not read: have CAP_SYS_ADMIN, outside "
				"of containers; nothing was changed",
				tid);
		if (!tried && try_in_child(calls, count, err) != OK)
			return FAILED;
		tried = true;
	}
	return OK;
}
