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
#include <sys/syscall.h>

#include <cmocka.h>

#include "insn/insn.h"
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

/* Calls the function of two arguments, a map and a g, that lies at addr: the caller that stubs see, since it is
 * neither inlined nor left by a jump. */
__attribute__((noinline)) static uint64_t call_at(uint64_t addr, void *map, void *g)
{
	typedef uint64_t map_function(void *map, void *g);
	uint64_t ret = ((map_function *)(uintptr_t)addr)(map, g);
	__asm__ volatile("" ::: "memory");
	return ret;
}

/* That what the stubs, which lie at addr, call of the kernel are calls that Go itself cannot do without: a filter
 * that comes later kills for others. Returns how many calls there are. */
static inline unsigned check_calls(const struct stubs *stubs, uint64_t addr)
{
	struct stubs_index index;
	unsigned calls = 0;
	memcpy(&index, stubs->bytes, sizeof(index));
	for (uint32_t i = 0; i < index.count; i++) {
		struct stub_info info;
		struct insn insn;
		uint32_t eax = 0;
		memcpy(&info, stubs->bytes + sizeof(index) + i * sizeof(info), sizeof(info));
		for (uint64_t at = info.start; at < info.end; at += insn.length) {
			const uint8_t *code = stubs->bytes + at;
			assert_true(insn_decode(ARCH_AMD64, code, info.end - at, addr + at, &insn));
			if (code[0] == 0xb8) /* mov $imm32,%eax */
				memcpy(&eax, code + 1, sizeof(eax));
			if (code[0] != 0x0f || code[1] != 0x05) /* syscall */
				continue;
			assert_true(eax == SYS_nanosleep || eax == SYS_futex);
			calls++;
		}
	}
	return calls;
}

/* For stubs_settle: a word of our own memory. */
static inline bool read_ours(void *context, uint64_t addr, uint64_t *ret)
{
	(void)context;
	memcpy(ret, (void *)(uintptr_t)addr, sizeof(*ret));
	return true;
}

#endif
