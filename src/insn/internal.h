/*
 * What insn.c and the two machines share.
 */
#ifndef INSN_INTERNAL_H
#define INSN_INTERNAL_H

#include "insn/insn.h"

/* Each machine's part of the functions of insn.h; full asks for operands. */
bool amd64_decode(const uint8_t *code, size_t n, uint64_t addr, bool full, struct insn *ret);
bool arm64_decode(const uint8_t *code, size_t n, uint64_t addr, bool full, struct insn *ret);

/* Appends the text; false where there is none. */
bool amd64_text(const uint8_t *code, size_t n, uint64_t addr, struct text *text);
bool arm64_text(const uint8_t *code, size_t n, uint64_t addr, struct text *text);

#endif
