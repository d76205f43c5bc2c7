/*
 * For tests that run stubs in this process, as a map function of our own would run them.
 */
#ifndef UNIT_PROBE_OWN_CODE_H
#define UNIT_PROBE_OWN_CODE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "probe/stubs.h"

/* Memory that code can be written to and run in. The caller unmaps it. */
static inline void *map_fixed(uint64_t addr, size_t size)
{
	void *p = mmap((void *)(uintptr_t)addr, size, PROT_READ | PROT_WRITE | PROT_EXEC,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(p, (void *)(uintptr_t)addr);
	return p;
}

/* Lays the jumps into the code, which is as it was. */
static inline void lay_patches(const struct stubs *stubs)
{
	for (size_t i = 0; i < stubs->patch_count; i++) {
		void *at = (void *)(uintptr_t)stubs->patches[i].addr;
		assert_memory_equal(at, stubs->patches[i].old, PLAN_PATCH_SIZE);
		memcpy(at, stubs->patches[i].new, PLAN_PATCH_SIZE);
	}
}

/* Calls the function of two arguments, a map and a g, that lies at addr. */
static inline uint64_t call_at(uint64_t addr, void *map, void *g)
{
	typedef uint64_t map_function(void *map, void *g);
	return ((map_function *)(uintptr_t)addr)(map, g);
}

/* For stubs_settle: a word of our own memory. */
static inline bool read_ours(void *context, uint64_t addr, uint64_t *ret)
{
	(void)context;
	memcpy(ret, (void *)(uintptr_t)addr, sizeof(*ret));
	return true;
}

#endif
