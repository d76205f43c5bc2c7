#include "maps/flagsites.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "insn/insn.h"
#include "maps/flagstate.h"

/*
 * How it works. The function's code is decoded along its control flow. Before each instruction stands
 * an abstract state (flagstate.h): for each register, what is known of its low byte in terms of the
 * flag byte; what the condition flags say about the flag; and the set of window states that some path
 * arrives with.
 * States flow along the edges until nothing changes; where paths meet, only what they agree on is kept,
 * and the window states are united. Then each instruction is looked at once more with its final state,
 * and the sites are written down.
 *
 * Limits. A flag byte that is kept across a call or spilled to the stack is not followed (no compiler
 * of Go does that: the byte is volatile to it across calls, and no local variable holds it). A store
 * through a pointer that is neither the header nor header + offset is not seen as a store to the flag.
 */

enum { AT_NOTHING = -1, AT_INTERIOR = -2 };

/* One decoded instruction and the state before it. */
struct step {
	struct insn insn;
	struct flagstate state;
	bool queued;
	bool entered; /* some jump or branch leads here */
};

struct finder {
	struct flag_header header;
	const uint8_t *code;
	size_t size;
	uint64_t start;
	enum flag_callee (*callee)(void *context, uint64_t addr);
	void *context;

	int32_t *at; /* by offset: index in steps of the instruction there, or AT_... */
	struct step *steps;
	size_t step_count, step_cap;
	uint32_t *queue;
	size_t queue_count, queue_cap;
	bool complete;
	bool nomem;

	struct flag_site *sites;
	size_t site_count, site_cap;
};

/* From a failed check to its call of fatal: two or three instructions that load the message; more
 * where -N stores it first. */
enum { FATAL_PATH_MAX = 32 };

/* A step's state can only lose knowledge: each register's byte at most 8 + 2 times, each window state
 * and the condition once. In real functions the mean is under 3 visits; more than this many per
 * instruction is a function made to be slow. */
enum { VISITS_PER_STEP = 64 };

/* Following the control flow. */

/* The step at offset, decoded at the first call; NULL when it does not decode there, or when it would
 * overlap another: then the code is not what it seems. */
static struct step *step_at(struct finder *f, uint64_t offset)
{
	if (offset >= f->size || f->at[offset] == AT_INTERIOR)
		return NULL;
	if (f->at[offset] >= 0)
		return &f->steps[f->at[offset]];
	struct step step = {0};
	if (!insn_decode(f->header.arch, f->code + offset, f->size - offset, f->start + offset,
			 &step.insn))
		return NULL;
	for (unsigned i = 1; i < step.insn.length; i++) {
		if (f->at[offset + i] != AT_NOTHING)
			return NULL;
	}
	if (!ARRAY_PUSH(f->steps, f->step_count, f->step_cap, step)) {
		f->nomem = true;
		return NULL;
	}
	f->at[offset] = (int32_t)(f->step_count - 1);
	for (unsigned i = 1; i < step.insn.length; i++)
		f->at[offset + i] = AT_INTERIOR;
	return &f->steps[f->step_count - 1];
}

static bool is_inside(const struct finder *f, uint64_t addr)
{
	return addr >= f->start && addr - f->start < f->size;
}

static enum flag_callee callee_of(const struct finder *f, const struct insn *insn)
{
	if (insn->flow != INSN_CALL || !insn->has_target || !f->callee)
		return FLAG_CALLEE_OTHER;
	return f->callee(f->context, insn->target);
}

/* The address of the call of fatal or throw that the code at addr leads to without another branch, or
 * 0. */
static uint64_t fatal_path(struct finder *f, uint64_t addr)
{
	for (unsigned i = 0; i < FATAL_PATH_MAX && is_inside(f, addr); i++) {
		const struct step *step = step_at(f, addr - f->start);
		if (!step)
			return 0;
		enum flag_callee callee = callee_of(f, &step->insn);
		if (callee == FLAG_CALLEE_FATAL || callee == FLAG_CALLEE_THROW)
			return addr;
		if (step->insn.flow == INSN_NEXT)
			addr += step->insn.length;
		else if (step->insn.flow == INSN_JUMP && step->insn.has_target)
			addr = step->insn.target;
		else
			return 0;
	}
	return 0;
}

/* Brings a state to the instruction at addr; what lies outside the function ends the path. */
static bool arrive(struct finder *f, uint64_t addr, const struct flagstate *state, bool by_jump)
{
	if (!is_inside(f, addr)) {
		/* a tail call leaves by a jump; falling off the end means that this is not the
		 * whole function */
		if (!by_jump)
			f->complete = false;
		return true;
	}
	struct step *step = step_at(f, addr - f->start);
	if (!step) {
		f->complete = false;
		return !f->nomem;
	}
	step->entered |= by_jump;
	if (!flagstate_join(&step->state, state) || step->queued)
		return true;
	step->queued = true;
	return ARRAY_PUSH(f->queue, f->queue_count, f->queue_cap, (uint32_t)(step - f->steps));
}

/* As arrive, for one side of a branch. */
static bool arrive_branched(struct finder *f, uint64_t addr, const struct flagstate *state,
			    bool by_jump)
{
	struct flagstate side = *state;
	if (fatal_path(f, addr))
		side.windows = WINDOW_FATAL;
	return !f->nomem && arrive(f, addr, &side, by_jump);
}

/* Carries the state of one step to those that can follow; false when memory is out. */
static bool step_out(struct finder *f, uint32_t index)
{
	/* copies: arriving may move the steps */
	struct insn insn = f->steps[index].insn;
	struct flagstate state = f->steps[index].state;
	flagstate_step(&f->header, &insn, &state);
	uint64_t next = insn.addr + insn.length;
	switch (insn.flow) {
	case INSN_NEXT:
		return arrive(f, next, &state, false);
	case INSN_CALL:
		if (callee_of(f, &insn) != FLAG_CALLEE_OTHER)
			return true;
		return arrive(f, next, &state, false);
	case INSN_JUMP:
		if (!insn.has_target) {
			f->complete = false;
			return true;
		}
		return arrive(f, insn.target, &state, true);
	case INSN_BRANCH:
		return arrive_branched(f, insn.target, &state, true) &&
		       arrive_branched(f, next, &state, false);
	default:
		return true;
	}
}

/* Runs the states through the function until nothing changes. */
static enum status follow(struct finder *f, struct error *err)
{
	struct flagstate entry = {.windows = WINDOW_BEFORE};
	for (unsigned i = 0; i < FLAGSTATE_REGS; i++)
		entry.reg[i] = flag_value_unknown;
	if (!arrive(f, f->start, &entry, false))
		return error_nomem(err);
	for (uint64_t visits = 0; f->queue_count > 0; visits++) {
		if (visits > f->step_count * VISITS_PER_STEP)
			return error_at(err, ERROR_LIMIT, f->start,
					"code too tangled to follow: more than %d visits for each "
					"instruction",
					VISITS_PER_STEP);
		uint32_t index = f->queue[--f->queue_count];
		f->steps[index].queued = false;
		if (!step_out(f, index))
			return error_nomem(err);
	}
	return OK;
}

/* Writing the sites down. */

static const struct step *step_before(const struct finder *f, const struct step *step)
{
	uint64_t offset = step->insn.addr - f->start;
	for (unsigned back = 1; back <= INSN_LENGTH_MAX && back <= offset; back++) {
		if (f->at[offset - back] == AT_NOTHING)
			return NULL;
		if (f->at[offset - back] >= 0)
			return &f->steps[f->at[offset - back]];
	}
	return NULL;
}

/* How far back from a test or store its load of the flag is looked for. */
enum { RUN_MAX = 16 };

/* Fills in where the load lies whose value step tests or stores in register reg, and which register
 * held the map there. */
static void find_run(const struct finder *f, const struct step *step, uint8_t reg,
		     struct flag_site *site)
{
	bool pure = true;
	bool entered = step->entered;
	for (unsigned i = 0; i < RUN_MAX && !entered; i++) {
		step = step_before(f, step);
		if (!step || step->insn.flow != INSN_NEXT)
			return;
		const struct insn *insn = &step->insn;
		entered = step->entered;
		if (!(insn->writes & (1ULL << reg))) {
			pure = false;
			continue;
		}
		if (insn->dst.kind != INSN_REG || insn->dst.reg != reg)
			return;
		if (insn->op == INSN_MOVE &&
		    flagstate_operand_is_flag(&f->header, &step->state, insn, &insn->src[0])) {
			const struct insn_mem *mem = &insn->mem[insn->src[0].mem];
			site->run = insn->addr;
			site->run_is_pure = pure;
			if (site->map_reg == INSN_NO_REG &&
			    (uint64_t)mem->disp == flagstate_offset(&f->header))
				site->map_reg = mem->base;
			return;
		}
		if (insn->op != INSN_AND && insn->op != INSN_OR && insn->op != INSN_XOR)
			return;
	}
}

/* A site of the instruction of step, with its run and map register. */
static struct flag_site site_of(const struct finder *f, const struct step *step,
				enum flag_site_kind kind)
{
	const struct insn *insn = &step->insn;
	struct flag_site site = {.kind = kind,
				 .addr = insn->addr,
				 .end = insn->addr + insn->length,
				 .run = insn->addr,
				 .run_is_pure = true,
				 .map_reg = INSN_NO_REG};
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		if (flagstate_is_flag(&f->header, &step->state, mem) &&
		    (uint64_t)mem->disp == flagstate_offset(&f->header))
			site.map_reg = mem->base;
	}
	const struct insn_operand *from = &insn->src[0];
	if (kind != FLAG_FATAL && from->kind == INSN_REG && from->reg < FLAGSTATE_REGS)
		find_run(f, step, from->reg, &site);
	return site;
}

static bool add_site(struct finder *f, struct flag_site site)
{
	return ARRAY_PUSH(f->sites, f->site_count, f->site_cap, site);
}

/* Adds the store of step to the flag byte, if it is one. */
static bool add_store(struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	if (!flagstate_store(&f->header, &step->state, insn))
		return true;
	struct flag_value v = flagstate_stored(&f->header, &step->state, insn);
	enum flag_site_kind kind = flagstate_store_kind(&f->header, v);
	uint8_t windows = step->state.windows;
	if (kind == FLAG_TOGGLE && !(windows & (WINDOW_INSIDE | WINDOW_FATAL)))
		kind = FLAG_SET;
	else if (kind == FLAG_TOGGLE && windows == WINDOW_INSIDE)
		kind = FLAG_CLEAR;
	else if (kind == FLAG_OTHER && f->header.design == MAP_HMAP &&
		 (insn->atomic || insn->exclusive) &&
		 (v.invert & (HMAP_ITERATOR | HMAP_OLD_ITERATOR)))
		kind = FLAG_ITERATOR;
	return add_site(f, site_of(f, step, kind));
}

/* What a branch asks of the flag: the condition left before it, or its own test (arm64). */
static struct flag_cond branch_cond(const struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	if (insn->op != INSN_TEST)
		return step->state.cond;
	return (struct flag_cond){.kind = flagstate_cond(&f->header, &step->state, insn),
				  .test = insn->addr};
}

/* The role of a check by which side of its branch dies. */
static enum flag_check_role role_of(enum flag_cond_kind kind, enum insn_cond cond, bool taken_dies)
{
	bool taken_is_set;
	switch (kind) {
	case COND_ZERO_IS_CLEAR:
		if (cond != INSN_COND_ZERO && cond != INSN_COND_NOT_ZERO)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_NOT_ZERO;
		break;
	case COND_ZERO_IS_SET:
		if (cond != INSN_COND_ZERO && cond != INSN_COND_NOT_ZERO)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_ZERO;
		break;
	case COND_CARRY_IS_SET:
		if (cond != INSN_COND_CARRY && cond != INSN_COND_NOT_CARRY)
			return FLAG_CHECK_NONE;
		taken_is_set = cond == INSN_COND_CARRY;
		break;
	default:
		return FLAG_CHECK_NONE;
	}
	return taken_is_set == taken_dies ? FLAG_CHECK_ENTRY : FLAG_CHECK_EXIT;
}

static struct flag_site *site_at(struct finder *f, enum flag_site_kind kind, uint64_t addr)
{
	for (size_t i = 0; i < f->site_count; i++) {
		if (f->sites[i].addr == addr && f->sites[i].kind == kind)
			return &f->sites[i];
	}
	return NULL;
}

static const struct step *step_known(const struct finder *f, uint64_t addr)
{
	return &f->steps[f->at[addr - f->start]];
}

/* Adds the fatal call at addr; it belongs to check where there is one. */
static bool add_fatal(struct finder *f, uint64_t addr, const struct flag_site *check)
{
	struct flag_site *known = site_at(f, FLAG_FATAL, addr);
	if (known) {
		/* two checks that share a call: which one failed cannot be told if they differ */
		if (check && known->check && known->role != check->role)
			known->role = FLAG_CHECK_NONE;
		return true;
	}
	struct flag_site site = site_of(f, step_known(f, addr), FLAG_FATAL);
	if (check) {
		site.check = check->addr;
		site.role = check->role;
	}
	return add_site(f, site);
}

/* Adds the check whose outcome the branch of step asks, and the fatal call that it leads to. */
static bool add_check(struct finder *f, const struct step *step)
{
	const struct insn *insn = &step->insn;
	struct flag_cond cond = branch_cond(f, step);
	if (cond.kind == COND_NOTHING || site_at(f, FLAG_CHECK, cond.test))
		return true;
	uint64_t taken = fatal_path(f, insn->target);
	uint64_t passed = fatal_path(f, insn->addr + insn->length);
	struct flag_site check = site_of(f, step_known(f, cond.test), FLAG_CHECK);
	if (!taken != !passed)
		check.role = role_of(cond.kind, insn->cond, taken != 0);
	if (check.role != FLAG_CHECK_NONE) {
		check.fatal = taken ? taken : passed;
		if (!add_fatal(f, check.fatal, &check))
			return false;
	}
	return add_site(f, check);
}

static bool add_sites(struct finder *f)
{
	for (size_t i = 0; i < f->step_count; i++) {
		const struct step *step = &f->steps[i];
		if (!step->state.reached)
			continue;
		if (!add_store(f, step) || (step->insn.flow == INSN_BRANCH && !add_check(f, step)))
			return false;
	}
	/* what no check leads to comes last */
	for (size_t i = 0; i < f->step_count; i++) {
		const struct step *step = &f->steps[i];
		if (step->state.reached && callee_of(f, &step->insn) == FLAG_CALLEE_FATAL &&
		    !add_fatal(f, step->insn.addr, NULL))
			return false;
	}
	return true;
}

static int by_address(const void *a, const void *b)
{
	const struct flag_site *x = a, *y = b;
	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static enum flag_window window_of(const struct finder *f, const struct step *step)
{
	if (!f->complete || !step->state.reached)
		return FLAG_WINDOW_UNKNOWN;
	if (callee_of(f, &step->insn) == FLAG_CALLEE_FATAL)
		return FLAG_WINDOW_FATAL;
	switch (step->state.windows) {
	case WINDOW_BEFORE:
		return FLAG_WINDOW_BEFORE;
	case WINDOW_INSIDE:
		return FLAG_WINDOW_INSIDE;
	case WINDOW_AFTER:
		return FLAG_WINDOW_AFTER;
	case WINDOW_BEFORE | WINDOW_AFTER:
		return FLAG_WINDOW_OUTSIDE;
	case WINDOW_FATAL:
		return FLAG_WINDOW_FATAL;
	default:
		return FLAG_WINDOW_UNKNOWN;
	}
}

/* In windows: not the first byte of an instruction. */
enum { WINDOW_INTERIOR = 0xff };

static enum status finish(struct finder *f, struct flagsites *ret, struct error *err)
{
	if (!add_sites(f))
		return error_nomem(err);
	AUTO_FREE uint8_t *windows = malloc(f->size);
	if (!windows)
		return error_nomem(err);
	for (size_t i = 0; i < f->size; i++) {
		windows[i] = f->at[i] == AT_INTERIOR ? WINDOW_INTERIOR : FLAG_WINDOW_UNKNOWN;
		if (f->at[i] >= 0)
			windows[i] = window_of(f, &f->steps[f->at[i]]);
	}
	if (f->site_count > 0)
		qsort(f->sites, f->site_count, sizeof(*f->sites), by_address);
	*ret = (struct flagsites){.start = f->start,
				  .end = f->start + f->size,
				  .list = TAKE(f->sites),
				  .count = f->site_count,
				  .complete = f->complete,
				  .windows = TAKE(windows)};
	return OK;
}

enum status flagsites_find(enum arch arch, enum map_design design, const uint8_t *code, size_t size,
			   uint64_t start, enum flag_callee (*callee)(void *context, uint64_t addr),
			   void *context, struct flagsites *ret, struct error *err)
{
	if (size == 0 || size > FLAGSITES_CODE_MAX)
		return error_at(err, ERROR_LIMIT, start,
				"a map function of %zu bytes (we look at 1 to %d)", size,
				FLAGSITES_CODE_MAX);
	struct finder f = {.header = {arch, design},
			   .code = code,
			   .size = size,
			   .start = start,
			   .callee = callee,
			   .context = context,
			   .complete = true};
	f.at = malloc(size * sizeof(*f.at));
	enum status status = FAILED;
	if (f.at) {
		for (size_t i = 0; i < size; i++)
			f.at[i] = AT_NOTHING;
		status = follow(&f, err);
		if (status == OK)
			status = finish(&f, ret, err);
	} else {
		status = error_nomem(err);
	}
	free(f.at);
	free(f.steps);
	free(f.queue);
	free(f.sites);
	return status;
}

void flagsites_done(struct flagsites *sites)
{
	free(sites->list);
	free(sites->windows);
	*sites = (struct flagsites){0};
}

enum flag_window flagsites_window(const struct flagsites *sites, uint64_t pc, bool is_exact)
{
	if (is_exact) {
		if (pc < sites->start || pc >= sites->end ||
		    sites->windows[pc - sites->start] == WINDOW_INTERIOR)
			return FLAG_WINDOW_UNKNOWN;
		return sites->windows[pc - sites->start];
	}
	/* the call is the instruction that ends at pc */
	if (pc <= sites->start || pc > sites->end)
		return FLAG_WINDOW_UNKNOWN;
	uint64_t call = pc - 1;
	while (call > sites->start && sites->windows[call - sites->start] == WINDOW_INTERIOR)
		call--;
	uint8_t window = sites->windows[call - sites->start];
	return window == WINDOW_INTERIOR ? FLAG_WINDOW_UNKNOWN : window;
}

const struct flag_site *flagsites_fatal_at(const struct flagsites *sites, uint64_t pc)
{
	for (size_t i = 0; i < sites->count; i++) {
		if (sites->list[i].kind == FLAG_FATAL && sites->list[i].end == pc)
			return &sites->list[i];
	}
	return NULL;
}
