/*
 * What decoding and text of amd64 share.
 */
#ifndef INSN_AMD64_H
#define INSN_AMD64_H

#include <Zydis/Zydis.h>

/* What ZydisDecoderInit gives for long mode: the modes of today's machines. Constant, so that threads
 * need no order between them. */
extern const ZydisDecoder amd64_decoder;

#endif
