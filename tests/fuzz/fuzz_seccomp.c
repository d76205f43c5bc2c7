/* A call, then a seccomp filter that is run on it. */
#include "target/seccomp.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct seccomp_data data;
	struct sock_filter *code;
	uint32_t value = 0;
	if (size < sizeof(data))
		return 0;
	memcpy(&data, bytes, sizeof(data));
	size_t count = (size - sizeof(data)) / sizeof(*code);
	/* exactly as long as it is, for the sanitizer to see what is beyond */
	code = malloc(count * sizeof(*code) + !count);
	if (!code)
		return 0;
	memcpy(code, bytes + sizeof(data), count * sizeof(*code));
	if (seccomp_run(code, count, &data, &value, NULL) == OK && count == 0)
		abort();
	free(code);
	return 0;
}
