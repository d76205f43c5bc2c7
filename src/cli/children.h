/*
 * run --children: a command whose Go programs, over any number of generations, run under the recorder.
 */
#ifndef CLI_CHILDREN_H
#define CLI_CHILDREN_H

#include <stdbool.h>

#include "cli/command.h"
#include "probe/recorder.h"

/* Whether the command is to be taken so: --children, or the go command, which only starts programs. */
bool children_wanted(const struct options *options);

/* Runs the command to its end; a crash of a recorded program is explained once that is dead, under its
 * number and command line. Returns the exit status: the command's own, or EXIT_NOTHING, and said, where
 * it could not be run or followed. */
int children_run(const struct options *options, const struct recorder_options *how);

#endif
