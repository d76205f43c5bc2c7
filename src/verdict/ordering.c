#include "verdict/ordering.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "insn/insn.h"
#include "maps/writers.h"

/* Functions that are looked through for one goroutine: more is a whole program's worth, and has locks. */
enum { FUNCTIONS_MAX = 4000 };

/* What channels and select statements are compiled to: cmd/compile/internal/typecheck/_builtin/runtime.go. */
static const char *const channel_functions[] = {
	"runtime.chansend1",	"runtime.chanrecv1",   "runtime.chanrecv2",
	"runtime.closechan",	"runtime.selectgo",    "runtime.selectnbsend",
	"runtime.selectnbrecv", "runtime.selectsetpc", "runtime.block",
};

/* What leads to code that is not Go's. */
static const char *const foreign_functions[] = {"runtime.cgocall", "runtime.asmcgocall"};

/* Functions of the standard library, by how their names begin, that hand nothing from one goroutine to
 * another, nor call what the caller's own code does not hand to them. */
static const char *const silent_functions[] = {
	"cmp.",		  "errors.",	   "fmt.Sprint", "fmt.Print",  "fmt.Errorf",
	"hash/",	  "maps.",	   "math.",	 "math/bits.", "math/rand.",
	"math/rand/v2.",  "slices.",	   "sort.",	 "strconv.",   "strings.",
	"time.Now",	  "time.Sleep",	   "time.Since", "unicode.",   "unicode/utf8.",
	"unicode/utf16.", "encoding/hex.",
};

static bool begins_with(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool is_silent(const char *name)
{
	for (size_t i = 0; i < sizeof(silent_functions) / sizeof(silent_functions[0]); i++)
		if (begins_with(name, silent_functions[i]))
			return true;
	return false;
}

static bool synchronizes(const char *name)
{
	static const char *const packages[] = {"sync.", "internal/sync.", "sync/atomic.",
					       "internal/runtime/atomic.",
					       "runtime/internal/atomic."};
	for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++)
		if (begins_with(name, packages[i]))
			return true;
	for (size_t i = 0; i < sizeof(channel_functions) / sizeof(channel_functions[0]); i++)
		if (strcmp(name, channel_functions[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof(foreign_functions) / sizeof(foreign_functions[0]); i++)
		if (strcmp(name, foreign_functions[i]) == 0)
			return true;
	return false;
}

static bool is_library(struct runtime *rt, const struct library *library, const struct function *fn)
{
	struct source_frame source = {.file = "?"};
	/* Where the table has no file, it is nobody's: as if it were the program's own. */
	(void)pclntab_line(rt->pclntab, fn, fn->entry, &source.file, &source.line);
	source.function = fn->name;
	return library_has(library, &source);
}

/* An instruction of the function's own that orders, or a call that cannot be followed. */
static const char *found_in_function(struct runtime *rt, const struct function *fn)
{
	struct insn_sweep sweep = function_sweep(rt, fn);
	if (!sweep.code)
		return fn->name;
	sweep.full = true;
	for (struct insn insn; insn_sweep_next(&sweep, &insn);) {
		if (insn.atomic || insn.exclusive)
			return "an atomic instruction";
		if (insn.flow == INSN_CALL && !insn.has_target)
			return "a call that cannot be followed";
	}
	return NULL;
}

bool ordering_in_code(struct runtime *rt, const struct library *library,
		      const struct function *root, const char **ret_what)
{
	AUTO_FREE struct callee_ref *list = calloc(FUNCTIONS_MAX, sizeof(*list));
	size_t count = 1;
	*ret_what = "too much code";
	if (!list)
		return true;
	list[0].entry = root->entry;
	for (size_t i = 0; i < count; i++) {
		struct function fn;
		*ret_what = "a function that is not known";
		if (!pclntab_find(rt->pclntab, list[i].entry, &fn))
			return true;
		*ret_what = fn.name;
		if (synchronizes(fn.name))
			return true;
		if (function_is_runtime(fn.name) || is_silent(fn.name))
			continue;
		if (is_library(rt, library, &fn))
			return true;
		*ret_what = found_in_function(rt, &fn);
		if (*ret_what)
			return true;
		count = function_callees(rt, &fn, i, list, count, FUNCTIONS_MAX);
		*ret_what = "too much code";
		if (count == FUNCTIONS_MAX)
			return true;
	}
	return false;
}

bool ordering_root(const struct frame *frames, size_t count, struct function *ret)
{
	while (count && frames[count - 1].has_function &&
	       (strcmp(frames[count - 1].function.name, "runtime.goexit") == 0 ||
		strcmp(frames[count - 1].function.name, "runtime.main") == 0)) {
		count--;
		if (count && frames[count - 1].has_function &&
		    strcmp(frames[count - 1].function.name, "runtime.main") != 0) {
			*ret = frames[count - 1].function;
			/* package initialization, whose functions the runtime calls by a table */
			return !function_is_runtime(ret->name);
		}
	}
	return false;
}
