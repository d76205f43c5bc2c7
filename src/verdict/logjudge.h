/*
 * The judgement on one crash of a log. The grades' rules are in log.h.
 */
#ifndef VERDICT_LOGJUDGE_H
#define VERDICT_LOGJUDGE_H

#include "verdict/log.h"
#include "verdict/logcrash.h"

/* exe NULL: none. What is missing in the text is noted. */
enum status log_crash_judge(const struct log_crash_text *crash, struct log_exe *exe, bool sites,
			    struct notes *notes, struct verdict *ret, struct error *err);

#endif
