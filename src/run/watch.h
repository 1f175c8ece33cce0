/* SPDX-License-Identifier: MIT */
/*
 * watch.h - the threads: one carrier a worker, spares, and the one that keeps
 * the program's signals.
 *
 * A carrier runs its worker until the runtime is over, or until the worker has
 * been taken from it (carrier.h has that protocol): then it joins the spares,
 * which sleep until one of them is given a worker.
 *
 *      carrier.given    0           asleep among the spares
 *                       GIVEN       has a worker        release [worker-given]
 *                       DISMISSED   the runtime is over
 *
 * The watch thread has the signal mask of weft_run()'s caller, so that the
 * program's handlers run on it and never on a fiber's stack.
 */
#ifndef WF_WATCH_H
#define WF_WATCH_H

#include "core/worker.h"

/*
 * Start the watch and a thread for each worker but the first.
 * Errors: -EAGAIN, -ENOMEM; no thread is left.
 */
int wf_watch_begin(void);

/* Carry the first worker; returns when the runtime is over. */
void wf_watch_carry(void);

/* Wait for all threads to end. */
void wf_watch_end(void);

/* In a forked child: there are no threads. */
void wf_watch_forget(void);

/*
 * Give the worker to a spare thread, or to a new one.
 *
 * Context: any thread but the one that carries it; one at a time.
 * Errors: -EBUSY its thread is not in a fiber; -EAGAIN, -ENOMEM no thread.
 */
int wf_watch_takeover(struct wf_worker *w);

#endif
