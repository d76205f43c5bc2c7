#include "report/code.h"
#include "cli/command.h"
#include "cli/session.h"

int code_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	struct map_codes codes;
	const char *name = options->operand_count > 1 ? options->operands[1] : NULL;
	if (map_codes_find(s.rt, name, &codes, &s.error) != OK)
		return session_fail(&s);
	if (s.json)
		code_json(stdout, s.rt, &s.source, &codes);
	else
		code_text(&s.page, s.rt, &codes, name || option_given(options, OPTION_ALL));
	map_codes_done(&codes);
	if (!s.json)
		page_notes(&s.page, &s.notes);
	return session_end(&s);
}
