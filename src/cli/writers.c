#include "report/writers.h"
#include "cli/command.h"
#include "cli/session.h"
#include "go/type.h"
#include "maps/generic.h"
#include "report/stores.h"

/* Goroutines that are shown where the command line does not say. */
enum { GOROUTINES_DEFAULT = 20 };

static int by_type(struct session *s, const char *name)
{
	uint64_t type = 0;
	struct map_sites sites;
	if ((name && session_map_type(s, name, &type) != OK) ||
	    map_writers_find(s->rt, type, true, &sites, &s->error) != OK)
		return session_fail(s);
	if (s->json)
		writers_json(stdout, s->rt, &s->source, type, &sites);
	else
		writers_text(&s->page, s->rt, type, &sites);
	map_sites_done(&sites);
	if (!s->json)
		page_notes(&s->page, &s->notes);
	return session_end(s);
}

static int by_address(struct session *s, uint64_t addr, uint64_t limit)
{
	struct stores_report report;
	bool complete = true;
	if (stores_report_make(s->rt, addr, &report, &s->error) != OK)
		return session_fail(s);
	if (s->json)
		stores_json(stdout, s->rt, &s->source, &report);
	else
		complete = stores_text(&s->page, s->rt, &report, limit);
	stores_report_done(&report);
	if (!s->json)
		page_notes(&s->page, &s->notes);
	int status = session_end(s);
	return status == EXIT_SHOWN && !complete ? EXIT_GAPS : status;
}

int writers_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t addr, limit;
	const char *what = options->operand_count > 1 ? options->operands[1] : NULL;
	if (!option_number(options, OPTION_LIMIT, GOROUTINES_DEFAULT, &limit))
		return EXIT_USAGE;
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;
	/* The address of a type's descriptor stands for the type: nothing writes there. */
	if (what && what[0] == '0' && what[1] == 'x' && operand_addr(what, &addr) &&
	    !(addr >= s.rt->module.types && addr < s.rt->module.etypes))
		return by_address(&s, addr, limit);
	return by_type(&s, what);
}
