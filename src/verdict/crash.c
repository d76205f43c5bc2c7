#include "verdict/crash.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/callsite.h"
#include "go/type.h"
#include "go/value.h"

/* Bytes of a message that are read: Go's own are short, a panic's value may be anything. */
enum { MESSAGE_MAX = 2048 };

static const struct message_kind {
	const char *text;
	enum crash_kind kind;
} map_messages[] = {
	{"concurrent map writes", CRASH_MAP_WRITES},
	{"concurrent map read and map write", CRASH_MAP_READ_WRITE},
	{"concurrent map iteration and map write", CRASH_MAP_ITERATE_WRITE},
	{"concurrent map clone and map write", CRASH_MAP_CLONE_WRITE},
	{"small map with no empty slot (concurrent map writes?)", CRASH_MAP_SMALL_FULL},
};

enum crash_kind crash_kind_of_message(const char *message)
{
	for (size_t i = 0; i < sizeof(map_messages) / sizeof(map_messages[0]); i++)
		if (strcmp(message, map_messages[i].text) == 0)
			return map_messages[i].kind;
	return CRASH_FATAL;
}

/* Fatal errors that people meet, and what they mean. A text that ends in '*' is a prefix. */
static const struct fatal_meaning {
	const char *text, *what;
} fatal_meanings[] = {
	{"all goroutines are asleep - deadlock!", "deadlock: every goroutine waits for another"},
	{"no goroutines (main called runtime.Goexit) - deadlock!",
	 "deadlock: main has left and nobody else is there"},
	{"runtime: out of memory*", "out of memory: the system gave no more"},
	{"out of memory*", "out of memory: the system gave no more"},
	{"runtime: cannot allocate memory", "out of memory: the system gave no more"},
	{"sync: unlock of unlocked mutex", "unlock of an unlocked mutex"},
	{"sync: Unlock of unlocked RWMutex", "unlock of an unlocked mutex"},
	{"sync: RUnlock of unlocked RWMutex", "unlock of an unlocked mutex"},
	{"stack overflow", "stack overflow: recursion without an end"},
	{"bad map state", "bad map state: the map's memory contradicts itself"},
	{"unexpected signal during runtime execution", "a fault inside Go's runtime or in C code"},
	{"fault", "a fault at an address that is not mapped"},
};

static bool text_matches(const char *pattern, const char *text)
{
	size_t n = strlen(pattern);
	if (pattern[n - 1] == '*')
		return strncmp(pattern, text, n - 1) == 0;
	return strcmp(pattern, text) == 0;
}

const char *crash_fatal_meaning(const char *message)
{
	for (size_t i = 0; i < sizeof(fatal_meanings) / sizeof(fatal_meanings[0]); i++)
		if (text_matches(fatal_meanings[i].text, message))
			return fatal_meanings[i].what;
	return NULL;
}

/* Size of runtime.printBacklog and of runtime.printBacklogIndex's ring: runtime/print.go. */
enum { BACKLOG_SIZE = 512 };
static const char fatal_prefix[] = "fatal error: ";

/* The last "fatal error: " line of a backlog whose oldest byte is at start. */
static char *backlog_line(const uint8_t ring[BACKLOG_SIZE], size_t start)
{
	char text[BACKLOG_SIZE + 1];
	for (size_t i = 0; i < BACKLOG_SIZE; i++)
		text[i] = (char)ring[(start + i) % BACKLOG_SIZE];
	text[BACKLOG_SIZE] = '\0';
	char *found = NULL;
	for (size_t i = 0; i + sizeof(fatal_prefix) <= BACKLOG_SIZE; i++)
		if (memcmp(text + i, fatal_prefix, sizeof(fatal_prefix) - 1) == 0)
			found = text + i + sizeof(fatal_prefix) - 1;
	if (!found)
		return NULL;
	char *end = strchr(found, '\n');
	if (!end) /* cut: the line was still being printed */
		return NULL;
	*end = '\0';
	return strdup(found);
}

/* Without symbols the ring is found by its content: the prefix in the program's data without
 * pointers. The line may go on at the ring's start only when the ring has wrapped, which the few
 * lines that a program prints by println do not bring about. */
static char *search_backlog(struct runtime *rt)
{
	uint64_t start = rt->module.noptrbss, end = rt->module.enoptrbss;
	/* runtime's own data without pointers is some hundred KB; C code may add more. */
	enum { NOPTRBSS_MAX = 16 << 20 };
	if (end <= start || end - start > NOPTRBSS_MAX)
		return NULL;
	AUTO_FREE uint8_t *data = malloc((size_t)(end - start));
	if (!data ||
	    memory_read(rt->target->memory, start, data, (size_t)(end - start), NULL) != OK)
		return NULL;
	const uint8_t *hit = data, *found = NULL;
	while ((hit = memmem(hit, (size_t)(data + (end - start) - hit), fatal_prefix,
			     sizeof(fatal_prefix) - 1)))
		found = ++hit;
	if (!found)
		return NULL;
	const char *line = (const char *)found + sizeof(fatal_prefix) - 2;
	size_t left = (size_t)((const char *)data + (end - start) - line);
	const char *newline = memchr(line, '\n', left < BACKLOG_SIZE ? left : BACKLOG_SIZE);
	return newline ? strndup(line, (size_t)(newline - line)) : NULL;
}

char *crash_backlog_message(struct runtime *rt)
{
	struct symbol ring, index;
	uint8_t bytes[BACKLOG_SIZE];
	uint64_t next;
	if (!target_symbol(rt->target, "runtime.printBacklog", &ring) ||
	    !target_symbol(rt->target, "runtime.printBacklogIndex", &index))
		return search_backlog(rt);
	if (memory_read(rt->target->memory, ring.addr, bytes, sizeof(bytes), NULL) != OK ||
	    memory_read_u64(rt->target->memory, index.addr, &next, NULL) != OK)
		return NULL;
	return backlog_line(bytes, next % BACKLOG_SIZE);
}

/* The string that frame i's function was given as its argument number word. */
static char *string_argument(struct runtime *rt, const struct frames *frames, size_t i,
			     unsigned word)
{
	const struct frame *frame = &frames->list[i];
	struct argument p, n;
	char text[MESSAGE_MAX];
	if (word == 0 && frame->regs && frame->is_exact && frame->pc == frame->function.entry &&
	    rt->target->arch == ARCH_AMD64) {
		/* not yet entered: arguments are in registers, cmd/compile/abi-internal.md */
		p.value = frame->regs->r[AMD64_RAX];
		n.value = frame->regs->r[AMD64_RBX];
	} else if (!frame_argument(rt, frames->list, frames->count, i, word, false, &p) ||
		   !frame_argument(rt, frames->list, frames->count, i, word + 1, false, &n)) {
		return NULL;
	}
	if (n.value == 0 || n.value >= sizeof(text) ||
	    memory_read(rt->target->memory, p.value, text, (size_t)n.value, NULL) != OK)
		return NULL;
	return strndup(text, (size_t)n.value);
}

/* The value that runtime.gopanic (frame i) was given, as Go prints it. */
static char *panic_argument(struct runtime *rt, const struct frames *frames, size_t i)
{
	struct argument type, data;
	if (!frame_argument(rt, frames->list, frames->count, i, 0, true, &type) ||
	    !frame_argument(rt, frames->list, frames->count, i, 1, true, &data) ||
	    !type_is_plausible(rt, type.value))
		return NULL;
	struct type t;
	if (type_read(rt, type.value, &t, NULL) != OK)
		return NULL;
	/* Strings, and the runtime's own errors, which are strings: their text is the message. */
	uint64_t header[2];
	if (t.kind == KIND_STRING &&
	    memory_read(rt->target->memory, data.value, header, sizeof(header), NULL) == OK &&
	    header[1] && header[1] < MESSAGE_MAX) {
		char text[MESSAGE_MAX];
		if (memory_read(rt->target->memory, header[0], text, (size_t)header[1], NULL) == OK)
			return strndup(text, (size_t)header[1]);
	}
	AUTO_TEXT struct text text = TEXT_INIT;
	const char *name = type_name(rt, type.value);
	if (name)
		text_append(&text, name);
	text_append_char(&text, '(');
	bool ok = t.direct_iface ? value_render_bytes(rt, type.value, &data.value,
						      sizeof(data.value), &text)
				 : value_render(rt, type.value, data.value, &text);
	text_append_char(&text, ')');
	return ok ? text_take(&text) : NULL;
}

static bool is_fatal_function(const char *name)
{
	return strcmp(name, "runtime.fatal") == 0 || strcmp(name, "runtime.throw") == 0 ||
	       strcmp(name, "internal/runtime/maps.fatal") == 0 ||
	       strcmp(name, "sync.fatal") == 0 || strcmp(name, "sync.throw") == 0 ||
	       strcmp(name, "internal/sync.fatal") == 0 ||
	       strcmp(name, "internal/sync.throw") == 0 ||
	       strcmp(name, "internal/runtime/maps.throw") == 0;
}

/* The first run of fatal's frames from the innermost one out. */
static void find_fatal(struct crash *crash)
{
	for (size_t i = 0; i < crash->frames.count; i++) {
		const struct frame *frame = &crash->frames.list[i];
		if (!frame->has_function)
			break;
		if (is_fatal_function(frame->function.name)) {
			crash->fatal_frame = i;
			crash->has_fatal = true;
		} else if (crash->has_fatal || !function_is_runtime(frame->function.name)) {
			break;
		}
	}
}

static bool find_frame(const struct frames *frames, const char *name, size_t *ret)
{
	for (size_t i = 0; i < frames->count; i++) {
		if (!frames->list[i].has_function ||
		    strcmp(frames->list[i].function.name, name) != 0)
			continue;
		*ret = i;
		return true;
	}
	return false;
}

const char *crash_panic_meaning(const char *message, bool from_signal)
{
	if (strstr(message, "assignment to entry in nil map"))
		return "nil map write: a map that was never made";
	if (from_signal)
		return strstr(message, "nil pointer dereference") ? "nil dereference"
								  : "a fault that became a panic";
	/* Of a core the value's type stands before it, in a log what its Error says. */
	return strncmp(message, "runtime.", 8) == 0 || strncmp(message, "runtime error: ", 15) == 0
		       ? "run-time error"
		       : "explicit panic";
}

static enum status name_panic(struct runtime *rt, size_t gopanic, struct crash *crash,
			      struct error *err)
{
	crash->kind = CRASH_PANIC;
	crash->message = panic_argument(rt, &crash->frames, gopanic);
	size_t sigpanic;
	crash->what = strdup(
		crash_panic_meaning(crash->message ? crash->message : "",
				    find_frame(&crash->frames, "runtime.sigpanic", &sigpanic)));
	return crash->what ? OK : error_nomem(err);
}

static enum status name_signal(struct runtime *rt, struct crash *crash, struct error *err)
{
	const struct signal_info *s = &rt->target->signal;
	if (rt->target->kind != TARGET_CORE || !s->signo) {
		crash->kind = CRASH_NONE;
		return OK;
	}
	char what[200];
	const char *name = sigabbrev_np(s->signo);
	crash->kind = CRASH_SIGNAL;
	if (s->signo == SIGSEGV || s->signo == SIGBUS)
		snprintf(what, sizeof(what), "SIG%s at address 0x%llx", name ? name : "?",
			 (unsigned long long)s->addr);
	else
		snprintf(what, sizeof(what), "signal SIG%s, without a message of Go's",
			 name ? name : "?");
	crash->what = strdup(what);
	return crash->what ? OK : error_nomem(err);
}

enum status crash_read(struct runtime *rt, const struct goroutine *frozen, struct crash *ret,
		       struct error *err)
{
	struct crash crash = {0};
	struct stack_walk walk = STACK_WALK_INIT;
	struct error why;
	if (frozen)
		crash.goroutine = *frozen;
	crash.has_goroutine = frozen || goroutine_crashed(rt, &crash.goroutine, &why) == OK;
	if (crash.has_goroutine) {
		if (frames_collect(&walk, rt, &crash.goroutine, FRAMES_REPORT_MAX, &crash.frames,
				   &why) != OK)
			notes_add_error(rt->notes, "verdict", "the crashed goroutine's stack",
					&why);
		find_fatal(&crash);
	}
	stack_walk_done(&walk);

	size_t gopanic;
	enum status status = OK;
	if (!crash.has_fatal && find_frame(&crash.frames, "runtime.gopanic", &gopanic)) {
		status = name_panic(rt, gopanic, &crash, err);
	} else {
		if (crash.has_fatal)
			crash.message = string_argument(rt, &crash.frames, crash.fatal_frame, 0);
		if (!crash.message)
			crash.message = crash_backlog_message(rt);
		if (crash.message) {
			crash.kind = crash_kind_of_message(crash.message);
			const char *what = crash_fatal_meaning(crash.message);
			if (crash.kind == CRASH_FATAL)
				crash.what = strdup(what ? what : "a fatal error of Go's runtime");
		} else if (crash.has_fatal) {
			crash.kind = CRASH_FATAL;
			crash.what = strdup("a fatal error whose message is not in the core");
		} else {
			status = name_signal(rt, &crash, err);
		}
	}
	if (status != OK) {
		crash_done(&crash);
		return FAILED;
	}
	*ret = crash;
	return OK;
}

void crash_done(struct crash *crash)
{
	free(crash->message);
	free(crash->what);
	frames_done(&crash->frames);
	*crash = (struct crash){0};
}
