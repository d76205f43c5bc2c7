/* Bytes as a version text, and as the data of a core whose executable is missing. */
#include <stdlib.h>

#include "go/version.h"
#include "unit/go/forge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct go_version version;
	struct forge forge;
	char *text = malloc(size + 1);
	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	if (go_version_parse(text, &version)) {
		if (version.minor < 0 || version.patch < 0 ||
		    strlen(version.text) >= sizeof(version.text))
			abort();
		(void)go_version_has_experiment(&version, "noswissmap");
	}
	free(text);
	forge_init(&forge);
	if (size && forge_bytes(&forge, 0x10000, data, size) &&
	    go_version_read(&forge.target, &version, NULL) == OK && version.minor < 0)
		abort();
	forge_done(&forge);
	return 0;
}
