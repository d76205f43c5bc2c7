/*
 * Values of the target as text.
 *
 * bool, integers: true, -5. floats: shortest text that reads back, as strconv.FormatFloat(v, 'g',
 * -1, bits): 1e+06, NaN, +Inf, -0. complex: (1+2i). strings: as strconv.Quote. pointers, chans,
 * funcs, maps, unsafe pointers: 0xc000012345, nil. slices and arrays: [1 2 3], the first
 * VALUE_ELEMENTS_MAX of them, then " ...+N". structs: {A:1 B:"x"}. interfaces: int(5),
 * main.T({A:1}), nil. Below VALUE_DEPTH_MAX: "...". What cannot be read is <unreadable 0x...> (of
 * bytes that we hold, <unreadable>), and a note. tests/programs/contents/render.go prints the same
 * text from inside Go.
 */
#ifndef GO_VALUE_H
#define GO_VALUE_H

#include <stdint.h>

#include "base/text.h"
#include "go/runtime.h"

enum { VALUE_ELEMENTS_MAX = 16, VALUE_DEPTH_MAX = 8, VALUE_STRING_MAX = 4096 };

/* Appends the value of the given type at addr. A string longer than VALUE_STRING_MAX bytes is cut:
 * the quoted start, then " ...+N". Returns false where a part could not be read (noted). */
bool value_render(struct runtime *rt, uint64_t type, uint64_t addr, struct text *text);

/* As value_render, for a value that we hold: size bytes at p (a register's argument). */
bool value_render_bytes(struct runtime *rt, uint64_t type, const void *p, size_t size,
			struct text *text);

#endif
