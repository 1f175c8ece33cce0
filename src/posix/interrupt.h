/* SPDX-License-Identifier: MIT */
/*
 * interrupt.h - what ends the wait of a thread before its time: a signal to it,
 * or its cancellation.
 *
 * Both are noted in the identity, and then the fiber is cancelled in weft's
 * sense, so that whatever it waits for gives -ECANCELED.  Who gets that, or
 * -EINTR from the parking lot, calls wf_interrupted(), which takes the weft
 * cancellation back, runs the handlers, ends the thread if it is cancelled and
 * may be, and says how the call goes on.
 */
#ifndef WF_POSIX_INTERRUPT_H
#define WF_POSIX_INTERRUPT_H

#include <stdbool.h>

/*
 * Returns true if the call should be begun again with what time is left:
 * nothing was for this thread, or only handlers with SA_RESTART have run.
 * False: it fails with EINTR.  Does not return if the thread is cancelled.
 *
 * Context: a fiber or thread, holding no lock of weft's.
 */
bool wf_interrupted(void);

/* The same for calls that end with EINTR whenever a handler has run: true. */
bool wf_handled(void);

/* Its cancellation alone: what it is sent stays due. */
void wf_interrupted_but_for_signals(void);

/* As wf_interrupted() where a cancellation may not end the call. */
bool wf_interrupted_by_signal(void);

/*
 * It is about to end: what it has been sent until now is handled by it, since
 * nobody else may be there who would.
 */
void wf_interrupted_at_last(void);

/*
 * A cancellation point: every call that may wait begins with it.
 *
 * Context: as above.
 */
void wf_cancellation_point(void);

#endif
