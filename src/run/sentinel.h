/* SPDX-License-Identifier: MIT */
/*
 * sentinel.h - the thread that looks after the workers.
 *
 * A fiber that computes, or sits in a system call, keeps its worker to itself,
 * and what waits behind it waits on.  Nothing is done about that from a signal
 * handler; a thread of its own looks at the workers every few milliseconds:
 *
 *      sees                                    does
 *      a worker in the same fiber as last      wakes a sleeper, who serves
 *      time, events or timers behind it, and   what can be served by another
 *      a worker asleep
 *      the same, fibers in its queue           takes the worker over
 *      a worker in one fiber for PATIENCE      takes the worker over
 *      fibers that run for long between two    has the worker share all that
 *      switches, and a worker asleep           it does not run (runq.h)
 *
 * A takeover (watch.h) gives the worker to another thread; the fiber goes on
 * where it is.  It happens only to a thread that has used its CPU for all that
 * time, or that sleeps in the kernel: one that the kernel has merely preempted
 * would gain nothing.
 *
 * So with an idle CPU a ready descriptor, an expired timer or a queued fiber
 * waits about 2 ms behind a running fiber, and without one as long as PATIENCE,
 * which grows with the number of threads that compute already: a thousand
 * fibers that compute for a second each are no thousand threads.  Behind the
 * first fiber that runs after all workers have slept it waits up to 8 ms more,
 * before anybody looks (vigil.h).  At most `stuck_threads` (weft/runtime.h) are
 * in that state at any time.
 *
 * "The same fiber": neither the worker's turns nor the time of its last pass
 * has changed.
 *
 * It also has fewer workers at it where that does more (crowd.h).  "Asleep"
 * above is one of those that are wanted.
 *
 * It rests while every worker sleeps, so an idle process has no thread with a
 * timeout.
 *
 * It has the signal mask of weft_run()'s caller, so that the program's handlers
 * run on it and never on a fiber's stack.
 */
#ifndef WF_SENTINEL_H
#define WF_SENTINEL_H

#include <stdbool.h>

#include "weft/runtime.h"

/*
 * Start and end the thread.
 * Errors: -EAGAIN, -ENOMEM.
 */
int wf_sentinel_begin(const struct weft_options *o);
void wf_sentinel_end(void);

/*
 * Called at each look, if not NULL; true: there is to be another one, even if
 * every worker sleeps.
 */
extern bool (*wf_sentinel_at_look)(void);

/* In a forked child: there is none. */
void wf_sentinel_forget(void);

#endif
