#include "base/notes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void notes_done(struct notes *notes)
{
	free(notes->list);
	*notes = (struct notes)NOTES_INIT;
}

static void append(struct notes *notes, const struct note *note)
{
	for (size_t i = 0; i < notes->count; i++) {
		const struct note *n = &notes->list[i];
		if (n->addr == note->addr && strcmp(n->text, note->text) == 0)
			return;
	}
	if (notes->count == NOTES_MAX) {
		notes->dropped++;
		return;
	}
	struct note *list = realloc(notes->list, (notes->count + 1) * sizeof(*list));
	if (!list) {
		notes->dropped++;
		return;
	}
	list[notes->count++] = *note;
	notes->list = list;
}

void notes_add(struct notes *notes, const char *floor, uint64_t addr, const char *fmt, ...)
{
	if (!notes)
		return;
	struct note note = {.addr = addr, .floor = floor};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(note.text, sizeof(note.text), fmt, ap);
	va_end(ap);
	append(notes, &note);
}

void notes_add_error(struct notes *notes, const char *floor, const char *what,
		     const struct error *err)
{
	notes_add(notes, floor, err->addr, "%s: %s", what, err->text);
}
