/* SPDX-License-Identifier: MIT */
/*
 * knock.h - a signal for a thread that waits for nothing.
 *
 * A fiber takes its signals in its own calls (delivery.h), and one that
 * computes makes none.  So the kernel thread that it is on is interrupted by
 * the signal that libc has for itself and nobody blocks (setid.h), and the
 * handler, on the fiber's stack, takes what is due: if what it has interrupted
 * is the program.  Below `program` (identity.h) the stack is the program's and
 * libc's; a frame of weft's there may hold a lock, and then the handler does
 * nothing.  The sentinel knocks again at each of its looks, until what was due
 * has been taken, by the handler or by a call.
 *
 * It goes by call-frame information: code that has none takes its signals in
 * its calls alone.
 */
#ifndef WF_POSIX_KNOCK_H
#define WF_POSIX_KNOCK_H

#include <ucontext.h>

#include "posix/identity.h"

#define WF_KNOCK_SIGNAL 33

/* From now on; that signal has a handler, which calls the next two. */
void wf_knock_begin(void);

/* Whether the handler has been called for this. */
bool wf_knock_heard(const siginfo_t *info);

/* Context: the handler; `context` is its third argument. */
void wf_knock_answer(ucontext_t *context);

/* In a forked child: nobody is knocked at. */
void wf_knock_forget(void);

#endif
