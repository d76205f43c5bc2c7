/*
 * Maps of libgomap, the C library, in a target that need not be a Go program.
 *
 * Header and buckets are those of Go's bucket maps, so what reads Go's maps reads these. What Go keeps
 * in type descriptors, and who writes, stands in the map itself behind Go's header (include/gomap.h:
 * struct gomap_descriptor, and "Detection" in gomap_inline.h).
 */
#ifndef MAPS_LIBGOMAP_H
#define MAPS_LIBGOMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/notes.h"
#include "base/text.h"
#include "maps/map.h"
#include "target/target.h"

/* How a key is compared: enum gomap_kind. */
enum libgomap_kind { LIBGOMAP_OTHER, LIBGOMAP_INT32, LIBGOMAP_INT64, LIBGOMAP_STRING };

enum { LIBGOMAP_NAME_MAX = 128 }; /* bytes of a type's name that are read */

struct libgomap {
	struct runtime rt; /* no Go runtime: what map_walk_new and map_contradiction need of one */
	struct map map;
	enum libgomap_kind kind;
	char type[LIBGOMAP_NAME_MAX]; /* "map[string]int", as C has them; empty where not known */
	const char *elem; /* in type, behind the bracket; "" where not known */
	/* who writes */
	bool writing; /* a write is under way: exact, unlike the flag */
	uint32_t thread; /* of the write under way, or the last one; 0: nobody has written */
	bool owned; /* one thread has done all the writing so far */
	uint64_t writes; /* by the owner, the one under way included */
	bool has_site; /* site and operation are those of that write */
	uint64_t site; /* an address in the function that called */
	unsigned operation; /* enum gomap_op */
};

/* Whether a map of libgomap stands at addr. */
bool libgomap_is_at(struct target *target, uint64_t addr);

/* Reads the map at addr. *ret refers to itself and to target and notes: it must not be moved. FAILED
 * where the map cannot be read or its sizes contradict each other. */
enum status libgomap_open(struct target *target, struct notes *notes, uint64_t addr,
			  struct libgomap *ret, struct error *err);

/* Appends a key or an element of an entry: numbers by their C type, strings quoted, else hex. False
 * where it cannot be read. */
bool libgomap_key(const struct libgomap *m, const struct map_entry *entry, struct text *text);
bool libgomap_elem(const struct libgomap *m, const struct map_entry *entry, struct text *text);

/* "read", "iterate", "assign", "delete", "clear"; "write" for what is none of these. */
const char *libgomap_operation_name(unsigned operation);

#endif
