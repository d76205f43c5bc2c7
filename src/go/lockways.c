#include "go/lockways.h"

#include <stdlib.h>
#include <string.h>

#include "go/lockflow.h"

static unsigned stand_after_give(unsigned stand)
{
	return stand == STAND_HELD ? STAND_BALANCED : STAND_GIVEN;
}

/* Where a lock can stand behind the event when it stood so before. */
static unsigned stand_after(const struct event *event, const struct event *key, unsigned stand)
{
	if (event->kind != key->kind || event->read != key->read)
		return stand;
	if (event->lock != key->lock) {
		/* An unlock of we do not know what may have been of this one. */
		bool may_be = (!event->lock || !key->lock) && event->op >= LOCK_GIVE &&
			      event->op != LOCK_TAKE_MAYBE;
		return may_be ? stand | stand_after_give(stand) : stand;
	}
	switch (event->op) {
	case LOCK_TAKE:
		return STAND_HELD;
	case LOCK_TRY:
	case LOCK_TAKE_MAYBE:
		return stand | STAND_HELD;
	case LOCK_GIVE:
		return stand_after_give(stand);
	case LOCK_GIVE_MAYBE:
		return stand | stand_after_give(stand);
	}
	return stand;
}

void ways_done(struct ways *ways)
{
	free(ways->stands);
	free(ways->queue);
	free(ways->queued);
}
enum status ways_init(struct ways *ways, struct dataflow *flow, const struct event *events,
		      size_t event_count, struct error *err)
{
	const struct function *fn = dataflow_function(flow);
	*ways = (struct ways){.flow = flow, .events = events, .event_count = event_count};
	ways->size = (size_t)(fn->end - fn->entry);
	ways->stands = calloc(ways->size, 1);
	ways->queued = calloc(ways->size, 1);
	ways->queue = calloc(ways->size, sizeof(*ways->queue));
	return ways->stands && ways->queued && ways->queue ? OK : error_nomem(err);
}

static void go_to(struct ways *ways, uint64_t addr, unsigned stands)
{
	uint64_t pos = addr - dataflow_function(ways->flow)->entry;
	if (pos >= ways->size || (ways->stands[pos] | stands) == ways->stands[pos])
		return;
	ways->stands[pos] |= (uint8_t)stands;
	if (ways->queued[pos])
		return;
	ways->queued[pos] = 1;
	ways->queue[ways->tail++ % ways->size] = (uint32_t)pos;
}

/* Calls visit with all places where control goes behind the instruction. */
static void each_next(struct dataflow *flow, const struct insn *insn,
		      void (*visit)(struct ways *, uint64_t, unsigned), struct ways *ways,
		      unsigned stands)
{
	const struct flow_edge *edges;
	size_t count = dataflow_edges(flow, &edges);
	if (insn->flow == INSN_NEXT || insn->flow == INSN_BRANCH ||
	    (insn->flow == INSN_CALL && dataflow_returns(flow, insn)))
		visit(ways, insn->addr + insn->length, stands);
	if (insn->has_target && insn->flow != INSN_CALL)
		visit(ways, insn->target, stands);
	for (size_t i = 0; insn->flow == INSN_JUMP && !insn->has_target && i < count; i++)
		if (edges[i].from == insn->addr)
			visit(ways, edges[i].to, stands);
}

/* Each set can grow four times. */
void ways_run(struct ways *ways, const struct event *key, uint64_t from)
{
	uint64_t entry = dataflow_function(ways->flow)->entry;
	memset(ways->stands, 0, ways->size);
	ways->at_return = 0;
	ways->head = ways->tail = 0;
	go_to(ways, from, STAND_UNTOUCHED);
	while (ways->head < ways->tail) {
		size_t pos = ways->queue[ways->head++ % ways->size];
		struct insn insn;
		unsigned before = ways->stands[pos], after = 0;
		ways->queued[pos] = 0;
		if (!dataflow_decode(ways->flow, entry + pos, &insn))
			continue;
		for (unsigned bit = 1; bit < 1U << STANDS; bit <<= 1) {
			unsigned stand = before & bit;
			for (size_t i = 0; stand && i < ways->event_count; i++) {
				if (ways->events[i].at != insn.addr)
					continue;
				unsigned next = 0;
				for (unsigned b = 1; b < 1U << STANDS; b <<= 1)
					if (stand & b)
						next |= stand_after(&ways->events[i], key, b);
				stand = next;
			}
			after |= stand;
		}
		bool leaves = insn.flow == INSN_RETURN ||
			      (insn.flow == INSN_JUMP && insn.has_target &&
			       insn.target - entry >= ways->size);
		if (leaves)
			ways->at_return |= after;
		each_next(ways->flow, &insn, go_to, ways, after);
	}
}

bool lockflow_leads(struct dataflow *flow, uint64_t from, uint64_t to)
{
	AUTO_WAYS struct ways ways = {0};
	const struct function *fn = dataflow_function(flow);
	struct insn insn;
	if (ways_init(&ways, flow, NULL, 0, NULL) != OK || to - fn->entry >= ways.size ||
	    !dataflow_decode(flow, from, &insn))
		return true; /* not known: as if it did */
	ways_run(&ways, NULL, from + insn.length);
	return ways.stands[to - fn->entry] != 0;
}
