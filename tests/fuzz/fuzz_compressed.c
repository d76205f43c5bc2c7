/* Bytes as a compressed core: what comes out is a file that can be read as far as it says, or a reason. */
#include <stdlib.h>

#include "fuzz/memfile.h"
#include "target/compressed.h"
#include "target/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notes notes = NOTES_INIT;
	struct error err = {0};
	char path[MEMFILE_PATH];
	uint8_t byte;
	uint64_t plain_size;
	int plain, fd = memfile_new(data, size, path);
	if (compressed_decode(fd, size, "/tmp", &notes, &plain, &plain_size, &err) == OK) {
		if (!plain_size || file_read(plain, &byte, 1, plain_size - 1) != 1 ||
		    file_read(plain, &byte, 1, plain_size) != 0)
			abort();
		close(plain);
	} else if (err.code == ERROR_NONE || !err.text[0]) {
		abort();
	}
	notes_done(&notes);
	memfile_close(fd);
	return 0;
}
