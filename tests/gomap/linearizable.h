/*
 * Whether a history of operations on one key could have happened one after the other.
 *
 * Each operation has a moment before it began and one after it ended, out of one counter. It must be
 * possible to put all in an order in which nobody goes before what had ended when he began, and in
 * which each returned what a map with one key would have. (Wing and Gong's search, with a memory of
 * the dead ends: a set of operations done, and the state that they led to.) Operations on different
 * keys do not constrain each other, so a history is checked key by key.
 */
#ifndef TESTS_GOMAP_LINEARIZABLE_H
#define TESTS_GOMAP_LINEARIZABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum history_op { HISTORY_GET, HISTORY_PUT, HISTORY_DELETE };

struct history_event {
	enum history_op op;
	uint64_t begin, end;
	bool there; /* what get and delete returned */
	uint64_t value; /* what get and delete returned if there; what put stored */
};

enum { HISTORY_MAX = 64, HISTORY_DEAD_ENDS = 1 << 16 };

struct history_search {
	const struct history_event *events;
	unsigned n;
	struct {
		uint64_t done, value;
		bool there, used;
	} dead_ends[HISTORY_DEAD_ENDS];
	bool gave_up; /* too many dead ends to remember: no verdict */
};

static inline bool history_dead_end(struct history_search *h, uint64_t done, bool there,
				    uint64_t value, bool add)
{
	uint64_t i = (done * UINT64_C(0x9e3779b97f4a7c15) ^ value * 31 ^ there) >> 13;
	for (unsigned probe = 0; probe < HISTORY_DEAD_ENDS; ++probe, ++i) {
		unsigned at = (unsigned)(i % HISTORY_DEAD_ENDS);
		if (!h->dead_ends[at].used) {
			if (add) {
				h->dead_ends[at].used = true;
				h->dead_ends[at].done = done;
				h->dead_ends[at].value = value;
				h->dead_ends[at].there = there;
			}
			return false;
		}
		if (h->dead_ends[at].done == done && h->dead_ends[at].value == value &&
		    h->dead_ends[at].there == there)
			return true;
	}
	h->gave_up = true;
	return true;
}

/* At most HISTORY_MAX deep. */
static inline bool history_search(struct history_search *h, uint64_t done, bool there,
				  uint64_t value)
{
	uint64_t first_end = UINT64_MAX;
	if (done == (h->n == 64 ? UINT64_MAX : (UINT64_C(1) << h->n) - 1))
		return true;
	if (history_dead_end(h, done, there, value, false))
		return false;
	for (unsigned i = 0; i < h->n; ++i) {
		if (!(done >> i & 1) && h->events[i].end < first_end)
			first_end = h->events[i].end;
	}
	for (unsigned i = 0; i < h->n; ++i) {
		const struct history_event *e = &h->events[i];
		if (done >> i & 1 || e->begin > first_end)
			continue;
		if (e->op != HISTORY_PUT && (e->there != there || (there && e->value != value)))
			continue;
		bool then = e->op == HISTORY_PUT || (e->op == HISTORY_GET && there);
		if (history_search(h, done | UINT64_C(1) << i, then,
				   e->op == HISTORY_PUT ? e->value
				   : then		? value
							: 0))
			return true;
	}
	history_dead_end(h, done, there, value, true);
	return false;
}

/* From a map without the key. */
static inline bool history_is_linearizable(const struct history_event *events, unsigned n)
{
	static struct history_search h;
	memset(&h, 0, sizeof(h));
	h.events = events;
	h.n = n;
	return history_search(&h, 0, false, 0) || h.gave_up;
}

#endif
