#include "report/verify.h"

#include <inttypes.h>
#include <string.h>

#include "report/explain.h"

/* Pairs that the page lists; JSON has them all. */
enum { PAIRS_MAX = 40 };

bool verify_has(const struct verify_side *side, const struct trial_race *race)
{
	for (size_t i = 0; i < side->program_count; i++)
		for (size_t k = 0; k < side->programs[i].trials->race_count; k++)
			if (trial_race_is(&side->programs[i].trials->races[k], race))
				return true;
	return false;
}

/* The first of a command's programs that has this name, or NULL. */
static const struct verify_program *find_program(const struct verify_side *side, const char *name)
{
	for (size_t i = 0; i < side->program_count; i++)
		if (strcmp(side->programs[i].name, name) == 0)
			return &side->programs[i];
	return NULL;
}

bool verify_ran(const struct verify_side *side, const struct verify_program *program)
{
	const struct verify_program *same = side->command ? find_program(side, program->name)
							  : side->programs;
	return same && same->trials->runs;
}

static void print_place(struct page *page, const struct trial_place *place)
{
	struct site site = {place->function, place->file, place->line, 0};
	page_printf(page, "%-6s ",
		    place->operation == OPERATION_UNKNOWN ? "?" : operation_name(place->operation));
	page_text(page, place->function);
	page_printf(page, "  ");
	page_place(page, &site);
}

/* Behind what a race is called: the two places. */
static void print_sides(struct page *page, const struct trial_race *race)
{
	page_printf(page, "\n    ");
	print_place(page, &race->side[0]);
	page_printf(page, "\n    ");
	if (race->has_other)
		print_place(page, &race->side[1]);
	else
		page_printf(page, "the other side is not known");
	fputc('\n', page->out);
}

static const char *before_of(const struct verify_facts *f, const struct verify_program *program,
			     const struct trial_race *race)
{
	if (verify_has(f->before, race))
		return "was there before";
	return verify_ran(f->before, program) ? "new" : "not tried before";
}

static void print_races(struct page *page, const struct verify_facts *f,
			const struct verify_program *program)
{
	const struct trials *t = program->trials;
	page_style(page, STYLE_BOLD, "races     ");
	if (!t->race_count) {
		page_style(page, STYLE_GREEN, "none");
		page_printf(page, " in %u runs: that is no proof that there is none\n", t->runs);
	} else {
		page_style(page, STYLE_RED, "%zu\n", t->race_count);
	}
	for (size_t i = 0; i < t->race_count; i++) {
		const struct trial_race *race = &t->races[i];
		page_printf(page, "  ");
		page_style(page, race->grade == GRADE_PROVEN ? STYLE_RED : STYLE_YELLOW, "%s",
			   grade_name(race->grade));
		page_printf(page, " in %u of %u runs, first in run %u", race->count, t->runs,
			    race->first_run);
		if (f->before)
			page_printf(page, " (%s)", before_of(f, program, race));
		page_printf(page, ": ");
		if (race->owner) {
			page_text(page, race->owner);
			page_printf(page, ", ");
		}
		page_text(page, race->type);
		print_sides(page, race);
	}
}

/* The races of a program of before that are there no more. */
static void print_gone(struct page *page, const struct verify_facts *f,
		       const struct verify_program *program)
{
	bool ran = verify_ran(&f->now, program);
	for (size_t i = 0; i < program->trials->race_count; i++) {
		const struct trial_race *race = &program->trials->races[i];
		if (verify_has(&f->now, race))
			continue;
		page_style(page, ran ? STYLE_GREEN : STYLE_YELLOW,
			   ran ? "gone      " : "not tried ");
		page_printf(page, "in %u of %u runs before, %s now: ", race->count,
			    program->trials->runs, ran ? "in none" : "not run");
		page_text(page, race->type);
		print_sides(page, race);
	}
}

static void print_pairs(struct page *page, const struct trials *t)
{
	page_style(page, STYLE_BOLD, "exercised ");
	page_printf(page,
		    "%zu %s seen writing maps, %zu %s of them met on one map in two goroutines\n",
		    t->place_count, t->place_count == 1 ? "place" : "places", t->pair_count,
		    t->pair_count == 1 ? "pair" : "pairs");
	for (size_t i = 0; i < t->pair_count && i < PAIRS_MAX; i++) {
		const struct trial_pair *p = &t->pairs[i];
		const struct trial_place *a = &t->places[p->a];
		page_printf(page, "  ");
		if (p->raced)
			page_style(page, STYLE_RED, "raced");
		else if (p->overlaps)
			page_style(page, STYLE_RED, "overlapped %" PRIu64 " times", p->overlaps);
		else
			page_style(page, STYLE_GREEN, "never overlapped");
		page_printf(page, ", seen %" PRIu64 " times: ", p->seen);
		page_text(page, a->type ? a->type : "type not known");
		page_printf(page, "\n    ");
		print_place(page, a);
		page_printf(page, "\n    ");
		if (p->a == p->b)
			page_printf(page, "the same place");
		else
			print_place(page, &t->places[p->b]);
		fputc('\n', page->out);
	}
	if (t->pair_count > PAIRS_MAX)
		page_printf(page, "  ... and %zu more (--format json has them all)\n",
			    t->pair_count - PAIRS_MAX);
}

static void print_runs(struct page *page, const struct verify_program *program)
{
	const struct trials *t = program->trials;
	page_style(page, STYLE_BOLD, "runs      ");
	page_text(page, program->name);
	page_printf(page,
		    ": %u, %u ended well, %u after their time; %u died of something else; %" PRIu64
		    " holds, %" PRIu64 " looks\n",
		    t->runs, t->clean, t->timeouts, t->failed, t->holds, t->looks);
}

/* when: " before", or "". */
static void print_log(struct page *page, const struct verify_program *program, const char *when)
{
	const struct trials *t = program->trials;
	for (size_t i = 0; i < t->race_count; i++) {
		const char *line = t->races[i].log;
		if (!line)
			continue;
		page_style(page, STYLE_BOLD, "\nwhat ");
		page_text(page, program->name);
		page_printf(page, " printed%s in run %u\n", when, t->races[i].first_run);
		while (*line) {
			size_t n = strcspn(line, "\n");
			char text[512];
			bool is_inner = *line == '\t';
			snprintf(text, sizeof(text), "%.*s", (int)n - is_inner, line + is_inner);
			page_printf(page, is_inner ? "        " : "    ");
			page_text(page, text);
			fputc('\n', page->out);
			line += n + (line[n] == '\n');
		}
		return;
	}
}

static void print_command(struct page *page, const char *title,
			  const struct verify_command *command)
{
	page_style(page, STYLE_BOLD, "%s", title);
	page_text(page, command->line);
	page_printf(page, ": %u runs, %u ended well, %u after their time, %u otherwise\n",
		    command->runs, command->clean, command->timeouts, command->failed);
}

static void print_program_runs(struct page *page, const char *title,
			       const struct verify_program *program)
{
	const struct trials *t = program->trials;
	page_style(page, STYLE_BOLD, "%s", title);
	page_text(page, program->name);
	page_printf(page,
		    ": run %u times, ended after its time %u times; %" PRIu64 " holds, %" PRIu64
		    " looks\n",
		    t->runs, t->timeouts, t->holds, t->looks);
}

/* One of the programs of a command, beside those of before that are called as it is. */
static void print_program(struct page *page, const struct verify_facts *f,
			  const struct verify_program *program)
{
	/* of several that are called so, the first tells of those before */
	bool tells = f->before && find_program(&f->now, program->name) == program;
	size_t count = tells ? f->before->program_count : 0;
	print_program_runs(page, "\nprogram   ", program);
	for (size_t i = 0; i < count; i++)
		if (strcmp(f->before->programs[i].name, program->name) == 0)
			print_program_runs(page, "before    ", &f->before->programs[i]);
	print_races(page, f, program);
	for (size_t i = 0; i < count; i++)
		if (strcmp(f->before->programs[i].name, program->name) == 0)
			print_gone(page, f, &f->before->programs[i]);
	print_pairs(page, program->trials);
	for (size_t i = 0; i < count; i++)
		if (strcmp(f->before->programs[i].name, program->name) == 0)
			print_log(page, &f->before->programs[i], " before");
	print_log(page, program, "");
}

static void print_command_side(struct page *page, const struct verify_facts *f)
{
	print_command(page, "command   ", f->now.command);
	if (f->before)
		print_command(page, "before    ", f->before->command);
	for (size_t i = 0; i < f->now.program_count; i++)
		print_program(page, f, &f->now.programs[i]);
	for (size_t i = 0; f->before && i < f->before->program_count; i++) {
		const struct verify_program *program = &f->before->programs[i];
		if (find_program(&f->now, program->name))
			continue;
		print_program_runs(page, "\nbefore    ", program);
		print_gone(page, f, program);
		print_log(page, program, " before");
	}
}

void verify_text(struct page *page, const struct verify_facts *f)
{
	page_style(page, STYLE_BOLD, "verify    ");
	page_printf(page, "holds of at most %u ms, seed %" PRIu64 "\n", f->hold_ms, f->seed);
	if (f->now.command) {
		print_command_side(page, f);
		page_notes(page, f->notes);
		return;
	}
	print_runs(page, f->now.programs);
	if (f->before)
		print_runs(page, f->before->programs);
	print_races(page, f, f->now.programs);
	if (f->before)
		print_gone(page, f, f->before->programs);
	print_pairs(page, f->now.programs->trials);
	if (f->before)
		print_log(page, f->before->programs, " before");
	print_log(page, f->now.programs, "");
	page_notes(page, f->notes);
}

static void place_members(struct json *json, const struct trial_place *place)
{
	json_string(json, "function", place->function);
	json_string(json, "file", place->file);
	if (place->line > 0)
		json_int(json, "line", place->line);
	else
		json_null(json, "line");
	json_string(json, "operation",
		    place->operation == OPERATION_UNKNOWN ? NULL
							  : operation_name(place->operation));
}

static void race_members(struct json *json, const struct trial_race *race)
{
	json_string(json, "type", race->type);
	json_string(json, "owner", race->owner);
	json_string(json, "message", race->message);
	json_string(json, "grade", grade_name(race->grade));
	json_uint(json, "runs", race->count);
	json_uint(json, "first_run", race->first_run);
	json_array(json, "sides");
	for (unsigned i = 0; i < (race->has_other ? 2U : 1U); i++) {
		json_object(json, NULL);
		place_members(json, &race->side[i]);
		json_end_object(json);
	}
	json_end_array(json);
	json_string(json, "log", race->log);
}

/* other: what the program is compared with, or NULL. is_child: of a command, which alone knows how it
 * ended. */
static void trials_members(struct json *json, const struct verify_program *program,
			   const struct verify_side *other, bool is_child)
{
	const struct trials *t = program->trials;
	json_string(json, "program", program->name);
	json_uint(json, "runs", t->runs);
	if (is_child)
		json_null(json, "clean");
	else
		json_uint(json, "clean", t->clean);
	json_uint(json, "timeouts", t->timeouts);
	if (is_child)
		json_null(json, "failed");
	else
		json_uint(json, "failed", t->failed);
	json_uint(json, "holds", t->holds);
	json_uint(json, "looks", t->looks);
	json_uint(json, "lost", t->lost);
	json_bool(json, "complete", !t->cut && !t->lost);
	if (other)
		json_bool(json, "ran_in_other", verify_ran(other, program));
	json_array(json, "races");
	for (size_t i = 0; i < t->race_count; i++) {
		json_object(json, NULL);
		race_members(json, &t->races[i]);
		if (other)
			json_bool(json, "in_other", verify_has(other, &t->races[i]));
		json_end_object(json);
	}
	json_end_array(json);
	json_array(json, "places");
	for (size_t i = 0; i < t->place_count; i++) {
		json_object(json, NULL);
		json_string(json, "type", t->places[i].type);
		place_members(json, &t->places[i]);
		json_uint(json, "seen", t->places[i].seen);
		json_end_object(json);
	}
	json_end_array(json);
	json_array(json, "pairs");
	for (size_t i = 0; i < t->pair_count; i++) {
		json_object(json, NULL);
		json_uint(json, "a", t->pairs[i].a);
		json_uint(json, "b", t->pairs[i].b);
		json_uint(json, "seen", t->pairs[i].seen);
		json_uint(json, "overlaps", t->pairs[i].overlaps);
		json_bool(json, "raced", t->pairs[i].raced);
		json_end_object(json);
	}
	json_end_array(json);
}

static void command_members(struct json *json, const char *name, const char *programs,
			    const struct verify_side *side, const struct verify_side *other)
{
	json_object(json, name);
	json_string(json, "line", side->command->line);
	json_uint(json, "runs", side->command->runs);
	json_uint(json, "clean", side->command->clean);
	json_uint(json, "timeouts", side->command->timeouts);
	json_uint(json, "failed", side->command->failed);
	json_end_object(json);
	json_array(json, programs);
	for (size_t i = 0; i < side->program_count; i++) {
		json_object(json, NULL);
		trials_members(json, &side->programs[i], other, true);
		json_end_object(json);
	}
	json_end_array(json);
}

/* The one program of a side, or null: there is none, or a command. */
static void program_member(struct json *json, const char *name, const struct verify_side *side,
			   const struct verify_side *other)
{
	if (!side || side->command) {
		json_null(json, name);
		return;
	}
	json_object(json, name);
	trials_members(json, side->programs, other, false);
	json_end_object(json);
}

void verify_json(FILE *out, const struct verify_facts *f)
{
	struct json json = JSON_INIT(out);
	json_object(&json, NULL);
	json_string(&json, "schema", "mapcrash.verify/1");
	json_uint(&json, "seed", f->seed);
	json_uint(&json, "hold_ms", f->hold_ms);
	if (f->now.command)
		command_members(&json, "command", "programs", &f->now, f->before);
	if (f->before && f->before->command)
		command_members(&json, "before_command", "before_programs", f->before, &f->now);
	program_member(&json, "now", &f->now, f->before);
	program_member(&json, "before", f->before, &f->now);
	json_notes(&json, f->notes);
	json_end_object(&json);
	json_done(&json);
}
