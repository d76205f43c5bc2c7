/* What stack.h tells of one frame: its source, its arguments. */
#include <string.h>

#include "base/array.h"
#include "base/bytes.h"
#include "go/pcinfo.h"
#include "go/stack.h"

/* internal/abi/symtab.go: TraceArgs*. */
enum {
	TRACE_ARGS_END = 0xff,
	TRACE_ARGS_START_AGG = 0xfe,
	TRACE_ARGS_END_AGG = 0xfd,
	TRACE_ARGS_MORE = 0xfc,
	TRACE_ARGS_FAR = 0xfb,
	/* The longest that the compiler writes: (5 levels * 3 + 2) * 10 + 1. */
	TRACE_ARGS_MAX = 171,
};

size_t frame_source(struct runtime *rt, const struct frame *frame, const struct source_frame **ret)
{
	struct source_frame list[SOURCE_FRAMES_MAX];
	struct pc_info *info = frame->has_function ? pc_info_at(rt, frame->lookup_pc) : NULL;
	if (!info || !info->has_function)
		return 0;
	if (!info->has_source) {
		size_t count = pclntab_source(rt->pclntab, &info->function, info->pc, list);
		info->source = calloc(count, sizeof(*list));
		if (!info->source)
			return 0;
		memcpy(info->source, list, count * sizeof(*list));
		info->source_count = count;
		info->has_source = true;
	}
	*ret = info->source;
	return info->source_count;
}

/* The compiler's list of what a frame's argument slots hold, and which of them hold it at one pc:
 * printArgs of runtime/traceback.go. */
struct liveness {
	bool known;
	uint64_t addr; /* of the function's FUNCDATA_ArgLiveInfo */
	uint8_t start; /* slots below this offset are always live */
	int32_t index; /* of this pc's bits, from addr */
};

static struct liveness liveness_at(struct runtime *rt, const struct pc_info *info)
{
	struct liveness l = {.start = 0xff};
	if (!pclntab_funcdata(rt->pclntab, &info->function, FUNCDATA_ARG_LIVE_INFO, &l.addr) ||
	    memory_read_u8(rt->target->memory, l.addr, &l.start, NULL) != OK)
		return l;
	l.known =
		pclntab_pcdata(rt->pclntab, &info->function, PCDATA_ARG_LIVE, info->pc, &l.index) &&
		l.index > 0;
	return l;
}

static bool is_live(struct runtime *rt, const struct liveness *l, uint8_t offset, uint8_t slot)
{
	uint8_t bits;
	if (!l->known || offset < l->start)
		return true;
	return memory_read_u8(rt->target->memory, l->addr + (uint32_t)l->index + slot / 8, &bits,
			      NULL) == OK &&
	       (bits & 1 << slot % 8);
}

/* Reads FUNCDATA_ArgInfo into info->args. */
static void read_args(struct runtime *rt, struct pc_info *info)
{
	uint64_t addr;
	size_t cap = 0, count = 0;
	uint8_t slot = 0;
	info->has_args = true;
	if (!pclntab_funcdata(rt->pclntab, &info->function, FUNCDATA_ARG_INFO, &addr))
		return;
	struct liveness liveness = liveness_at(rt, info);
	for (size_t i = 0; i < TRACE_ARGS_MAX; i++) {
		struct arg_step step = {.live = true};
		uint8_t op;
		if (memory_read_u8(rt->target->memory, addr + i, &op, NULL) != OK ||
		    op == TRACE_ARGS_END)
			break;
		switch (op) {
		case TRACE_ARGS_START_AGG:
			step.what = ARG_START;
			break;
		case TRACE_ARGS_END_AGG:
			step.what = ARG_END;
			break;
		case TRACE_ARGS_MORE:
			step.what = ARG_MORE;
			break;
		case TRACE_ARGS_FAR:
			step.what = ARG_FAR;
			break;
		default:
			step.what = ARG_WORD;
			step.offset = op;
			i++;
			if (memory_read_u8(rt->target->memory, addr + i, &step.size, NULL) != OK)
				return;
			step.live = is_live(rt, &liveness, op, slot);
			if (op >= liveness.start)
				slot++;
		}
		if (!ARRAY_PUSH(info->args, count, cap, step))
			return;
		info->arg_count = count;
	}
}

static const struct pc_info *args_at(struct runtime *rt, uint64_t pc)
{
	struct pc_info *info = pc_info_at(rt, pc);
	if (!info || !info->has_function)
		return NULL;
	if (!info->has_args)
		read_args(rt, info);
	return info;
}

static const struct pc_info *args_of(struct runtime *rt, const struct frame *frame)
{
	return frame->has_function && frame->cfa ? args_at(rt, frame->lookup_pc) : NULL;
}

/* Where a slot is from the CFA on: arguments lie above it, on arm64 above the word for the callee's LR
 * (sys.MinFrameSize). */
static int32_t slot_offset(const struct runtime *rt, const struct arg_step *step)
{
	return (rt->target->arch == ARCH_ARM64 ? 8 : 0) + step->offset;
}

static bool read_slot(struct runtime *rt, const struct frame *frame, const struct arg_step *step,
		      uint64_t *ret)
{
	uint64_t at = frame->cfa + (uint64_t)slot_offset(rt, step);
	uint64_t value = 0;
	size_t size = step->size < 8 ? step->size : 8;
	if (memory_read(rt->target->memory, at, &value, size, NULL) != OK)
		return false;
	*ret = value;
	return true;
}

/* Appends 0x and the number in hexadecimal: there are millions of them to print. */
static void append_hex(struct text *text, uint64_t value)
{
	char buf[18];
	size_t at = sizeof(buf);
	do {
		buf[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	buf[--at] = 'x';
	buf[--at] = '0';
	text_append_bytes(text, buf + at, sizeof(buf) - at);
}

void frame_args(struct runtime *rt, const struct frame *frame, struct text *text)
{
	const struct pc_info *info = args_of(rt, frame);
	bool comma = false;
	for (size_t i = 0; info && i < info->arg_count; i++) {
		const struct arg_step *step = &info->args[i];
		uint64_t value;
		if (comma && step->what != ARG_END)
			text_append(text, ", ");
		comma = step->what != ARG_START;
		switch (step->what) {
		case ARG_START:
			text_append_char(text, '{');
			break;
		case ARG_END:
			text_append_char(text, '}');
			break;
		case ARG_MORE:
			text_append(text, "...");
			break;
		case ARG_FAR:
			text_append_char(text, '_');
			break;
		case ARG_WORD:
			if (!read_slot(rt, frame, step, &value)) {
				text_append(text, "<unreadable>");
				break;
			}
			append_hex(text, value);
			if (!step->live)
				text_append_char(text, '?');
			break;
		}
	}
}

static const struct arg_step *arg_word(const struct pc_info *info, unsigned index)
{
	for (size_t i = 0; info && i < info->arg_count; i++)
		if (info->args[i].what == ARG_WORD && index-- == 0)
			return &info->args[i];
	return NULL;
}

bool frame_arg_word(struct runtime *rt, const struct frame *frame, unsigned index, uint64_t *ret,
		    bool *ret_live)
{
	const struct arg_step *step = arg_word(args_of(rt, frame), index);
	if (!step || !read_slot(rt, frame, step, ret))
		return false;
	*ret_live = step->live;
	return true;
}

bool function_arg_slot(struct runtime *rt, uint64_t pc, unsigned index, int32_t *ret_offset)
{
	const struct arg_step *step = arg_word(args_at(rt, pc), index);
	if (!step || !step->live || step->size != 8)
		return false;
	*ret_offset = slot_offset(rt, step);
	return true;
}

static bool starts_with(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool function_is_runtime(const char *name)
{
	/* Assembly of the runtime's has names without a package (memeqbody, aeshashbody), and what
	 * the compiler generates for types is type:.eq.T or type:.hash.T (type..eq.T before 1.20). */
	static const char *const prefixes[] = {"runtime.",
					       "runtime/internal/",
					       "internal/runtime/",
					       "internal/bytealg.",
					       "internal/abi.",
					       "internal/cpu.",
					       "internal/reflectlite.",
					       "reflect.",
					       "type:.",
					       "type.."};
	if (!strchr(name, '.'))
		return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (starts_with(name, prefixes[i]))
			return true;
	}
	return false;
}
