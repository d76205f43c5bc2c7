/*
 * A Go program made by hand that has goroutines: a function table of functions that a test lists, g's
 * and m's in a heap, stacks, and the list of all goroutines in bss. Layouts are those of go1.23.
 */
#ifndef TESTS_GO_FORGE_STACK_H
#define TESTS_GO_FORGE_STACK_H

#include "go/goroutine.h"
#include "go/pcinfo.h"
#include "go/pclntab.h"
#include "go/stack.h"
#include "go/thread.h"
#include "go/waitreason.h"
#include "unit/go/forge.h"

enum {
	STACK_TEXT = 0x400000,
	STACK_TABLE = 0x600000,
	STACK_BSS = 0x700000,
	STACK_BSS_SIZE = 0x1000,
	STACK_HEAP = 0x800000, /* g number i, its m, and allgs */
	STACK_HEAP_SIZE = 0x8000,
	STACK_STACKS = 0x900000, /* stack number i */
	STACK_SIZE = 0x1000,
	STACK_COUNT = 8,
	FORGED_THREADS = 4,
	FLAG_TOP = 1,
	FLAG_SPWRITE = 2,
};

struct forged_function {
	const char *name;
	unsigned size; /* bytes of code, a multiple of 4 */
	int delta; /* pcsp behind the first 4 bytes, where it is 0; negative: the table has none */
	uint8_t flag;
	const char *args, *live; /* FUNCDATA_ArgInfo and ArgLiveInfo, and how long they are */
	unsigned args_len, live_len;
	int live_index; /* PCDATA_ArgLiveIndex, all through */
};

struct forged_program {
	struct forge forge;
	struct blob table;
	uint64_t entries[32]; /* of the functions, in their order */
	struct thread threads[FORGED_THREADS];
	_Alignas(8) uint8_t bss[STACK_BSS_SIZE], heap[STACK_HEAP_SIZE],
		stacks[STACK_COUNT * STACK_SIZE];
};

/* A pc-value table that says first for 4 bytes and then value for the rest. */
static inline uint32_t forge_values(struct blob *b, size_t pctab, int first, int value,
				    unsigned size, unsigned quantum)
{
	size_t at = b->len;
	int steps[] = {first + 1, value - first};
	unsigned pcs[] = {4 / quantum, (size - 4) / quantum};
	for (int i = 0; i < 2; i++) {
		unsigned v = steps[i] < 0 ? ((unsigned)-steps[i] << 1) - 1
					  : (unsigned)steps[i] << 1;
		for (; v >= 0x80; v >>= 7)
			blob_u8(b, (uint8_t)(v | 0x80));
		blob_u8(b, (uint8_t)v);
		blob_u8(b, (uint8_t)pcs[i]);
		if (i == 0 && steps[1] == 0) { /* a step of 0 would end the table */
			b->bytes[b->len - 1] = (uint8_t)(size / quantum);
			break;
		}
	}
	blob_u8(b, 0);
	return (uint32_t)(at - pctab);
}

static inline void forge_functions(struct forged_program *p, const struct forged_function *list,
				   size_t count, unsigned quantum)
{
	struct blob *b = &p->table;
	uint32_t names[32], pcsp[32], live[32], records[32];
	uint8_t header[] = {0xf1, 0xff, 0xff, 0xff, 0, 0, (uint8_t)quantum, 8};
	blob_add(b, header, sizeof(header));
	blob_u64(b, count);
	blob_u64(b, 1);
	blob_u64(b, STACK_TEXT);
	size_t parts = b->len, starts[5];
	b->len += 40;
	starts[0] = b->len;
	for (size_t i = 0; i < count; i++)
		names[i] = (uint32_t)(blob_string(b, list[i].name) - starts[0]);
	blob_align(b, 8);
	starts[1] = b->len;
	blob_u32(b, 0);
	starts[2] = b->len;
	blob_string(b, "a.go");
	blob_align(b, 8);
	starts[3] = b->len;
	blob_u8(b, 0);
	for (size_t i = 0; i < count; i++) {
		const struct forged_function *f = &list[i];
		pcsp[i] = f->delta < 0 ? 0
				       : forge_values(b, starts[3], 0, f->delta, f->size, quantum);
		live[i] = f->live ? forge_values(b, starts[3], f->live_index, f->live_index,
						 f->size, quantum)
				  : 0;
	}
	blob_align(b, 8);
	starts[4] = b->len;
	uint32_t entry = 0;
	for (size_t i = 0; i < count; i++) {
		p->entries[i] = STACK_TEXT + entry;
		blob_u32(b, entry);
		blob_u32(b, 0);
		entry += list[i].size;
	}
	blob_u32(b, entry);
	for (size_t i = 0; i < count; i++) {
		blob_align(b, 4);
		records[i] = (uint32_t)b->len;
		const uint32_t words[] = {(uint32_t)(p->entries[i] - STACK_TEXT),
					  names[i],
					  0,
					  0,
					  pcsp[i],
					  0,
					  0,
					  4 /* npcdata */,
					  0,
					  1 /* startLine */};
		blob_add(b, words, sizeof(words));
		blob_u8(b, 0);
		blob_u8(b, list[i].flag);
		blob_u8(b, 0);
		blob_u8(b, 7); /* nfuncdata */
		for (int k = 0; k < 3; k++)
			blob_u32(b, 0);
		blob_u32(b, live[i]);
		for (int k = 0; k < 7; k++)
			blob_u32(b, UINT32_MAX);
		blob_put_u32(b, starts[4] + 8 * i + 4, (uint32_t)(records[i] - starts[4]));
	}
	blob_align(b, 8);
	/* moduledata.gofunc is the table itself: funcdata lie right behind it. */
	for (size_t i = 0; i < count; i++) {
		size_t funcdata = records[i] + 44 + 4 * 4;
		if (list[i].args)
			blob_put_u32(b, funcdata + 4 * FUNCDATA_ARG_INFO,
				     (uint32_t)blob_add(b, list[i].args, list[i].args_len));
		if (list[i].live)
			blob_put_u32(b, funcdata + 4 * FUNCDATA_ARG_LIVE_INFO,
				     (uint32_t)blob_add(b, list[i].live, list[i].live_len));
	}
	for (int i = 0; i < 5; i++)
		blob_put_u64(b, parts + 8 * (size_t)i, starts[i]);
}

static inline uint64_t program_stack_lo(unsigned number)
{
	return STACK_STACKS + number * STACK_SIZE;
}

static inline uint64_t program_stack_hi(unsigned number)
{
	return program_stack_lo(number) + STACK_SIZE;
}

/* g number i lies in the heap, and its m (where it has one) behind the g's. */
static inline uint64_t program_g(unsigned number)
{
	return STACK_HEAP + number * 0x200;
}

static inline uint64_t program_m(unsigned number)
{
	return STACK_HEAP + 0x2000 + number * 0x800;
}

static inline void *program_at(struct forged_program *p, uint64_t addr)
{
	if (addr >= STACK_STACKS)
		return p->stacks + (addr - STACK_STACKS);
	return addr >= STACK_HEAP ? p->heap + (addr - STACK_HEAP) : p->bss + (addr - STACK_BSS);
}

static inline void program_put(struct forged_program *p, uint64_t addr, uint64_t value)
{
	memcpy(program_at(p, addr), &value, sizeof(value));
}

/* Makes g number i, with stack number i. */
static inline uint64_t program_add_g(struct forged_program *p, unsigned number, uint64_t id,
				     uint32_t status)
{
	const struct layout *l = &p->forge.rt.layout;
	uint64_t g = program_g(number);
	program_put(p, g + l->g.stack, program_stack_lo(number));
	program_put(p, g + l->g.stack + 8, program_stack_hi(number));
	program_put(p, g + l->g.sched + l->gobuf.g, g);
	program_put(p, g + l->g.goid, id);
	memcpy(program_at(p, g + l->g.atomicstatus), &status, sizeof(status));
	return g;
}

static inline void program_sched(struct forged_program *p, uint64_t g, uint64_t pc, uint64_t sp,
				 uint64_t bp, uint64_t lr)
{
	const struct layout *l = &p->forge.rt.layout;
	program_put(p, g + l->g.sched + l->gobuf.pc, pc);
	program_put(p, g + l->g.sched + l->gobuf.sp, sp);
	program_put(p, g + l->g.sched + l->gobuf.bp, bp);
	program_put(p, g + l->g.sched + l->gobuf.lr, lr);
}

/* Makes the m of thread number 0, which runs g on behalf of it: g number 6 is its g0, 7 its gsignal. */
static inline uint64_t program_run(struct forged_program *p, uint64_t g, int tid)
{
	const struct layout *l = &p->forge.rt.layout;
	uint64_t m = program_m(0);
	uint64_t g0 = program_add_g(p, 6, 0, 0), gsignal = program_add_g(p, 7, 0, 0);
	program_put(p, m + l->m.g0, g0);
	program_put(p, m + l->m.gsignal, gsignal);
	program_put(p, m + l->m.curg, g);
	program_put(p, m + l->m.procid, (uint64_t)tid);
	program_put(p, g + l->g.m, m);
	program_put(p, g0 + l->g.m, m);
	program_put(p, gsignal + l->g.m, m);
	p->threads[0] = (struct thread){.tid = tid, .has_regs = true};
	p->threads[0].regs.arch = p->forge.target.arch;
	p->threads[0].regs.r[p->forge.target.arch == ARCH_ARM64 ? 28 : AMD64_R14] = g;
	p->forge.target.threads = p->threads;
	p->forge.target.thread_count = 1;
	return m;
}

static inline void program_regs(struct forged_program *p, uint64_t pc, uint64_t sp, uint64_t fp)
{
	p->threads[0].regs.pc = pc;
	p->threads[0].regs.sp = sp;
	p->threads[0].regs.fp = fp;
}

static inline bool program_lay(struct forge *forge, uint64_t start, const void *base, size_t n,
			       bool writable)
{
	struct memory_range range = {start, start + n, ORIGIN_CORE, .writable = writable};
	return memory_add_bytes(forge->target.memory, &range, base, NULL) == OK;
}

/* Starts a program of the listed functions; free it with program_done. NULL when out of memory. */
static inline struct forged_program *program_new(const struct forged_function *list, size_t count,
						 enum arch arch)
{
	struct forged_program *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	struct runtime *rt = &p->forge.rt;
	forge_init(&p->forge);
	p->forge.target.arch = arch;
	forge_version(&p->forge, 23, 0, 0);
	forge_functions(p, list, count, arch == ARCH_ARM64 ? 4 : 1);
	if (pclntab_parse(p->table.bytes, p->table.len, STACK_TABLE, &rt->pclntab, NULL) != OK)
		abort();
	pclntab_bind(rt->pclntab, &rt->version, STACK_TEXT, STACK_TABLE);
	rt->module.bss = STACK_BSS;
	rt->module.ebss = STACK_BSS + STACK_BSS_SIZE;
	if (!program_lay(&p->forge, STACK_TABLE, p->table.bytes, p->table.len, false) ||
	    !program_lay(&p->forge, STACK_BSS, p->bss, sizeof(p->bss), true) ||
	    !program_lay(&p->forge, STACK_HEAP, p->heap, sizeof(p->heap), true) ||
	    !program_lay(&p->forge, STACK_STACKS, p->stacks, sizeof(p->stacks), true))
		abort();
	return p;
}

/* Forgets what the runtime has read so far, as if it were opened anew. */
static inline void program_forget(struct forged_program *p)
{
	struct runtime *rt = &p->forge.rt;
	pc_cache_free(rt->pcs);
	scheduler_free(rt->scheduler);
	wait_reasons_free(rt->wait_reasons);
	rt->pcs = NULL;
	rt->scheduler = NULL;
	rt->wait_reasons = NULL;
}

static inline void program_done(struct forged_program *p)
{
	program_forget(p);
	pclntab_free(p->forge.rt.pclntab);
	forge_done(&p->forge);
	free(p);
}

#endif
