/* uthash: an intrusive table of nodes that the user allocates. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <uthash.h>

struct node {
	uint64_t key, value;
	UT_hash_handle hh;
};

struct table {
	struct node *head;
};

typedef struct table *peer_map;
#define PEER_NAME "uthash"

static PEER_INLINE peer_map peer_new(void)
{
	return calloc(1, sizeof(struct table));
}

static PEER_INLINE void peer_free(peer_map m)
{
	struct node *node, *next;
	HASH_ITER(hh, m->head, node, next)
	{
		HASH_DEL(m->head, node);
		free(node);
	}
	free(m);
}

static PEER_INLINE void peer_put(peer_map m, uint64_t k, uint64_t v)
{
	struct node *node;
	HASH_FIND(hh, m->head, &k, sizeof(k), node);
	if (!node) {
		node = malloc(sizeof(*node));
		node->key = k;
		HASH_ADD(hh, m->head, key, sizeof(k), node);
	}
	node->value = v;
}

static PEER_INLINE bool peer_get(peer_map m, uint64_t k, uint64_t *v)
{
	struct node *node;
	HASH_FIND(hh, m->head, &k, sizeof(k), node);
	if (!node)
		return false;
	*v = node->value;
	return true;
}

static PEER_INLINE void peer_delete(peer_map m, uint64_t k)
{
	struct node *node;
	HASH_FIND(hh, m->head, &k, sizeof(k), node);
	if (node) {
		HASH_DEL(m->head, node);
		free(node);
	}
}

static PEER_INLINE uint64_t peer_sum(peer_map m)
{
	uint64_t sum = 0;
	for (struct node *node = m->head; node; node = node->hh.next)
		sum += node->value;
	return sum;
}

#include "rows.h"
