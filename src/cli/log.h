/*
 * Logs with what Go printed, as explain takes them: alone, or beside a core.
 */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include <stdbool.h>

#include "base/error.h"
#include "cli/command.h"
#include "cli/session.h"
#include "verdict/log.h"

/* Whether what names a text rather than a core, an executable or a process: "-", a pipe, or a file that
 * begins like neither. */
bool log_is_text(const char *what);

/* Adds what the log given by --log says to the core's verdict. ret then owns strings of it. */
enum status log_join(struct session *s, struct verdict *verdict, struct log_verdict *ret);

/* explain on a text. */
int log_explain(const struct options *options);

#endif
