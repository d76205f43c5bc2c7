#include "verdict/access.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "go/type.h"
#include "go/value.h"

/* Bytes of a key that are shown in hex. */
enum { KEY_HEX_MAX = 64 };

enum status stack_report(struct runtime *rt, const struct frames *frames, struct stack *ret,
			 struct error *err)
{
	struct stack stack = {.cut = frames->cut};
	size_t cap = 0;
	for (size_t i = 0; i < frames->count; i++) {
		const struct frame *frame = &frames->list[i];
		const struct source_frame *source;
		size_t n = frame->has_function ? frame_source(rt, frame, &source) : 0;
		struct stack_entry entry = {
			.site = {.pc = frame->pc}, .sp = frame->sp, .entry = frame->function.entry};
		if (!n) {
			if (!ARRAY_PUSH(stack.list, stack.count, cap, entry))
				goto nomem;
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			entry.site = (struct site){source[k].function, source[k].file,
						   source[k].line, frame->pc};
			entry.inlined = source[k].inlined;
			entry.args = NULL;
			/* a frame that the recorder kept has no memory of its own any more */
			if (!entry.inlined && frame->cfa) {
				struct text args = TEXT_INIT;
				frame_args(rt, frame, &args);
				entry.args = text_take(&args);
				text_done(&args);
			}
			if (!ARRAY_PUSH(stack.list, stack.count, cap, entry)) {
				free(entry.args);
				goto nomem;
			}
		}
	}
	*ret = stack;
	return OK;
nomem:
	stack_done(&stack);
	return error_nomem(err);
}

void stack_done(struct stack *stack)
{
	for (size_t i = 0; i < stack->count; i++)
		free(stack->list[i].args);
	free(stack->list);
	*stack = (struct stack){0};
}

enum status sites_report(struct runtime *rt, const struct map_sites *sites, struct verdict *v,
			 struct error *err)
{
	size_t cap = 0;
	v->sites_searched = true;
	for (size_t i = 0; i < sites->count; i++) {
		struct write_site site = {site_of_pc(rt, sites->list[i].call),
					  sites->list[i].operation, sites->list[i].type != 0};
		if (!ARRAY_PUSH(v->sites, v->site_count, cap, site))
			return error_nomem(err);
	}
	return OK;
}

enum status access_fill(struct runtime *rt, const struct library *library,
			const struct goroutine *goroutine, const struct frames *frames,
			struct access *a, struct error *err)
{
	a->goroutine = goroutine->id;
	a->g = goroutine->g;
	a->state = goroutine_state(rt, goroutine);
	a->site = frames_site(rt, library, frames);
	a->created_by = goroutine_creator(rt, goroutine);
	a->created_by_goroutine = goroutine->parent;
	if (goroutine->thread >= 0)
		a->thread = rt->target->threads[goroutine->thread].tid;
	a->has_registers = frames->count && frames->list[0].regs;
	if (a->has_registers)
		a->registers = *frames->list[0].regs;
	return stack_report(rt, frames, &a->stack, err);
}

static void append_hex(struct text *text, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n && i < KEY_HEX_MAX; i++)
		text_printf(text, "%02x", p[i]);
	if (n > KEY_HEX_MAX)
		text_append(text, "...");
}

enum status access_key(struct runtime *rt, const struct map_call *call, struct key *ret,
		       struct error *err)
{
	struct map_type type;
	if (call->key_form == KEY_NONE || !call->has_type ||
	    type_read_map(rt, call->type.value, &type, NULL) != OK)
		return OK;
	AUTO_TEXT struct text text = TEXT_INIT;
	AUTO_TEXT struct text hex = TEXT_INIT;
	uint8_t bytes[KEY_HEX_MAX + 1];
	uint64_t words[2] = {call->key.value, call->key_len};
	bool ok = false;
	size_t size = type.key_size;
	switch (call->key_form) {
	case KEY_POINTER:
		ok = value_render(rt, type.type.key, call->key.value, &text);
		if (size > sizeof(bytes))
			size = sizeof(bytes);
		if (memory_read(rt->target->memory, call->key.value, bytes, size, NULL) == OK)
			append_hex(&hex, bytes, size);
		break;
	case KEY_WORD:
	case KEY_STRING:
		if (size > sizeof(words))
			return OK;
		ok = value_render_bytes(rt, type.type.key, words, size, &text);
		append_hex(&hex, (const uint8_t *)words, size);
		break;
	case KEY_NONE:
		break;
	}
	if (!ok)
		return OK;
	const char *name = type_name(rt, type.type.key);
	ret->type = name ? strdup(name) : NULL;
	ret->text = text_take(&text);
	ret->hex = text_take(&hex);
	return ret->text && ret->hex ? OK : error_nomem(err);
}

enum status access_evidence(struct access *a, struct error *err, const char *fmt, ...)
{
	char *sentence;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&sentence, fmt, ap);
	va_end(ap);
	if (n < 0)
		return error_nomem(err);
	char **list = reallocarray(a->evidence, a->evidence_count + 1, sizeof(*list));
	if (!list) {
		free(sentence);
		return error_nomem(err);
	}
	list[a->evidence_count++] = sentence;
	a->evidence = list;
	return OK;
}

void access_done(struct access *a)
{
	for (size_t i = 0; i < a->evidence_count; i++)
		free(a->evidence[i]);
	free(a->evidence);
	for (size_t i = 0; i < a->lock_count; i++) {
		free(a->locks[i].name);
		free(a->locks[i].state);
	}
	free(a->locks);
	free(a->key.type);
	free(a->key.text);
	free(a->key.hex);
	stack_done(&a->stack);
	*a = (struct access){0};
}
