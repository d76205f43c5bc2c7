#include "verdict/verdict.h"

#include <stdlib.h>

#include "verdict/access.h"

const char *cause_name(enum cause cause)
{
	static const char *const names[] = {"race", "corruption", "other", "none"};
	return names[cause];
}

const char *grade_name(enum grade grade)
{
	static const char *const names[] = {"none", "unknown", "possible", "likely", "proven"};
	return names[grade];
}

const char *locking_name(enum locking locking)
{
	static const char *const names[] = {NULL, "none", "one side", "different", "read", "same"};
	return names[locking];
}

void verdict_done(struct verdict *v)
{
	for (size_t i = 0; i < v->candidate_count; i++)
		free(v->candidates[i].why);
	free(v->candidates);
	free(v->sites);
	access_done(&v->detector);
	access_done(&v->other);
	free(v->map.owner);
	free(v->map.contradiction);
	free(v->message);
	free(v->what);
	free(v->locking_text);
	free(v->advice);
	free(v->check);
	*v = (struct verdict){0};
}
