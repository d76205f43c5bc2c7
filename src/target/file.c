#include "target/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

/* What something that is no regular file is, and what to do about it. */
static const char *kind_of(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory: name a file in it";
	case S_IFIFO:
		return "a FIFO: write what comes out of it to a file, and name that";
	case S_IFSOCK:
		return "a socket, not a file";
	case S_IFCHR:
	case S_IFBLK:
		return "a device, not a file";
	default:
		return "of an unknown kind, not a file";
	}
}

static int open_in(int root, const char *path, int flags)
{
	if (root < 0)
		return open(path, flags);
	struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT};
	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* Opens path with flags and looks at what it got. */
static enum status open_checked(int root, const char *path, int flags, int *ret_fd,
				uint64_t *ret_size, struct error *err)
{
	AUTO_FD int fd = open_in(root, path, flags | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0) {
		enum status status = error_sys(err, "%.160s", path);
		if (err && (err->sys == ENOENT || err->sys == ENOTDIR))
			err->code = ERROR_NOT_FOUND;
		return status;
	}
	if (!S_ISREG(st.st_mode))
		return error_set(err, ERROR_UNSUPPORTED, "%.140s is %s", path, kind_of(st.st_mode));
	if (st.st_size <= 0)
		return error_set(
			err, ERROR_FORMAT,
			"%.140s is empty: was the disk full, or the limit for cores (ulimit -c) 0?",
			path);
	*ret_fd = TAKE_FD(fd);
	*ret_size = (uint64_t)st.st_size;
	return OK;
}

enum status file_open(const char *root, const char *path, int *ret_fd, uint64_t *ret_size,
		      struct error *err)
{
	AUTO_FD int root_fd = -1;
	if (root && (root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		return error_sys(err, "%.160s", root);
	/* O_PATH first: opening a device may already do something, and a FIFO may wait. The real
	 * open keeps to the same care, as the name may mean something else by then. */
	AUTO_FD int looked = -1;
	if (open_checked(root_fd, path, O_PATH, &looked, ret_size, err) != OK)
		return FAILED;
	return open_checked(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, ret_fd, ret_size, err);
}

ssize_t file_read(int fd, void *buf, size_t n, uint64_t offset)
{
	size_t got = 0;
	while (got < n) {
		if (offset > INT64_MAX - (n - got))
			break; /* no file is that long */
		ssize_t part = pread(fd, (char *)buf + got, n - got, (off_t)offset);
		if (part < 0 && errno == EINTR)
			continue;
		if (part < 0)
			return -1;
		if (part == 0)
			break;
		got += (size_t)part;
		offset += (size_t)part;
	}
	return (ssize_t)got;
}
