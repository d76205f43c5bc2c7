#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/watch.h"

static char *picture(struct timeline *t, const char *owner)
{
	struct watch_map map = {.addr = 0xc000010000, .flag = 0xc000010008, .writing = 4};
	struct watch_title title = {.map = &map, .type = "map[string]int", .owner = owner};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	assert_non_null(f);
	watch_svg(f, t, &title);
	fclose(f);
	return text;
}

static void write_from(struct timeline *t, uint64_t start, uint64_t who, enum flag_site_kind change,
		       const char *function)
{
	struct timeline_step step;
	struct watch_event event = {
		.time = start,
		.who = who,
		.goroutine = who,
		.change = change,
		.in_map_function = true,
		.operation = OPERATION_DELETE,
		.site = {function, "/src/app/cache.go", 31, 0x401000},
	};
	assert_int_equal(timeline_add(t, &event, &step, NULL), OK);
}

static void an_overlap_is_marked_and_shown_from_near(void **state)
{
	(void)state;
	struct timeline t = {0};
	write_from(&t, 1000, 7, FLAG_SET, "main.put");
	write_from(&t, 1500, 8, FLAG_SET, "main.drop");
	write_from(&t, 2000, 7, FLAG_CLEAR, "main.put");
	write_from(&t, 2600, 8, FLAG_CLEAR, "main.drop");
	timeline_finish(&t, 1000000);
	char *svg = picture(&t, "main.cache");
	assert_non_null(strstr(svg, "main.cache, map[string]int at 0xc000010000"));
	assert_non_null(strstr(svg, "goroutine 8"));
	assert_non_null(strstr(svg, "main.drop cache.go:31"));
	assert_non_null(strstr(svg, "2 writes by 2 goroutines, 1 overlaps"));
	assert_non_null(strstr(svg, "class=\"overlap\"/>\n<text x=\"12\""));
	assert_non_null(strstr(svg, "the longest overlap"));
	assert_non_null(strstr(svg, "delete 1.1 us"));
	free(svg);
	timeline_done(&t);
}

static void names_cannot_leave_their_text(void **state)
{
	(void)state;
	struct timeline t = {0};
	write_from(&t, 1000, 7, FLAG_SET, "main.a</text><script>&\"'\x1b[31m\xff");
	write_from(&t, 2000, 7, FLAG_CLEAR, "x");
	timeline_finish(&t, 3000);
	char *svg = picture(&t, "main.<b>");
	assert_null(strstr(svg, "<script"));
	assert_null(strstr(svg, "<b>"));
	assert_null(strchr(svg, '\x1b'));
	assert_null(strchr(svg, '\xff'));
	assert_non_null(strstr(svg, "main.&#60;b&#62;"));
	free(svg);
	timeline_done(&t);
}

static void an_empty_watch_has_a_picture(void **state)
{
	(void)state;
	struct timeline t = {0};
	timeline_finish(&t, 0);
	char *svg = picture(&t, NULL);
	assert_non_null(strstr(svg, "0 writes by 0 goroutines"));
	assert_non_null(strstr(svg, "</svg>\n"));
	free(svg);
	timeline_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overlap_is_marked_and_shown_from_near),
		cmocka_unit_test(names_cannot_leave_their_text),
		cmocka_unit_test(an_empty_watch_has_a_picture),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
