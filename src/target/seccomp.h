/*
 * What a process's seccomp filters say to system calls that it would make for us: a filter can kill it
 * for one that its own program never makes.
 */
#ifndef TARGET_SECCOMP_H
#define TARGET_SECCOMP_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "target/process.h"

/* A system call. Pointers among its arguments are good in our own process, where it does no harm: a
 * child of ours may make it. */
struct seccomp_call {
	const char *name;
	long nr;
	uint64_t args[6];
};

/* Runs a filter of count instructions on a call as the kernel does; *ret is what it returns, one of
 * SECCOMP_RET_ with its data. ERROR_FORMAT for code that has no end or that
 * the kernel does not know. */
enum status seccomp_run(const struct sock_filter *code, size_t count,
			const struct seccomp_data *data, uint32_t *ret, struct error *err);

/*
 * Whether the filters of each stopped thread let all of the calls through; ERROR_UNSUPPORTED with the
 * call and what would come of it. Filters are read where we may (CAP_SYS_ADMIN, and no filter on
 * ourselves: Linux kernel/seccomp.c, seccomp_get_filter). Elsewhere they are taken for our own, and tried
 * in a child of ours, where inherited says so, or where the thread has as many as we have: a container
 * gives all of its processes the same. What stays unknown is ERROR_UNSUPPORTED, too.
 */
enum status process_may_call(const struct process *process, bool inherited,
			     const struct seccomp_call *calls, size_t count, struct error *err);

#endif
