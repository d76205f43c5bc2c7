/*
 * The recorder in a live process: laid in at the exec stop or into a running process, waited for, and
 * taken off again.
 *
 * How a run goes, with holds that force the race:
 *
 *	struct recorder_options how = {.hold_ms = 20};
 *	struct recorder *rec;
 *	if (recorder_start(argv, &how, notes, &rec, err) != OK)	   refused: err says why in one line
 *		...
 *	for (;;) {
 *		enum recorder_event event;
 *		recorder_wait(rec, -1, &event, err);
 *		if (event == RECORDER_FROZEN) {
 *			recorder_records(rec, &records, err);	   the table at the failing check
 *			target_open(pid), records_settle(), runtime_open(),
 *			verdict_judge() with options.records = &records: the result is struct verdict
 *			target_free(target);
 *			recorder_release(rec);			   Go prints, and the process dies
 *		} else if (event == RECORDER_EXITED) {
 *			break;					   recorder_status: as waitpid gave it
 *		}
 *	}
 *	recorder_free(rec);
 *
 * The process is not traced between these calls: it runs at full speed, gets its signals itself, and
 * lives on when we die.
 *
 * A recorder is used by one thread. It forks, and it waits for that child only.
 */
#ifndef PROBE_RECORDER_H
#define PROBE_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/notes.h"
#include "probe/records.h"

struct recorder;

struct recorder_options {
	bool no_times; /* keep no time stamps: cheaper, and only writes in flight can be proven */
	unsigned line_bits; /* 0: RECORD_LINE_BITS */
	unsigned hold_ms; /* 0: no holds. How long a writer is held with the flag set */
	unsigned hold_share; /* per cent of the time that may be spent in holds; 0: 50 */
	uint64_t hold_map; /* hold on this map only; 0: on all */
	const char *
		hold_type; /* hold on maps of this type only: its name, or "0x..." as the executable
				  has it; NULL: of all */
	/* The program is not to die of what is found: writers are held before they look at the flag, and
	 * RECORDER_MET tells who came meanwhile. Takes time stamps. */
	bool meets;
	bool reads; /* readers leave lines, and meet held writers */
	const char *directory; /* where a program starts; NULL: where we are */
};

/* Starts argv (found as execvp finds it) with our stdio, environment and signal dispositions, and lays
 * the recorder in before its first instruction runs. A program that cannot be recorded is not run
 * at all: ERROR_UNSUPPORTED with the reason. */
enum status recorder_start(char **argv, const struct recorder_options *options, struct notes *notes,
			   struct recorder **ret, struct error *err);

/* Lays the recorder into a process that stands at its exec stop, traced by us, and lets it go, untraced.
 * On FAILED it still stands there, unchanged, or is dead where it was changed in part. */
enum status recorder_adopt(pid_t pid, const struct recorder_options *options, struct notes *notes,
			   struct recorder **ret, struct error *err);

/* Lays the recorder into a running process. *ret_pause_us is how long it stood still. */
enum status recorder_attach(pid_t pid, const struct recorder_options *options, struct notes *notes,
			    struct recorder **ret, uint64_t *ret_pause_us, struct error *err);

/* Puts the original instructions back into a process that recorder_attach was used on. What the
 * recorder mapped stays there (a thread may yet come back to it) and is used by the next attach.
 * ERROR_NOT_FOUND where the process has ended meanwhile. */
enum status recorder_detach(struct recorder *recorder, uint64_t *ret_pause_us, struct error *err);

enum recorder_event {
	RECORDER_FROZEN, /* a check has failed: the detector stands still until recorder_release */
	RECORDER_MET, /* two goroutines stand in calls on one map, until recorder_part: header.held and
			 header.comer of the table */
	RECORDER_EXITED,
	RECORDER_TIMEOUT,
	RECORDER_INTERRUPTED, /* a signal came to us */
};

/* Waits for what happens next, at most timeout_ms milliseconds (-1: for ever). FROZEN comes once. */
enum status recorder_wait(struct recorder *recorder, int timeout_ms, enum recorder_event *ret,
			  struct error *err);

/* A copy of the table as it is now. */
enum status recorder_records(const struct recorder *recorder, struct records *ret,
			     struct error *err);

/* Lets a detector that stands still go on and die. */
void recorder_release(struct recorder *recorder);

/* Lets two that have met go on. */
void recorder_part(struct recorder *recorder);

/* How many ticks of the time stamp counter a millisecond has; 0 where neither holds nor meetings were
 * asked for. */
uint64_t recorder_ticks_ms(const struct recorder *recorder);

pid_t recorder_pid(const struct recorder *recorder);
/* After RECORDER_EXITED of a process that recorder_start started: waitpid's status. */
int recorder_status(const struct recorder *recorder);

/* Forgets the process, which runs on, still recorded if it was not detached. */
void recorder_free(struct recorder *recorder);
static inline void cleanup_recorder(struct recorder **recorder)
{
	recorder_free(*recorder);
}
#define AUTO_RECORDER __attribute__((cleanup(cleanup_recorder)))

#endif
