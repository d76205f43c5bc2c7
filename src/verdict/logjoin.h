/*
 * What Go printed, beside the core of the same crash.
 *
 * Both are of one process only where they agree: message, the dead goroutine's id, and, where both have
 * them, the addresses of its g and of the map. Then the log confirms what the core shows, and gives what a
 * core lacks that was cut.
 */
#ifndef VERDICT_LOGJOIN_H
#define VERDICT_LOGJOIN_H

#include "verdict/log.h"

/* Reads the log from fd and adds what it says to the core's verdict v. A log of another crash is noted, and
 * nothing of it is used. name is what the log is called in evidence. On OK *ret owns strings of *v. */
enum status verdict_join_log(struct runtime *rt, int fd, const char *name, struct verdict *v,
			     struct log_verdict *ret, struct error *err);

#endif
