/*
 * Starting a program as a child that we trace, up to the stop at its first instruction.
 */
#ifndef PROBE_LAUNCH_H
#define PROBE_LAUNCH_H

#include <sys/types.h>

#include "base/error.h"

/* Starts argv (found as execvp finds it) with our stdio, environment and signal dispositions, seized with
 * these PTRACE_O_ options and PTRACE_O_TRACEEXEC; it stands at its exec stop then. directory: where it
 * starts, and what a relative argv[0] is looked up from; NULL: where we are. */
enum status launch(char **argv, const char *directory, int options, pid_t *ret, struct error *err);

#endif
