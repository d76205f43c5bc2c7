/*
 * Changing a process that is stopped: its memory, and system calls made in its name.
 *
 * A system call is made by a thread that is stopped anyway: its registers are kept, it runs over
 * one syscall instruction of the program, and gets its registers back; by a thread that sleeps where there is one,
 * since that goes on well if we are killed meanwhile. Signals that come meanwhile are
 * sent again when the process runs on.
 */
#ifndef TARGET_INJECT_H
#define TARGET_INJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "target/process.h"

/* Takes over a process of one thread that we have seized and that stands in a ptrace stop (of its
 * exec). process_free lets it run on. ERROR_NOMEM only. */
enum status process_adopt(pid_t pid, struct process **ret, struct error *err);

/* Writes n bytes at addr, also where the program itself may not write. */
enum status process_write(struct process *process, uint64_t addr, const void *buf, size_t n,
			  struct error *err);

/* Reads n bytes at addr. */
enum status process_read(struct process *process, uint64_t addr, void *buf, size_t n,
			 struct error *err);

/* Whether a thread sleeps. */
bool process_has_sleeper(struct process *process);

/* Makes system call number nr in the process by the syscall instruction at addr, of the program's own
 * code, or by that of a thread that sleeps. *ret is what the kernel returned, -errno included. amd64 only: elsewhere
 * ERROR_UNSUPPORTED. */
enum status process_syscall(struct process *process, uint64_t addr, long nr, const uint64_t args[6],
			    int64_t *ret, struct error *err);

/* Has the threads whose pc is the first address of one of count pairs go on at the second one. */
enum status process_redirect(struct process *process, const uint64_t (*moves)[2], size_t count,
			     struct error *err);

/* Where each thread stands: fills at most max pairs of pc and sp; returns how many threads there are
 * whose registers can be had. */
size_t process_places(struct process *process, uint64_t (*ret)[2], size_t max);

#endif
