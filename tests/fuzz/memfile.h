/* A file of given bytes that is nowhere on a disk, for fuzz targets of what reads files. */
#ifndef TESTS_FUZZ_MEMFILE_H
#define TESTS_FUZZ_MEMFILE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMFILE_PATH = 32 };

/* The file's descriptor; a path by which it can be opened again goes to path. */
static inline int memfile_new(const uint8_t *data, size_t size, char path[MEMFILE_PATH])
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, MEMFILE_PATH, "/proc/self/fd/%d", fd);
	return fd;
}

/* Closes it; a descriptor that was opened meanwhile and left open is a finding. */
static inline void memfile_close(int fd)
{
	close(fd);
	int next = dup(STDIN_FILENO);
	if (next > fd || next < 0)
		abort();
	close(next);
}

#endif
