/*
 * Runs a program that may not make one system call: a seccomp filter answers it by EPERM, as those of containers do,
 * or kills for it.
 * usage: without [kill:]ptrace|memfd_create|nanosleep|clock_nanosleep|restart_syscall|acct|perf_event_open PROG ARGS...
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	unsigned nr;
} calls[] = {
	{"ptrace", SYS_ptrace},
	{"memfd_create", SYS_memfd_create},
	{"nanosleep", SYS_nanosleep},
	{"clock_nanosleep", SYS_clock_nanosleep},
	{"restart_syscall", SYS_restart_syscall},
	{"acct", SYS_acct},
	{"perf_event_open", SYS_perf_event_open},
};

int main(int argc, char **argv)
{
	enum { CALLS = sizeof(calls) / sizeof(calls[0]) };
	if (argc < 3)
		return 64;
	unsigned action = SECCOMP_RET_ERRNO | EPERM, i = 0;
	const char *name = argv[1];
	if (strncmp(name, "kill:", 5) == 0) {
		name += 5;
		action = SECCOMP_RET_KILL_PROCESS;
	}
	while (i < CALLS && strcmp(name, calls[i].name) != 0)
		i++;
	if (i == CALLS)
		return 64;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
		perror("seccomp");
		return 70;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 70;
}
