/*
 * The Go version that built a binary, and the experiments it was built with.
 */
#ifndef GO_VERSION_H
#define GO_VERSION_H

#include <stdbool.h>

#include "base/error.h"
#include "target/target.h"

struct go_version {
	int minor; /* 23 of go1.23.5 */
	int patch; /* 5; 0 where the text has none */
	char text[96]; /* as the binary has it, e.g. "go1.24.4 X:noswissmap" */
	bool from_build; /* read from .go.buildinfo; otherwise found as runtime.buildVersion's bytes */
};

/* Parses text such as "go1.23.5", "go1.24.4 X:noswissmap", "go1.27.4-X:mapsplitgroup",
 * "go1.26rc1", "devel go1.28-abcdef ..."; false when there is no go1.N in it. */
bool go_version_parse(const char *text, struct go_version *ret);

/* Whether the version text names this experiment ("noswissmap"). */
bool go_version_has_experiment(const struct go_version *version, const char *name);

/* The version of the target's program: from the build information blob in a writable segment of the
 * core or executable, else searched for in the executable. ERROR_NOT_FOUND: not a Go program. */
enum status go_version_read(struct target *target, struct go_version *ret, struct error *err);

#endif
