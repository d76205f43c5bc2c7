/*
 * Calls that fail on demand: allocations, reads and opens of this whole process, its libraries
 * included, as far as they go through the dynamic linker.
 *
 * Counting is per kind: with FAULT_NONE calls are only counted; else call number `at` of the kind
 * (from 1) does what the kind says and all others work.
 */
#ifndef TESTS_FAULTS_INJECT_H
#define TESTS_FAULTS_INJECT_H

#include <stddef.h>
#include <stdint.h>

enum fault {
	FAULT_NONE,
	FAULT_ALLOC, /* malloc, calloc, realloc and what stands on them say ENOMEM */
	FAULT_READ_ERROR, /* pread, process_vm_readv, read: EIO */
	FAULT_READ_END, /* the same: 0 bytes, as if the file ended here */
	FAULT_READ_SHORT, /* the same: half of the bytes */
	FAULT_READ_INTERRUPTED, /* the same: EINTR */
	FAULT_OPEN, /* open, openat2, fopen, opendir, readlink, fstat: EIO */
	FAULT_MAP, /* mmap of a file: ENOMEM */
	FAULT_WRITE, /* pwrite, ftruncate: ENOSPC */
};

/* What is counted: faults of one class differ only in what they do. */
enum fault_class { CLASS_ALLOC, CLASS_READ, CLASS_OPEN, CLASS_MAP, CLASS_WRITE, CLASS_COUNT };
enum fault_class fault_class_of(enum fault fault);

/* From here on calls are counted, and call number at of the fault's class fails. */
void fault_arm(enum fault fault, uint64_t at);
/* Nothing is counted or fails any more. */
void fault_disarm(void);
/* Calls of this class since fault_arm. */
uint64_t fault_count(enum fault_class class);
/* Whether the fault was met. */
_Bool fault_happened(void);

enum { FAULT_CALLER = 64 };
/* The name of the file whose code makes the call that fails ("libdw.so.1") will go to caller. */
void fault_caller(char caller[FAULT_CALLER]);

/* The call that fails will write its call stack to standard error, where there is a sanitizer to do it. */
void fault_show(void);

/* While armed with FAULT_NONE: the numbers of those calls of the class that came with a call stack
 * not seen before, ascending, in shared memory of max entries; returns how many. */
void fault_trace(enum fault_class class, uint32_t *list, uint32_t *count, uint32_t max);

#endif
