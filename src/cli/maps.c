#include "cli/command.h"
int maps_run(const struct options *options)
{
	(void)options;
	return EXIT_NOTHING;
}
