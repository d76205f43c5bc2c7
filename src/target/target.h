/*
 * A core, a process or an executable behind one door. Knows nothing of Go: it could read a C++ core.
 *
 * Addresses are those of the running program; the load bias is added here and nowhere above. A
 * target's executable is laid under its core or process only when their build ids agree (Go's where
 * both have one, then GNU's). Only the executable's read-only segments are laid under a core: a
 * writable page that the core lacks is missing, not what the file once said.
 */
#ifndef TARGET_TARGET_H
#define TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/notes.h"
#include "target/executable.h"
#include "target/memory.h"
#include "target/regs.h"

enum target_kind { TARGET_CORE, TARGET_PROCESS, TARGET_EXECUTABLE };

struct thread {
	pid_t tid;
	bool has_regs;
	int signal; /* that it died of or was stopped with; 0 none or unknown */
	struct regs regs;
};

/* A file mapping of the target (NT_FILE or /proc/PID/maps). */
struct mapping {
	uint64_t start, end, offset; /* offset in the file, bytes */
	char *path; /* as the target named it: hostile text */
};

/* The signal that killed the target (NT_SIGINFO); signo 0: unknown. */
struct signal_info {
	int signo, code;
	uint64_t addr; /* faulting address of SIGSEGV and SIGBUS */
};

/* Where the program's own code was moved: changes registers of a thread that stands there to what they would be
 * in the place that it was moved from. */
struct moved_code {
	void (*settle)(const void *context, struct regs *regs); /* NULL: no code was moved */
	void *context; /* released by free */
};

struct target {
	enum target_kind kind;
	enum arch arch;
	struct memory *memory;
	char *path; /* of the core or executable; "PID" text for a process */
	pid_t pid; /* 0 unknown */
	struct thread *threads; /* the one that crashed comes first; none for an executable */
	size_t thread_count;
	struct signal_info signal;
	struct mapping *mappings; /* sorted by start */
	size_t mapping_count;
	struct executable *exe; /* NULL where none was found or given */
	uint64_t bias; /* added to exe's addresses to get the target's */
	struct build_id core_id; /* as read from the core's or process's memory */
	char *command; /* what the target called itself (NT_PRPSINFO, comm); may be NULL */
	struct moved_code
		moved_code; /* threads are settled already; what signal handlers interrupted is not */
	bool truncated; /* a core that ends before its headers say */
	uint64_t truncated_at; /* then: the first address whose bytes are cut off */
	void *impl; /* private to target's own files */
};

struct target_options {
	const char *exe; /* executable to use; NULL: the one the core or process names */
	const char *sysroot; /* put before each path that a core names; NULL: none */
	bool force_exe; /* use exe although its build id differs; notes say so */
	const char *tmpdir; /* for decompressed cores; NULL: $TMPDIR, then /var/tmp */
	bool recorded; /* our own recorder changed the process's code: that is not worth a note */
};

/*
 * Opens what: a file (core, plain or compressed by zstd, lz4 or xz; or an executable), or a PID
 * where no file has that name. A process is stopped as a whole before this returns, so that what is
 * read belongs together, and runs on at target_free, unharmed, also when we die.
 *
 * A missing or unreadable executable of a core is a note, and exe NULL; a wrong one is
 * ERROR_MISMATCH and names both ids. What is neither core nor executable nor PID is ERROR_FORMAT.
 * The error's text names the file or process that it is about.
 */
enum status target_open(const char *what, const struct target_options *options, struct notes *notes,
			struct target **ret, struct error *err);
void target_free(struct target *target);
static inline void cleanup_target(struct target **target)
{
	target_free(*target);
}
#define AUTO_TARGET __attribute__((cleanup(cleanup_target)))

/*
 * For who watches a process while it runs: target_resume lets it run on before target_free does.
 * threads are then those of the moment before, and memory may give what was read earlier: its code and
 * read-only data are as ever, all else is to be read by target_peek, which takes it from the process as
 * it is now. Targets that are no process: nothing happens, ERROR_UNSUPPORTED.
 */
void target_resume(struct target *target);
enum status target_peek(struct target *target, uint64_t addr, void *buf, size_t n,
			struct error *err);

/* As executable_section, executable_symbol and executable_symbol_at, at the target's addresses. */
bool target_section(const struct target *target, const char *name, struct section *ret);
bool target_symbol(const struct target *target, const char *name, struct symbol *ret);
bool target_symbol_at(const struct target *target, uint64_t addr, struct symbol *ret);

/* The file mapping that addr lies in, or NULL. */
const struct mapping *target_mapping_at(const struct target *target, uint64_t addr);

#endif
