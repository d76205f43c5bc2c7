/*
 * Growing arrays: a pointer, a count and a capacity that stand in the owner's struct.
 */
#ifndef BASE_ARRAY_H
#define BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* Makes room for one more element of elem_size bytes; false when memory is out. */
static inline bool array_reserve(void **list, size_t count, size_t *cap, size_t elem_size)
{
	if (count < *cap)
		return true;
	size_t want = *cap ? *cap * 2 : 16;
	void *grown = reallocarray(*list, want, elem_size);
	if (!grown)
		return false;
	*list = grown;
	*cap = want;
	return true;
}

/* Appends value to (list, count, cap), three lvalues; false when memory is out. */
#define ARRAY_PUSH(list, count, cap, value)                                           \
	({                                                                            \
		void *list_ = (list);                                                 \
		bool room_ = array_reserve(&list_, (count), &(cap), sizeof(*(list))); \
		if (room_) {                                                          \
			(list) = list_;                                               \
			(list)[(count)++] = (value);                                  \
		}                                                                     \
		room_;                                                                \
	})

#endif
