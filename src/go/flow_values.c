#include "go/dataflow_internal.h"

#include "base/array.h"

static size_t hash(const struct flow_value *v)
{
	uint64_t h = (uint64_t)v->kind * 0x9e3779b97f4a7c15ULL;
	h = (h ^ (uint64_t)v->n) * 0xff51afd7ed558ccdULL;
	h = (h ^ v->base ^ (uint64_t)v->scale << 32) * 0xc4ceb9fe1a85ec53ULL;
	h = (h ^ v->call) * 0x9e3779b97f4a7c15ULL;
	return h >> 32;
}

static bool same(const struct flow_value *a, const struct flow_value *b)
{
	return a->kind == b->kind && a->n == b->n && a->base == b->base && a->scale == b->scale &&
	       a->call == b->call;
}

flow_id flow_intern(struct dataflow *flow, struct flow_value value)
{
	size_t mask = FLOW_VALUES_MAX * 2 - 1;
	if (value.kind == FLOW_UNKNOWN)
		return 0;
	/* An address in nothing known says nothing; a load does, by its offset. */
	if ((value.kind == FLOW_OFFSET || value.kind == FLOW_ELEMENT) && !value.base)
		return 0;
	for (size_t i = hash(&value) & mask;; i = (i + 1) & mask) {
		if (flow->value_table[i]) {
			if (same(&flow->values[flow->value_table[i]], &value))
				return flow->value_table[i];
			continue;
		}
		if (flow->value_count == FLOW_VALUES_MAX ||
		    !ARRAY_PUSH(flow->values, flow->value_count, flow->value_cap, value))
			return 0;
		flow->value_table[i] = (uint16_t)(flow->value_count - 1);
		return flow->value_table[i];
	}
}

flow_id flow_add(struct dataflow *flow, flow_id base, int64_t n)
{
	struct flow_value v = flow->values[base];
	int64_t sum = (int64_t)((uint64_t)v.n + (uint64_t)n);
	if (n == 0)
		return base;
	switch (v.kind) {
	case FLOW_NUMBER:
	case FLOW_FRAME:
	case FLOW_ELEMENT:
		v.n = sum;
		return flow_intern(flow, v);
	case FLOW_OFFSET:
		if (sum == 0)
			return v.base;
		v.n = sum;
		return flow_intern(flow, v);
	default:
		return flow_intern(flow,
				   (struct flow_value){.kind = FLOW_OFFSET, .base = base, .n = n});
	}
}

struct flow_call *flow_call_at(struct dataflow *flow, uint64_t addr)
{
	size_t lo = 0, hi = flow->call_count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (flow->calls[mid].addr < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo < flow->call_count && flow->calls[lo].addr == addr)
		return &flow->calls[lo];
	struct flow_call call = {.addr = addr};
	if (!ARRAY_PUSH(flow->calls, flow->call_count, flow->call_cap, call))
		return NULL;
	for (size_t i = flow->call_count - 1; i > lo; i--)
		flow->calls[i] = flow->calls[i - 1];
	flow->calls[lo] = call;
	return &flow->calls[lo];
}

const struct flow_value *dataflow_value(const struct dataflow *flow, flow_id id)
{
	return &flow->values[id < flow->value_count ? id : 0];
}

bool dataflow_is_known(const struct dataflow *flow, flow_id id)
{
	/* Each value is made from older ones, so this ends. */
	for (;;) {
		const struct flow_value *v = dataflow_value(flow, id);
		switch (v->kind) {
		case FLOW_UNKNOWN:
		case FLOW_ELEMENT:
			return false;
		case FLOW_OFFSET:
		case FLOW_LOAD:
			id = v->base;
			break;
		default:
			return true;
		}
	}
}

void flow_note_store(struct dataflow *flow, flow_id base, int64_t n, flow_id value)
{
	for (size_t i = 0; i < flow->store_count; i++) {
		struct flow_store *store = &flow->stores[i];
		if (store->base == base && store->n == n) {
			if (store->value != value)
				store->value = 0;
			return;
		}
	}
	struct flow_store store = {base, value, n};
	if (flow->store_count < FLOW_STORES_MAX &&
	    !ARRAY_PUSH(flow->stores, flow->store_count, flow->store_cap, store))
		flow->store_count = 0; /* no memory: none is known */
}

flow_id dataflow_stored(const struct dataflow *flow, flow_id base, int64_t n)
{
	for (size_t i = 0; i < flow->store_count; i++)
		if (flow->stores[i].base == base && flow->stores[i].n == n)
			return flow->stores[i].value;
	return 0;
}

flow_id dataflow_made_with(const struct dataflow *flow, uint64_t number)
{
	flow_id found = 0;
	for (size_t i = 0; i < flow->store_count; i++) {
		const struct flow_value *v = dataflow_value(flow, flow->stores[i].value);
		if (flow->stores[i].n != 0 || v->kind != FLOW_NUMBER || (uint64_t)v->n != number)
			continue;
		if (found && found != flow->stores[i].base)
			return 0;
		found = flow->stores[i].base;
	}
	return found;
}

flow_id dataflow_number(const struct dataflow *flow, uint64_t number)
{
	for (size_t i = 1; i < flow->value_count; i++)
		if (flow->values[i].kind == FLOW_NUMBER && (uint64_t)flow->values[i].n == number)
			return (flow_id)i;
	return 0;
}
