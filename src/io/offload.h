/* SPDX-License-Identifier: MIT */
/*
 * offload.h - the pool of threads behind weft_blocking(), see
 * weft/blocking.h for what it promises.
 *
 * A job lies on the stack of the fiber that waits for it.  Whether a thread has
 * begun it is decided under the pool's lock by whether it is still in the list:
 * a fiber that is cancelled takes it out, or, if it cannot, waits for its end.
 */
#ifndef WF_OFFLOAD_H
#define WF_OFFLOAD_H

#include "weft/blocking.h"

/* A runtime begins, with so many threads at most; ends: all threads end. */
void wf_offload_begin(unsigned threads);
void wf_offload_end(void);

/* In a forked child: there are no threads. */
void wf_offload_forget(void);

/* How many threads there are. */
unsigned wf_offload_threads(void);

/* Like weft_blocking_until(); `*result` is what fn returned. */
int wf_offload_run(weft_fn fn, void *arg, void **result, weft_time deadline);

/*
 * The same for a system call: fn returns a count or -E..., and so does this.
 * Errors: -ENOMEM no thread; -ETIMEDOUT; -ECANCELED.
 */
long wf_offload_call(weft_fn fn, void *arg, weft_time deadline);

#endif
