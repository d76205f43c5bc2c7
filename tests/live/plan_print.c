/*
 * Prints what the recorder would change in an executable: kind, function, first and last offset in it,
 * registers of map and temporary value, where the map's type is while the flag is set.
 */
#include <stdio.h>
#include <string.h>

#include "go/runtime.h"
#include "probe/plan.h"

int main(int argc, char **argv)
{
	static const char *const kinds[] = {"set",   "clear", "checked", "branch", "fatal",
					    "entry", "gogo",  "fault",	 "panic",  "throw"};
	struct notes notes = NOTES_INIT;
	struct target_options how = {0};
	AUTO_TARGET struct target *target = NULL;
	AUTO_RUNTIME struct runtime *rt = NULL;
	struct plan plan;
	struct error err;
	if (argc != 2)
		return 64;
	if (target_open(argv[1], &how, &notes, &target, &err) != OK ||
	    runtime_open(target, &notes, &rt, &err) != OK || plan_make(rt, &plan, &err) != OK ||
	    plan_add_entries(rt, true, true, &plan, &err) != OK ||
	    plan_add_gogo(rt, &plan, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	for (size_t i = 0; i < plan.count; i++) {
		const struct plan_site *site = &plan.list[i];
		struct function fn;
		bool known = pclntab_find(rt->pclntab, site->addr, &fn);
		char type[32] = "";
		if (site->type_place == PLAN_TYPE_REG)
			snprintf(type, sizeof(type), " type in %u", site->type_reg);
		else if (site->type_place == PLAN_TYPE_SLOT)
			snprintf(type, sizeof(type), " type at rbp%+d", site->type_slot);
		printf("%s %s+0x%llx %llu %u %u%s%s\n", kinds[site->kind], known ? fn.name : "?",
		       (unsigned long long)(site->addr - fn.entry),
		       (unsigned long long)(site->kind == PLAN_BRANCH ? PLAN_PATCH_SIZE
								      : site->end - site->addr),
		       site->map_reg, site->temp_reg, site->interior ? " interior" : "", type);
	}
	printf("%zu sets, %zu clears, %zu fatals\n", plan.sets, plan.clears, plan.fatals);
	plan_done(&plan);
	notes_done(&notes);
	return 0;
}
