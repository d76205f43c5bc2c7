#include "go/waitreason.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cleanup.h"
#include "go/goroutine.h"

enum {
	REASON_TEXT = 64, /* the longest is "sync.WaitGroup.Wait (durable)" */
	REASONS_MAX = 256, /* waitReason is a uint8 */
	CHUNK = 64 * 1024,
};

struct wait_reasons {
	size_t count;
	char list[REASONS_MAX][REASON_TEXT];
};

void wait_reasons_free(struct wait_reasons *reasons)
{
	free(reasons);
}

/* Reads the string whose header is (addr, len); false when it is no name of a reason. */
static bool read_text(struct runtime *rt, uint64_t addr, uint64_t len, char ret[REASON_TEXT])
{
	if (!len || len >= REASON_TEXT ||
	    memory_read(rt->target->memory, addr, ret, len, NULL) != OK)
		return false;
	for (uint64_t i = 0; i < len; i++) {
		if (ret[i] < ' ' || ret[i] > '~')
			return false;
	}
	ret[len] = 0;
	return true;
}

/* Whether the 48 bytes at p begin waitReasonStrings: "", "GC assist marking", "IO wait" are its
 * first three in Go 1.18 to 1.27 (runtime/runtime2.go). */
static bool is_table(struct runtime *rt, const uint8_t *p)
{
	char text[REASON_TEXT];
	return load_u64(p) == 0 && load_u64(p + 8) == 0 && load_u64(p + 24) == 17 &&
	       load_u64(p + 40) == 7 && read_text(rt, load_u64(p + 16), 17, text) &&
	       strcmp(text, "GC assist marking") == 0 && read_text(rt, load_u64(p + 32), 7, text) &&
	       strcmp(text, "IO wait") == 0;
}

/* The table's address, by its symbol or by search of the program's data; 0 when neither finds it. */
static uint64_t find_table(struct runtime *rt)
{
	struct symbol symbol;
	if (target_symbol(rt->target, "runtime.waitReasonStrings", &symbol))
		return symbol.addr;
	AUTO_FREE uint8_t *buf = malloc(CHUNK);
	uint64_t at = rt->module.data, end = rt->module.edata;
	while (buf && at < end && end - at >= 48) {
		size_t n = end - at < CHUNK ? end - at : CHUNK;
		if (memory_read(rt->target->memory, at, buf, n, NULL) != OK)
			break;
		for (size_t i = 0; i + 48 <= n; i += 8) {
			if (is_table(rt, buf + i))
				return at + i;
		}
		at += n - 48 + 8; /* the first three may lie across two chunks */
	}
	return 0;
}

static struct wait_reasons *wait_reasons_read(struct runtime *rt)
{
	if (rt->wait_reasons)
		return rt->wait_reasons;
	struct wait_reasons *reasons = calloc(1, sizeof(*reasons));
	uint64_t at = reasons ? find_table(rt) : 0;
	if (!reasons)
		return NULL;
	if (at)
		reasons->count = 1; /* number 0 has no name */
	while (reasons->count && reasons->count < REASONS_MAX) {
		uint64_t header[2];
		if (memory_read(rt->target->memory, at + reasons->count * 16, header,
				sizeof(header), NULL) != OK ||
		    !read_text(rt, header[0], header[1], reasons->list[reasons->count]))
			break;
		reasons->count++;
	}
	return rt->wait_reasons = reasons;
}

const char *wait_reason_name(struct runtime *rt, uint8_t number)
{
	const struct wait_reasons *reasons = wait_reasons_read(rt);
	return reasons && number && number < reasons->count ? reasons->list[number] : NULL;
}

const char *goroutine_state(struct runtime *rt, const struct goroutine *goroutine)
{
	/* runtime/traceback.go: gStatusStrings. */
	static const char *const names[] = {
		[GOROUTINE_IDLE] = "idle",
		[GOROUTINE_RUNNABLE] = "runnable",
		[GOROUTINE_RUNNING] = "running",
		[GOROUTINE_SYSCALL] = "syscall",
		[GOROUTINE_WAITING] = "waiting",
		[GOROUTINE_DEAD] = "dead",
		[GOROUTINE_COPYSTACK] = "copystack",
		[GOROUTINE_PREEMPTED] = "preempted",
		[GOROUTINE_LEAKED] = "leaked",
		[GOROUTINE_DEAD_EXTRA] = "waiting for cgo callback",
	};
	const char *reason = NULL;
	if (goroutine->status == GOROUTINE_WAITING || goroutine->status == GOROUTINE_LEAKED)
		reason = wait_reason_name(rt, goroutine->wait_reason);
	if (reason)
		return reason;
	if (goroutine->status < sizeof(names) / sizeof(names[0]) && names[goroutine->status])
		return names[goroutine->status];
	return "???";
}
