/*
 * Which words of a value hold pointers: what the garbage collector follows.
 *
 * A descriptor tells it by a bitmap, one bit a word, at GCData. Some have none in the binary: Go up to 1.23
 * gives large arrays a program instead (kind bit KindGCProg); from 1.24 on the bitmap of types with more
 * than 16384 words (cmd/compile/internal/reflectdata/reflect.go, dgcsym), and of structs made by reflect
 * (reflect/type.go, StructOf), thus of the groups of reflect.MapOf, is built at run time
 * (TFlagGCMaskOnDemand): GCData points to where its address is kept. Where no bitmap can be read, the mask
 * is made from the type's fields, as the compiler does it.
 */
#ifndef GO_POINTERS_H
#define GO_POINTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

/* Words that a mask covers: 32 KB of a value, eight times the largest bucket or group. */
enum { POINTER_WORDS_MAX = 4096 };

enum pointer_source {
	POINTERS_STORED, /* the bitmap at GCData */
	POINTERS_ON_DEMAND, /* the bitmap that the program built at run time */
	POINTERS_FIELDS, /* no bitmap to be had: from the type's fields */
};

struct pointer_mask {
	enum pointer_source source;
	uint64_t addr; /* of the bitmap, 0 where there is none */
	size_t words; /* up to the last word that can hold a pointer */
	uint8_t bits[POINTER_WORDS_MAX / 8];
};

/* The mask of a type. ERROR_LIMIT for one of more than POINTER_WORDS_MAX words. */
enum status pointer_mask_read(struct runtime *rt, uint64_t type, struct pointer_mask *ret,
			      struct error *err);

/* The same, from the type's fields whatever GCData says. */
enum status pointer_mask_of_fields(struct runtime *rt, uint64_t type, struct pointer_mask *ret,
				   struct error *err);

/* Whether the word at this offset (bytes) is a pointer. */
static inline bool pointer_mask_has(const struct pointer_mask *mask, uint64_t offset)
{
	uint64_t word = offset / 8;
	return offset % 8 == 0 && word < mask->words && mask->bits[word / 8] >> word % 8 & 1;
}

/* "GCData", ... */
const char *pointer_source_name(enum pointer_source source);

#endif
