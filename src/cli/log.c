#include "cli/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/session.h"
#include "verdict/logjoin.h"

bool log_is_text(const char *what)
{
	/* What cores and executables, and compressed ones, begin with: ELF, zstd, lz4, xz, gzip. */
	static const struct {
		const char *bytes;
		size_t n;
	} others[] = {{"\177ELF", 4},
		      {"\x28\xb5\x2f\xfd", 4},
		      {"\x04\x22\x4d\x18", 4},
		      {"\xfd"
		       "7zXZ",
		       5},
		      {"\x1f\x8b", 2}};
	struct stat st;
	char head[16];
	if (strcmp(what, "-") == 0)
		return true;
	AUTO_FD int fd = open(what, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) != 0)
		return false;
	if (S_ISFIFO(st.st_mode))
		return true;
	if (!S_ISREG(st.st_mode))
		return false;
	ssize_t got = TEMP_FAILURE_RETRY(read(fd, head, sizeof(head)));
	if (got <= 0)
		return false;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if ((size_t)got >= others[i].n && memcmp(head, others[i].bytes, others[i].n) == 0)
			return false;
	return !memchr(head, 0, (size_t)got);
}

/* Opens --exe for what it says of the text's frames. */
static enum status open_exe(struct session *s)
{
	const char *exe = s->options->value[OPTION_EXE];
	struct target_options how = {.sysroot = s->options->value[OPTION_SYSROOT]};
	if (!exe)
		return OK;
	if (target_open(exe, &how, &s->notes, &s->target, &s->error) != OK)
		return FAILED;
	if (runtime_open(s->target, &s->notes, &s->rt, &s->error) != OK)
		return error_prefix(&s->error, "%s", exe);
	return OK;
}

static int open_log(const char *what)
{
	return strcmp(what, "-") == 0 ? dup(STDIN_FILENO)
				      : open(what, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
}

enum status log_join(struct session *s, struct verdict *verdict, struct log_verdict *ret)
{
	const char *name = s->options->value[OPTION_LOG];
	AUTO_FD int fd = open_log(name);
	if (fd < 0)
		return error_sys(&s->error, "%s", name);
	return verdict_join_log(s->rt, fd, name, verdict, ret, &s->error);
}

int log_explain(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	const char *what = options->operands[0];
	struct log_verdict log;
	int status = session_begin(&s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	struct log_options how = {.sites = option_given(options, OPTION_SITES)};
	if (!option_number(options, OPTION_CRASH, 0, &how.crash))
		return EXIT_USAGE;
	if (open_exe(&s) != OK)
		return session_fail(&s);
	how.rt = s.rt;
	AUTO_FD int fd = open_log(what);
	if (fd < 0) {
		(void)error_sys(&s.error, "%s", what);
		return session_fail(&s);
	}
	if (log_judge(fd, &how, &s.notes, &log, &s.error) != OK) {
		(void)error_prefix(&s.error, "%s", what);
		return session_fail(&s);
	}
	s.source = (struct explain_source){"log", what, &log, &s.notes};
	const struct runtime *rt = log.used_exe ? s.rt : NULL;
	if (s.json)
		explain_json(stdout, rt, &s.source, &log.verdict);
	else
		explain_text(&s.page, rt, &s.source, &log.verdict);
	bool found = log.verdict.cause == CAUSE_RACE;
	log_verdict_done(&log);
	status = session_end(&s);
	if (option_given(options, OPTION_EXIT_CODE) && status != EXIT_NOTHING)
		return found ? EXIT_FOUND : EXIT_SHOWN;
	return status;
}
