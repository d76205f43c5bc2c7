/* Bytes as the types of a module: the first is the version, the rest is [types, etypes), and all of
 * it is also what values are read from. */
#include <stdlib.h>

#include "go/pointers.h"
#include "go/structs.h"
#include "go/value.h"
#include "unit/go/forge.h"

enum { ADDR = 0x500000, DESCRIPTORS = 200, FIELDS = 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(struct runtime *rt, uint64_t addr, struct text *text)
{
	struct type type;
	struct map_type map;
	struct field field;
	uint64_t found;
	const char *name = type_name(rt, addr);
	if (name && type_name(rt, addr) != name)
		abort();
	if (name)
		(void)type_by_name(rt, name, &found);
	(void)type_package(rt, addr);
	struct pointer_mask mask;
	struct struct_layout layout;
	(void)pointer_mask_read(rt, addr, &mask, NULL);
	(void)pointer_mask_of_fields(rt, addr, &mask, NULL);
	if (struct_layout_of_type(rt, addr, &layout, NULL) == OK) {
		for (size_t i = 0; i < layout.count; i++)
			(void)struct_padding(&layout, i);
		struct_layout_done(&layout);
	}
	(void)type_read_map(rt, addr, &map, NULL);
	(void)type_of_itab(rt, addr, &found);
	if (type_read(rt, addr, &type, NULL) != OK)
		return;
	for (uint64_t i = 0; type.kind == KIND_STRUCT && i < type.len && i < FIELDS; i++)
		(void)type_field(rt, &type, i, &field, NULL);
	text_clear(text);
	(void)value_render(rt, addr, ADDR + addr % 64, text);
	(void)value_render_bytes(rt, addr, "0123456789abcdef0123456789abcdef", 32, text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct forge forge;
	AUTO_TEXT struct text text = TEXT_INIT;
	if (size < 2)
		return 0;
	int minor = 18 + data[0] % 10;
	forge_init(&forge);
	if (forge_bytes(&forge, ADDR, data + 1, size - 1) &&
	    forge_version(&forge, minor, ADDR, ADDR + size - 1)) {
		uint64_t addr = 0;
		for (int i = 0; i < DESCRIPTORS && type_next(&forge.rt, addr, KIND_INVALID, &addr);
		     i++)
			ask(&forge.rt, addr, &text);
		for (uint64_t at = 0; at < size && at < DESCRIPTORS * 8; at += 8)
			ask(&forge.rt, ADDR + at, &text);
	}
	forge_done(&forge);
	return 0;
}
