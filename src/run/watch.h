/* SPDX-License-Identifier: MIT */
/*
 * watch.h - the threads: one carrier a worker, and spares.
 *
 * A carrier runs its worker until the runtime is over, or until the worker has
 * been taken from it (carrier.h has that protocol): then it joins the spares,
 * which sleep until one of them is given a worker.  Spares come when they are
 * needed, and no more of them stay than there are workers.
 *
 *      carrier.given    0           asleep among the spares
 *                       GIVEN       has a worker        release [worker-given]
 *                       DISMISSED   the runtime is over
 */
#ifndef WF_WATCH_H
#define WF_WATCH_H

#include "core/worker.h"

/*
 * Start a thread for each worker; if it is `carried`, not for the first one,
 * which the caller carries: signals are blocked in it from here on, as they are
 * in all threads.
 * Errors: -EAGAIN, -ENOMEM; no thread is left.
 */
int wf_watch_begin(bool carried);

/* The start has failed after all. */
void wf_watch_cancel(void);

/* Carry the first worker; returns when the runtime is over. */
void wf_watch_carry(void);

/* Wait for all threads to end. */
void wf_watch_end(void);

/* In a forked child: there are no threads. */
void wf_watch_forget(void);

/*
 * Take the worker from its thread and give it to a spare one, or to a new one.
 * `computes` says how the fiber holds the old one, for wf_watch_computing().
 *
 * Context: any thread but the one that carries it.
 * Errors: -EBUSY its thread is not in a fiber, or another takeover goes on;
 * -EAGAIN, -ENOMEM no thread.
 */
int wf_watch_take(struct wf_worker *w, bool computes);

/*
 * Threads that have lost their worker and are still in its fiber, and those of
 * them that computed when they lost it.
 */
uint32_t wf_watch_lost(void);
uint32_t wf_watch_computing(void);

/* Where a fiber runs. */
struct wf_place {
	const struct wf_carrier *carrier; /* may be gone, for the thread ends */
	pid_t tid;
	int worker; /* its number; -1: the thread has lost it */
};

/*
 * Whether the fiber runs on that thread, if there is such a thread, and where.
 *
 * Context: anyone.
 */
bool wf_watch_finds(const struct wf_carrier *c, const struct weft_fiber *f,
		    struct wf_place *place);

/* Takeovers since the runtime began, and those of blocked threads. */
uint64_t wf_watch_takeovers(void);
uint64_t wf_watch_blocked(void);

#endif
