/*
 * One crash in a log, as its messages and goroutines go by: what a verdict needs of it is kept, the
 * rest is counted. 100,000 goroutines cost what their few different stacks cost.
 */
#ifndef VERDICT_LOGCRASH_H
#define VERDICT_LOGCRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "base/u64set.h"
#include "go/frames.h"
#include "go/traceback.h"
#include "maps/tracecall.h"
#include "verdict/crash.h"
#include "verdict/logexe.h"
#include "verdict/verdict.h"

/* How a printed goroutine is tied to the detector's map, weakest first. */
enum tie {
	TIE_NONE,
	TIE_AWAKE, /* ran, or was ready to, in code that its author wrote */
	TIE_UNSEEN, /* runs on another thread: its stack is not printed */
	TIE_CODE, /* in the function, or a method of the type, that the detector was in */
	TIE_TYPE, /* executable: its code can write such a map */
	TIE_OBJECT, /* was given a pointer that the detector's code was given */
	TIE_MAP, /* was given the map's address */
	TIE_SOME_MAP, /* in a write of some map whose address cannot be compared */
	TIE_IN_TYPE, /* in a write of a map of the same type whose address cannot be compared */
	TIE_FATAL, /* a check of its own has failed; on which map is not printed */
	TIE_IN_MAP, /* in a write of this map */
	TIE_FATAL_MAP, /* the same, and a check of its own has failed */
	TIE_INSIDE, /* the same, between the set and the clear of the flag */
};

/* A goroutine of which all is kept. */
struct kept {
	struct trace_goroutine g; /* frames is frames */
	struct trace_frame *frames; /* owned */
	char *args; /* owned: theirs */
	uint64_t hash; /* of its stack's places */
	uint64_t alike; /* others with the same stack and tie */
	enum tie tie;
	bool in_call;
	struct trace_call call;
	bool writer; /* its code writes such a map: as the executable says, or as the detector's own death
			in the same function does */
	struct site write; /* then: where it does; function NULL: not known */
	enum operation write_operation;
	bool at_write; /* executable: it stands in, or right behind, a call that writes such a map */
	bool map_agrees; /* TIE_IN_MAP up: both pointers are certain */
	uint64_t shared; /* TIE_OBJECT, TIE_MAP: the pointer */
	const char *window_function; /* TIE_INSIDE: what shows it */
	uint64_t window_at, set_at, clear_at; /* by the executable's code; 0: by a callee's name */
	size_t site; /* index of the frame that is its site; count: none */
};

/* Different suspects that are kept; of more, the strongest. */
enum { SUSPECTS_MAX = 64 };
/* Different pointers of the detector's frames: ten words of some frames. */
enum { POINTERS_MAX = 64 };

struct log_crash_text {
	uint64_t line, last_line;
	char *message;
	bool is_fatal; /* message is a fatal error's, not a panic's */
	bool from_signal; /* "[signal ...]" was printed */
	bool quit; /* asked for from outside */
	unsigned fatals; /* "fatal error: " lines */
	enum crash_kind kind;
	bool has_detector;
	struct kept detector;
	struct map_site detector_site; /* executable: the map call that it died in */
	bool has_detector_site;
	uint64_t map_type; /* executable: the map's type, 0 unknown */
	uint64_t pointers[POINTERS_MAX];
	size_t pointer_count;
	struct kept *suspects;
	size_t suspect_count;
	uint64_t suspects_dropped;
	struct u64set shown; /* ids of goroutines whose stacks were printed */
	struct u64set stacks; /* hashes of different ones */
	uint64_t goroutines; /* printed */
	uint64_t others; /* of those, beside the detector, not the runtime's own */
	uint64_t foreign; /* lines between that are none of Go's */
	uint64_t frames_matched,
		frames_strange; /* executable: frames that are in it, and that are not */
	bool exe_refused; /* executable: it is another build */
	int minor; /* Go 1.minor, 0 unknown */
	char version[32];
	bool out_of_memory;
};

void log_crash_text_init(struct log_crash_text *crash, uint64_t line);
void log_crash_text_done(struct log_crash_text *crash);

void log_crash_message(struct log_crash_text *crash, const struct trace_message *message);
/* exe NULL: none. */
void log_crash_goroutine(struct log_crash_text *crash, struct log_exe *exe,
			 const struct trace_goroutine *g);

/* Whether what comes next cannot be of the same crash: a message, or a goroutine. */
bool log_crash_ends_at_goroutine(const struct log_crash_text *crash,
				 const struct trace_goroutine *g);

/* Index of the frame that a goroutine's author wrote: the first outside runtime, reflect and standard
 * library, else outside the runtime; count where there is none. */
size_t trace_site(const struct trace_frame *frames, size_t count);

/* How strongly a suspect is tied, for an order: by its tie, then by whether its code writes such maps, then
 * by whether it was awake. */
int kept_strength(const struct kept *k);

/* Whether the goroutine had not been parked when it was stopped. */
bool trace_is_awake(const struct trace_goroutine *g);

#endif
