/*
 * Where all goroutines are: the runtime's own list, or what can stand in for it.
 */
#ifndef GO_ALLGS_H
#define GO_ALLGS_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "go/runtime.h"

/* The addresses of all g's, dead ones included, in ascending order; the caller frees *ret.
 * *ret_complete is false when the list broke off (noted). *ret_found_by is a string constant, see
 * struct goroutines. ERROR_NOT_FOUND when there are none. */
enum status allgs_find(struct runtime *rt, uint64_t **ret, size_t *ret_count, bool *ret_complete,
		       const char **ret_found_by, struct error *err);

#endif
