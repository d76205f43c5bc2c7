#include "cli/live.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/session.h"
#include "report/escape.h"
#include "report/explain.h"
#include "target/process.h"
#include "verdict/verdict.h"

static void complain_text(const char *text)
{
	fputs("mapcrash: ", stderr);
	escape_terminal(stderr, text, strlen(text));
	fputc('\n', stderr);
}

void live_print(const char *text)
{
	escape_terminal(stderr, text, strlen(text));
}

void live_complain(const struct error *err, const struct notes *notes)
{
	complain_text(err->text);
	for (size_t i = 0; notes && i < notes->count; i++)
		complain_text(notes->list[i].text);
}

bool live_options(const struct options *options, struct recorder_options *ret)
{
	uint64_t hold;
	const char *map = options->value[OPTION_MAP];
	if (!option_number(options, OPTION_HOLD, 0, &hold))
		return false;
	if (map && !hold) {
		complain_text("--map says which maps --hold is for");
		return false;
	}
	*ret = (struct recorder_options){
		.no_times = option_given(options, OPTION_NO_TSC),
		.hold_ms = hold > UINT32_MAX ? UINT32_MAX : (unsigned)hold,
	};
	/* no type's name begins with a digit */
	if (map && map[0] >= '0' && map[0] <= '9')
		return option_number(options, OPTION_MAP, 0, &ret->hold_map);
	ret->hold_type = map;
	return true;
}

/* The report as text or JSON into the session's page. *ret_silent: there is none, for a death that is not of
 * maps. */
static int explain_frozen(struct session *s, pid_t pid, bool *ret_silent)
{
	/* a fault, which is nobody's but Go's to tell where no map's code is in it */
	bool fault = s->records.header.died_at;

	char what[32];
	struct verdict verdict;
	struct verdict_options how = {.records = &s->records};
	snprintf(what, sizeof(what), "%d", pid);
	if (session_open_target(s, what) != EXIT_SHOWN ||
	    verdict_judge(s->rt, &how, &verdict, &s->error) != OK) {
		/* os.Exit does not wait for us */
		*ret_silent = fault && process_has_exited(pid);
		if (process_has_exited(pid))
			(void)!error_set(&s->error, ERROR_IO,
					 "process %d found its map in use, and ended for another "
					 "reason before it could be looked at",
					 pid);
		return EXIT_NOTHING;
	}
	if (verdict.cause == CAUSE_NONE) {
		/* its detector does not wait for us for ever */
		verdict_done(&verdict);
		*ret_silent = fault;
		(void)!error_set(&s->error, ERROR_IO,
				 "process %d found its map in use, and went on before it could be "
				 "looked at",
				 pid);
		return EXIT_NOTHING;
	}
	if (fault && !verdict.is_broken) {
		verdict_done(&verdict);
		*ret_silent = true;
		return EXIT_NOTHING;
	}
	if (s->json)
		explain_json(s->page.out, s->rt, &s->source, &verdict);
	else
		explain_text(&s->page, s->rt, &s->source, &verdict);
	verdict_done(&verdict);
	return EXIT_SHOWN;
}

void live_explain(struct recorder *recorder, const struct options *options, struct live_report *ret)
{
	AUTO_SESSION struct session s = {0};
	FILE *memory = open_memstream(&ret->text, &ret->size);
	bool to_file = option_given(options, OPTION_OUTPUT), silent = false;
	int status = memory ? session_begin(&s, options, stderr) : EXIT_NOTHING;
	if (status == EXIT_SHOWN) {
		s.page.out = memory;
		s.page.colour = s.page.colour && !to_file;
		s.has_records = recorder_records(recorder, &s.records, &s.error) == OK;
		status = s.has_records ? explain_frozen(&s, recorder_pid(recorder), &silent)
				       : EXIT_NOTHING;
	}
	if (status == EXIT_NOTHING && !silent)
		live_complain(&s.error, &s.notes);
	if (memory)
		fclose(memory);
	ret->made = status == EXIT_SHOWN && ret->text;
	/* the process goes on, and dies, only after it was let go */
	runtime_free(TAKE(s.rt));
	target_free(TAKE(s.target));
	recorder_release(recorder);
}

bool live_write(const struct options *options, struct live_report *report)
{
	const char *path = options->value[OPTION_OUTPUT];
	bool ok = true;
	if (report->made) {
		FILE *out = path				 ? fopen(path, "we")
			    : option_given(options, OPTION_JSON) ? stdout
								 : stderr;
		ok = out && fwrite(report->text, 1, report->size, out) == report->size &&
		     fflush(out) == 0;
		if (out && path)
			ok = fclose(out) == 0 && ok;
	}
	if (!ok)
		fprintf(stderr, "mapcrash: the report could not be written: %s\n", strerror(errno));
	free(report->text);
	*report = (struct live_report){0};
	return ok;
}

static volatile sig_atomic_t caught;

static void on_signal(int signo)
{
	caught = signo;
}

void live_catch_signals(bool leave_interrupts)
{
	/* without SA_RESTART: a wait is to be interrupted */
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (leave_interrupts)
		action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGQUIT, &action, NULL);
}

int live_signal(void)
{
	return __atomic_exchange_n(&caught, 0, __ATOMIC_RELAXED);
}

int live_end_like(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	struct rlimit none = {0};
	setrlimit(RLIMIT_CORE, &none);
	signal(WTERMSIG(status), SIG_DFL);
	raise(WTERMSIG(status));
	return 128 + WTERMSIG(status);
}
