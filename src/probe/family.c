#include "probe/family.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "go/version.h"
#include "probe/launch.h"
#include "target/file.h"

enum {
	FOLLOW = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE,
	/* Between looks at the tables of recorded programs; a detector waits FREEZE_NOTICE_SECONDS. */
	LOOK_MS = 20,
	IDLE_MS = 1000,
	COMMAND_MAX = 4096,
	/* Files whose nature is kept in mind: a build starts few programs, many times. */
	KNOWN_MAX = 64,
};

/* What becomes of a program at its exec stop. */
enum nature {
	NATURE_OTHER, /* it may start programs: follow it */
	NATURE_TOOL, /* of Go's tool chain, starts none of the user's */
	NATURE_GO, /* to be recorded */
};

struct known {
	dev_t dev;
	ino_t ino;
	struct timespec changed;
	enum nature nature;
};

struct member {
	struct recorder *recorder;
	char *command;
	int exe;
	bool told; /* that it is recorded */
};

struct family {
	pid_t pid;
	bool ended;
	int status;
	struct recorder_options how;
	struct member *members;
	size_t member_count, member_cap;
	struct known known[KNOWN_MAX];
	size_t known_count; /* that were ever kept */
	struct member left; /* the one that the last event was about */
	char *refused; /* command line of a program that was refused; NULL: told */
	pid_t refused_pid;
	struct error why;
	sigset_t old_mask;
};

static void member_done(struct member *member)
{
	recorder_free(member->recorder);
	free(member->command);
	if (member->exe >= 0)
		close(member->exe);
	*member = (struct member){.exe = -1};
}

/* The command line of a process, for display; "" where it cannot be had. */
static char *command_of(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	AUTO_FREE char *text = malloc(COMMAND_MAX + 1);
	if (!text)
		return NULL;
	ssize_t n = fd < 0 ? 0 : file_read(fd, text, COMMAND_MAX, 0);
	size_t end = n > 0 ? (size_t)n : 0;
	while (end && !text[end - 1])
		end--;
	for (size_t i = 0; i < end; i++)
		if (!text[i])
			text[i] = ' ';
	text[end] = '\0';
	return TAKE(text);
}

/* Whether the program's main package is one of Go's own tree, and then whether it is the go command:
 * "path\tcmd/NAME\n" behind the mark that go build puts before a program's module information (go1.24
 * cmd/go/internal/modload/build.go, infoStart). */
static bool is_toolchain(const struct executable *exe, bool *ret_go)
{
	static const char mark[] =
		"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"
		"path\tcmd/";
	size_t size, n = sizeof(mark) - 1;
	const uint8_t *bytes = executable_bytes(exe, &size);
	const uint8_t *found = memmem(bytes, size, mark, n);
	if (!found)
		return false;
	*ret_go = size - (size_t)(found - bytes) > n + 2 && memcmp(found + n, "go\n", 3) == 0;
	return true;
}

static enum nature read_nature(const char *path)
{
	const struct target_options how = {0};
	struct notes notes = NOTES_INIT;
	AUTO_TARGET struct target *target = NULL;
	struct go_version version;
	bool is_go = false;
	enum nature nature = NATURE_OTHER;
	if (target_open(path, &how, &notes, &target, NULL) == OK) {
		if (is_toolchain(target->exe, &is_go))
			nature = is_go ? NATURE_OTHER : NATURE_TOOL;
		else if (go_version_read(target, &version, NULL) == OK)
			nature = NATURE_GO;
	}
	notes_done(&notes);
	return nature;
}

/* What the process runs, by its file. */
static enum nature nature_of(struct family *family, pid_t pid)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	if (stat(path, &st) != 0)
		return NATURE_OTHER;
	size_t count = family->known_count < KNOWN_MAX ? family->known_count : KNOWN_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct known *k = &family->known[i];
		if (k->dev == st.st_dev && k->ino == st.st_ino &&
		    k->changed.tv_sec == st.st_ctim.tv_sec &&
		    k->changed.tv_nsec == st.st_ctim.tv_nsec)
			return k->nature;
	}
	struct known *k = &family->known[family->known_count++ % KNOWN_MAX];
	*k = (struct known){st.st_dev, st.st_ino, st.st_ctim, read_nature(path)};
	return k->nature;
}

static void go_on(pid_t tid, int signo)
{
	/* it may have been killed meanwhile */
	(void)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signo);
}

static int open_exe(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* At the exec stop of a Go program. One that writes no maps is no loss, and not worth a word. */
static enum status record(struct family *family, pid_t pid, struct error *err)
{
	struct notes notes = NOTES_INIT;
	struct member member = {.command = command_of(pid), .exe = open_exe(pid)};
	struct error why = {0};
	if (!member.command) {
		member_done(&member);
		return error_nomem(err);
	}
	enum status status = recorder_adopt(pid, &family->how, &notes, &member.recorder, &why);
	notes_done(&notes);
	if (status == OK) {
		if (ARRAY_PUSH(family->members, family->member_count, family->member_cap, member))
			return OK;
		member_done(&member);
		return error_nomem(err);
	}
	go_on(pid, 0);
	free(family->refused);
	family->refused = TAKE(member.command);
	member_done(&member);
	family->refused_pid = pid;
	family->why = why;
	return OK;
}

static enum status at_exec(struct family *family, pid_t pid, struct error *err)
{
	switch (nature_of(family, pid)) {
	case NATURE_GO:
		return record(family, pid, err);
	case NATURE_TOOL:
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return OK;
	default:
		go_on(pid, 0);
		return OK;
	}
}

/* A stop of a process or thread that is traced, whichever: new ones follow by themselves. */
static enum status at_stop(struct family *family, pid_t tid, int status, struct error *err)
{
	int signo = WSTOPSIG(status), event = status >> 16;
	if (event == PTRACE_EVENT_EXEC)
		return at_exec(family, tid, err);
	if (event == PTRACE_EVENT_STOP && signo != SIGTRAP)
		/* stopped by job control: it stays so until SIGCONT (ptrace(2), group-stop) */
		(void)ptrace(PTRACE_LISTEN, tid, NULL, NULL);
	else
		go_on(tid, event ? 0 : signo);
	return OK;
}

/* Takes note of all that children and tracees have to tell. */
static enum status take_stops(struct family *family, struct error *err)
{
	while (!family->ended && !family->refused) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL | WNOHANG);
		if (tid == 0 || (tid < 0 && errno == ECHILD))
			return OK;
		if (tid < 0 && errno != EINTR)
			return error_sys(err, "waiting for the command");
		if (tid < 0)
			continue;
		if (WIFSTOPPED(status)) {
			if (at_stop(family, tid, status, err) != OK)
				return FAILED;
		} else if (tid == family->pid) {
			family->ended = true;
			family->status = status;
		}
	}
	return OK;
}

enum status family_start(char **argv, const struct recorder_options *options, struct family **ret,
			 struct error *err)
{
	AUTO_FAMILY struct family *family = calloc(1, sizeof(*family));
	sigset_t mask;
	if (!family)
		return error_nomem(err);
	family->how = *options;
	family->left.exe = -1;
	sigprocmask(SIG_BLOCK, NULL, &family->old_mask);
	if (launch(argv, options->directory, FOLLOW, &family->pid, err) != OK)
		return FAILED;
	/* from now on we wait for it; the command's own mask is what it was */
	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	if (at_exec(family, family->pid, err) != OK) {
		kill(family->pid, SIGKILL);
		return FAILED;
	}
	*ret = TAKE(family);
	return OK;
}

static void fill(struct family_event *ret, enum family_what what, const struct member *member)
{
	*ret = (struct family_event){.what = what,
				     .pid = recorder_pid(member->recorder),
				     .command = member->command,
				     .exe = member->exe,
				     .recorder = member->recorder};
}

/* An event of a recorded program, where there is one. */
static enum status look_at_members(struct family *family, struct family_event *ret, bool *ret_found,
				   struct error *err)
{
	*ret_found = true;
	for (size_t i = 0; i < family->member_count; i++) {
		struct member *member = &family->members[i];
		enum recorder_event event;
		if (!member->told) {
			member->told = true;
			fill(ret, FAMILY_RECORDED, member);
			return OK;
		}
		if (recorder_wait(member->recorder, 0, &event, err) != OK)
			return FAILED;
		if (event == RECORDER_FROZEN) {
			fill(ret, FAMILY_FROZEN, member);
			return OK;
		}
		if (event != RECORDER_EXITED)
			continue;
		family->left = *member;
		*member = family->members[--family->member_count];
		fill(ret, FAMILY_LEFT, &family->left);
		return OK;
	}
	*ret_found = false;
	return OK;
}

enum status family_wait(struct family *family, struct family_event *ret, struct error *err)
{
	bool found = false;
	int64_t start = clock_ms();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	member_done(&family->left);
	for (;;) {
		if (take_stops(family, err) != OK ||
		    look_at_members(family, ret, &found, err) != OK)
			return FAILED;
		if (found)
			return OK;
		if (family->refused) {
			family->left.command = TAKE(family->refused);
			*ret = (struct family_event){.what = FAMILY_REFUSED,
						     .pid = family->refused_pid,
						     .command = family->left.command,
						     .exe = -1,
						     .why = family->why};
			return OK;
		}
		if (family->ended) {
			*ret = (struct family_event){
				.what = FAMILY_ENDED, .pid = family->pid, .exe = -1};
			return OK;
		}
		/* stops that go on and on are no reason to keep the caller waiting */
		int64_t left = start + (family->member_count ? LOOK_MS : IDLE_MS) - clock_ms();
		struct timespec piece = {left / 1000, left % 1000 * 1000000L};
		if (left > 0 && sigtimedwait(&set, NULL, &piece) >= 0)
			continue;
		*ret = (struct family_event){.what = FAMILY_IDLE, .exe = -1};
		return OK;
	}
}

pid_t family_pid(const struct family *family)
{
	return family->pid;
}

int family_status(const struct family *family)
{
	return family->status;
}

void family_free(struct family *family)
{
	if (!family)
		return;
	for (size_t i = 0; i < family->member_count; i++)
		member_done(&family->members[i]);
	free(family->members);
	member_done(&family->left);
	free(family->refused);
	sigprocmask(SIG_SETMASK, &family->old_mask, NULL);
	free(family);
}
