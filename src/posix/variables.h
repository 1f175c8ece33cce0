/* SPDX-License-Identifier: MIT */
/*
 * variables.h - the thread-local variables of a thread, made as they were when
 * it began, so that the next one on the same identity finds its own.
 *
 * Each object has a block of them in each thread.  libc says where, but not of
 * an object that came after the thread and lies beside the program's, whose
 * code finds its variables without asking; there its offset is what libc tells
 * debuggers.
 */
#ifndef WF_POSIX_VARIABLES_H
#define WF_POSIX_VARIABLES_H

/*
 * Those of all objects but libc, whose caches are of use to the next, and weft.
 *
 * Context: the thread itself, at its end.
 */
void wf_variables_renew(void);

#endif
