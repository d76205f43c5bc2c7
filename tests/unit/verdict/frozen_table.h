/*
 * For tests of what a recorder's table says: a frozen one of two goroutines, the detector and another one.
 */
#ifndef UNIT_VERDICT_FROZEN_TABLE_H
#define UNIT_VERDICT_FROZEN_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "target/memory.h"
#include "verdict/recorded.h"

enum { MAP = 0xc000010000 };

/* Line 0 is that of the detector, goroutine 1 at g 0x1000, line 1 that of goroutine 7 at g 0x7000; both run. No memory can
 * be read. */
struct fixture {
	struct target target;
	struct runtime rt;
	struct record lines[2];
	struct records records;
	struct goroutine live[2];
	struct goroutines goroutines;
	struct recorded found[RECORDED_MAX];
};

/* The table froze at a time, when a write of MAP of each was in flight since its own. */
static inline void set_up_frozen(struct fixture *f, uint64_t frozen_at, uint64_t own_set,
				 uint64_t other_set)
{
	memset(f, 0, sizeof(*f));
	f->target.memory = memory_new();
	assert_non_null(f->target.memory);
	f->rt.target = &f->target;
	f->records.header.frozen = 1;
	f->records.header.flags = RECORDS_TIMES;
	f->records.header.frozen_at = frozen_at;
	f->records.header.detector_g = 0x1000;
	f->records.header.detector_goid = 1;
	f->lines[0] = (struct record){
		.g = 0x1000, .goid = 1, .map = MAP, .set = own_set, .state = RECORD_IN_FLIGHT};
	f->lines[1] = (struct record){
		.g = 0x7000, .goid = 7, .map = MAP, .set = other_set, .state = RECORD_IN_FLIGHT};
	f->records.list = f->lines;
	f->records.count = 2;
	f->live[0] = (struct goroutine){.g = 0x1000, .id = 1, .status = GOROUTINE_RUNNING};
	f->live[1] = (struct goroutine){.g = 0x7000, .id = 7, .status = GOROUTINE_RUNNING};
	f->goroutines.list = f->live;
	f->goroutines.count = 2;
}

/* What is found of the writers of MAP; the fixture cannot be used again. */
static inline size_t find(struct fixture *f)
{
	size_t count = recorded_find(&f->rt, &f->records, &f->goroutines, MAP, f->found);
	memory_free(f->target.memory);
	return count;
}

#endif
