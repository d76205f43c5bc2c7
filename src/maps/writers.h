/*
 * The code that can change maps: calls of Go's map functions, by the machine code.
 *
 * Every write of a map goes through a call of a runtime function (mapassign*, mapdelete*, mapclear,
 * (*Map).Put...), so the direct calls of those are all the writers but reflection's. The map type is
 * an argument, mostly a constant in the caller; generic code takes it from a dictionary, and then it
 * is not known here.
 */
#ifndef MAPS_WRITERS_H
#define MAPS_WRITERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"
#include "maps/call.h"

/* What a site's type rests on. */
enum site_how {
	SITE_CODE, /* a constant in the code; type 0: it is none */
	SITE_SHAPE, /* a constant that stands for all types of one shape: generic code before 1.20 */
	SITE_DICTIONARY, /* one of those that callers of generic code hand in (maps/generic.h) */
	SITE_REFLECT, /* what a reflect.Value is of that a method of its writes; type 0: of any */
};

struct map_site {
	uint64_t call; /* address of the call instruction */
	uint64_t next; /* its return address */
	uint32_t function; /* index in pclntab of the function that it is in */
	enum operation operation;
	struct map_function callee; /* where its arguments are */
	uint64_t type; /* map type descriptor, 0: not a constant in the code */
	enum site_how how;
};

struct map_sites {
	struct map_site *list; /* by address */
	size_t count, cap;
};

/* The functions that map code calls, collected once for a runtime. */
struct map_callees;
enum status map_callees_new(struct runtime *rt, struct map_callees **ret, struct error *err);
void map_callees_free(struct map_callees *callees);
static inline void cleanup_map_callees(struct map_callees **callees)
{
	map_callees_free(*callees);
}
#define AUTO_MAP_CALLEES __attribute__((cleanup(cleanup_map_callees)))

/* Appends the calls of map functions in the code of fn. writes_only: leave out reads and iteration. */
enum status map_sites_in_function(struct runtime *rt, const struct map_callees *callees,
				  const struct function *fn, bool writes_only,
				  struct map_sites *ret, struct error *err);

/* Appends the calls in the whole program, Go's own runtime left out. type 0: of all map types; else
 * of those alike this one, and those whose type is not a constant. */
enum status map_sites_in_program(struct runtime *rt, const struct map_callees *callees,
				 uint64_t type, bool writes_only, struct map_sites *ret,
				 struct error *err);
void map_sites_done(struct map_sites *sites);

/* Puts the calls of reflect.Value's methods in place of the sites in those methods, which write maps of
 * any type. */
enum status map_sites_resolve_reflect(struct runtime *rt, struct map_sites *sites,
				      struct error *err);

/* One map type may stand for another in a conversion (http.Header, textproto.MIMEHeader), and that of a
 * shape for all that have it: whether the two descriptors may be of the same map. */
bool map_types_alike(struct runtime *rt, uint64_t a, uint64_t b);

/* A function that another one calls, or hands on as a function value. */
struct callee_ref {
	uint64_t entry;
	uint64_t at; /* address of the instruction that names it */
	size_t from; /* the caller's own use */
};

/* Appends the functions that fn calls directly or takes as function values, each once, with from as
 * given; at most max in ret. What it starts as a goroutine or timer is left out: that runs elsewhere.
 * Returns how many there are now in ret. */
size_t function_callees(struct runtime *rt, const struct function *fn, size_t from,
			struct callee_ref *ret, size_t count, size_t max);

#endif
