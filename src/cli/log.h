/*
 * Logs with what Go printed, as explain takes them: alone, or beside a core.
 */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include <stdbool.h>

#include "cli/command.h"

/* Whether what names a text rather than a core, an executable or a process: "-", a pipe, or a file that
 * begins like neither. */
bool log_is_text(const char *what);

/* explain on a text. */
int log_explain(const struct options *options);

#endif
