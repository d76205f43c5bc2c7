#include <stdio.h>

int main(void)
{
	fprintf(stderr, "mapcrash %s\n", MAPCRASH_VERSION);
	return 64;
}
