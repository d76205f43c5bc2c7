/*
 * How stubs sleep and wait.
 *
 * A filter of system calls (seccomp) may come when the recorder is in already, and kill for what its program
 * never calls. So stubs call only what Go itself cannot do without: nanosleep, which its monitor sleeps by, and
 * futex (go1.19 to go1.27 runtime/sys_linux_amd64.s). Both sleep for a time, not until one; and of a sleep
 * that signals interrupt more often than its slack of 50 us the rest would grow (Linux kernel/time/hrtimer.c,
 * do_nanosleep), as a collector that wants to stop the world sends them. So they sleep in pieces, until as many
 * were slept to the end as make up the time, or the time stamp counter says that it is over.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "probe/internal.h"

enum { SLEEP_PIECE_NS = 1000000, WAIT_PIECES_IN_SECOND = 10 };

/* Pushes the time stamp in rax, up to which the pieces go on, and the time of a piece, struct timespec. */
static void emit_push_piece(struct emit *e, uint32_t ns)
{
	emit_push(e, AMD64_RAX);
	emit_move_imm32(e, AMD64_RAX, ns);
	emit_push(e, AMD64_RAX);
	emit_zero(e, AMD64_RAX);
	emit_push(e, AMD64_RAX);
}

/* Behind a piece, whose call returned what the flags say about equality with a full one: goes on again,
 * unless the pieces that the register counts, or the time, are over. */
static void emit_next_piece(struct emit *e, unsigned pieces, uint64_t again)
{
	size_t interrupted = emit_branch(e, EMIT_NOT_EQUAL);
	emit_dec32(e, pieces);
	size_t over = emit_branch(e, EMIT_EQUAL);
	emit_land(e, interrupted);
	emit_rdtsc(e);
	emit_cmp_load(e, AMD64_RAX, AMD64_RSP, sizeof(struct timespec));
	emit_branch_back(e, EMIT_BELOW, again);
	emit_land(e, over);
}

static void emit_pop_piece(struct emit *e)
{
	emit_pop(e, AMD64_RAX);
	emit_pop(e, AMD64_RAX);
	emit_pop(e, AMD64_RAX);
}

void stub_sleep(struct builder *b)
{
	struct emit *e = &b->e;
	emit_rdtsc(e);
	emit_load_at(e, AMD64_RDX, HEADER(hold_ticks));
	emit_add(e, AMD64_RAX, AMD64_RDX);
	emit_load_at(e, AMD64_R10, HEADER(hold_ms));
	emit_push_piece(e, SLEEP_PIECE_NS);
	/* nanosleep(rsp, NULL) */
	uint64_t again = emit_here(e);
	emit_move_imm32(e, AMD64_RAX, SYS_nanosleep);
	emit_move(e, AMD64_RDI, AMD64_RSP);
	emit_zero(e, AMD64_RSI);
	emit_syscall(e);
	emit_test32(e, AMD64_RAX);
	emit_next_piece(e, AMD64_R10, again);
	emit_pop_piece(e);
}

void stub_wait(struct builder *b, uint64_t word, uint32_t value, unsigned seconds)
{
	struct emit *e = &b->e;
	/* No processor's counter has much more than 2^32 ticks in a second: where signals leave no piece
	 * whole, it is some seconds more. */
	emit_rdtsc(e);
	emit_move_imm32(e, AMD64_RDX, seconds);
	emit_shl(e, AMD64_RDX, 32);
	emit_add(e, AMD64_RAX, AMD64_RDX);
	emit_move_imm32(e, AMD64_R8, seconds * WAIT_PIECES_IN_SECOND);
	emit_push_piece(e, 1000000000 / WAIT_PIECES_IN_SECOND);
	uint64_t again = emit_here(e);
	emit_cmp32_at_imm(e, word, (int8_t)value);
	size_t changed = emit_branch(e, EMIT_NOT_EQUAL);
	/* futex(word, FUTEX_WAIT, value, rsp) */
	emit_move_imm32(e, AMD64_RAX, SYS_futex);
	emit_lea_at(e, AMD64_RDI, word);
	emit_move_imm32(e, AMD64_RSI, FUTEX_WAIT);
	emit_move_imm32(e, AMD64_RDX, value);
	emit_move(e, AMD64_R10, AMD64_RSP);
	emit_syscall(e);
	emit_cmp32_imm(e, AMD64_RAX, -110 /* ETIMEDOUT */);
	emit_next_piece(e, AMD64_R8, again);
	emit_land(e, changed);
	emit_pop_piece(e);
}

/* Registers that waiting changes, in the order in which they are pushed. */
static const uint8_t saved[STUB_SAVED] = {AMD64_RAX, AMD64_RCX, AMD64_RDX, AMD64_RSI,
					  AMD64_RDI, AMD64_R8,	AMD64_R10, AMD64_R11};

void stub_push_saved(struct emit *e)
{
	for (size_t i = 0; i < STUB_SAVED; i++)
		emit_push(e, saved[i]);
}

void stub_pop_saved(struct emit *e)
{
	for (size_t i = STUB_SAVED; i-- > 0;)
		emit_pop(e, saved[i]);
}
