#include "target/coresettings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"

/* An environment is at most what execve takes: 6 MB of arguments and variables (MAX_ARG_STRLEN and
 * _STK_LIM / 4 * 3, fs/exec.c); few are over some KB. */
enum { ENVIRONMENT_MAX = 8 << 20 };

/* Reads up to size bytes; less only at the end of the file. */
static enum status read_all(int fd, const char *path, void *buf, size_t size, size_t *ret_len,
			    struct error *err)
{
	size_t len = 0;
	while (len < size) {
		ssize_t n = read(fd, (char *)buf + len, size - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, "%s", path);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_len = len;
	return OK;
}

/* Reads a file of /proc into buf as a string without its last newline; false, and a note, when it cannot be
 * read. */
static bool read_proc(const char *path, char *buf, size_t size, struct notes *notes)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct error err;
	size_t n = 0;
	if (fd < 0 || read_all(fd, path, buf, size - 1, &n, &err) != OK) {
		if (fd < 0)
			(void)error_sys(&err, "%s", path);
		notes_add_error(notes, "target", "core settings", &err);
		return false;
	}
	if (n == 0) {
		/* Every one of these files has at least its newline. */
		notes_add(notes, "target", 0, "core settings: %s is empty", path);
		return false;
	}
	if (buf[n - 1] == '\n')
		n--;
	buf[n] = '\0';
	return true;
}

static void proc_path(pid_t pid, const char *name, char path[64])
{
	if (pid)
		snprintf(path, 64, "/proc/%ld/%s", (long)pid, name);
	else
		snprintf(path, 64, "/proc/self/%s", name);
}

void core_settings_pattern(struct core_settings *settings, const char *pattern)
{
	settings->has_pattern = true;
	snprintf(settings->pattern, sizeof(settings->pattern), "%s", pattern);
	if (!pattern[0])
		settings->goes = CORE_NOWHERE;
	else if (pattern[0] == '|')
		settings->goes = CORE_PROGRAM;
	else if (strchr(pattern, '/'))
		settings->goes = CORE_DIR;
	else
		settings->goes = CORE_WORKING_DIR;
}

struct core_settings core_settings_read(pid_t pid, struct notes *notes)
{
	struct core_settings s = {0};
	struct rlimit limit;
	char text[256], path[64];
	if (prlimit(pid, RLIMIT_CORE, NULL, &limit) == 0) {
		s.has_limit = true;
		s.soft = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
		s.hard = limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max;
	}
	if (read_proc("/proc/sys/kernel/core_pattern", text, sizeof(text), notes)) {
		core_settings_pattern(&s, text);
		/* core(5): with core_uses_pid an empty pattern makes a file called ".PID". */
		char uses_pid[16];
		if (s.goes == CORE_NOWHERE &&
		    read_proc("/proc/sys/kernel/core_uses_pid", uses_pid, sizeof(uses_pid),
			      notes) &&
		    uses_pid[0] == '1')
			s.goes = CORE_WORKING_DIR;
	}
	proc_path(pid, "coredump_filter", path);
	if (read_proc(path, text, sizeof(text), notes)) {
		s.has_filter = true;
		s.filter = (uint32_t)strtoul(text, NULL, 16);
	}
	return s;
}

bool core_settings_dir(const struct core_settings *settings, char *ret, size_t size)
{
	const char *slash = strrchr(settings->pattern, '/');
	size_t n = slash ? (size_t)(slash - settings->pattern) : 0;
	if (settings->goes != CORE_DIR || !slash || n >= size || memchr(settings->pattern, '%', n))
		return false;
	memcpy(ret, settings->pattern, n);
	ret[n] = '\0';
	if (!n)
		snprintf(ret, size, "/");
	return true;
}

/* All of a process's environment, NUL after each variable. */
static enum status read_environment(pid_t pid, char **ret, size_t *ret_len, struct error *err)
{
	char path[64];
	proc_path(pid, "environ", path);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "%s", path);
	size_t len = 0, n, cap = 1 << 16;
	AUTO_FREE char *all = malloc(cap + 1);
	if (!all)
		return error_nomem(err);
	while (read_all(fd, path, all + len, cap - len, &n, err) == OK) {
		len += n;
		if (len < cap || cap == ENVIRONMENT_MAX) {
			all[len] = '\0';
			*ret = TAKE(all);
			*ret_len = len;
			return OK;
		}
		char *grown = realloc(all, cap * 2 + 1);
		if (!grown)
			return error_nomem(err);
		all = grown;
		cap *= 2;
	}
	return FAILED;
}

enum status environment_read(pid_t pid, const char *name, char *ret, size_t size, struct error *err)
{
	AUTO_FREE char *all = NULL;
	size_t len = 0, name_len = strlen(name);
	if (!pid) {
		const char *value = getenv(name);
		if (!value)
			return error_set(err, ERROR_NOT_FOUND, "%s is not set", name);
		snprintf(ret, size, "%s", value);
		return OK;
	}
	if (read_environment(pid, &all, &len, err) != OK)
		return FAILED;
	for (size_t at = 0; at < len; at += strlen(all + at) + 1) {
		if (strncmp(all + at, name, name_len) == 0 && all[at + name_len] == '=') {
			snprintf(ret, size, "%s", all + at + name_len + 1);
			return OK;
		}
	}
	return error_set(err, ERROR_NOT_FOUND, "%s is not set in process %ld", name, (long)pid);
}
