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
#include "go/structs.h"
#include "maps/hash.h"
#include "maps/map.h"
#include "target/target.h"

/* How a key is compared: enum gomap_kind. */
enum libgomap_kind { LIBGOMAP_OTHER, LIBGOMAP_INT32, LIBGOMAP_INT64, LIBGOMAP_STRING };

enum { LIBGOMAP_NAME_MAX = 128 }; /* bytes of a type's name that are read */
enum { LIBGOMAP_HEADER_MAX = 1024 }; /* bytes of a map's header: far above those of any version */
enum { LIBGOMAP_FIELDS = 25 };

struct libgomap {
	struct runtime rt; /* no Go runtime: what map_walk_new and map_contradiction need of one */
	struct map map;
	enum libgomap_kind kind;
	char type[LIBGOMAP_NAME_MAX]; /* "map[string]int", as C has them; empty where not known */
	const char *elem; /* in type, behind the bracket; "" where not known */
	uint64_t seed[2]; /* of the hash */
	uint16_t size; /* bytes of the header */
	struct struct_field fields[LIBGOMAP_FIELDS]; /* those that are known, by offset */
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
 * where the map cannot be read or its sizes contradict each other. ret->map with &ret->rt is then a map as
 * any other: for walks, checks, lookups and reports. */
enum status libgomap_open(struct target *target, struct notes *notes, uint64_t addr,
			  struct libgomap *ret, struct error *err);

/* As map_key_text and map_elem_text: numbers by their C type, strings quoted, else hex. */
bool libgomap_key_text(const struct libgomap *m, uint64_t addr, const uint8_t *bytes,
		       struct text *text);
bool libgomap_elem_text(const struct libgomap *m, uint64_t addr, const uint8_t *bytes,
			struct text *text);

/* Whether the map's keys have a hash that can be recomputed: integers and strings do, what the program
 * hashes by a function of its own does not (ERROR_UNSUPPORTED). */
enum status libgomap_can_hash(const struct libgomap *m, struct error *err);

/* The hash of the key whose bytes are at key; HASH_UNKNOWN where libgomap_can_hash fails. */
enum hash_result libgomap_hash_key(const struct libgomap *m, const uint8_t *key, uint64_t *ret);

/* The hash of n bytes as a string key. */
uint64_t libgomap_hash_bytes(const struct libgomap *m, const void *bytes, uint64_t n);

/* Kind and size of the Go type that reads as the map's keys do: KIND_STRING, or by the C type's name
 * KIND_INT64 or KIND_UINT64; where that name says nothing, what text has a sign for. Fails as
 * libgomap_can_hash does. */
enum status libgomap_key_kind(const struct libgomap *m, const char *text, struct type *ret,
			      struct error *err);

/* "read", "iterate", "assign", "delete", "clear"; "write" for what is none of these. */
const char *libgomap_operation_name(unsigned operation);

#endif
