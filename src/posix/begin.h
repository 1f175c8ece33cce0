/* SPDX-License-Identifier: MIT */
/*
 * begin.h - the runtime under an unchanged program: it begins with the first
 * thread that the program makes, and lasts as long as the process.
 */
#ifndef WF_POSIX_BEGIN_H
#define WF_POSIX_BEGIN_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Context: a thread of the kernel's, or a fiber; quiet.
 * Errors: -EINVAL a variable is out of its range, which has been said; -EAGAIN,
 * -ENOMEM, -EMFILE what the start ran out of.
 */
int wf_begin(void);

/* Whether it has begun in this process. */
bool wf_begun(void);

/* Whether the descriptor is weft's own, which the program knows nothing of. */
bool wf_begin_owns(int fd);

/* The next such one, from `fd` on; INT_MAX: there is none.  It has begun. */
int wf_begin_own_from(int fd);

/* WEFT_STACK, the most that a stack of default size takes; 0: not set. */
size_t wf_begin_stack(void);

/* In a forked child: nothing has begun.  fork() does it by itself. */
void wf_begin_forget(void);

#endif
