#include "cli/source.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

static char *read_file(const char *path, size_t *ret_size)
{
	struct stat st;
	AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > SOURCE_FILE_MAX)
		return NULL;
	size_t size = (size_t)st.st_size, got = 0;
	AUTO_FREE char *data = malloc(size + 1);
	while (data && got < size) {
		ssize_t n = read(fd, data + got, size - got);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	*ret_size = got;
	return TAKE(data);
}

bool source_line(void *context, const char *file, int32_t line, struct text *text)
{
	const char *sysroot = context;
	char path[4096];
	size_t size;
	int n = snprintf(path, sizeof(path), "%s%s", sysroot ? sysroot : "", file);
	if (n < 0 || (size_t)n >= sizeof(path) || file[0] != '/')
		return false;
	AUTO_FREE char *data = read_file(path, &size);
	if (!data)
		return false;
	const char *p = data, *end = data + size;
	for (int32_t at = 1; p && p < end; at++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		if (at == line) {
			text_append_bytes(text, p, (size_t)((newline ? newline : end) - p));
			return true;
		}
		p = newline ? newline + 1 : NULL;
	}
	return false;
}
