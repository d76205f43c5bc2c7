/*
 * What the files that plan, and those that write stubs, share. Private to the floor probe.
 */
#ifndef PROBE_INTERNAL_H
#define PROBE_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

#include "maps/code.h"
#include "probe/emit.h"
#include "probe/records.h"
#include "probe/stubs.h"

/* Where the type is that the function was given, as it stands at the site: fills in type_place. */
void plan_find_type(struct runtime *rt, const struct map_code *code, struct plan_site *site);

/* The sites by address. */
void plan_sort(struct plan *plan);
/* A site of the call instruction at addr of a function, from its PLAN_PATCH_SIZE bytes: all but its kind. false where they are
 * none of call rel32. */
bool plan_call(const uint8_t *bytes, uint64_t addr, const char *function, struct plan_site *ret);

/* Adds the calls on the way of who dies of a fault. Where they are not as expected, none is added, and that is
 * noted: then such deaths are not seen. */
enum status plan_add_deaths(struct runtime *rt, struct plan *plan, struct error *err);

#define HEADER(field) (b->how->table + offsetof(struct records_header, field))
#define LINE(field) ((int32_t)offsetof(struct record, field))

/* The first part of the stub of a failing check, while stubs are built. */
struct stub_head {
	uint32_t start, end;
	size_t jump; /* to the rest, as emit_land takes it */
};

struct builder {
	const struct plan *plan;
	struct stub_head
		*heads; /* of the plan's sites, by their index; empty before they are written */
	const struct stubs_options *how;
	struct emit e;
};

/* An array of the table, of 1 << bits entries of 1 << shift bytes each, in which addresses have their entries by
 * RECORD_HASH_FACTOR. */
struct stub_array {
	uint64_t addr;
	unsigned bits, shift;
};

/* entry = address of the entry of what is in the register key; temp is lost, and may be neither of both. */
void stub_find_entry(struct builder *b, const struct stub_array *array, unsigned entry,
		     unsigned key, unsigned temp);
/* line = address of the goroutine's own line of those that begin at lines in the table; rax is lost. */
void stub_find_line(struct builder *b, unsigned line, uint64_t lines);
/* Looks on from line for the goroutine's own, and takes a free one; rax and rdx are lost. Returns the
 * jump for when there is none; goes on at found. */
size_t stub_take_line(struct builder *b, unsigned line, uint64_t found);
/* Stores who and where: map (neither rax nor rdx), goroutine, site, callers; rax and rdx are lost. */
void stub_describe(struct builder *b, const struct plan_site *site, unsigned line, unsigned map);
/* The same of the callers only (rax and rdx are lost), and where lines have seeds, of the map's: temp is lost. */
void stub_callers(struct builder *b, unsigned line);
void stub_seed(struct builder *b, unsigned line, unsigned map, unsigned temp);
/* The line becomes one of another map or another goroutine than it was: what it says of a write that is over goes to the
 * place of before of that map. map and goid are the registers that have what it is to be; the latter is lost, and loaded
 * again. */
void stub_turn_line(struct builder *b, const struct plan_site *site, unsigned line, unsigned map,
		    unsigned goid);
/* Stores the time of a beginning, where times are kept; rax and rdx are lost. */
void stub_begin_time(struct builder *b, unsigned line);
/* Waits while the word at an address has a value, for at most some seconds from now; registers that a
 * system call takes are lost. */
void stub_wait(struct builder *b, uint64_t word, uint32_t value, unsigned seconds);
/* Sleeps for header.hold_ms; rax, rcx, rdx, rsi, rdi, r10 and r11 are lost. */
void stub_sleep(struct builder *b);
/* Saves and restores what both change: so many words. */
enum { STUB_SAVED = 8 };
void stub_push_saved(struct emit *e);
void stub_pop_saved(struct emit *e);
/* Holds the writer where the options and the table say so; the flags are lost. */
void stub_hold(struct builder *b, const struct plan_site *site);

/* Before and behind the sleep of a holder, rsi = map: shows itself to who comes to the same map. All
 * registers but rsi are lost. */
void stub_show_held(struct builder *b, const struct plan_site *site);
void stub_hide_held(struct builder *b);
/* Whether the site's stub is that of a failing check. */
static inline bool stub_is_checked(const struct plan_site *site)
{
	return site->kind == PLAN_CHECKED || site->kind == PLAN_BRANCH;
}
/* A register that is neither the map's nor one that rdtsc writes. */
static inline unsigned stub_register(const struct plan_site *site)
{
	return site->map_reg == AMD64_RCX ? AMD64_RSI : AMD64_RCX;
}
/* The register that has the map, where that register, rax and rdx were pushed: the map's own, or where that is
 * rax or rdx, rax, into which it is loaded. */
unsigned stub_map_register(struct builder *b, const struct plan_site *site);
/* Where the stub begins that the branch of a failing check, at an address of the executable, leads to;
 * false where it leads to none. */
bool stub_check_at(const struct builder *b, uint64_t branch, uint64_t *ret);
/* Writes the first parts of the stubs of failing checks that are near a PLAN_SET, such that its stub, which is
 * to follow, begins in the same cache line. */
void stub_heads_near(struct builder *b, const struct plan_site *set);
/* The stub of a failing check; of its first part the rest of it, or all where there is none yet. */
void stub_checked(struct builder *b, const struct plan_site *site, struct stub_info *info);
/* Whether the site's stub stands in the place of a function that is called. */
static inline bool stub_is_called(const struct plan_site *site)
{
	return site->kind == PLAN_FATAL || site->kind == PLAN_FAULT || site->kind == PLAN_PANIC ||
	       site->kind == PLAN_THROW;
}
/* The stub of a PLAN_FAULT. */
void stub_fault(struct builder *b);
/* In the stub of a PLAN_PANIC, whose registers were pushed: the jump for who dies of no fault, while the table is
 * not frozen. */
size_t stub_skip_panic(struct builder *b);
/* In the stub of a PLAN_PANIC or PLAN_THROW, by who froze the table: says when the fault was. */
void stub_tell_death(struct builder *b, const struct plan_site *site);
/* The stub of an entry check, from its first instruction up to the one that stands behind the check's. */
void stub_entry(struct builder *b, const struct plan_site *site, struct stub_info *info);

#endif
