#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/session.h"
#include "go/type.h"
#include "maps/find.h"
#include "report/watch.h"

/* How long we wait for a change before we look at the clock and the keyboard. */
enum { POLL_MS = 50 };
/* Events that are shown before the breakpoints' memory is emptied again. */
enum { SHOWN_AT_ONCE = 128 };

enum shown { SHOWN_ALL, SHOWN_SOME, SHOWN_COUNT };

/* What the command line asks for, beyond the map. */
struct limits {
	uint64_t count; /* changes; 0: any number */
	uint64_t duration; /* ns; UINT64_MAX: until something else ends it */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signo)
{
	(void)signo;
	interrupted = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

/* Whether Enter was pressed, where a person sits before us. */
static bool key_pressed(void)
{
	char line[256];
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
	if (!isatty(STDIN_FILENO) || poll(&p, 1, 0) <= 0)
		return false;
	return read(STDIN_FILENO, line, sizeof(line)) >= 0;
}

static bool parse_limits(const struct options *options, struct limits *ret)
{
	const char *text = options->value[OPTION_DURATION];
	struct limits limits = {.duration = UINT64_MAX};
	if (!option_number(options, OPTION_CHANGES, 0, &limits.count))
		return false;
	if (text) {
		char *end;
		double seconds = strtod(text, &end);
		if (end == text || *end || !(seconds > 0) || seconds > 1e9) {
			fprintf(stderr, "mapcrash: --duration needs seconds, not %s\n", text);
			return false;
		}
		limits.duration = (uint64_t)(seconds * 1e9);
	}
	*ret = limits;
	return true;
}

/* Whether a user may call a map so: by its type, its owner, or the end of its owner's name. */
static bool is_called(struct session *s, const struct found_map *map, const char *name)
{
	const char *type = type_name(s->rt, map->type);
	if (type && strcmp(type, name) == 0)
		return true;
	size_t n = strlen(name), m = map->owner ? strlen(map->owner) : 0;
	if (!n || n > m || strcmp(map->owner + m - n, name) != 0)
		return false;
	return n == m || map->owner[m - n - 1] == '.' || map->owner[m - n - 1] == '/';
}

/* The one map that is called name. */
static enum status choose_map(struct session *s, const char *name, const struct found_maps *maps,
			      const struct found_map **ret)
{
	const struct found_map *found = NULL;
	size_t count = 0;
	for (size_t i = 0; i < maps->count; i++) {
		if (!is_called(s, &maps->list[i], name))
			continue;
		found = &maps->list[i];
		count++;
	}
	if (count == 0)
		return error_set(&s->error, ERROR_NOT_FOUND,
				 "no map was found whose type or owner is %.100s: mapcrash maps "
				 "lists them",
				 name);
	if (count > 1)
		return error_set(&s->error, ERROR_NOT_FOUND,
				 "%zu maps are called %.100s, one of them at 0x%" PRIx64
				 ": give the address of the one that is meant (mapcrash maps)",
				 count, name, found->addr);
	*ret = found;
	return OK;
}

/* The map of the command line: an address, or a name that is looked for in the whole heap. */
static enum status find_map(struct session *s, const char *operand, struct found_maps *maps,
			    uint64_t *ret_addr, struct watch_title *title)
{
	struct goroutines goroutines = {0};
	const struct found_map *found = NULL;
	struct error why;
	char *end;
	errno = 0;
	*ret_addr = strtoull(operand, &end, 16);
	if (!errno && end != operand && !*end && *ret_addr)
		return OK;
	if (goroutines_read(s->rt, &goroutines, &why) != OK)
		notes_add_error(&s->notes, "go", "goroutines", &why);
	enum status status = maps_find(s->rt, &goroutines, maps, &s->error);
	goroutines_done(&goroutines);
	if (status != OK || choose_map(s, operand, maps, &found) != OK)
		return FAILED;
	title->type = type_name(s->rt, found->type);
	title->owner = found->owner;
	*ret_addr = found->addr;
	return OK;
}

/* Shows what is there to be shown, at most SHOWN_AT_ONCE; *ret says whether it was all, and whether the
 * count that was asked for is reached. */
static enum status show(struct session *s, struct watch *watch, struct timeline *timeline,
			const struct limits *limits, struct json *json, enum shown *ret)
{
	struct watch_event event;
	struct timeline_step step;
	*ret = SHOWN_SOME;
	for (unsigned n = 0; n < SHOWN_AT_ONCE; n++) {
		if (!watch_next(watch, &event)) {
			*ret = SHOWN_ALL;
			fflush(stdout);
			return OK;
		}
		if (timeline_add(timeline, &event, &step, &s->error) != OK)
			return FAILED;
		if (s->json)
			watch_json_event(json, s->rt, timeline, &event, &step);
		else
			watch_text_event(&s->page, timeline, &event, &step);
		if (limits->count && timeline->flips >= limits->count) {
			*ret = SHOWN_COUNT;
			return OK;
		}
	}
	return OK;
}

/* Watches until one of the ends; *ret_why says which. */
static enum status follow(struct session *s, struct watch *watch, struct timeline *timeline,
			  const struct limits *limits, struct json *json, enum watch_end *ret_why)
{
	enum shown shown = SHOWN_ALL;
	uint64_t now;
	for (;;) {
		now = watch_now(watch);
		if (interrupted || key_pressed() || ferror(stdout))
			*ret_why = WATCH_END_USER;
		else if (now >= limits->duration)
			*ret_why = WATCH_END_DURATION;
		else if (watch_ended(watch))
			*ret_why = WATCH_END_PROCESS;
		else if (shown == SHOWN_COUNT)
			*ret_why = WATCH_END_COUNT;
		else if (watch_poll(watch, shown == SHOWN_ALL ? POLL_MS : 0, &s->error) == OK &&
			 show(s, watch, timeline, limits, json, &shown) == OK)
			continue;
		else
			return FAILED;
		break;
	}
	if (watch_stop(watch, &s->error) != OK)
		return FAILED;
	for (shown = shown == SHOWN_COUNT ? SHOWN_COUNT : SHOWN_SOME; shown == SHOWN_SOME;)
		if (show(s, watch, timeline, limits, json, &shown) != OK)
			return FAILED;
	timeline_finish(timeline, now);
	return OK;
}

static bool is_race(const struct timeline *timeline)
{
	for (size_t i = 0; i < timeline->overlap_count; i++)
		if (!timeline->overlaps[i].doubtful)
			return true;
	return timeline->fatal.of_this_map;
}

static int report_end(struct session *s, const struct timeline *timeline, struct json *json,
		      enum watch_end why)
{
	if (timeline->lost)
		notes_add(&s->notes, "probe", 0,
			  "%" PRIu64 " changes of the flag came faster than they could be taken",
			  timeline->lost);
	if (timeline->cut)
		notes_add(&s->notes, "probe", 0,
			  "more writes or overlaps than are kept: later ones "
			  "are counted only");
	if (s->json) {
		watch_json_end(json, s->rt, timeline, why);
	} else {
		watch_text_end(&s->page, timeline, why);
		page_notes(&s->page, &s->notes);
	}
	int status = session_end(s);
	if (status != EXIT_NOTHING && option_given(s->options, OPTION_EXIT_CODE))
		return is_race(timeline) ? EXIT_FOUND : EXIT_SHOWN;
	return status;
}

static void cleanup_watch(struct watch **watch)
{
	watch_free(*watch);
}

static void cleanup_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

int watch_run(const struct options *options)
{
	AUTO_SESSION struct session s = {0};
	struct limits limits;
	if (!parse_limits(options, &limits))
		return EXIT_USAGE;
	int status = session_open(&s, options);
	if (status != EXIT_SHOWN)
		return status;

	__attribute__((cleanup(cleanup_watch))) struct watch *watch = NULL;
	__attribute__((cleanup(cleanup_file))) FILE *svg = NULL;
	__attribute__((cleanup(timeline_done))) struct timeline timeline = {0};
	__attribute__((cleanup(found_maps_done))) struct found_maps maps = {0};
	struct watch_title title = {.threads = s.target->thread_count};
	struct json json = JSON_INIT(stdout);
	enum watch_end why = WATCH_END_USER;
	uint64_t addr;
	const char *svg_path = options->value[OPTION_SVG];
	if (find_map(&s, options->operands[1], &maps, &addr, &title) != OK ||
	    watch_open(s.rt, addr, &watch, &s.error) != OK)
		return session_fail(&s);
	if (svg_path && !(svg = fopen(svg_path, "we"))) {
		(void)error_sys(&s.error, "%.160s", svg_path);
		return session_fail(&s);
	}
	title.map = watch_map(watch);
	catch_signals();
	if (watch_start(watch, &s.error) != OK)
		return session_fail(&s);
	if (s.json)
		watch_json_begin(&json, s.rt, &s.source, &title);
	else
		watch_text_begin(&s.page, &title);
	if (follow(&s, watch, &timeline, &limits, &json, &why) != OK)
		return session_fail(&s);
	if (svg) {
		watch_svg(svg, &timeline, &title);
		if (fflush(svg) != 0 || ferror(svg))
			notes_add(&s.notes, "cli", 0, "%.160s could not be written", svg_path);
	}
	return report_end(&s, &timeline, &json, why);
}
