/*
 * A living process, stopped for as long as it is open: every thread by PTRACE_SEIZE and
 * PTRACE_INTERRUPT, so no signal is sent to it and none is lost. When we die the kernel lets it go.
 *
 * ptrace knows threads: a process is opened, read and freed by one and the same thread of ours.
 */
#ifndef TARGET_PROCESS_H
#define TARGET_PROCESS_H

#include <sys/types.h>

#include "base/error.h"
#include "base/notes.h"
#include "target/image.h"
#include "target/memory.h"
#include "target/target.h"

struct process;

/* Stops the process that pid (of it or of one of its threads) belongs to and fills in target what is
 * known of it: arch, pid, threads, mappings, command. ERROR_NOT_FOUND for no process,
 * ERROR_UNSUPPORTED for kernel threads, 32-bit programs and ourselves, ERROR_IO with the reason
 * where tracing is not permitted. */
enum status process_open(pid_t pid, struct target *target, struct notes *notes,
			 struct process **ret, struct error *err);

/* Whether a process or thread is gone, or is one that only waits for its parent to ask for its status. */
bool process_has_exited(pid_t tid);

/* A traced thread that has exited stays a zombie, and keeps its process one, until its tracer has seen it: sees those
 * of a process that has been open. One that was just dying as it was let go is found by a later call. */
void process_reap(pid_t pid);

/* Lets it run on. */
void process_free(struct process *process);

/* Lets it run on, and keeps it open: what is read from now on is of the moment, and no two reads belong
 * together. Once more does nothing. */
void process_resume(struct process *process);

/* The n bytes at addr as they are now, whether it is stopped or not. */
enum status process_peek(struct process *process, uint64_t addr, void *buf, size_t n,
			 struct error *err);

/* Adds what is mapped and readable; process must outlive memory. */
enum status process_lay(struct process *process, struct memory *memory, struct error *err);

/* Counts the pages of [start, end), a private mapping of a file, that have been changed since and are
 * no longer the file's: a debugger's breakpoints, a recorder's jumps. */
enum status process_changed_pages(const struct process *process, uint64_t start, uint64_t end,
				  size_t *ret, struct error *err);

pid_t process_pid(const struct process *process);
const struct auxv *process_auxv(const struct process *process);

/* Opens the file that the process runs, whatever its name means today. The caller closes *ret_fd and
 * frees *ret_path, which is for display. */
enum status process_exe(const struct process *process, int *ret_fd, uint64_t *ret_size,
			char **ret_path, struct error *err);

#endif
