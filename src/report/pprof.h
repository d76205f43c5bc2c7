/*
 * Goroutines as a profile for `go tool pprof`: the form of Go's own goroutine profiles.
 */
#ifndef REPORT_PPROF_H
#define REPORT_PPROF_H

#include "base/error.h"
#include "base/text.h"
#include "go/groups.h"

/* Appends the profile (profile.proto of github.com/google/pprof, not compressed): a sample for each group of
 * equal stacks, with the number of goroutines as its value and their state as a label. Stacks that cannot
 * be read are left out: stack_groups_make has noted them. On FAILED text has a part of it. */
enum status pprof_encode(struct runtime *rt, const struct stack_groups *groups, struct text *text,
			 struct error *err);

#endif
