#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "insn/insn.h"

enum { ADDR = 0x401000 };

#define DECODE(arch, ...)                                                             \
	({                                                                            \
		const uint8_t bytes_[] = {__VA_ARGS__};                               \
		struct insn insn_;                                                    \
		assert_true(insn_decode(arch, bytes_, sizeof(bytes_), ADDR, &insn_)); \
		assert_int_equal(insn_.length, sizeof(bytes_));                       \
		insn_;                                                                \
	})
#define AMD64(...) DECODE(ARCH_AMD64, __VA_ARGS__)
#define REFUSED(arch, ...)                                                \
	({                                                                \
		const uint8_t bytes_[] = {__VA_ARGS__};                   \
		struct insn insn_;                                        \
		!insn_decode(arch, bytes_, sizeof(bytes_), ADDR, &insn_); \
	})

static struct insn arm64(uint32_t word)
{
	return DECODE(ARCH_ARM64, (uint8_t)word, (uint8_t)(word >> 8), (uint8_t)(word >> 16),
		      (uint8_t)(word >> 24));
}

static void expect_mem(const struct insn *insn, unsigned i, bool read, bool write, uint8_t base,
		       int64_t disp, uint16_t size)
{
	assert_true(i < insn->mem_count);
	const struct insn_mem *mem = &insn->mem[i];
	assert_int_equal(mem->read, read);
	assert_int_equal(mem->write, write);
	assert_int_equal(mem->base, base);
	assert_int_equal(mem->disp, disp);
	assert_int_equal(mem->size, size);
}

static void a_load_names_register_memory_and_extension(void **state)
{
	(void)state;
	struct insn zero = AMD64(0x0f, 0xb6, 0x4b, 0x08); /* movzbl 0x8(%rbx),%ecx */
	assert_int_equal(zero.op, INSN_MOVE);
	assert_false(zero.sign_extends);
	assert_int_equal(zero.dst.kind, INSN_REG);
	assert_int_equal(zero.dst.reg, AMD64_RCX);
	assert_int_equal(zero.dst.size, 4);
	assert_int_equal(zero.src[0].kind, INSN_MEM);
	expect_mem(&zero, 0, true, false, AMD64_RBX, 8, 1);
	assert_int_equal(zero.reads, 1 << AMD64_RBX);
	assert_int_equal(zero.writes, 1 << AMD64_RCX);

	struct insn sign = arm64(0x39c02022); /* ldrsb w2,[x1,#8] */
	assert_int_equal(sign.op, INSN_MOVE);
	assert_true(sign.sign_extends);
	expect_mem(&sign, 0, true, false, 1, 8, 1);
	assert_int_equal(sign.writes, 1 << 2);
}

static void a_byte_write_of_a_register_reads_it_too(void **state)
{
	(void)state;
	struct insn insn = AMD64(0xb1, 0xfb); /* mov $0xfb,%cl */
	assert_int_equal(insn.reads, 1 << AMD64_RCX);
	assert_int_equal(insn.writes, 1 << AMD64_RCX);
	insn = AMD64(0x88, 0x63, 0x08); /* mov %ah,0x8(%rbx) */
	assert_true(insn.src[0].high);
	assert_int_equal(insn.src[0].reg, AMD64_RAX);
}

static void a_push_writes_below_the_stack_pointer(void **state)
{
	(void)state;
	struct insn push = AMD64(0xff, 0x30); /* push (%rax) */
	assert_int_equal(push.mem_count, 2);
	expect_mem(&push, 0, true, false, AMD64_RAX, 0, 8);
	expect_mem(&push, 1, false, true, AMD64_RSP, -8, 8);
	assert_true(push.mem[1].implicit);
	struct insn pop = AMD64(0x8f, 0x44, 0x24, 0x08); /* pop 0x8(%rsp): counted from rsp + 8 */
	expect_mem(&pop, 0, false, true, AMD64_RSP, 16, 8);
	expect_mem(&pop, 1, true, false, AMD64_RSP, 0, 8);
	struct insn call = AMD64(0xe8, 0x01, 0x00, 0x00, 0x00);
	expect_mem(&call, 0, false, true, AMD64_RSP, -8, 8);
	assert_int_equal(call.flow, INSN_CALL);
	assert_true(call.has_target);
	assert_int_equal(call.target, ADDR + 6);
}

static void string_operations_move_their_pointers(void **state)
{
	(void)state;
	struct insn cmps = AMD64(0xa6);
	assert_int_equal(cmps.mem_count, 2);
	assert_int_equal(cmps.writes, 1 << AMD64_RSI | 1 << AMD64_RDI);
	struct insn movs = AMD64(0xf3, 0xa4); /* rep movsb */
	assert_true(movs.mem[0].repeated);
}

static void what_only_names_an_address_accesses_nothing(void **state)
{
	(void)state;
	struct insn insns[] = {
		AMD64(0x48, 0x8d, 0x48, 0x08), /* lea 0x8(%rax),%rcx */
		AMD64(0x0f, 0x1f, 0x40, 0x00), /* nopl 0x0(%rax) */
		AMD64(0x0f, 0x18, 0x08), /* prefetcht0 (%rax) */
		arm64(0xf9800020), /* prfm pldl1keep,[x1] */
	};
	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		for (unsigned k = 0; k < insns[i].mem_count; k++)
			assert_false(insns[i].mem[k].read || insns[i].mem[k].write);
		assert_true(insns[i].reads != 0);
	}
	assert_int_equal(insns[0].op, INSN_LEA);
}

static void a_pc_relative_access_has_its_address(void **state)
{
	(void)state;
	struct insn insn =
		AMD64(0x48, 0x8b, 0x0d, 0x10, 0x00, 0x00, 0x00); /* mov 0x10(%rip),%rcx */
	expect_mem(&insn, 0, true, false, INSN_PC, ADDR + 7 + 0x10, 8);
	insn = arm64(0x58000081); /* ldr x1, . + 16 */
	expect_mem(&insn, 0, true, false, INSN_PC, ADDR + 16, 8);
	insn = arm64(0xb0000001); /* adrp x1, page + 1 */
	assert_int_equal(insn.op, INSN_MOVE);
	assert_int_equal(insn.src[0].imm, 0x402000);
}

static void locked_and_atomic_operations_say_so(void **state)
{
	(void)state;
	struct insn or_ = AMD64(0xf0, 0x08, 0x19); /* lock or %bl,(%rcx) */
	assert_true(or_.atomic);
	assert_int_equal(or_.op, INSN_OR);
	expect_mem(&or_, 0, true, true, AMD64_RCX, 0, 1);
	assert_true(AMD64(0x87, 0x03).atomic); /* xchg %eax,(%rbx) */
	assert_false(AMD64(0x87, 0xc3).atomic); /* xchg %eax,%ebx */
	struct insn set = arm64(0x38e33046); /* ldsetalb w3,w6,[x2] */
	assert_true(set.atomic);
	assert_int_equal(set.op, INSN_OR);
	expect_mem(&set, 0, true, true, 2, 0, 1);
	assert_int_equal(set.writes, 1 << 6);
	struct insn exclusive = arm64(0x0805fc44); /* stlxrb w5,w4,[x2] */
	assert_true(exclusive.exclusive);
	assert_int_equal(exclusive.writes, 1 << 5);
}

static void a_pair_names_both_registers(void **state)
{
	(void)state;
	struct insn load = arm64(0xa94087e0); /* ldp x0,x1,[sp,#8] */
	assert_int_equal(load.op, INSN_PAIR);
	assert_int_equal(load.src[0].reg, 0);
	assert_int_equal(load.src[1].reg, 1);
	expect_mem(&load, 0, true, false, ARM64_SP, 8, 16);
	struct insn store = arm64(0xa9007c41); /* stp x1,xzr,[x2] */
	assert_int_equal(store.op, INSN_PAIR);
	assert_int_equal(store.src[0].reg, 1);
	assert_int_equal(store.src[1].kind, INSN_IMM);
	assert_int_equal(store.src[1].imm, 0);
	expect_mem(&store, 0, false, true, 2, 0, 16);
	assert_int_equal(arm64(0x29400440).op, INSN_OTHER); /* ldp w0,w1,[x2] */
}

static void branches_tell_what_they_ask(void **state)
{
	(void)state;
	struct insn je = AMD64(0x74, 0x05);
	assert_int_equal(je.flow, INSN_BRANCH);
	assert_int_equal(je.cond, INSN_COND_ZERO);
	assert_int_equal(je.target, ADDR + 7);
	assert_int_equal(AMD64(0x7f, 0x05).cond, INSN_COND_OTHER); /* jg */
	struct insn tbnz = arm64(0x37100040); /* tbnz w0,#2,. + 8 */
	assert_int_equal(tbnz.cond, INSN_COND_NOT_ZERO);
	assert_int_equal(tbnz.op, INSN_TEST);
	assert_int_equal(tbnz.src[1].imm, 4);
	assert_int_equal(tbnz.target, ADDR + 8);
	struct insn cbz = arm64(0xb4ffffe3); /* cbz x3,. - 4 */
	assert_int_equal(cbz.target, ADDR - 4);
	assert_int_equal(cbz.reads, 1 << 3);
	assert_int_equal(arm64(0xd65f03c0).flow, INSN_RETURN);
	assert_int_equal(arm64(0xd63f0060).flow, INSN_CALL); /* blr x3 */
	assert_int_equal(arm64(0x54000040).cond, INSN_COND_ZERO); /* b.eq */
	assert_int_equal(AMD64(0xff, 0xe0).flow, INSN_JUMP);
	assert_false(AMD64(0xff, 0xe0).has_target);
}

static void traps_end_the_flow_and_system_calls_do_not(void **state)
{
	(void)state;
	assert_int_equal(AMD64(0xcc).flow, INSN_TRAP);
	assert_int_equal(AMD64(0x0f, 0x0b).flow, INSN_TRAP);
	assert_int_equal(AMD64(0x0f, 0x05).flow, INSN_NEXT); /* syscall */
	assert_int_equal(arm64(0xd4200000).flow, INSN_TRAP); /* brk #0 */
	assert_int_equal(arm64(0x00000000).flow, INSN_TRAP); /* udf #0 */
	assert_int_equal(arm64(0xd4000001).flow, INSN_NEXT); /* svc #0 */
}

static void bit_masks_of_arm64_are_decoded(void **state)
{
	(void)state;
	assert_int_equal(arm64(0x121d7842).src[1].imm, 0xfffffffb); /* and w2,w2,#0xfffffffb */
	assert_int_equal(arm64(0x521e0042).src[1].imm, 4); /* eor w2,w2,#4 */
	assert_int_equal(arm64(0x9201f000).src[1].imm, (int64_t)0xaaaaaaaaaaaaaaaa);
	/* all ones has no encoding */
	assert_true(REFUSED(ARCH_ARM64, 0x42, 0x7c, 0x00, 0x12));
}

static void pairs_and_writeback_are_one_access_and_a_changed_base(void **state)
{
	(void)state;
	struct insn stp = arm64(0xa9bf7bfd); /* stp x29,x30,[sp,#-16]! */
	expect_mem(&stp, 0, false, true, ARM64_SP, -16, 16);
	assert_int_equal(stp.writes, 1ULL << ARM64_SP);
	struct insn ldp = arm64(0xa8c17bfd); /* ldp x29,x30,[sp],#16 */
	expect_mem(&ldp, 0, true, false, ARM64_SP, 0, 16);
	assert_int_equal(ldp.writes, 1ULL << ARM64_SP | 1ULL << ARM64_FP | 1ULL << ARM64_LR);
}

static void the_zero_register_reads_as_zero_and_swallows_writes(void **state)
{
	(void)state;
	struct insn str = arm64(0x3900203f); /* strb wzr,[x1,#8] */
	assert_int_equal(str.src[0].kind, INSN_IMM);
	assert_int_equal(str.src[0].imm, 0);
	struct insn cmp = arm64(0x6b03005f); /* cmp w2,w3 */
	assert_int_equal(cmp.op, INSN_COMPARE);
	assert_int_equal(cmp.writes, 0);
	assert_true(cmp.sets_flags);
}

static void bytes_that_end_too_early_are_no_instruction(void **state)
{
	(void)state;
	const uint8_t call[] = {0xe8, 0x01, 0x00, 0x00, 0x00};
	struct insn insn = {.length = 77};
	for (size_t n = 0; n < sizeof(call); n++) {
		assert_false(insn_decode(ARCH_AMD64, call, n, ADDR, &insn));
		assert_false(insn_decode_flow(ARCH_AMD64, call, n, ADDR, &insn));
		if (n < 4)
			assert_false(insn_decode(ARCH_ARM64, call, n, ADDR, &insn));
	}
	assert_int_equal(insn.length, 77);
	assert_true(REFUSED(ARCH_AMD64, 0x06)); /* push %es: not in 64-bit mode */
	assert_true(REFUSED(ARCH_ARM64, 0xe0, 0xe3, 0x18, 0x25)); /* ptrue: SVE */
}

static void flow_alone_agrees_with_the_whole(void **state)
{
	(void)state;
	static const uint8_t code[][5] = {
		{0xe8, 1, 0, 0, 0}, {0x74, 5}, {0xeb, 5}, {0xc3}, {0xcc}, {0x0f, 0xb6, 0x4b, 8}};
	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
		struct insn whole, flow;
		assert_true(insn_decode(ARCH_AMD64, code[i], 5, ADDR, &whole));
		assert_true(insn_decode_flow(ARCH_AMD64, code[i], 5, ADDR, &flow));
		assert_int_equal(whole.length, flow.length);
		assert_int_equal(whole.flow, flow.flow);
		assert_int_equal(whole.cond, flow.cond);
		assert_int_equal(whole.target, flow.target);
		assert_int_equal(flow.mem_count, 0);
	}
}

static void expect_text(enum arch arch, const char *want, const uint8_t *code, size_t n)
{
	AUTO_TEXT struct text text = TEXT_INIT;
	insn_text(arch, code, n, ADDR, &text);
	assert_string_equal(text.s, want);
}

#define TEXT(arch, want, ...)                                   \
	expect_text(arch, want, (const uint8_t[]){__VA_ARGS__}, \
		    sizeof((const uint8_t[]){__VA_ARGS__}))

static void texts_are_those_of_objdump(void **state)
{
	(void)state;
	TEXT(ARCH_AMD64, "movzbl 0x8(%rbx),%ecx", 0x0f, 0xb6, 0x4b, 0x08);
	TEXT(ARCH_AMD64, "movslq %ecx,%rax", 0x48, 0x63, 0xc1);
	TEXT(ARCH_AMD64, "movsbl (%rcx),%eax", 0x0f, 0xbe, 0x01);
	TEXT(ARCH_AMD64, "je 401007", 0x74, 0x05);
	TEXT(ARCH_AMD64, "jae 401007", 0x73, 0x05);
	TEXT(ARCH_AMD64, "call 401006", 0xe8, 0x01, 0x00, 0x00, 0x00);
	TEXT(ARCH_AMD64, "cmpb $0x0,0x22(%rbx)", 0x80, 0x7b, 0x22, 0x00);
	TEXT(ARCH_AMD64, "lea 0x10(%rip),%rax", 0x48, 0x8d, 0x05, 0x10, 0x00, 0x00, 0x00);
	TEXT(ARCH_AMD64, "and $0xfffffffb,%ecx", 0x83, 0xe1, 0xfb);
	TEXT(ARCH_AMD64, "lock or %bl,(%rcx)", 0xf0, 0x08, 0x19);
	TEXT(ARCH_AMD64, "mov -0x8(%rbp,%rax,8),%rcx", 0x48, 0x8b, 0x4c, 0xc5, 0xf8);
	TEXT(ARCH_AMD64, "call *%rdx", 0xff, 0xd2);
	TEXT(ARCH_AMD64, "sete %al", 0x0f, 0x94, 0xc0);
	TEXT(ARCH_AMD64, "nopl (%rax)", 0x0f, 0x1f, 0x00);
	TEXT(ARCH_AMD64, "cltq", 0x48, 0x98);
	TEXT(ARCH_AMD64, "movsd (%rsp),%xmm3", 0xf2, 0x0f, 0x10, 0x1c, 0x24);
	TEXT(ARCH_AMD64, ".byte 0x06", 0x06);
	TEXT(ARCH_ARM64, "ldrb w2, [x1, #8]", 0x22, 0x20, 0x40, 0x39);
	TEXT(ARCH_ARM64, ".inst 0x2518e3e0", 0xe0, 0xe3, 0x18, 0x25);
	TEXT(ARCH_ARM64, ".byte 0x22", 0x22, 0x20);
}

static void an_atomic_of_arm64_has_a_text(void **state)
{
	(void)state;
	TEXT(ARCH_ARM64, "ldsetalb w3, w6, [x2]", 0x46, 0x30, 0xe3, 0x38);
	TEXT(ARCH_ARM64, "ldadd x1, x2, [sp]", 0xe2, 0x03, 0x21, 0xf8);
	TEXT(ARCH_ARM64, "swpal w1, w2, [x3]", 0x62, 0x80, 0xe1, 0xb8);
	TEXT(ARCH_ARM64, "casal x1, x2, [x3]", 0x62, 0xfc, 0xe1, 0xc8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_load_names_register_memory_and_extension),
		cmocka_unit_test(a_byte_write_of_a_register_reads_it_too),
		cmocka_unit_test(a_push_writes_below_the_stack_pointer),
		cmocka_unit_test(string_operations_move_their_pointers),
		cmocka_unit_test(what_only_names_an_address_accesses_nothing),
		cmocka_unit_test(a_pc_relative_access_has_its_address),
		cmocka_unit_test(locked_and_atomic_operations_say_so),
		cmocka_unit_test(a_pair_names_both_registers),
		cmocka_unit_test(branches_tell_what_they_ask),
		cmocka_unit_test(traps_end_the_flow_and_system_calls_do_not),
		cmocka_unit_test(bit_masks_of_arm64_are_decoded),
		cmocka_unit_test(pairs_and_writeback_are_one_access_and_a_changed_base),
		cmocka_unit_test(the_zero_register_reads_as_zero_and_swallows_writes),
		cmocka_unit_test(bytes_that_end_too_early_are_no_instruction),
		cmocka_unit_test(flow_alone_agrees_with_the_whole),
		cmocka_unit_test(texts_are_those_of_objdump),
		cmocka_unit_test(an_atomic_of_arm64_has_a_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
