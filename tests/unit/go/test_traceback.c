/* What Go prints, line by line, into goroutines and messages. */
#include "go/traceback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct seen {
	struct trace_goroutine goroutines[4];
	struct trace_frame frames[4][8];
	char args[4][64]; /* of the first frame */
	size_t count;
	char messages[4][80];
	struct trace_message last;
	size_t message_count;
};

static void on_message(void *context, const struct trace_message *m)
{
	struct seen *seen = context;
	assert_true(seen->message_count < 4);
	snprintf(seen->messages[seen->message_count++], 80, "%d %.*s", (int)m->kind, (int)m->len,
		 m->text);
	seen->last = *m;
}

static void on_goroutine(void *context, const struct trace_goroutine *g)
{
	struct seen *seen = context;
	assert_true(seen->count < 4 && g->count <= 8);
	if (g->count) {
		memcpy(seen->frames[seen->count], g->frames, g->count * sizeof(*g->frames));
		snprintf(seen->args[seen->count], 64, "%.*s", (int)g->frames[0].args_len,
			 g->frames[0].args);
	}
	seen->goroutines[seen->count] = *g;
	seen->goroutines[seen->count].frames = seen->frames[seen->count];
	seen->count++;
}

static struct trace_names *names;

static struct seen read_text(const char *text)
{
	struct seen seen = {0};
	struct traceback_events events = {on_message, on_goroutine, &seen};
	struct traceback *tb;
	uint64_t line = 1;
	assert_int_equal(traceback_new(names, &events, &tb, NULL), OK);
	for (const char *end; *text; text = end + 1) {
		end = strchr(text, '\n');
		assert_non_null(end);
		(void)traceback_line(tb, line++, text, (size_t)(end - text));
	}
	traceback_end(tb);
	traceback_free(tb);
	return seen;
}

static int make_names(void **state)
{
	(void)state;
	return trace_names_new(&names, NULL) == OK ? 0 : -1;
}

static int free_names(void **state)
{
	(void)state;
	trace_names_free(names);
	return 0;
}

static void a_header_gives_all_that_any_version_prints(void **state)
{
	(void)state;
	struct seen s = read_text("goroutine 7 gp=0xc0000061c0 m=3 mp=0x51f9a0 [chan receive "
				  "(scan), 5 minutes, locked to "
				  "thread]:\n"
				  "goroutine 8 gp=0x1 m=nil [select (no cases)] {job: \"a b\"}:\n"
				  "goroutine 9 [GC sweep wait, synctest bubble 3]:\n");
	assert_int_equal(s.count, 3);
	const struct trace_goroutine *g = &s.goroutines[0];
	assert_int_equal(g->id, 7);
	assert_int_equal(g->g, 0xc0000061c0);
	assert_int_equal(g->m, 0x51f9a0);
	assert_string_equal(g->state, "chan receive");
	assert_int_equal(g->minutes, 5);
	assert_true(g->locked);
	assert_string_equal(s.goroutines[1].state, "select (no cases)");
	assert_string_equal(s.goroutines[2].state, "GC sweep wait");
}

static void arguments_keep_their_words_and_their_doubt(void **state)
{
	(void)state;
	struct seen s = read_text(
		"goroutine 1 [running]:\n"
		"main.(*Cache[...]).Put(0xc000010000, {0x4a1b2c?, 0x5}, {0x1, {0x2?, ...}}, 0x9)\n"
		"\t/src/my app/main.go:25 +0x126 fp=0x1 sp=0x2 pc=0x3\n"
		"main.inlined(...)\n"
		"\t/src/main.go:7\n"
		"main.f(0x7, _, 0x8)\n"
		"\t/src/main.go:8 +0x1\n");
	const struct trace_frame *f = s.goroutines[0].frames;
	assert_int_equal(s.goroutines[0].count, 3);
	assert_string_equal(f[0].function, "main.(*Cache[...]).Put");
	assert_string_equal(f[0].file, "/src/my app/main.go");
	assert_int_equal(f[0].line, 25);
	assert_int_equal(f[0].offset, 0x126);
	assert_int_equal(f[0].sp, 2);
	assert_int_equal(f[0].pc, 3);
	/* What stands behind words that were left out is no word of known number. */
	assert_int_equal(f[0].word_count, 5);
	assert_int_equal(f[0].certain, 0b01101);
	assert_int_equal(f[0].words[1], 0x4a1b2c);
	assert_string_equal(s.args[0], "0xc000010000, {0x4a1b2c?, 0x5}, {0x1, {0x2?, ...}}, 0x9");
	assert_true(f[1].inlined);
	assert_int_equal(f[2].word_count, 1);
}

static void creators_ancestors_and_hidden_frames_are_told(void **state)
{
	(void)state;
	struct seen s = read_text("goroutine 18 [running]:\n"
				  "\tgoroutine running on other thread; stack unavailable\n"
				  "created by main.main in goroutine 1\n"
				  "\t/src/main.go:33 +0xe5\n"
				  "\n"
				  "goroutine 19 [sleep]:\n"
				  "main.a()\n"
				  "\t/src/main.go:1 +0x1\n"
				  "...17 frames elided...\n"
				  "main.z()\n"
				  "\t/src/main.go:26 +0x1\n"
				  "created by main.b\n"
				  "\t/src/main.go:2 +0x3\n"
				  "[originating from goroutine 1]:\n"
				  "main.b(...)\n"
				  "\t/src/main.go:2 +0x3\n");
	const struct trace_goroutine *g = s.goroutines;
	assert_int_equal(s.count, 2);
	assert_true(g[0].unavailable);
	assert_int_equal(g[0].count, 0);
	assert_string_equal(g[0].creator, "main.main");
	assert_int_equal(g[0].creator_goroutine, 1);
	assert_int_equal(g[0].creator_line, 33);
	assert_true(g[1].elided);
	assert_int_equal(g[1].count, 2);
	assert_string_equal(g[1].creator, "main.b");
	assert_int_equal(g[1].creator_goroutine, 0);
}

static void messages_are_told_apart(void **state)
{
	(void)state;
	struct seen s =
		read_text("panic: a [recovered]\n"
			  "\tpanic: b\n"
			  "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1]\n"
			  "\tfatal error: all goroutines are asleep - deadlock!\n");
	assert_int_equal(s.message_count, 4);
	assert_string_equal(s.messages[0], "1 a");
	assert_string_equal(s.messages[1], "1 b");
	assert_string_equal(s.messages[2],
			    "2 SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x1");
	assert_string_equal(s.messages[3], "0 all goroutines are asleep - deadlock!");
	s = read_text("fatal error: fatal error: concurrent map writesconcurrent map writes\n");
	assert_true(s.last.glued);
	s = read_text("fatal error: concurrent map writesfatal error: \n");
	assert_string_equal(s.messages[0], "0 concurrent map writes");
	assert_true(s.last.glued);
}

static void lines_of_others_change_nothing(void **state)
{
	(void)state;
	struct seen s = read_text("goroutine 1 [running]:\n"
				  "main.a(0x1)\n"
				  "listening on :8080\n"
				  "2024/01/02 12:34:56 done\n"
				  "worker(3)\n"
				  "db.Query(SELECT 1)\n"
				  "\t/src/main.go:1 +0x1\n"
				  "main.b()\n"
				  "#011/src/main.go:2 +0x1\n");
	assert_int_equal(s.count, 1);
	assert_int_equal(s.goroutines[0].count, 2);
	assert_string_equal(s.goroutines[0].frames[0].file, "/src/main.go");
	assert_int_equal(s.goroutines[0].frames[1].line, 2);
	assert_int_equal(s.goroutines[0].foreign, 4);
}

static void a_message_between_frames_leaves_the_goroutine_whole(void **state)
{
	(void)state;
	struct seen s = read_text("goroutine 1 [running]:\n"
				  "main.a()\n"
				  "fatal error: concurrent map writes\n"
				  "\t/src/main.go:1 +0x1\n");
	assert_int_equal(s.count, 1);
	assert_true(s.last.in_goroutine);
	assert_int_equal(s.goroutines[0].last_line, 4);
	assert_int_equal(s.goroutines[0].frames[0].line, 1);
}

static void the_version_stands_in_the_path_of_the_runtime(void **state)
{
	char text[32];
	(void)state;
	assert_int_equal(trace_version("/usr/lib/go-1.23/src/runtime/proc.go", text, sizeof(text)),
			 23);
	assert_string_equal(text, "go1.23");
	assert_int_equal(
		trace_version(
			"/root/go/pkg/mod/golang.org/toolchain@v0.0.1-go1.22.1.linux-amd64/src/"
			"runtime/panic.go",
			text, sizeof(text)),
		22);
	assert_string_equal(text, "go1.22.1");
	assert_int_equal(trace_version("/usr/local/go/src/runtime/panic.go", text, sizeof(text)),
			 0);
	assert_int_equal(trace_version("/home/go1.9/app/main.go", text, sizeof(text)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_gives_all_that_any_version_prints),
		cmocka_unit_test(arguments_keep_their_words_and_their_doubt),
		cmocka_unit_test(creators_ancestors_and_hidden_frames_are_told),
		cmocka_unit_test(messages_are_told_apart),
		cmocka_unit_test(lines_of_others_change_nothing),
		cmocka_unit_test(a_message_between_frames_leaves_the_goroutine_whole),
		cmocka_unit_test(the_version_stands_in_the_path_of_the_runtime),
	};
	return cmocka_run_group_tests(tests, make_names, free_names);
}
