#include "probe/records.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "probe/stubs.h"

static_assert(sizeof(struct record) == 128, "machine code counts in these");
static_assert(sizeof(struct records_header) == 4096, "lines begin at the next page");
static_assert(offsetof(struct records_header, frozen) == 64, "cache lines");
static_assert(offsetof(struct records_header, lost) == 128, "cache lines");
static_assert(offsetof(struct records_header, holder) == 192, "cache lines");
static_assert(offsetof(struct records_header, first_next) == 320, "cache lines");
static_assert(offsetof(struct records_header, held_map) == 448, "cache lines");
static_assert(offsetof(struct records_header, held) == 512, "cache lines");
static_assert(offsetof(struct records_header, found_g) == 768, "cache lines");
static_assert(offsetof(struct records_header, found_at) ==
			      offsetof(struct records_header, found_g) + 16 &&
		      offsetof(struct records_header, left_at) ==
			      offsetof(struct records_header, left_g) + 16,
	      "machine code counts in these");

enum { PAGE = 4096 };

uint64_t records_lines_offset(void)
{
	return sizeof(struct records_header);
}

uint64_t records_lines_size(unsigned line_bits)
{
	return ((UINT64_C(1) << line_bits) + RECORD_PROBES) * sizeof(struct record);
}

uint64_t records_before_offset(unsigned line_bits)
{
	return records_lines_offset() + records_lines_size(line_bits);
}

uint64_t records_last_offset(unsigned line_bits)
{
	return records_before_offset(line_bits) +
	       (records_lines_size(line_bits) << RECORD_BEFORE_BITS);
}

uint64_t records_runs_offset(unsigned line_bits)
{
	return records_last_offset(line_bits) +
	       (UINT64_C(1) << RECORD_LAST_BITS) * sizeof(struct record_last);
}

uint64_t records_size(unsigned line_bits)
{
	uint64_t end = records_runs_offset(line_bits) +
		       (UINT64_C(1) << RECORD_RUN_BITS) * sizeof(struct record_run);
	return (end + PAGE - 1) / PAGE * PAGE;
}

uint64_t records_reads_offset(unsigned line_bits)
{
	return records_size(line_bits);
}

uint64_t records_size_with_reads(unsigned line_bits)
{
	uint64_t end = records_reads_offset(line_bits) + records_lines_size(line_bits);
	return (end + PAGE - 1) / PAGE * PAGE;
}

static uint64_t size_of(const struct records_header *h)
{
	return h->flags & RECORDS_READS ? records_size_with_reads(h->line_bits)
					: records_size(h->line_bits);
}

static bool header_is_sane(const struct records_header *h)
{
	return memcmp(h->magic, RECORDS_MAGIC, RECORDS_MAGIC_SIZE) == 0 &&
	       h->line_bits >= RECORD_LINE_BITS_MIN && h->line_bits <= RECORD_LINE_BITS_MAX &&
	       h->size == size_of(h) && h->stubs <= h->stubs_end &&
	       h->stubs_end - h->stubs <= STUBS_SIZE_MAX;
}

bool records_header_parse(const void *p, size_t n, struct records_header *ret)
{
	struct records_header header;
	if (n < sizeof(header))
		return false;
	memcpy(&header, p, sizeof(header));
	if (!header_is_sane(&header))
		return false;
	*ret = header;
	return true;
}

/*
 * Copies a line that the program may be writing at the same time: false where it is torn. A writer first
 * says so in state, and each write has a time of its own, so a line that looks the same before and after
 * was not touched in between. Without times it may have been written twice meanwhile, and then is as whole
 * as it looks.
 */
static bool copy_line(const uint8_t *at, struct record *ret)
{
	enum { TRIES = 3 };
	for (int i = 0; i < TRIES; i++) {
		struct record before;
		memcpy(&before, at, sizeof(before));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		memcpy(ret, at, sizeof(*ret));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (memcmp(&before, ret, sizeof(before)) == 0)
			return true;
	}
	return false;
}

static uint64_t take_seed(struct record *record)
{
	uint64_t seed = record->callers[RECORD_CALLERS - 1];
	record->callers[RECORD_CALLERS - 1] = 0;
	return seed;
}

/* Collects the lines in use of those from at on. */
static enum status parse_lines(const uint8_t *at, const struct records_header *h,
			       struct record **ret, uint64_t **ret_seeds, size_t *ret_count,
			       struct error *err)
{
	static const uint64_t none;
	size_t cap = 0, seeds = 0, seed_cap = 0;
	size_t lines = ((size_t)1 << h->line_bits) + RECORD_PROBES;
	for (size_t i = 0; i < lines; i++, at += sizeof(struct record)) {
		struct record record;
		if (memcmp(at, &none, sizeof(none)) == 0)
			continue;
		if (!copy_line(at, &record))
			record.state = RECORD_TORN;
		if (record.g && h->flags & RECORDS_SEEDS) {
			uint64_t seed = take_seed(&record);
			if (!ARRAY_PUSH(*ret_seeds, seeds, seed_cap, seed))
				return error_nomem(err);
		}
		if (record.g && !ARRAY_PUSH(*ret, *ret_count, cap, record))
			return error_nomem(err);
	}
	return OK;
}

/* Collects what the lines in use, of those from at on, were before. */
static enum status parse_before(const uint8_t *at, const struct records_header *h,
				struct records *records, struct error *err)
{
	enum { PLACES = 1 << RECORD_BEFORE_BITS };
	uint64_t size = records_lines_size(h->line_bits);
	size_t cap = 0, count = ((size_t)1 << h->line_bits) + RECORD_PROBES;
	for (size_t i = 0; i < count * PLACES; i++) {
		struct record record;
		const uint8_t *line = at + i / PLACES * sizeof(record);
		const uint8_t *place = line + (1 + i % PLACES) * size;
		if (!load_u64(line + offsetof(struct record, g)) ||
		    !load_u64(place + offsetof(struct record, map)) || !copy_line(place, &record))
			continue;
		if (h->flags & RECORDS_SEEDS)
			take_seed(&record);
		if (record.g && record.map && record.state == RECORD_DONE &&
		    !ARRAY_PUSH(records->before, records->before_count, cap, record))
			return error_nomem(err);
	}
	return OK;
}

static uint64_t detector_since(const uint8_t *runs, const struct records_header *h)
{
	for (size_t i = 0; i < (size_t)1 << RECORD_RUN_BITS; i++) {
		struct record_run run;
		memcpy(&run, runs + i * sizeof(run), sizeof(run));
		if (h->frozen && run.g == h->detector_g && run.since <= h->frozen_at)
			return run.since;
	}
	return 0;
}

enum status records_parse(const void *p, size_t n, struct records *ret, struct error *err)
{
	AUTO_RECORDS struct records records = {0};
	const struct records_header *h = &records.header;
	if (n < sizeof(*h))
		return error_set(err, ERROR_FORMAT, "too short for a recorder's table");
	if (!records_header_parse(p, n, &records.header) || h->size > n)
		return error_set(err, ERROR_FORMAT, "not a recorder's table");
	if (h->flags & RECORDS_SEEDS) {
		take_seed(&records.header.held);
		take_seed(&records.header.comer);
	}
	if (parse_lines((const uint8_t *)p + records_lines_offset(), h, &records.list,
			&records.seeds, &records.count, err) != OK ||
	    parse_before((const uint8_t *)p + records_lines_offset(), h, &records, err) != OK)
		return FAILED;
	if (h->flags & RECORDS_READS &&
	    parse_lines((const uint8_t *)p + records_reads_offset(h->line_bits), h, &records.reads,
			&records.read_seeds, &records.read_count, err) != OK)
		return FAILED;
	records.detector_since =
		detector_since((const uint8_t *)p + records_runs_offset(h->line_bits), h);
	*ret = records;
	records = (struct records){0};
	return OK;
}

void records_done(struct records *records)
{
	free(records->list);
	free(records->before);
	free(records->reads);
	free(records->seeds);
	free(records->read_seeds);
	*records = (struct records){0};
}

/* The table at addr, where its header was seen. */
static enum status read_table(struct memory *memory, uint64_t addr, uint64_t size,
			      struct records *ret, struct error *err)
{
	AUTO_FREE uint8_t *table = malloc(size);
	if (!table)
		return error_nomem(err);
	if (memory_read(memory, addr, table, size, err) != OK)
		return error_prefix(err, "the recorder's table is cut");
	if (records_parse(table, size, ret, err) != OK)
		return FAILED;
	struct records_header *h = &ret->header;
	uint64_t bias = h->linked_at ? addr - h->linked_at : 0;
	h->text += bias;
	h->stubs += bias;
	h->stubs_end += bias;
	return OK;
}

enum status records_find(struct target *target, struct records *ret, struct error *err)
{
	struct memory *memory = target->memory;
	struct memory_range range;
	/* The table is a mapping of its own, so it begins where a range begins; in a program of which it
	 * is part, program headers may stand in a page before it. */
	for (uint64_t at = 0; memory_range_at(memory, at, &range); at = range.end) {
		struct records_header header;
		uint64_t start = range.start;
		for (int i = 0; i < 2 && range.writable && start % PAGE == 0; i++, start += PAGE)
			if (memory_read(memory, start, &header, sizeof(header), NULL) == OK &&
			    header_is_sane(&header))
				return read_table(memory, start, header.size, ret, err);
		if (range.end <= at)
			break;
	}
	return error_set(err, ERROR_NOT_FOUND, "there is no recorder's table");
}

static bool read_word(void *context, uint64_t addr, uint64_t *ret)
{
	return memory_read_u64(context, addr, ret, NULL) == OK;
}

/* The recorder's code in a target, as records_settle leaves it there. */
struct stubs_copy {
	struct memory *memory;
	uint64_t addr;
	size_t size;
	uint8_t bytes[];
};

static void settle_by_copy(const void *context, struct regs *regs)
{
	const struct stubs_copy *copy = context;
	stubs_settle(copy->bytes, copy->size, copy->addr, read_word, copy->memory, regs);
}

bool records_settle(const struct records *records, struct target *target)
{
	uint64_t addr = records->header.stubs;
	size_t size = records->header.stubs_end - addr;
	AUTO_FREE struct stubs_copy *copy = malloc(sizeof(*copy) + size);
	bool readable = copy && memory_read(target->memory, addr, copy->bytes, size, NULL) == OK;
	bool all = true;
	if (target->arch != ARCH_AMD64)
		return true;
	if (readable)
		*copy = (struct stubs_copy){target->memory, addr, size};
	for (size_t i = 0; i < target->thread_count; i++) {
		struct thread *thread = &target->threads[i];
		if (thread->has_regs && readable)
			settle_by_copy(copy, &thread->regs);
		else if (thread->has_regs)
			all = all && (thread->regs.pc < addr || thread->regs.pc - addr >= size);
	}
	free(target->moved_code.context);
	target->moved_code = (struct moved_code){0};
	if (readable)
		target->moved_code = (struct moved_code){settle_by_copy, TAKE(copy)};
	return all;
}
