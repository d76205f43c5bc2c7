/*
 * Compressed cores: zstd, lz4 frames and xz, as systemd-coredump and people write them.
 *
 * None of them has random access in one frame, so a core is decoded once, into a file without a name
 * that is as sparse as the core was.
 */
#ifndef TARGET_COMPRESSED_H
#define TARGET_COMPRESSED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"

/* What the n bytes at the start of a file say: "zstd", "lz4", "xz", another compression's name, or
 * NULL for none. */
const char *compressed_kind(const void *head, size_t n);

/*
 * Decodes the core in fd, size bytes of it, into a file in tmpdir (NULL: $TMPDIR, then /var/tmp) that
 * vanishes with its descriptor; the caller closes *ret_fd. One that is cut off or damaged is decoded
 * as far as it goes, with a note. ERROR_FORMAT for what holds no ELF core (told from its first
 * bytes), ERROR_UNSUPPORTED for other compressions, ERROR_LIMIT for bombs.
 */
enum status compressed_decode(int fd, uint64_t size, const char *tmpdir, struct notes *notes,
			      int *ret_fd, uint64_t *ret_size, struct error *err);

#endif
