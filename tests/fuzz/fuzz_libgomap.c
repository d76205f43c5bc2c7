/*
 * A map of libgomap in a memory of any bytes: read, checked, looked up, shown.
 *
 * byte 0: bit 0 the core is truncated; 8 bytes: the map's address; then pieces of memory until the end:
 * 8 bytes address, 2 bytes length, so many bytes. The seeds are maps of the library as they lay in
 * memory, and cut and forged ones: build/debug/tests/unit_maps_test_libgomap FOLDER writes them.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "maps/libgomap.h"
#include "report/map.h"

enum { PIECES_MAX = 64 }; /* of a seed, with room to grow */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(FILE *out, struct libgomap *m, const char *key)
{
	struct page page = {.out = out};
	struct explain_source source = {.kind = "core", .path = "core"};
	struct map_view view = {.key = key, .entries = true, .limit = 0};
	struct check_report report = {0};
	struct lookup lookup = {0};
	if (map_check(&m->rt, &m->map, &report, NULL) == OK)
		view.check = &report;
	if (map_lookup(&m->rt, &m->map, key, &lookup, NULL) == OK)
		view.lookup = &lookup;
	(void)map_text(&page, &m->rt, &m->map, &view);
	view.bytes = true;
	(void)map_text(&page, &m->rt, &m->map, &view);
	(void)map_json(out, &m->rt, &source, &m->map, &view);
	map_bytes(&m->rt, &m->map);
	check_report_done(&report);
	lookup_done(&lookup);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = {"5", "-1", "alice"};
	static FILE *out;
	struct bytes in = bytes_of(data, size);
	struct notes notes = NOTES_INIT;
	struct target target = {.kind = TARGET_CORE, .arch = ARCH_AMD64, .memory = memory_new()};
	struct libgomap m;
	uint8_t flags;
	uint64_t addr, at;
	uint16_t n;
	if (!out && !(out = fopen("/dev/null", "w")))
		abort();
	if (bytes_u8(&in, &flags) && bytes_u64(&in, &addr)) {
		target.truncated = flags & 1;
		for (unsigned i = 0; i < PIECES_MAX; i++) {
			if (!bytes_u64(&in, &at) || !bytes_u16(&in, &n))
				break;
			if (n > bytes_left(&in))
				n = (uint16_t)bytes_left(&in);
			struct memory_range range = {at, at + n, ORIGIN_CORE, true, false};
			if (n && at <= UINT64_MAX - n)
				(void)!memory_add_bytes(target.memory, &range, in.pos, NULL);
			bytes_skip(&in, n);
		}
		if (libgomap_open(&target, &notes, addr, &m, NULL) == OK)
			for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
				show(out, &m, keys[i]);
	}
	notes_done(&notes);
	memory_free(target.memory);
	return 0;
}
