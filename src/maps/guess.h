/*
 * Maps found by their bytes alone, where a program has no DWARF to say what its variables are.
 *
 * The header of a map that is in use has so many words that must agree that few other bytes look like
 * one; and its type shows in the entries: their tags must be the hashes of their keys. A map of fewer
 * than GUESS_ENTRIES_MIN entries does not show enough to be told from chance.
 */
#ifndef MAPS_GUESS_H
#define MAPS_GUESS_H

#include "base/error.h"
#include "maps/heapwalk.h"

enum { GUESS_ENTRIES_MIN = 3 };

/* Searches all writable memory for map headers that the walk has not met, and gives the walk those that
 * some word of memory refers to, with the type that their entries have. Such a map may be one that the
 * program no longer uses and the collector has not overwritten. */
enum status guess_maps(struct heap_walk *walk, struct error *err);

#endif
