#include "cli/command.h"
#include "cli/session.h"
#include "report/map.h"

/* Maps that are listed where the command line does not say. */
enum { MAPS_DEFAULT = 100 };

int maps_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	uint64_t limit;
	if (!option_number(options, OPTION_LIMIT,
			   option_given(options, OPTION_JSON) ? 0 : MAPS_DEFAULT, &limit))
		return EXIT_USAGE;
	int status = session_open_run(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	struct goroutines goroutines = {0};
	struct found_maps found;
	if (goroutines_read(s.rt, &goroutines, &s.error) != OK)
		notes_add_error(&s.notes, "go", "goroutines", &s.error);
	enum status done = maps_find(s.rt, &goroutines, &found, &s.error);
	if (done == OK) {
		done = s.json ? maps_json(stdout, s.rt, &s.source, &found, limit, &s.error)
			      : maps_text(&s.page, s.rt, &found, limit, &s.error);
		found_maps_done(&found);
	}
	goroutines_done(&goroutines);
	if (done != OK)
		return session_fail(&s);
	if (!s.json)
		page_notes(&s.page, &s.notes);
	return session_end(&s);
}
