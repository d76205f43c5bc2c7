/*
 * When a library under us runs out of memory and has no way to say so to its caller.
 */
#ifndef BASE_NOMEM_H
#define BASE_NOMEM_H

/* Ends the process: what such a library calls instead of returning. abort, where cli has not set
 * something that says why. */
extern void (*nomem_exit)(void);

#endif
