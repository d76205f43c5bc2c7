#include "report/writers.h"
#include "cli/command.h"
#include "cli/session.h"
#include "maps/generic.h"

int writers_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t type = 0;
	struct map_sites sites;
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;
	if (options->operand_count > 1 && session_map_type(&s, options->operands[1], &type) != OK)
		return session_fail(&s);
	if (map_writers_find(s.rt, type, &sites, &s.error) != OK)
		return session_fail(&s);
	if (s.json)
		writers_json(stdout, s.rt, &s.source, type, &sites);
	else
		writers_text(&s.page, s.rt, type, &sites);
	map_sites_done(&sites);
	if (!s.json)
		page_notes(&s.page, &s.notes);
	return session_end(&s);
}
