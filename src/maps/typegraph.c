#include "maps/typegraph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"

enum {
	NODES_MAX = 1 << 20, /* types of one program; large ones have some ten thousand */
	EDGES_MAX = 1 << 16, /* pointers of one type that are listed */
	UNROLL_MAX = 16, /* shorter arrays are listed element by element */
	PATH_MAX_LEN = 200,
	/* Over the nodes to find those that lead to maps; each goes backwards, so that a long chain of
	 * types, each named first by the one before, takes one. */
	PASSES_MAX = 1000,
};

void type_graph_init(struct type_graph *graph, struct runtime *rt)
{
	*graph = (struct type_graph){.rt = rt};
}

void type_graph_done(struct type_graph *graph)
{
	for (size_t i = 0; i < graph->count; i++) {
		for (size_t k = 0; k < graph->nodes[i].edge_count; k++)
			free(graph->nodes[i].edges[k].path);
		free(graph->nodes[i].edges);
	}
	free(graph->nodes);
	free(graph->index);
	*graph = (struct type_graph){0};
}

static bool same_ref(struct shape_ref a, struct shape_ref b)
{
	return a.type == b.type && a.die == b.die;
}

/* The place of ref in the index: its node, or 0 where it belongs. */
static size_t index_of(const struct type_graph *graph, struct shape_ref ref)
{
	size_t mask = ((size_t)1 << graph->index_bits) - 1;
	size_t i = (size_t)(((ref.type ^ ref.die << 1) * 0x9e3779b97f4a7c15) >>
			    (64 - graph->index_bits));
	while (graph->index[i] && !same_ref(graph->nodes[graph->index[i]].ref, ref))
		i = (i + 1) & mask;
	return i;
}

static bool index_grow(struct type_graph *graph)
{
	free(graph->index);
	graph->index_bits = graph->index_bits ? graph->index_bits + 1 : 10;
	graph->index = calloc((size_t)1 << graph->index_bits, sizeof(*graph->index));
	if (!graph->index) {
		graph->index_bits = 0;
		return false;
	}
	for (size_t i = 1; i < graph->count; i++) {
		struct shape_ref ref = graph->nodes[i].ref;
		if (ref.type || ref.die)
			graph->index[index_of(graph, ref)] = (uint32_t)i;
	}
	return true;
}

/* Appends a node; 0 when there is no room. */
static uint32_t push_node(struct type_graph *graph, const struct type_node *node)
{
	struct type_node none = {0};
	if (graph->count == NODES_MAX) {
		graph->full = true;
		return 0;
	}
	if (!graph->count && !ARRAY_PUSH(graph->nodes, graph->count, graph->cap, none))
		return 0;
	if (!ARRAY_PUSH(graph->nodes, graph->count, graph->cap, *node))
		return 0;
	return (uint32_t)graph->count - 1;
}

/* The node of ref, without its edges if it is new. */
static uint32_t get_node(struct type_graph *graph, struct shape_ref ref)
{
	if (!ref.type && !ref.die)
		return 0;
	/* At most half full. */
	if (graph->count >= ((size_t)1 << graph->index_bits) / 2 && !index_grow(graph))
		return 0;
	size_t i = index_of(graph, ref);
	if (graph->index[i])
		return graph->index[i];
	struct shape shape;
	struct type_node node = {.ref = ref};
	if (shape_read(graph->rt, ref, &shape, NULL) == OK) {
		node.kind = shape.kind;
		node.size = shape.size;
	} else {
		node.expanded = true; /* unreadable: it leads nowhere */
	}
	uint32_t made = push_node(graph, &node);
	if (made)
		graph->index[i] = made;
	return made;
}

/* A value inside the one whose node is made. */
struct part {
	uint32_t node;
	uint64_t offset;
	unsigned depth;
	const char *path;
	const char *within; /* as in struct edge */
	size_t within_path;
	uint64_t within_offset;
};

static void add_edge(struct type_graph *graph, const struct part *part, enum edge_kind kind,
		     uint32_t to, uint64_t len)
{
	struct type_node *node = &graph->nodes[part->node];
	struct edge edge = {.kind = kind, .node = to, .offset = part->offset, .len = len};
	if (node->edge_count == EDGES_MAX) {
		graph->full = true;
		return;
	}
	bool to_map = kind == EDGE_POINTER && graph->nodes[to].kind == KIND_MAP;
	if (*part->path &&
	    (kind == EDGE_MAP || kind == EDGE_EFACE || kind == EDGE_IFACE || to_map)) {
		edge.path = strdup(part->path);
		edge.within = part->within;
		edge.within_path = part->within_path;
		edge.within_offset = part->within_offset;
	}
	if (!ARRAY_PUSH(node->edges, node->edge_count, node->edge_cap, edge)) {
		free(edge.path);
		graph->full = true;
	}
}

static void add_part(struct type_graph *graph, const struct part *part, struct shape_ref ref);

/* sync/atomic.Pointer[T] keeps its pointer in an unsafe.Pointer and its type in a field [0]*T. */
static struct shape_ref atomic_pointer(struct runtime *rt, const struct shape *shape,
				       const struct shape_field *fields, size_t count)
{
	struct shape_ref none = {0};
	struct shape first;
	const char *name = shape_name(rt, shape->ref);
	if (!name || !count || !strstr(name, "atomic.Pointer[") ||
	    shape_read(rt, fields[0].ref, &first, NULL) != OK || first.kind != KIND_ARRAY ||
	    first.len != 0)
		return none;
	return first.elem;
}

static void add_struct(struct type_graph *graph, const struct part *part, const struct shape *shape)
{
	AUTO_FREE struct shape_field *fields = NULL;
	size_t count = shape_fields(graph->rt, shape, &fields);
	struct shape_ref pointer = atomic_pointer(graph->rt, shape, fields, count);
	const char *name = shape_name(graph->rt, shape->ref);
	bool named = name && strncmp(name, "struct {", strlen("struct {")) != 0;
	for (size_t i = 0; i < count; i++) {
		char path[PATH_MAX_LEN];
		snprintf(path, sizeof(path), "%s%s%s", part->path, *part->path ? "." : "",
			 fields[i].name);
		struct part inner = *part;
		inner.offset += fields[i].offset;
		inner.depth++;
		inner.path = path;
		if (named) {
			inner.within = name;
			inner.within_path = strlen(part->path) + (*part->path != 0);
			inner.within_offset = part->offset;
		}
		bool is_pointer = (pointer.type || pointer.die) && i == count - 1;
		add_part(graph, &inner, is_pointer ? pointer : fields[i].ref);
	}
}

static void add_array(struct type_graph *graph, const struct part *part, const struct shape *shape)
{
	struct shape elem;
	if (shape_read(graph->rt, shape->elem, &elem, NULL) != OK || !elem.size || !shape->len)
		return;
	if (shape->len > UNROLL_MAX) {
		uint32_t node = get_node(graph, shape->elem);
		if (node)
			add_edge(graph, part, EDGE_ARRAY, node, shape->len);
		return;
	}
	for (uint64_t i = 0; i < shape->len; i++) {
		struct part inner = *part;
		inner.offset += i * elem.size;
		inner.depth++;
		add_part(graph, &inner, shape->elem);
	}
}

static void add_map(struct type_graph *graph, const struct part *part, const struct shape *shape)
{
	uint32_t map = get_node(graph, shape->ref);
	uint32_t key = get_node(graph, shape->key), elem = get_node(graph, shape->elem);
	/* A map type without a descriptor has no map: makemap takes one. */
	if (!map || !shape->ref.type)
		return;
	graph->nodes[map].key = key;
	graph->nodes[map].elem = elem;
	add_edge(graph, part, EDGE_MAP, map, 0);
}

/* Adds the edges of a value of a type that is part of the node's. Recursion goes down values inside
 * values only, at most TYPE_DEPTH_MAX deep. */
static void add_part(struct type_graph *graph, const struct part *part, struct shape_ref ref)
{
	static const enum edge_kind kinds[] = {
		[KIND_POINTER] = EDGE_POINTER,
		[KIND_SLICE] = EDGE_SLICE,
		[KIND_CHAN] = EDGE_CHAN,
	};
	struct shape shape;
	uint32_t node;
	if (part->depth == TYPE_DEPTH_MAX || graph->nodes[part->node].edge_count == EDGES_MAX) {
		graph->full = true;
		return;
	}
	if (shape_read(graph->rt, ref, &shape, NULL) != OK)
		return;
	switch (shape.kind) {
	case KIND_POINTER:
	case KIND_SLICE:
	case KIND_CHAN:
		node = get_node(graph, shape.elem);
		if (node)
			add_edge(graph, part, kinds[shape.kind], node, 0);
		break;
	case KIND_MAP:
		add_map(graph, part, &shape);
		break;
	case KIND_INTERFACE:
		add_edge(graph, part, shape.has_methods ? EDGE_IFACE : EDGE_EFACE, 0, 0);
		break;
	case KIND_FUNC:
		add_edge(graph, part, EDGE_FUNC, 0, 0);
		break;
	case KIND_STRUCT:
		add_struct(graph, part, &shape);
		break;
	case KIND_ARRAY:
		add_array(graph, part, &shape);
		break;
	default:
		break;
	}
}

/* Whether a map is one step from the node, or from a node one step away. */
static bool leads_on(const struct type_graph *graph, const struct type_node *node)
{
	for (size_t i = 0; i < node->edge_count; i++) {
		const struct edge *e = &node->edges[i];
		if (e->kind == EDGE_FUNC
			    ? graph->has_closures
			    : e->kind == EDGE_MAP || !e->node || graph->nodes[e->node].leads)
			return true;
	}
	return false;
}

/* Makes the edges of all nodes from first on, and of those that this makes, then finds out which lead to
 * maps. Nodes below first are complete, and cannot lead to anything new. */
static void complete(struct type_graph *graph, size_t first)
{
	for (size_t i = first; i < graph->count; i++) {
		struct part whole = {.node = (uint32_t)i, .path = ""};
		if (!graph->nodes[i].expanded) {
			graph->nodes[i].expanded = true;
			add_part(graph, &whole, graph->nodes[i].ref);
		}
	}
	bool changed = true;
	for (unsigned pass = 0; changed; pass++) {
		changed = false;
		if (pass == PASSES_MAX) {
			graph->full = true;
			break;
		}
		for (size_t i = graph->count; i-- > first;) {
			struct type_node *node = &graph->nodes[i];
			if (!node->leads && leads_on(graph, node))
				node->leads = changed = true;
		}
	}
}

uint32_t type_graph_node(struct type_graph *graph, struct shape_ref ref)
{
	size_t first = graph->count ? graph->count : 1;
	uint32_t node = get_node(graph, ref);
	if (graph->count > first || (node && node >= first))
		complete(graph, first);
	return node;
}

uint32_t type_graph_compose(struct type_graph *graph, const struct captured *parts, size_t count)
{
	size_t first = graph->count ? graph->count : 1;
	struct type_node made = {.kind = KIND_STRUCT, .expanded = true};
	uint32_t node = push_node(graph, &made);
	if (!node)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct part part = {
			.node = node, .offset = parts[i].offset, .depth = 1, .path = parts[i].name};
		struct shape shape;
		if (shape_read(graph->rt, parts[i].ref, &shape, NULL) != OK)
			continue;
		if (parts[i].offset + shape.size > graph->nodes[node].size)
			graph->nodes[node].size = parts[i].offset + shape.size;
		add_part(graph, &part, parts[i].ref);
	}
	complete(graph, first);
	return node;
}
