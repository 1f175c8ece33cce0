/* SPDX-License-Identifier: MIT */
/*
 * valgrind.h - telling valgrind which memory is stacks.
 *
 * It takes a stack pointer that jumps for a frame that grows or shrinks, and
 * the stacks in between for undefined, unless it knows that they are others.
 * Only with -DWEFT_VALGRIND=ON; else all of this is nothing.
 */
#ifndef WF_VALGRIND_H
#define WF_VALGRIND_H

#include <stddef.h>

#ifdef WEFT_VALGRIND

/* There are `count` more stacks side by side, of `size` bytes, from `low`. */
void wf_valgrind_add(char *low, size_t size, size_t count);

/* There are none any more. */
void wf_valgrind_clear(void);

#else

static inline void wf_valgrind_add(char *low, size_t size, size_t count)
{
	(void)low, (void)size, (void)count;
}

static inline void wf_valgrind_clear(void)
{
}

#endif
#endif
