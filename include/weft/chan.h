/* SPDX-License-Identifier: MIT */
/*
 * chan.h - channels, and their kin: oneshot, broadcast, watch.
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

/*
 * See above; weft_chan_init() makes it other than a rendezvous.  It is 64
 * bytes, and passes values between CPUs faster where it is aligned to that.
 */
struct weft_chan {
	uint32_t lock_, count_;
	void *receiver_first_, *receiver_last_;
	void *sender_first_, *sender_last_;
	char *values_;
	uint32_t size_, slots_, first_;
	bool closed_, owned_;
};

WEFT_BEGIN

/*
 * Make it pass values of `size` bytes and hold `slots` of them, in `buffer`,
 * which has slots * size bytes and stays the caller's; NULL: it is allocated,
 * and weft_chan_destroy() frees it.
 *
 * Context: any thread, before others use it; does not block.
 * Errors: -ENOMEM; -EINVAL size or slots is beyond UINT32_MAX.
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

/*
 * A oneshot passes one value, once: an answer to who has asked.
 *
 * The value lies in `storage`, `size` bytes of the caller's, from when it is
 * sent until it is received.  Nobody waits to send it, and no call but that of
 * its receiver touches oneshot or storage once the value has been received: so
 * both may lie on the receiver's stack.  Zero bytes are a valid one of a value
 * of no size.
 */
struct weft_oneshot {
	struct weft_queue_ bell_; /* the lock there is over all */
	void *value_;
	size_t size_;
	bool sent_, received_, closed_;
};

/*
 * Make it pass a value of `size` bytes; or make it anew, to pass another one.
 *
 * Context: any thread, before others use it; does not block.
 */
WEFT_API void weft_oneshot_init(struct weft_oneshot *o, void *storage,
				size_t size);

/*
 * Send the value.
 *
 * Context: any thread; does not block.
 * Errors: -EPIPE it is closed, and the value was not sent; -EALREADY one was
 * sent before, and this one was not.
 */
WEFT_API int weft_oneshot_send(struct weft_oneshot *o, const void *value);

/*
 * Receive the value into `value`.  Several may wait for it: one gets it.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it was closed before a value was sent, or the value has been
 * received already; try: -EAGAIN.
 */
WEFT_API int weft_oneshot_recv(struct weft_oneshot *o, void *value);
WEFT_API int weft_oneshot_recv_until(struct weft_oneshot *o, void *value,
				     weft_time deadline);
WEFT_API int weft_oneshot_try_recv(struct weft_oneshot *o, void *value);

/*
 * Close it, from whichever side: it cannot be sent any more; a value that has
 * been sent can still be received.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_oneshot_close(struct weft_oneshot *o);

/*
 * A build with checks aborts if somebody waits.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_oneshot_destroy(struct weft_oneshot *o);

/*
 * A broadcast passes each value to every receiver.
 *
 * It keeps the newest values in its slots, and senders never wait: a receiver
 * that lags behind loses the oldest, and is told how many.  Any number may
 * send; zero bytes are a valid one of values of no size, with one slot.
 */
struct weft_broadcast {
	struct weft_queue_ bell_; /* the lock there is over all */
	char *values_;
	size_t size_, more_slots_;
	uint64_t sent_;
	bool closed_, owned_;
};

/*
 * How far somebody has received: a struct of the receiver's, which may be
 * forgotten at any time.  A copy receives the same values once more.
 */
struct weft_broadcast_receiver {
	struct weft_broadcast *from_;
	uint64_t next_;
};

/*
 * Make it pass values of `size` bytes, of which it keeps the newest `slots`, in
 * `buffer`, which has slots * size bytes and stays the caller's; NULL: it is
 * allocated, and weft_broadcast_destroy() frees it.
 *
 * Context: any thread, before others use it; does not block.
 * Errors: -ENOMEM; -EINVAL slots is 0, or slots * size overflows.
 */
WEFT_API int weft_broadcast_init(struct weft_broadcast *b, size_t size,
				 size_t slots, void *buffer);

/*
 * Free what weft_broadcast_init() has allocated.  A build with checks aborts if
 * somebody waits.
 *
 * Context: any thread, when nobody is in a call on it; does not block.
 */
WEFT_API void weft_broadcast_destroy(struct weft_broadcast *b);

/*
 * Send the value at `value` to all who have subscribed, be it nobody.
 *
 * Context: any thread; does not block.
 * Errors: -EPIPE it is closed, and the value was not sent.
 */
WEFT_API int weft_broadcast_send(struct weft_broadcast *b, const void *value);

/*
 * Begin to receive: `r` gets each value that is sent after this.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_broadcast_subscribe(struct weft_broadcast *b,
				       struct weft_broadcast_receiver *r);

/*
 * Receive the next value into `value`.  Returns how many were lost before it:
 * 0 mostly; else `r` has lagged behind, and this is the oldest that is there.
 * Several may share a receiver: each value goes to one of them.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it is closed, and all has been received; try: -EAGAIN.
 */
WEFT_API int weft_broadcast_recv(struct weft_broadcast_receiver *r,
				 void *value);
WEFT_API int weft_broadcast_recv_until(struct weft_broadcast_receiver *r,
				       void *value, weft_time deadline);
WEFT_API int weft_broadcast_try_recv(struct weft_broadcast_receiver *r,
				     void *value);

/*
 * Close it: senders get -EPIPE; receivers get what is left, then -EPIPE.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_broadcast_close(struct weft_broadcast *b);

/*
 * A watch has one value, the latest; who cares for it is woken when it has
 * changed, and does not see what was in between.
 *
 * The value lies in `size` bytes of the caller's, which hold the first one when
 * it begins.  It is copied under a spin lock: not for kilobytes.  Zero bytes
 * are a valid one of a value of no size.
 */
struct weft_watch {
	struct weft_queue_ bell_; /* the lock there is over all */
	void *value_;
	size_t size_;
	uint64_t changes_;
	bool closed_;
};

/* What somebody has seen; as struct weft_broadcast_receiver. */
struct weft_watch_receiver {
	struct weft_watch *from_;
	uint64_t seen_;
};

/*
 * Watch the value of `size` bytes at `value`, which is the watch's from now on.
 *
 * Context: any thread, before others use it; does not block.
 */
WEFT_API void weft_watch_init(struct weft_watch *w, void *value, size_t size);

/*
 * Change the value, and wake who waits for that; whether it differs does not
 * matter.
 *
 * Context: any thread; does not block.
 * Errors: -EPIPE it is closed, and the value has stayed.
 */
WEFT_API int weft_watch_set(struct weft_watch *w, const void *value);

/*
 * Copy the latest value to `value`, closed or not.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_watch_get(struct weft_watch *w, void *value);

/*
 * Begin to watch: `r` has seen nothing yet, so the value that is there is its
 * first.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_watch_subscribe(struct weft_watch *w,
				   struct weft_watch_receiver *r);

/*
 * Receive the latest value into `value`, once it is one that `r` has not seen.
 *
 * Context: any thread; waits; _try_ does not block.
 * Errors: -EPIPE it is closed, and the last value has been seen; try: -EAGAIN.
 */
WEFT_API int weft_watch_recv(struct weft_watch_receiver *r, void *value);
WEFT_API int weft_watch_recv_until(struct weft_watch_receiver *r, void *value,
				   weft_time deadline);
WEFT_API int weft_watch_try_recv(struct weft_watch_receiver *r, void *value);

/*
 * Close it: the value does not change any more, and who waits gets -EPIPE.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_watch_close(struct weft_watch *w);

/*
 * A build with checks aborts if somebody waits.
 *
 * Context: any thread; does not block.
 */
WEFT_API void weft_watch_destroy(struct weft_watch *w);

/*
 * Cases for weft_select(): something is received; the result is what the call
 * to receive it would return.
 *
 * Context: any thread; does not block.
 */
WEFT_API struct weft_case weft_case_oneshot(struct weft_oneshot *o,
					    void *value);
WEFT_API struct weft_case weft_case_broadcast(struct weft_broadcast_receiver *r,
					      void *value);
WEFT_API struct weft_case weft_case_watch(struct weft_watch_receiver *r,
					  void *value);

WEFT_END

#endif
