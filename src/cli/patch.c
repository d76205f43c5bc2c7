#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/command.h"
#include "cli/session.h"
#include "probe/graft.h"

/* What IN and OUT must not be; *ret_mode: IN's permissions. */
static enum status check_files(const char *in, const char *out, mode_t *ret_mode, struct error *err)
{
	struct stat from, to;
	if (stat(in, &from) != 0)
		return error_sys(err, "%.160s", in);
	if (from.st_mode & (S_ISUID | S_ISGID))
		return error_set(err, ERROR_UNSUPPORTED,
				 "%.140s is setuid or setgid: its copy would have no such rights",
				 in);
	if (getxattr(in, "security.capability", NULL, 0) > 0)
		return error_set(err, ERROR_UNSUPPORTED,
				 "%.140s has file capabilities: its copy would have none", in);
	if (stat(out, &to) == 0) {
		if (to.st_dev == from.st_dev && to.st_ino == from.st_ino)
			return error_set(err, ERROR_UNSUPPORTED,
					 "%.160s is the program itself, which is not changed", out);
		if (!S_ISREG(to.st_mode))
			return error_set(err, ERROR_UNSUPPORTED, "%.160s is no regular file", out);
	} else if (errno != ENOENT) {
		return error_sys(err, "%.160s", out);
	}
	*ret_mode = from.st_mode & 0777;
	return OK;
}

/* Writes the copy under a name of its own beside out, which is in the way of nobody, and then renames it:
 * at each moment out is whole, or what it was. */
static enum status write_copy(struct runtime *rt, struct executable *file,
			      const struct options *options, const char *out, mode_t mode,
			      struct graft *ret, struct error *err)
{
	const struct graft_options how = {.no_times = option_given(options, OPTION_NO_TSC)};
	const char *slash = strrchr(out, '/');
	size_t folder = slash ? (size_t)(slash - out) + 1 : 0;
	AUTO_FREE char *name = NULL;
	if (asprintf(&name, "%.*s.mapcrash-XXXXXX", (int)folder, out) < 0) {
		name = NULL;
		return error_nomem(err);
	}
	AUTO_FD int fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, "%.160s", out);
	enum status status = graft_write(rt, file, &how, fd, ret, err);
	/* close tells of a full disk, too (NFS) */
	if (status == OK &&
	    (fchmod(fd, mode) != 0 || close(TAKE_FD(fd)) != 0 || rename(name, out) != 0))
		status = error_sys(err, "%.160s", out);
	if (status != OK)
		unlink(name);
	return status;
}

/* A copy of a program in which the recorder lies. */
int patch_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	AUTO_EXECUTABLE struct executable *file = NULL;
	const char *in = options->operands[0], *out = options->operands[1];
	struct graft graft;
	mode_t mode = 0; /* gcc does not see that it is set on success */
	int status = session_begin(&s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	if (check_files(in, out, &mode, &s.error) != OK ||
	    executable_open(in, &file, &s.error) != OK ||
	    session_open_target(&s, in) != EXIT_SHOWN ||
	    write_copy(s.rt, file, options, out, mode, &graft, &s.error) != OK)
		return session_fail(&s);
	fprintf(stderr,
		"mapcrash: %zu places of map code are recorded in the copy; run it with "
		"GOTRACEBACK=crash and cores on, then: mapcrash explain CORE\n",
		graft.sets + graft.clears + graft.fatals);
	return EXIT_SHOWN;
}
