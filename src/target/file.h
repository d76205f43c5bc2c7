/*
 * Regular files, opened so that a hostile path does no harm, and read at offsets.
 */
#ifndef TARGET_FILE_H
#define TARGET_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* Opens path for reading: ERROR_NOT_FOUND where nothing has that name, ERROR_UNSUPPORTED with what
 * it is where it is no regular file (a FIFO or a device is not even opened), ERROR_FORMAT where it
 * is empty. With root (may be NULL) path is looked up as if root were /: neither links nor .. lead
 * out of it. The caller closes *ret_fd. */
enum status file_open(const char *root, const char *path, int *ret_fd, uint64_t *ret_size,
		      struct error *err);

/* Reads n bytes at offset, fewer only at the end of the file; -1 with errno on failure. */
ssize_t file_read(int fd, void *buf, size_t n, uint64_t offset);

#endif
