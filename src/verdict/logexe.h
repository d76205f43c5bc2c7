/*
 * What an executable adds to a traceback's text: where its frames stand in the code, and which of them
 * call a map's functions.
 *
 * A text names no build, but function, offset and line of each frame must be those of the executable:
 * frames that are not show that it is another one.
 */
#ifndef VERDICT_LOGEXE_H
#define VERDICT_LOGEXE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "go/traceback.h"
#include "maps/writers.h"

struct log_exe;
enum status log_exe_new(struct runtime *rt, struct log_exe **ret, struct error *err);
void log_exe_free(struct log_exe *exe);

struct runtime *log_exe_runtime(const struct log_exe *exe);

/* The function of a frame whose offset is printed, and its PC at the executable's addresses. false: there
 * is none that has this name and at this offset the line that the frame says. */
bool log_exe_frame(struct log_exe *exe, const struct trace_frame *frame,
		   struct function *ret_function, uint64_t *ret_pc);

/* The map call that returns to pc in fn, or NULL. */
const struct map_site *log_exe_call(struct log_exe *exe, const struct function *fn, uint64_t pc);

/* The call in fn itself that writes maps of the type, or of one that its code does not tell: the last one
 * before pc, else the first. NULL: none. */
const struct map_site *log_exe_write(struct log_exe *exe, const struct function *fn, uint64_t pc,
				     uint64_t type);

/* Appends all calls in the program that can write a map of the type. */
enum status log_exe_sites(struct log_exe *exe, uint64_t type, struct map_sites *ret,
			  struct error *err);

#endif
