/*
 * Why goroutines wait, in the words of the Go that the program was built with: the numbers of
 * waitReason change with the version, so the names come from the program itself.
 */
#ifndef GO_WAITREASON_H
#define GO_WAITREASON_H

#include <stdint.h>

#include "go/runtime.h"

/* "chan receive", ...; NULL for number 0, and where the program's table was not found. Lives as
 * long as the runtime. */
const char *wait_reason_name(struct runtime *rt, uint8_t number);

void wait_reasons_free(struct wait_reasons *reasons);

#endif
