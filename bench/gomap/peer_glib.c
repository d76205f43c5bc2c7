/* GLib's GHashTable with words in its pointers, which is how it holds integers. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef GHashTable *peer_map;
#define PEER_NAME "GLib"

/* g_direct_hash takes the low 32 bits of a key as they are; these keys are random. */
static PEER_INLINE peer_map peer_new(void)
{
	return g_hash_table_new(g_direct_hash, g_direct_equal);
}

static PEER_INLINE void peer_free(peer_map m)
{
	g_hash_table_destroy(m);
}

static PEER_INLINE void peer_put(peer_map m, uint64_t k, uint64_t v)
{
	g_hash_table_insert(m, (gpointer)k, (gpointer)v);
}

static PEER_INLINE bool peer_get(peer_map m, uint64_t k, uint64_t *v)
{
	gpointer value;
	if (!g_hash_table_lookup_extended(m, (gpointer)k, NULL, &value))
		return false;
	*v = (uint64_t)value;
	return true;
}

static PEER_INLINE void peer_delete(peer_map m, uint64_t k)
{
	g_hash_table_remove(m, (gpointer)k);
}

static PEER_INLINE uint64_t peer_sum(peer_map m)
{
	GHashTableIter it;
	gpointer value;
	uint64_t sum = 0;
	g_hash_table_iter_init(&it, m);
	while (g_hash_table_iter_next(&it, NULL, &value))
		sum += (uint64_t)value;
	return sum;
}

#include "rows.h"
