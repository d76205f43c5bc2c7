/*
 * Which words of a value lead on to other objects, and of what type: the types of a program as a graph,
 * made as far as it is asked for.
 */
#ifndef MAPS_TYPEGRAPH_H
#define MAPS_TYPEGRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "go/shape.h"

enum edge_kind {
	EDGE_POINTER, /* to one value of the node's type */
	EDGE_SLICE, /* data, length: to so many of them */
	EDGE_ARRAY, /* len of them right here */
	EDGE_CHAN, /* a runtime.hchan with a buffer of them */
	EDGE_MAP, /* the node is the map's own */
	EDGE_EFACE, /* type word, data word; no node */
	EDGE_IFACE, /* itab, data word; no node */
	EDGE_FUNC, /* a func value; no node */
};

struct edge {
	enum edge_kind kind;
	uint32_t node;
	uint64_t offset; /* in the value */
	uint64_t len; /* EDGE_ARRAY */
	/* To a map, a pointer to one, or an interface: how the source names it. */
	char *path; /* the fields that lead to it, "inner.items"; NULL: the value itself */
	const char *within; /* the innermost named struct that it is a field of; NULL: none */
	size_t within_path; /* where path goes on inside that struct */
	uint64_t within_offset; /* of that struct in the value */
};

struct type_node {
	struct shape_ref ref;
	enum kind kind;
	uint64_t size;
	struct edge *edges;
	size_t edge_count, edge_cap;
	uint32_t key, elem; /* of a map */
	bool expanded; /* edges are made */
	bool leads; /* a map may be reached from here */
};

/* Node 0 is no type. */
struct type_graph {
	struct runtime *rt;
	struct type_node *nodes;
	size_t count, cap;
	uint32_t *index; /* by ref; 1 << index_bits of them */
	unsigned index_bits;
	bool has_closures; /* func values lead on */
	bool full; /* a limit was hit: some types were left out */
};

void type_graph_init(struct type_graph *graph, struct runtime *rt);
void type_graph_done(struct type_graph *graph);

/* The node of a type, with all that can be reached from it; 0 where the type cannot be read or memory
 * is out. Nodes may move: pointers to them hold until the next call. */
uint32_t type_graph_node(struct type_graph *graph, struct shape_ref ref);
/* A node of our own making: size bytes, with an edge at each offset to a value of each type. */
struct captured {
	struct shape_ref ref;
	uint64_t offset;
	const char *name; /* copied */
};
uint32_t type_graph_compose(struct type_graph *graph, const struct captured *parts, size_t count);

#endif
