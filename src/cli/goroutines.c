#include "cli/command.h"
int goroutines_run(const struct options *options)
{
	(void)options;
	return EXIT_NOTHING;
}
