/* SPDX-License-Identifier: MIT */
/*
 * blocking.h - calls that block a thread, done by a thread of a pool.
 *
 * For what would otherwise keep a whole worker: a database client, a slow
 * disk, a long computation.
 */
#ifndef WEFT_BLOCKING_H
#define WEFT_BLOCKING_H

#include "fiber.h"

WEFT_BEGIN

/*
 * Run fn(arg) on a thread of the pool while the calling fiber is parked, and
 * store what it returns, if `result` is not NULL.
 *
 * The pool has up to 64 threads (weft_options.pool_threads), made when needed
 * and ended after ten idle seconds.  When all are busy, calls queue, first
 * come first served, and take no memory while they do.  When a thread cannot
 * be made, the call waits for one of those that exist, and fails if there is
 * none.  Called by a function that the pool already runs, or off a fiber, fn
 * runs at once on the calling thread: such a thread may block as it is, so the
 * pool cannot wait for itself.
 *
 * A call that is cancelled or times out is withdrawn if no thread has begun it;
 * once fn runs, the call returns when fn does, and returns its result.
 *
 * Context: any thread; waits.
 * Errors: -EAGAIN no thread; -ETIMEDOUT; -ECANCELED.  fn has not run.
 */
WEFT_API int weft_blocking(weft_fn fn, void *arg, void **result);
WEFT_API int weft_blocking_until(weft_fn fn, void *arg, void **result,
				 weft_time deadline);

WEFT_END

#endif
