/* Seccomp filters: run by us as the kernel would, and those of real processes. */
#include "target/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "target/internal.h"

#define NR offsetof(struct seccomp_data, nr)
#define SIZE(list) (sizeof(list) / sizeof((list)[0]))
#define RUNS(data, want, ...)                                                             \
	do {                                                                              \
		const struct sock_filter code_[] = {__VA_ARGS__};                         \
		uint32_t got_ = 0xdead;                                                   \
		assert_int_equal(seccomp_run(code_, SIZE(code_), data, &got_, NULL), OK); \
		assert_int_equal(got_, want);                                             \
	} while (0)
#define FAILS(...)                                                                               \
	do {                                                                                     \
		const struct sock_filter code_[] = {__VA_ARGS__};                                \
		struct error err_ = {0};                                                         \
		uint32_t got_ = 0xdead;                                                          \
		assert_int_equal(seccomp_run(code_, SIZE(code_), &known, &got_, &err_), FAILED); \
		assert_int_equal(err_.code, ERROR_FORMAT);                                       \
		assert_int_equal(got_, 0xdead);                                                  \
	} while (0)
#define RETURN_A BPF_STMT(BPF_RET | BPF_A, 0)

static const struct seccomp_data known = {
	.nr = 319,
	.arch = AUDIT_ARCH_X86_64,
	.instruction_pointer = 0x1111222233334444,
	.args = {0x5555666677778888, 1, 2, 3, 4, 5},
};

static void test_arithmetic_is_that_of_32_bits(void **state)
{
	(void)state;
	const struct {
		uint16_t op;
		uint32_t a, b, want;
	} cases[] = {
		{BPF_ADD, 0xffffffff, 2, 1},	    {BPF_SUB, 1, 2, 0xffffffff},
		{BPF_MUL, 0x10001, 0x10000, 65536}, {BPF_DIV, 100, 7, 14},
		{BPF_AND, 0xff0, 0x0ff, 0x0f0},	    {BPF_OR, 0xf00, 0x00f, 0xf0f},
		{BPF_XOR, 0xff, 0x0f, 0xf0},	    {BPF_LSH, 3, 31, 0x80000000},
		{BPF_RSH, 0x80000000, 31, 1},	    {BPF_NEG, 5, 0, 0xfffffffb},
	};
	for (size_t i = 0; i < SIZE(cases); i++) {
		RUNS(&known, cases[i].want, BPF_STMT(BPF_LD | BPF_IMM, cases[i].a),
		     BPF_STMT(BPF_ALU | cases[i].op | BPF_K, cases[i].b), RETURN_A);
		RUNS(&known, cases[i].want, BPF_STMT(BPF_LDX | BPF_IMM, cases[i].b),
		     BPF_STMT(BPF_LD | BPF_IMM, cases[i].a),
		     BPF_STMT(BPF_ALU | cases[i].op | BPF_X, 0), RETURN_A);
	}
}

static void test_a_division_by_zero_kills(void **state)
{
	(void)state;
	RUNS(&known, SECCOMP_RET_KILL_THREAD, BPF_STMT(BPF_LDX | BPF_IMM, 0),
	     BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void test_jumps_go_where_the_kernel_goes(void **state)
{
	(void)state;
	const struct {
		uint16_t op;
		uint32_t with;
		bool taken;
	} cases[] = {
		{BPF_JEQ, 319, true},  {BPF_JEQ, 320, false},	{BPF_JGT, 318, true},
		{BPF_JGT, 319, false}, {BPF_JGE, 319, true},	{BPF_JGE, 320, false},
		{BPF_JSET, 1, true},   {BPF_JSET, 0x80, false},
	};
	for (size_t i = 0; i < SIZE(cases); i++)
		RUNS(&known, cases[i].taken ? 1 : 2, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		     BPF_JUMP(BPF_JMP | cases[i].op | BPF_K, cases[i].with, 0, 1),
		     BPF_STMT(BPF_RET | BPF_K, 1), BPF_STMT(BPF_RET | BPF_K, 2));
	RUNS(&known, 7, BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1),
	     BPF_STMT(BPF_RET | BPF_K, 7));
}

static void test_each_word_of_a_call_and_of_the_scratch_memory_is_read(void **state)
{
	(void)state;
	for (uint32_t at = 0; at < sizeof(known); at += 4) {
		uint32_t want;
		memcpy(&want, (const char *)&known + at, sizeof(want));
		RUNS(&known, want, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at), RETURN_A);
	}
	RUNS(&known, sizeof(known), BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), RETURN_A);
	for (uint32_t at = 0; at < BPF_MEMWORDS; at++)
		RUNS(&known, at + 9, BPF_STMT(BPF_LD | BPF_IMM, at + 9), BPF_STMT(BPF_ST, at),
		     BPF_STMT(BPF_LD | BPF_IMM, 0), BPF_STMT(BPF_LDX | BPF_MEM, at),
		     BPF_STMT(BPF_MISC | BPF_TXA, 0), RETURN_A);
}

static void test_code_without_an_end_or_outside_of_its_memory_is_refused(void **state)
{
	(void)state;
	FAILS(BPF_STMT(BPF_LD | BPF_IMM, 0));
	FAILS(BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 0));
	FAILS(BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), BPF_STMT(BPF_RET | BPF_K, 0));
	FAILS(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 255), BPF_STMT(BPF_RET | BPF_K, 0));
	FAILS(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(known)), RETURN_A);
	FAILS(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN_A);
	FAILS(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UINT32_MAX - 3), RETURN_A);
	FAILS(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), RETURN_A);
	FAILS(BPF_STMT(BPF_LD | BPF_MEM, BPF_MEMWORDS), RETURN_A);
	FAILS(BPF_STMT(BPF_STX, BPF_MEMWORDS), RETURN_A);
	FAILS(BPF_STMT(BPF_ALU | 0xf0, 1), RETURN_A);
	FAILS(BPF_STMT(BPF_JMP | 0xf0, 0), RETURN_A);
}

/* What a child puts on itself: each answers one call, and lets the others through. */
struct filter {
	uint32_t nr, action;
};

static void install(const struct filter *filter)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, NR),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, filter->nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, filter->action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = SIZE(code), .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(1);
}

/* A child under count filters, or in strict mode for none, that waits for the end of *ret_go. */
static pid_t start(const struct filter *filters, size_t count, int *ret_go)
{
	int go[2], ready[2];
	char byte = 0;
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(go[1]);
		for (size_t i = 0; i < count; i++)
			install(&filters[i]);
		if (count == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
			_exit(1);
		if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 0)
			syscall(SYS_exit, 42);
		syscall(SYS_exit, 1);
	}
	close(go[0]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	*ret_go = go[1];
	return pid;
}

/* What is said of a child under these filters, which runs on afterwards. */
static enum status ask(const struct filter *filters, size_t count, struct error *err)
{
	static const struct seccomp_call calls[] = {
		{"gettid", SYS_gettid, {0}},
		{"close", SYS_close, {(uint64_t)-1}},
	};
	int go, status;
	struct notes notes = {0};
	struct process *process = NULL;
	pid_t pid = start(filters, count, &go);
	struct target *scratch = calloc(1, sizeof(*scratch));
	assert_non_null(scratch);
	assert_int_equal(process_open(pid, scratch, &notes, &process, NULL), OK);
	enum status result = process_may_call(process, false, calls, SIZE(calls), err);
	process_free(process);
	target_free(scratch);
	notes_done(&notes);
	close(go);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	return result;
}

static bool reads_filters(void)
{
	char mode[8] = "", caps[32] = "";
	return process_status_field(getpid(), "Seccomp", mode, sizeof(mode)) &&
	       strcmp(mode, "0") == 0 &&
	       process_status_field(getpid(), "CapEff", caps, sizeof(caps)) &&
	       strtoull(caps, NULL, 16) >> 21 & 1; /* CAP_SYS_ADMIN */
}

static void test_the_filters_of_a_process_are_asked_all(void **state)
{
	(void)state;
	struct error err = {0};
	if (!reads_filters()) {
		print_message("filters cannot be read here: be root, outside of containers\n");
		skip();
	}
	const struct filter harmless[] = {{SYS_acct, SECCOMP_RET_KILL_PROCESS},
					  {SYS_gettid, SECCOMP_RET_LOG}};
	assert_int_equal(ask(harmless, 2, &err), OK);
	const struct {
		uint32_t action;
		const char *says;
	} cases[] = {
		{SECCOMP_RET_KILL_PROCESS, "kills for it"},
		{SECCOMP_RET_KILL_THREAD, "kills for it"},
		{SECCOMP_RET_TRAP, "answers it by SIGSYS"},
		{SECCOMP_RET_ERRNO | EPERM, "forbids it"},
		{SECCOMP_RET_TRACE, "has another program decide"},
	};
	for (size_t i = 0; i < SIZE(cases); i++) {
		const struct filter first[] = {{SYS_close, cases[i].action}, harmless[0]};
		const struct filter last[] = {harmless[0], {SYS_close, cases[i].action}};
		assert_int_equal(ask(first, 2, &err), FAILED);
		assert_non_null(strstr(err.text, "may not call close"));
		assert_non_null(strstr(err.text, cases[i].says));
		assert_int_equal(ask(last, 2, &err), FAILED);
		assert_non_null(strstr(err.text, cases[i].says));
	}
}

static void test_strict_mode_is_refused(void **state)
{
	(void)state;
	struct error err = {0};
	assert_int_equal(ask(NULL, 0, &err), FAILED);
	assert_int_equal(err.code, ERROR_UNSUPPORTED);
	assert_non_null(strstr(err.text, "strict mode"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arithmetic_is_that_of_32_bits),
		cmocka_unit_test(test_a_division_by_zero_kills),
		cmocka_unit_test(test_jumps_go_where_the_kernel_goes),
		cmocka_unit_test(test_each_word_of_a_call_and_of_the_scratch_memory_is_read),
		cmocka_unit_test(test_code_without_an_end_or_outside_of_its_memory_is_refused),
		cmocka_unit_test(test_the_filters_of_a_process_are_asked_all),
		cmocka_unit_test(test_strict_mode_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
