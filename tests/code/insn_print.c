/*
 * Prints each instruction of an executable's .text as insn decodes it, for compare_objdump:
 *
 *   ADDR LENGTH fFLOW [tTARGET] [MEM...] [L] [F] rREADS wWRITES      numbers in hex, FLOW in decimal
 *   ADDR bad
 *
 * MEM is e or i (explicit, implicit), then r, w or both, then ,SIZE,BASE,INDEX,SCALE,DISP,SEGMENT,EXTEND.
 * L: atomic, F: sets flags.
 */
#include <stdio.h>
#include <stdlib.h>

#include "insn/insn.h"
#include "target/executable.h"

static void print_register(enum arch arch, uint8_t reg)
{
	static const char *const amd64[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
					    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
	if (reg == INSN_NO_REG)
		printf(",-");
	else if (reg == INSN_PC)
		printf(",pc");
	else if (arch == ARCH_AMD64)
		printf(",%s", amd64[reg]);
	else if (reg == ARM64_SP)
		printf(",sp");
	else
		printf(",x%u", reg);
}

static void print_insn(enum arch arch, const struct insn *insn)
{
	printf("%lx %u f%u", insn->addr, insn->length, insn->flow);
	if (insn->has_target)
		printf(" t%lx", insn->target);
	for (unsigned i = 0; i < insn->mem_count; i++) {
		const struct insn_mem *mem = &insn->mem[i];
		printf(" %s%s%s,%u", mem->implicit ? "i" : "e", mem->read ? "r" : "",
		       mem->write ? "w" : "", mem->size);
		print_register(arch, mem->base);
		print_register(arch, mem->index);
		printf(",%u,%lx,%u,%u", mem->scale, (uint64_t)mem->disp, mem->segment, mem->extend);
	}
	printf("%s%s r%lx w%lx\n", insn->atomic ? " L" : "", insn->sets_flags ? " F" : "",
	       insn->reads, insn->writes);
}

int main(int argc, char **argv)
{
	AUTO_EXECUTABLE struct executable *exe = NULL;
	struct section text;
	struct error err;
	if (argc != 2) {
		fprintf(stderr, "usage: insn_print EXECUTABLE\n");
		return 64;
	}
	if (executable_open(argv[1], &exe, &err) != OK) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (!executable_section(exe, ".text", &text)) {
		fprintf(stderr, "%s: no .text\n", argv[1]);
		return 2;
	}
	size_t size;
	enum arch arch = executable_arch(exe);
	const uint8_t *code = executable_bytes(exe, &size) + text.offset;
	for (uint64_t at = 0; at < text.size;) {
		struct insn insn;
		if (insn_decode(arch, code + at, text.size - at, text.addr + at, &insn)) {
			print_insn(arch, &insn);
			at += insn.length;
		} else {
			printf("%lx bad\n", text.addr + at);
			at += insn_step(arch);
		}
	}
	return 0;
}
