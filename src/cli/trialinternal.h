/* What trial.c and trialcommand.c share. */
#ifndef CLI_TRIALINTERNAL_H
#define CLI_TRIALINTERNAL_H

#include "cli/trial.h"
#include "probe/recorder.h"

enum {
	TRIAL_LOOK_MS = 20, /* from one look at the recorder's table to the next */
	TRIAL_GRACE_MS = 2000, /* from SIGTERM to SIGKILL */
};

/* The recorder of the next run, with the hold and the share that chance gives. */
struct recorder_options trial_next(struct trial *trial);

/* Our standard output and error, while a program that is started has a log for its own: a report on
 * standard output is ours alone. */
struct trial_streams {
	int out, error;
};
enum status trial_redirect(int log, struct trial_streams *ret, struct error *err);
void trial_restore(struct trial_streams *streams);

/* Finds the program whose executable is the file path, or takes it in; it is called name. */
enum status trial_find(struct trial *trial, const char *path, const char *name,
		       struct trial_program **ret, struct error *err);

/* Takes the recorder's table in. */
enum status trial_look(struct trial_program *program, const struct recorder *recorder, bool is_last,
		       struct error *err);

/* Explains the process, whose detector stands still, and lets it go on. *ret is valid until the next
 * race is found. */
enum status trial_explain(struct trial_program *program, struct recorder *recorder,
			  struct trial_race **ret, struct error *err);

/* Of what Go printed, the first lines from its message of death on; NULL where there is none. message:
 * that one only; NULL: any. */
char *trial_log(int log, const char *message);

/* Says how far the runs are, where standard error is a terminal. run: from 0 on. */
void trial_progress(const struct trial *trial, uint64_t run);
void trial_finish(struct trial *trial);

#endif
