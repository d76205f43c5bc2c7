/*
 * Who else could have been in the map: each other goroutine held against the evidence.
 */
#ifndef VERDICT_SEARCH_H
#define VERDICT_SEARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/frames.h"
#include "go/goroutine.h"
#include "go/runtime.h"
#include "maps/call.h"
#include "maps/flagsites.h"
#include "maps/map.h"
#include "maps/writers.h"

/* How strongly a goroutine is tied to the map, weakest first. */
enum suspect_level {
	SUSPECT_NONE,
	SUSPECT_TYPE, /* code on its stack can write a map of this type; this map was not seen */
	SUSPECT_HOLDS, /* its frames hold the map, and its code can write it */
	SUSPECT_WRITES, /* code on its stack writes this very map */
	SUSPECT_LEFT, /* it has just come back from a call that wrote this map */
	SUSPECT_IN_TYPE, /* in a writing map function on a map of this type; pointer not had */
	SUSPECT_IN_MAP, /* in a writing map function on this map */
	SUSPECT_FATAL, /* as SUSPECT_IN_MAP, and a check of its own has failed */
	SUSPECT_INSIDE, /* as SUSPECT_IN_MAP, between the set and the clear of the flag */
};

/* Direct calls that a write is looked for behind: a helper of a helper. Deeper, "its code can write
 * the map" is true of nearly every function. */
enum { CALL_DEPTH_MAX = 3 };
/* Calls of a way to a write that are kept: those, or the ones that a detector's own stack shows. */
enum { WAY_MAX = 16 };

struct suspect {
	struct goroutine goroutine;
	enum suspect_level level;
	struct site site; /* of the write, as well as it is known */
	enum operation operation;
	bool is_shared; /* the write is the detector's own: code on both stacks leads there */
	bool is_remote; /* the write is in a function that its code calls, not in one on its stack */
	/* The way to the write, where it is not in a map function now: from frame number site_frame over
	 * calls at via[0], via[1]... (one in the callee of the other) to the call of the map function
	 * at write_at. 0: not known. */
	uint64_t write_at;
	size_t site_frame;
	uint64_t via[WAY_MAX];
	unsigned via_count;
	bool type_known; /* the write's map type is a constant in the code */
	bool in_call; /* call is valid: it is in a map function now */
	struct map_call call;
	bool map_certain; /* the call's map pointer cannot have changed since */
	enum flag_window window;
	const char *map_function; /* the one that handles the flag */
	uint64_t map_pc; /* where it stands in that */
	uint64_t set_at, clear_at; /* SUSPECT_INSIDE: offsets in it of the sites around */
	int hold_distance; /* 0: the map's address in its frames, 1: an object that holds it; -1 */
	uint64_t hold_slot;
	struct site now; /* where its own code stands */
	int weight; /* order within a level: running before parked, near before far */
};

struct suspects {
	struct suspect *list; /* best first */
	size_t count, cap;
	size_t searched, parked_skipped;
};

/* What is looked for, and what is learned on the way; kept from one goroutine to the next. */
struct search;

/* The access whose check failed, as far as the search learns from it. */
struct detector {
	const struct frames *frames;
	size_t first; /* the innermost frame that is outside of the map call */
	enum operation operation;
	const char *owner; /* whose the map is, NULL unknown */
};

/* What detector points to must outlive the search. */
enum status search_new(struct runtime *rt, const struct library *library, const struct map *map,
		       const struct detector *detector, struct search **ret, struct error *err);
void search_free(struct search *search);
static inline void cleanup_search(struct search **search)
{
	search_free(*search);
}
#define AUTO_SEARCH __attribute__((cleanup(cleanup_search)))

/* Frames of a stack that are looked at: map calls stand innermost, holders of a map further out. */
enum { FRAMES_SEARCH_MAX = 256 };

/* Parked goroutines are searched when there are at most this many, or when asked for: each costs a
 * read of its stack, and of 100,000 that is most of a core. */
enum { SEARCH_PARKED_MAX = 5000 };

/* Holds all goroutines but the one at exclude (address of its g) against the map. */
enum status search_run(struct search *search, const struct goroutines *goroutines, uint64_t exclude,
		       bool all, struct suspects *ret, struct error *err);
void suspects_done(struct suspects *suspects);

/* All calls in the program that can write a map of this type. */
enum status search_sites(struct search *search, const struct map_sites **ret, struct error *err);

/* The flag sites of the map function fn, found once; NULL where its code is not at hand. */
const struct flagsites *search_flagsites(struct search *search, const struct function *fn);

#endif
