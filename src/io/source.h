/* SPDX-License-Identifier: MIT */
/*
 * source.h - what is known of a descriptor: whether it is ready, who waits,
 * and who closes the number.
 *
 * Sources are type-stable slots, reused first-in first-out.  epoll's data word
 * is slot and generation, so an event for what a slot was before is dropped.
 *
 * `ready`, one word:
 *
 *      IN, OUT, PRI    a call may succeed; set in the beginning, and by events
 *      IN_HUP, OUT_HUP the peer has closed that direction: a short count is no
 *                      reason to wait.  Cleared only by an EAGAIN, which a FIFO
 *                      or a terminal gives that has got a new peer.
 *      URGENT, ERROR   EPOLLPRI, EPOLLERR have been reported at some time
 *      tick in, out    20 bits each: events so far, in that direction
 *      generation      16 bits
 *
 *      event    if the generation is the slot's: set bits, and advance the
 *               tick of each direction that it concerns       [source-ready]
 *      clear    after EAGAIN, or after a short count where that means empty:
 *               only if the direction's tick is still what it was before the
 *               call, so that a newer event is not erased; otherwise the call
 *               is made again                                 [source-ready]
 *
 * A direction has a tick of its own because any event repeats every bit: a
 * common one would let each write event veto the clearing of reads.
 *
 * Arming (adding to an epoll) happens at the first wait.  The kernel then
 * reports at once what is ready, so nothing is lost between the EAGAIN and the
 * arming.
 *
 * Where it is armed, there it is served, and its events bring the fiber along.
 * That is where the fiber runs; but a fiber's first source may go to another
 * worker, which is awake and has much fewer.  While all are busy nobody steals,
 * and connections of one who has more would wait longer, for good.  Which other
 * one is up to the slot: the better of two choices will do (Mitzenmacher, "The
 * Power of Two Choices in Randomized Load Balancing", 2001).
 *
 * An event at a worker that is not wanted (core/idle.h) is not looked at: the
 * source is armed at one that is, where the kernel reports at once what is
 * ready, and then disarmed there; all under `lock`.
 *
 * Waiting: under `lock`, look at `ready` once more, link the node.  An event
 * sets its bits first and then, under `lock`, claims the nodes that want them:
 * whichever comes first, the waiter is woken or does not sleep.  A wait on this
 * source and nothing else is alone (see wait.h), and gives up under `lock`.
 *
 * `use`, one word: references, CLOSING.
 *
 *      enter    + 1 by CAS, unless CLOSING: -EBADF            [source-use]
 *      close    set CLOSING, once; wake every waiter
 *      leave    - 1; who leaves the last reference of a closing source
 *               disarms it, takes it out of the table, closes the number,
 *               advances the generation and frees the slot    [source-use]
 *
 * Nobody enters a closing source, so there is one such last leave.
 *
 * An event whose generation was right may come to look for waiters only when
 * the slot has been freed, or is another descriptor's: `lock` and `waiters` are
 * valid all the time, and a wake for nothing is repeated by the woken.
 */
#ifndef WF_SOURCE_H
#define WF_SOURCE_H

#include <poll.h>

#include "core/wait.h"
#include "os/poll.h"

#define WF_IN      UINT64_C(1)
#define WF_OUT     UINT64_C(2)
#define WF_PRI     UINT64_C(4)
#define WF_IN_HUP  UINT64_C(8)
#define WF_OUT_HUP UINT64_C(16)
#define WF_URGENT  UINT64_C(32)
#define WF_ERROR   UINT64_C(64)

#define WF_CAN_IN  (WF_IN | WF_IN_HUP)
#define WF_CAN_OUT (WF_OUT | WF_OUT_HUP)

/* How calls on a descriptor are made so that they do not block the thread. */
enum wf_source_kind {
	WF_SOCKET, /* MSG_DONTWAIT */
	WF_STREAM, /* RWF_NOWAIT: pipes, eventfds, ... */
	WF_POLLED, /* poll(2) first: terminals, old kernels */
	WF_FILE,   /* the pool: always "ready" */
};

struct wf_source {
	_Atomic uint64_t ready; /* atomic: see above */
	_Atomic uint64_t use;   /* atomic: see above */
	struct wf_spin lock;
	int fd;                 /* constant while anybody uses it */
	struct wf_list waiters; /* lock: struct wf_node */
	union {
		struct wf_poll *poll; /* lock: where it is armed, see epoch */
		struct wf_source *next_free; /* while nobody uses it */
	};
	uint32_t epoch;       /* lock: of the runtime it is armed in */
	uint32_t slot;        /* constant */
	_Atomic uint8_t kind; /* atomic: enum wf_source_kind */
	bool tcp;             /* constant: a short count means empty */
	bool nonblock;        /* constant: weft made it O_NONBLOCK */
	bool terminal;        /* constant: or another character device */
	bool keep_open;       /* closer: do not close the number */
	bool fixed;           /* lock: armed by a pinned fiber, to stay there */
} WF_ALIGNED(WF_CACHE_LINE);

/* An option of SOL_SOCKET; -1: the descriptor has none such. */
int wf_socket_option(int fd, int name);
bool wf_socket_is_stream(int fd);
bool wf_socket_listens(int fd);

/* How many descriptors have a source. */
uint32_t wf_source_count(void);

/* A new runtime: what is armed is not armed any more. */
void wf_source_epoch(void);

/*
 * In a forked child: those who are inside are not here, so every descriptor
 * begins anew.
 */
void wf_source_forget_all(void);

/*
 * The source of a descriptor, entered; it is made if there is none.
 * Errors: -EBADF not open, or closing; -ENOMEM.
 */
int wf_source_enter(int fd, struct wf_source **s);
void wf_source_leave(struct wf_source *s);

/*
 * The same, but *s is NULL if the descriptor has no source.
 * Errors: -EBADF.
 */
int wf_source_find(int fd, struct wf_source **s);

/*
 * weft has just made this descriptor, O_NONBLOCK, like `model` if that is not
 * NULL: what was known of the number is outdated.  Without memory it has no
 * source yet, and its first call makes one, or says so: nothing is lost.
 */
void wf_source_adopt(int fd, const struct wf_source *model);

/*
 * The number is a new file's, made past weft: if there is a source for it, the
 * old one was closed behind our back.
 */
void wf_source_renew(int fd);

/*
 * Wait until something in `want` may be ready; 0 wakes only at the end of the
 * source.  `self` is the calling fiber; `what` is for those who look.
 * Errors: -EBADF closed meanwhile; -ETIMEDOUT; -ECANCELED; -ENOSPC, -ENOMEM.
 */
int wf_source_wait(struct wf_source *s, struct weft_fiber *self, uint64_t want,
		   const char *what, weft_time deadline);

/* The same, and the end of `other` ends it too. */
int wf_source_wait_beside(struct wf_source *s, struct wf_source *other,
			  uint64_t want, const char *what, weft_time deadline);

/* A call has given EAGAIN, or less than asked for; `seen` was read before. */
void wf_source_empty(struct wf_source *s, uint64_t want, uint64_t seen);
void wf_source_short(struct wf_source *s, uint64_t want, uint64_t seen);

/* Mark as ready and wake who wants it. */
void wf_source_nudge(struct wf_source *s, uint64_t want);

/*
 * End the source, which the caller has entered and leaves by this: close the
 * number too, or not.
 * Errors: -EBADF somebody else does; those of close(2) are lost if others are
 * inside.
 */
int wf_source_close(struct wf_source *s);
int wf_source_forget(struct wf_source *s);

/*
 * Worker's loop.  epoll has reported: collect who waits for that, firing those
 * collected when there is no more room; the caller fires the rest.  Before
 * that, fetch the source, and when that has come, the one who waits.
 */
void wf_source_event(uint64_t data, uint32_t events, struct wf_wakes *wakes,
		     struct wf_carrier *here);
void wf_source_prefetch(uint64_t data);
void wf_source_prefetch_waiter(uint64_t data);

/*
 * Worker's loop.  An event has been reported at `from`, and is not going to be
 * looked at: arm the source at `to`, where it will be reported anew.  False: it
 * is to be looked at, as the source is not armed there, or not to be moved.
 */
bool wf_source_move(uint64_t data, struct wf_poll *from, struct wf_poll *to);

/* For waits on several sources at a time, see poll.c. */
int wf_source_arm(struct wf_source *s);
bool wf_source_link(struct wf_source *s, struct wf_node *node, uint64_t seen);
/* False: it was not linked, or somebody has claimed and unlinked it. */
bool wf_source_unlink(struct wf_source *s, struct wf_node *node);

#define WF_CLOSING (UINT64_C(1) << 32) /* in `use` */

static inline bool source_closing(struct wf_source *s)
{
	return atom_load_rlx(&s->use) & WF_CLOSING;
}

/* The bits that end a wait for IN, for OUT, or for both: hang-ups too. */
static inline uint64_t source_enders(uint64_t want)
{
	return want | (want & WF_IN ? WF_IN_HUP : 0) |
	       (want & WF_OUT ? WF_OUT_HUP : 0);
}

/* The bits that may change what poll(2) says to `events`. */
static inline uint32_t source_changes(short events)
{
	uint64_t bits = WF_IN_HUP | WF_OUT_HUP | WF_ERROR;

	if (events & (POLLIN | POLLRDNORM | POLLRDBAND))
		bits |= WF_IN;
	if (events & (POLLOUT | POLLWRNORM | POLLWRBAND))
		bits |= WF_OUT;
	if (events & POLLPRI)
		bits |= WF_PRI;
	return (uint32_t)bits;
}

static inline uint64_t source_ready(struct wf_source *s)
{
	/* acquire [source-ready] */
	return atom_load_acq(&s->ready);
}

#endif
