#include "cli/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/nomem.h"
#include "go/type.h"
#include "probe/graft.h"
#include "report/escape.h"

static int complain(const char *text)
{
	fputs("mapcrash: ", stderr);
	escape_terminal(stderr, text, strlen(text));
	fputc('\n', stderr);
	return EXIT_NOTHING;
}

static bool want_colour(const struct options *options, FILE *out, bool *ret)
{
	const char *when = options->value[OPTION_COLOR];
	if (!when || strcmp(when, "auto") == 0) {
		const char *term = getenv("TERM");
		*ret = isatty(fileno(out)) && !getenv("NO_COLOR") && term &&
		       strcmp(term, "dumb") != 0;
		return true;
	}
	*ret = strcmp(when, "always") == 0;
	return *ret || strcmp(when, "never") == 0;
}

int session_begin(struct session *s, const struct options *options, FILE *out)
{
	*s = (struct session){.options = options, .notes = NOTES_INIT};
	nomem_note(&s->notes);
	s->json = option_given(options, OPTION_JSON);
	if (!want_colour(options, out, &s->page.colour)) {
		complain("--color is always, never or auto");
		return EXIT_USAGE;
	}
	s->page.out = out;
	s->page.source = source_line;
	s->sources = (struct source){options->value[OPTION_SYSROOT], &s->notes};
	s->page.source_context = &s->sources;
	return EXIT_SHOWN;
}

int session_open_target(struct session *s, const char *what)
{
	static const char *const kinds[] = {
		[TARGET_CORE] = "core",
		[TARGET_PROCESS] = "process",
		[TARGET_EXECUTABLE] = "executable",
	};
	const struct options *options = s->options;
	struct target_options how = {.exe = options->value[OPTION_EXE],
				     .sysroot = options->value[OPTION_SYSROOT],
				     .force_exe = option_given(options, OPTION_FORCE_EXE),
				     .recorded = s->has_records};
	if (target_open(what, &how, &s->notes, &s->target, &s->error) != OK)
		return EXIT_NOTHING;
	s->source = (struct explain_source){.kind = kinds[s->target->kind], .path = what};
	/* code is to be read as it was compiled */
	if (s->target->exe && graft_is_in(s->target->exe) && !graft_restore(s->target->exe))
		notes_add(&s->notes, "probe", 0,
			  "the program was patched, and what was changed in it contradicts itself");
	if (!s->has_records)
		s->has_records = s->target->kind != TARGET_EXECUTABLE &&
				 records_find(s->target, &s->records, NULL) == OK;
	if (s->has_records && !records_settle(&s->records, s->target))
		notes_add(&s->notes, "probe", s->records.header.stubs,
			  "a thread stands in the recorder's code, which is not here: name the "
			  "patched program with --exe to see its stack");
	if (runtime_open(s->target, &s->notes, &s->rt, &s->error) != OK) {
		(void)error_prefix(&s->error, "%s", what);
		return EXIT_NOTHING;
	}
	return EXIT_SHOWN;
}

int session_open(struct session *s, const struct options *options)
{
	int status = session_begin(s, options, stdout);
	if (status != EXIT_SHOWN)
		return status;
	return session_open_target(s, options->operands[0]) == EXIT_SHOWN ? EXIT_SHOWN
									  : session_fail(s);
}

int session_open_run(struct session *s, const struct options *options)
{
	int status = session_open(s, options);
	return status == EXIT_SHOWN ? session_need_run(s) : status;
}

int session_need_run(struct session *s)
{
	if (s->target->kind != TARGET_EXECUTABLE)
		return EXIT_SHOWN;
	(void)error_set(&s->error, ERROR_UNSUPPORTED,
			"%.140s is an executable, which has not run: name a core of it, or a PID",
			s->options->operands[0]);
	return session_fail(s);
}

int session_fail(struct session *s)
{
	complain(s->error.text);
	/* What was noted on the way is often the reason: a missing executable, a cut core. */
	for (size_t i = 0; i < s->notes.count; i++)
		complain(s->notes.list[i].text);
	return EXIT_NOTHING;
}

int session_end(struct session *s)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain("the output could not be written");
	return s->notes.count || s->notes.dropped ? EXIT_GAPS : EXIT_SHOWN;
}

void session_done(struct session *s)
{
	runtime_free(s->rt);
	target_free(s->target);
	nomem_note(NULL);
	records_done(&s->records);
	notes_done(&s->notes);
}

bool option_number(const struct options *options, enum option_id id, uint64_t absent, uint64_t *ret)
{
	const char *text = options->value[id];
	char *end;
	if (!text) {
		*ret = absent;
		return true;
	}
	errno = 0;
	unsigned long long value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "mapcrash: --%s needs a number, not %s\n", option_specs[id].name,
			text);
		return false;
	}
	*ret = value;
	return true;
}

bool operand_addr(const char *text, uint64_t *ret)
{
	char *end;
	errno = 0;
	unsigned long long value = strtoull(text, &end, 16);
	if (errno || end == text || *end || *text == '-' || !value)
		return false;
	*ret = value;
	return true;
}

enum status session_map_type(struct session *s, const char *name, uint64_t *ret)
{
	return type_find_map(s->rt, name, ret, &s->error);
}
