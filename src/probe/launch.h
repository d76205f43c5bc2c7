/*
 * Starting a program as a child that we trace, up to the stop at its first instruction.
 */
#ifndef PROBE_LAUNCH_H
#define PROBE_LAUNCH_H

#include <sys/types.h>

#include "base/error.h"

/* Starts argv (found as execvp finds it) with our stdio, environment and signal dispositions, seized with
 * these PTRACE_O_ options and PTRACE_O_TRACEEXEC; it stands at its exec stop then. */
enum status launch(char **argv, int options, pid_t *ret, struct error *err);

#endif
