/*
 * For LD_PRELOAD: kills the program right before its n-th call of ptrace or pwrite, where the variable KILL_AT is n.
 */
#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/types.h>

static void count_call(void)
{
	static unsigned long calls;
	const char *at = getenv("KILL_AT");
	if (at && ++calls == strtoul(at, NULL, 10))
		raise(SIGKILL);
}

long ptrace(enum __ptrace_request request, ...)
{
	static long (*next)(enum __ptrace_request, ...);
	va_list args;
	va_start(args, request);
	pid_t pid = va_arg(args, pid_t);
	void *addr = va_arg(args, void *), *data = va_arg(args, void *);
	va_end(args);
	count_call();
	if (!next)
		next = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
	return next(request, pid, addr, data);
}

ssize_t pwrite(int fd, const void *buf, size_t n, off_t at)
{
	static ssize_t (*next)(int, const void *, size_t, off_t);
	count_call();
	if (!next)
		next = (ssize_t(*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT, "pwrite");
	return next(fd, buf, n, at);
}
