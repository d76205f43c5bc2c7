/* gomap by its typed interface, at the level of detection that the build sets; with
 * PEER_HUGE_PAGES with huge pages. */
#include "gomap.h"

GOMAP_DEFINE_INT(words, uint64_t, uint64_t)

typedef struct words *peer_map;

#ifdef PEER_HUGE_PAGES
#define PEER_NAME "gomap-huge"
#elif GOMAP_DETECT == GOMAP_DETECT_EXACT
#define PEER_NAME "gomap"
#elif GOMAP_DETECT == GOMAP_DETECT_GO
#define PEER_NAME "gomap-go"
#else
#define PEER_NAME "gomap-off"
#endif

static PEER_INLINE peer_map peer_new(void)
{
#ifdef PEER_HUGE_PAGES
	return (peer_map)gomap_new(&words_type, 0, &gomap_huge_pages);
#else
	return words_new(0);
#endif
}

static PEER_INLINE void peer_free(peer_map m)
{
	words_free(m);
}

static PEER_INLINE void peer_put(peer_map m, uint64_t k, uint64_t v)
{
	words_put(m, k, v);
}

static PEER_INLINE bool peer_get(peer_map m, uint64_t k, uint64_t *v)
{
	return words_get(m, k, v);
}

static PEER_INLINE void peer_delete(peer_map m, uint64_t k)
{
	words_delete(m, k);
}

static PEER_INLINE uint64_t peer_sum(peer_map m)
{
	struct gomap_iter it;
	const uint64_t *k;
	uint64_t *v, sum = 0;
	gomap_iter_init(&it, words_map(m));
	while (words_next(&it, &k, &v))
		sum += *v;
	return sum;
}

#include "rows.h"
