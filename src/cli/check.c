#include "cli/command.h"
#include "cli/session.h"
#include "report/readiness.h"

int check_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	struct readiness_item binary[READINESS_MAX], machine[READINESS_MAX];
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;
	struct readiness_report report = {
		.binary = binary,
		.machine = machine,
		.pid = s.target->kind == TARGET_PROCESS ? s.target->pid : 0,
	};
	if (readiness_of_binary(s.rt, binary, &report.binary_count, &s.error) != OK)
		return session_fail(&s);
	if (!option_given(options, OPTION_BINARY)) {
		struct core_settings settings = core_settings_read(report.pid, &s.notes);
		char traceback[64];
		bool set = environment_read(report.pid, "GOTRACEBACK", traceback, sizeof(traceback),
					    &s.error) == OK;
		if (!set && s.error.code != ERROR_NOT_FOUND)
			notes_add_error(&s.notes, "target", "GOTRACEBACK", &s.error);
		report.machine_count =
			readiness_of_machine(s.rt, &settings, set ? traceback : NULL, machine);
	}
	if (s.json)
		readiness_json(stdout, s.rt, &s.source, &report);
	else
		readiness_text(&s.page, s.rt, &report);
	if (!s.json)
		page_notes(&s.page, &s.notes);
	status = session_end(&s);
	if (status == EXIT_NOTHING)
		return status;
	enum readiness worst = readiness_worst(binary, report.binary_count);
	if (worst == READY_NOT)
		return EXIT_NOTHING;
	if (worst == READY && readiness_worst(machine, report.machine_count) == READY)
		return status;
	return EXIT_GAPS;
}
