#include "cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "target/file.h"

/* The file's bytes, *ret_size of them, for the caller to free; NULL where there are none for us. */
static char *read_file(const char *path, size_t *ret_size, struct notes *notes)
{
	struct stat st;
	struct error err;
	AUTO_FD int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
		return NULL;
	if (fd < 0 || fstat(fd, &st) != 0) {
		(void)error_sys(&err, "%.160s", path);
		notes_add_error(notes, "cli", "source", &err);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > SOURCE_FILE_MAX)
		return NULL;
	AUTO_FREE char *data = malloc((size_t)st.st_size + 1);
	ssize_t got = data ? file_read(fd, data, (size_t)st.st_size, 0) : 0;
	if (got < 0 || got < st.st_size) {
		if (got >= 0)
			(void)error_set(&err, ERROR_IO, "%.160s: cut off", path);
		else
			(void)error_sys(&err, "%.160s", path);
		if (data)
			notes_add_error(notes, "cli", "source", &err);
		return NULL;
	}
	*ret_size = (size_t)got;
	return TAKE(data);
}

bool source_line(void *context, const char *file, int32_t line, struct text *text)
{
	const struct source *source = context;
	char path[4096];
	size_t size;
	int n = snprintf(path, sizeof(path), "%s%s", source->root ? source->root : "", file);
	if (n < 0 || (size_t)n >= sizeof(path) || file[0] != '/')
		return false;
	AUTO_FREE char *data = read_file(path, &size, source->notes);
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
