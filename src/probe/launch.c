#include "probe/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Goes to where the program is to start, and says so as a shell does: programs may believe PWD. */
static int enter(const char *directory)
{
	char path[PATH_MAX];
	return chdir(directory) == 0 && getcwd(path, sizeof(path)) ? setenv("PWD", path, 1) : -1;
}

/* The child: waits until it is seized, which the end of file of go says, then becomes the program;
 * errors tells why it could not. */
static _Noreturn void become(char **argv, const char *directory, const int go[2], int errors)
{
	char byte;
	close(go[1]);
	while (read(go[0], &byte, 1) < 0 && errno == EINTR)
		;
	/* with a path, not the shell that execvp has for a file that the kernel cannot run */
	if (!directory || enter(directory) == 0) {
		if (strchr(argv[0], '/'))
			execv(argv[0], argv);
		else
			execvp(argv[0], argv);
	}
	int why = errno;
	if (write(errors, &why, sizeof(why)) < 0)
		_exit(126);
	_exit(127);
}

/* Waits for the exec stop of a seized child. */
static enum status await_exec(pid_t pid, const char *name, int errors, struct error *err)
{
	for (;;) {
		int status, why;
		pid_t got = waitpid(pid, &status, __WALL);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_sys(err, "waiting for %.100s", name);
		if (!WIFSTOPPED(status)) {
			if (read(errors, &why, sizeof(why)) == sizeof(why)) {
				errno = why;
				return error_sys(err, "%.160s", name);
			}
			return error_set(err, ERROR_IO, "%.160s ended before it began", name);
		}
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8))
			return OK;
		/* a signal before the exec: it goes on its way */
		int signo = status >> 16 ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_CONT, pid, NULL, (void *)(intptr_t)signo) != 0)
			return error_sys(err, "cannot continue %.100s", name);
	}
}

static enum status seize_child(pid_t pid, int options, struct error *err)
{
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(intptr_t)(options | PTRACE_O_TRACEEXEC)) == 0)
		return OK;
	return error_sys(err, "the program may not be traced (kernel.yama.ptrace_scope, a seccomp "
			      "filter, or a tracer of ours)");
}

enum status launch(char **argv, const char *directory, int options, pid_t *ret, struct error *err)
{
	int go[2], errors[2];
	if (pipe2(go, O_CLOEXEC) != 0)
		return error_sys(err, "pipe");
	AUTO_FD int go_read = go[0], go_write = go[1];
	if (pipe2(errors, O_CLOEXEC) != 0)
		return error_sys(err, "pipe");
	AUTO_FD int errors_read = errors[0], errors_write = errors[1];
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return error_sys(err, "fork");
	if (pid == 0)
		become(argv, directory, (const int[2]){go_read, go_write}, errors_write);
	close(TAKE_FD(errors_write));
	enum status status = seize_child(pid, options, err);
	if (status == OK) {
		close(TAKE_FD(go_write));
		status = await_exec(pid, argv[0], errors_read, err);
	}
	if (status != OK) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
			;
		return FAILED;
	}
	*ret = pid;
	return OK;
}
