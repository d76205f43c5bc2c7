/*
 * The table that the recorder keeps in a running Go program: who wrote which map last, from where,
 * from when to when; and what stood still when a check failed.
 *
 * It is laid out here once, for the machine code that writes it (stubs.c), for us who read it over a
 * memfd, and for cores, in which it lies from a page's start on and is known by its magic. Numbers are
 * little endian. A goroutine has at most one map write in flight, so one line each loses nothing
 * that a crash needs: other goroutines cannot push it out. One that goes on to another map leaves its
 * line for the one before in further arrays, since it may be there before the table is frozen.
 *
 * A line is written before the flag is set, and with times not before the processors see it cleared: the
 * interval that it holds contains the true one. Nothing is written any more once frozen is set, which happens
 * at the first instruction behind a check that fails.
 *
 * With times it is also written down since when a goroutine has been running: what a check has seen then
 * happened since.
 */
#ifndef PROBE_RECORDS_H
#define PROBE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "target/target.h"

/* Eight bytes at a page's start; the last is the version of the layout. */
#define RECORDS_MAGIC "\177MAPREC\004"
enum { RECORDS_MAGIC_SIZE = 8 };

enum {
	/* Return addresses kept of a write: the deepest way from a map function to code that a user
	 * wrote (encoding/json by reflection) is eight calls. */
	RECORD_CALLERS = 10,
	/* Lines that are looked at from a goroutine's own one on when that is taken by another. */
	RECORD_PROBES = 32,
	RECORD_LINE_BITS_MIN = 4,
	RECORD_LINE_BITS_MAX = 18, /* 170 MB; a program with that many goroutines is a rare one */
	RECORD_LINE_BITS = 15, /* 21 MB, all of which is in a core */
	/* Places for what a line was before, 1 << this many: a goroutine may go through several maps before
	 * the table is frozen. */
	RECORD_BEFORE_BITS = 2,
	/* Types that holds can be narrowed to: one, and those that stand for it in a conversion
	 * (http.Header, textproto.MIMEHeader) or in generic code. */
	RECORD_HOLD_TYPES = 8,
};

enum record_state {
	RECORD_DONE = 0, /* the flag is clear again, or the line was never used */
	RECORD_IN_FLIGHT = 1, /* between set and clear */
	RECORD_TORN = 2, /* the line is just being written */
};

/* One goroutine's last map write: two cache lines. */
struct record {
	uint64_t g; /* address of its runtime.g; 0: the line is free */
	uint64_t goid;
	uint64_t map; /* address of the map's header */
	uint64_t set, clear; /* time stamp counter; 0 without time stamps */
	uint32_t site; /* of the set: offset of its first instruction from header.text */
	uint32_t state; /* enum record_state */
	uint64_t callers
		[RECORD_CALLERS]; /* innermost first: return addresses out of the map function
					     and of its callers; ends with 0 */
};

enum record_flags {
	RECORDS_TIMES = 1, /* set and clear are filled in */
	RECORDS_READS = 2, /* there are lines of readers, too */
	/* The last of a line's callers is no caller, but the eight bytes of the map's header that have its
	 * hash seed in them: two maps that were one after the other at one address differ in it. */
	RECORDS_SEEDS = 4,
};

/*
 * A meeting: a writer is held inside of its map function, before that has looked at the flag, and another
 * goroutine comes to a map function of the same map. Both calls last at that time, so nothing orders them.
 * The one that comes writes down who it is, and waits until it was looked at.
 */
enum meet_word { MEET_NONE, MEET_WRITING, MEET_READY };
enum { MEET_SECONDS = 2 }; /* that it waits at most */

/* What a detector does between freezing the table and dying: it sets FROZEN and waits for a moment;
 * who has seen it sets HELD, and the detector waits until RELEASED, at most HOLD_SECONDS. */
enum freeze_word { FREEZE_NONE, FREEZE_FROZEN, FREEZE_HELD, FREEZE_RELEASED };
enum { FREEZE_NOTICE_SECONDS = 5, FREEZE_HOLD_SECONDS = 60 };

/* A goroutine that faulted, and is to panic of that: it may yet recover. Goroutines whose g falls on the same
 * entry push each other out: then one that dies of it is not seen, no more. */
struct record_fault {
	uint64_t g;
	uint64_t at; /* time stamp counter: no deferred function of it has run yet */
	uint64_t busy; /* the g of who writes this just now */
	uint64_t pad;
};
enum { RECORD_FAULT_BITS = 4 };

/* The first page of the table; fields that different processors write stand in lines of their own. */
struct records_header {
	uint8_t magic[RECORDS_MAGIC_SIZE];
	uint32_t line_bits; /* 1 << line_bits lines, and RECORD_PROBES more behind them */
	uint32_t flags; /* enum record_flags */
	uint64_t text; /* address that record.site counts from */
	uint64_t stubs, stubs_end; /* where the machine code lies */
	uint64_t size; /* of the whole table, bytes */
	uint32_t watched; /* 1: somebody waits for freezes, and the detector stands still for him */
	uint32_t watcher; /* its process id */
	uint64_t
		linked_at; /* of a table that is part of a file (graft.h): its address as linked, from
			       which the addresses above count, too; 0: they are the process's */
	/* Written once, by the first detector: whose check failed, or who dies of a fault. 64 */
	uint32_t frozen; /* 1: no line changes any more */
	uint32_t freeze; /* enum freeze_word: a futex */
	uint64_t frozen_at; /* time stamp counter */
	uint64_t detector_g, detector_goid;
	uint64_t detector_return; /* return address of its call of fatal */
	uint64_t detector_sp; /* address of that on its stack */
	uint64_t pad1;
	uint64_t detector_callee; /* the fatal function that it was about to enter */
	/* 128 */
	uint32_t lost; /* writes that found no free line */
	uint32_t pad2[15];
	/* Holds. 192 */
	uint32_t holder; /* 1: a goroutine is being held */
	uint32_t holds; /* how many there were */
	uint64_t hold_next; /* no hold before this time stamp */
	uint64_t hold_map; /* only this map; 0: any */
	uint64_t hold_rest; /* ticks from the end of one hold to the next */
	uint64_t hold_ms, hold_ticks; /* how long a hold lasts, and the same in ticks */
	uint64_t hold_until; /* no hold after this time stamp: who asked for them may be gone */
	uint32_t hold_on; /* 0: holds are switched off */
	uint8_t pad3[4];
	/* Written by who froze the table, on its way from the failed check. 256 */
	uint64_t pad4;
	uint64_t checked_map, checked_g; /* the map whose flag it found wrong, and who it is */
	uint8_t pad5[40];
	/* Holds of writers of maps that nobody has written before. 320 */
	uint64_t first_next[2]; /* no such hold before: of the main goroutine, of any other */
	uint64_t first_rest; /* ticks from the end of one to the next */
	uint8_t pad6[40];
	uint64_t hold_types[RECORD_HOLD_TYPES]; /* only maps of these types; 0: none. 384 */
	/* Meetings: only where the recorder was laid in for them. 448 */
	uint64_t held_map; /* the map whose writer is held before its check; 0: none is */
	uint32_t met; /* enum meet_word: a futex */
	uint32_t meetings; /* how many there were */
	uint8_t pad7[48];
	/* 512 */
	struct record held; /* that writer: state, site and times are those of its entry check */
	struct record
		comer; /* who came to its map; clear is held.set, so that the two belong together */
	/* Written by the last writer whose set found the flag set. 768 */
	uint64_t found_g, found_map, found_at; /* who, of which map, when */
	/* Written by the last writer whose clear, an exclusive or as Swiss maps have it, found the flag clear and left it
	 * set: that of another write came between its exit check and that. */
	uint64_t left_g, left_map, left_at;
	uint8_t pad8[16];
	/* Goroutines that faulted. 832 */
	struct record_fault faults[1 << RECORD_FAULT_BITS];
	/* Written with detector_g by who dies of something else than its failed check: a time at which it still
	 * was in the call that broke; 0: it dies of a check. 1344 */
	uint64_t died_at;
	/* 1352: behind the lines lie 1 << RECORD_BEFORE_BITS times as many of what they were before,
	 * struct record_last[1 << RECORD_LAST_BITS] behind those, struct record_run[1 << RECORD_RUN_BITS]
	 * behind that, and where the flags say so, the lines of the readers at the end */
	uint8_t pad9[4096 - 1352];
};

/* Who wrote a map last; kept for holds only. Maps that share an entry push each other out: then a
 * hold is missed, no more. */
struct record_last {
	uint64_t map, g;
};
enum { RECORD_LAST_BITS = 12 };

/* Since when a goroutine has been running: written when it gets a thread. Goroutines that share an entry push
 * each other out. */
struct record_run {
	uint64_t g; /* 0: none */
	uint64_t since; /* time stamp counter */
};
enum { RECORD_RUN_BITS = 12 };

/* Fibonacci hashing, by the lower half of an address: 2^32 divided by the golden ratio. */
static const uint32_t RECORD_HASH_FACTOR = 0x9e3779b1;

/* Which of the places of before is that of the writes of a map. */
static inline unsigned record_before_place(uint64_t map)
{
	return (uint32_t)map * RECORD_HASH_FACTOR >> (32 - RECORD_BEFORE_BITS);
}

/* Bytes of a table with 1 << line_bits lines, in whole pages. */
uint64_t records_size(unsigned line_bits);
/* The same of one with lines of readers. */
uint64_t records_size_with_reads(unsigned line_bits);
/* Where its lines begin, and where those of before (of the first place; each has records_lines_size bytes), the
 * last writers, the times of running and the lines of the readers do. */
uint64_t records_lines_offset(void);
uint64_t records_lines_size(unsigned line_bits);
uint64_t records_before_offset(unsigned line_bits);
uint64_t records_last_offset(unsigned line_bits);
uint64_t records_runs_offset(unsigned line_bits);
uint64_t records_reads_offset(unsigned line_bits);

/* What the table said at one time: a copy. */
struct records {
	struct records_header header;
	struct record *list; /* the lines in use */
	size_t count;
	struct record *before; /* what lines were before their goroutine went on to another map */
	size_t before_count;
	uint64_t
		detector_since; /* when the detector got the thread on which it failed; 0: not known */
	struct record *reads; /* of readers: set is when it came to its check, clear is the same */
	size_t read_count;
	/* RECORDS_SEEDS: what list and reads had in the place of their last caller, which is 0 then; else NULL */
	uint64_t *seeds, *read_seeds;
};

/* The header at the start of the n bytes at p; false where it is none. */
bool records_header_parse(const void *p, size_t n, struct records_header *ret);

/* Takes apart the n bytes of a table, which may be anything: ERROR_FORMAT where they are none. The
 * caller releases *ret by records_done. */
enum status records_parse(const void *p, size_t n, struct records *ret, struct error *err);
void records_done(struct records *records);
static inline void cleanup_records(struct records *records)
{
	records_done(records);
}
#define AUTO_RECORDS __attribute__((cleanup(cleanup_records)))

/* Finds the table in a core's or a process's memory by its magic. ERROR_NOT_FOUND when there is none,
 * which is the usual case. Addresses in the header are the target's own then. */
enum status records_find(struct target *target, struct records *ret, struct error *err);

/* The time stamp that a line written now would get: recorders run on amd64 only. */
static inline uint64_t records_now(void)
{
#ifdef __x86_64__
	return __builtin_ia32_rdtsc();
#else
	return 0;
#endif
}

/* The address in the program that the site of a record stands for. */
static inline uint64_t record_site(const struct records *records, const struct record *record)
{
	return records->header.text + record->site;
}

/* Shows threads that stand in the recorder's own code where they would stand without it: the detector
 * at the entry of fatal, a writer at the instructions that set or clear the flag; and so for what signal
 * handlers interrupted there (target->moved_code). Changes target's copy of the registers only, not the
 * process. Before runtime_open. false where a thread stands in code
 * of the recorder that cannot be read: a core lacks it when it is part of a file that is not at hand. */
bool records_settle(const struct records *records, struct target *target);

#endif
