/* SPDX-License-Identifier: MIT */
/*
 * time.h - instants, delays, sleeping, and periodic ticks.
 *
 * One type serves both: signed nanoseconds, an instant on CLOCK_MONOTONIC
 * (deadline) or a distance between two (delay).  Arithmetic saturates, so
 * that WEFT_FOREVER stays for ever.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include "base.h"

typedef int64_t weft_time;

#define WEFT_NSEC(n) ((weft_time)(n))
#define WEFT_USEC(n) ((weft_time)(n)*1000)
#define WEFT_MSEC(n) ((weft_time)(n)*1000000)
#define WEFT_SEC(n)  ((weft_time)(n)*1000000000)

/* As a deadline: no limit. */
#define WEFT_FOREVER INT64_MAX

WEFT_BEGIN

/*
 * The clock, read now.
 *
 * Context: any thread; does not block.
 */
WEFT_API weft_time weft_now(void);

/*
 * The deadline that lies `delay` ahead; WEFT_FOREVER if that is beyond the
 * end of time.
 *
 * Context: any thread; does not block.
 */
WEFT_API weft_time weft_after(weft_time delay);

/*
 * Wait until `deadline` has passed, or for `delay`.  Never returns early
 * without an error; late by 2 to 9 ms at most, behind a fiber that computes,
 * while a CPU is idle.
 *
 * Context: any thread; waits.
 * Errors: -ECANCELED, -ETIMEDOUT the deadline of a scope: the sleep has ended
 * early.
 */
WEFT_API int weft_sleep(weft_time delay);
WEFT_API int weft_sleep_until(weft_time deadline);

/* What follows when a tick is taken so late that others were due as well. */
enum weft_ticks {
	WEFT_TICKS_BURST, /* those, at once: in the long run none is lost */
	WEFT_TICKS_DELAY, /* the next one, a period from now */
	WEFT_TICKS_SKIP,  /* the next one that is not due yet, as planned */
};

/*
 * Something that happens again and again:
 *
 *      struct weft_ticker t;
 *      int64_t missed;
 *
 *      weft_ticker_start(&t, weft_now(), WEFT_SEC(1), WEFT_TICKS_SKIP);
 *      while ((missed = weft_ticker_wait(&t)) >= 0)
 *              report(missed);
 *
 * Ticks are due at `first` and then each `period`, so that they do not drift.
 * One that is taken late by less than a period does not move those to come.
 *
 * Used by one fiber or thread at a time.  It has no timer of its own and needs
 * no end.
 */
struct weft_ticker {
	weft_time next_, period_;
	enum weft_ticks policy_;
};

/*
 * Context: any thread; does not block.
 * Errors: -EINVAL the period is not positive, or there is no such policy.
 */
WEFT_API int weft_ticker_start(struct weft_ticker *t, weft_time first,
			       weft_time period, enum weft_ticks policy);

/*
 * Wait until the next tick is due, and take it.  Returns how many more were due
 * by then: they are left out, or with WEFT_TICKS_BURST follow at once.
 *
 * Context: any thread; waits.
 * Errors: -EINVAL it was not started; -ETIMEDOUT; -ECANCELED; -ENOMEM off a
 * fiber.  No tick has been taken then.
 */
WEFT_API int64_t weft_ticker_wait(struct weft_ticker *t);
WEFT_API int64_t weft_ticker_wait_until(struct weft_ticker *t,
					weft_time deadline);

WEFT_END

#endif
