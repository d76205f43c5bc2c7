#include "cli/command.h"
int map_run(const struct options *options)
{
	(void)options;
	return EXIT_NOTHING;
}
