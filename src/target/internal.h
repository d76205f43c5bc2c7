/*
 * What the files of target share and nobody else needs.
 */
#ifndef TARGET_INTERNAL_H
#define TARGET_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "target/image.h"
#include "target/regs.h"

/* Bytes of the kernel's general registers, in an NT_PRSTATUS or by PTRACE_GETREGSET: 27 words of
 * user_regs_struct, 34 of user_pt_regs. */
static inline size_t regs_kernel_size(enum arch arch)
{
	return arch == ARCH_AMD64 ? 27 * 8 : 34 * 8;
}

/* Takes the n bytes of the kernel's registers apart; false when they are too few. On arm64 tls is
 * left 0: the kernel gives it by a note of its own. */
bool regs_from_kernel(enum arch arch, const void *kernel, size_t n, struct regs *ret);

/* One thread of a process that is stopped. */
struct tracee {
	pid_t tid;
	bool stopped;
	bool gone; /* it has exited meanwhile */
	int signal; /* that arrived as it stopped: it gets it when it runs on */
};

struct area {
	uint64_t start, end;
	bool writable, executable;
};

/* A signal that is to be sent again when the process runs on. */
struct late_signal {
	pid_t tid;
	int signo;
};

/* See process.h. */
struct process {
	struct late_signal *late; /* inject.c */
	size_t late_count, late_cap;
	pid_t pid;
	pid_t alive; /* a thread that still has the memory: the first one may have exited */
	struct tracee *tracees;
	size_t tracee_count, tracee_cap;
	struct area *areas;
	size_t area_count, area_cap;
	struct auxv auxv;
	int mem; /* /proc/PID/mem, for what process_vm_readv does not read */
	bool no_vm_readv;
};

/* A field of /proc/PID/status as text behind its tab; false where it is missing. */
bool process_status_field(pid_t pid, const char *name, char *ret, size_t size);

/* Whether the signal that a traced thread has stopped for is a fault of the instruction that it stands at. */
bool process_is_fault(pid_t tid, int signo);

#endif
