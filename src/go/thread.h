/*
 * The threads of the target in Go's terms, read once for a runtime.
 */
#ifndef GO_THREAD_H
#define GO_THREAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/goroutine.h"
#include "go/runtime.h"

/* Number in target->threads of the thread whose m runs the goroutine g on behalf of m; -1 none. */
int thread_running(struct runtime *rt, uint64_t g, uint64_t m);

void scheduler_free(struct scheduler *scheduler);

#endif
