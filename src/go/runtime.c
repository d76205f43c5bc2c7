#include "go/runtime.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "go/dwarf.h"
#include "go/pcinfo.h"
#include "go/thread.h"
#include "go/type.h"
#include "go/waitreason.h"

/* Which design of map the binary has: by its functions, because go1.24 and go1.25 can be built with
 * either (GOEXPERIMENT=noswissmap). Both functions are in every binary of their design: the runtime
 * itself grows maps. */
static bool has_swiss_maps(const struct runtime *rt)
{
	struct function fn;
	return rt->version.minor >= 24 &&
	       (pclntab_by_name(rt->pclntab, "internal/runtime/maps.newTable", &fn) ||
		!pclntab_by_name(rt->pclntab, "runtime.hashGrow", &fn));
}

static enum status read_all(struct runtime *rt, struct error *err)
{
	struct target *target = rt->target;
	if (go_version_read(target, &rt->version, err) != OK)
		return FAILED;
	if (rt->version.minor < 18)
		return error_set(err, ERROR_UNSUPPORTED,
				 "built by %s; versions before 1.18 are not supported",
				 rt->version.text);
	if (!rt->version.from_build)
		notes_add(rt->notes, "go", 0,
			  "no build information in the binary; its version %s is from a string",
			  rt->version.text);
	if (pclntab_open(target, &rt->pclntab, err) != OK) {
		if (!target->exe)
			return error_set(err, ERROR_NOT_FOUND,
					 "a core of a program built by %s, whose executable is "
					 "needed and missing: name it with --exe FILE",
					 rt->version.text);
		return FAILED;
	}
	if (module_read(target, rt->pclntab, &rt->version, &rt->module, err) != OK)
		return FAILED;
	pclntab_bind(rt->pclntab, &rt->version, rt->module.text, rt->module.gofunc);
	rt->swiss = has_swiss_maps(rt);
	const struct layout *layout = layout_for(&rt->version, rt->swiss, &rt->layout_exact);
	if (!layout)
		return error_set(err, ERROR_UNSUPPORTED, "no layout of the runtime of %s is known",
				 rt->version.text);
	rt->layout = *layout;
	layout_from_types(rt);
	if (!rt->layout_exact)
		notes_add(rt->notes, "go", 0,
			  "%s is newer than what this program knows; the layouts of %s are used",
			  rt->version.text, layout->source);
	return OK;
}

enum status runtime_open(struct target *target, struct notes *notes, struct runtime **ret,
			 struct error *err)
{
	AUTO_RUNTIME struct runtime *rt = calloc(1, sizeof(*rt));
	if (!rt)
		return error_nomem(err);
	rt->target = target;
	rt->notes = notes;
	if (read_all(rt, err) != OK)
		return FAILED;
	*ret = TAKE(rt);
	return OK;
}

void runtime_free(struct runtime *rt)
{
	if (!rt)
		return;
	type_cache_free(rt->types);
	wait_reasons_free(rt->wait_reasons);
	scheduler_free(rt->scheduler);
	pc_cache_free(rt->pcs);
	dwarf_info_free(rt->dwarf);
	pclntab_free(rt->pclntab);
	free(rt);
}
