/* SPDX-License-Identifier: MIT */
/*
 * chan.h - channels.
 *
 * A channel passes values of one size, in order, from any number of senders to
 * any number of receivers, fibers and ordinary threads alike.  It holds up to
 * `slots` of them; with 0 slots each value goes from hand to hand, and a sender
 * waits for its receiver (rendezvous).  A value is copied, from the sender's
 * memory to the receiver's: pass pointers for what is large or owned.
 *
 * Zero bytes are a valid channel: a rendezvous of values of no size, with which
 * two meet.  Who waits lies on the waiter's own stack.
 *
 * Errors of every call here that waits, beside its own: -ETIMEDOUT in the
 * _until forms; -ECANCELED; -ENOMEM off a fiber only: no memory for the handle
 * by which a thread waits.
 */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <stdbool.h>

#include "base.h"
#include "select.h"
#include "sync.h"
#include "time.h"

/* See above; weft_chan_init() makes it other than a rendezvous. */
struct weft_chan {
	struct weft_queue_ receivers_; /* the lock there is over all */
	struct weft_queue_ senders_;
	char *values_;
	size_t size_, slots_;
	size_t first_, count_;
	bool closed_, owned_;
};

WEFT_BEGIN

/*
 * Make it pass values of `size` bytes and hold `slots` of them, in `buffer`,
 * which has slots * size bytes and stays the caller's; NULL: it is allocated,
 * and weft_chan_destroy() frees it.
 *
 * Context: any thread, before others use it; does not block.
 * Errors: -ENOMEM; -EINVAL slots * size overflows.
 */
WEFT_API int weft_chan_init(struct weft_chan *c, size_t size, size_t slots,
			    void *buffer);

/*
 * Free what weft_chan_init() has allocated; values that nobody has received are
 * lost.  A build with checks aborts if somebody waits.
 *
 * Context: any thread, when nobody is in a call on it; does not block.
 */
WEFT_API void weft_chan_destroy(struct weft_chan *c);

/*
 * Send the value at `value`; with 0 slots until a receiver has it.  _try_ sends
 * it only if there is room, or a receiver waits.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it is closed, and the value was not sent; try: -EAGAIN.
 */
WEFT_API int weft_chan_send(struct weft_chan *c, const void *value);
WEFT_API int weft_chan_send_until(struct weft_chan *c, const void *value,
				  weft_time deadline);
WEFT_API int weft_chan_try_send(struct weft_chan *c, const void *value);

/*
 * Receive the oldest value into `value`.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it is closed and empty; try: -EAGAIN.
 */
WEFT_API int weft_chan_recv(struct weft_chan *c, void *value);
WEFT_API int weft_chan_recv_until(struct weft_chan *c, void *value,
				  weft_time deadline);
WEFT_API int weft_chan_try_recv(struct weft_chan *c, void *value);

/*
 * Receive up to `max` values into an array: waits for the first, and takes what
 * else is there.  Returns how many.
 *
 * Context: any thread; waits.
 * Errors: -EPIPE it is closed and empty; -EINVAL max is 0.
 */
WEFT_API ssize_t weft_chan_recv_many(struct weft_chan *c, void *values,
				     size_t max);
WEFT_API ssize_t weft_chan_recv_many_until(struct weft_chan *c, void *values,
					   size_t max, weft_time deadline);

/*
 * Close it, from whichever side: senders get -EPIPE, those who wait to send
 * too; receivers get what is left, then -EPIPE.  Closing again does nothing.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_chan_close(struct weft_chan *c);

/*
 * The values that it holds at this moment.
 *
 * Context: any thread; does not block.
 */
WEFT_API size_t weft_chan_count(struct weft_chan *c);

/*
 * A case for weft_select(): the value is sent, or received; the result is 0, or
 * -EPIPE as in weft_chan_send() and weft_chan_recv().
 *
 * Context: any thread; does not block.
 */
WEFT_API struct weft_case weft_case_send(struct weft_chan *c,
					 const void *value);
WEFT_API struct weft_case weft_case_recv(struct weft_chan *c, void *value);

WEFT_END

#endif
