#include "go/layout.h"

#include <stddef.h>

struct layout_version {
	int min_minor, max_minor;
	bool swiss;
	struct layout layout;
};

/* Ascending by version. */
static const struct layout_version table[] = {
#include "go/layout_table.inc"
};

enum { TABLE_COUNT = sizeof(table) / sizeof(table[0]) };

const struct layout *layout_for(const struct go_version *version, bool swiss, bool *ret_exact)
{
	const struct layout_version *newest = &table[TABLE_COUNT - 1];
	if (version->minor > newest->max_minor) {
		*ret_exact = false;
		return &newest->layout;
	}
	for (size_t i = 0; i < TABLE_COUNT; i++) {
		const struct layout_version *v = &table[i];
		if (version->minor >= v->min_minor && version->minor <= v->max_minor &&
		    swiss == v->swiss) {
			*ret_exact = true;
			return &v->layout;
		}
	}
	return NULL;
}
