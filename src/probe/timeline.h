/*
 * Who was writing a map when, made of the changes of its flag: intervals from the change that sets the
 * flag to the one by the same goroutine that clears it, and where two of them overlap.
 */
#ifndef PROBE_TIMELINE_H
#define PROBE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "probe/watch.h"

/* Writes that are kept; later ones are only counted. 100 MB of them. */
enum { TIMELINE_INTERVALS_MAX = 1 << 20, TIMELINE_OVERLAPS_MAX = 1 << 16 };

struct timeline_interval {
	size_t row;
	uint64_t start, end; /* ns since the watch began, half open */
	bool open; /* it had not ended when the watch did; end is then the watch's */
	bool doubtful; /* changes were lost meanwhile: its end may be that of a later write */
	enum operation operation;
	struct site site;
	pid_t thread;
};

/* A goroutine, or a thread of no goroutine. */
struct timeline_row {
	uint64_t who, g, goroutine; /* as in struct watch_event */
	pid_t thread; /* of its first change */
	uint64_t writes; /* intervals, those that are not kept too */
	uint64_t writing; /* ns that they took in all */
	uint64_t overlaps;
	struct site site; /* of its first write */
	enum operation operation;
	size_t open; /* index of the interval that is open + 1; 0: none */
	size_t last; /* index of the last interval + 1; 0: none */
};

/* Two writes of the map at the same time; the second began while the first went on. */
struct timeline_overlap {
	size_t first, second; /* indexes of intervals */
	uint64_t start, end;
	bool doubtful; /* either interval is */
};

struct timeline_fatal {
	bool seen;
	uint64_t time;
	size_t row; /* of the goroutine that died */
	enum flag_check_role check;
	bool holds_map; /* it had the map's address at hand */
	bool of_this_map; /* the flag's changes and what the goroutine held agree that it died of a
			     check of this map */
	struct site site;
	enum operation operation;
	size_t own; /* its own interval + 1; 0: it had not set the flag */
	size_t other; /* the interval of the goroutine that it ran into + 1; 0: none was seen */
};

struct timeline_gap {
	uint64_t since, until; /* ns since the watch began */
};

struct timeline {
	struct timeline_interval *intervals; /* by start */
	size_t interval_count, interval_cap;
	struct timeline_row *rows; /* in order of appearance */
	size_t row_count, row_cap;
	struct timeline_overlap *overlaps; /* by start */
	size_t overlap_count, overlap_cap;
	size_t *open; /* indexes of intervals that are open */
	size_t open_count, open_cap;
	struct timeline_gap *gaps;
	size_t gap_count, gap_cap;
	size_t *by_who; /* row of each number; SIZE_MAX: none yet */
	size_t who_count, who_cap;
	uint64_t flips, lost; /* changes seen, and changes known to be missed */
	uint64_t writes; /* intervals, those that are not kept too */
	uint64_t strange; /* changes by code that is not that of maps */
	uint64_t end; /* ns that the watch lasted; from timeline_finish on */
	bool cut; /* one of the limits was reached */
	struct timeline_fatal fatal;
};

void timeline_done(struct timeline *timeline);

/* What an event means together with those before it. */
struct timeline_step {
	size_t row; /* of the goroutine; not of a WATCH_GAP */
	bool is_overlap; /* it sets the flag while other goroutines have it set */
	size_t overlapped; /* then: the interval that began last of theirs */
};

/* Adds the next event, in order of time. */
enum status timeline_add(struct timeline *timeline, const struct watch_event *event,
			 struct timeline_step *ret, struct error *err);

/* Ends what is open, at time end. */
void timeline_finish(struct timeline *timeline, uint64_t end);

#endif
