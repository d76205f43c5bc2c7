#include "verdict/way.h"

#include <stdlib.h>
#include <string.h>

#include "go/callsite.h"
#include "go/lockflow.h"

/* Loads and callers that the address of one lock is followed over. */
enum { ADDRESS_STEPS_MAX = 8 };

void steps_free(struct steps *steps)
{
	if (!steps)
		return;
	for (size_t i = 0; i < steps->count; i++)
		dataflow_free(steps->list[i].flow);
	free(steps);
}

static bool is_call(struct runtime *rt, const struct step *step)
{
	uint8_t code[INSN_LENGTH_MAX] = {0};
	struct insn insn;
	uint64_t left = step->fn.end - step->at;
	size_t n = left < sizeof(code) ? (size_t)left : sizeof(code);
	return memory_read(rt->target->memory, step->at, code, n, NULL) == OK &&
	       insn_decode_flow(rt->target->arch, code, n, step->at, &insn) &&
	       insn.flow == INSN_CALL;
}

static struct step *add_step(struct steps *steps, const struct function *fn, uint64_t at,
			     const struct frame *frame)
{
	if (steps->count == STEPS_MAX || !at) {
		steps->cut = true;
		return NULL;
	}
	struct step *step = &steps->list[steps->count++];
	*step = (struct step){.fn = *fn, .at = at, .frame = frame};
	return step;
}

/* The steps that are not on the stack: from the write out to the frame that leads to it. */
static void add_remote(struct steps *steps, const struct lock_way *way)
{
	for (unsigned i = way->via_count; i-- > 0;) {
		struct function fn;
		uint64_t at = i + 1 == way->via_count ? way->write_at : way->via[i + 1];
		struct step *step = pclntab_find(steps->rt->pclntab, at, &fn)
					    ? add_step(steps, &fn, at, NULL)
					    : NULL;
		if (step)
			step->deferred = !is_call(steps->rt, step);
		else
			steps->cut = true;
	}
}

static void add_frames(struct steps *steps, const struct lock_way *way)
{
	const struct frames *frames = way->frames;
	bool deferred = false;
	for (size_t i = way->first; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		if (!frame->has_function) {
			steps->cut = true;
			return;
		}
		if (function_is_runtime(frame->function.name)) {
			/* reflection calls map functions, and functions, as any code does */
			deferred |= strncmp(frame->function.name, "runtime.", 8) == 0;
			continue;
		}
		uint64_t now = frame->is_exact
				       ? frame->pc
				       : call_returning_to(steps->rt, &frame->function, frame->pc);
		uint64_t at = now;
		if (i == way->first && !way->is_now)
			at = way->via_count ? way->via[0] : way->write_at;
		struct step *step = add_step(steps, &frame->function, at, frame);
		if (!step)
			return;
		step->is_now = at == now;
		step->deferred = deferred || (!step->is_now && !is_call(steps->rt, step));
		deferred = false;
	}
	steps->cut |= frames->cut;
}

bool step_open(struct steps *steps, struct step *step)
{
	if (!step->flow && dataflow_new(steps->rt, &step->fn, &step->flow, NULL) == OK)
		step->has_state = dataflow_at(step->flow, step->at, &step->state);
	return step->has_state;
}

/* Whether the value at the step's instruction is the same at the place where its frame stands now: one
 * that the function was called with, or the result of a call that was not made again meanwhile. */
static bool is_constant(struct step *step, flow_id id)
{
	const struct flow_value *v = dataflow_value(step->flow, id);
	while (v->kind == FLOW_OFFSET || v->kind == FLOW_LOAD)
		v = dataflow_value(step->flow, v->base);
	if (v->kind == FLOW_RESULT)
		return !lockflow_leads(step->flow, step->at, v->call);
	return v->kind == FLOW_ARG || v->kind == FLOW_CLOSURE || v->kind == FLOW_NUMBER ||
	       v->kind == FLOW_FRAME;
}

/* What the frame of a step that is on the stack knows of the value now. */
static bool eval_in_frame(struct step *step, flow_id id, uint64_t *ret)
{
	struct flow_state state;
	struct insn call;
	if (!step->frame || (!step->is_now && !is_constant(step, id)))
		return false;
	if (step->is_now)
		state = step->state;
	else if (!(step->frame->is_exact
			   ? dataflow_at(step->flow, step->frame->pc, &state)
			   : dataflow_call(step->flow, step->frame->pc, &call, &state)))
		return false;
	/* Registers at a call are the callee's by now, and frame->regs are of the frame's pc. */
	return dataflow_eval(step->flow, &state, id, step->frame, ret);
}

bool step_value(struct steps *steps, size_t i, flow_id id, uint64_t *ret)
{
	struct {
		int64_t n;
		bool load;
	} todo[ADDRESS_STEPS_MAX];
	unsigned depth = 0;
	uint64_t v;
	if (!dataflow_is_known(steps->list[i].flow, id))
		return false;
	while (!eval_in_frame(&steps->list[i], id, &v)) {
		const struct flow_value *value = dataflow_value(steps->list[i].flow, id);
		if (value->kind == FLOW_NUMBER) {
			v = (uint64_t)value->n;
			break;
		}
		if (value->kind == FLOW_ARG) {
			unsigned n = (unsigned)value->n;
			if (++i >= steps->count || steps->list[i].deferred ||
			    !step_open(steps, &steps->list[i]))
				return false;
			id = dataflow_argument(steps->list[i].flow, &steps->list[i].state, n);
			if (!dataflow_is_known(steps->list[i].flow, id))
				return false;
			continue;
		}
		if ((value->kind != FLOW_OFFSET && value->kind != FLOW_LOAD) ||
		    depth == ADDRESS_STEPS_MAX)
			return false;
		todo[depth].n = value->n;
		todo[depth++].load = value->kind == FLOW_LOAD;
		id = value->base;
	}
	while (depth--) {
		v += (uint64_t)todo[depth].n;
		if (todo[depth].load &&
		    memory_read_u64(steps->rt->target->memory, v, &v, NULL) != OK)
			return false;
	}
	*ret = v;
	return v != 0;
}

enum status steps_new(struct runtime *rt, const struct lock_way *way, struct steps **ret,
		      struct error *err)
{
	struct steps *steps = calloc(1, sizeof(*steps));
	if (!steps)
		return error_nomem(err);
	steps->rt = rt;
	add_remote(steps, way);
	add_frames(steps, way);
	*ret = steps;
	return OK;
}
